// The module as a function of its input and parameters: gradcheck's tensors stand in the slots while it runs.
#include <duet/nn/gradcheck.hpp>

#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>

namespace duet {
namespace {

/// Puts other tensors into a module's slots, and the module's own back at the end.
class Substitution {
 public:
  explicit Substitution(nn::Module& model)
      : slots_(model.tensor_slots()), seed_(default_generator().seed()), position_(default_generator().position()) {
    for (Tensor* slot : slots_) own_.push_back(*slot);
  }
  ~Substitution() { restore(); }
  Substitution(const Substitution&) = delete;
  Substitution& operator=(const Substitution&) = delete;

  /// Every slot that holds parameters[k] gets values[k]; all others a copy of what they hold.
  void set(const Tensors& parameters, std::span<const Tensor> values) {
    for (std::size_t s = 0; s < slots_.size(); ++s) {
      if (!own_[s].defined()) continue;
      std::size_t k = 0;
      while (k < parameters.size() && parameters[k].impl() != own_[s].impl()) ++k;
      *slots_[s] = k < parameters.size() ? values[k] : raw::clone(own_[s]);
    }
    default_generator().set_state(seed_, position_);
  }
  void restore() {
    for (std::size_t s = 0; s < slots_.size(); ++s) *slots_[s] = own_[s];
    default_generator().set_state(seed_, position_);
  }

 private:
  std::vector<Tensor*> slots_;
  Tensors own_;
  std::uint64_t seed_, position_;
};

}  // namespace

GradcheckResult gradcheck_module(nn::Module& model, const Callable<Tensor(const Tensor&)>& loss, const Tensor& x,
                                 const GradcheckOptions& options) {
  Tensors parameters, inputs{x};
  GradcheckOptions named = options;
  named.names = {"x"};
  for (const auto& [name, tensor] : model.named_parameters()) {
    if (!tensor.requires_grad()) continue;
    parameters.push_back(tensor);
    inputs.push_back(tensor);
    named.names.push_back(name);
  }
  Substitution substitution(model);
  const auto function = [&](const Tensors& in) {
    substitution.set(parameters, std::span<const Tensor>(in).subspan(1));
    const Tensor result = loss(in[0]);
    substitution.restore();
    return Tensors{result};
  };
  return gradcheck(function, inputs, named);
}

}  // namespace duet
