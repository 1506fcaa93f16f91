// ONNX files, written from what a forward computes. A component of its own, duet::onnx, because it needs libonnx
// (Debian: libonnx-dev): find_package(duet REQUIRED COMPONENTS onnx).
//
//     duet::save_onnx("unet.onnx", model, duet::randn({1, 1, 64, 64}), {.dynamic = {0, 2, 3}});
#pragma once

#include <string>
#include <vector>

#include <duet/core/tensor.hpp>
#include <duet/nn/module.hpp>

namespace duet {

struct OnnxOptions {
  /// Dimensions of the inputs whose size is left open in the file. The forward is run at the example's sizes and at
  /// twice these, and what differs between the two runs is taken to follow the size. A file so made runs at sizes whose
  /// runs differ by no more than that: those of a U-Net of depth 4 must be multiples of 8.
  std::vector<int> dynamic = {0};
  bool fold_batch_norm = true;                       ///< into the weights of the convolution before it
  std::vector<std::string> input_names = {"input"};  ///< one each
  std::vector<std::string> output_names = {"output"};
};

/// Writes what `module` computes in evaluation mode, opset 13, and checks the file with ONNX's own checker. The module
/// is left as it was. The file appears whole or not at all. ValueError for an op that has no form in ONNX, by its name
/// and the module that calls it; for a forward that takes another path at another size; for values made inside a
/// forward that depend on the size. What the forward throws passes through. IoError where the system refuses.
void save_onnx(const std::string& path, nn::Module& module, const Tensor& example, const OnnxOptions& options = {});

/// The same for any function of tensors; parameters get the names that `module` has for them.
void save_onnx(const std::string& path, nn::Module& module, const Tensors& examples,
               FunctionRef<Tensors(const Tensors&)> forward, const OnnxOptions& options = {});

}  // namespace duet
