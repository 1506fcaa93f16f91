// How positions, images and channels are cut into blocks; by the shape alone, never by the number of threads.
#include <algorithm>

#include <duet/ops/kernels/conv_channels.hpp>

namespace duet::kernels {

std::vector<Panel> cut_panels(Index channels, int vector) {
  std::vector<Panel> panels;
  for (Index begin = 0; begin < channels;) {
    const int lanes = static_cast<int>(std::min<Index>(channels - begin, 2 * vector));
    const int vectors = lanes > vector ? 2 : 1;
    panels.push_back({begin, lanes, vectors * vector, vectors});
    begin += lanes;
  }
  return panels;
}

Slice slice(Index total, Index parts, Index i, Index unit) {
  const Index units = divide_up(total, unit);
  return {std::min(total, units * i / parts * unit), std::min(total, units * (i + 1) / parts * unit)};
}

Block block_at(const ConvReading& reading, const Blocking& blocking, Index i) {
  Block block;
  for (int a = max_conv_rank - 1; a >= 0; --a) {
    block.start[a] = i % blocking.counts[a] * blocking.box[a];
    block.box[a] = std::min(blocking.box[a], reading.axis[a].positions - block.start[a]);
    i /= blocking.counts[a];
  }
  block.image = i * blocking.images;
  block.images = std::min(blocking.images, reading.batch - block.image);
  return block;
}

Blocking choose_blocking(const ConvReading& reading, Index least, Index most, Index wanted, Index item_size,
                         Index tile) {
  Blocking b;
  for (int a = 0; a < max_conv_rank; ++a) {
    b.box[a] = reading.axis[a].positions;
    b.counts[a] = 1;
  }
  const auto too_large = [&] {
    const Index bytes = SourceTile(reading, b.box, 1, false, item_size).size(reading.source_channels) * item_size;
    const Index blocks = reading.batch * b.counts.product();
    return b.positions() > most || (b.positions() >= 2 * least && (bytes > tile_bytes || blocks < wanted));
  };
  // Halve the outermost axis that can be halved: rows stay whole as long as possible.
  while (too_large()) {
    int a = 0;
    while (a < 2 && b.box[a] == 1) ++a;
    b.counts[a] = divide_up(reading.axis[a].positions, divide_up(b.box[a], 2));
    b.box[a] = divide_up(reading.axis[a].positions, b.counts[a]);
    b.counts[a] = divide_up(reading.axis[a].positions, b.box[a]);
  }
  // Small planes: several images at a time, evenly; as many as make a tile of columns (or several) one position, whose
  // padding is then left out, if that is not far more than asked for.
  Index images = std::clamp<Index>(divide_up(least, b.positions()), 1, reading.batch);
  images = divide_up(reading.batch, divide_up(reading.batch, images));
  const Index whole = std::min(divide_up(images, tile) * tile, reading.batch);
  if (whole <= 2 * images) images = whole;
  b.images = images;
  b.image_blocks = divide_up(reading.batch, images);
  return b;
}

}  // namespace duet::kernels
