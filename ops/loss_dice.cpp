// The loss of overlaps between masks, image by image.
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/elementwise_rules.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/reduce_rules.hpp>

namespace duet {

using kernels::Map;

namespace {

/// Everything but the first dimension.
Dims image_dims(int rank) {
  Dims dims;
  for (int i = 1; i < rank; ++i) dims.push_back(i);
  return dims;
}

/// The sums that dice is made of, one an image: of p t, and of p + t with the smoothing. In whatever ops are given.
struct DiceTerms {
  Tensor overlap, total;
};
DiceTerms dice_terms(const Tensor& p, const Tensor& t, double smooth) {
  const ReduceOptions images{.dim = image_dims(p.rank()), .keepdim = true};
  if (p.rank() == 1) return {p * t * 2.0 + smooth, p + t + smooth};
  return {sum(p * t, images) * 2.0 + smooth, sum(p, images) + sum(t, images) + smooth};
}

}  // namespace

DUET_DEFINE_OP(dice_loss, define({
    .name = "dice_loss",
    .doc = "One minus the overlap of a predicted and a true mask, averaged over images.",
    .formula = "1 - (2 sum p t + smooth) / (sum p + sum t + smooth), p = sigmoid(x)",
    .inputs = {"logits", "target"},
    .options = &options_type<DiceOptions>(),
    .shape_rule = [](const ShapeCall& c) -> Specs {
      const Dtype dtype = require_floating(c);
      require_target_shape(c);
      if (c[0].shape.rank() == 0) fail<ShapeError>(c.name(), "needs a batch dimension, got a scalar");
      return {{Shape{}, dtype}};
    },
    .forward = [](const Call& c) -> Tensors {
      const Shape& shape = c[0].shape();
      const std::int64_t images = shape[0];
      const Dims dims = image_dims(shape.rank());
      const Tensor p = run_map(c.name(), Map::sigmoid, {c[0]}, shape);
      const auto sums = [&](const Tensor& x) {
        return (dims.empty() ? raw::contiguous(x) : fold_tensor(kernels::Fold::sum, x, dims, false)).to_vector();
      };
      const auto overlap = sums(run_map(c.name(), Map::mul, {p, c[1]}, shape)), of_p = sums(p), of_t = sums(c[1]);
      const double smooth = c.opt<DiceOptions>().smooth;
      double score = 0;
      for (std::size_t n = 0; n < overlap.size(); ++n)
        score += (2 * overlap[n] + smooth) / (of_p[n] + of_t[n] + smooth);
      Tensor out = c.empty();
      raw::fill(out, 1 - score / static_cast<double>(images));
      return {out};
    },
    .vjp = [](const Vjp& v) -> Tensors {
      const Tensor p = sigmoid(v.input(0)), t = v.input(1);
      const DiceTerms d = dice_terms(p, t, v.opt<DiceOptions>().smooth);
      // With s = overlap / total: ds = (2 t dp + 2 p dt - s (dp + dt)) / total.
      const Tensor scale = v.cotangent() * (-1.0 / static_cast<double>(v.shape(0)[0])) / d.total;
      const Tensor score = d.overlap / d.total;
      return {v.needs(0) ? sigmoid_backward(scale * (t * 2.0 - score), p) : Tensor(),
              v.needs(1) ? scale * (p * 2.0 - score) : Tensor()};
    },
    .saves = {save_input(0), save_input(1)},
    .source = "Milletari et al. 2016, arXiv:1606.04797",
    .samples = []() -> std::vector<Sample> {
      std::vector<Sample> samples;
      std::uint64_t seed = 1;
      for (const DiceOptions& options : {DiceOptions{}, DiceOptions{0.1}, DiceOptions{5}})
        for (const Shape& shape : {Shape{2, 1, 3, 4}, Shape{3, 17}, Shape{1, 33}, Shape{4}}) {
          samples.push_back({fmt::format("{} smooth {}", shape, options.smooth),
                             {sample_normal(shape, seed), sample_uniform(shape, 0.1, 0.9, seed + 1)},
                             options});
          seed += 2;
        }
      return samples;
    },
}))

Tensor dice_loss(const Tensor& logits, const Tensor& target, const DiceOptions& options) {
  return apply1(dice_loss_op(), {logits, target}, options);
}
Tensor dice_bce_loss(const Tensor& logits, const Tensor& target, const DiceOptions& options) {
  return dice_loss(logits, target, options) + binary_cross_entropy_with_logits(logits, target);
}

}  // namespace duet
