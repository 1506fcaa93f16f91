// The losses that duet_unet trains with: for two classes (one logit) and for more, with weights of the classes, and
// pixels that do not count.
#pragma once

#include <string>
#include <vector>

#include <duet/core/callable.hpp>
#include <duet/nn/data/image_set.hpp>

namespace duet::examples {

enum class LossKind { bce, dice, bce_dice, focal, ce, ce_dice };

struct LossSettings {
  LossKind kind = LossKind::bce_dice;
  double dice = 1;                         ///< weight of the dice loss beside an entropy
  std::vector<double> class_weights = {};  ///< one a class; empty: all 1
  /// Where processes share a batch: the sum over them, with a derivative, and how many they are. The mean of their
  /// losses is then the loss of the whole batch.
  Callable<Tensor(const Tensor&)> total = {};
  int processes = 1;
};

/// The loss of a name: bce (two classes), ce, dice, bce+dice (two classes), ce+dice, focal; "": bce+dice for two
/// classes, ce for more. ValueError for another one, or one that does not fit the classes.
LossKind loss_kind(const std::string& name, int classes);

/// What --class-weights says: "" none, "a,b,…" one a class, "auto" 1 / sqrt(share of the pixels), scaled so that the
/// mean over all pixels is 1. ValueError for a list of another length, numbers below 0, or all 0.
std::vector<double> class_weights(const std::string& text, const data::ImageSet& images, int classes);

/// The loss of a batch as CropDataset makes it: logits (N, 1, H, W) with target (N, 1, H, W), or (N, C, H, W) with
/// (N, H, W). Entropies are means over the pixels that count, by their classes' weights. Dice losses are means over the
/// classes, by their weights: of each sample for two classes, of the whole batch for more, where a sample may lack
/// classes. The focal loss is the entropy's times (1 − q)², q the probability given to the truth (Lin et al. 2017).
Tensor segmentation_loss(const Tensor& logits, const Tensor& target, const LossSettings& settings);

/// The loss of logits at several scales, as nn::UNet::scales() gives them: the mean of segmentation_loss() of each,
/// weighed by 1, 1/2, 1/4, … (after Isensee et al., "nnU-Net", 2021). The truth of a coarse pixel is that of the pixel
/// in the middle of those that it stands for.
Tensor deep_loss(const Tensors& scales, const Tensor& target, const LossSettings& settings);

}  // namespace duet::examples
