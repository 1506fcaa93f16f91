// Training on several machines, or in several processes of one: the data is shared out, gradients are averaged while
// backward still runs. A component of its own, duet::mpi, because it needs MPI (Debian: libopenmpi-dev).
//
//     duet::mpi::World world;                            // mpirun -n 4 ./program
//     duet::mpi::DataParallel parallel(world, model);    // everyone begins with the first rank's weights
//     DataLoader loader(data, {.batch_size = 32, .share = world.rank(), .shares = world.size()});  // 8 samples each
//     for (auto& [image, target] : loader) {
//       optimizer.zero_grad();
//       mse_loss(model(image), target).backward();
//       parallel.synchronize();
//       optimizer.step();
//     }
//
// `duet_unet train` (examples/unet) does so under mpirun.
#pragma once

#include <memory>
#include <string>

#include <duet/nn/module.hpp>

namespace duet::mpi {

/// The processes that were started together. Make one at the beginning of main. A rank that leaves it by an exception
/// ends all of them, with a message (which does not know the exception: catch it inside, and abort() with what it
/// says); so does one that dies, which mpirun notices.
class World {
 public:
  World();
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// Whether this is the process that writes files and prints.
  bool is_first() const { return rank_ == 0; }
  /// How many of the processes are on this machine, which share its cores.
  int local_size() const { return local_size_; }
  /// This rank's part of a batch, a view. ShapeError unless the ranks divide dimension 0: unequal parts would not
  /// average to the batch.
  Tensor share(const Tensor& batch) const;
  /// Copies the first rank's values into `tensor` (same shape and dtype everywhere, contiguous).
  void broadcast(Tensor tensor) const;
  /// ValueError, the same on every rank, where one has another text than the first: it names the rank, `what`, and the
  /// first line that differs. Everyone has to call it.
  void require_same(const std::string& what, const std::string& text) const;
  /// Waits until everyone is here.
  void barrier() const;
  /// Prints the message with this rank's number, and ends all ranks. Those other than the first wait half a second
  /// before: a mistake that all of them make is told once.
  [[noreturn]] void abort(const std::string& message) const;

 private:
  int rank_ = 0, size_ = 1, local_size_ = 1, exceptions_;
  bool began_;  // MPI was begun here, and ends here
};

/// The sum over all ranks, which everyone gets; its gradient is the sum over all ranks of the cotangents. Everyone has
/// to call it, in the same order. f32 or f64.
Tensor all_reduce(const Tensor& x);

struct DataParallelOptions {
  std::int64_t bucket_bytes = 1 << 20;  ///< gradients travel together from this size on
};

/// Averages a module's gradients over the ranks. N ranks with a batch of B / N each get what one process gets with B,
/// up to rounding, where the loss is a mean over samples that do not see each other; synchronize_batch_norms() makes
/// batch norm see all.
class DataParallel {
 public:
  /// Broadcasts parameters and buffers. ValueError on every rank where one has another model: it names the first
  /// difference. `module` has to outlive this, and its parameters must not be exchanged.
  DataParallel(const World& world, nn::Module& module, const DataParallelOptions& options = {});
  ~DataParallel();
  DataParallel(const DataParallel&) = delete;
  DataParallel& operator=(const DataParallel&) = delete;

  /// After every backward, before the step: waits for the gradients on their way. Parameters that no rank's backward
  /// reached keep no gradient; one that some reached gets the average, zeros counting for the others.
  void synchronize();
  /// Seconds spent on communication so far in which this process computed nothing, and bytes sent out to be averaged.
  double waited_seconds() const;
  std::int64_t bytes_averaged() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Every batch norm of the module, in training, normalises by the batches of all ranks together. Each costs two sums
/// over the ranks on the way forward and two on the way back, which nothing hides.
void synchronize_batch_norms(nn::Module& module);

}  // namespace duet::mpi
