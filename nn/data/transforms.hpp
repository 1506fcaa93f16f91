// Random changes of a labelled image, for training: a list of them is one of them, and whatever moves pixels moves
// image and label alike. They draw from the sample's own random numbers, so a sample is the same on any number of
// workers.
#pragma once

#include <vector>

#include <duet/core/callable.hpp>
#include <duet/core/random.hpp>
#include <duet/nn/data/image_set.hpp>

namespace duet::data {

/// Changes an image (channels, height, width) f32 and its label (height, width) u8 in place. Any function of this form
/// will do; those below throw ShapeError and DtypeError for other tensors, ValueError for options out of range where
/// they are made. Strengths are in units of the image: after normalization by deviation, 1 is its deviation.
using Transform = Callable<void(LabelledImage& sample, Generator& random)>;

/// One after the other.
Transform compose(std::vector<Transform> transforms);
/// `transform` in a share of the cases, else nothing.
Transform sometimes(double probability, Transform transform);

/// Mirrored in half of the cases, along each axis.
Transform random_flips();
/// Turned by 0, 90, 180 or 270 degrees.
Transform random_quarter_turns();
/// A square of `size` pixels at a random place; an image that is smaller is continued by reflection.
Transform random_crop(std::int64_t size);

struct ElasticOptions {
  double strength = 4;  ///< deviation of a pixel's move along each axis, in pixels
  double spacing = 24;  ///< of the random moves between which the others lie; at least 4
};
/// Pixels moved by a smooth random field (Simard et al., "Best practices for convolutional neural networks applied to
/// visual document analysis", 2003; by cubic B-splines over a lattice of random moves). The image is read between
/// pixels by cubics, the label at the nearest one, both continued by reflection.
Transform random_elastic(const ElasticOptions& options = {});

struct IntensityOptions {
  double brightness = 0.1;  ///< deviation of an offset
  double contrast = 0.1;    ///< deviation of a factor's logarithm
  double gamma = 0;         ///< deviation of an exponent's logarithm, applied between the least and the largest value
};
/// Brightness, contrast and gamma of all channels together. The label stays.
Transform random_intensity(const IntensityOptions& options = {});
/// A Gaussian blur whose deviation is uniform in [0, most] pixels.
Transform random_blur(double most = 1);
/// Independent normal noise on every value, of a deviation that is uniform in [0, most].
Transform random_noise(double most = 0.1);

}  // namespace duet::data
