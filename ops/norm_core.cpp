// The core of batch, group and instance normalisation: statistics of groups, and the backward op that all of them
// share, with its own derivative, so that every order exists.
//
// With n elements in a group, r = 1 / sqrt(var + eps), z = (x - mean)·r and P(c) = c - mean(c) - z·mean(c·z), which is
// its own adjoint, y = z·w + b has the gradients
//
//     by x:  r·P(w·g),        by w:  sum of g·z,        by b:  sum of g,
//
// and from dr/dx = -r²·z / n and dz/dx = r·P / 1 the second ones follow; see normalize_backward's vjp.
#include <duet/ops/norm_core.hpp>

#include <cmath>

#include <duet/core/tape.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

namespace duet {

using kernels::NormGeometry;

NormGeometry norm_geometry(const char* op, const Shape& x, std::int64_t num_groups) {
  if (x.rank() < 2) fail<ShapeError>(op, "x needs at least 2 dimensions (N, C, ...), got {}", x);
  if (num_groups < 0 || (num_groups > 0 && x[1] % num_groups != 0))
    fail<ValueError>(op, "num_groups {} does not divide the {} channels of x {}", num_groups, x[1], x);
  Shape trailing;
  for (int i = 2; i < x.rank(); ++i) trailing.push_back(x[i]);
  const NormGeometry geometry{.batch = x[0], .channels = x[1], .length = trailing.numel(), .groups = num_groups};
  // Rows, and then a group's elements, of which an empty x may have more than it has itself.
  checked_mul(op, geometry.batch, geometry.channels);
  if (num_groups == 0 || x[1] != 0) checked_mul(op, geometry.rows_per_group(), geometry.length);
  x.numel();
  return geometry;
}

Shape statistics_shape(const Shape& x, std::int64_t num_groups) {
  return num_groups == 0 ? Shape{x[1]} : Shape{x[0], num_groups};
}

void require_channels(const ShapeCall& call, int i, std::int64_t channels) {
  if (call.has(i) && call[i].shape != Shape{channels})
    fail<ShapeError>(call.name(), "{} needs the shape {}, one value a channel of x {}, got {}", input_name(call.op, i),
                     Shape{channels}, call[0].shape, call[i].shape);
}

void require_spread(const char* op, const NormGeometry& geometry, const Shape& x) {
  if (geometry.group_size() <= 1)
    fail<ValueError>(op, "needs more than one value per {} to have a variance: x {} has {}",
                     geometry.groups == 0 ? "channel" : "group", x, geometry.group_size());
}

GroupStatistics group_statistics(const NormGeometry& geometry, const Tensor& x, double eps) {
  const std::size_t count = static_cast<std::size_t>(geometry.group_count());
  GroupStatistics statistics{std::vector<double>(count), std::vector<double>(count)};
  raw::dispatch_floating("normalize", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::norm_moments<T>(geometry, raw::data<T>(x), statistics.mean.data(), statistics.inverse_deviation.data());
  });
  for (double& value : statistics.inverse_deviation)
    value = 1 / std::sqrt(value / static_cast<double>(geometry.group_size()) + eps);
  return statistics;
}

namespace {

/// The values of a tensor of `count` elements, or ones.
std::vector<double> values_or(const Tensor& tensor, std::int64_t count, double absent) {
  if (tensor.defined()) return tensor.to_vector();
  return std::vector<double>(static_cast<std::size_t>(count), absent);
}

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

Tensor normalize(const NormGeometry& geometry, const Tensor& x, const GroupStatistics& statistics, const Tensor& weight,
                 const Tensor& bias, double least) {
  const Tensor out = Tensor::empty(x.shape(), {.dtype = x.dtype()});
  const std::vector<double> w = values_or(weight, geometry.channels, 1), b = values_or(bias, geometry.channels, 0);
  const std::size_t strips = at(geometry.strips());
  std::vector<double> mean(strips), scale(strips), shift(strips);
  for (std::size_t strip = 0; strip < strips; ++strip) {
    const std::size_t group = at(geometry.group_of(static_cast<std::int64_t>(strip))), channel = strip % w.size();
    mean[strip] = statistics.mean[group];
    scale[strip] = statistics.inverse_deviation[group] * w[channel];
    shift[strip] = b[channel];
  }
  raw::dispatch_floating("normalize", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::norm_affine<T>(geometry, raw::data<T>(x), mean.data(), scale.data(), shift.data(), least,
                            raw::data<T>(out));
  });
  return out;
}

