// Padding and cropping.
#pragma once

#include <vector>

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

/// What stands beyond the edge: a value; the inside mirrored at the edge element; the edge element; the other end.
enum class PadMode { constant, reflect, replicate, circular };

struct PadOptions {
  std::vector<std::int64_t> pad = {};  ///< before and after the last dimension, then the one before it, …; negative crops
  PadMode mode = PadMode::constant;
  double value = 0;  ///< of constant padding
  void fields(FieldVisitor& visitor) {
    static constexpr const char* modes[] = {"constant", "reflect", "replicate", "circular"};
    visitor.field("pad", pad);
    visitor.choice("mode", mode, modes);
    visitor.field("value", value);
  }
};

/// x with its last dimensions padded or cropped. ValueError for an odd number of entries or more pairs than dimensions;
/// ShapeError where a size would be negative, where reflect needs more than size - 1 elements, circular more than
/// size, or where nothing is there to repeat.
Tensor pad(const Tensor& x, const PadOptions& options);

struct PadBackwardOptions {
  Shape shape = {};  ///< of what pad() was given
  PadOptions pad = {};
  void fields(FieldVisitor& visitor) {
    visitor.field("shape", shape);
    pad.fields(visitor);
  }
};
/// The adjoint of pad(): every element of g added to the one that it is a copy of.
Tensor pad_backward(const Tensor& g, const PadBackwardOptions& options);

}  // namespace duet
