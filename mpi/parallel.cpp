// Buckets are filled in the order in which backward reaches parameters, roughly the reverse of their declaration, and
// start travelling in bucket order on every rank, whoever is ready first: collectives have to meet in one order.
#include <duet/mpi/parallel.hpp>

#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include <duet/autograd/hooks.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/norm.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

namespace duet::mpi {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

MPI_Datatype type_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return MPI_FLOAT;
    case Dtype::f64:
      return MPI_DOUBLE;
    case Dtype::i64:
      return MPI_INT64_T;
    default:
      return MPI_UINT8_T;
  }
}

/// MPI counts in int: longer arrays go in pieces.
template <class Call>
void in_pieces(const Tensor& tensor, Call call) {
  constexpr std::int64_t longest = 1 << 30;
  auto* data = raw::data<std::byte>(tensor);
  const auto item = static_cast<std::int64_t>(item_size(tensor.dtype()));
  for (std::int64_t at = 0; at < tensor.numel(); at += longest)
    call(data + at * item, static_cast<int>(std::min(longest, tensor.numel() - at)));
}

const OpPtr& all_reduce_op() {
  static const OpPtr op = std::make_shared<OpDef>(OpDef{
      .name = "all_reduce",
      .doc = "The sum over all processes.",
      .inputs = {"x"},
      .shape_rule = [](const ShapeCall& c) -> Specs {
        if (!is_floating(c[0].dtype)) fail<DtypeError>(c.name(), "x is {}, not f32 or f64", name(c[0].dtype));
        return {c[0]};
      },
      .forward = [](const Call& c) -> Tensors {
        Tensor y = raw::clone(c[0]);
        in_pieces(y, [&](void* data, int count) {
          MPI_Allreduce(MPI_IN_PLACE, data, count, type_of(y.dtype()), MPI_SUM, MPI_COMM_WORLD);
        });
        return {y};
      },
      .vjp = [](const Vjp& v) -> Tensors { return {all_reduce(v.cotangent())}; },
      .linear = {0},
      .dual = "all_reduce",
      .no_samples_because = "it needs several processes",
  });
  return op;
}

/// "weight (2, 3) f32" a line, for every parameter and buffer.
std::string form_of(const nn::Module& module) {
  std::string text;
  for (const auto& [name, tensor] : module.state_dict())
    text += fmt::format("{} {}\n", name, to_string(spec_of(tensor)));
  return text;
}

/// The first line in which two texts differ, of the first and of the second.
std::string difference(const std::string& a, const std::string& b) {
  std::size_t at = 0;
  while (at < a.size() && at < b.size() && a[at] == b[at]) ++at;
  const std::size_t line = at == 0 ? 0 : a.rfind('\n', at - 1) + 1;
  const auto from = [&](const std::string& text) {
    return line >= text.size() ? std::string("nothing more") : text.substr(line, text.find('\n', line) - line);
  };
  return fmt::format("'{}', not '{}'", from(a), from(b));
}

}  // namespace

World::World() : exceptions_(std::uncaught_exceptions()) {
  int begun = 0;
  MPI_Initialized(&begun);
  began_ = begun == 0;
  if (began_) {
    int level = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level);
  }
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  MPI_Comm machine;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &machine);
  MPI_Comm_size(machine, &local_size_);
  MPI_Comm_free(&machine);
}

