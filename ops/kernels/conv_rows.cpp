// Convolution in either direction with the pixels of a row side by side in vectors: for so few output channels that
// vectors of channels would be mostly empty, or so few products per output that turning sums into planes would cost
// more than the sums. Depthwise convolution is the extreme of both.
#include <algorithm>
#include <cstdint>

#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>
#include <duet/ops/kernels/conv_channels.hpp>
#include <duet/ops/kernels/conv_paths.hpp>

namespace duet::kernels {
namespace {

constexpr Index least_pixels = 256, most_pixels = 4096, wanted_items = 16;
constexpr Index item_products = 1 << 16;  // work below this is not worth an item of its own

/// Whether rows can be read where they are: no padding, and neighbouring positions are neighbours in the source.
bool reads_directly(const ConvReading& r) {
  return r.inside() && r.axis[2].step == 1 && r.source_channels * r.source_plane < INT32_MAX;
}

/// Whether 3 x 3 taps with a padding of one run over planes that keep their size: such planes need no copy, the kernel
/// knows what lies around them.
bool bare_planes(const ConvReading& r) {
  if (r.axis[0].taps() != 1 || r.axis[0].source != 1 || r.axis[0].out != 1 || r.axis[0].delta[0] != 0) return false;
  for (int a = 1; a < max_conv_rank; ++a) {
    const AxisReading& axis = r.axis[a];
    if (axis.taps() != 3 || axis.step != 1 || axis.period != 1 || axis.source != axis.out) return false;
    if (axis.delta[1] != 0 || axis.delta[0] * axis.delta[0] != 1 || axis.delta[2] != -axis.delta[0]) return false;
  }
  return r.source_channels * r.source_plane < INT32_MAX;
}

/// Whether the kernel may read a vector around the rows of a block of a bare plane, whose first element is number
/// `first` of `total`.
bool surrounded(Index first, Index count, Index total, int vector) {
  return first > 0 && total - (first + count) >= 2 * vector;
}

/// Outputs of a register tile. Where a sum has few products its store is what costs, and many planes at once, often a
/// power of two apart, displace each other in the first-level cache.
Index outputs_at_once(const ConvReading& r, Index most) {
  constexpr Index few_products = 16, few_outputs = 4;
  return r.source_channels * r.taps < few_products * r.phases() ? std::min(few_outputs, most) : most;
}

/// The offsets of all taps of all channels in planes as they are.
std::vector<std::int32_t> bare_offsets(const ConvReading& r) {
  std::vector<std::int32_t> list;
  for (Index c = 0; c < r.source_channels; ++c)
    for (Index t = 0; t < r.taps; ++t)
      list.push_back(static_cast<std::int32_t>(c * r.source_plane +
                                               r.axis[1].delta[r.tap_along(t, 1)] * r.axis[2].source +
                                               r.axis[2].delta[r.tap_along(t, 2)]));
  return list;
}

template <class T>
class RowConv {
 public:
  RowConv(const ConvReading& reading, const T* source, const T* weight, const T* bias, T* out)
      : r_(reading),
        k_(conv_kernels<T>()),
        source_(source),
        bias_(bias),
        out_(out),
        paired_(pairs_phases(reading.axis[2])),
        chunks_(divide_up(reading.out_channels, outputs_at_once(reading, k_.row_outputs) / (paired_ ? 2 : 1))),
        direct_(reads_directly(reading)),
        blocking_(
            choose_blocking(reading, least_pixels, most_pixels, divide_up(wanted_items, reading.groups), sizeof(T))),
        tile_(reading, blocking_.box, 1, true, sizeof(T)) {
    blocking_.image_blocks = reading.batch;
    blocking_.images = 1;
    joined_ = direct_ && r_.pointwise() && blocking_.box[2] == r_.axis[2].positions;
    list_terms();
    arrange_weights(weight);
    if (r_.out_channels == 1 && bare_planes(r_) && blocking_.counts[2] == 1) bare_offset_ = bare_offsets(r_);
  }

