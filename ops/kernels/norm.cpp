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

std::int64_t pieces_per_row(const NormGeometry& geometry) {
  return (geometry.length + piece_length - 1) / piece_length;
}

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
Affine<T> at_strip(const RectifiedStrips* relu, std::int64_t strip) {
  if (relu == nullptr) return {};
  return {static_cast<T>(relu->mean[strip]), static_cast<T>(relu->scale[strip]), static_cast<T>(relu->shift[strip])};
}

/// Rows of fewer elements are taken together, all channels of a sample as one row of columns: calls and the ends of
/// registers would cost more than the arithmetic. Few samples gain nothing by it.
constexpr std::int64_t short_row = 128, least_batch = 8;

bool by_columns(const NormGeometry& geometry) {
  return geometry.groups == 0 && geometry.batch >= least_batch && geometry.length < short_row;
}

std::int64_t columns_of(const NormGeometry& geometry) { return geometry.channels * geometry.length; }

/// Sums of columns are taken over as many rows at once, in T, and joined in double.
constexpr std::int64_t rows_per_block = 256;
constexpr std::int64_t columns_per_tile = 64;

/// Calls body(first row, rows, first column, columns, where the results of block and column begin) for all columns.
template <class Body>
void for_each_tile(const NormGeometry& geometry, Body&& body) {
  const std::int64_t columns = columns_of(geometry), tiles = (columns + columns_per_tile - 1) / columns_per_tile;
  const std::int64_t rows = std::min(geometry.batch, rows_per_block);
  const std::int64_t blocks = (geometry.batch + rows_per_block - 1) / rows_per_block;
  parallel_for(blocks * tiles, std::max<std::int64_t>(1, 2 * piece_length / (rows * columns_per_tile)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t block = i / tiles, row = block * rows_per_block;
                   const std::int64_t column = i % tiles * columns_per_tile;
                   body(row, std::min(rows_per_block, geometry.batch - row), column,
                        std::min(columns_per_tile, columns - column), block * columns + column);
                 }
               });
}

/// Calls body(channel, rows of a block, block and column) for all that for_each_tile() has results of, in order.
template <class Body>
void for_each_part(const NormGeometry& geometry, Body&& body) {
  std::int64_t index = 0;
  for (std::int64_t row = 0; row < geometry.batch; row += rows_per_block)
    for (std::int64_t channel = 0; channel < geometry.channels; ++channel)
      for (std::int64_t i = 0; i < geometry.length; ++i, ++index)
        body(channel, std::min(rows_per_block, geometry.batch - row), index);
}

/// One number a column of one a channel.
template <class T, class Value>
requires std::is_invocable_v<Value, std::int64_t>
const T* spread(const NormGeometry& geometry, T*& room, Value&& value) {
  T* const first = room;
  for (std::int64_t channel = 0; channel < geometry.channels; ++channel)
    room = std::fill_n(room, geometry.length, static_cast<T>(value(channel)));
  return first;
}

template <class T>
const T* spread(const NormGeometry& geometry, T*& room, const double* values) {
  return spread<T>(geometry, room, [&](std::int64_t channel) { return values[channel]; });
}

template <class T>
Affine<const T*> spread(const NormGeometry& geometry, T*& room, const RectifiedStrips* relu) {
  if (relu == nullptr) return {};
  const T *const mean = spread<T>(geometry, room, relu->mean), *const scale = spread<T>(geometry, room, relu->scale);
  return {mean, scale, spread<T>(geometry, room, relu->shift)};
}

/// The coefficients from a column on, if there are any.
template <class T>
Affine<const T*> from_column(const Affine<const T*>& by, std::int64_t column) {
  if (by.mean == nullptr) return {};
  return {by.mean + column, by.scale + column, by.shift + column};
}

/// Room for `count` numbers of each column.
template <class T>
Scratch column_room(const NormGeometry& geometry, std::int64_t count) {
  return Scratch(count * columns_of(geometry) * static_cast<std::int64_t>(sizeof(T)));
}

/// Calls body(offset, count, first column) for pieces of all rows of columns.
template <class Body>
void for_each_stretch(const NormGeometry& geometry, Body&& body) {
  const NormGeometry samples{.batch = 1, .channels = geometry.batch, .length = columns_of(geometry), .groups = 1};
  for_each_piece(samples, [&](std::int64_t row, std::int64_t, std::int64_t offset, std::int64_t count) {
    body(offset, count, offset - row * samples.length);
  });
}