Tensor from_doubles(const std::vector<double>& values, const TensorSpec& spec) {
  Tensor tensor = Tensor::empty(spec.shape, {.dtype = spec.dtype});
  Tensor source = Tensor::from_span(std::span<const double>(values), spec.shape);
  raw::copy(source, tensor);
  return tensor;
}

namespace {

/// (N, G, K, S): groups of K channels, S... in one. Across the batch, a group is a channel and K is 1.
Shape grouped_shape(const NormGeometry& geometry) {
  const std::int64_t groups = geometry.groups == 0 ? geometry.channels : geometry.groups;
  return {geometry.batch, groups, groups == 0 ? 1 : geometry.channels / groups, geometry.length};
}

/// x (N, C, S...) at grouped_shape().
Tensor by_groups(const Tensor& x, const NormGeometry& geometry) { return reshape(x, grouped_shape(geometry)); }

/// A tensor of one value a channel, or a group, to broadcast against by_groups().
Tensor channels_by_groups(const Tensor& w, const NormGeometry& geometry) {
  if (geometry.groups == 0) return reshape(w, {1, geometry.channels, 1, 1});
  return reshape(w, {1, geometry.groups, geometry.channels / geometry.groups, 1});
}
Tensor statistics_by_groups(const Tensor& s, const NormGeometry& geometry) {
  if (geometry.groups == 0) return reshape(s, {1, geometry.channels, 1, 1});
  return reshape(s, {geometry.batch, geometry.groups, 1, 1});
}

/// The mean over each group, to broadcast against by_groups().
Tensor group_mean(const Tensor& x4, const NormGeometry& geometry) {
  const Dims dims = geometry.groups == 0 ? Dims{0, 2, 3} : Dims{2, 3};
  return sum(x4, {.dim = dims, .keepdim = true}) * (1 / static_cast<double>(geometry.group_size()));
}

/// The sum of each channel, as (C,).
Tensor channel_sum(const Tensor& x4, const NormGeometry& geometry) {
  return reshape(sum(x4, {.dim = {0, 3}}), {geometry.channels});
}

/// x - mean on by_groups(). Centred again: what rounding took from a large mean comes back.
Tensor centred(const Tensor& x4, const Tensor& mean, const NormGeometry& geometry) {
  const Tensor distance = x4 - statistics_by_groups(mean, geometry);
  return distance - group_mean(distance, geometry);
}

/// (x - mean)·r on by_groups().
Tensor standardized(const Tensor& x4, const Tensor& mean, const Tensor& r, const NormGeometry& geometry) {
  return centred(x4, mean, geometry) * statistics_by_groups(r, geometry);
}

Specs statistics_rule(const ShapeCall& c) {
  const Dtype dtype = require_floating(c);
  const NormalizeOptions& o = c.opt<NormalizeOptions>();
  const NormGeometry geometry = norm_geometry(c.name(), c[0].shape, o.num_groups);
  if (geometry.group_size() == 0) fail<ValueError>(c.name(), "x {} has no values to take statistics of", c[0].shape);
  const TensorSpec spec{statistics_shape(c[0].shape, o.num_groups), dtype};
  return {spec, spec};
}

std::vector<Sample> statistics_samples() {
  std::vector<Sample> samples;
  const auto add = [&](const char* name, const Shape& shape, std::int64_t groups, double eps = 1e-5) {
    samples.push_back({name, {sample_normal(shape, samples.size())}, NormalizeOptions{.num_groups = groups, .eps = eps}});
  };
  add("batch", {4, 3, 2, 5}, 0);
  add("batch_flat", {6, 5}, 0);
  add("batch_channels", {3, 17, 2}, 0);
  add("batch_width", {2, 2, 33}, 0, 1e-3);
  add("batch_one", {1, 2, 7}, 0);
  add("batch_rows", {9, 3, 2, 3}, 0);
  add("batch_volume", {2, 2, 2, 2, 3}, 0);
  add("one_group", {2, 4, 3, 2}, 1);
  add("two_groups", {2, 4, 3, 2}, 2, 1e-2);
  add("own_groups", {2, 3, 5}, 3);
  add("groups_flat", {3, 8}, 2);
  add("groups_channels", {2, 34, 2}, 2);
  add("groups_width", {2, 2, 33}, 2);
  return samples;
}

}  // namespace