  void run() {
    const Index items = r_.groups * blocking_.blocks();
    const Index products = blocking_.positions() * r_.taps * r_.source_channels * r_.out_channels;
    // Runs of items, so that the source of the next one can be fetched during this one.
    const Index few = std::min(item_products / products, items / wanted_items);
    parallel_for(items, std::max<Index>({1, items / (2 * wanted_items), few}), [&](Index begin, Index end) {
      const Index tile = direct_ ? 0 : tile_.size(r_.source_channels);
      const Index rows = r_.axis[2].period == 1 || paired_ ? 0 : k_.row_outputs * r_.axis[2].phases * blocking_.box[2];
      const Scratch scratch((tile + rows + k_.lanes) * static_cast<Index>(sizeof(T)));
      for (Index i = begin; i < end; ++i) compute(i, i + 1 < end ? i + 1 : -1, scratch.as<T>(), scratch.as<T>() + tile);
    });
  }

 private:
  /// The taps of a phase, or of a pair of phases of a row: those of both that take the same source element, then those
  /// of one alone. `offset` and `weight` are where their offsets, and a channel's weights, start.
  struct Terms {
    std::vector<std::pair<Index, Index>> shared;
    std::vector<Index> alone[2];
    Index offset = 0, weight = 0;
  };

  /// The tap of phase f with the same place in the source as `tap`, or -1.
  Index partner(Index tap, Index f) const {
    for (Index i = r_.first[f]; i < r_.first[f + 1]; ++i) {
      const Index other = r_.order[i];
      if (r_.tap_along(tap, 0) == r_.tap_along(other, 0) && r_.tap_along(tap, 1) == r_.tap_along(other, 1) &&
          r_.axis[2].delta[r_.tap_along(tap, 2)] == r_.axis[2].delta[r_.tap_along(other, 2)])
        return other;
    }
    return -1;
  }

  Terms terms_of(Index f) const {
    Terms terms;
    terms.offset = static_cast<Index>(offset_.size());
    terms.weight = r_.source_channels * r_.first[f];
    for (Index i = r_.first[f]; i < r_.first[f + 1]; ++i) {
      const Index tap = r_.order[i], other = paired_ ? partner(tap, f + 1) : -1;
      if (paired_ && other < 0)
        terms.alone[0].push_back(tap);
      else
        terms.shared.push_back({tap, other});
    }
    for (Index i = r_.first[f + 1]; paired_ && i < r_.first[f + 2]; ++i)
      if (partner(r_.order[i], f) < 0) terms.alone[1].push_back(r_.order[i]);
    return terms;
  }

  void list_terms() {
    const Index row = r_.axis[2].source, depth = row * r_.axis[1].source;
    const auto add = [&](Index c, Index t) {
      const Index direct = r_.axis[0].delta[r_.tap_along(t, 0)] * depth + r_.axis[1].delta[r_.tap_along(t, 1)] * row +
                           r_.axis[2].delta[r_.tap_along(t, 2)] + c * r_.source_plane;
      offset_.push_back(static_cast<std::int32_t>(direct_ ? direct : c * tile_.channel_stride() + tile_.tap_offset(t)));
    };
    for (Index f = 0; f < r_.phases(); f += paired_ ? 2 : 1) {
      terms_.push_back(terms_of(f));
      for (Index c = 0; c < r_.source_channels; ++c)
        for (const auto& [tap, other] : terms_.back().shared) add(c, tap);
      for (const std::vector<Index>& alone : terms_.back().alone)
        for (Index c = 0; c < r_.source_channels; ++c)
          for (const Index tap : alone) add(c, tap);
    }
  }

  Slice chunk(Index i) const { return slice(r_.out_channels, chunks_, i); }
  /// Weights of an output channel.
  Index channel_weights() const { return r_.source_channels * r_.first[r_.phases()]; }

