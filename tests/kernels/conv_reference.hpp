// What the convolution kernels are compared with: a scatter loop over every (n, k, c, small index, tap), written
// from the definition in ops/conv_geometry.hpp alone, and a generator of random geometries.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <duet/ops/conv_geometry.hpp>

namespace duet::test {

/// Calls visit(x index, w index, y index) for every product in T(x, w, y).
template <class Visit>
void each_product(const ConvGeometry& g, std::int64_t batch, Visit&& visit) {
  ConvAxis axis[3];
  for (int i = 0; i < g.rank; ++i) axis[3 - g.rank + i] = g.axis[i];
  const std::int64_t large_per_group = g.large_channels / g.groups, small_per_group = g.small_channels / g.groups;
  const std::int64_t large = axis[0].large * axis[1].large * axis[2].large;
  const std::int64_t small = axis[0].small * axis[1].small * axis[2].small;
  const std::int64_t taps = axis[0].kernel * axis[1].kernel * axis[2].kernel;
  // The spatial part once, then every pair of channels.
  for (std::int64_t s = 0; s < small; ++s)
    for (std::int64_t t = 0; t < taps; ++t) {
      const std::int64_t at[3] = {s / (axis[1].small * axis[2].small), s / axis[2].small % axis[1].small,
                                  s % axis[2].small};
      const std::int64_t tap[3] = {t / (axis[1].kernel * axis[2].kernel), t / axis[2].kernel % axis[1].kernel,
                                   t % axis[2].kernel};
      std::int64_t l = 0;
      bool inside = true;
      for (int i = 0; i < 3; ++i) {
        const std::int64_t li = at[i] * axis[i].stride - axis[i].padding + tap[i] * axis[i].dilation;
        inside = inside && li >= 0 && li < axis[i].large;
        l = l * axis[i].large + li;
      }
      if (!inside) continue;
      for (std::int64_t n = 0; n < batch; ++n)
        for (std::int64_t k = 0; k < g.small_channels; ++k)
          for (std::int64_t c = 0; c < large_per_group; ++c) {
            const std::int64_t channel = k / small_per_group * large_per_group + c;
            visit((n * g.large_channels + channel) * large + l, (k * large_per_group + c) * taps + t,
                  (n * g.small_channels + k) * small + s);
          }
    }
}

/// A geometry with its batch size.
struct ConvCase {
  ConvGeometry geometry;
  std::int64_t batch = 1;
};

/// Products in a case, its cost for the reference.
std::int64_t products(const ConvCase& c);

/// One line that tells a case, for messages.
std::string to_string(const ConvCase& c);

/// A random case of at most `limit` products: stride and dilation 1 to 4, kernel 1 to 7, rank 1 to 3, groups, odd
/// sizes, sizes by conv's formula, by conv_transpose's with output_padding, or by neither.
ConvCase random_case(std::mt19937& random, std::int64_t limit);

/// Numbers between two fences of NaN: a kernel that writes beside a tensor breaks one, and what it reads there spoils
/// its result.
template <class T>
class Fenced {
 public:
  explicit Fenced(const std::vector<T>& values) : Fenced(values.size()) {
    std::copy(values.begin(), values.end(), all_.begin() + fence);
  }
  /// Nothing but NaN: a kernel overwrites every element.
  explicit Fenced(std::size_t size) : all_(size + 2 * fence, std::numeric_limits<T>::quiet_NaN()) {}

  T* data() { return all_.data() + fence; }
  const T* data() const { return all_.data() + fence; }
  std::vector<T> values() const { return {all_.begin() + fence, all_.end() - fence}; }
  bool intact() const {
    const auto nan = [](T value) { return value != value; };
    return std::all_of(all_.begin(), all_.begin() + fence, nan) && std::all_of(all_.end() - fence, all_.end(), nan);
  }

 private:
  static constexpr std::ptrdiff_t fence = 256;
  std::vector<T> all_;
};

/// Small integers, so that every sum is exact in either type.
template <class T>
std::vector<T> random_integers(std::mt19937& random, std::int64_t count) {
  std::vector<T> values(static_cast<std::size_t>(count));
  for (T& v : values) v = static_cast<T>(static_cast<int>(random() % 7) - 3);
  return values;
}

}  // namespace duet::test