template <class T>
void column_moments(const NormGeometry& geometry, const T* x, double* mean, double* squares) {
  const std::int64_t columns = columns_of(geometry);
  const std::int64_t parts = columns * ((geometry.batch + rows_per_block - 1) / rows_per_block);
  const Scratch scratch(2 * parts * static_cast<std::int64_t>(sizeof(double)));
  double *part_mean = scratch.as<double>(), *part_squares = part_mean + parts;
  for_each_tile(geometry,
                [&](std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t count, std::int64_t index) {
                  table<T>().column_moments(x + row * columns + column, rows, columns, count, part_mean + index,
                                            part_squares + index);
                });
  std::fill_n(mean, geometry.channels, 0);
  std::fill_n(squares, geometry.channels, 0);
  const double share = 1 / static_cast<double>(geometry.group_size());
  for_each_part(geometry, [&](std::int64_t channel, std::int64_t rows, std::int64_t index) {
    mean[channel] += static_cast<double>(rows) * part_mean[index] * share;
  });
  for_each_part(geometry, [&](std::int64_t channel, std::int64_t rows, std::int64_t index) {
    const double distance = part_mean[index] - mean[channel];
    squares[channel] += part_squares[index] + static_cast<double>(rows) * distance * distance;
  });
}

template <class T>
void column_affine(const NormGeometry& geometry, const T* x, const double* mean, const double* scale,
                   const double* shift, double least, T* out) {
  const bool streamed = is_streamed<T>(geometry);
  const Scratch scratch = column_room<T>(geometry, 3);
  T* room = scratch.as<T>();
  const T* const means = spread<T>(geometry, room, mean);
  const T* const scales = spread<T>(geometry, room, scale);
  const T* const shifts =
      spread<T>(geometry, room, [&](std::int64_t c) { return shift[c] - Rounded<T>(mean[c]).rest * scale[c]; });
  for_each_stretch(geometry, [&](std::int64_t offset, std::int64_t count, std::int64_t column) {
    table<T>().affine_columns(x + offset, count, {means + column, scales + column, shifts + column},
                              static_cast<T>(least), out + offset, streamed);
  });
}

template <class T>
void column_gradient_sums(const NormGeometry& geometry, const T* g, const T* x, const double* mean,
                          const RectifiedStrips* relu, double* sum_g, double* sum_gx, double* sum_x) {
  const std::int64_t columns = columns_of(geometry);
  const std::int64_t parts = columns * ((geometry.batch + rows_per_block - 1) / rows_per_block);
  const Scratch coefficients = column_room<T>(geometry, 4),
                scratch(3 * parts * static_cast<std::int64_t>(sizeof(double)));
  T* room = coefficients.as<T>();
  const T* const means = spread<T>(geometry, room, mean);
  const Affine<const T*> gates = spread<T>(geometry, room, relu);
  double *part_g = scratch.as<double>(), *part_gx = part_g + parts, *part_x = part_gx + parts;
  for_each_tile(geometry, [&](std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t count,
                              std::int64_t index) {
    const std::int64_t first = row * columns + column;
    const Affine<const T*> own = from_column(gates, column);
    table<T>().column_gradient_sums(g + first, x + first, rows, columns, count, means + column,
                                    relu == nullptr ? nullptr : &own, part_g + index, part_gx + index, part_x + index);
  });
  for_each_part(geometry, [&](std::int64_t channel, std::int64_t rows, std::int64_t index) {
    const double rest = Rounded<T>(mean[channel]).rest;
    sum_g[channel] += part_g[index];
    sum_gx[channel] += part_gx[index] - rest * part_g[index];
    sum_x[channel] += part_x[index] - rest * static_cast<double>(rows);
  });
}

template <class T>
void column_gradient(const NormGeometry& geometry, const T* g, const T* x, const double* mean, const double* scale,
                     const double* slope, const double* shift, const RectifiedStrips* relu, T* out) {
  const bool streamed = is_streamed<T>(geometry);
  const Scratch scratch = column_room<T>(geometry, 7);
  T* room = scratch.as<T>();
  const T* const means = spread<T>(geometry, room, mean);
  const T* const scales = spread<T>(geometry, room, scale);
  const T* const slopes = spread<T>(geometry, room, slope);
  const T* const shifts =
      spread<T>(geometry, room, [&](std::int64_t c) { return shift[c] - Rounded<T>(mean[c]).rest * slope[c]; });
  const Affine<const T*> gates = spread<T>(geometry, room, relu);
  for_each_stretch(geometry, [&](std::int64_t offset, std::int64_t count, std::int64_t column) {
    const Affine<const T*> own = from_column(gates, column);
    table<T>().gradient_columns(g + offset, x + offset, count,
                                {means + column, scales + column, slopes + column, shifts + column},
                                relu == nullptr ? nullptr : &own, out + offset, streamed);
  });
}

}  // namespace