  /// Weights as [group][chunk of outputs][phase][channel, tap][output of the chunk], or, for pairs of phases,
  /// [...][pair][channel, tap][output of the chunk][phase] for the taps of both and as before for those of one.
  void arrange_weights(const T* weight) {
    weights_.resize(static_cast<std::size_t>(r_.groups * r_.out_channels * channel_weights()));
    T* to = weights_.data();
    for (Index g = 0; g < r_.groups; ++g)
      for (Index i = 0; i < chunks_; ++i) {
        const Slice outputs = chunk(i);
        const auto add = [&](Index c, Index tap, Index other) {
          const T* from = weight + g * r_.weight_group + c * r_.weight_source;
          for (Index o = outputs.begin; o < outputs.end; ++o) {
            *to++ = from[o * r_.weight_out + tap];
            if (other >= 0) *to++ = from[o * r_.weight_out + other];
          }
        };
        for (const Terms& terms : terms_) {
          for (Index c = 0; c < r_.source_channels; ++c)
            for (const auto& [tap, other] : terms.shared) add(c, tap, other);
          for (const std::vector<Index>& alone : terms.alone)
            for (Index c = 0; c < r_.source_channels; ++c)
              for (const Index tap : alone) add(c, tap, -1);
        }
      }
  }

  /// What an item will read, spread over the rows of another one.
  Ahead ahead_of(Index item) const {
    if (item < 0 || direct_) return {};
    const Block block = block_at(r_, blocking_, item / r_.groups);
    const Index plane = (block.image * r_.groups + item % r_.groups) * r_.source_channels * r_.source_plane;
    Ahead ahead = tile_.ahead(source_ + plane, 0, 1, r_.source_channels, block.start, block.box, sizeof(T));
    ahead.at_once = divide_up(ahead.lines(), std::max<Index>(1, blocking_.positions() / (8 * k_.lanes)));
    return ahead;
  }

  void compute(Index item, Index next, T* tile, T* rows) const {
    const Index group = item % r_.groups;
    const Block block = block_at(r_, blocking_, item / r_.groups);
    const Index plane = (block.image * r_.groups + group) * r_.source_channels * r_.source_plane;
    Ahead ahead = ahead_of(next);
    if (is_bare(plane, block)) return compute_bare(group, block, source_ + plane, ahead);
    if (!direct_) tile_.fill(tile, source_ + plane, 0, 1, r_.source_channels, block.start, block.box);
    for (Index i = 0; i < chunks_; ++i)
      for (Index f = 0; f < r_.phases(); f += r_.axis[2].phases) {
        const Index fh = f / r_.axis[2].phases % r_.axis[1].phases, fd = f / r_.axis[2].phases / r_.axis[1].phases;
        for (Index d = 0; d < block.box[0]; ++d)
          compute_rows(group, i, f, fd, fh, block, d, source_ + plane, tile, rows, ahead);
      }
  }

  bool is_bare(Index plane, const Block& block) const {
    const Index row = r_.axis[2].source, first = plane + block.start[1] * row;
    const Index count = (r_.source_channels - 1) * r_.source_plane + block.box[1] * row;
    return !bare_offset_.empty() &&
           surrounded(first, count, r_.batch * r_.groups * r_.source_channels * r_.source_plane, k_.lanes);
  }

  void compute_bare(Index group, const Block& block, const T* source, Ahead& ahead) const {
    const Index row = r_.axis[2].source;
    RowProduct<T> task{};
    task.source = source + block.start[1] * row;
    task.source_row = task.to_row = row;
    task.offset = bare_offset_.data();
    task.weights = weights_.data() + group * static_cast<Index>(bare_offset_.size());
    task.terms = static_cast<Index>(bare_offset_.size());
    task.bias = bias_ ? bias_ + group : nullptr;
    task.to = out_ + (block.image * r_.groups + group) * r_.out_plane + block.start[1] * row;
    task.outputs = 1;
    task.rows = block.box[1];
    task.count = row;
    task.ahead = &ahead;
    task.bare = true;
    task.first_missing = block.start[1] == 0;
    task.last_missing = block.start[1] + block.box[1] == r_.axis[1].out;
    k_.rows(task);
  }

