// Optimizer: what SGD, Adam and the others share. Parameters in groups, one state a parameter, steps that are one
// threaded pass over all of them, and a state that can be saved.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <duet/core/callable.hpp>
#include <duet/core/options.hpp>
#include <duet/core/safetensors.hpp>
#include <duet/core/tensor.hpp>

namespace duet::kernels {
struct UpdateStretch;
}

namespace duet::optim {

/// Parameters that share options: optim::Adam({{encoder.parameters(), {.lr = 1e-4}}, {head.parameters(), {.lr =
/// 1e-3}}}).
template <class Options>
struct ParameterGroup {
  std::vector<Tensor> parameters;
  Options options = {};
};
/// For one thread, and while it steps nobody else uses its parameters.
class Optimizer {
 public:
  virtual ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Moves every parameter that has a gradient. ValueError if none has one: backward() did not run, or did not reach
  /// them.
  void step();
  /// Drops every gradient.
  void zero_grad();

  std::size_t group_count() const { return group_count_; }  ///< groups of parameters
  double lr(std::size_t group = 0) const { return const_cast<Optimizer*>(this)->lr_of(checked(group)); }  ///< its rate
  /// ValueError for a negative or non-finite rate.
  void set_lr(std::size_t group, double value);
  /// Sets the rate of every group.
  void set_lr(double value);
  /// Momentum, or Adam's first beta; ValueError for an optimizer without such a thing.
  double momentum(std::size_t group = 0) const;
  void set_momentum(std::size_t group, double value);  ///< see momentum()

  /// The parameters, groups one after the other.
  std::vector<Tensor> parameters() const;

  /// Everything that a run needs to go on: options of the groups ("group.0.lr"), steps and moments ("state.3.exp_avg").
  /// Copies, so that they are a snapshot.
  NamedTensors state_dict() const;
  /// Restores what state_dict() gave. Unless all of it fits (ValueError with every misfit) nothing changes.
  void load_state_dict(const NamedTensors& state);

 protected:
  /// One parameter and what the optimizer remembers of it.
  struct Member {
    Tensor parameter;
    std::size_t group;
    std::int64_t steps = 0;
    std::vector<Tensor> slots = {};  // in the order of slot_names(); undefined where unused
  };

  explicit Optimizer(const char* name);
  Optimizer(Optimizer&&) noexcept;

  /// Checks and adds one group. ValueError for a group without parameters, a parameter given twice or not contiguous;
  /// AutogradError for a computed tensor; DtypeError for integers.
  void add_group(const std::vector<Tensor>& parameters);
  /// Makes the slots of all parameters that require a gradient. Called at the end of a constructor: made at the first
  /// step, between that step's gradients and activations, they would leave gaps that no later step can fill.
  void make_slots();
  /// ValueError unless `ok`, which has to be true of a group's options.
  void require(bool ok, const char* what, double value) const;

  /// Names of the tensors that may be kept for a parameter.
  virtual std::span<const char* const> slot_names() const = 0;
  /// Whether a group's options ask for a slot.
  virtual bool uses_slot(std::size_t /*group*/, std::size_t /*slot*/) const { return true; }
  /// What a slot holds before the first step.
  virtual double initial_value(std::size_t /*group*/) const { return 0; }
  virtual void visit_options(std::size_t group, FieldVisitor& visitor) = 0;
  virtual double& lr_of(std::size_t group) = 0;
  /// Where the group keeps its momentum, or null.
  virtual double* momentum_of(std::size_t) { return nullptr; }
  /// Moves these members, whose steps were counted up and whose slots are there.
  virtual void update(std::span<Member* const> members) = 0;

  /// Calls body(k, is_double, stretch) over all stretches of all members, in parallel; k counts members.
  static void for_each_stretch(std::span<Member* const> members,
                               FunctionRef<void(std::size_t, int, const kernels::UpdateStretch&)> body);

 private:
  std::size_t checked(std::size_t group) const;
  void prepare(Member& member) const;
  using Numbers = std::vector<std::pair<std::string, double>>;
  void write_options(const std::vector<Numbers>& options);

  const char* name_;
  std::size_t group_count_ = 0;
  std::vector<Member> members_;
};

/// An optimizer whose groups have options of one type, which has a field lr. Members stand outside the class, so that
/// those who only use the library's optimizers compile none of them.
template <class Options>
class GroupedOptimizer : public Optimizer {
 public:
  ~GroupedOptimizer() override;
  const Options& options(std::size_t group = 0) const;  ///< of a group

 protected:
  GroupedOptimizer(const char* name, const std::vector<ParameterGroup<Options>>& groups);
  GroupedOptimizer(GroupedOptimizer&&) noexcept;
  double& lr_of(std::size_t group) override;
  void visit_options(std::size_t group, FieldVisitor& visitor) override;
  std::vector<Options> options_;
};

template <class Options>
GroupedOptimizer<Options>::GroupedOptimizer(const char* name, const std::vector<ParameterGroup<Options>>& groups)
    : Optimizer(name) {
  for (const ParameterGroup<Options>& group : groups) {
    options_.push_back(group.options);
    add_group(group.parameters);
  }
}
template <class Options>
GroupedOptimizer<Options>::GroupedOptimizer(GroupedOptimizer&&) noexcept = default;
template <class Options>
GroupedOptimizer<Options>::~GroupedOptimizer() = default;
template <class Options>
const Options& GroupedOptimizer<Options>::options(std::size_t group) const {
  return options_.at(group);
}
template <class Options>
double& GroupedOptimizer<Options>::lr_of(std::size_t group) {
  return options_[group].lr;
}
template <class Options>
void GroupedOptimizer<Options>::visit_options(std::size_t group, FieldVisitor& visitor) {
  options_[group].fields(visitor);
}

}  // namespace duet::optim
