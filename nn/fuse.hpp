// Folding batch normalisation into the convolutions in front of it, for inference.
#pragma once

#include <cstdint>

#include <duet/nn/module.hpp>

namespace duet::nn {

/// Moves each batch norm of `model` that only ever follows one convolution, and is all that reads its result, into that
/// convolution's weight and bias: with s = weight / sqrt(running_var + eps), w becomes s·w and b becomes
/// s·(b − running_mean) + bias, and the norm hands its input through. Outputs stay the same but for rounding (Jacob et
/// al. 2018, section 3.2). Which belongs to which is seen by running the model on `example` once. Gives back how many
/// were folded.
///
/// The model is for inference then: the norms have no parameters any more, so neither optimizers made before nor weight
/// files of the unfused model fit it. ValueError, with nothing changed, if a module is in training.
std::int64_t fuse(Module& model, const Tensor& example);

}  // namespace duet::nn