template <class T>
void norm_moments(const NormGeometry& geometry, const T* x, double* mean, double* squares) {
  if (by_columns(geometry)) return column_moments(geometry, x, mean, squares);
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
void norm_affine(const NormGeometry& geometry, const T* x, const double* mean, const double* scale, const double* shift,
                 double least, T* out) {
  if (by_columns(geometry)) return column_affine(geometry, x, mean, scale, shift, least, out);
  const bool streamed = is_streamed<T>(geometry);
  for_each_piece(geometry, [&](std::int64_t row, std::int64_t, std::int64_t offset, std::int64_t count) {
    const std::int64_t strip = geometry.strip_of(row);
    const Rounded<T> center(mean[strip]);
    table<T>().affine(
        x + offset, count,
        {center.value, static_cast<T>(scale[strip]), static_cast<T>(shift[strip] - center.rest * scale[strip])},
        static_cast<T>(least), out + offset, streamed);
  });
}

template <class T>
void norm_affine_by_element(const NormGeometry& geometry, const T* x, const double* mean, const double* scale,
                            const T* weight, const T* bias, T* out) {
  for_each_piece(geometry, [&](std::int64_t row, std::int64_t, std::int64_t offset, std::int64_t count) {
    const std::int64_t first = offset - row * geometry.length;
    const Rounded<T> center(mean[row]);
    table<T>().affine_by_element(x + offset, count, center.value, static_cast<T>(center.rest),
                                 static_cast<T>(scale[row]), weight + first, bias + first, out + offset);
  });
}

template <class T>
void norm_gradient_sums(const NormGeometry& geometry, const T* g, const T* x, const double* mean,
                        const RectifiedStrips* relu, double* sum_g, double* sum_gx, double* sum_x) {
  for (double* sums : {sum_g, sum_gx, sum_x}) std::fill_n(sums, geometry.strips(), 0);
  if (by_columns(geometry)) return column_gradient_sums(geometry, g, x, mean, relu, sum_g, sum_gx, sum_x);
  const std::int64_t pieces = pieces_per_row(geometry), parts = geometry.rows() * pieces;
  const Scratch scratch(3 * parts * static_cast<std::int64_t>(sizeof(double)));
  double* part_g = scratch.as<double>();
  double *part_gx = part_g + parts, *part_x = part_gx + parts;
  for_each_piece(geometry, [&](std::int64_t row, std::int64_t index, std::int64_t offset, std::int64_t count) {
    const std::int64_t strip = geometry.strip_of(row);
    const Rounded<T> center(mean[strip]);
    const Affine<T> own = at_strip<T>(relu, strip);
    table<T>().gradient_sums(g + offset, x + offset, count, center.value, relu == nullptr ? nullptr : &own,
                             part_g + index, part_gx + index, part_x + index);
    part_gx[index] -= center.rest * part_g[index];
    part_x[index] -= center.rest * static_cast<double>(count);
  });
  for (std::int64_t index = 0; index < parts; ++index) {
    const std::int64_t strip = geometry.strip_of(index / pieces);
    sum_g[strip] += part_g[index];
    sum_gx[strip] += part_gx[index];
    sum_x[strip] += part_x[index];
  }
}

template <class T>
void norm_gradient(const NormGeometry& geometry, const T* g, const T* x, const double* mean, const double* scale,
                   const double* slope, const double* shift, const RectifiedStrips* relu, T* out) {
  if (by_columns(geometry)) return column_gradient(geometry, g, x, mean, scale, slope, shift, relu, out);
  const bool streamed = is_streamed<T>(geometry);
  for_each_piece(geometry, [&](std::int64_t row, std::int64_t, std::int64_t offset, std::int64_t count) {
    const std::int64_t strip = geometry.strip_of(row);
    const Rounded<T> center(mean[strip]);
    const Affine<T> own = at_strip<T>(relu, strip);
    table<T>().gradient(g + offset, x + offset, count,
                        {center.value, static_cast<T>(scale[strip]), static_cast<T>(slope[strip]),
                         static_cast<T>(shift[strip] - center.rest * slope[strip])},
                        relu == nullptr ? nullptr : &own, out + offset, streamed);
  });
}

#define DUET_NORM_KERNELS(T)                                                                                           \
  template void norm_moments<T>(const NormGeometry&, const T*, double*, double*);                                      \
  template void norm_affine<T>(const NormGeometry&, const T*, const double*, const double*, const double*, double,     \
                               T*);                                                                                    \
  template void norm_affine_by_element<T>(const NormGeometry&, const T*, const double*, const double*, const T*,       \
                                          const T*, T*);                                                               \
  template void norm_gradient_sums<T>(const NormGeometry&, const T*, const T*, const double*, const RectifiedStrips*,  \
                                      double*, double*, double*);                                                      \
  template void norm_gradient<T>(const NormGeometry&, const T*, const T*, const double*, const double*, const double*, \
                                 const double*, const RectifiedStrips*, T*);
DUET_NORM_KERNELS(float)
DUET_NORM_KERNELS(double)
#undef DUET_NORM_KERNELS

}  // namespace duet::kernels
