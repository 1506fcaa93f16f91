// Separable maps, row by row: the rows that an output row needs are summed with their weights (long vectors), and
// the last axis is mapped once, on that sum.
#include <duet/ops/kernels/resample.hpp>

#include <algorithm>
#include <type_traits>

#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>
#include <duet/ops/kernels/resample_table.hpp>

namespace duet::kernels {
namespace {

template <class T>
const ResampleTable<T>& table() {
  if constexpr (std::is_same_v<T, float>)
    return resample_f32();
  else
    return resample_f64();
}

/// The last axis with weights of type T.
template <class T>
struct LastAxis {
  explicit LastAxis(const AxisMap& axis) : weights(axis.weights.begin(), axis.weights.end()) {
    map = {pattern_of(axis), axis.small(), axis.begin.data(), axis.first.data(), weights.data()};
  }
  static RowPattern pattern_of(const AxisMap& axis) {
    bool pairs = true, twice = axis.small() % 2 == 0;
    for (std::int64_t o = 0; o < axis.small(); ++o) {
      const auto k = static_cast<std::size_t>(o);
      const std::int64_t first = axis.first[k], taps = axis.first[k + 1] - first;
      const double* weight = axis.weights.data() + first;
      pairs =
          pairs && taps == 2 && axis.begin[k] == 2 * o && weight[0] == axis.weights[0] && weight[1] == axis.weights[0];
      twice = twice && taps == 1 && axis.begin[k] == o / 2 && *weight == 1;
    }
    return pairs ? RowPattern::pairs : twice ? RowPattern::twice : RowPattern::general;
  }
  std::vector<T> weights;
  RowMap<T> map;
};

/// Calls body(weight, index of the input row) for every row that output row (i, j) takes from.
template <class Body>
void for_each_row(const SeparableMap& map, std::int64_t i, std::int64_t j, Body&& body) {
  const AxisMap &a = map.axis[0], &b = map.axis[1];
  const auto at = [](std::int64_t index) { return static_cast<std::size_t>(index); };
  for (std::int64_t u = a.first[at(i)]; u < a.first[at(i + 1)]; ++u)
    for (std::int64_t v = b.first[at(j)]; v < b.first[at(j + 1)]; ++v)
      body(a.weights[at(u)] * b.weights[at(v)],
           (a.begin[at(i)] + u - a.first[at(i)]) * b.large + b.begin[at(j)] + v - b.first[at(j)]);
}

std::int64_t grain(std::int64_t work) { return std::max<std::int64_t>(1, (1 << 15) / std::max<std::int64_t>(1, work)); }

}  // namespace

void AxisMap::clear(std::int64_t size) {
  large = size;
  begin.clear();
  first.assign(1, 0);
  weights.clear();
}

void AxisMap::add(std::int64_t from, const std::vector<double>& taps) {
  begin.push_back(from);
  weights.insert(weights.end(), taps.begin(), taps.end());
  first.push_back(static_cast<std::int64_t>(weights.size()));
}

template <class T>
void separable_forward(std::int64_t planes, const SeparableMap& map, const T* x, T* y) {
  const LastAxis<T> last(map.axis[2]);
  const std::int64_t columns = map.axis[1].small(), rows = map.axis[0].small() * columns;
  const std::int64_t width = map.axis[2].large, large = map.large_size(), out_width = map.axis[2].small();
  parallel_for(planes * rows, grain(2 * width + 2 * out_width), [&](std::int64_t begin, std::int64_t end) {
    const Scratch scratch(width * static_cast<std::int64_t>(sizeof(T)));
    for (std::int64_t unit = begin; unit < end; ++unit) {
      const T* plane = x + unit / rows * large;
      T* sum = scratch.as<T>();
      const T* row = sum;
      bool fresh = true;
      const std::int64_t place = unit % rows;
      for_each_row(map, place / columns, place % columns, [&](double weight, std::int64_t index) {
        const T* from = plane + index * width;
        // A single row as it is needs no sum.
        if (fresh && weight == 1) {
          row = from;
        } else if (fresh) {
          table<T>().scale(from, width, static_cast<T>(weight), sum);
        } else {
          if (row != sum) std::copy_n(row, width, sum);
          row = sum;
          table<T>().add_scaled(from, width, static_cast<T>(weight), sum);
        }
        fresh = false;
      });
      if (fresh) std::fill_n(sum, width, T(0));
      table<T>().gather(last.map, row, y + unit * out_width);
    }
  });
}

template <class T>
void separable_backward(std::int64_t planes, const SeparableMap& map, const T* y, T* x) {
  const LastAxis<T> last(map.axis[2]);
  const std::int64_t columns = map.axis[1].small(), rows = map.axis[0].small() * columns;
  const std::int64_t width = map.axis[2].large, large = map.large_size(), out_width = map.axis[2].small();
  parallel_for(planes, grain(large + 2 * rows * width), [&](std::int64_t begin, std::int64_t end) {
    const Scratch scratch(width * static_cast<std::int64_t>(sizeof(T)));
    T* sum = scratch.as<T>();
    for (std::int64_t plane = begin; plane < end; ++plane) {
      T* to = x + plane * large;
      std::fill_n(to, large, T(0));
      for (std::int64_t place = 0; place < rows; ++place) {
        std::fill_n(sum, width, T(0));
        table<T>().scatter(last.map, y + (plane * rows + place) * out_width, sum);
        for_each_row(map, place / columns, place % columns, [&](double weight, std::int64_t index) {
          table<T>().add_scaled(sum, width, static_cast<T>(weight), to + index * width);
        });
      }
    }
  });
}

template void separable_forward<float>(std::int64_t, const SeparableMap&, const float*, float*);
template void separable_forward<double>(std::int64_t, const SeparableMap&, const double*, double*);
template void separable_backward<float>(std::int64_t, const SeparableMap&, const float*, float*);
template void separable_backward<double>(std::int64_t, const SeparableMap&, const double*, double*);

}  // namespace duet::kernels
