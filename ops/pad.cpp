// Padding: a constant frame is written row by row, with what it frames; the other modes copy the inside and then fill
// dimension after dimension from it, and their adjoint folds the frames back in the opposite order.
#include <duet/ops/pad.hpp>

#include <algorithm>

#include <duet/core/parallel.hpp>
#include <duet/ops/define.hpp>

namespace duet {
namespace {

/// What one dimension gets before and after.
struct Frame {
  std::int64_t before = 0, after = 0;
};

/// One frame a dimension of x, with the checks.
std::vector<Frame> frames(const char* op, const Shape& x, const PadOptions& o) {
  if (o.pad.size() % 2 != 0 || o.pad.size() > 2 * x.size())
    fail<ValueError>(op, "pad must hold a pair for each of the last dimensions of x {}, got ({})", x, fmt::join(o.pad, ", "));
  std::vector<Frame> result(x.size());
  for (std::size_t k = 0; k < o.pad.size() / 2; ++k) {
    const std::size_t dim = x.size() - 1 - k;
    const Frame frame = result[dim] = {o.pad[2 * k], o.pad[2 * k + 1]};
    const std::int64_t size = x[static_cast<int>(dim)];
    const std::int64_t total = checked_add(op, checked_add(op, size, frame.before), frame.after);
    if (total < 0 || size + std::min<std::int64_t>(frame.before, 0) < 0 || size + std::min<std::int64_t>(frame.after, 0) < 0)
      fail<ShapeError>(op, "dimension {} of x {} has no {} elements to crop", dim, x,
                       0 - static_cast<std::uint64_t>(std::min(frame.before, frame.after)));  // also of the least number
    const std::int64_t most = std::max(frame.before, frame.after);
    if (o.mode == PadMode::reflect && most > 0 && most >= size)
      fail<ShapeError>(op, "reflecting {} elements needs a size above that, dimension {} of x {} has {}", most, dim, x, size);
    if (o.mode == PadMode::circular && most > size)
      fail<ShapeError>(op, "wrapping {} elements around needs a size of at least that, dimension {} of x {} has {}", most, dim, x, size);
    if (o.mode == PadMode::replicate && most > 0 && size == 0)
      fail<ShapeError>(op, "dimension {} of x {} is empty: nothing to repeat", dim, x);
  }
  return result;
}

Shape padded_shape(const Shape& x, const std::vector<Frame>& all) {
  Shape shape = x;
  for (int i = 0; i < x.rank(); ++i) shape[i] += all[static_cast<std::size_t>(i)].before + all[static_cast<std::size_t>(i)].after;
  return shape;
}

/// The part of `padded` that shows x, and the part of x that it shows.
struct Overlap {
  Tensor inside, source;
};
Overlap overlap(const Tensor& padded, const Tensor& x, const std::vector<Frame>& all) {
  Shape shape = x.shape();
  std::int64_t into = 0, from = 0;
  for (int i = 0; i < x.rank(); ++i) {
    const Frame& frame = all[static_cast<std::size_t>(i)];
    const std::int64_t cut_before = std::max<std::int64_t>(0, -frame.before), cut_after = std::max<std::int64_t>(0, -frame.after);
    // A crop on both sides may leave nothing, with a start beyond what is left.
    shape[i] = std::max<std::int64_t>(0, shape[i] - cut_before - cut_after);
    into += std::max<std::int64_t>(0, frame.before) * padded.strides()[i];
    from += cut_before * x.strides()[i];
  }
  if (shape.numel() == 0) into = from = 0;
  return {raw::view(padded, shape, padded.strides(), into), raw::view(x, shape, x.strides(), from)};
}

/// y = x in its frames, each of its rows written once from end to end. x is dense.
template <class T>
void pad_constant(const T* x, const Shape& shape, T* y, const Shape& padded, const std::vector<Frame>& all, T value) {
  const int last = shape.rank() - 1;
  const std::int64_t width = padded[last], source_width = shape[last];
  const Frame edge = all[static_cast<std::size_t>(last)];
  const std::int64_t before = std::max<std::int64_t>(0, edge.before), cut = before - edge.before;
  const std::int64_t kept = std::max<std::int64_t>(0, std::min(width - before, source_width - cut));
  const std::int64_t rows = width == 0 ? 0 : padded.numel() / width;
  const std::int64_t grain = std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, width));
  parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    // Where the row lies in y, by the dimensions in front of the last one.
    Shape at = Shape::filled(last, 0);
    for (std::int64_t i = last - 1, rest = begin; i >= 0; --i) {
      at[static_cast<int>(i)] = rest % padded[static_cast<int>(i)];
      rest /= padded[static_cast<int>(i)];
    }
    for (std::int64_t row = begin; row < end; ++row) {
      std::int64_t source = 0;  // the row of x that this is
      bool inside = kept > 0;
      for (int i = 0; i < last; ++i) {
        const std::int64_t from = at[i] - all[static_cast<std::size_t>(i)].before;
        inside = inside && from >= 0 && from < shape[i];
        source = source * shape[i] + from;
      }
      T* to = y + row * width;
      if (inside) {
        to = std::fill_n(to, before, value);
        to = std::copy_n(x + source * source_width + cut, kept, to);
      }
      std::fill(to, y + (row + 1) * width, value);
      for (int i = last - 1; i >= 0 && ++at[i] == padded[i]; --i) at[i] = 0;
    }
  });
}

