// One run of the model under an observer tells which norm reads which convolution's result; tensors tell the modules.
#include <duet/nn/fuse.hpp>

#include <cmath>
#include <cstring>
#include <unordered_map>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/norm.hpp>

namespace duet::nn {
namespace {

using Key = const TensorImpl*;
Key key(const Tensor& tensor) { return tensor.impl().get(); }

/// What one run showed: for each convolution's weight the running mean of the norm behind it; null where anything else
/// reads what it computed, or where it stands in front of two norms.
class Watcher final : public Observer {
 public:
  std::unordered_map<Key, Key> norm_behind;
  std::unordered_map<Key, Key> convolution_before;  // the same from the other side

  void after_op(const Call& call, std::span<const Tensor> outputs, Node*) override {
    const bool norm = std::strcmp(call.name(), "batch_norm") == 0;
    for (std::size_t i = 0; i < call.inputs.size(); ++i)
      if (call.inputs[i].defined() && !(norm && i == 0)) other_use(call.inputs[i]);
    if (norm) normalised(call);
    if (std::strncmp(call.name(), "conv", 4) == 0 && outputs.size() == 1 && call.count() >= 2) {
      made_[outputs[0].impl()->storage.get()] = key(call[1]);
      kept_.push_back(outputs[0]);  // so that no later tensor lies at its address
    }
  }
  /// Something else than a norm reads this.
  void other_use(const Tensor& tensor) {
    if (const auto found = made_.find(tensor.impl()->storage.get()); found != made_.end())
      norm_behind[found->second] = nullptr;
  }

 private:
  void normalised(const Call& call) {
    const Key mean = call.has(1) ? key(call[1]) : nullptr;
    const auto found = made_.find(call[0].impl()->storage.get());
    const Key weight = found == made_.end() ? nullptr : found->second;
    join(convolution_before, mean, weight);
    if (weight != nullptr) join(norm_behind, weight, mean);
  }
  /// Notes the only partner there may be.
  static void join(std::unordered_map<Key, Key>& partners, Key one, Key other) {
    const auto [found, fresh] = partners.try_emplace(one, other);
    if (!fresh && found->second != other) found->second = nullptr;
  }

  std::unordered_map<const Storage*, Key> made_;
  Tensors kept_;
};

/// A convolution's parameters, whichever its rank and direction.
struct Convolution {
  Parameter *weight, *bias;
  bool* has_bias;
  std::int64_t groups;
  bool transposed;
};
struct Norm {
  Parameter *weight, *bias;
  Buffer *mean, *var, *batches;
  double eps;
  bool* folded;
};

template <class C>
bool find_convolution(Module* module, bool transposed, std::vector<Convolution>& into) {
  auto* c = dynamic_cast<C*>(module);
  if (c != nullptr) into.push_back({&c->weight, &c->bias, &c->options.bias, c->options.groups, transposed});
  return c != nullptr;
}
template <int N>
void find_layers(Module* module, std::vector<Convolution>& convolutions, std::vector<Norm>& norms) {
  if (find_convolution<Conv<N>>(module, false, convolutions) ||
      find_convolution<ConvTranspose<N>>(module, true, convolutions))
    return;
  if (auto* n = dynamic_cast<BatchNorm<N>*>(module); n != nullptr && n->running_mean.defined() && !n->folded)
    norms.push_back(
        {&n->weight, &n->bias, &n->running_mean, &n->running_var, &n->num_batches_tracked, n->options.eps, &n->folded});
}

/// Numbers as a tensor like `like` in dtype.
Tensor tensor_of(const std::vector<double>& values, const Shape& shape, const Tensor& like) {
  Tensor tensor = Tensor::empty(shape, {.dtype = like.dtype()});
  raw::copy(Tensor::from_span(std::span<const double>(values), shape), tensor);
  return tensor;
}

void fold(const Convolution& c, const Norm& n) {
  const std::vector<double> mean = n.mean->to_vector(), var = n.var->to_vector();
  const std::size_t channels = mean.size();
  const auto values_or = [&](const Tensor& tensor, double absent) {
    return tensor.defined() ? tensor.to_vector() : std::vector<double>(channels, absent);
  };
  const std::vector<double> weight = values_or(*n.weight, 1), shift = values_or(*n.bias, 0);
  std::vector<double> w = c.weight->to_vector(), b = values_or(*c.bias, 0), scale(channels);
  for (std::size_t k = 0; k < channels; ++k) {
    scale[k] = weight[k] / std::sqrt(var[k] + n.eps);
    b[k] = scale[k] * (b[k] - mean[k]) + shift[k];
  }
  // weight is (out, in / groups, taps…), of a transposed one (in, out / groups, taps…).
  const Shape shape = c.weight->shape();
  const std::size_t rows = static_cast<std::size_t>(shape[0]), columns = static_cast<std::size_t>(shape[1]);
  const std::size_t taps = w.size() / (rows * columns), rows_per_group = rows / static_cast<std::size_t>(c.groups);
  for (std::size_t i = 0; i < w.size(); ++i) {
    const std::size_t row = i / (taps * columns), column = i / taps % columns;
    w[i] *= scale[c.transposed ? row / rows_per_group * columns + column : row];
  }
  const Tensor like = *c.weight;
  *c.weight = tensor_of(w, shape, like);
  *c.bias = tensor_of(b, {static_cast<std::int64_t>(channels)}, like);
  *c.has_bias = true;
  *n.weight = *n.bias = Tensor();
  *n.mean = *n.var = *n.batches = Tensor();
  *n.folded = true;
}

/// The one element of `all` whose tensor has this key; null if there is none, or several share it.
template <class Layer, class Held>
const Layer* only(const std::vector<Layer>& all, Held* Layer::*tensor, Key wanted) {
  const Layer* found = nullptr;
  for (const Layer& one : all) {
    if (key(*(one.*tensor)) != wanted) continue;
    if (found != nullptr) return nullptr;
    found = &one;
  }
  return found;
}

}  // namespace

std::int64_t fuse(Module& model, const Tensor& example) {
  std::vector<Convolution> convolutions;
  std::vector<Norm> norms;
  for (const auto& [path, module] : model.named_modules()) {
    if (module->is_training()) fail<ValueError>("fuse", "'{}' is in training: call eval() first", path);
    find_layers<1>(module, convolutions, norms);
    find_layers<2>(module, convolutions, norms);
    find_layers<3>(module, convolutions, norms);
  }
  Watcher watcher;
  {
    const NoGradGuard no_grad;
    const ObserverGuard guard(watcher);
    watcher.other_use(model(example));
  }
  std::int64_t folded = 0;
  for (const Norm& norm : norms) {
    const auto before = watcher.convolution_before.find(key(*norm.mean));
    if (before == watcher.convolution_before.end() || before->second == nullptr) continue;
    const Convolution* convolution = only(convolutions, &Convolution::weight, before->second);
    if (convolution == nullptr || watcher.norm_behind[before->second] != key(*norm.mean)) continue;
    if (only(norms, &Norm::mean, key(*norm.mean)) == nullptr) continue;
    fold(*convolution, norm);
    ++folded;
  }
  return folded;
}

}  // namespace duet::nn
