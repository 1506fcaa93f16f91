// Anomaly mode: stops at the first NaN or infinity, forward or backward, and says where it came from.
#pragma once

#include <cstdint>
#include <vector>

#include <duet/core/tape.hpp>

namespace duet {

struct AnomalyOptions {
  bool infinities = true;  ///< else only NaN counts
  bool stacks = true;      ///< remember the call stack of every recorded op
};

/// Watches what this thread computes while it lives. The first op or vjp that makes a NaN or an infinity throws
/// AutogradError, which names the op, the ranges of its inputs, the module path, the op's number on the tape (of those
/// recorded since this object was made, from 1) and the stack that recorded it. Every result is read once: slow.
class AnomalyMode final : public Observer {
 public:
  explicit AnomalyMode(const AnomalyOptions& options = {});
  ~AnomalyMode() override;

  void before_op(const Call& call) override;
  void after_op(const Call& call, std::span<const Tensor> outputs, Node* node) override;
  void before_vjp(Node& node, std::span<const Tensor> cotangents) override;
  void after_vjp(Node& node, std::span<const Tensor> cotangents, std::span<const Tensor> gradients) override;
  void failed() override;

 private:
  bool bad(const Tensor& tensor) const;

  AnomalyOptions options_;
  ObserverGuard guard_;
  std::int64_t recorded_ = 0;
  std::vector<int> running_;  // what has begun and not ended: 1 for a vjp (not bool, whose vector compiles slowly)
  std::string inner_;         // the first op inside the running vjp that went wrong
};

/// Remembers the module path of every op that this thread records while it lives, for the drawings of the tape
/// (autograd/draw.hpp). Anomaly mode and the profiler do so as well.
class ScopeRecorder final : public Observer {
 public:
  ScopeRecorder();
  void after_op(const Call& call, std::span<const Tensor> outputs, Node* node) override;

 private:
  ObserverGuard guard_;
  std::int64_t recorded_ = 0;
};

}  // namespace duet
