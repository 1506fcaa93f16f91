// The same from an OpenCV matrix, which may be a part of a larger one.
//   embed_opencv WEIGHTS
#include <cstdio>
#include <opencv2/core.hpp>

#include <duet/nn/models/unet.hpp>
#include <duet/nn/tiled.hpp>
#include <duet/ops/activation.hpp>

/// Probabilities of class 1 of a gray image of 8 or 16 bits.
cv::Mat segment(duet::nn::UNet& net, const duet::nn::ModelDescription& about, const cv::Mat& image) {
  if (image.channels() != 1 || about.mean.size() != 1 || net.options.out_channels != 1)
    throw duet::ValueError("not for gray, two classes");
  const double white = image.depth() == CV_8U ? 255 : 65535;
  cv::Mat scaled;
  image.convertTo(scaled, CV_32F, 1 / (white * about.deviation[0]), -about.mean[0] / about.deviation[0]);
  const std::int64_t height = scaled.rows, width = scaled.cols, row = static_cast<std::int64_t>(scaled.step1());
  const auto pixels = duet::Tensor::wrap(scaled.ptr<float>(), {1, height, width}, {height * row, row, 1});  // no copy
  const duet::Tensor p = sigmoid(duet::nn::predict_tiled(net, pixels));
  return cv::Mat(scaled.rows, scaled.cols, CV_32F, const_cast<float*>(p.data<float>())).clone();
}

int main(int argc, char** argv) try {
  duet::nn::ModelDescription about;
  const auto net = duet::nn::UNet::load(argc > 1 ? argv[1] : "unet-run/best.safetensors", &about);
  net->eval();
  cv::Mat padded(301, 416, CV_16U);
  for (std::size_t i = 0; i < padded.total(); ++i)
    padded.ptr<std::uint16_t>()[i] = static_cast<std::uint16_t>(i * i % 9973 * 3 + 20000);
  const cv::Mat frame = padded.colRange(0, 403), mask = segment(*net, about, frame) >= about.threshold;
  std::printf("%d pixels of class 1\n", cv::countNonZero(mask));
} catch (const std::exception& error) {
  return std::fprintf(stderr, "embed_opencv: %s\n", error.what()), 1;
}
