// All of Duet's public headers but the two bridges that need another library, core/format.hpp (fmt) and
// core/xtensor.hpp (xtensor).
#pragma once

#include <duet/core/allocator.hpp>
#include <duet/core/callable.hpp>
#include <duet/core/dtype.hpp>
#include <duet/core/error.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/op.hpp>
#include <duet/core/options.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/random.hpp>
#include <duet/core/safetensors.hpp>
#include <duet/core/shape.hpp>
#include <duet/core/storage.hpp>
#include <duet/core/tape.hpp>
#include <duet/core/tensor.hpp>
#include <duet/core/version.hpp>
#include <duet/ops/conv.hpp>
#include <duet/ops/conv_geometry.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/registry.hpp>
#include <duet/ops/shape.hpp>
#include <duet/autograd/backward.hpp>
#include <duet/autograd/function.hpp>
#include <duet/autograd/gradcheck.hpp>
#include <duet/autograd/sweep.hpp>
#include <duet/autograd/taylor.hpp>
#include <duet/nn/data/confusion.hpp>
#include <duet/nn/data/crop.hpp>
#include <duet/nn/data/dataset.hpp>
#include <duet/nn/data/image_set.hpp>
#include <duet/nn/data/loader.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/nn/data/synthetic.hpp>
