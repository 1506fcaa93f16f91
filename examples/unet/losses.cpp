// Weights and masks are computed off the tape; what the logits go through are ops.
#include "unet/losses.hpp"

#include <charconv>
#include <cmath>
#include <numeric>

#include <duet/core/factory.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>
#include <duet/ops/softmax.hpp>

namespace duet::examples {
namespace {

/// A target taken apart: classes, the pixels that count, the weight of each. Shapes: the target's.
struct Parts {
  Tensor truth;                     // f32; 0 where it does not count
  Tensor valid;                     // f32: 1 counts, 0 does not
  Tensor weight;                    // f32: the class's weight, 0 where it does not count
  double weights = 0, ignored = 0;  // sums; of the mean part where processes share a batch
};

Parts take_apart(const Tensor& target, const LossSettings& settings) {
  Parts parts{Tensor::empty(target.shape()), Tensor::empty(target.shape()), Tensor::empty(target.shape())};
  const Tensor source = raw::contiguous(target);
  raw::dispatch_all(target.dtype(), [&](auto zero) {
    const auto* ids = raw::data<decltype(zero)>(source);
    for (std::int64_t i = 0; i < target.numel(); ++i) {
      const auto id = static_cast<std::int64_t>(ids[i]);
      const bool counts = id >= 0 && id != data::ignored_label;
      const double weight = !counts                          ? 0
                            : settings.class_weights.empty() ? 1
                                                             : settings.class_weights[static_cast<std::size_t>(id)];
      raw::data<float>(parts.truth)[i] = counts ? static_cast<float>(id) : 0;
      raw::data<float>(parts.valid)[i] = counts;
      raw::data<float>(parts.weight)[i] = static_cast<float>(weight);
      parts.weights += weight;
      parts.ignored += !counts;
    }
  });
  if (settings.total) {
    const double sums[] = {parts.weights, parts.ignored};
    const auto all = settings.total(Tensor::from_span(std::span(sums), {2})).to_vector();
    parts.weights = all[0] / settings.processes;
    parts.ignored = all[1] / settings.processes;
  }
  return parts;
}

Tensor weighed_mean(const Tensor& losses, const Parts& parts) {
  return sum(losses * parts.weight) * (1 / parts.weights);
}

/// (1 − q)² · entropy, where the entropy is −log q.
Tensor focal(const Tensor& entropy) { return square(1.0 - exp(-entropy)) * entropy; }

/// 1 − (2 Σ p t + 1) / (Σ p + Σ t + 1), summed over all dimensions but `kept`, and by `total` if it is given.
Tensor dice_by(const Tensor& p, const Tensor& t, int kept, const Callable<Tensor(const Tensor&)>& total = {}) {
  Dims over;
  for (int axis = 0; axis < p.rank(); ++axis)
    if (axis != kept) over.push_back(axis);
  const auto summed = [&](const Tensor& x) {
    const Tensor own = sum(x, {.dim = over});
    return total ? total(own) : own;
  };
  return 1.0 - (summed(p * t) * 2.0 + 1.0) / (summed(p) + summed(t) + 1.0);
}

double weight_of(const LossSettings& settings, std::size_t c) {
  return settings.class_weights.empty() ? 1 : settings.class_weights[c];
}

/// The mean of the two classes' dice losses, so that it does not matter which of them is the rare one.
Tensor two_class_dice(const Tensor& logits, const Parts& parts, const LossSettings& settings) {
  const double w0 = weight_of(settings, 0), w1 = weight_of(settings, 1);
  if (parts.ignored == 0)
    return (dice_loss(logits, parts.truth) * w1 + dice_loss(-logits, 1 - parts.truth) * w0) * (1 / (w0 + w1));
  const Tensor p = sigmoid(logits) * parts.valid;
  return mean(dice_by(p, parts.truth, 0) * w1 + dice_by(parts.valid - p, parts.valid - parts.truth, 0) * w0) *
         (1 / (w0 + w1));
}

Tensor two_class_loss(const Tensor& logits, const Tensor& target, const LossSettings& settings) {
  const Parts parts = take_apart(target, settings);
  if (parts.weights == 0) return sum(logits) * 0.0;  // nothing counts
  const auto entropy = [&] { return binary_cross_entropy_with_logits(logits, parts.truth, {Reduction::none}); };
  const bool plain = settings.class_weights.empty() && parts.ignored == 0;
  const auto mean_entropy = [&] {
    return plain ? binary_cross_entropy_with_logits(logits, parts.truth) : weighed_mean(entropy(), parts);
  };
  switch (settings.kind) {
    case LossKind::dice:
      return two_class_dice(logits, parts, settings);
    case LossKind::focal:
      return weighed_mean(focal(entropy()), parts);
    case LossKind::bce_dice:
    case LossKind::ce_dice:
      return settings.dice == 0 ? mean_entropy()
                                : mean_entropy() + settings.dice * two_class_dice(logits, parts, settings);
    default:
      return mean_entropy();
  }
}

/// The mean over the classes, by their weights, of the dice loss of the whole batch.
Tensor many_class_dice(const Tensor& logits, const Parts& parts, const LossSettings& settings) {
  const std::int64_t classes = logits.size(1), plane = parts.truth.numel() / logits.size(0);
  Tensor truth = zeros(logits.shape());
  for (std::int64_t i = 0; i < parts.truth.numel(); ++i)
    if (raw::data<float>(parts.valid)[i] != 0)
      raw::data<float>(
          truth)[(i / plane * classes + static_cast<std::int64_t>(raw::data<float>(parts.truth)[i])) * plane +
                 i % plane] = 1;
  Tensor weight = Tensor::empty({classes});
  double all = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    all += weight_of(settings, static_cast<std::size_t>(c));
    raw::data<float>(weight)[c] = static_cast<float>(weight_of(settings, static_cast<std::size_t>(c)));
  }
  const Tensor p = softmax(logits, {.dim = 1}) * unsqueeze(parts.valid, 1);
  return sum(dice_by(p, truth, 1, settings.total) * weight) * (1 / all);
}

Tensor many_class_loss(const Tensor& logits, const Tensor& target, const LossSettings& settings) {
  const Parts parts = take_apart(target, settings);
  if (parts.weights == 0) return sum(logits) * 0.0;
  const CrossEntropyOptions options{.ignore_index = data::ignored_label};
  const auto entropy = [&] {
    Tensor weight;
    if (!settings.class_weights.empty()) {
      weight = Tensor::empty({logits.size(1)});
      for (std::size_t c = 0; c < settings.class_weights.size(); ++c)
        raw::data<float>(weight)[c] = static_cast<float>(settings.class_weights[c]);
    }
    if (settings.total)  // its own mean would divide by the weights of this part alone
      return cross_entropy(logits, target, {.ignore_index = data::ignored_label, .reduction = Reduction::sum}, weight) *
             (1 / parts.weights);
    return cross_entropy(logits, target, options, weight);
  };
  switch (settings.kind) {
    case LossKind::dice:
      return many_class_dice(logits, parts, settings);
    case LossKind::focal: {
      const Tensor each =
          cross_entropy(logits, target, {.ignore_index = data::ignored_label, .reduction = Reduction::none});
      return weighed_mean(focal(each), parts);
    }
    case LossKind::ce_dice:
      return entropy() + settings.dice * many_class_dice(logits, parts, settings);
    default:
      return entropy();
  }
}

/// Every `step`th pixel of a target, as many as the logits have.
Tensor reduced(const Tensor& target, const Tensor& logits, std::int64_t step) {
  Tensor part = target;
  for (int from_back = 1; from_back <= 2; ++from_back) {
    const std::int64_t count = logits.size(logits.rank() - from_back), first = step / 2;
    part = slice(part, part.rank() - from_back, first, first + (count - 1) * step + 1, step);
  }
  return part;
}

}  // namespace

