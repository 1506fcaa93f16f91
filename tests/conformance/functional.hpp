// PyTorch's functions that are not ops of the registry: views, ops with a second output, functions that are written in
// others. Each reads its attributes under PyTorch's names and calls Duet's public function.
#pragma once

#include <duet/core/callable.hpp>
#include <duet/core/tensor.hpp>

#include "attributes.hpp"

namespace golden {

/// A case's inputs and attributes to outputs.
using Functional = duet::Callable<duet::Tensors(const duet::Tensors& inputs, AttributeReader& attributes)>;

/// The function of this name, or an empty one.
Functional find_functional(const std::string& name);

/// Duet's name for an op that PyTorch calls otherwise as well: "clip" is clamp.
std::string canonical(const std::string& name);

}  // namespace golden
