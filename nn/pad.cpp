// Padding layers: pad() over the last N dimensions.
#include <duet/nn/pad.hpp>

#include <duet/nn/layer.hpp>

namespace duet::nn {
namespace {

std::string layer_name(int rank, PadMode mode) {
  static constexpr const char* names[] = {"ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad"};
  return fmt::format("{}{}d", names[static_cast<int>(mode)], rank);
}

}  // namespace

template <int N, PadMode mode>
Pad<N, mode>::Pad(Module* parent, std::string name, const std::vector<std::int64_t>& amounts, double value)
    : Module(parent, std::move(name)), options{amounts, mode, value} {
  if (amounts.size() != 2 * N)
    fail<ValueError>(layer_name(N, mode), "needs {} amounts, before and after each dimension, got {}", 2 * N,
                     amounts.size());
}

template <int N, PadMode mode>
Tensor Pad<N, mode>::forward(const Tensor& x) {
  if (x.rank() != N + 1 && x.rank() != N + 2)
    fail<ShapeError>(kind(), "x needs {} dimensions, or {} unbatched, got {}", N + 2, N + 1, x.shape());
  return pad(x, options);
}

template <int N, PadMode mode>
std::string Pad<N, mode>::kind() const {
  return layer_name(N, mode);
}

template <int N, PadMode mode>
std::string Pad<N, mode>::describe() const {
  return to_string(AnyOptions(options));
}

#define DUET_PAD_LAYER(N)                    \
  template class Pad<N, PadMode::constant>;  \
  template class Pad<N, PadMode::reflect>;   \
  template class Pad<N, PadMode::replicate>; \
  template class Pad<N, PadMode::circular>;
DUET_PAD_LAYER(1)
DUET_PAD_LAYER(2)
DUET_PAD_LAYER(3)
#undef DUET_PAD_LAYER

}  // namespace duet::nn
