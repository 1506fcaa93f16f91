// Each module calls its op, telling it the mode.
#include <duet/nn/dropout.hpp>

#include <duet/nn/layer.hpp>
#include <duet/ops/dropout.hpp>

namespace duet::nn {
namespace {

double checked(const char* layer, double p) {
  if (!(p >= 0 && p <= 1)) fail<ValueError>(layer, "p must be in [0, 1], got {}", p);
  return p;
}

}  // namespace

Dropout::Dropout(Module* parent, std::string name, double share)
    : Module(parent, std::move(name)), p(checked("Dropout", share)) {}
Tensor Dropout::forward(const Tensor& x) { return dropout(x, {.p = p, .training = is_training()}); }
std::string Dropout::describe() const { return fmt::format("p={}", p); }

Dropout2d::Dropout2d(Module* parent, std::string name, double share)
    : Module(parent, std::move(name)), p(checked("Dropout2d", share)) {}
Tensor Dropout2d::forward(const Tensor& x) { return dropout2d(x, {.p = p, .training = is_training()}); }
std::string Dropout2d::describe() const { return fmt::format("p={}", p); }

}  // namespace duet::nn
