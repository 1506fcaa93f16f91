// The loader's threads. Batches are numbered through all epochs; a worker takes the next number as soon as there is
// room, and the consumer takes them in order.
#include <duet/nn/data/loader.hpp>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

#include <duet/core/fail.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/raw.hpp>

namespace duet::data {
namespace {

/// One step of splitmix64 (Steele, Lea and Flood 2014): spreads nearby numbers far apart.
std::uint64_t spread(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

std::vector<std::int64_t> epoch_order(std::int64_t count, bool shuffle, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  if (!shuffle) return order;
  Generator random = sample_generator(seed, epoch, -1);
  for (std::int64_t i = count - 1; i > 0; --i)
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(random.integer(0, i + 1))]);
  return order;
}

/// Copies `part` to place `at` of a batch of `count`, which the first call makes.
void stack(Tensor& batch, const Tensor& part, std::int64_t at, std::int64_t count, std::int64_t index,
           const char* what) {
  if (at == 0) {
    Shape shape = part.shape();
    shape.insert(0, count);
    batch = Tensor::empty(shape, {.dtype = part.dtype()});
  }
  Shape expected = batch.shape();
  expected.erase(0);
  if (part.shape() != expected)
    fail<ShapeError>("DataLoader", "the {} of sample {} does not stack: it is {}, others of its batch are {}", what,
                     index, part.shape(), expected);
  if (part.dtype() != batch.dtype())
    fail<DtypeError>("DataLoader", "the {} of sample {} is {}, others of its batch are {}", what, index,
                     name(part.dtype()), name(batch.dtype()));
  const Tensor source = raw::contiguous(part);
  const auto bytes = static_cast<std::size_t>(part.bytes());
  if (bytes != 0)
    std::memcpy(raw::data<std::uint8_t>(batch) + static_cast<std::size_t>(at) * bytes, raw::data<std::uint8_t>(source),
                bytes);
}

/// How many forks, from the first call on, led to this process.
int forks() {
  static std::atomic<int> count{0};
  static const bool registered = (on_fork([] {}, [] {}, [] { count.fetch_add(1); }), true);
  (void)registered;
  return count.load();
}

}  // namespace

Generator sample_generator(std::uint64_t seed, std::int64_t epoch, std::int64_t index) {
  return Generator(
      spread(spread(spread(seed) ^ static_cast<std::uint64_t>(epoch)) ^ static_cast<std::uint64_t>(index)));
}

struct DataLoader::State {
  /// A finished batch, or why there is none.
  struct Slot {
    Sample sample;
    std::exception_ptr error;
  };

  const std::shared_ptr<const Dataset> dataset;
  const LoaderOptions options;
  const std::int64_t per_epoch;

  // The consumer's own.
  std::int64_t next = 0;      // the number of the batch that is handed out next
  bool inside_epoch = false;  // a loop was begun and has not come to its end

  std::mutex mutex;  // guards what follows
  std::condition_variable work, ready;
  std::map<std::int64_t, Slot> slots;  // finished batches by number
  std::int64_t claimed = 0;            // the number that a worker takes next
  std::int64_t wanted = 0;             // `next`, as the workers see it
  std::uint64_t generation = 0;        // raised by a jump: what was begun before it is thrown away
  std::int64_t order_epoch = -1;
  std::shared_ptr<const std::vector<std::int64_t>> order;
  bool stop = false;
  std::vector<std::thread> threads;
  int process = 0;  // where the threads are: the number of forks that led to it

  State(std::shared_ptr<const Dataset> set, const LoaderOptions& given, std::int64_t batches)
      : dataset(std::move(set)), options(given), per_epoch(batches) {}

  ~State() {
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    work.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  /// The order of an epoch, made once and shared by the workers. With `mutex` held.
  std::shared_ptr<const std::vector<std::int64_t>> order_of(std::int64_t epoch) {
    if (order_epoch != epoch) {
      order = std::make_shared<const std::vector<std::int64_t>>(
          options.sampler ? options.sampler->order(epoch)
                          : epoch_order(dataset->size(), options.shuffle, options.seed, epoch));
      order_epoch = epoch;
    }
    return order;
  }

  Sample make(std::int64_t number, const std::vector<std::int64_t>& indices) const {
    const std::int64_t epoch = number / per_epoch, first = number % per_epoch * options.batch_size;
    const std::int64_t whole = std::min(options.batch_size, static_cast<std::int64_t>(indices.size()) - first);
    const std::int64_t count = whole / options.shares, own = first + options.share * count;
    Sample batch;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t index = indices[static_cast<std::size_t>(own + i)];
      // A sampler may choose a sample twice: then the place in the epoch tells the two apart (−1 is the order's).
      Generator random = sample_generator(options.seed, epoch, options.sampler ? -2 - own - i : index);
      const Sample sample = dataset->get(index, random);
      stack(batch.image, sample.image, i, count, index, "image");
      stack(batch.target, sample.target, i, count, index, "target");
    }
    return batch;
  }

