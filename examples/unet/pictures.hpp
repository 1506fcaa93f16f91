// Pictures for people: class ids as colours, and image, truth and prediction side by side.
#pragma once

#include <duet/core/tensor.hpp>

namespace duet::examples {

/// Class ids (height, width) u8 as (3, height, width) u8: black and white for two classes, else a colour each.
Tensor paint(const Tensor& ids, int classes);

/// The image (1 or 3, height, width), the truth, the prediction, and where they differ: red what should have been the
/// lower class, blue the higher. (3, height, …) u8; small images are enlarged.
Tensor side_by_side(const Tensor& image, const Tensor& truth, const Tensor& prediction, int classes);

}  // namespace duet::examples
