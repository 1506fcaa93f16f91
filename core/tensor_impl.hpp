// What a Tensor handle points to. Internal: users and ops go through Tensor and core/raw.hpp.
#pragma once

#include <memory>
#include <vector>

#include <duet/core/callable.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

using NodePtr = std::shared_ptr<Node>;
struct TensorImpl;

/// What only a leaf that requires a gradient has.
struct LeafState {
  Tensor grad;
  std::weak_ptr<Node> accumulator;  // where edges to this leaf end; lives as long as a graph uses it
  // Called after grad was accumulated in a backward. Shared with the handles that remove them.
  std::vector<std::pair<std::uint64_t, Callable<void(const Tensor&)>>> post_accumulate_hooks;
  std::vector<std::pair<std::uint64_t, Callable<Tensor(const Tensor&)>>> hooks;
};

/// Held while a leaf's state is made or its gradient exchanged: graphs of several threads may end at one leaf. Nothing
/// is computed or freed under it.
class LeafLock {
 public:
  explicit LeafLock(const TensorImpl& leaf);
  ~LeafLock();
  LeafLock(const LeafLock&) = delete;
  LeafLock& operator=(const LeafLock&) = delete;

 private:
  std::size_t slot_;
};

struct TensorImpl {
  std::shared_ptr<Storage> storage;
  std::int64_t offset = 0;  // elements from the storage's start
  Shape shape;
  Shape strides;
  Dtype dtype = f32;
  bool contiguous = true;
  bool inference = false;      // made in inference mode
  bool requires_grad = false;  // of a leaf; a computed tensor has grad_fn instead

  NodePtr grad_fn;
  int output_index = 0;  // which output of grad_fn
  std::unique_ptr<LeafState> leaf;

  std::byte* data() const {
    return static_cast<std::byte*>(storage->data()) + offset * static_cast<std::int64_t>(item_size(dtype));
  }
};

}  // namespace duet