World::~World() {
  if (std::uncaught_exceptions() > exceptions_) {
    // The others wait for this one in a collective; nobody would ever come.
    std::fprintf(stderr, "[mpi] rank %d of %d ends by an exception, and with it all ranks\n", rank_, size_);
    std::fflush(stderr);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  if (began_) MPI_Finalize();
}

Tensor World::share(const Tensor& batch) const {
  if (batch.rank() < 1 || batch.size(0) % size_ != 0)
    fail<ShapeError>("share", "{} ranks do not divide a batch {}", size_, to_string(spec_of(batch)));
  const std::int64_t part = batch.size(0) / size_;
  return slice(batch, 0, rank_ * part, (rank_ + 1) * part);
}

void World::broadcast(Tensor tensor) const {
  if (!tensor.is_contiguous())
    fail<ShapeError>("broadcast", "the tensor is not contiguous: {}", to_string(spec_of(tensor)));
  const NoGradGuard no_grad;
  begin_in_place("broadcast", tensor);
  in_pieces(tensor, [&](void* data, int count) { MPI_Bcast(data, count, type_of(tensor.dtype()), 0, MPI_COMM_WORLD); });
}

void World::require_same(const std::string& what, const std::string& text) const {
  // The text of a rank comes to all; its length goes ahead.
  const auto told_by = [](int rank, std::string said) {
    auto length = static_cast<std::int64_t>(said.size());
    MPI_Bcast(&length, 1, MPI_INT64_T, rank, MPI_COMM_WORLD);
    said.resize(static_cast<std::size_t>(length));
    MPI_Bcast(said.data(), static_cast<int>(length), MPI_CHAR, rank, MPI_COMM_WORLD);
    return said;
  };
  const std::string first = told_by(0, text);
  int different = text == first ? size_ : rank_, which = 0;
  MPI_Allreduce(&different, &which, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
  if (which == size_) return;
  const std::string how = told_by(which, difference(text, first));
  fail<ValueError>("require_same", "rank {} has another {} than rank 0: {}", which, what, how);
}

void World::abort(const std::string& message) const {
  if (rank_ != 0) std::this_thread::sleep_for(std::chrono::milliseconds(500));
  std::fprintf(stderr, "[mpi] rank %d of %d: %s; all ranks end\n", rank_, size_, message.c_str());
  std::fflush(stderr);
  MPI_Abort(MPI_COMM_WORLD, 1);
  std::abort();
}

void World::barrier() const { MPI_Barrier(MPI_COMM_WORLD); }

Tensor all_reduce(const Tensor& x) { return apply1(all_reduce_op(), {x}); }

struct DataParallel::State {
  struct Bucket {
    std::vector<std::size_t> members;
    Tensor buffer;  // gradients one after the other, then for each member whether it has one
    std::size_t ready = 0;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  struct Member {
    Tensor parameter;
    std::size_t bucket;
    std::int64_t offset;
    bool ready = false;
    HookHandle hook = {};
  };

  ~State() {
    for (Member& member : members) member.hook.remove();
    // Requests on their way (an exception) would write into freed memory.
    for (Bucket& bucket : buckets)
      if (bucket.request != MPI_REQUEST_NULL) MPI_Wait(&bucket.request, MPI_STATUS_IGNORE);
    MPI_Comm_free(&channel);
  }

  /// From the last parameter to the first: about the order in which backward gets to them.
  void share_out(std::int64_t bucket_bytes) {
    for (std::size_t i = members.size(); i-- > 0;) {
      Member& member = members[i];
      const Dtype dtype = member.parameter.dtype();
      const bool fits = !buckets.empty() && sizes.back() * static_cast<std::int64_t>(item_size(dtype)) < bucket_bytes &&
                        members[buckets.back().members[0]].parameter.dtype() == dtype;
      if (!fits) {
        buckets.emplace_back();
        sizes.push_back(0);
      }
      member.bucket = buckets.size() - 1;
      member.offset = sizes.back();
      sizes.back() += member.parameter.numel();
      buckets.back().members.push_back(i);
    }
    for (std::size_t b = 0; b < buckets.size(); ++b)
      buckets[b].buffer = zeros({sizes[b] + static_cast<std::int64_t>(buckets[b].members.size())},
                                {.dtype = members[buckets[b].members[0]].parameter.dtype()});
  }

  Tensor place_of(const Member& member) const {
    return raw::view(buckets[member.bucket].buffer, member.parameter.shape(),
                     contiguous_strides(member.parameter.shape()), member.offset);
  }
  Tensor flag_of(std::size_t bucket, std::size_t k) const {
    return raw::view(buckets[bucket].buffer, {}, {}, sizes[bucket] + static_cast<std::int64_t>(k));
  }

  /// A gradient is complete.
  void arrived(std::size_t i) {
    Member& member = members[i];
    if (member.ready)
      fail<AutogradError>("data_parallel",
                          "a second backward reached a parameter before synchronize(): add the losses up");
    member.ready = true;
    ++buckets[member.bucket].ready;
    start(false);
  }

  /// Sends every bucket whose turn it is: those that are full, or with `all` the rest as well.
  void start(bool all) {
    for (; started < buckets.size() && (all || buckets[started].ready == buckets[started].members.size()); ++started) {
      const double begin = now();
      Bucket& bucket = buckets[started];
      raw::fill(bucket.buffer, 0);
      for (std::size_t k = 0; k < bucket.members.size(); ++k) {
        const Member& member = members[bucket.members[k]];
        const Tensor& grad = member.parameter.grad();
        if (!grad.defined()) continue;
        Tensor place = place_of(member), flag = flag_of(started, k);
        raw::copy(grad, place);
        raw::fill(flag, 1);
      }
      if (bucket.buffer.numel() > 1 << 30) fail<ShapeError>("data_parallel", "a parameter of more than 2^30 numbers");
      MPI_Iallreduce(MPI_IN_PLACE, raw::data<std::byte>(bucket.buffer), static_cast<int>(bucket.buffer.numel()),
                     type_of(bucket.buffer.dtype()), MPI_SUM, channel, &bucket.request);
      bytes += bucket.buffer.bytes();
      waited += now() - begin;
    }
    // MPI without a thread of its own moves data when it is called.
    for (std::size_t b = 0; b < started; ++b) {
      int done = 0;
      if (buckets[b].request != MPI_REQUEST_NULL) MPI_Test(&buckets[b].request, &done, MPI_STATUS_IGNORE);
    }
  }

  void finish() {
    const double begin = now();
    for (std::size_t b = 0; b < buckets.size(); ++b) {
      Bucket& bucket = buckets[b];
      if (bucket.request != MPI_REQUEST_NULL) MPI_Wait(&bucket.request, MPI_STATUS_IGNORE);
      for (std::size_t k = 0; k < bucket.members.size(); ++k) {
        Member& member = members[bucket.members[k]];
        member.ready = false;
        if (flag_of(b, k).item() == 0) continue;
        const NoGradGuard no_grad;
        member.parameter.set_grad(place_of(member) / static_cast<double>(ranks));
      }
      bucket.ready = 0;
    }
    started = 0;
    waited += now() - begin;
  }

  std::vector<Member> members;
  std::vector<Bucket> buckets;
  std::vector<std::int64_t> sizes;  // numbers of the parameters in each bucket
  MPI_Comm channel;                 // of its own: ops may call collectives while these travel
  std::size_t started = 0;
  int ranks = 1;
  double waited = 0;
  std::int64_t bytes = 0;
};

DataParallel::DataParallel(const World& world, nn::Module& module, const DataParallelOptions& options) {
  if (options.bucket_bytes < 1)
    fail<ValueError>("data_parallel", "bucket_bytes must be at least 1, got {}", options.bucket_bytes);
  world.require_same("model", form_of(module));
  for (const auto& entry : module.state_dict()) world.broadcast(entry.second);
  state_ = std::make_unique<State>();
  State& state = *state_;
  state.ranks = world.size();
  MPI_Comm_dup(MPI_COMM_WORLD, &state.channel);
  for (const Tensor& parameter : module.parameters())
    if (parameter.requires_grad()) state.members.push_back({.parameter = parameter, .bucket = 0, .offset = 0});
  state.share_out(options.bucket_bytes);
  for (std::size_t i = 0; i < state.members.size(); ++i)
    state.members[i].hook =
        register_post_accumulate_hook(state.members[i].parameter, [&state, i](const Tensor&) { state.arrived(i); });
}

DataParallel::~DataParallel() = default;

void DataParallel::synchronize() {
  state_->start(true);
  state_->finish();
}

double DataParallel::waited_seconds() const { return state_->waited; }
std::int64_t DataParallel::bytes_averaged() const { return state_->bytes; }

void synchronize_batch_norms(nn::Module& module) {
  const auto synchronize = [](auto* norm) {
    if (norm != nullptr) norm->total = all_reduce;
  };
  for (const auto& [name, below] : module.named_modules()) {
    synchronize(dynamic_cast<nn::BatchNorm1d*>(below));
    synchronize(dynamic_cast<nn::BatchNorm2d*>(below));
    synchronize(dynamic_cast<nn::BatchNorm3d*>(below));
  }
}

}  // namespace duet::mpi