const OpPtr& normalize_statistics_op() {
  static const OpPtr op = define({
      .name = "normalize_statistics",
      .doc = "Mean and inverse standard deviation of each channel across the batch, or of each group of a sample.",
      .formula = "mean(x), 1 / sqrt(var(x) + eps)",
      .inputs = {"x"},
      .options = &options_type<NormalizeOptions>(),
      .shape_rule = statistics_rule,
      .forward = [](const Call& c) -> Tensors {
        const NormalizeOptions& o = c.opt<NormalizeOptions>();
        const GroupStatistics statistics =
            group_statistics(norm_geometry(c.name(), c[0].shape(), o.num_groups), raw::contiguous(c[0]), o.eps);
        return {from_doubles(statistics.mean, c.spec(0)), from_doubles(statistics.inverse_deviation, c.spec(1))};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        const NormGeometry geometry = norm_geometry(v.name(), v.shape(0), v.opt<NormalizeOptions>().num_groups);
        const double share = 1 / static_cast<double>(geometry.group_size());
        Tensor by_mean, by_deviation;
        if (v.cotangent(0).defined())
          by_mean = expand(statistics_by_groups(v.cotangent(0) * share, geometry), grouped_shape(geometry));
        if (v.cotangent(1).defined()) {
          const Tensor r = v.output(1);
          const Tensor factor = v.cotangent(1) * (r * r * r) * -share;
          by_deviation =
              centred(by_groups(v.input(0), geometry), v.output(0), geometry) * statistics_by_groups(factor, geometry);
        }
        const Tensor both = !by_mean.defined() ? by_deviation : !by_deviation.defined() ? by_mean : by_mean + by_deviation;
        return {both.defined() ? reshape(both, v.shape(0)) : Tensor()};
      },
      .saves = {save_input(0), save_output(0), save_output(1)},
      .samples = statistics_samples,
  });
  return op;
}

