// Dropout as a product with a mask from the generator.
#include <duet/ops/dropout.hpp>

#include <duet/core/parallel.hpp>
#include <duet/ops/define.hpp>
#include <duet/ops/elementwise.hpp>

namespace duet {

Tensor dropout_mask(const Shape& shape, double p, Dtype dtype, Generator& generator) {
  if (!(p >= 0 && p <= 1)) fail<ValueError>("dropout", "p must be in [0, 1], got {}", p);
  return raw::dispatch_floating("dropout", dtype, [&](auto zero) {
    using T = decltype(zero);
    const Tensor mask = rand(shape, {.dtype = dtype}, generator);
    T* values = raw::data<T>(mask);
    const T below = static_cast<T>(p), kept = static_cast<T>(p < 1 ? 1 / (1 - p) : 0);
    parallel_for(mask.numel(), 1 << 15, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) values[i] = values[i] < below ? T(0) : kept;
    });
    return mask;
  });
}

Tensor dropout(const Tensor& x, const DropoutOptions& options, Generator& generator) {
  if (!(options.p >= 0 && options.p <= 1)) fail<ValueError>("dropout", "p must be in [0, 1], got {}", options.p);
  if (!options.training || options.p == 0) return x;
  return x * dropout_mask(x.shape(), options.p, x.dtype(), generator);
}

Tensor dropout2d(const Tensor& x, const DropoutOptions& options, Generator& generator) {
  if (!(options.p >= 0 && options.p <= 1)) fail<ValueError>("dropout2d", "p must be in [0, 1], got {}", options.p);
  if (x.rank() < 2) fail<ShapeError>("dropout2d", "x needs at least 2 dimensions (N, C, ...), got {}", x.shape());
  if (!options.training || options.p == 0) return x;
  Shape channels = Shape::filled(x.rank(), 1);
  channels[0] = x.size(0);
  channels[1] = x.size(1);
  return x * dropout_mask(channels, options.p, x.dtype(), generator);
}

}  // namespace duet
