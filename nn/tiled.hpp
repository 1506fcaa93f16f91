// predict_tiled: a model on images that are too large for it, tile by tile.
#pragma once

#include <cstdint>

#include <duet/core/callable.hpp>
#include <duet/core/tensor.hpp>
#include <duet/nn/module.hpp>

namespace duet::nn {

/// What becomes of pixels that several tiles cover.
enum class TileBlend {
  none,    ///< each pixel is taken from the tile whose core it lies in
  linear,  ///< a mean, weighed by the distance from the tiles' edges: hides seams where the overlap is too small
};

struct TiledOptions {
  std::int64_t tile = 512;    ///< the most pixels along an axis that the model sees at once
  std::int64_t overlap = -1;  ///< how far a tile sees beyond its core, on each side; -1: as far as the model does
  std::int64_t align = 0;     ///< tiles begin at multiples of it; 0: the model's own stride
  TileBlend blend = TileBlend::none;
  Callable<void(double)> progress = {};  ///< told the done share, in (0, 1], after each tile
};

/// model(image) for an image (C, S…) with one to three dimensions S, of any size and dtype: tiles (1, C, s…) go
/// through the model, which must give (1, K, s…), and make up the result (K, S…). Where tiles are aligned to the
/// model's stride and the overlap is as far as it sees, that is what the whole image would give. Memory is that of the
/// result and one tile; nothing is recorded on the tape. ShapeError for another rank or result; ValueError for options
/// out of range, a tile that its overlaps fill, or an overlap or align that is not given.
Tensor predict_tiled(FunctionRef<Tensor(const Tensor&)> model, const Tensor& image, const TiledOptions& options);
/// The same for a module in evaluation mode (else ValueError). A UNet knows its overlap and align.
Tensor predict_tiled(Module& model, const Tensor& image, const TiledOptions& options = {});

/// The same without a result: each core (K, s…) is handed to `sink` with the place of its first pixel, and forgotten.
/// ValueError for a blend.
void predict_tiles(FunctionRef<Tensor(const Tensor&)> model, const Tensor& image, const TiledOptions& options,
                   FunctionRef<void(const Tensor& core, const Shape& place)> sink);

}  // namespace duet::nn
