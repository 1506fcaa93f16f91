// Cuts the rows of a normalisation into pieces, runs the row functions on them in parallel, and joins the sums in a
// fixed order: the result does not depend on the number of threads.
#include <duet/ops/kernels/norm.hpp>

#include <algorithm>
#include <type_traits>

#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/streaming.hpp>
#include <duet/ops/kernels/norm_table.hpp>

namespace duet::kernels {
namespace {

template <class T>
const NormTable<T>& table() {
  if constexpr (std::is_same_v<T, float>)
    return norm_f32();
  else
    return norm_f64();
}

/// Elements of a row that one task takes.
constexpr std::int64_t piece_length = 1 << 14;

std::int64_t pieces_per_row(const NormGeometry& geometry) { return (geometry.length + piece_length - 1) / piece_length; }

/// Calls body(row, piece, offset, count) for every piece of every row.
template <class Body>
void for_each_piece(const NormGeometry& geometry, Body&& body) {
  const std::int64_t pieces = pieces_per_row(geometry);
  const std::int64_t size = std::max<std::int64_t>(1, std::min(geometry.length, piece_length));
  parallel_for(geometry.rows() * pieces, std::max<std::int64_t>(1, 2 * piece_length / size),
               [&](std::int64_t begin, std::int64_t end) {
                 std::int64_t row = begin / pieces, piece = begin % pieces;
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t first = piece * piece_length;
                   body(row, i, row * geometry.length + first, std::min(piece_length, geometry.length - first));
                   if (++piece == pieces) {
                     piece = 0;
                     ++row;
                   }
                 }
               });
}

template <class T>
bool is_streamed(const NormGeometry& geometry) {
  return geometry.rows() * geometry.length * static_cast<std::int64_t>(sizeof(T)) >= streamed_bytes;
}

/// One number of a row, rounded, and what the rounding took away.
template <class T>
struct Rounded {
  explicit Rounded(double exact) : value(static_cast<T>(exact)), rest(exact - static_cast<double>(value)) {}
  T value;
  double rest;
};

template <class T>
Rectified<T> rectified(const RectifiedRows* relu, std::int64_t row) {
  if (relu == nullptr) return {};
  return {static_cast<T>(relu->mean[row]), static_cast<T>(relu->scale[row]), static_cast<T>(relu->shift[row])};
}

}  // namespace

template <class T>
void norm_moments(const NormGeometry& geometry, const T* x, double* mean, double* squares) {
  const std::int64_t pieces = pieces_per_row(geometry), parts = geometry.rows() * pieces;
  const Scratch scratch(2 * parts * static_cast<std::int64_t>(sizeof(double)));
  double* part_mean = scratch.as<double>();
  double* part_squares = part_mean + parts;
  for_each_piece(geometry, [&](std::int64_t, std::int64_t index, std::int64_t offset, std::int64_t count) {
    table<T>().moments(x + offset, count, part_mean + index, part_squares + index);
  });
  // Of each group, row by row and piece by piece.
  const std::int64_t row_step = geometry.groups == 0 ? geometry.channels : 1;
  for (std::int64_t group = 0; group < geometry.group_count(); ++group) {
    const std::int64_t first = geometry.groups == 0 ? group : group * geometry.rows_per_group();
    double before = 0, joined_mean = 0, joined_squares = 0;
    for (std::int64_t k = 0; k < geometry.rows_per_group(); ++k)
      for (std::int64_t piece = 0; piece < pieces; ++piece) {
        const std::int64_t index = (first + k * row_step) * pieces + piece;
        const double count = static_cast<double>(std::min(piece_length, geometry.length - piece * piece_length));
        const double total = before + count, step = part_mean[index] - joined_mean;
        joined_mean += step * count / total;
        joined_squares += part_squares[index] + step * step * before * count / total;
        before = total;
      }
    mean[group] = joined_mean;
    squares[group] = joined_squares;
  }
}

