// Connected components: the objects in a mask, numbered and measured.
#pragma once

#include <cstdint>
#include <vector>

#include <duet/core/tensor.hpp>

namespace duet::data {

/// One object. Places are pixel indices (z, y, x); z is 0 in images.
struct Component {
  std::int64_t area = 0;       ///< pixels
  double centroid[3] = {};     ///< mean place
  std::int64_t first[3] = {};  ///< least place along each axis
  std::int64_t last[3] = {};   ///< largest
  double mean_intensity = 0;   ///< over all channels; 0 without an image
};

struct ComponentOptions {
  bool diagonal = false;      ///< pixels that share a corner (or an edge of a volume's) are neighbours too
  std::int64_t min_area = 1;  ///< smaller objects are left out
};

/// Every object of a mask.
struct Components {
  Tensor labels;                ///< the mask's shape, i64: 0 background, 1, 2, … in the order of first pixels
  std::vector<Component> list;  ///< of labels 1, 2, …
};

/// The objects of pixels that are not 0 in a mask (height, width) or (depth, height, width) of u8, with the intensities
/// of an image (channels, the mask's shape) of u8 or f32 if it is given, as they are stored. Two passes with a
/// union-find (Rosenfeld and Pfaltz, "Sequential operations in digital picture processing", 1966). ShapeError,
/// DtypeError; ValueError for a min_area below 1.
Components connected_components(const Tensor& mask, const ComponentOptions& options = {}, const Tensor& image = {});

}  // namespace duet::data
