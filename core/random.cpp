// Philox 4x32-10 and the fills that stand on it.
#include <duet/core/random.hpp>

#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include <duet/core/fail.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/raw.hpp>

namespace duet {
namespace {

using Block = std::array<std::uint32_t, 4>;

Block philox(std::uint64_t seed, std::uint64_t counter) {
  std::uint32_t key0 = static_cast<std::uint32_t>(seed), key1 = static_cast<std::uint32_t>(seed >> 32);
  Block b{static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), 0, 0};
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * b[0], p1 = std::uint64_t{0xCD9E8D57} * b[2];
    b = {static_cast<std::uint32_t>(p1 >> 32) ^ b[1] ^ key0, static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ b[3] ^ key1, static_cast<std::uint32_t>(p0)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return b;
}

double unit(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = (std::uint64_t{high} << 32 | low) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

/// Two normal numbers from a block. 1 - u keeps the logarithm away from zero.
std::pair<double, double> normal_pair(const Block& b) {
  const double radius = std::sqrt(-2 * std::log(1 - unit(b[0], b[1])));
  const double angle = 2 * 3.141592653589793238462643 * unit(b[2], b[3]);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

/// Fills with two elements to a block: make(block) returns the pair.
template <class Make>
Tensor filled(const Shape& shape, TensorOptions options, Generator& generator, Make make) {
  const bool requires_grad = options.requires_grad;
  options.requires_grad = false;
  Tensor tensor = Tensor::empty(shape, options);
  const std::int64_t count = tensor.numel(), blocks = (count + 1) / 2;
  const std::uint64_t seed = generator.seed(), start = generator.reserve(static_cast<std::uint64_t>(blocks));
  raw::dispatch_all(options.dtype, [&](auto zero) {
    using T = decltype(zero);
    T* out = raw::data<T>(tensor);
    parallel_for(blocks, 4096, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const auto pair = make(philox(seed, start + static_cast<std::uint64_t>(i)));
        out[2 * i] = static_cast<T>(pair.first);
        if (2 * i + 1 < count) out[2 * i + 1] = static_cast<T>(pair.second);
      }
    });
  });
  if (requires_grad) tensor.set_requires_grad();
  return tensor;
}

void check_floating(const char* op, Dtype dtype) {
  if (!is_floating(dtype)) fail<DtypeError>(op, "needs f32 or f64, got {}", name(dtype));
}

}  // namespace

std::uint64_t Generator::reserve(std::uint64_t blocks) {
  return __atomic_fetch_add(&position_, blocks, __ATOMIC_RELAXED);
}

std::uint64_t Generator::next() {
  const Block b = philox(seed_, reserve(1));
  return std::uint64_t{b[0]} << 32 | b[1];
}

double Generator::uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

std::int64_t Generator::integer(std::int64_t low, std::int64_t high) {
  if (high <= low) fail<ValueError>("integer", "empty range [{}, {})", low, high);
  const std::uint64_t range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  // The high half of a 128-bit product is uniform up to a bias of range / 2^64.
  const auto product = static_cast<unsigned __int128>(next()) * range;
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + static_cast<std::uint64_t>(product >> 64));
}

double Generator::normal() { return normal_pair(philox(seed_, reserve(1))).first; }

Generator& default_generator() {
  static Generator generator(0);
  return generator;
}

void manual_seed(std::uint64_t seed) { default_generator() = Generator(seed); }

Tensor rand(const Shape& shape, TensorOptions options, Generator& generator) {
  check_floating("rand", options.dtype);
  // 24 bits for f32, so that rounding never gives 1.
  const bool single = options.dtype == f32;
  return filled(shape, options, generator, [single](const Block& b) {
    if (single) return std::pair{(b[0] >> 8) * 0x1p-24, (b[2] >> 8) * 0x1p-24};
    return std::pair{unit(b[0], b[1]), unit(b[2], b[3])};
  });
}

Tensor randn(const Shape& shape, TensorOptions options, Generator& generator) {
  check_floating("randn", options.dtype);
  return filled(shape, options, generator, normal_pair);
}

Tensor randint(std::int64_t low, std::int64_t high, const Shape& shape, TensorOptions options, Generator& generator) {
  if (high <= low) fail<ValueError>("randint", "empty range [{}, {})", low, high);
  const std::uint64_t range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  const auto scaled = [=](std::uint32_t a, std::uint32_t b) {
    const auto product = static_cast<unsigned __int128>(std::uint64_t{a} << 32 | b) * range;
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + static_cast<std::uint64_t>(product >> 64));
  };
  return filled(shape, options, generator,
                [&](const Block& b) { return std::pair{scaled(b[0], b[1]), scaled(b[2], b[3])}; });
}

Tensor randperm(std::int64_t n, Generator& generator) {
  Tensor tensor = Tensor::empty({n}, {.dtype = i64});
  std::int64_t* out = raw::data<std::int64_t>(tensor);
  std::iota(out, out + n, 0);
  for (std::int64_t i = n - 1; i > 0; --i) std::swap(out[i], out[generator.integer(0, i + 1)]);
  return tensor;
}

}  // namespace duet
