// The profiler: time and bytes of every op, forward and backward, by op and by module.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <duet/core/tape.hpp>

namespace duet {

/// Sums over the calls of one op, or over the ops of one module.
struct ProfileRow {
  std::string name = {};
  std::int64_t forward_calls = 0, backward_calls = 0;
  double forward_ms = 0, backward_ms = 0;
  std::int64_t forward_bytes = 0, backward_bytes = 0;  ///< of what they returned
};

/// Watches what this thread computes, from its making until stop() or its end. An op that runs inside another's vjp
/// counts as that vjp's time; the trace shows both.
class Profiler final : public Observer {
 public:
  Profiler();
  ~Profiler() override;
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  /// Ends the watching; the results stay.
  void stop();
  /// One row an op, the most expensive first.
  std::vector<ProfileRow> by_op() const;
  /// One row a module path ("" outside any); a module's row does not include its children's.
  std::vector<ProfileRow> by_module() const;
  /// Both as text.
  std::string table() const;
  /// The events as Chrome's trace format: open in chrome://tracing or ui.perfetto.dev.
  std::string chrome_trace() const;
  /// The same to a file. IoError if it cannot be written.
  void write_chrome_trace(const std::string& path) const;

  void before_op(const Call& call) override;
  void after_op(const Call& call, std::span<const Tensor> outputs, Node* node) override;
  void before_vjp(Node& node, std::span<const Tensor> cotangents) override;
  void after_vjp(Node& node, std::span<const Tensor> cotangents, std::span<const Tensor> gradients) override;
  void failed() override;

 private:
  struct State;
  std::shared_ptr<State> state_;  // of this one alone; a unique_ptr costs every user's compiler three times as much
};

}  // namespace duet
