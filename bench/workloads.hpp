// Duet's side of the training workloads; libtorch's is peers/libtorch_train.cpp. Same architectures, sizes, losses and
// optimizers, in the order of the same program.
#pragma once

#include "steps.hpp"

namespace duet::bench {

/// unet16, unet16_inference, generator, unet64, dcgan, wgan_gp, mlp.
std::vector<Workload> training_workloads();

}  // namespace duet::bench
