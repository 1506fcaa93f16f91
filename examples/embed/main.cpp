// Duet inside a product: weights are loaded once, and buffers of 16-bit pixels are segmented on any number of threads.
//   embed WEIGHTS
#include <cstdio>
#include <thread>
#include <vector>

#include <duet/nn/models/unet.hpp>
#include <duet/nn/tiled.hpp>
#include <duet/ops/activation.hpp>

using Size = std::int64_t;

int main(int argc, char** argv) try {
  duet::nn::ModelDescription about;  // what `duet_unet train` stored beside the weights
  const auto net = duet::nn::UNet::load(argc > 1 ? argv[1] : "unet-run/best.safetensors", &about);
  if (about.mean.size() != 1 || net->options.out_channels != 1) throw duet::ValueError("not for gray, two classes");
  net->eval();

  // Probabilities (1, height, width) of class 1; rows lie `stride` pixels apart. Changes nothing in the net.
  const auto segment = [&](const std::uint16_t* from, Size height, Size width, Size stride) {
    duet::Tensor image = duet::Tensor::empty({1, height, width});
    float* to = image.mutable_data<float>();
    for (Size i = 0; i < height * width; ++i)
      to[i] = static_cast<float>((from[i / width * stride + i % width] / 65535.0 - about.mean[0]) / about.deviation[0]);
    return sigmoid(duet::nn::predict_tiled(*net, image));  // in tiles, so any size will do
  };

  constexpr Size height = 301, width = 403, stride = 416;  // a camera's rows are padded
  std::vector<std::uint16_t> frame(height * stride);
  for (std::size_t i = 0; i < frame.size(); ++i) frame[i] = static_cast<std::uint16_t>(i * i % 9973 * 3 + 20000);
  duet::Tensor a, b;
  std::thread other([&] { b = segment(frame.data(), height, width, stride); });
  a = segment(frame.data(), height, width, stride);
  other.join();
  int inside = 0;
  for (const float p : a.span<float>()) inside += p >= about.threshold;
  std::printf("%d pixels of class 1, on both threads: %s\n", inside, a.to_vector() == b.to_vector() ? "yes" : "no");
} catch (const duet::Error& error) {
  return std::fprintf(stderr, "embed: %s\n", error.what()), 1;
}
