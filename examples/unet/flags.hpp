// What `duet_unet train` can be told, said once: the command line, run.json and the check of --resume walk the same
// list.
#pragma once

#include "common/flags.hpp"

namespace duet::examples {

struct TrainFlags : RunFlags {
  TrainFlags() { out = "unet-run"; }
  std::string data;
  std::int64_t generated = 24;
  std::string val;
  std::int64_t batch = 8, crop = 128, base = 16, depth = 4;
  double lr = 3e-3, dice = 1, brightness = 0.1;
  std::int64_t classes = 0, ignore = -1;
  std::string normalize = "deviation", loss, class_weights, threshold = "0.5";
  bool turns = true;
  double elastic = 0, gamma = 0, blur = 0, noise = 0;
  std::string up = "transpose", norm = "batch";
  bool residual = false, attention = false;
  double dropout = 0;
  bool sync_batch_norm = false;
  bool deep_supervision = false;
  int workers = 1;
  int validations = 10, pictures = 4;

  /// Calls visit(name, value, resume, help) for each.
  template <class Visit>
  void fields(Visit&& visit) {
    visit("data", data, Resume::fixed,
          "folder with image/ and label/: PNG or TIFF files of the same names. Without it, images are generated");
    visit("generated", generated, Resume::fixed, "how many images to generate when there is no --data");
    visit("val", val, Resume::fixed,
          "validation: the last N images in name order, or a folder of its own; 0: none. Default: about 15 %");
    visit("batch", batch, Resume::fixed, "crops a step");
    visit("crop", crop, Resume::fixed, "side of a crop in pixels");
    visit("base", base, Resume::fixed, "channels of the first level; each level below has twice as many");
    visit("depth", depth, Resume::fixed, "levels of the U-Net");
    visit("lr", lr, Resume::fixed,
          "highest learning rate; it rises over the first fifth of the run, then falls to 0 along a cosine");
    visit("dice", dice, Resume::fixed, "weight of the dice loss beside cross entropy, for two classes");
    visit("brightness", brightness, Resume::fixed,
          "deviation of random brightness and contrast of a crop, in deviations of the images");
    visit("classes", classes, Resume::fixed,
          "number of classes; labels above are refused. Default: the highest label + 1. Generated images have 2 or 4");
    visit("ignore", ignore, Resume::fixed, "label value of pixels that do not count; -1: none");
    visit("normalize", normalize, Resume::fixed,
          "of the images: deviation, min-max, percentile (1 to 99 %), or image-percentile (of each image by itself)");
    visit("loss", loss, Resume::fixed,
          "bce, dice, bce+dice, focal, ce or ce+dice. Default: bce+dice for two classes, ce for more");
    visit("class-weights", class_weights, Resume::fixed, "auto (1 / sqrt of a class's share), or numbers a,b,...");
    visit("threshold", threshold, Resume::fixed,
          "of two classes: a number, or auto: where the validation images score highest (mean IoU)");
    visit("turns", turns, Resume::fixed, "crops are mirrored, and turned by multiples of 90 degrees, at random");
    visit("elastic", elastic, Resume::fixed, "deviation of elastic moves in pixels, of half of the crops");
    visit("gamma", gamma, Resume::fixed, "deviation of the logarithm of a random gamma");
    visit("blur", blur, Resume::fixed, "largest deviation of a random blur in pixels, of half of the crops");
    visit("noise", noise, Resume::fixed,
          "largest deviation of random noise, in deviations of the images, on half of the crops");
    visit("up", up, Resume::fixed, "way up of the net: transpose, nearest, bilinear or pixel_shuffle");
    visit("norm", norm, Resume::fixed, "its normalisation: batch, group or instance");
    visit("residual", residual, Resume::fixed, "its blocks add their input");
    visit("attention", attention, Resume::fixed, "gates on what its way down kept");
    visit("dropout", dropout, Resume::fixed, "share of channels that a block loses in training");
    visit("sync-batch-norm", sync_batch_norm, Resume::fixed,
          "under mpirun: batch norm over the whole batch, not over each process's part of it");
    visit("deep-supervision", deep_supervision, Resume::fixed,
          "losses at half the size, a quarter, ... beside the whole one, from heads on the lower levels");
    visit("workers", workers, Resume::free, "threads that prepare batches; 0: none but the training's own");
    visit("validations", validations, Resume::fixed, "how many times the validation images are scored");
    visit("pictures", pictures, Resume::free, "how many side-by-side pictures are made");
    run_fields(visit);
  }
};

}  // namespace duet::examples
