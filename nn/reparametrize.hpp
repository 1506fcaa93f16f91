// Layers whose weight is computed from other parameters at every call, as wrappers of a layer's type:
//
//     duet::nn::SpectralNorm<duet::nn::Conv2d> conv{this, "conv", 64, 128, 4, {.stride = 2, .padding = 1}};
//
// takes what the layer's constructors take. The layer's own `weight` is absent between calls; the state holds what the
// weight is made of, under PyTorch's names.
#pragma once

#include <type_traits>

#include <duet/nn/conv.hpp>
#include <duet/nn/module.hpp>
#include <duet/ops/elementwise.hpp>

namespace duet::nn {

namespace detail {

/// Takes a layer's weight out of its slot.
Tensor take_weight(Parameter& slot);

/// Puts a computed weight into a layer's empty slot for the length of a scope.
class WeightScope {
 public:
  WeightScope(Tensor& slot, const Tensor& weight) : slot_(slot) { slot_ = weight; }
  ~WeightScope() { slot_ = Tensor(); }
  WeightScope(const WeightScope&) = delete;
  WeightScope& operator=(const WeightScope&) = delete;

 private:
  Tensor& slot_;
};

/// Which dimension of a layer's weight counts its outputs.
template <class M>
inline constexpr int output_dim = 0;
template <int N>
inline constexpr int output_dim<ConvTranspose<N>> = 1;

/// The left singular vector of a weight seen as (outputs, rest), after a few power iterations from a random one.
Tensor left_singular_vector(const Tensor& weight, int output_dim, double eps);
/// The right one that belongs to it.
Tensor right_singular_vector(const Tensor& weight, const Tensor& u, int output_dim, double eps);

/// weight / σ with σ = uᵀ W v, after `iterations` power iterations that write to u and v. No gradient flows through u
/// and v; one does through W in σ.
Tensor divided_by_spectral_norm(const Tensor& weight, Tensor& u, Tensor& v, int output_dim, int iterations, double eps);

/// The norm along every dimension but the first, sizes of 1 kept.
Tensor norm_but_first(const Tensor& weight);
/// The same, not recorded.
Tensor lengths(const Tensor& weight);

}  // namespace detail

/// A layer M whose weight is divided by an estimate of its largest singular value (Miyato et al. 2018,
/// arXiv:1802.05957). Training refines the estimate at every call, evaluation leaves it. State: bias, weight_orig,
/// weight_u, weight_v.
template <class M>
requires std::is_base_of_v<Module, M>
class SpectralNorm : public M {
 public:
  using M::M;
  using Module::operator();

  Tensor forward(const Tensor& x) override {
    const detail::WeightScope scope(this->weight, effective_weight());
    return M::forward(x);
  }
  /// What the layer computes with; in training this takes a step of the estimate.
  Tensor effective_weight() {
    return detail::divided_by_spectral_norm(weight_orig, weight_u, weight_v, detail::output_dim<M>,
                                            this->is_training() ? power_iterations : 0, eps);
  }
  std::string describe() const override {
    // Nothing is changed that anybody could see: the slot is empty before and after.
    const detail::WeightScope scope(const_cast<Parameter&>(this->weight), weight_orig);
    return M::describe() + ", spectral_norm";
  }

  int power_iterations = 1;  ///< a call
  double eps = 1e-12;        ///< the least length that a vector is divided by
  Parameter weight_orig{this, "weight_orig", detail::take_weight(this->weight)};
  Buffer weight_u{this, "weight_u", detail::left_singular_vector(weight_orig, detail::output_dim<M>, eps)};
  Buffer weight_v{this, "weight_v", detail::right_singular_vector(weight_orig, weight_u, detail::output_dim<M>, eps)};
};

/// A layer M whose weight is v · g / |v|, length and direction learned apart (Salimans and Kingma 2016,
/// arXiv:1602.07868). Lengths are those along every dimension but the first. State: bias, weight_g, weight_v.
template <class M>
requires std::is_base_of_v<Module, M>
class WeightNorm : public M {
 public:
  using M::M;
  using Module::operator();

  Tensor forward(const Tensor& x) override {
    const detail::WeightScope scope(this->weight, effective_weight());
    return M::forward(x);
  }
  /// What the layer computes with.
  Tensor effective_weight() const { return weight_v * (weight_g / detail::norm_but_first(weight_v)); }
  std::string describe() const override {
    const detail::WeightScope scope(const_cast<Parameter&>(this->weight), weight_v);
    return M::describe() + ", weight_norm";
  }

  Parameter weight_v{this, "weight_v", detail::take_weight(this->weight)};
  Parameter weight_g{this, "weight_g", detail::lengths(weight_v)};
};

}  // namespace duet::nn