template <class T>
void norm_affine(const NormGeometry& geometry, const T* x, const double* mean, const double* scale,
                 const double* shift, double least, T* out) {
  const bool streamed = is_streamed<T>(geometry);
  for_each_piece(geometry, [&](std::int64_t row, std::int64_t, std::int64_t offset, std::int64_t count) {
    const Rounded<T> center(mean[row]);
    table<T>().affine(x + offset, count, center.value, static_cast<T>(scale[row]),
                      static_cast<T>(shift[row] - center.rest * scale[row]), static_cast<T>(least), out + offset, streamed);
  });
}

template <class T>
void norm_affine_by_element(const NormGeometry& geometry, const T* x, const double* mean, const double* scale,
                            const T* weight, const T* bias, T* out) {
  for_each_piece(geometry, [&](std::int64_t row, std::int64_t, std::int64_t offset, std::int64_t count) {
    const std::int64_t first = offset - row * geometry.length;
    const Rounded<T> center(mean[row]);
    table<T>().affine_by_element(x + offset, count, center.value, static_cast<T>(center.rest), static_cast<T>(scale[row]),
                                 weight + first, bias + first, out + offset);
  });
}

template <class T>
void norm_gradient_sums(const NormGeometry& geometry, const T* g, const T* x, const double* mean,
                        const RectifiedRows* relu, double* sum_g, double* sum_gx, double* sum_x) {
  const std::int64_t pieces = pieces_per_row(geometry), parts = geometry.rows() * pieces;
  const Scratch scratch(3 * parts * static_cast<std::int64_t>(sizeof(double)));
  double* part_g = scratch.as<double>();
  double *part_gx = part_g + parts, *part_x = part_gx + parts;
  for_each_piece(geometry, [&](std::int64_t row, std::int64_t index, std::int64_t offset, std::int64_t count) {
    const Rounded<T> center(mean[row]);
    const Rectified<T> own = rectified<T>(relu, row);
    table<T>().gradient_sums(g + offset, x + offset, count, center.value, relu == nullptr ? nullptr : &own,
                             part_g + index, part_gx + index, part_x + index);
    part_gx[index] -= center.rest * part_g[index];
    part_x[index] -= center.rest * static_cast<double>(count);
  });
  for (std::int64_t row = 0; row < geometry.rows(); ++row) {
    sum_g[row] = sum_gx[row] = sum_x[row] = 0;
    for (std::int64_t piece = 0; piece < pieces; ++piece) {
      sum_g[row] += part_g[row * pieces + piece];
      sum_gx[row] += part_gx[row * pieces + piece];
      sum_x[row] += part_x[row * pieces + piece];
    }
  }
}

template <class T>
void norm_gradient(const NormGeometry& geometry, const T* g, const T* x, const double* mean, const double* scale,
                   const double* slope, const double* shift, const RectifiedRows* relu, T* out) {
  const bool streamed = is_streamed<T>(geometry);
  for_each_piece(geometry, [&](std::int64_t row, std::int64_t, std::int64_t offset, std::int64_t count) {
    const Rounded<T> center(mean[row]);
    const Rectified<T> own = rectified<T>(relu, row);
    table<T>().gradient(g + offset, x + offset, count, center.value, static_cast<T>(scale[row]),
                        static_cast<T>(slope[row]), static_cast<T>(shift[row] - center.rest * slope[row]),
                        relu == nullptr ? nullptr : &own, out + offset, streamed);
  });
}

#define DUET_NORM_KERNELS(T)                                                                                          \
  template void norm_moments<T>(const NormGeometry&, const T*, double*, double*);                                     \
  template void norm_affine<T>(const NormGeometry&, const T*, const double*, const double*, const double*, double,    \
                               T*);                                                                                   \
  template void norm_affine_by_element<T>(const NormGeometry&, const T*, const double*, const double*, const T*,      \
                                          const T*, T*);                                                              \
  template void norm_gradient_sums<T>(const NormGeometry&, const T*, const T*, const double*, const RectifiedRows*,   \
                                      double*, double*, double*);                                                     \
  template void norm_gradient<T>(const NormGeometry&, const T*, const T*, const double*, const double*, const double*, \
                                 const double*, const RectifiedRows*, T*);
DUET_NORM_KERNELS(float)
DUET_NORM_KERNELS(double)
#undef DUET_NORM_KERNELS

}  // namespace duet::kernels
