// Twenty-odd mistakes that people make, each caught with a sentence that says what to do.
#include <doctest/doctest.h>

#include <cmath>

#include <duet/autograd/anomaly.hpp>
#include <duet/autograd/backward.hpp>
#include <duet/autograd/gradcheck.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/tape.hpp>
#include <duet/core/warning.hpp>
#include <duet/nn/activation.hpp>
#include <duet/nn/container.hpp>
#include <duet/nn/data/loader.hpp>
#include <duet/nn/ema.hpp>
#include <duet/nn/linear.hpp>
#include <duet/nn/loss.hpp>
#include <duet/nn/norm.hpp>
#include <duet/nn/optim/clip.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/nn/optim/schedules.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/inplace.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

#include "bad_call.hpp"

using namespace duet;
using namespace bad_input;

namespace {

Tensor leaf() { return ones({2, 3}, {.requires_grad = true}); }

struct Forgotten : nn::Module {
  nn::Linear layer{3, 2};  // not registered: no {this, "layer"}
  Tensor forward(const Tensor& x) override { return layer(x); }
};

/// For a scope, warnings are errors.
struct WarningsThrow {
  WarningHandler before = set_warning_handler([](const std::string& text) { throw ValueError(text); });
  ~WarningsThrow() { set_warning_handler(before); }
};

struct Mistake {
  const char* what;
  BadCall call;
};

const Mistake mistakes[] = {
    {"a target without the prediction's last dimension",
     {Kind::shape, "input and target need one shape, got (2, 3) and (2,)", [] { nn::MSELoss{}(leaf(), ones({2})); }}},
    {"class scores where classes are wanted",
     {Kind::shape, "target needs classes of i64 and shape (2,), or probabilities of shape (2, 3)",
      [] {
        nn::CrossEntropyLoss{}(leaf(), ones({2, 1}));
      }}},
    {"a tensor edited between forward and backward",
     {Kind::autograd, "changed in place",
      [] {
        const Tensor x = leaf(), y = x * 2.0, loss = sum(y * y);
        Tensor held = y.detach();
        fill_(held, 0);
        loss.backward();
      }}},
    {"a step of the optimizer between forward and backward",
     {Kind::autograd, "changed in place",
      [] {
        nn::Linear model{3, 1};
        const Tensor x = leaf(), first = mean(model(x));
        optim::SGD optimizer(model.parameters(), {.lr = 0.1});
        first.backward({}, {.retain_graph = true});
        optimizer.step();
        first.backward();
      }}},
    {"an edit of a leaf that is trained",
     {Kind::autograd, "a leaf that requires a gradient",
      [] {
        Tensor x = leaf();
        add_(x, 1);
      }}},
    {"a second backward",
     {Kind::autograd, "retain_graph = true",
      [] {
        const Tensor loss = sum(leaf() * 2.0 * leaf());
        loss.backward();
        loss.backward();
      }}},
    {"backward of what is not a scalar",
     {Kind::autograd, "pass a cotangent of its shape, or reduce it (sum, mean)", [] { (leaf() * 2.0).backward(); }}},
    {"backward of what was computed without recording",
     {Kind::autograd, "does not require a gradient",
      [] {
        Tensor loss;
        {
          const NoGradGuard off;
          loss = sum(leaf());
        }
        loss.backward();
      }}},
    {"a gradient by what plays no part",
     {Kind::autograd, "pass allow_unused = true if that is meant", [] { grad({sum(leaf())}, {leaf()}); }}},
    {"a step without gradients",
     {Kind::value, "call backward() on a loss that depends on them",
      [] {
        nn::Linear model{3, 1};
        optim::Adam(model.parameters()).step();
      }}},
    {"a parameter in two groups",
     {Kind::value, "is given twice",
      [] {
        const Tensor p = leaf();
        optim::SGD({{{p}, {.lr = 1}}, {{p}, {.lr = 2}}});
      }}},
    {"an optimizer over what was computed",
     {Kind::autograd, "an optimizer moves leaves", [] { optim::SGD({leaf() * 2.0}); }}},
    {"an optimizer of no parameters", {Kind::value, "has no parameters", [] { optim::SGD(nn::ReLU{}.parameters()); }}},
    {"batch norm in training with one value per channel",
     {Kind::value, "needs more than one value per channel to have a variance",
      [] {
        nn::BatchNorm1d{3}(ones({1, 3}));
      }}},
    {"a batch norm in evaluation that never saw a batch",
     {Kind::value, "train it or load weights first",
      [] {
        const WarningsThrow strict;
        nn::BatchNorm1d norm{3};
        norm.eval();
        norm(ones({2, 3}));
      }}},
    {"a member that is not registered",
     {Kind::value, "is not registered in it, so its parameters would not be",
      [] {
        Forgotten model;
        model(ones({2, 3}));
      }}},
    {"two members of one name",
     {Kind::value, "already has a member named 'a'",
      [] {
        struct Net : nn::Module {
          nn::ReLU a{this, "a"}, b{this, "a"};
        } net;
      }}},
    {"weights of another model",
     {Kind::value, "do not fit Linear",
      [] {
        nn::Linear from{3, 2}, to{4, 2};
        to.load_state_dict(from.state_dict());
      }}},
    {"a computed tensor as a parameter",
     {Kind::autograd, "assign its detach()",
      [] {
        nn::Linear model{3, 2};
        model.weight = model.weight * 0.5;
      }}},
    {"f64 data into an f32 model",
     {Kind::dtype, "needs one dtype, got x (2, 3) f64 and weight",
      [] {
        nn::Linear{3, 2}(ones({2, 3}, {.dtype = f64}));
      }}},
    {"gradients of labels",
     {Kind::dtype, "have no gradients, only f32 and f64", [] { ones({3}, {.dtype = i64}).set_requires_grad(); }}},
    {"gradcheck in f32",
     {Kind::dtype, "whose differences have three digits: use f64",
      [] { gradcheck([](const Tensors& in) { return Tensors{sum(in[0])}; }, {ones({2})}); }}},
    {"a scalar read from many", {Kind::shape, "needs a tensor of one element, got (2, 3)", [] { leaf().item(); }}},
    {"an inference-mode tensor in training",
     {Kind::autograd, "was made in inference mode and a gradient needs it",
      [] {
        Tensor made;
        {
          const InferenceModeGuard off;
          made = ones({2, 3}) * 2.0;
        }
        leaf() * made;
      }}},
    {"an update of the average while the model holds it",
     {Kind::value, "swap() back before update()",
      [] {
        nn::Linear model{2, 2};
        nn::ExponentialMovingAverage average(model);
        average.swap();
        average.update();
      }}},
    {"milestones that go back",
     {Kind::value, "milestones must rise",
      [] {
        optim::Schedule(optim::MultiStepLR{.milestones = {30, 10}});
      }}},
    {"a norm that is no number",
     {Kind::value, "the norm of the gradients is nan",
      [] {
        Tensor p = leaf();
        p.set_grad(full({2, 3}, NAN));
        optim::clip_grad_norm_({p}, 1, {.error_if_nonfinite = true});
      }}},
    {"a loss that became NaN, under anomaly mode",
     {Kind::autograd, "[log]",
      [] {
        const AnomalyMode watch;
        const Tensor x = full({3}, -1, {.requires_grad = true});
        mean(log(x)).backward();
      }}},
    {"a gradient that became infinite, under anomaly mode",
     {Kind::autograd, "[sqrt] backward made",
      [] {
        const AnomalyMode watch;
        const Tensor x = zeros({3}, {.requires_grad = true});
        sum(sqrt(x)).backward();
      }}},
};

}  // namespace