  /// All rows of one depth and of one phase of depth and height.
  void compute_rows(Index group, Index chunk_index, Index f, Index fd, Index fh, const Block& block, Index d,
                    const T* source, const T* tile, T* rows, Ahead& ahead) const {
    const AxisReading &ad = r_.axis[0], &ah = r_.axis[1], &aw = r_.axis[2];
    const Slice outputs = chunk(chunk_index);
    const Index od = (block.start[0] + d) * ad.period + fd, oh = block.start[1] * ah.period + fh;
    if (od >= ad.out || oh >= ah.out) return;
    const Index channel = group * r_.out_channels + outputs.begin, ow = block.start[2] * aw.period;
    const Index count = std::min(block.box[1], divide_up(ah.out - oh, ah.period));
    RowProduct<T> task{};
    task.outputs = static_cast<int>(outputs.size() * (paired_ ? 2 : 1));
    task.interleaved = paired_;
    task.bias = bias_ ? bias_ + channel : nullptr;
    task.may_overread = !direct_;
    task.ahead = &ahead;
    if (direct_) {
      task.source =
          source + ((block.start[0] + d) * ad.step * ah.source + block.start[1] * ah.step) * aw.source + block.start[2];
      task.source_row = ah.step * aw.source;
    } else {
      task.source = tile + tile_.position_offset(0, d);
      task.source_row = tile_.position_offset(1, 1);
    }
    T* to =
        out_ + (block.image * r_.groups * r_.out_channels + channel) * r_.out_plane + (od * ah.out + oh) * aw.out + ow;
    const auto set_terms = [&](Index i) {
      const Terms& terms = terms_[i];
      const auto count_of = [&](const auto& taps) { return r_.source_channels * static_cast<Index>(taps.size()); };
      task.offset = offset_.data() + terms.offset;
      task.terms = count_of(terms.shared);
      for (int phase = 0; phase < 2; ++phase) task.alone[phase] = count_of(terms.alone[phase]);
      task.weights = weights_.data() + (group * r_.out_channels + outputs.begin) * channel_weights() +
                     terms.weight * outputs.size();
    };
    if (aw.period == 1 || paired_) {
      set_terms(paired_ ? f / 2 : f);
      task.to = to;
      task.to_output = r_.out_plane;
      task.to_row = ah.period * aw.out;
      task.rows = joined_ ? 1 : count;
      task.count = joined_ ? count * block.box[2] : block.box[2];
      k_.rows(task);
      return;
    }
    // The phases of a row one after the other, then interleaved.
    const T* first_row = task.source;
    const Index stretch = blocking_.box[2], out_count = std::min(block.box[2] * aw.period, aw.out - ow);
    for (Index h = 0; h < count; ++h) {
      for (Index fw = 0; fw < aw.phases; ++fw) {
        set_terms(f + fw);
        task.source = first_row + h * task.source_row;
        task.to = rows + fw * stretch;
        task.to_output = aw.phases * stretch;
        task.rows = 1;
        task.count = block.box[2];
        k_.rows(task);
      }
      for (Index o = 0; o < outputs.size(); ++o)
        interleave(rows + o * aw.phases * stretch, stretch, to + o * r_.out_plane + h * ah.period * aw.out, out_count);
    }
  }

  /// `count` elements of a row from its phases, `stretch` apart.
  void interleave(const T* from, Index stretch, T* row, Index count) const {
    const AxisReading& aw = r_.axis[2];
    if (aw.period == 2) return k_.zip({from, from + (aw.phases - 1) * stretch, row, count});
    for (Index fw = 0; fw < aw.phases; ++fw)
      for (Index i = 0; i * aw.period + fw < count; ++i) row[i * aw.period + fw] = from[fw * stretch + i];
  }

