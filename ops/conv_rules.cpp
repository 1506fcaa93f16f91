// Geometries and shape rules of the triple (conv_rules.hpp).
#include <duet/ops/conv_rules.hpp>

namespace duet {
namespace {

void require_shape(const ShapeCall& call, int i, const Shape& wanted) {
  if (call[i].shape != wanted)
    fail<ShapeError>(call.name(), "{} must be {}, got {}", input_name(call.op, i), wanted, call[i].shape);
}

std::int64_t batch_of(const ShapeCall& call) {
  if (call[0].shape.empty()) fail<ShapeError>(call.name(), "{} is a scalar", input_name(call.op, 0));
  return call[0].shape[0];
}

}  // namespace

template <int N>
ConvGeometry geometry_of(const ConvCall<N>& call, const Shape& a, const Shape& b) {
  return call.geometry ? *call.geometry : conv_geometry<N>(conv_name<N>, a, b, call.options);
}
template <int N>
ConvGeometry geometry_of(const ConvTransposeCall<N>& call, const Shape& a, const Shape& b) {
  return call.geometry ? *call.geometry : conv_transpose_geometry<N>(transpose_name<N>, a, b, call.options);
}
template <int N>
ConvGeometry geometry_of(const ConvWeightCall<N>& call, const Shape& x, const Shape& y) {
  if (call.geometry) return *call.geometry;
  const char* op = weight_name<N>;
  if (y.rank() != N + 2) fail<ShapeError>(op, "y needs {} dimensions, got {}", N + 2, y);
  if (x.rank() == N + 2 && call.options.groups >= 1 && x[1] % call.options.groups != 0)
    fail<ShapeError>(op, "groups {} must divide the {} channels of x {}", call.options.groups, x[1], x);
  Shape weight{y[1], x.rank() < 2 || call.options.groups < 1 ? 0 : x[1] / call.options.groups};
  for (int i = 0; i < N; ++i) weight.push_back(call.kernel_size[i]);
  const ConvGeometry geometry = conv_geometry<N>(op, x, weight, call.options);
  if (geometry.small_shape(x[0]) != y)
    fail<ShapeError>(op, "y {} is not what conv of x {} with kernel {} gives, which is {}", y, x,
                     Shape(std::span<const std::int64_t>(Extent<N>(call.kernel_size).data(), N)),
                     geometry.small_shape(x[0]));
  return geometry;
}

template <int N>
Specs conv_rule(const ShapeCall& c) {
  const Dtype dtype = require_floating(c);
  const ConvGeometry geometry = geometry_of(c.opt<ConvCall<N>>(), c[0].shape, c[1].shape);
  geometry.validate(c.name());
  const std::int64_t batch = batch_of(c);
  require_shape(c, 0, geometry.large_shape(batch));
  require_shape(c, 1, geometry.weight_shape());
  if (c.has(2)) require_shape(c, 2, {geometry.small_channels});
  return {{geometry.small_shape(batch), dtype}};
}

template <int N>
Specs transpose_rule(const ShapeCall& c) {
  const Dtype dtype = require_floating(c);
  const ConvGeometry geometry = geometry_of(c.opt<ConvTransposeCall<N>>(), c[0].shape, c[1].shape);
  geometry.validate(c.name());
  const std::int64_t batch = batch_of(c);
  require_shape(c, 0, geometry.small_shape(batch));
  require_shape(c, 1, geometry.weight_shape());
  if (c.has(2)) require_shape(c, 2, {geometry.large_channels});
  return {{geometry.large_shape(batch), dtype}};
}

template <int N>
Specs weight_rule(const ShapeCall& c) {
  const Dtype dtype = require_floating(c);
  const ConvGeometry geometry = geometry_of(c.opt<ConvWeightCall<N>>(), c[0].shape, c[1].shape);
  geometry.validate(c.name());
  const std::int64_t batch = batch_of(c);
  require_shape(c, 0, geometry.large_shape(batch));
  require_shape(c, 1, geometry.small_shape(batch));
  return {{geometry.weight_shape(), dtype}};
}

#define DUET_CONV_RULES(N)                                                                       \
  template ConvGeometry geometry_of<N>(const ConvCall<N>&, const Shape&, const Shape&);          \
  template ConvGeometry geometry_of<N>(const ConvTransposeCall<N>&, const Shape&, const Shape&); \
  template ConvGeometry geometry_of<N>(const ConvWeightCall<N>&, const Shape&, const Shape&);    \
  template Specs conv_rule<N>(const ShapeCall&);                                                 \
  template Specs transpose_rule<N>(const ShapeCall&);                                            \
  template Specs weight_rule<N>(const ShapeCall&);
DUET_CONV_RULES(1)
DUET_CONV_RULES(2)
DUET_CONV_RULES(3)
#undef DUET_CONV_RULES

}  // namespace duet
