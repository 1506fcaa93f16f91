// Tiles are the product of one list of intervals an axis; so are the weights of a blend, whose sums are known before
// any tile is computed.
#include <duet/nn/tiled.hpp>

#include <algorithm>
#include <vector>

#include <duet/core/factory.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/models/unet.hpp>

namespace duet::nn {
namespace {

constexpr const char* op = "predict_tiled";

/// A tile along one axis: [from, to) is seen, [begin, end) is its core.
struct Interval {
  std::int64_t begin, end, from, to;
  std::vector<double> weight;  // of a blend, for each pixel that is seen
};

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

std::vector<Interval> intervals(std::int64_t size, const TiledOptions& options) {
  if (size <= options.tile) return {{0, size, 0, size, {}}};
  const std::int64_t overlap = round_up(options.overlap, options.align);
  // As many tiles as it takes, all about as large: a last one with hardly a core would cost as much as the others.
  const std::int64_t most = (options.tile - 2 * overlap) / options.align * options.align;
  const std::int64_t count = (size + most - 1) / most;
  const std::int64_t step = round_up((size + count - 1) / count, options.align), tile = step + 2 * overlap;
  std::vector<Interval> list;
  for (std::int64_t begin = 0; begin < size; begin += step) {
    const std::int64_t to = std::min(size, begin + step + overlap);
    // The last tiles are about as large as the others, so that no model finds them too small.
    const std::int64_t from = std::min(begin - overlap, round_up(to - tile, options.align));
    list.push_back({begin, std::min(size, begin + step), std::max<std::int64_t>(0, from), to, {}});
  }
  return list;
}

/// Weights that rise from the edges that are not the image's, and add up to 1 at every pixel.
void weigh(std::vector<Interval>& list, std::int64_t size, std::int64_t overlap) {
  std::vector<double> sums(static_cast<std::size_t>(size));
  const double ramp = static_cast<double>(std::max<std::int64_t>(1, 2 * overlap));
  for (Interval& tile : list)
    for (std::int64_t i = tile.from; i < tile.to; ++i) {
      double weight = 1;
      if (tile.from > 0) weight = std::min(weight, (static_cast<double>(i - tile.from) + 0.5) / ramp);
      if (tile.to < size) weight = std::min(weight, (static_cast<double>(tile.to - i) - 0.5) / ramp);
      tile.weight.push_back(weight);
      sums[static_cast<std::size_t>(i)] += weight;
    }
  for (Interval& tile : list)
    for (std::int64_t i = tile.from; i < tile.to; ++i)
      tile.weight[static_cast<std::size_t>(i - tile.from)] /= sums[static_cast<std::size_t>(i)];
}

void check(const Tensor& image, const TiledOptions& options) {
  if (image.rank() < 2 || image.rank() > 4 || image.numel() == 0)
    fail<ShapeError>(op, "needs an image (C, S…) with one to three dimensions S, got {}", image.shape());
  if (options.tile < 1) fail<ValueError>(op, "tile must be at least 1, got {}", options.tile);
  if (options.overlap < 0 || options.align < 1)
    fail<ValueError>(op, "needs an overlap of at least 0 and an align of at least 1, got {} and {}", options.overlap,
                     options.align);
  const std::int64_t overlap = round_up(options.overlap, options.align);
  if (options.tile - 2 * overlap < options.align)
    fail<ValueError>(op, "a tile of {} leaves no {} pixels between two overlaps of {}", options.tile, options.align,
                     overlap);
}

/// Calls visit(output (K, s…), one interval an axis) for each tile.
void for_each_tile(FunctionRef<Tensor(const Tensor&)> model, const Tensor& image, const TiledOptions& options,
                   const std::vector<std::vector<Interval>>& axes,
                   FunctionRef<void(const Tensor&, const std::vector<const Interval*>&)> visit) {
  const NoGradGuard no_grad;
  std::int64_t count = 1, done = 0;
  for (const auto& axis : axes) count *= static_cast<std::int64_t>(axis.size());
  for (; done < count; ++done) {
    std::vector<const Interval*> tile(axes.size());
    std::int64_t rest = done, offset = 0;
    Shape seen{image.size(0)};
    for (std::size_t a = axes.size(); a-- > 0;) {
      const auto length = static_cast<std::int64_t>(axes[a].size());
      tile[a] = &axes[a][static_cast<std::size_t>(rest % length)];
      rest /= length;
    }
    for (std::size_t a = 0; a < axes.size(); ++a) {
      seen.push_back(tile[a]->to - tile[a]->from);
      offset += tile[a]->from * image.strides()[static_cast<int>(a) + 1];
    }
    Shape batch = seen;
    batch.insert(0, 1);
    const Tensor part = raw::contiguous(raw::view(image, seen, image.strides(), offset));
    const Tensor result = raw::contiguous(model(raw::view(part, batch, contiguous_strides(batch))));
    Shape expected = batch;
    expected[1] = result.rank() == batch.rank() ? result.size(1) : -1;
    if (result.shape() != expected)
      fail<ShapeError>(op, "the model must keep the size of a tile {}, it gives {}", batch, result.shape());
    Shape shape = seen;
    shape[0] = result.size(1);
    visit(raw::view(result, shape, contiguous_strides(shape)), tile);
    if (options.progress) options.progress(static_cast<double>(done + 1) / static_cast<double>(count));
  }
}

std::vector<std::vector<Interval>> axes_of(const Tensor& image, const TiledOptions& options) {
  std::vector<std::vector<Interval>> axes;
  for (int a = 1; a < image.rank(); ++a) axes.push_back(intervals(image.size(a), options));
  return axes;
}

/// The core of a tile's output, and where it begins in the image.
Tensor core_of(const Tensor& output, const std::vector<const Interval*>& tile, Shape& place) {
  Shape shape{output.size(0)};
  std::int64_t offset = 0;
  place = {};
  for (std::size_t a = 0; a < tile.size(); ++a) {
    shape.push_back(tile[a]->end - tile[a]->begin);
    offset += (tile[a]->begin - tile[a]->from) * output.strides()[static_cast<int>(a) + 1];
    place.push_back(tile[a]->begin);
  }
  return raw::view(output, shape, output.strides(), offset);
}

/// Adds weight · tile to the result, element by element.
template <class T>
void add_weighted(const Tensor& output, const std::vector<const Interval*>& tile, Tensor& result) {
  const int rank = output.rank();
  const T* from = raw::data<T>(output);
  T* to = raw::data<T>(result);
  const std::int64_t width = output.shape().back(), lines = output.numel() / width;
  const std::vector<double>& along = tile.back()->weight;
  for (std::int64_t line = 0; line < lines; ++line) {
    std::int64_t rest = line, at = tile.back()->from;
    double weight = 1;
    for (int a = rank - 2; a >= 0; --a) {
      const std::int64_t index = rest % output.size(a);
      rest /= output.size(a);
      const std::int64_t origin = a == 0 ? 0 : tile[static_cast<std::size_t>(a) - 1]->from;
      at += (origin + index) * result.strides()[a];
      if (a > 0) weight *= tile[static_cast<std::size_t>(a) - 1]->weight[static_cast<std::size_t>(index)];
    }
    for (std::int64_t x = 0; x < width; ++x)
      to[at + x] += static_cast<T>(weight * along[static_cast<std::size_t>(x)]) * from[line * width + x];
  }
}

}  // namespace

void predict_tiles(FunctionRef<Tensor(const Tensor&)> model, const Tensor& image, const TiledOptions& options,
                   FunctionRef<void(const Tensor& core, const Shape& place)> sink) {
  check(image, options);
  if (options.blend != TileBlend::none) fail<ValueError>("predict_tiles", "cores are not blended: use predict_tiled");
  for_each_tile(model, image, options, axes_of(image, options),
                [&](const Tensor& output, const std::vector<const Interval*>& tile) {
                  Shape place;
                  const Tensor core = core_of(output, tile, place);
                  sink(core, place);
                });
}

Tensor predict_tiled(FunctionRef<Tensor(const Tensor&)> model, const Tensor& image, const TiledOptions& options) {
  check(image, options);
  auto axes = axes_of(image, options);
  const bool blend = options.blend == TileBlend::linear;
  if (blend)
    for (std::size_t a = 0; a < axes.size(); ++a)
      weigh(axes[a], image.size(static_cast<int>(a) + 1), round_up(options.overlap, options.align));
  Tensor result;
  for_each_tile(model, image, options, axes, [&](const Tensor& output, const std::vector<const Interval*>& tile) {
    Shape shape = image.shape();
    shape[0] = output.size(0);
    if (!result.defined())
      result = blend ? zeros(shape, {.dtype = output.dtype()}) : Tensor::empty(shape, {.dtype = output.dtype()});
    if (result.size(0) != output.size(0))
      fail<ShapeError>(op, "the model gives {} channels for one tile, {} for another", result.size(0), output.size(0));
    if (blend) {
      raw::dispatch_floating(op, output.dtype(),
                             [&](auto zero) { add_weighted<decltype(zero)>(output, tile, result); });
    } else {
      Shape place;
      const Tensor core = core_of(output, tile, place);
      std::int64_t offset = 0;
      for (int a = 0; a < place.rank(); ++a) offset += place[a] * result.strides()[a + 1];
      Tensor target = raw::view(result, core.shape(), result.strides(), offset);
      raw::copy(core, target);
    }
  });
  return result;
}

Tensor predict_tiled(Module& model, const Tensor& image, const TiledOptions& options) {
  if (model.is_training()) fail<ValueError>(op, "the model is in training mode: call eval() first");
  TiledOptions filled = options;
  if (const auto* unet = dynamic_cast<const UNet*>(&model)) {
    if (filled.overlap < 0) filled.overlap = unet->reach();
    if (filled.align == 0) filled.align = unet->stride();
  }
  return predict_tiled([&](const Tensor& x) { return model(x); }, image, filled);
}

}  // namespace duet::nn
