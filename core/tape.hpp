// The tape as its users meet it: guards that switch recording, hooks for what is saved, observers. What it is made of
// is in core/node.hpp; core records, autograd/ walks.
#pragma once

#include <memory>

#include <duet/core/op.hpp>

namespace duet {

/// Replaces how saved tensors are kept while it is installed on a thread (see SavedTensorHooksGuard).
struct SavedTensorHooks {
  Callable<std::shared_ptr<void>(const Tensor&)> pack;
  Callable<Tensor(const std::shared_ptr<void>&)> unpack;
};

/// Whether ops are being recorded on this thread.
bool grad_enabled();

/// Switches recording on this thread for the length of a scope.
class GradModeGuard {
 public:
  explicit GradModeGuard(bool enabled);
  ~GradModeGuard();
  GradModeGuard(const GradModeGuard&) = delete;
  GradModeGuard& operator=(const GradModeGuard&) = delete;

 private:
  bool before_;
};
/// Nothing is recorded for the length of a scope.
struct NoGradGuard : GradModeGuard {
  NoGradGuard() : GradModeGuard(false) {}
};
/// Recording is on again for the length of a scope, inside a NoGradGuard.
struct EnableGradGuard : GradModeGuard {
  EnableGradGuard() : GradModeGuard(true) {}
};

/// Records nothing for the length of a scope, whatever guards are set inside, and marks what ops make as not fit for a
/// gradient: reading such a tensor where one is recorded is an AutogradError instead of a silent constant.
class InferenceModeGuard {
 public:
  InferenceModeGuard();
  ~InferenceModeGuard();
  InferenceModeGuard(const InferenceModeGuard&) = delete;
  InferenceModeGuard& operator=(const InferenceModeGuard&) = delete;

 private:
  bool before_;
};
bool inference_mode();  ///< whether this thread is in it

/// Installs hooks for saved tensors on this thread for the length of a scope; the innermost counts.
class SavedTensorHooksGuard {
 public:
  explicit SavedTensorHooksGuard(SavedTensorHooks hooks);
  ~SavedTensorHooksGuard();
  SavedTensorHooksGuard(const SavedTensorHooksGuard&) = delete;
  SavedTensorHooksGuard& operator=(const SavedTensorHooksGuard&) = delete;
};

/// Throws AutogradError in the name of `op` if writing to `tensor` in place would falsify the tape, or its memory
/// is constant; else raises its version. Every in-place write goes through this.
void begin_in_place(const char* op, const Tensor& tensor);

/// What `apply` and the backward pass tell. Observers belong to a thread and see what it runs, in the order in
/// which they were added.
class Observer {
 public:
  virtual ~Observer() = default;
  /// Before an op runs: after its shape rule, so outputs are known by their specs.
  virtual void before_op(const Call&) {}
  /// After it ran. `node` is what was recorded, or null.
  virtual void after_op(const Call&, std::span<const Tensor> /*outputs*/, Node* /*node*/) {}
  /// Around the vjp of a node.
  virtual void before_vjp(Node&, std::span<const Tensor> /*cotangents*/) {}
  virtual void after_vjp(Node&, std::span<const Tensor> /*cotangents*/, std::span<const Tensor> /*gradients*/) {}
  /// In place of after_op or after_vjp, where what began last threw.
  virtual void failed() {}
};
/// The observers of this thread.
std::span<Observer* const> observers();
/// Adds an observer for the length of a scope.
class ObserverGuard {
 public:
  explicit ObserverGuard(Observer& observer);
  ~ObserverGuard();
  ObserverGuard(const ObserverGuard&) = delete;
  ObserverGuard& operator=(const ObserverGuard&) = delete;

 private:
  Observer* observer_;
};

}  // namespace duet