  const ConvReading& r_;
  const ConvKernels<T>& k_;
  const T* source_;
  const T* bias_;
  T* out_;
  bool paired_;
  Index chunks_;
  bool direct_, joined_ = false;
  Blocking blocking_;
  SourceTile tile_;
  std::vector<std::int32_t> offset_, bare_offset_;  // the latter empty if planes need a copy
  std::vector<Terms> terms_;
  std::vector<T> weights_;
};

/// Weight gradients of a few channels by a few: dot products of rows.
template <class T>
class RowWeight {
 public:
  RowWeight(const ConvReading& reading, const T* source, const T* out, T* weight)
      : r_(reading),
        k_(conv_kernels<T>()),
        source_(source),
        out_(out),
        weight_(weight),
        blocking_(choose_blocking(reading, least_pixels, most_pixels, 1, sizeof(T))),
        tile_(reading, blocking_.box, 1, true, sizeof(T)) {
    blocking_.image_blocks = reading.batch;
    blocking_.images = 1;
    direct_ = r_.pointwise() && reads_directly(r_) && blocking_.box[2] == r_.axis[2].positions;
    if (bare_planes(r_) && blocking_.counts[2] == 1) bare_offset_ = bare_offsets(r_);
    for (Index c = 0; c < r_.source_channels; ++c)
      for (Index t = 0; t < r_.taps; ++t)
        offset_.push_back(static_cast<std::int32_t>(direct_ ? c * r_.source_plane
                                                            : c * tile_.channel_stride() + tile_.tap_offset(t)));
  }

  void run() {
    const Index splits = std::min(blocking_.blocks(), divide_up(wanted_items, r_.groups));
    const Index terms = static_cast<Index>(offset_.size()), count = r_.groups * r_.out_channels * terms;
    std::vector<T> partial(static_cast<std::size_t>(splits * count), T(0));
    const Index items = splits * r_.groups;
    // Of several groups together the blocks are taken in the order of memory.
    parallel_for(items, std::max<Index>(1, items / (2 * wanted_items)), [&](Index begin, Index end) {
      const Scratch tile(tile_.size(r_.source_channels) * static_cast<Index>(sizeof(T)));
      for (Index first = begin; first < end;) {
        const Index split = first / r_.groups, last = std::min(end, (split + 1) * r_.groups);
        const Slice blocks = slice(blocking_.blocks(), splits, split);
        for (Index b = blocks.begin; b < blocks.end; ++b)
          for (Index i = first; i < last; ++i) {
            const Index group = i % r_.groups;
            const Place next = i + 1 < last         ? Place{group + 1, b}
                               : b + 1 < blocks.end ? Place{first % r_.groups, b + 1}
                                                    : Place{0, -1};
            accumulate({group, b}, next, tile.as<T>(),
                       partial.data() + split * count + group * r_.out_channels * terms);
          }
        first = last;
      }
    });
    for (Index i = 0; i < count; ++i) {
      T sum = partial[i];
      for (Index split = 1; split < splits; ++split) sum += partial[split * count + i];
      weight_[i] = sum;
    }
  }

 private:
  /// A block of a group's planes; a negative one is none.
  struct Place {
    Index group, block;
  };

