// Padding layers: a value, mirrored, the edge repeated, or the other end, around one to three dimensions.
#pragma once

#include <vector>

#include <duet/nn/module.hpp>
#include <duet/ops/pad.hpp>

namespace duet::nn {

/// Pads the last N dimensions of x (N, C, S…) or (C, S…). `amounts` are before and after the last dimension, then the
/// one before it, …; negative ones crop. ValueError unless there are 2 N of them (or one, for all); ShapeError in
/// forward for another rank.
template <int N, PadMode mode>
class Pad : public Module {
 public:
  explicit Pad(std::int64_t all) : Pad(nullptr, "", all) {}
  explicit Pad(const std::vector<std::int64_t>& amounts) : Pad(nullptr, "", amounts) {}
  Pad(Module* parent, std::string name, std::int64_t all)
      : Pad(parent, std::move(name), std::vector<std::int64_t>(2 * N, all)) {}
  Pad(Module* parent, std::string name, const std::vector<std::int64_t>& amounts, double value = 0);
  Tensor forward(const Tensor& x) override;
  std::string kind() const override;
  std::string describe() const override;

  PadOptions options;
};

/// The same with a value of one's own.
template <int N>
class ConstantPad : public Pad<N, PadMode::constant> {
 public:
  ConstantPad(std::int64_t all, double value) : ConstantPad(nullptr, "", all, value) {}
  ConstantPad(const std::vector<std::int64_t>& amounts, double value) : ConstantPad(nullptr, "", amounts, value) {}
  ConstantPad(Module* parent, std::string name, std::int64_t all, double value)
      : ConstantPad(parent, std::move(name), std::vector<std::int64_t>(2 * N, all), value) {}
  ConstantPad(Module* parent, std::string name, const std::vector<std::int64_t>& amounts, double value)
      : Pad<N, PadMode::constant>(parent, std::move(name), amounts, value) {}
  std::string kind() const override { return "ConstantPad" + std::to_string(N) + "d"; }
};

#define DUET_PAD_LAYER(N)                                  \
  extern template class Pad<N, PadMode::constant>;         \
  extern template class Pad<N, PadMode::reflect>;          \
  extern template class Pad<N, PadMode::replicate>;        \
  extern template class Pad<N, PadMode::circular>;         \
  using ZeroPad##N##d = Pad<N, PadMode::constant>;         \
  using ReflectionPad##N##d = Pad<N, PadMode::reflect>;    \
  using ReplicationPad##N##d = Pad<N, PadMode::replicate>; \
  using CircularPad##N##d = Pad<N, PadMode::circular>;     \
  using ConstantPad##N##d = ConstantPad<N>;
DUET_PAD_LAYER(1)
DUET_PAD_LAYER(2)
DUET_PAD_LAYER(3)
#undef DUET_PAD_LAYER

}  // namespace duet::nn
