// How parameters begin. Each function fills a tensor in place, recorded or not, from the process's random numbers or
// a given stream. Tensors have any shape where no other is named, weights (out, in, kernel…) at least two dimensions
// (ShapeError); f32 or f64 (DtypeError).
#pragma once

#include <duet/core/random.hpp>
#include <duet/core/tensor.hpp>

namespace duet::nn::init {

enum class FanMode { fan_in, fan_out };
enum class Nonlinearity { linear, sigmoid, tanh, relu, leaky_relu, selu };

/// What a layer multiplies the deviation by, which He initialisation makes up for; `slope` is leaky_relu's.
double gain(Nonlinearity nonlinearity, double slope = 0.01);

/// Inputs and outputs that one unit of a weight (out, in, kernel…) has. ShapeError below two dimensions.
struct Fans {
  std::int64_t in, out;
};
Fans fans(const Shape& weight);  ///< see Fans

void constant_(Tensor tensor, double value);  ///< every element becomes value
void zeros_(Tensor tensor);                   ///< every element becomes 0
void ones_(Tensor tensor);                    ///< every element becomes 1
/// Uniform in [low, high); ValueError if high < low.
void uniform_(Tensor tensor, double low = 0, double high = 1, Generator& generator = default_generator());
/// Normal; ValueError for a negative deviation.
void normal_(Tensor tensor, double mean = 0, double deviation = 1, Generator& generator = default_generator());
/// Normal, redrawn outside [low, high] (by inversion of the distribution function). ValueError for a deviation that is
/// not positive, low >= high, or a range that holds next to nothing.
void trunc_normal_(Tensor tensor, double mean = 0, double deviation = 1, double low = -2, double high = 2,
                   Generator& generator = default_generator());

struct KaimingOptions {
  double a = 0;  ///< negative slope of a leaky_relu that follows
  FanMode mode = FanMode::fan_in;
  Nonlinearity nonlinearity = Nonlinearity::leaky_relu;
};
/// He et al. 2015, arXiv:1502.01852: deviation gain / sqrt(fan).
void kaiming_uniform_(Tensor weight, KaimingOptions options = {}, Generator& generator = default_generator());
void kaiming_normal_(Tensor weight, KaimingOptions options = {}, Generator& generator = default_generator());  ///< same
/// Glorot and Bengio 2010: deviation gain · sqrt(2 / (fan_in + fan_out)).
void xavier_uniform_(Tensor weight, double gain = 1, Generator& generator = default_generator());
void xavier_normal_(Tensor weight, double gain = 1, Generator& generator = default_generator());  ///< as above, normal

/// Rows (or columns, whichever are fewer) of the weight seen as (size(0), rest) are orthonormal, times `gain` (Saxe
/// et al. 2013, arXiv:1312.6120).
void orthogonal_(Tensor weight, double gain = 1, Generator& generator = default_generator());
/// A convolution that hands its input channels through. `weight` is (out, in, kernel…) of rank 3 to 5; groups must
/// divide out (ValueError).
void dirac_(Tensor weight, std::int64_t groups = 1);
/// Bilinear interpolation as the weight (channels, 1, k, k) of a grouped, or (in, out, k, k) of a plain
/// conv_transpose2d with stride (k+1)/2, which then joins channel i with channel i alone (Long et al. 2015,
/// arXiv:1411.4038). ShapeError for another shape.
void bilinear_(Tensor weight);
/// For a convolution whose output pixel_shuffle(scale) spreads: each group of scale² filters starts alike, drawn by
/// kaiming_normal_, so that no checkerboard shows (Aitken et al. 2017, arXiv:1707.02937). ValueError unless scale²
/// divides size(0).
void icnr_(Tensor weight, std::int64_t scale, Generator& generator = default_generator());

}  // namespace duet::nn::init
