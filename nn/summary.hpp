// summary(): what a model is made of, layer by layer, as seen while it runs once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <duet/nn/module.hpp>

namespace duet::nn {

/// One module. Numbers include what lies below it.
struct SummaryRow {
  std::string path = {};  ///< "" for the model itself
  std::string kind = {}, description = {};
  int depth = 0;           ///< modules above it
  Shape output = {};       ///< of the last op that ran in it
  std::int64_t calls = 0;  ///< how many ops ran in it; 0: it was not used
  std::int64_t parameters = 0;
  /// Floating-point operations: 2 for each multiplication with a weight in a convolution (padding counts as any other
  /// pixel) or matrix product, 1 for each element that another op makes; views are free.
  std::int64_t flops = 0;
  std::int64_t output_bytes = 0;  ///< of everything that its ops returned, views not counted
  std::int64_t saved_bytes = 0;   ///< what a backward keeps of its ops, parameters not counted, shared memory once
};

/// What summary() saw.
struct Summary {
  std::vector<SummaryRow> rows;  ///< the model first, then the modules below in order
  std::int64_t parameter_bytes = 0;
  /// As a table with a line a module, and totals.
  std::string table() const;
};

/// Calls model(input) once, recording, and gives an account of it. Buffers and the state of default_generator() are
/// afterwards what they were. What the model throws.
Summary summary(Module& model, const Tensor& input);

}  // namespace duet::nn
