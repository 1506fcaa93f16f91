// Options checked, scalars of a step worked out; the arithmetic is in ops/kernels/arch/optimizer.cpp.
#include <duet/nn/optim/optimizers.hpp>

#include <cmath>

#include <duet/ops/kernels/optimizer.hpp>

namespace duet::optim {

using kernels::optimizer_table;
using kernels::UpdateStretch;

template class GroupedOptimizer<SGDOptions>;
template class GroupedOptimizer<AdamOptions>;
template class GroupedOptimizer<AdamWOptions>;
template class GroupedOptimizer<RMSpropOptions>;
template class GroupedOptimizer<AdagradOptions>;
template class GroupedOptimizer<LionOptions>;

SGD::SGD(const std::vector<Tensor>& parameters, const SGDOptions& options)
    : SGD(std::vector<ParameterGroup<SGDOptions>>{{parameters, options}}) {}
SGD::SGD(const std::vector<ParameterGroup<SGDOptions>>& groups) : GroupedOptimizer("SGD", groups) {
  for (const SGDOptions& o : options_) {
    require(o.lr >= 0, "lr must not be negative", o.lr);
    require(o.momentum >= 0, "momentum must not be negative", o.momentum);
    require(o.weight_decay >= 0, "weight_decay must not be negative", o.weight_decay);
    require(!o.nesterov || (o.momentum > 0 && o.dampening == 0),
            "nesterov needs a momentum above 0 and no dampening; momentum is", o.momentum);
  }
  make_slots();
}

std::span<const char* const> SGD::slot_names() const {
  static constexpr const char* names[] = {"momentum_buffer"};
  return names;
}

bool SGD::uses_slot(std::size_t group, std::size_t) const { return options_[group].momentum != 0; }
double* SGD::momentum_of(std::size_t group) { return &options_[group].momentum; }

void SGD::update(std::span<Member* const> members) {
  std::vector<kernels::SgdStep> steps;
  for (const Member* member : members) {
    const SGDOptions& o = options_[member->group];
    steps.push_back({o.lr, o.momentum, member->steps == 1 ? 1 : 1 - o.dampening, o.weight_decay, o.nesterov});
  }
  for_each_stretch(members, [&](std::size_t k, int dtype, const UpdateStretch& stretch) {
    optimizer_table().sgd[dtype](stretch, steps[k]);
  });
}

template <bool decoupled>
AdamFamily<decoupled>::AdamFamily(const std::vector<Tensor>& parameters, const Options& options)
    : AdamFamily(std::vector<ParameterGroup<Options>>{{parameters, options}}) {}
template <bool decoupled>
AdamFamily<decoupled>::AdamFamily(const std::vector<ParameterGroup<Options>>& groups)
    : GroupedOptimizer<Options>(decoupled ? "AdamW" : "Adam", groups) {
  for (const Options& o : this->options_) {
    this->require(o.lr >= 0, "lr must not be negative", o.lr);
    for (const double beta : o.betas) this->require(beta >= 0 && beta < 1, "betas must lie in [0, 1)", beta);
    this->require(o.eps >= 0, "eps must not be negative", o.eps);
    this->require(o.weight_decay >= 0, "weight_decay must not be negative", o.weight_decay);
  }
  this->make_slots();
}

template <bool decoupled>
std::span<const char* const> AdamFamily<decoupled>::slot_names() const {
  static constexpr const char* names[] = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};
  return names;
}

template <bool decoupled>
bool AdamFamily<decoupled>::uses_slot(std::size_t group, std::size_t slot) const {
  return slot < 2 || this->options_[group].amsgrad;
}

template <bool decoupled>
double* AdamFamily<decoupled>::momentum_of(std::size_t group) {
  return &this->options_[group].betas[0];
}

template <bool decoupled>
void AdamFamily<decoupled>::update(std::span<Optimizer::Member* const> members) {
  std::vector<kernels::AdamStep> steps;
  for (const auto* member : members) {
    const Options& o = this->options_[member->group];
    const auto t = static_cast<double>(member->steps);
    steps.push_back({.beta1 = o.betas[0],
                     .beta2 = o.betas[1],
                     .rate = o.lr / (1 - std::pow(o.betas[0], t)),
                     .inverse_root_correction = 1 / std::sqrt(1 - std::pow(o.betas[1], t)),
                     .eps = o.eps,
                     .decay = decoupled ? 0 : o.weight_decay,
                     .shrink = decoupled ? 1 - o.lr * o.weight_decay : 1,
                     .amsgrad = o.amsgrad});
  }
  this->for_each_stretch(members, [&](std::size_t k, int dtype, const UpdateStretch& stretch) {
    optimizer_table().adam[dtype](stretch, steps[k]);
  });
}

