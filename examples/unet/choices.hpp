// What the words among train's flags stand for.
#pragma once

#include <duet/nn/data/transforms.hpp>
#include <duet/nn/models/unet.hpp>

#include "unet/flags.hpp"

namespace duet::examples {

/// How the data are opened.
data::ImageSetOptions set_options(const TrainFlags& flags);
/// The net's variant; ValueError for an unknown word.
nn::UNetOptions net_variant(const TrainFlags& flags);
/// --normalize, from the training images; ValueError for an unknown word.
data::Normalization normalization_of(const TrainFlags& flags, const data::ImageSet& images);
/// --elastic, --gamma, --blur and --noise; empty if none of them is asked for.
data::Transform augmentation(const TrainFlags& flags);
/// --threshold as a number; `automatic` is set, and 0.5 returned, for "auto". ValueError for what is neither, or
/// outside (0, 1).
double threshold_of(const TrainFlags& flags, bool& automatic);

}  // namespace duet::examples