namespace {

Specs backward_rule(const ShapeCall& c) {
  const Dtype dtype = require_floating(c);
  const NormalizeOptions& o = c.opt<NormalizeOptions>();
  const NormGeometry geometry = norm_geometry(c.name(), c[1].shape, o.num_groups);
  if (c[0].shape != c[1].shape) fail<ShapeError>(c.name(), "g {} and x {} need one shape", c[0].shape, c[1].shape);
  require_channels(c, 2, geometry.channels);
  const Shape statistics = statistics_shape(c[1].shape, o.num_groups);
  for (int i = 3; i <= 4; ++i)
    if (c.has(i) && c[i].shape != statistics)
      fail<ShapeError>(c.name(), "{} needs the shape {}, got {}", input_name(c.op, i), statistics, c[i].shape);
  if (c.has(3) != c.has(4)) fail<ValueError>(c.name(), "needs mean and inverse_deviation both or neither");
  require_channels(c, 5, geometry.channels);
  if (c.has(5) && o.num_groups != 0)
    fail<ValueError>(c.name(), "shift is for channels across the batch, got num_groups {}", o.num_groups);
  return {c[1], {{geometry.channels}, dtype}, {{geometry.channels}, dtype}};
}

/// A mean that came rounded to f32 is off by as much as x - mean sums to: by 5e-4 where it is 1e4. Corrects the mean and
/// the sums that were taken about it.
void mend_mean(const NormGeometry& geometry, const std::vector<double>& sum_g, const std::vector<double>& sum_x,
               std::vector<double>& mean, std::vector<double>& sum_gx) {
  std::vector<double> off(at(geometry.group_count()), 0);
  const auto group_of = [&](std::size_t strip) { return at(geometry.group_of(static_cast<std::int64_t>(strip))); };
  for (std::size_t strip = 0; strip < mean.size(); ++strip)
    off[group_of(strip)] += sum_x[strip] / static_cast<double>(geometry.group_size());
  for (std::size_t strip = 0; strip < mean.size(); ++strip) {
    const double own = off[group_of(strip)];
    mean[strip] += own;
    sum_gx[strip] -= own * sum_g[strip];
  }
}

Tensors backward_forward(const Call& c) {
  const NormalizeOptions& o = c.opt<NormalizeOptions>();
  const NormGeometry geometry = norm_geometry(c.name(), c[1].shape(), o.num_groups);
  const Tensor g = raw::contiguous(c[0]), x = raw::contiguous(c[1]), out = c.empty();
  GroupStatistics statistics;
  if (c.has(3))
    statistics = {c[3].to_vector(), c[4].to_vector()};
  else
    statistics = group_statistics(geometry, x, o.eps);
  const std::vector<double> w = values_or(c.has(2) ? c[2] : Tensor(), geometry.channels, 1);
  const std::size_t strips = at(geometry.strips()), groups = at(geometry.group_count());
  std::vector<double> mean(strips), sum_g(strips), sum_gx(strips), sum_x(strips), scale(strips), slope(strips), shift(strips);
  for (std::size_t strip = 0; strip < strips; ++strip) {
    const std::size_t group = at(geometry.group_of(static_cast<std::int64_t>(strip)));
    mean[strip] = statistics.mean[group];
    scale[strip] = statistics.inverse_deviation[group] * w[strip % w.size()];
  }
  // As they came, before what rounding took is given back: the relu compared what these make.
  const std::vector<double> relu_mean = mean, shifts = values_or(c.has(5) ? c[5] : Tensor(), geometry.channels, 0);
  std::vector<double> relu_shift(strips);
  for (std::size_t strip = 0; strip < strips; ++strip) relu_shift[strip] = shifts[strip % shifts.size()];
  const kernels::RectifiedStrips rectified{relu_mean.data(), scale.data(), relu_shift.data()};
  const kernels::RectifiedStrips* const relu = c.has(5) ? &rectified : nullptr;
  std::vector<double> gradient_w(at(geometry.channels), 0), gradient_b(at(geometry.channels), 0);
  raw::dispatch_floating(c.name(), x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::norm_gradient_sums<T>(geometry, raw::data<T>(g), raw::data<T>(x), mean.data(), relu, sum_g.data(),
                                   sum_gx.data(), sum_x.data());
    mend_mean(geometry, sum_g, sum_x, mean, sum_gx);
    std::vector<double> mean_h(groups, 0), mean_hz(groups, 0);
    for (std::size_t strip = 0; strip < strips; ++strip) {
      const std::size_t group = at(geometry.group_of(static_cast<std::int64_t>(strip))), channel = strip % w.size();
      const double r = statistics.inverse_deviation[group], share = w[channel] / static_cast<double>(geometry.group_size());
      gradient_b[channel] += sum_g[strip];
      gradient_w[channel] += sum_gx[strip] * r;
      mean_h[group] += sum_g[strip] * share;
      mean_hz[group] += sum_gx[strip] * r * share;
    }
    for (std::size_t strip = 0; strip < strips; ++strip) {
      const std::size_t group = at(geometry.group_of(static_cast<std::int64_t>(strip)));
      const double r = statistics.inverse_deviation[group];
      slope[strip] = -r * r * mean_hz[group];
      shift[strip] = -r * mean_h[group];
    }
    kernels::norm_gradient<T>(geometry, raw::data<T>(g), raw::data<T>(x), mean.data(), scale.data(), slope.data(),
                              shift.data(), relu, raw::data<T>(out));
  });
  return {out, from_doubles(gradient_w, c.spec(1)), from_doubles(gradient_b, c.spec(2))};
}

