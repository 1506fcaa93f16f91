// Extreme sizes and options through every shape rule: what comes out is a shape that can exist or a typed error, never
// a wrapped number; nothing is allocated for it, and it takes no time.
#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include <duet/core/allocator.hpp>
#include <duet/core/random.hpp>
#include <duet/ops/conv.hpp>
#include <duet/ops/pool.hpp>
#include <duet/ops/registry.hpp>

using namespace duet;

namespace {

/// Mostly the ends of the types and the sizes around which products overflow.
std::int64_t extreme_size(Generator& random) {
  static constexpr std::int64_t known[] = {0,
                                           1,
                                           2,
                                           3,
                                           255,
                                           256,
                                           1 << 16,
                                           (1LL << 31) - 1,
                                           1LL << 31,
                                           1LL << 32,
                                           (1LL << 32) + 1,
                                           3037000499,
                                           3037000500,
                                           1LL << 40,
                                           1LL << 53,
                                           1LL << 61,
                                           1LL << 62,
                                           INT64_MAX - 1,
                                           INT64_MAX};
  const std::int64_t pick = random.integer(0, 24);
  if (pick < static_cast<std::int64_t>(std::size(known))) return known[pick];
  return static_cast<std::int64_t>(random.next() >> random.integer(1, 64));
}

/// For options: the same with a sign.
std::int64_t extreme_number(Generator& random) {
  const std::int64_t size = extreme_size(random);
  const std::int64_t sign = random.integer(0, 6);
  return sign == 0 ? -size : sign == 1 ? INT64_MIN : size;
}

/// Changes some of an options struct's fields; visited again, it puts them back.
class Disturb final : public FieldVisitor {
 public:
  explicit Disturb(Generator& random) : random_(random) {}
  void restore() { restoring_ = true; }
  using FieldVisitor::choice;
  using FieldVisitor::field;
  void field(const char*, bool& value) override {
    std::int64_t held = value ? 1 : 0;
    whole(held, [&] { return random_.integer(0, 2); });
    value = held != 0;
  }
  void field(const char*, std::int64_t& value) override { number(value); }
  void field(const char*, double& value) override { real(value); }
  void field(const char*, std::string&) override {}
  void field(const char*, std::vector<std::int64_t>& values) override {
    for (std::int64_t& value : values) number(value);
  }
  void field(const char*, std::vector<double>& values) override {
    for (double& value : values) real(value);
  }
  void field(const char*, Shape& values) override {
    for (std::int64_t& value : values) number(value);
  }
  void integers(const char*, std::span<std::int64_t> values) override {
    for (std::int64_t& value : values) number(value);
  }
  void integers(const char*, std::span<std::int64_t> values, std::string&) override {
    for (std::int64_t& value : values) number(value);
  }
  void field(const char*, std::optional<double>& value) override {
    if (value) real(*value);
  }
  void field(const char*, std::optional<std::int64_t>& value) override {
    if (value) number(*value);
  }
  void choice(const char*, int& index, std::span<const char* const> names) override {
    std::int64_t held = index;
    whole(held, [&] { return random_.integer(0, static_cast<std::int64_t>(names.size())); });
    index = static_cast<int>(held);
  }

 private:
  template <class Make>
  void whole(std::int64_t& value, Make make) {
    if (restoring_) {
      value = numbers_[next_number_++];
      return;
    }
    numbers_.push_back(value);
    if (random_.integer(0, 4) == 0) value = make();
  }
  void number(std::int64_t& value) {
    whole(value, [&] { return extreme_number(random_); });
  }
  void real(double& value) {
    if (restoring_) {
      value = reals_[next_real_++];
      return;
    }
    reals_.push_back(value);
    static constexpr double known[] = {0, -1, 1e300, 1e-300, INFINITY, -INFINITY, NAN, 0.5, 9e18, 3};
    if (random_.integer(0, 4) == 0) value = known[random_.integer(0, static_cast<std::int64_t>(std::size(known)))];
  }

  Generator& random_;
  bool restoring_ = false;
  std::vector<std::int64_t> numbers_;
  std::vector<double> reals_;
  std::size_t next_number_ = 0, next_real_ = 0;
};

/// The number of elements, or nothing where 63 bits do not count them. Independent of Shape::numel.
std::optional<std::int64_t> count(const Shape& shape) {
  if (shape.contains(0)) return 0;
  __int128 total = 1;
  for (const std::int64_t size : shape) {
    total *= size;
    if (total > INT64_MAX) return std::nullopt;
  }
  return static_cast<std::int64_t>(total);
}

/// The sizes of a sample's inputs, some of them extreme, of tensors that could exist (as views of one element).
Specs disturbed(const Sample& sample, Generator& random) {
  Specs specs;
  for (const Tensor& tensor : sample.inputs) {
    TensorSpec spec = tensor.defined() ? spec_of(tensor) : TensorSpec{{}, f32, false};
    const Shape before = spec.shape;
    for (std::int64_t& size : spec.shape)
      if (random.integer(0, 3) == 0) size = extreme_size(random);
    if (random.integer(0, 3) == 0 && !specs.empty() && specs[0].shape.rank() == spec.shape.rank())
      spec.shape = specs[0].shape;
    if (!count(spec.shape)) spec.shape = before;
    specs.push_back(spec);
  }
  return specs;
}

}  // namespace

