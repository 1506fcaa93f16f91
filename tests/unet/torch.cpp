// Weights across to PyTorch and back: examples/python/unet.py computes what the U-Net here computes.
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/models/unet.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/ops/loss.hpp>

#include "torch_support.hpp"

using namespace duet;
using namespace duet::test;

TEST_CASE("PyTorch: the same weights of a U-Net give the same output, both ways") {
  const std::string python = python_with_torch();
  if (python.empty()) return;
  const TemporaryFolder folder;
  const std::string script = python + " -B " DUET_SOURCE_DIR "/examples/python/unet.py ";
  const NoGradGuard no_grad;
  manual_seed(1);
  const Tensor x = randn({2, 1, 37, 50});

  // Trained here, used there.
  nn::UNet net({.base_channels = 6, .depth = 4});
  optim::Adam optimizer(net.parameters(), {.lr = 1e-2});
  for (int i = 0; i < 3; ++i) {
    const EnableGradGuard grad;
    optimizer.zero_grad();
    binary_cross_entropy_with_logits(net(randn({2, 1, 32, 40})), ones({2, 1, 32, 40})).backward();
    optimizer.step();
  }
  net.save(folder / "here.safetensors");
  CHECK(largest_difference(net.eval().forward(x), output_there(script, folder, folder / "here.safetensors", x)) < 1e-5);

  // Trained there, used here.
  REQUIRE(std::system((script + "train " + folder / "there.safetensors").c_str()) == 0);
  nn::ModelDescription description;
  const auto other = nn::UNet::load(folder / "there.safetensors", &description);
  CHECK(description.mean == std::vector<double>{0.5});
  const Tensor output = other->eval().forward(x);
  CHECK(largest_difference(output, output_there(script, folder, folder / "there.safetensors", x)) < 1e-5);
  CHECK(largest_difference(output, zeros(output.shape())) > 1e-2);
}
