// Weights across to PyTorch and back: examples/python/dcgan.py computes what generator and discriminator here compute.
#include <duet/core/factory.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/models/gan.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/loss.hpp>

#include "torch_support.hpp"

using namespace duet;
using namespace duet::test;

namespace {

/// A few steps of both nets against each other.
void train(nn::GanGenerator& makes, nn::GanDiscriminator& judges) {
  optim::Adam of_makes(makes.parameters(), {.lr = 2e-3, .betas = {0.5, 0.999}}),
      of_judges(judges.parameters(), {.lr = 2e-3, .betas = {0.5, 0.999}});
  const Tensor yes = ones({8, 1, 1, 1}), no = zeros({8, 1, 1, 1});
  for (int i = 0; i < 3; ++i) {
    const Tensor real = tanh(randn({8, 1, 28, 28})), made = makes(makes.noise(8));
    judges.zero_grad();
    (binary_cross_entropy_with_logits(judges(real), yes) + binary_cross_entropy_with_logits(judges(made.detach()), no))
        .backward();
    of_judges.step();
    makes.zero_grad();
    binary_cross_entropy_with_logits(judges(made), yes).backward();
    of_makes.step();
  }
}

}  // namespace

TEST_CASE("PyTorch: the same weights of a DCGAN give the same output, both ways") {
  const std::string python = python_with_torch();
  if (python.empty()) return;
  const TemporaryFolder folder;
  const std::string script = python + " -B " DUET_SOURCE_DIR "/examples/python/dcgan.py ";
  manual_seed(2);
  const Tensor z = randn({5, 6, 1, 1}), x = tanh(randn({5, 1, 28, 28}));

  // Trained here, used there.
  for (const auto& [hidden, more] : {std::pair<std::int64_t, std::string>{7, R"(, "hidden": 7)"}, {0, ""}}) {
    const nn::GanOptions form{.image_size = 28, .latent = 6, .base_channels = 4, .hidden = hidden};
    nn::GanGenerator makes(form);
    nn::GanDiscriminator judges(form);
    train(makes, judges);
    makes.save(folder / "makes.safetensors");
    save_safetensors(
        folder / "judges.safetensors", judges.state_dict(),
        {{"architecture", "GanDiscriminator"},
         {"options", R"({"image_size": 28, "channels": 1, "latent": 6, "base_channels": 4)" + more + "}"}});
    const NoGradGuard no_grad;
    makes.eval();
    judges.eval();
    CHECK(largest_difference(makes(z), output_there(script, folder, folder / "makes.safetensors", z)) < 1e-5);
    CHECK(largest_difference(judges(x), output_there(script, folder, folder / "judges.safetensors", x)) < 1e-5);
  }

  // Trained there, used here.
  const NoGradGuard no_grad;
  nn::GanDiscriminator judges({.image_size = 28, .latent = 6, .base_channels = 4});
  judges.eval();
  const std::string pair = folder / "makes_there.safetensors" + " " + folder / "judges_there.safetensors";
  REQUIRE(std::system((script + "train " + pair).c_str()) == 0);
  const auto other = nn::GanGenerator::load(folder / "makes_there.safetensors");
  judges.load_state_dict(load_safetensors(folder / "judges_there.safetensors").tensors);
  const Tensor made = other->eval().forward(z), judged = judges(x);
  CHECK(largest_difference(made, output_there(script, folder, folder / "makes_there.safetensors", z)) < 1e-5);
  CHECK(largest_difference(judged, output_there(script, folder, folder / "judges_there.safetensors", x)) < 1e-5);
  CHECK(largest_difference(made, zeros(made.shape())) > 1e-3);
  CHECK(largest_difference(judged, zeros(judged.shape())) > 1e-3);
}