LossKind loss_kind(const std::string& name, int classes) {
  if (name.empty()) return classes == 2 ? LossKind::bce_dice : LossKind::ce;
  if ((name == "bce" || name == "bce+dice") && classes > 2)
    fail<ValueError>("--loss", "{} is for two classes, there are {}: use {}", name, classes,
                     name == "bce" ? "ce" : "ce+dice");
  if (name == "bce") return LossKind::bce;
  if (name == "dice") return LossKind::dice;
  if (name == "bce+dice") return LossKind::bce_dice;
  if (name == "focal") return LossKind::focal;
  if (name == "ce") return LossKind::ce;
  if (name == "ce+dice") return LossKind::ce_dice;
  fail<ValueError>("--loss", "there is no loss {}: bce, dice, bce+dice, focal, ce, ce+dice", name);
}

std::vector<double> class_weights(const std::string& text, const data::ImageSet& images, int classes) {
  std::vector<double> weights;
  if (text.empty()) return weights;
  if (text == "auto") {
    std::vector<std::int64_t> counts = images.class_counts();
    counts.resize(static_cast<std::size_t>(classes));
    const auto all = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
    double mean = 0;
    for (const std::int64_t count : counts) {
      const double share = static_cast<double>(count) / std::max(all, 1.0);
      weights.push_back(count > 0 ? 1 / std::sqrt(share) : 0);  // a class that does not occur has no say
      mean += share * weights.back();
    }
    for (double& weight : weights) weight = mean > 0 ? weight / mean : 1;
    return weights;
  }
  for (const char *at = text.data(), *end = at + text.size(); at <= end;) {
    double value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc() || (next != end && *next != ',') || !(value >= 0 && value <= 1e6))
      fail<ValueError>("--class-weights", "needs auto or numbers of at least 0 with commas between, got {}", text);
    weights.push_back(value);
    at = next + 1;
    if (next == end) break;
  }
  if (weights.size() != static_cast<std::size_t>(classes))
    fail<ValueError>("--class-weights", "{} are {} numbers, there are {} classes", text, weights.size(), classes);
  if (std::accumulate(weights.begin(), weights.end(), 0.0) == 0)
    fail<ValueError>("--class-weights", "at least one must be above 0, got {}", text);
  return weights;
}

Tensor segmentation_loss(const Tensor& logits, const Tensor& target, const LossSettings& settings) {
  return logits.size(1) == 1 ? two_class_loss(logits, target, settings) : many_class_loss(logits, target, settings);
}

Tensor deep_loss(const Tensors& scales, const Tensor& target, const LossSettings& settings) {
  Tensor loss = segmentation_loss(scales.at(0), target, settings);
  double weights = 1;
  for (std::size_t k = 1; k < scales.size(); ++k) {
    const std::int64_t step = std::int64_t{1} << k;
    const double weight = 1 / static_cast<double>(step);
    loss = loss + weight * segmentation_loss(scales[k], reduced(target, scales[k], step), settings);
    weights += weight;
  }
  return scales.size() == 1 ? loss : loss * (1 / weights);
}

}  // namespace duet::examples
