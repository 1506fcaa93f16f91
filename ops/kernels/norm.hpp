// Arithmetic of the normalisations whose weights belong to channels: moments of groups of rows, and the two affine
// passes. A tensor (N, C, S...) is seen as N·C rows of `length` elements; a group of rows shares its statistics.
#pragma once

#include <cstdint>

namespace duet::kernels {

/// Which rows share statistics. Row n·C + c belongs to channel c.
struct NormGeometry {
  std::int64_t batch = 0, channels = 0, length = 0;
  /// 0: a group is a channel across the batch. Else each sample's channels fall into this many equal groups.
  std::int64_t groups = 0;

  std::int64_t rows() const { return batch * channels; }
  std::int64_t group_count() const { return groups == 0 ? channels : batch * groups; }
  std::int64_t rows_per_group() const { return groups == 0 ? batch : channels / groups; }
  std::int64_t group_size() const { return rows_per_group() * length; }
  /// Strips: rows that share mean, scale and shift. A channel across the batch, else a row by itself.
  std::int64_t strips() const { return groups == 0 ? channels : rows(); }
  std::int64_t strip_of(std::int64_t row) const { return groups == 0 ? row % channels : row; }
  std::int64_t group_of(std::int64_t strip) const { return groups == 0 ? strip : strip / (channels / groups); }
};

/// Mean of each group, and the sum of squared distances from it.
template <class T>
void norm_moments(const NormGeometry& geometry, const T* x, double* mean, double* squares);

/// out = max(least, (x - mean)·scale + shift), with one mean, scale and shift a strip.
template <class T>
void norm_affine(const NormGeometry& geometry, const T* x, const double* mean, const double* scale,
                 const double* shift, double least, T* out);

/// out = (x - mean)·scale·weight + bias, with one mean and scale a row, one weight and bias an element of every row.
template <class T>
void norm_affine_by_element(const NormGeometry& geometry, const T* x, const double* mean, const double* scale,
                            const T* weight, const T* bias, T* out);

/// A relu behind a normalisation, one of each a strip: g counts as 0 below where (x - mean)·scale + shift is not above 0.
struct RectifiedStrips {
  const double *mean, *scale, *shift;
};

/// Of each strip: the sums of g, of g·(x - mean) and of x - mean. The last tells what a mean that was rounded to T lacks.
template <class T>
void norm_gradient_sums(const NormGeometry& geometry, const T* g, const T* x, const double* mean,
                        const RectifiedStrips* relu, double* sum_g, double* sum_gx, double* sum_x);

/// out = g·scale + (x - mean)·slope + shift, with one of each a strip.
template <class T>
void norm_gradient(const NormGeometry& geometry, const T* g, const T* x, const double* mean, const double* scale,
                   const double* slope, const double* shift, const RectifiedStrips* relu, T* out);

}  // namespace duet::kernels
