// Duet inside a product: weights are loaded once, and buffers of 16-bit pixels are segmented on any number of threads.
//   embed WEIGHTS
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

#include <duet/nn/models/unet.hpp>
#include <duet/nn/tiled.hpp>
#include <duet/ops/activation.hpp>

/// What `duet_unet train` made. operator() changes nothing in it, so threads may share one.
class Segmenter {
 public:
  explicit Segmenter(const char* weights) : net_(duet::nn::UNet::load(weights, &about_)) { net_->eval(); }

  /// Probabilities of class 1, row by row, of gray pixels whose rows lie `stride` pixels apart.
  std::vector<float> operator()(const std::uint16_t* pixels, std::int64_t height, std::int64_t width,
                                std::int64_t stride) const {
    duet::Tensor image = duet::Tensor::empty({1, height, width});
    float* to = image.mutable_data<float>();
    for (std::int64_t y = 0; y < height; ++y)
      for (std::int64_t x = 0; x < width; ++x)
        *to++ = static_cast<float>((pixels[y * stride + x] / 65535.0 - about_.mean[0]) / about_.deviation[0]);
    const duet::Tensor p = sigmoid(duet::nn::predict_tiled(*net_, image));  // in tiles, so any size will do
    const auto values = p.span<float>();
    return {values.begin(), values.end()};
  }
  double threshold() const { return about_.threshold; }

 private:
  duet::nn::ModelDescription about_;
  std::unique_ptr<duet::nn::UNet> net_;
};

int main(int argc, char** argv) try {
  const Segmenter segmenter(argc > 1 ? argv[1] : "unet-run/best.safetensors");
  constexpr std::int64_t height = 301, width = 403, stride = 416;  // a camera's rows are padded
  std::vector<std::uint16_t> frame(height * stride);
  for (std::size_t i = 0; i < frame.size(); ++i) frame[i] = static_cast<std::uint16_t>(i * 2654435761u >> 16);
  std::vector<float> results[2];
  std::thread other([&] { results[1] = segmenter(frame.data(), height, width, stride); });
  results[0] = segmenter(frame.data(), height, width, stride);
  other.join();
  std::int64_t inside = 0;
  for (const float p : results[0]) inside += p >= segmenter.threshold();
  std::printf("%d x %d pixels, %d of class 1, the same on both threads: %s\n", static_cast<int>(height),
              static_cast<int>(width), static_cast<int>(inside), results[0] == results[1] ? "yes" : "no");
  return results[0] == results[1] ? 0 : 1;
} catch (const duet::Error& error) {
  std::fprintf(stderr, "embed: %s\n", error.what());
  return 1;
}