Tensor add_defined(const Tensor& a, const Tensor& b) { return !a.defined() ? b : !b.defined() ? a : a + b; }

/// The output of the relu behind a normalisation, on by_groups(), as a constant.
Tensor rectified_by_groups(const Vjp& v, const NormGeometry& geometry) {
  const NoGradGuard no_grad;
  const Tensor x = v.input(1);
  Tensor mean = v.has_input(3) ? v.input(3) : Tensor(), r = v.has_input(4) ? v.input(4) : Tensor();
  if (!mean.defined()) {
    const NormalizeStatistics own = normalize_statistics(x, v.opt<NormalizeOptions>());
    mean = own.mean;
    r = own.inverse_deviation;
  }
  const Tensor distance = by_groups(x, geometry) - statistics_by_groups(mean, geometry);
  const Tensor scale = v.has_input(2) ? r * v.input(2) : r;
  return relu(distance * channels_by_groups(scale, geometry) + channels_by_groups(v.input(5), geometry));
}

/// The second order. u, vw, vb are the cotangents of the three gradients, and
/// B(c) = r·P(c) is normalize_backward itself without a weight; h = w·g. Then
///     by g:  w·B(u) + vw·z + vb,
///     by w:  sum of B(u)·g,
///     by x:  B(vw·g) - r²·(mean(u·h) - mean(u)·mean(h) - mean(u·z)·mean(h·z))·z - r·mean(h·z)·B(u) - r·mean(u·z)·B(h).
Tensors backward_vjp(const Vjp& v) {
  const NormalizeOptions& o = v.opt<NormalizeOptions>();
  const NormGeometry geometry = norm_geometry(v.name(), v.shape(1), o.num_groups);
  const Tensor &u = v.cotangent(0), &vw = v.cotangent(1), &vb = v.cotangent(2);
  Tensors result(static_cast<std::size_t>(v.count()));
  const bool behind_relu = v.has_input(5);
  // What a relu let pass: it is a factor of 0 or 1 on g, and so on the gradient by g.
  const Tensor rectified = behind_relu ? rectified_by_groups(v, geometry) : Tensor();
  const auto passed = [&](const Tensor& c4) { return behind_relu ? relu_backward(c4, rectified) : c4; };
  if (!u.defined() && !vw.defined()) {
    if (v.needs(0) && vb.defined())
      result[0] = reshape(passed(expand(channels_by_groups(vb, geometry), grouped_shape(geometry))), v.shape(0));
    return result;
  }
  const Tensor x = v.input(1), w = v.has_input(2) ? v.input(2) : Tensor();
  const Tensor g4 = v.needs(1) || v.needs(2) ? passed(by_groups(v.input(0), geometry)) : Tensor();
  const NormalizeStatistics own = normalize_statistics(x, o);
  const Tensor &mean = own.mean, &r = own.inverse_deviation;
  const auto by_projection = [&](const Tensor& c4) {
    return by_groups(normalize_backward(reshape(c4, x.shape()), x, {}, mean, r, o).x, geometry);
  };
  const Tensor z = standardized(by_groups(x, geometry), mean, r, geometry);
  const Tensor w4 = w.defined() ? channels_by_groups(w, geometry) : Tensor();
  const Tensor vw4 = vw.defined() ? channels_by_groups(vw, geometry) : Tensor();
  Tensor u4, projected_u;
  if (u.defined()) {
    u4 = by_groups(u, geometry);
    projected_u = by_projection(u4);
  }
  if (v.needs(0)) {
    Tensor by_g = u.defined() && w.defined() ? projected_u * w4 : projected_u;
    if (vw.defined()) by_g = add_defined(by_g, z * vw4);
    if (vb.defined()) by_g = by_g + channels_by_groups(vb, geometry);
    result[0] = reshape(passed(by_g), v.shape(0));
  }
  if (v.needs(1)) {
    Tensor by_x = vw.defined() ? by_projection(g4 * vw4) : Tensor();
    if (u.defined()) {
      const Tensor h = w.defined() ? g4 * w4 : g4, r4 = statistics_by_groups(r, geometry);
      const Tensor mean_uz = group_mean(u4 * z, geometry), mean_hz = group_mean(h * z, geometry);
      const Tensor spread = group_mean(u4 * h, geometry) - group_mean(u4, geometry) * group_mean(h, geometry) - mean_uz * mean_hz;
      by_x = add_defined(by_x, -(z * (r4 * r4 * spread) + projected_u * (r4 * mean_hz) + by_projection(h) * (r4 * mean_uz)));
    }
    result[1] = reshape(by_x, v.shape(1));
  }
  if (v.needs(2) && u.defined()) result[2] = channel_sum(projected_u * g4, geometry);
  return result;
}