TEST_CASE("a million extreme sizes through every shape rule: no wrap, no allocation, no delay") {
  using Clock = std::chrono::steady_clock;
  Generator random(2024);
  std::int64_t calls = 0, refused = 0, given = 0;
  const std::span<const OpPtr> ops = registry();
  const std::int64_t each = 1000000 / static_cast<std::int64_t>(ops.size()) + 1;
  for (const OpPtr& op : ops) {
    CAPTURE(op->name);
    std::vector<Sample> samples = op->samples ? op->samples() : std::vector<Sample>();
    if (samples.empty()) {
      // The two ops of integers alone.
      const Tensor x = Tensor::empty({1, 2, 2}, {.dtype = op->name == "max_pool_indices" ? u8 : i64});
      samples.push_back({"whole", {x}, op->options != nullptr ? AnyOptions(*op->options) : AnyOptions()});
    }
    const MemoryStats before = memory_stats();
    reset_peak_memory();
    double slowest = 0;
    for (std::int64_t i = 0; i < each; ++i) {
      Sample& sample = samples[static_cast<std::size_t>(i) % samples.size()];
      const Specs specs = disturbed(sample, random);
      Disturb disturb(random);
      sample.options.visit_mutable(disturb);
      const auto start = Clock::now();
      std::string wrong;
      try {
        const Specs results = op->shape_rule(ShapeCall{*op, specs, sample.options});
        ++given;
        for (const TensorSpec& result : results) {
          for (const std::int64_t size : result.shape)
            if (size < 0) wrong = "a negative size";
          // What cannot exist must be refused before memory is taken: numel() is what allocation asks.
          if (wrong.empty() && !count(result.shape)) {
            try {
              result.shape.numel();
              wrong = "a count that wrapped";
            } catch (const ShapeError&) {
            }
          }
        }
      } catch (const Error& error) {
        ++refused;
        if (std::string(error.what()).front() != '[') wrong = error.what();
      } catch (const std::exception& error) {
        wrong = std::string("an error of another library: ") + error.what();
      }
      slowest = std::max(slowest, std::chrono::duration<double>(Clock::now() - start).count());
      ++calls;
      if (!wrong.empty()) {
        std::string text;
        for (const TensorSpec& spec : specs) text += to_string(spec) + " ";
        FAIL_CHECK(wrong << ": " << text << to_string(sample.options));
      }
      disturb.restore();
      sample.options.visit_mutable(disturb);
    }
    CHECK(memory_stats().peak_in_use == before.in_use);
    CHECK_MESSAGE(slowest < 0.5, "a shape rule took " << slowest << " s");
  }
  MESSAGE(calls << " calls, " << refused << " refused, " << given << " answered");
  CHECK(calls >= 1000000);
  CHECK(given > calls / 100);
}

TEST_CASE("extreme output sizes are reached or refused by arithmetic alone") {
  Generator random(7);
  for (int i = 0; i < 20000; ++i) {
    const std::int64_t size = extreme_size(random), kernel = extreme_size(random), stride = extreme_size(random);
    const std::int64_t padding = extreme_size(random), dilation = extreme_size(random), wanted = extreme_size(random);
    try {
      const Extent<1> extra =
          output_padding_for<1>(size, wanted, kernel, {.stride = stride, .padding = padding, .dilation = dilation});
      const __int128 reached = static_cast<__int128>(size - 1) * stride - static_cast<__int128>(2) * padding +
                               static_cast<__int128>(dilation) * (kernel - 1) + 1 + extra[0];
      CHECK(reached == wanted);
      CHECK(extra[0] < std::max(stride, dilation));
    } catch (const Error&) {
    }
    try {
      for (const ReachableSize& one : reachable_output_sizes(size, kernel, stride, padding, dilation))
        CHECK(one.size >= 1);
    } catch (const Error&) {
    }
  }
}

TEST_CASE("a reduction over more elements than 64 bits count says so, and does not count to zero") {
  const Specs huge{TensorSpec{{std::int64_t{1} << 32, std::int64_t{1} << 32}}};
  for (const char* name : {"amax", "amin", "argmax"}) {
    CAPTURE(name);
    const OpPtr op = find_op(name);
    const AnyOptions options(*op->options);
    std::string message;
    try {
      op->shape_rule(ShapeCall{*op, huge, options});
    } catch (const ShapeError& error) {
      message = error.what();
    }
    CHECK(message.find("has more elements than 64 bits count") != std::string::npos);
  }
}
