// Cases of optimizers (a parameter's way under given gradients) and of learning-rate schedules.
#include <fmt/format.h>

#include <duet/nn/optim/optimizers.hpp>
#include <duet/nn/optim/schedules.hpp>
#include <memory>
#include <optional>

#include "attributes.hpp"
#include "golden.hpp"

namespace golden {
namespace {

using namespace duet;

/// {"betas": [a, b]} as the two fields that options have for it.
Json with_single_betas(Json attributes) {
  if (attributes.contains("betas")) {
    const Json betas = attributes["betas"];
    attributes.erase("betas");
    for (std::size_t i = 0; i < betas.size(); ++i) attributes[fmt::format("betas.{}", i)] = betas[i];
  }
  return attributes;
}

template <class O, class Options>
std::unique_ptr<optim::Optimizer> make(const Json& given, const std::vector<Tensor>& parameters) {
  const Json attributes = with_single_betas(given);
  Options options;
  AttributeReader reader(attributes);
  options.fields(reader);
  reader.refuse_unknown();
  return std::make_unique<O>(parameters, options);
}

struct Known {
  const char* name;
  std::unique_ptr<optim::Optimizer> (*make)(const Json&, const std::vector<Tensor>&);
};
constexpr Known optimizers[] = {
    {"SGD", make<optim::SGD, optim::SGDOptions>},
    {"Adam", make<optim::Adam, optim::AdamOptions>},
    {"AdamW", make<optim::AdamW, optim::AdamWOptions>},
    {"RMSprop", make<optim::RMSprop, optim::RMSpropOptions>},
    {"Adagrad", make<optim::Adagrad, optim::AdagradOptions>},
    {"Lion", make<optim::Lion, optim::LionOptions>},
};

const Known* find_optimizer(const std::string& name) {
  for (const Known& one : optimizers)
    if (name == one.name) return &one;
  return nullptr;
}

/// Row t of a (steps, …) tensor, as a tensor of its own.
Tensor row(const Tensor& all, std::int64_t t) {
  Shape shape = all.shape();
  const std::int64_t steps = shape[0];
  shape.erase(0);
  const std::vector<double> values = all.to_vector();
  const std::size_t size = values.size() / static_cast<std::size_t>(steps);
  return Tensor::from_span(std::span<const double>(values).subspan(static_cast<std::size_t>(t) * size, size), shape);
}

/// The schedule of a case; nothing for an unknown name. `momentum` is what OneCycleLR cycles.
std::optional<optim::Schedule> make_schedule(const std::string& name, const Json& attributes) {
  AttributeReader read(attributes);
  read.accept("base_lr");
  const auto finish = [&](auto schedule) -> std::optional<optim::Schedule> {
    read.refuse_unknown();
    return optim::Schedule(schedule);
  };
  if (name == "StepLR") {
    optim::StepLR s;
    read.field("step_size", s.step_size), read.field("gamma", s.gamma);
    return finish(s);
  }
  if (name == "MultiStepLR") {
    optim::MultiStepLR s;
    read.field("milestones", s.milestones), read.field("gamma", s.gamma);
    return finish(s);
  }
  if (name == "ExponentialLR") {
    optim::ExponentialLR s;
    read.field("gamma", s.gamma);
    return finish(s);
  }
  if (name == "CosineAnnealingLR") {
    optim::CosineAnnealingLR s;
    read.field("T_max", s.T_max), read.field("eta_min", s.eta_min);
    return finish(s);
  }
  if (name == "CosineAnnealingWarmRestarts") {
    optim::CosineAnnealingWarmRestarts s;
    read.field("T_0", s.T_0), read.field("T_mult", s.T_mult), read.field("eta_min", s.eta_min);
    return finish(s);
  }
  if (name == "LinearLR") {
    optim::LinearLR s;
    read.field("start_factor", s.start_factor), read.field("end_factor", s.end_factor);
    read.field("total_iters", s.total_iters);
    return finish(s);
  }
  if (name == "PolynomialLR") {
    optim::PolynomialLR s;
    read.field("total_iters", s.total_iters), read.field("power", s.power);
    return finish(s);
  }
  if (name == "OneCycleLR") {
    optim::OneCycleLR s;
    read.field("max_lr", s.max_lr), read.field("total_steps", s.total_steps), read.field("pct_start", s.pct_start);
    read.field("div_factor", s.div_factor), read.field("final_div_factor", s.final_div_factor);
    return finish(s);
  }
  return std::nullopt;
}

constexpr const char* schedules[] = {"StepLR", "MultiStepLR", "ExponentialLR", "CosineAnnealingLR",
                                     "CosineAnnealingWarmRestarts", "LinearLR", "PolynomialLR", "OneCycleLR"};

}  // namespace

bool is_optimizer(const std::string& name) { return find_optimizer(name) != nullptr; }

bool is_schedule(const std::string& name) {
  for (const char* one : schedules)
    if (name == one) return true;
  return false;
}

std::unique_ptr<optim::Optimizer> make_optimizer(const std::string& name, const Json& attributes,
                                                 const std::vector<Tensor>& parameters) {
  const Known* known = find_optimizer(name);
  if (known == nullptr) throw Mismatch(fmt::format("unknown optimizer '{}'", name));
  return known->make(attributes, parameters);
}

void run_optimizer_case(File& file, const Case& one) {
  const Tensor start = file.get(one.id + ".param"), gradients = file.get(one.id + ".grads"),
               trajectory = file.get(one.id + ".trajectory");
  Tensor parameter = Tensor::from_span(std::span<const double>(start.to_vector()), start.shape());
  parameter.set_requires_grad();
  const auto optimizer = make_optimizer(one.op, one.attributes, {parameter});
  for (std::int64_t t = 0; t < gradients.shape()[0]; ++t) {
    parameter.set_grad(row(gradients, t));
    optimizer->step();
    compare(fmt::format("step {}", t), parameter, row(trajectory, t), one.tolerance);
  }
}

void run_schedule_case(File& file, const Case& one) {
  const auto schedule = make_schedule(one.op, one.attributes);
  const double base_lr = one.attributes.value("base_lr", 0.1);
  const std::vector<double> expected = file.get(one.id + ".lr").to_vector();
  // Through an optimizer, as a training loop would.
  Tensor parameter = Tensor::scalar(1, {.requires_grad = true});
  optim::SGD optimizer({parameter}, {.lr = base_lr, .momentum = 0.9});
  optim::Scheduler scheduler(optimizer, *schedule);
  for (std::size_t epoch = 0; epoch < expected.size(); ++epoch) {
    compare(fmt::format("epoch {}", epoch), Tensor::scalar(optimizer.lr(), {.dtype = f64}),
            Tensor::scalar(expected[epoch], {.dtype = f64}), one.tolerance);
    if (epoch + 1 < expected.size()) scheduler.step();
  }
}

}  // namespace golden
