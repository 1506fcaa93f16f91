#include <cstdio>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

using namespace duet;

int main() {
  Tensor w = ones({2}, {.requires_grad = true});
  const auto attempt = [](auto body) {
    try {
      body();
    } catch (const AutogradError& error) {
      std::printf("%s\n", error.what());
    }
  };

  // What was recorded may not be written to ...
  attempt([&] { w.mutable_data<float>()[0] = 5; });
  {
    const NoGradGuard no_grad;  // ... unless it is said that no gradient shall know.
    w.mutable_data<float>()[0] = 5;
  }

  // A write behind the tape's back is found when backward reads what it changed.
  Tensor factor = full({2}, 3);
  const Tensor loss = sum(w * factor);
  factor.mutable_data<float>()[0] = 7;
  attempt([&] { loss.backward(); });

  // Inference mode records nothing, and its results do not slip into a gradient unseen.
  Tensor prediction;
  {
    const InferenceModeGuard inference;
    prediction = w * 2.0;
  }
  attempt([&] { w* prediction; });
}