TEST_CASE("mistakes are caught with a sentence that says what to do") {
  CHECK(std::size(mistakes) >= 20);
  for (const Mistake& mistake : mistakes) {
    CAPTURE(std::string(mistake.what));
    const std::string wrong = wrong_with(mistake.call);
    CHECK_MESSAGE(wrong.empty(), wrong);
  }
  MESSAGE(std::size(mistakes) << " mistakes");
}

TEST_CASE("a view outlives the tensor and the memory's owner that it came from") {
  Tensor view;
  bool gone = false;
  {
    const Tensor whole = arange(0, 6, 1, {.dtype = f64});
    view = slice(whole, 0, 2, 5);
  }
  CHECK(view.to_vector() == std::vector<double>{2, 3, 4});
  {
    struct Owner {
      bool* gone;
      float values[4] = {1, 2, 3, 4};
      explicit Owner(bool* flag) : gone(flag) {}
      ~Owner() { *gone = true; }
    };
    auto owner = std::make_shared<Owner>(&gone);
    float* values = owner->values;
    view = slice(Tensor::wrap(values, {4}, {1}, std::move(owner)), 0, 1, 3);
  }
  CHECK(!gone);
  CHECK(view.to_vector() == std::vector<double>{2, 3});
  view = Tensor();
  CHECK(gone);
}
