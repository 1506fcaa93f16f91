// Ranks: the processes that mpirun started to train together, or this one alone. A training loop asks the same of both;
// alone, every question has its simple answer, and MPI is not begun.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <duet/nn/module.hpp>

namespace duet::examples {

class Ranks {
 public:
  /// Joins the others. ValueError under mpirun where the program was built without duet::mpi.
  Ranks();
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  int rank() const;
  int size() const;
  /// How many of them share this machine's cores.
  int local_size() const;
  /// Whether this is the one that writes files and prints.
  bool is_first() const { return rank() == 0; }

  /// ValueError, on all, where one has another text than the first; `what` says of what.
  void require_same(const std::string& what, const std::string& text) const;
  /// From here on everyone has the first one's weights, and synchronize() averages gradients after each backward.
  void join(nn::Module& module, bool synchronized_batch_norm);
  void synchronize();
  /// The sum over all, differentiable. Everyone has to call it.
  Tensor total(const Tensor& x) const;
  std::vector<double> totals(const std::vector<double>& numbers) const;
  /// Waits for all.
  void barrier() const;
  /// Ends all, with the message. Alone it returns.
  void fail_all(const std::string& message) const;

 private:
  struct Together;
  std::unique_ptr<Together> together_;  // null: alone
};

}  // namespace duet::examples