  /// What a block will read of both sides, spread over the rows of another one.
  void look_ahead(const Place& next, Ahead& ahead, Ahead& then) const {
    if (next.block < 0 || direct_) return;
    const Block block = block_at(r_, blocking_, next.block);
    const Index plane = block.image * r_.groups + next.group, item = static_cast<Index>(sizeof(T));
    ahead = tile_.ahead(source_ + plane * r_.source_channels * r_.source_plane, 0, 1, r_.source_channels, block.start,
                        block.box, item);
    const Index first = (block.start[0] * r_.axis[1].out + block.start[1]) * r_.axis[2].out;
    then.at = reinterpret_cast<const char*>(out_ + plane * r_.out_channels * r_.out_plane + first);
    then.bytes = std::min(block.box[0] * block.box[1] * r_.axis[2].out, r_.out_plane - first) * item;
    then.end = then.at + then.bytes;
    then.stride = r_.out_plane * item;
    then.runs = r_.out_channels;
    ahead.then = &then;
    const Index rows = std::max<Index>(1, block.box[0] * block.box[1] / 4 * r_.out_channels);
    ahead.at_once = then.at_once = divide_up(ahead.lines() + then.lines(), rows);
  }

  void accumulate(const Place& here, const Place& next, T* tile, T* to) const {
    const Block block = block_at(r_, blocking_, here.block);
    const Index group = here.group;
    const AxisReading &ah = r_.axis[1], &aw = r_.axis[2];
    const Index channels = r_.source_channels, terms = static_cast<Index>(offset_.size());
    const T* source = source_ + (block.image * r_.groups + group) * channels * r_.source_plane;
    const Index row = aw.source, first = (source - source_) + block.start[1] * row;
    const bool bare = !bare_offset_.empty() && surrounded(first, (channels - 1) * r_.source_plane + block.box[1] * row,
                                                          r_.batch * r_.groups * channels * r_.source_plane, k_.lanes);
    if (!direct_ && !bare) tile_.fill(tile, source, 0, 1, channels, block.start, block.box);
    Ahead ahead{}, then{};
    look_ahead(next, ahead, then);
    for (Index k = 0; k < r_.out_channels; ++k)
      for (Index d = 0; d < block.box[0]; ++d) {
        const Index plane = (block.image * r_.groups + group) * r_.out_channels + k;
        RowDots<T> task{};
        task.lanes =
            out_ + plane * r_.out_plane + ((block.start[0] + d) * ah.out + block.start[1]) * aw.out + block.start[2];
        task.lanes_row = aw.out;
        // A pointwise plane has no rows: one long run is as good.
        const Index start = ((block.start[0] + d) * ah.out + block.start[1]) * aw.out;
        task.source = direct_ ? source + start : tile + tile_.position_offset(0, d);
        task.source_row = tile_.position_offset(1, 1);
        task.offset = offset_.data();
        task.terms = terms;
        task.rows = direct_ ? 1 : block.box[1];
        task.count = direct_ ? block.box[1] * block.box[2] : block.box[2];
        task.to = to + k * terms;
        task.ahead = &ahead;
        if (bare) {
          task.source = source + block.start[1] * row;
          task.source_row = row;
          task.offset = bare_offset_.data();
          task.bare = true;
          task.first_missing = block.start[1] == 0;
          task.last_missing = block.start[1] + block.box[1] == ah.out;
        }
        k_.dots(task);
      }
  }

  const ConvReading& r_;
  const ConvKernels<T>& k_;
  const T* source_;
  const T* out_;
  T* weight_;
  Blocking blocking_;
  SourceTile tile_;
  std::vector<std::int32_t> offset_, bare_offset_;  // the latter empty if planes need a copy
  bool direct_ = false;
};

}  // namespace

template <class T>
void conv_by_rows(const ConvReading& reading, const T* source, const T* weight, const T* bias, T* out) {
  RowConv<T>(reading, source, weight, bias, out).run();
}

template <class T>
void weight_by_rows(const ConvReading& reading, const T* source, const T* out, T* weight) {
  RowWeight<T>(reading, source, out, weight).run();
}

template void conv_by_rows<float>(const ConvReading&, const float*, const float*, const float*, float*);
template void conv_by_rows<double>(const ConvReading&, const double*, const double*, const double*, double*);
template void weight_by_rows<float>(const ConvReading&, const float*, const float*, float*);
template void weight_by_rows<double>(const ConvReading&, const double*, const double*, double*);

}  // namespace duet::kernels
