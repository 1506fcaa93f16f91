// Many tensors as one parallel loop.
#include <duet/ops/kernels/optimizer.hpp>

#include <algorithm>
#include <vector>

#include <duet/core/parallel.hpp>

namespace duet::kernels {
namespace {

constexpr std::int64_t piece_length = 1 << 14;  // elements

std::int64_t pieces_of(const Run& run) { return (run.count + piece_length - 1) / piece_length; }

}  // namespace

std::int64_t count_pieces(std::span<const Run> runs) {
  std::int64_t count = 0;
  for (const Run& run : runs) count += pieces_of(run);
  return count;
}

void for_each_piece(std::span<const Run> runs, FunctionRef<void(const Run&, std::int64_t)> body) {
  std::vector<Run> pieces;
  pieces.reserve(static_cast<std::size_t>(count_pieces(runs)));
  for (const Run& run : runs) {
    const std::int64_t item = run.f64 ? 8 : 4;
    for (std::int64_t at = 0; at < run.count; at += piece_length)
      pieces.push_back({static_cast<char*>(run.data) + at * item,
                        run.other == nullptr ? nullptr : static_cast<const char*>(run.other) + at * item,
                        std::min(piece_length, run.count - at), run.f64});
  }
  parallel_for(static_cast<std::int64_t>(pieces.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) body(pieces[static_cast<std::size_t>(k)], k);
  });
}

}  // namespace duet::kernels
