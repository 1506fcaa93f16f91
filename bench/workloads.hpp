// Duet's side of the training workloads; libtorch's is peers/libtorch_train.cpp. Same architectures, sizes, losses and
// optimizers, in the order of the same program.
#pragma once

#include <memory>

#include <duet/nn/module.hpp>

#include "steps.hpp"

namespace duet::bench {

/// unet16, unet16_inference, generator, unet64, dcgan, wgan_gp, mlp; and crops, which trains unet16 on pictures, where
/// DUET_BENCH_CROPS names a folder of them.
std::vector<Workload> training_workloads();

/// A network in evaluation mode and an input of its size.
struct Inference {
  std::string name;
  std::shared_ptr<nn::Module> model;
  Tensor input;
};
/// The networks of the workloads without gradients: unet16_inference and generator.
std::vector<Inference> inference_models();

}  // namespace duet::bench
