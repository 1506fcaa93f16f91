// Ranks over duet::mpi, where DUET_HAS_MPI says that it was built; else alone.
#include "unet/ranks.hpp"

#include <cstdlib>
#include <optional>

#include <duet/core/fail.hpp>
#ifdef DUET_HAS_MPI
#include <duet/mpi/parallel.hpp>
#endif

namespace duet::examples {
namespace {

/// Whether the mpirun of Open MPI, or of MPICH and its kin, has started more processes than this.
bool started_together() {
  for (const char* variable : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
    if (const char* size = std::getenv(variable); size != nullptr && std::string(size) != "1") return true;
  return false;
}

}  // namespace

#ifdef DUET_HAS_MPI

struct Ranks::Together {
  mpi::World world;
  std::optional<mpi::DataParallel> parallel = {};
};

Ranks::Ranks() {
  if (started_together()) together_ = std::make_unique<Together>();
}

int Ranks::rank() const { return together_ ? together_->world.rank() : 0; }
int Ranks::size() const { return together_ ? together_->world.size() : 1; }
int Ranks::local_size() const { return together_ ? together_->world.local_size() : 1; }

void Ranks::require_same(const std::string& what, const std::string& text) const {
  if (together_) together_->world.require_same(what, text);
}

void Ranks::join(nn::Module& module, bool synchronized_batch_norm) {
  if (!together_) return;
  together_->parallel.emplace(together_->world, module);
  if (synchronized_batch_norm) mpi::synchronize_batch_norms(module);
}

void Ranks::synchronize() {
  if (together_) together_->parallel.value().synchronize();
}

Tensor Ranks::total(const Tensor& x) const { return together_ ? mpi::all_reduce(x) : x; }

std::vector<double> Ranks::totals(const std::vector<double>& numbers) const {
  return together_ ? mpi::all_reduce(Tensor::from_span(std::span(numbers), {std::ssize(numbers)})).to_vector()
                   : numbers;
}

void Ranks::barrier() const {
  if (together_) together_->world.barrier();
}

void Ranks::fail_all(const std::string& message) const {
  if (together_) together_->world.abort(message);
}

#else

struct Ranks::Together {};

Ranks::Ranks() {
  if (started_together())
    fail<ValueError>("train",
                     "mpirun started this program, but it was built without duet::mpi. On Debian: apt-get install "
                     "libopenmpi-dev openmpi-bin, then configure and build Duet again");
}

int Ranks::rank() const { return 0; }
int Ranks::size() const { return 1; }
int Ranks::local_size() const { return 1; }
void Ranks::require_same(const std::string&, const std::string&) const {}
void Ranks::join(nn::Module&, bool) {}
void Ranks::synchronize() {}
Tensor Ranks::total(const Tensor& x) const { return x; }
std::vector<double> Ranks::totals(const std::vector<double>& numbers) const { return numbers; }
void Ranks::barrier() const {}
void Ranks::fail_all(const std::string&) const {}

#endif

Ranks::~Ranks() = default;

}  // namespace duet::examples