std::vector<Sample> backward_samples() {
  std::vector<Sample> samples;
  const auto add = [&](const char* name, const Shape& x, std::int64_t groups, bool weight) {
    const std::uint64_t seed = 10 * samples.size();
    samples.push_back({name,
                       {sample_normal(x, seed), sample_normal(x, seed + 1),
                        weight ? sample_uniform({x[1]}, 0.5, 1.5, seed + 2) : Tensor(), Tensor(), Tensor()},
                       NormalizeOptions{.num_groups = groups, .eps = 1e-3}});
  };
  add("batch", {4, 3, 2, 3}, 0, true);
  add("batch_plain", {4, 2, 3}, 0, false);
  add("batch_flat", {6, 3}, 0, true);
  add("batch_channels", {3, 17}, 0, true);
  add("batch_width", {1, 1, 33}, 0, true);
  add("batch_volume", {2, 2, 1, 2, 2}, 0, true);
  add("batch_flat_plain", {5, 4}, 0, false);
  add("batch_rows", {9, 3, 2, 3}, 0, true);
  add("one_group", {2, 4, 3}, 1, true);
  add("two_groups", {2, 4, 3}, 2, true);
  add("own_groups", {2, 3, 5}, 3, true);
  add("groups_plain", {2, 4, 2, 2}, 2, false);
  add("groups_flat", {2, 8}, 2, true);
  // Behind a relu.
  const auto add_relu = [&](const char* name, std::int64_t batch, bool weight) {
    add(name, {batch, 3, 2, 3}, 0, weight);
    samples.back().inputs.push_back(sample_normal({3}, 500));
    samples.back().by = weight ? std::vector<int>{0, 1, 2} : std::vector<int>{0, 1};
  };
  add_relu("relu", 4, true);
  add_relu("relu_plain", 4, false);
  add_relu("relu_rows", 9, true);
  return samples;
}

}  // namespace

const OpPtr& normalize_backward_op() {
  static const OpPtr op = define({
      .name = "normalize_backward",
      .doc = "The gradients of a normalisation by its input, weight and bias.",
      .formula = "r (w g - mean(w g) - z mean(w g z)), sum(g z), sum(g)",
      .inputs = {"g", "x", "weight?", "mean?", "inverse_deviation?", "shift?"},
      .options = &options_type<NormalizeOptions>(),
      .shape_rule = backward_rule,
      .forward = backward_forward,
      .vjp = backward_vjp,
      .saves = {save_input(0, {1, 2}), save_input(1), save_input(2), save_input(3), save_input(4), save_input(5)},
      .linear = {0},
      .source = "Ioffe and Szegedy 2015, section 3",
      .samples = backward_samples,
  });
  return op;
}

NormalizeStatistics normalize_statistics(const Tensor& x, const NormalizeOptions& options) {
  Tensors result = apply(normalize_statistics_op(), {x}, options);
  return {result[0], result[1]};
}

NormalizeGradients normalize_backward(const Tensor& g, const Tensor& x, const Tensor& weight, const Tensor& mean,
                                      const Tensor& inverse_deviation, const NormalizeOptions& options,
                                      const Tensor& shift) {
  Tensors result = apply(normalize_backward_op(), {g, x, weight, mean, inverse_deviation, shift}, options);
  return {result[0], result[1], result[2]};
}

}  // namespace duet