  void serve() {
    std::unique_lock lock(mutex);
    for (;;) {
      work.wait(lock, [&] { return stop || claimed < wanted + options.prefetch; });
      if (stop) return;
      const std::int64_t number = claimed++;
      const std::uint64_t begun = generation;
      Slot slot;
      try {
        const auto indices = order_of(number / per_epoch);
        lock.unlock();
        slot.sample = make(number, *indices);
      } catch (...) {
        slot.error = std::current_exception();
      }
      if (!lock.owns_lock()) lock.lock();
      if (begun != generation) continue;
      slots.emplace(number, std::move(slot));
      ready.notify_one();
    }
  }

  /// Starts the workers at the first batch that is asked for. If the system gives no threads, the consumer works.
  void start() {
    if (threads.empty()) process = forks();
    while (static_cast<int>(threads.size()) < options.workers) {
      try {
        threads.emplace_back([this] { serve(); });
      } catch (const std::system_error&) {
        return;
      }
    }
  }

  /// Whether the workers stayed in the process from which this one was forked.
  bool left_behind() const { return !threads.empty() && process != forks(); }
  void require_workers(const char* op) const {
    if (left_behind())
      fail<ValueError>(op, "its {} workers stayed in the process from which this one was forked: make a loader here",
                       threads.size());
  }

  Sample take() {
    require_workers("DataLoader");
    start();
    std::unique_lock lock(mutex);
    if (threads.empty()) {
      const auto indices = order_of(next / per_epoch);
      return make(next++, *indices);
    }
    ready.wait(lock, [&] { return slots.contains(next); });
    Slot slot = std::move(slots.extract(next).mapped());
    wanted = ++next;
    lock.unlock();
    work.notify_one();
    if (slot.error) std::rethrow_exception(slot.error);
    return std::move(slot.sample);
  }

  void jump(std::int64_t number) {
    if (number == next) return;
    require_workers("DataLoader.seek");
    next = number;
    {
      std::lock_guard lock(mutex);
      ++generation;
      slots.clear();
      claimed = wanted = number;
    }
    work.notify_all();
  }
};

DataLoader::DataLoader(std::shared_ptr<const Dataset> dataset, const LoaderOptions& options) {
  if (!dataset || dataset->size() < 1) fail<ValueError>("DataLoader", "the data set is empty");
  if (options.batch_size < 1)
    fail<ValueError>("DataLoader", "batch_size must be at least 1, got {}", options.batch_size);
  if (options.workers < 0 || options.workers > 256)
    fail<ValueError>("DataLoader", "workers must be 0 to 256, got {}", options.workers);
  if (options.prefetch < 1) fail<ValueError>("DataLoader", "prefetch must be at least 1, got {}", options.prefetch);
  if (options.shares < 1 || options.share < 0 || options.share >= options.shares)
    fail<ValueError>("DataLoader", "there is no share {} of {}", options.share, options.shares);
  const std::int64_t size = options.sampler ? options.sampler->size() : dataset->size();
  const std::int64_t batches = size / options.batch_size + (!options.drop_last && size % options.batch_size != 0);
  if (batches < 1)
    fail<ValueError>("DataLoader", "{} samples do not fill a batch of {}, and drop_last is set", size,
                     options.batch_size);
  const std::int64_t last = options.drop_last ? 0 : size % options.batch_size;
  if (size >= options.batch_size && options.batch_size % options.shares != 0)
    fail<ValueError>("DataLoader", "{} processes do not divide a batch of {}", options.shares, options.batch_size);
  if (last % options.shares != 0)
    fail<ValueError>("DataLoader", "{} processes do not divide the last batch, of {} samples", options.shares, last);
  // In a forked child it is left as it is: there are no threads to join, and its locks may never open.
  state_.reset(new State(std::move(dataset), options, batches), [](State* state) {
    if (!state->left_behind()) delete state;
  });
}

DataLoader::~DataLoader() = default;
DataLoader::DataLoader(DataLoader&&) noexcept = default;
DataLoader& DataLoader::operator=(DataLoader&&) noexcept = default;

std::int64_t DataLoader::batches() const { return state_->per_epoch; }
std::int64_t DataLoader::epoch() const { return state_->next / state_->per_epoch; }
std::int64_t DataLoader::batch() const { return state_->next % state_->per_epoch; }

void DataLoader::seek(std::int64_t epoch, std::int64_t batch) {
  if (epoch < 0 || batch < 0 || batch >= batches())
    fail<ValueError>("DataLoader.seek", "there is no batch {} in epoch {}: an epoch has {}", batch, epoch, batches());
  state_->jump(checked_add("DataLoader.seek", checked_mul("DataLoader.seek", epoch, batches()), batch));
  state_->inside_epoch = false;
}

DataLoader::Iterator DataLoader::begin() {
  // A loop that was left early has used up its epoch.
  if (state_->inside_epoch && batch() != 0) state_->jump((epoch() + 1) * batches());
  state_->inside_epoch = true;
  Iterator iterator(this);
  iterator.sample_ = state_->take();
  return iterator;
}

DataLoader::Iterator& DataLoader::Iterator::operator++() {
  DataLoader::State& state = *loader_->state_;
  sample_ = {};  // lets the allocator reuse it for the batches to come
  if (state.next % state.per_epoch == 0) {
    state.inside_epoch = false;
    loader_ = nullptr;
  } else {
    sample_ = state.take();
  }
  return *this;
}

}  // namespace duet::data