template class AdamFamily<false>;
template class AdamFamily<true>;

RMSprop::RMSprop(const std::vector<Tensor>& parameters, const RMSpropOptions& options)
    : RMSprop(std::vector<ParameterGroup<RMSpropOptions>>{{parameters, options}}) {}
RMSprop::RMSprop(const std::vector<ParameterGroup<RMSpropOptions>>& groups) : GroupedOptimizer("RMSprop", groups) {
  for (const RMSpropOptions& o : options_) {
    require(o.lr >= 0, "lr must not be negative", o.lr);
    require(o.alpha >= 0 && o.alpha < 1, "alpha must lie in [0, 1)", o.alpha);
    require(o.eps >= 0, "eps must not be negative", o.eps);
    require(o.weight_decay >= 0, "weight_decay must not be negative", o.weight_decay);
    require(o.momentum >= 0, "momentum must not be negative", o.momentum);
  }
  make_slots();
}

std::span<const char* const> RMSprop::slot_names() const {
  static constexpr const char* names[] = {"square_avg", "momentum_buffer", "grad_avg"};
  return names;
}

bool RMSprop::uses_slot(std::size_t group, std::size_t slot) const {
  return slot == 0 || (slot == 1 ? options_[group].momentum != 0 : options_[group].centered);
}

double* RMSprop::momentum_of(std::size_t group) { return &options_[group].momentum; }

void RMSprop::update(std::span<Member* const> members) {
  for_each_stretch(members, [&](std::size_t k, int dtype, const UpdateStretch& stretch) {
    const RMSpropOptions& o = options_[members[k]->group];
    optimizer_table().rmsprop[dtype](stretch, {o.lr, o.alpha, o.eps, o.weight_decay, o.momentum, o.centered});
  });
}

Adagrad::Adagrad(const std::vector<Tensor>& parameters, const AdagradOptions& options)
    : Adagrad(std::vector<ParameterGroup<AdagradOptions>>{{parameters, options}}) {}
Adagrad::Adagrad(const std::vector<ParameterGroup<AdagradOptions>>& groups) : GroupedOptimizer("Adagrad", groups) {
  for (const AdagradOptions& o : options_) {
    require(o.lr >= 0, "lr must not be negative", o.lr);
    require(o.lr_decay >= 0, "lr_decay must not be negative", o.lr_decay);
    require(o.weight_decay >= 0, "weight_decay must not be negative", o.weight_decay);
    require(o.initial_accumulator_value >= 0, "initial_accumulator_value must not be negative",
            o.initial_accumulator_value);
    require(o.eps >= 0, "eps must not be negative", o.eps);
  }
  make_slots();
}

std::span<const char* const> Adagrad::slot_names() const {
  static constexpr const char* names[] = {"sum"};
  return names;
}

double Adagrad::initial_value(std::size_t group) const { return options_[group].initial_accumulator_value; }

void Adagrad::update(std::span<Member* const> members) {
  for_each_stretch(members, [&](std::size_t k, int dtype, const UpdateStretch& stretch) {
    const AdagradOptions& o = options_[members[k]->group];
    const double rate = o.lr / (1 + static_cast<double>(members[k]->steps - 1) * o.lr_decay);
    optimizer_table().adagrad[dtype](stretch, {rate, o.eps, o.weight_decay});
  });
}

Lion::Lion(const std::vector<Tensor>& parameters, const LionOptions& options)
    : Lion(std::vector<ParameterGroup<LionOptions>>{{parameters, options}}) {}
Lion::Lion(const std::vector<ParameterGroup<LionOptions>>& groups) : GroupedOptimizer("Lion", groups) {
  for (const LionOptions& o : options_) {
    require(o.lr >= 0, "lr must not be negative", o.lr);
    for (const double beta : o.betas) require(beta >= 0 && beta < 1, "betas must lie in [0, 1)", beta);
    require(o.weight_decay >= 0, "weight_decay must not be negative", o.weight_decay);
  }
  make_slots();
}

std::span<const char* const> Lion::slot_names() const {
  static constexpr const char* names[] = {"exp_avg"};
  return names;
}

double* Lion::momentum_of(std::size_t group) { return &options_[group].betas[0]; }

void Lion::update(std::span<Member* const> members) {
  for_each_stretch(members, [&](std::size_t k, int dtype, const UpdateStretch& stretch) {
    const LionOptions& o = options_[members[k]->group];
    optimizer_table().lion[dtype](stretch, {o.lr, o.betas[0], o.betas[1], 1 - o.lr * o.weight_decay});
  });
}

}  // namespace duet::optim
