// Weights across to PyTorch and back: examples/python/unet.py computes what the U-Net here computes.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/safetensors.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/models/unet.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/ops/loss.hpp>

#include "data/support.hpp"

using namespace duet;

namespace {

/// A Python that has PyTorch; empty if there is none.
std::string python_with_torch() {
  for (const char* python : {"python3", "/usr/bin/python3"})
    if (std::system((std::string(python) + " -c 'import torch' >/dev/null 2>&1").c_str()) == 0) return python;
  return {};
}

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double largest = 0;
  const auto x = a.to_vector(), y = b.to_vector();
  for (std::size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return largest;
}

}  // namespace

TEST_CASE("PyTorch: the same weights give the same output, both ways") {
  const std::string python = python_with_torch();
  if (python.empty()) {
    std::puts("skipped: no Python with PyTorch (Debian: apt install python3-torch)");
    return;
  }
  const TemporaryFolder folder;
  const std::string script = python + " -B " DUET_SOURCE_DIR "/examples/python/unet.py ";
  const NoGradGuard no_grad;
  manual_seed(1);
  const Tensor x = randn({2, 1, 37, 50});
  save_safetensors(folder / "input.safetensors", {{"input", x}});
  const auto output_there = [&](const std::string& weights) {
    const std::string command =
        script + "predict " + weights + " " + folder / "input.safetensors" + " " + folder / "output.safetensors";
    REQUIRE(std::system(command.c_str()) == 0);
    return load_safetensors(folder / "output.safetensors").find("output");
  };

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
  CHECK(largest_difference(net.eval().forward(x), output_there(folder / "here.safetensors")) < 1e-5);

  // Trained there, used here.
  REQUIRE(std::system((script + "train " + folder / "there.safetensors").c_str()) == 0);
  nn::ModelDescription description;
  const auto other = nn::UNet::load(folder / "there.safetensors", &description);
  CHECK(description.mean == std::vector<double>{0.5});
  const Tensor output = other->eval().forward(x);
  CHECK(largest_difference(output, output_there(folder / "there.safetensors")) < 1e-5);
  CHECK(largest_difference(output, zeros(output.shape())) > 1e-2);
}
