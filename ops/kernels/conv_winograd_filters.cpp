// The transformed filters of a Winograd path.
#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>
#include <duet/ops/kernels/conv_winograd.hpp>

namespace duet::kernels {

WinogradFilters::WinogradFilters(const ConvReading& reading, const WinogradPlan& plan, Index at_once, Index sources)
    : r_(reading),
      plan_(plan),
      at_once_(at_once),
      sources_(sources),
      lanes_are_out_(reading.weight_source == reading.taps) {
  const Index vector = conv_kernels<float>().lanes, rows = plan.adding_parts() * sources;
  const Index groups = divide_up(sources, vector);
  const Index vectors = lanes_are_out_ ? divide_up(at_once, vector) * rows : groups * plan.adding_parts() * at_once;
  point_ = point_stride(vectors * vector);
  for (Index k = 0; k < at_once; ++k)
    column_offset_.push_back(
        static_cast<std::int32_t>(lanes_are_out_ ? k / vector * rows * vector + k % vector : k * vector));
  for (Index s = 0; s < plan.adding_parts(); ++s)
    for (Index c = 0; c < sources; ++c)
      row_offset_.push_back(static_cast<std::int32_t>(
          lanes_are_out_ ? (s * sources + c) * vector : (s * groups + c / vector) * at_once * vector + c % vector));
}

void WinogradFilters::transform(const float* weight, Slice channels, Slice sources, Slice outputs, float* to) const {
  const ConvKernels<float>& kernels = conv_kernels<float>();
  constexpr Index together = 32;
  const Index vector = kernels.lanes, rows = plan_.adding_parts() * sources_;
  const Index lane_channels = lanes_are_out_ ? channels.size() : sources.size();
  const Index other_channels = lanes_are_out_ ? sources.size() : channels.size();
  const Index lane_stride = lanes_are_out_ ? r_.weight_out : r_.weight_source;
  const Index groups = divide_up(sources_, vector), pieces = divide_up(other_channels, together);
  const float* first = weight + channels.begin * r_.weight_out + sources.begin * r_.weight_source;
  parallel_for(divide_up(lane_channels, vector) * pieces, 1, [&](Index begin, Index end) {
    const Scratch packed(together * r_.taps * vector * static_cast<Index>(sizeof(float)));
    std::int32_t tap[9];
    for (Index i = begin; i < end; ++i) {
      const Index lane = i / pieces * vector;
      const Slice others{i % pieces * together, std::min(other_channels, (i % pieces + 1) * together)};
      LanePack<float> pack{};
      // The other side's channels follow each other, each with its taps.
      pack.from = first + lane * lane_stride + others.begin * r_.taps;
      pack.lane_stride = lane_stride;
      pack.step = 1;
      pack.to = packed.as<float>();
      pack.to_stride = vector;
      pack.count = others.size() * r_.taps;
      pack.lanes = static_cast<int>(std::min(vector, lane_channels - lane));
      pack.width = static_cast<int>(vector);
      pack.ahead = 4 * vector;  // each lane's taps follow each other
      kernels.pack(pack);
      WinogradFilter task{};
      task.from = packed.as<float>();
      task.from_filter = r_.taps * vector;
      task.tap = tap;
      task.filters = others.size();
      task.to_point = point_;
      task.to_filter = vector;
      for (Index o = outputs.begin; o < outputs.end; ++o)
        for (Index s = 0; s < plan_.adding_parts(); ++s) {
          const std::vector<std::int32_t>& taps = plan_.parts[static_cast<std::size_t>(o + s)].taps;
          for (std::size_t t = 0; t < taps.size(); ++t) tap[t] = static_cast<std::int32_t>(taps[t] * vector);
          const Index row = lanes_are_out_ ? lane / vector * rows + s * sources_ + others.begin
                                           : (s * groups + lane / vector) * at_once_ + others.begin;
          task.to = to + (o - outputs.begin) * output() + row * vector;
          plan_.scheme->filter(task);
        }
    }
  });
}

}  // namespace duet::kernels
