// Readings of a geometry, and the zero-padded copies of a source that the kernels run over.
#include <duet/ops/kernels/conv_reading.hpp>

#include <algorithm>
#include <numeric>

namespace duet::kernels {
namespace {

AxisReading towards_small(const ConvAxis& a) {
  AxisReading r;
  r.positions = r.out = a.small;
  r.step = a.stride;
  r.source = a.large;
  for (Index t = 0; t < a.kernel; ++t) {
    r.delta.push_back(t * a.dilation - a.padding);
    r.phase.push_back(0);
  }
  return r;
}

AxisReading towards_large(const ConvAxis& a) {
  AxisReading r;
  r.out = a.large;
  r.period = a.stride;
  r.phases = std::min(a.stride, a.large);
  r.positions = (a.large + a.stride - 1) / a.stride;
  r.source = a.small;
  for (Index t = 0; t < a.kernel; ++t) {
    const Index offset = t * a.dilation - a.padding;
    const Index phase = ((offset % a.stride) + a.stride) % a.stride;
    r.phase.push_back(phase);
    r.delta.push_back((phase - offset) / a.stride);
  }
  return r;
}

void finish(ConvReading& r) {
  for (const AxisReading& a : r.axis) {
    r.taps *= a.taps();
    r.source_plane *= a.source;
    r.out_plane *= a.out;
    r.positions *= a.positions;
  }
  for (Index t = 0; t < r.taps; ++t) {
    r.along[2].push_back(t % r.axis[2].taps());
    r.along[1].push_back(t / r.axis[2].taps() % r.axis[1].taps());
    r.along[0].push_back(t / r.axis[2].taps() / r.axis[1].taps());
  }
  // Taps by phase. A tap whose phase has no output comes last and is never used.
  const Index phases = r.phases();
  std::vector<Index> phase_of(static_cast<std::size_t>(r.taps));
  for (Index t = 0; t < r.taps; ++t) {
    Index phase = 0;
    bool live = true;
    for (int a = 0; a < max_conv_rank; ++a) {
      const Index f = r.axis[a].phase[r.tap_along(t, a)];
      live = live && f < r.axis[a].phases;
      phase = phase * r.axis[a].phases + f;
    }
    phase_of[t] = live ? phase : phases;
    r.order.push_back(t);
  }
  std::stable_sort(r.order.begin(), r.order.end(), [&](Index a, Index b) { return phase_of[a] < phase_of[b]; });
  r.first.assign(static_cast<std::size_t>(phases) + 1, 0);
  for (Index t = 0; t < r.taps; ++t)
    if (phase_of[t] < phases) ++r.first[phase_of[t] + 1];
  for (Index f = 0; f < phases; ++f) r.first[f + 1] += r.first[f];
}

ConvReading read(const ConvGeometry& g, Index batch, bool small) {
  ConvReading r;
  r.batch = batch;
  r.groups = g.groups;
  const Index large = g.large_channels / g.groups, small_channels = g.small_channels / g.groups;
  const int lead = max_conv_rank - g.rank;
  Index taps = 1;
  for (int i = 0; i < max_conv_rank; ++i) {
    const ConvAxis axis = i < lead ? ConvAxis{} : g.axis[i - lead];
    r.axis[i] = small ? towards_small(axis) : towards_large(axis);
    taps *= axis.kernel;
  }
  r.source_channels = small ? large : small_channels;
  r.out_channels = small ? small_channels : large;
  r.weight_group = small_channels * large * taps;
  r.weight_out = small ? large * taps : taps;
  r.weight_source = small ? taps : large * taps;
  finish(r);
  return r;
}

/// Copies elements of a row that are `step` apart: number i comes from index from[i], or is zero where that is -1,
/// before the first that exists or behind the last.
template <class T>
void split_row(T* to, const Index* from, Index count, const T* row, Index step) {
  Index i = 0;
  for (; i < count && from[i] < 0; ++i) to[i] = T(0);
  Index end = count;
  for (; end > i && from[end - 1] < 0; --end) to[end - 1] = T(0);
  const T* first = i < end ? row + from[i] : row;
  if (step == 2)  // a loop that compilers have vectors for
    for (Index j = 0; j < end - i; ++j) to[i + j] = first[2 * j];
  else
    for (Index j = 0; j < end - i; ++j) to[i + j] = first[step * j];
}

}  // namespace

bool ConvReading::inside() const {
  for (const AxisReading& a : axis) {
    const auto [low, high] = std::minmax_element(a.delta.begin(), a.delta.end());
    if (*low < 0 || (a.positions - 1) * a.step + *high >= a.source) return false;
  }
  return true;
}

ConvReading read_small(const ConvGeometry& geometry, Index batch) { return read(geometry, batch, true); }
ConvReading read_large(const ConvGeometry& geometry, Index batch) { return read(geometry, batch, false); }

SourceTile::SourceTile(const ConvReading& reading, const Box& box, Index images, bool rows, Index item_size)
    : reading_(reading), box_(box), box_images_(images), line_(64 / item_size) {
  for (int a = 0; a < max_conv_rank; ++a) {
    const AxisReading& axis = reading.axis[a];
    const auto [low, high] = std::minmax_element(axis.delta.begin(), axis.delta.end());
    low_[a] = *low;
    const Index stretch = (box[a] - 1) * axis.step + (*high - *low) + 1;
    const bool neighbours = rows && a == 2 && axis.step > 1;
    if (!(rows && a == 2) && box[a] * axis.taps() < stretch) {
      form_[a] = Form::gathered;
      length_[a] = box[a] * axis.taps();
      position_step_[a] = axis.taps();
    } else if (neighbours) {
      form_[a] = Form::split;
      split_ = (stretch + axis.step - 1) / axis.step;
      length_[a] = split_ * axis.step;
      position_step_[a] = 1;
    } else {
      form_[a] = Form::stretch;
      length_[a] = stretch;
      position_step_[a] = axis.step;
    }
  }
  slack_ = 2 * line_;
  stride_[2] = 1;
  stride_[1] = length_[2];
  stride_[0] = stride_[1] * length_[1];
  image_stride_ = stride_[0] * length_[0];
  // An odd number of cache lines per channel spreads the channels over all sets of a cache.
  channel_stride_ = ((image_stride_ * images + line_ - 1) / line_ | 1) * line_;
}

bool SourceTile::read_in_place(Index channels) {
  constexpr Index way = 128 * 1024, cache = 1024 * 1024;  // of a second-level cache of 8 ways
  const Index plane = reading_.source_plane, image = reading_.groups * reading_.source_channels * plane;
  const Index item = 64 / line_;
  if (!reading_.inside() || box_images_ * image >= INT32_MAX) return false;
  if (channels * std::gcd(plane * item, way) > cache) return false;
  in_place_ = true;
  stride_[1] = reading_.axis[2].source;
  stride_[0] = stride_[1] * reading_.axis[1].source;
  for (int a = 0; a < max_conv_rank; ++a) {
    form_[a] = Form::stretch;
    position_step_[a] = reading_.axis[a].step;
  }
  image_stride_ = image;
  channel_stride_ = plane;
  return true;
}

Index SourceTile::start_offset(const Box& start) const {
  Index offset = 0;
  for (int a = 0; a < max_conv_rank; ++a) offset += (start[a] * reading_.axis[a].step + low_[a]) * stride_[a];
  return offset;
}

Index SourceTile::tap_offset(Index tap) const {
  Index offset = 0;
  for (int a = 0; a < max_conv_rank; ++a) {
    const Index t = reading_.tap_along(tap, a);
    const Index d = reading_.axis[a].delta[t] - low_[a];
    const Index step = reading_.axis[a].step;
    const Index at = form_[a] == Form::gathered ? t : form_[a] == Form::split ? d % step * split_ + d / step : d;
    offset += at * stride_[a];
  }
  return offset;
}

std::vector<std::int32_t> SourceTile::offsets(const Box& box, Index images) const {
  std::vector<std::int32_t> list(static_cast<std::size_t>(box.product() * images));
  std::int32_t* to = list.data();
  const Index step = position_offset(2, 1);
  for (Index d = 0; d < box[0]; ++d)
    for (Index h = 0; h < box[1]; ++h) {
      Index at = position_offset(0, d) + position_offset(1, h);
      for (Index w = 0; w < box[2]; ++w, at += step)
        for (Index n = 0; n < images; ++n) *to++ = static_cast<std::int32_t>(at + n * image_stride_);
    }
  return list;
}

Index SourceTile::sample(int a, Index start, Index i) const {
  const AxisReading& axis = reading_.axis[a];
  Index at = 0;
  switch (form_[a]) {
    case Form::stretch:
      at = start * axis.step + low_[a] + i;
      break;
    case Form::gathered:
      at = (start + i / axis.taps()) * axis.step + axis.delta[i % axis.taps()];
      break;
    case Form::split:
      at = start * axis.step + low_[a] + i % split_ * axis.step + i / split_;
      break;
  }
  return at >= 0 && at < axis.source ? at : -1;
}

template <class T>
void SourceTile::fill(T* tile, const T* source, Index source_image, Index images, Index channels, const Box& start,
                      const Box& box) const {
  // Where each sample of an axis comes from, or -1.
  std::vector<Index> from[max_conv_rank];
  for (int a = 0; a < max_conv_rank; ++a) {
    const Index spared = form_[a] == Form::split ? 0 : (box_[a] - box[a]) * position_step_[a];
    from[a].resize(static_cast<std::size_t>(length_[a] - spared));
    const Index samples = static_cast<Index>(from[a].size());
    if (form_[a] == Form::stretch) {  // the usual form, without a call each
      const Index first = start[a] * reading_.axis[a].step + low_[a], size = reading_.axis[a].source;
      for (Index i = 0; i < samples; ++i) from[a][i] = first + i >= 0 && first + i < size ? first + i : -1;
    } else {
      for (Index i = 0; i < samples; ++i) from[a][i] = sample(a, start[a], i);
    }
  }
  // The part of a row that is inside the source, where it can be copied as one.
  const Index length = static_cast<Index>(from[2].size());
  const bool whole = form_[2] == Form::stretch;
  Index begin = 0, end = length;
  if (whole) {
    while (begin < end && from[2][begin] < 0) ++begin;
    while (end > begin && from[2][end - 1] < 0) --end;
  }
  const Index source_row = reading_.axis[2].source, source_depth = source_row * reading_.axis[1].source;
  RowCopy<T> task{};
  task.from_plane = reading_.source_plane;
  task.to_plane = channel_stride_;
  task.to_row = stride_[1];
  task.planes = channels;
  // Rows that lie one after the other in the source, or are all padding, as one task for all channels.
  const Index rows = static_cast<Index>(from[1].size());
  for (Index first = 0, last; first < rows; first = last) {
    const bool padding = from[1][first] < 0;
    for (last = first + 1; last < rows; ++last)
      if (padding ? from[1][last] >= 0 : from[1][last] != from[1][last - 1] + 1) break;
    for (Index n = 0; n < images; ++n)
      for (std::size_t d = 0; d < from[0].size(); ++d) {
        task.to = tile + n * image_stride_ + static_cast<Index>(d) * stride_[0] + first * stride_[1];
        task.rows = last - first;
        if (padding || from[0][d] < 0 || (whole && begin == end)) {
          task.before = length;
          task.count = task.after = 0;
          conv_kernels<T>().copy_rows(task);
          continue;
        }
        const T* row = source + n * source_image + from[0][d] * source_depth + from[1][first] * source_row;
        if (form_[2] == Form::split) {
          for (Index c = 0; c < channels; ++c)
            for (Index h = 0; h < task.rows; ++h)
              for (Index i = 0; i < length; i += split_)
                split_row(task.to + c * channel_stride_ + h * stride_[1] + i, from[2].data() + i, split_,
                          row + c * task.from_plane + h * source_row, reading_.axis[2].step);
          continue;
        }
        if (!whole) {
          for (Index c = 0; c < channels; ++c)
            for (Index h = 0; h < task.rows; ++h)
              for (Index i = 0; i < length; ++i)
                task.to[c * channel_stride_ + h * stride_[1] + i] =
                    from[2][i] < 0 ? T(0) : row[c * task.from_plane + h * source_row + from[2][i]];
          continue;
        }
        task.from = row + from[2][begin];
        task.from_row = source_row;
        task.before = begin;
        task.count = end - begin;
        task.after = length - end;
        if (task.count == source_row && stride_[1] == source_row) {  // nothing between the rows
          task.count *= task.rows;
          task.rows = 1;
        }
        conv_kernels<T>().copy_rows(task);
      }
  }
}

Ahead SourceTile::ahead(const void* source, Index source_image, Index images, Index channels, const Box& start,
                        const Box& box, Index item_size) const {
  // The first and the last element of a plane that a block reads.
  Index first = 0, last = 0;
  for (int a = 0; a < max_conv_rank; ++a) {
    const AxisReading& axis = reading_.axis[a];
    const auto [low, high] = std::minmax_element(axis.delta.begin(), axis.delta.end());
    first = first * axis.source + std::clamp<Index>(start[a] * axis.step + *low, 0, axis.source - 1);
    last = last * axis.source + std::clamp<Index>((start[a] + box[a] - 1) * axis.step + *high, 0, axis.source - 1);
  }
  Ahead a{};
  a.bytes = (last - first + 1) * item_size;
  a.stride = reading_.source_plane * item_size;
  a.runs = channels;
  if (a.bytes == a.stride) {  // whole planes: the channels of an image are one run
    a.bytes *= channels;
    a.stride = source_image * item_size;
    a.runs = images;
  } else if (images > 1) {
    a.runs = 0;
  }
  a.at = static_cast<const char*>(source) + first * item_size;
  a.end = a.at + a.bytes;
  return a;
}

template void SourceTile::fill<float>(float*, const float*, Index, Index, Index, const Box&, const Box&) const;
template void SourceTile::fill<double>(double*, const double*, Index, Index, Index, const Box&, const Box&) const;

}  // namespace duet::kernels