/// The index of x, cropped or not, that index k of the frame around it is a copy of.
std::int64_t origin(PadMode mode, std::int64_t k, std::int64_t before, std::int64_t size) {
  const std::int64_t i = k - before;  // outside of x, on either side
  if (mode == PadMode::replicate) return i < 0 ? 0 : size - 1;
  if (mode == PadMode::reflect) return i < 0 ? -i : 2 * (size - 1) - i;
  return i < 0 ? i + size : i - size;
}

bool crops(const std::vector<Frame>& all) {
  return std::any_of(all.begin(), all.end(), [](const Frame& f) { return f.before < 0 || f.after < 0; });
}

/// Index k of dimension dim of a tensor, as a tensor of the others.
Tensor layer(const Tensor& x, int dim, std::int64_t k) {
  Shape shape = x.shape(), strides = x.strides();
  shape.erase(dim);
  strides.erase(dim);
  return raw::view(x, shape, strides, k * x.strides()[dim]);
}

/// to += from, element by element; any strides.
void accumulate(const Tensor& from, const Tensor& to) {
  const Tensor sum = raw::clone(to), add = raw::contiguous(from);
  raw::dispatch_floating("pad_backward", to.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* target = raw::data<T>(sum);
    const T* source = raw::data<T>(add);
    for (std::int64_t i = 0; i < sum.numel(); ++i) target[i] += source[i];
  });
  Tensor target = to;
  raw::copy(sum, target);
}

/// Calls body(k) for every index of a padded dimension of `size` that lies in its frame.
template <class Body>
void for_each_copy(std::int64_t size, const Frame& frame, Body&& body) {
  for (std::int64_t k = 0; k < std::min(frame.before, size); ++k) body(k);
  for (std::int64_t k = std::max<std::int64_t>({size - frame.after, frame.before, 0}); k < size; ++k) body(k);
}

/// A dimension of x with its frame, one layer of copies at a time; and the adjoint, which adds the layers back.
Tensor pad_one(const Tensor& x, int dim, const Frame& frame, PadMode mode) {
  Shape shape = x.shape();
  shape[dim] += frame.before + frame.after;
  const Tensor y = Tensor::empty(shape, {.dtype = x.dtype()});
  std::vector<Frame> only(x.shape().size());
  only[static_cast<std::size_t>(dim)] = frame;
  Overlap whole = overlap(y, x, only);
  raw::copy(whole.source, whole.inside);
  const std::int64_t size = x.shape()[dim];
  for_each_copy(shape[dim], frame, [&](std::int64_t k) {
    Tensor target = layer(y, dim, k);
    raw::copy(layer(x, dim, origin(mode, k, frame.before, size)), target);
  });
  return y;
}

Tensor fold_one(const Tensor& g, int dim, const Frame& frame, PadMode mode, std::int64_t size) {
  Shape shape = g.shape();
  shape[dim] = size;
  Tensor x = Tensor::empty(shape, {.dtype = g.dtype()});
  std::vector<Frame> only(g.shape().size());
  only[static_cast<std::size_t>(dim)] = frame;
  raw::fill(x, 0);
  Overlap whole = overlap(g, x, only);
  raw::copy(whole.inside, whole.source);
  for_each_copy(g.shape()[dim], frame,
                [&](std::int64_t k) { accumulate(layer(g, dim, k), layer(x, dim, origin(mode, k, frame.before, size))); });
  return x;
}

std::vector<std::pair<std::string, std::pair<Shape, PadOptions>>> pad_cases() {
  using enum PadMode;
  return {{"constant", {{2, 2, 4, 5}, {.pad = {1, 1, 1, 1}}}},
          {"constant_uneven", {{2, 3, 4}, {.pad = {2, 0, 1, 3}}}},
          {"constant_crop", {{2, 2, 4, 5}, {.pad = {-1, 1, 0, -2}}}},
          {"constant_all", {{2, 17}, {.pad = {0, 1, 1, 0}}}},
          {"constant_width", {{1, 33}, {.pad = {3, 2}}}},
          {"nothing", {{2, 3}, {}}},
          {"reflect", {{2, 2, 4, 5}, {.pad = {1, 1, 1, 1}, .mode = reflect}}},
          {"reflect_uneven", {{1, 2, 4, 5}, {.pad = {2, 0, 1, 3}, .mode = reflect}}},
          {"reflect_crop", {{2, 6}, {.pad = {-2, 3}, .mode = reflect}}},
          {"reflect_width", {{1, 33}, {.pad = {17, 5}, .mode = reflect}}},
          {"replicate", {{1, 2, 3, 4}, {.pad = {2, 1, 0, 4}, .mode = replicate}}},
          {"replicate_crop", {{2, 4, 3}, {.pad = {3, -1}, .mode = replicate}}},
          {"replicate_volume", {{1, 2, 2, 3}, {.pad = {1, 1, 1, 0, 0, 2}, .mode = replicate}}},
          {"circular", {{2, 2, 4, 5}, {.pad = {2, 0, 1, 3}, .mode = circular}}},
          {"circular_crop", {{2, 5}, {.pad = {-1, 4}, .mode = circular}}},
          {"circular_whole", {{1, 3, 3}, {.pad = {3, 3, 3, 3}, .mode = circular}}}};
}

}  // namespace

