// Exports a layer through the installed component.
#include <duet/duet.hpp>
#include <duet/onnx/save.hpp>

int main() {
  duet::nn::Conv2d layer{1, 2, 3};
  duet::save_onnx("layer.onnx", layer, duet::randn({1, 1, 8, 8}));
  return duet::file_exists("layer.onnx") ? 0 : 1;
}
