// SGD, Adam, AdamW, RMSprop, Adagrad and Lion, with PyTorch's options and defaults.
#pragma once

#include <array>

#include <duet/nn/optim/optimizer.hpp>

namespace duet::optim {

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;  ///< needs a momentum and no dampening
  void fields(FieldVisitor& visitor) {
    visitor.field("lr", lr);
    visitor.field("momentum", momentum);
    visitor.field("dampening", dampening);
    visitor.field("weight_decay", weight_decay);
    visitor.field("nesterov", nesterov);
  }
};
extern template class GroupedOptimizer<SGDOptions>;  // here and below: made once, in the library

/// b ← momentum·b + (1 − dampening)·g (the first time b ← g); p ← p − lr·b, or with Nesterov p − lr·(g + momentum·b).
/// g includes weight_decay·p. (Sutskever et al. 2013)
class SGD : public GroupedOptimizer<SGDOptions> {
 public:
  /// ValueError, here and below, for an option out of its range, or parameters as Optimizer refuses them.
  explicit SGD(const std::vector<Tensor>& parameters, const SGDOptions& options = {});
  explicit SGD(const std::vector<ParameterGroup<SGDOptions>>& groups);

 protected:
  std::span<const char* const> slot_names() const override;
  bool uses_slot(std::size_t group, std::size_t slot) const override;
  double* momentum_of(std::size_t group) override;
  void update(std::span<Member* const> members) override;
};

/// Of Adam and AdamW, which differ in what weight_decay means and in its default.
template <bool decoupled>
struct AdamFamilyOptions {
  double lr = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = decoupled ? 1e-2 : 0;
  bool amsgrad = false;
  void fields(FieldVisitor& visitor) {
    visitor.field("lr", lr);
    visitor.field("betas.0", betas[0]);
    visitor.field("betas.1", betas[1]);
    visitor.field("eps", eps);
    visitor.field("weight_decay", weight_decay);
    visitor.field("amsgrad", amsgrad);
  }
};
using AdamOptions = AdamFamilyOptions<false>;
using AdamWOptions = AdamFamilyOptions<true>;
extern template class GroupedOptimizer<AdamOptions>;
extern template class GroupedOptimizer<AdamWOptions>;

/// m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², p ← p − lr · m̂ / (√v̂ + eps), hats being divisions by 1 − βᵗ (Kingma and Ba
/// 2015, arXiv:1412.6980); amsgrad takes the greatest v so far (Reddi et al. 2018). Adam adds weight_decay·p to g;
/// AdamW shrinks p by lr·weight_decay instead (Loshchilov and Hutter 2019, arXiv:1711.05101).
template <bool decoupled>
class AdamFamily : public GroupedOptimizer<AdamFamilyOptions<decoupled>> {
 public:
  using Options = AdamFamilyOptions<decoupled>;
  explicit AdamFamily(const std::vector<Tensor>& parameters, const Options& options = {});
  explicit AdamFamily(const std::vector<ParameterGroup<Options>>& groups);

 protected:
  std::span<const char* const> slot_names() const override;
  bool uses_slot(std::size_t group, std::size_t slot) const override;
  double* momentum_of(std::size_t group) override;
  void update(std::span<Optimizer::Member* const> members) override;
};
extern template class AdamFamily<false>;
extern template class AdamFamily<true>;
using Adam = AdamFamily<false>;
using AdamW = AdamFamily<true>;

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;
  void fields(FieldVisitor& visitor) {
    visitor.field("lr", lr);
    visitor.field("alpha", alpha);
    visitor.field("eps", eps);
    visitor.field("weight_decay", weight_decay);
    visitor.field("momentum", momentum);
    visitor.field("centered", centered);
  }
};
extern template class GroupedOptimizer<RMSpropOptions>;

/// v ← αv + (1−α)g², p ← p − lr · g / (√v + eps) (Hinton, lecture 6e of 2012); centred: with v less the squared mean of
/// g (Graves 2013, arXiv:1308.0850).
class RMSprop : public GroupedOptimizer<RMSpropOptions> {
 public:
  explicit RMSprop(const std::vector<Tensor>& parameters, const RMSpropOptions& options = {});
  explicit RMSprop(const std::vector<ParameterGroup<RMSpropOptions>>& groups);

 protected:
  std::span<const char* const> slot_names() const override;
  bool uses_slot(std::size_t group, std::size_t slot) const override;
  double* momentum_of(std::size_t group) override;
  void update(std::span<Member* const> members) override;
};

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;
  double weight_decay = 0;
  double initial_accumulator_value = 0;
  double eps = 1e-10;
  void fields(FieldVisitor& visitor) {
    visitor.field("lr", lr);
    visitor.field("lr_decay", lr_decay);
    visitor.field("weight_decay", weight_decay);
    visitor.field("initial_accumulator_value", initial_accumulator_value);
    visitor.field("eps", eps);
  }
};
extern template class GroupedOptimizer<AdagradOptions>;

/// s ← s + g², p ← p − lr / (1 + (t−1)·lr_decay) · g / (√s + eps) (Duchi et al. 2011).
class Adagrad : public GroupedOptimizer<AdagradOptions> {
 public:
  explicit Adagrad(const std::vector<Tensor>& parameters, const AdagradOptions& options = {});
  explicit Adagrad(const std::vector<ParameterGroup<AdagradOptions>>& groups);

 protected:
  std::span<const char* const> slot_names() const override;
  double initial_value(std::size_t group) const override;
  void update(std::span<Member* const> members) override;
};

struct LionOptions {
  double lr = 1e-4;
  std::array<double, 2> betas = {0.9, 0.99};
  double weight_decay = 0;  ///< shrinks the weights by lr·weight_decay
  void fields(FieldVisitor& visitor) {
    visitor.field("lr", lr);
    visitor.field("betas.0", betas[0]);
    visitor.field("betas.1", betas[1]);
    visitor.field("weight_decay", weight_decay);
  }
};
extern template class GroupedOptimizer<LionOptions>;

/// p ← p − lr · sign(β₁m + (1−β₁)g), m ← β₂m + (1−β₂)g (Chen et al. 2023, arXiv:2302.06675).
class Lion : public GroupedOptimizer<LionOptions> {
 public:
  explicit Lion(const std::vector<Tensor>& parameters, const LionOptions& options = {});
  explicit Lion(const std::vector<ParameterGroup<LionOptions>>& groups);

 protected:
  std::span<const char* const> slot_names() const override;
  double* momentum_of(std::size_t group) override;
  void update(std::span<Member* const> members) override;
};

}  // namespace duet::optim