const OpPtr& pad_op() {
  static const OpPtr op = define({
      .name = "pad",
      .doc = "The last dimensions padded with a value, a reflection, the edge or the other end; or cropped.",
      .inputs = {"x"},
      .options = &options_type<PadOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        const PadOptions& o = c.opt<PadOptions>();
        const Shape shape = padded_shape(c[0].shape, frames(c.name(), c[0].shape, o));
        shape.numel();
        return {{shape, c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        const PadOptions& o = c.opt<PadOptions>();
        const std::vector<Frame> all = frames(c.name(), c[0].shape(), o);
        if (o.mode == PadMode::constant) {
          const Tensor x = raw::contiguous(c[0]), y = c.empty();
          if (x.rank() == 0) return {raw::clone(x)};
          raw::dispatch_all(x.dtype(), [&](auto zero) {
            using T = decltype(zero);
            pad_constant(raw::data<T>(x), x.shape(), raw::data<T>(y), y.shape(), all, static_cast<T>(o.value));
          });
          return {y};
        }
        Tensor y = c[0];
        for (int i = y.rank() - 1; i >= 0; --i)
          if (const Frame& frame = all[static_cast<std::size_t>(i)]; frame.before != 0 || frame.after != 0)
            y = pad_one(y, i, frame, o.mode);
        return {y};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        return {pad_backward(v.cotangent(), {.shape = v.shape(0), .pad = v.opt<PadOptions>()})};
      },
      .linear = {0},
      .dual = "pad_backward",
      .onnx = "Pad",
      .samples = []() -> std::vector<Sample> {
        std::vector<Sample> samples;
        for (const auto& [name, one] : pad_cases())
          samples.push_back({name, {sample_normal(one.first, samples.size())}, one.second});
        PadOptions valued = pad_cases()[0].second.second;
        valued.value = 0.5;
        samples.push_back({"constant_value", {sample_normal({2, 3}, 90)}, valued});
        return samples;
      },
  });
  return op;
}

const OpPtr& pad_backward_op() {
  static const OpPtr op = define({
      .name = "pad_backward",
      .doc = "The adjoint of pad: every element added to the one that it is a copy of.",
      .inputs = {"g"},
      .options = &options_type<PadBackwardOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        const PadBackwardOptions& o = c.opt<PadBackwardOptions>();
        o.shape.numel();
        require_floating(c);
        const Shape shape = padded_shape(o.shape, frames(c.name(), o.shape, o.pad));
        if (c[0].shape != shape) fail<ShapeError>(c.name(), "{} pads to {}, g is {}", o.shape, shape, c[0].shape);
        return {{o.shape, c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        const PadBackwardOptions& o = c.opt<PadBackwardOptions>();
        const std::vector<Frame> all = frames(c.name(), o.shape, o.pad);
        if (o.pad.mode == PadMode::constant) {
          Tensor x = c.empty();
          if (crops(all)) raw::fill(x, 0);
          Overlap whole = overlap(c[0], x, all);
          raw::copy(whole.inside, whole.source);
          return {x};
        }
        Tensor x = c[0];
        for (int i = 0; i < x.rank(); ++i)
          if (const Frame& frame = all[static_cast<std::size_t>(i)]; frame.before != 0 || frame.after != 0)
            x = fold_one(x, i, frame, o.pad.mode, o.shape[i]);
        return {x};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        PadOptions linear = v.opt<PadBackwardOptions>().pad;
        linear.value = 0;
        return {pad(v.cotangent(), linear)};
      },
      .linear = {0},
      .dual = "pad",
      .samples = []() -> std::vector<Sample> {
        std::vector<Sample> samples;
        for (const auto& [name, one] : pad_cases())
          samples.push_back({name,
                             {sample_normal(padded_shape(one.first, frames("pad", one.first, one.second)), samples.size())},
                             PadBackwardOptions{one.first, one.second}});
        return samples;
      },
  });
  return op;
}

Tensor pad(const Tensor& x, const PadOptions& options) { return apply1(pad_op(), {x}, options); }
Tensor pad_backward(const Tensor& g, const PadBackwardOptions& options) { return apply1(pad_backward_op(), {g}, options); }

}  // namespace duet
