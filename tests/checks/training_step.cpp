// What tests/checks/valgrind.sh runs: two steps of training with all that belongs to them (layers of every kind that a
// U-Net has, a loader with workers, an optimizer, a file), small enough for a tool that makes it fifty times slower.
#include <cstdio>

#include <duet/duet.hpp>

int main(int, char** arguments) {
  duet::manual_seed(0);
  duet::nn::UNet model({.base_channels = 4, .depth = 2, .attention = true, .dropout = 0.1});
  duet::optim::Adam optimizer(model.parameters(), {.lr = 1e-2});
  const duet::Tensor images = duet::randn({4, 1, 13, 18});
  duet::data::DataLoader loader(duet::data::TensorDataset(images, sigmoid(images)), {.batch_size = 2, .workers = 2});
  for (auto& [image, target] : loader) {
    optimizer.zero_grad();
    const duet::Tensor loss = dice_bce_loss(model(image), target);
    loss.backward();
    optimizer.step();
    std::printf("%.4f\n", loss.item());
  }
  const std::string file = arguments[1];
  model.save(file);
  duet::nn::UNet::load(file)->eval().forward(images);
}
