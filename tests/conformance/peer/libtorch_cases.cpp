// Writes golden cases of functions that the files of tests/golden do not cover, computed by libtorch in float64:
//
//     duet_golden_libtorch FILE.safetensors [SEED]
//
// One case is an op with its attributes, inputs, outputs, and first and second gradients; see tests/golden/README.md.
#include <torch/torch.h>

#include <cstdint>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace {

using Json = nlohmann::json;
using torch::Tensor;
using Tensors = std::vector<Tensor>;
using Function = std::function<Tensors(const Tensors&)>;
using Sizes = std::vector<std::int64_t>;

class Recorder {
 public:
  /// `by`: inputs differentiated. Where `order` is 2, second gradients too, unless libtorch has none.
  void add(const std::string& op, const Json& attributes, const Tensors& given, const std::vector<int>& by,
           const Function& function, int order = 2) {
    const std::size_t before = tensors_.size();
    try {
      record(op, attributes, given, by, function, order);
    } catch (const std::exception&) {  // an error of c10, or a plain one: "is not implemented"
      if (order < 2) throw;
      tensors_.resize(before);
      record(op, attributes, given, by, function, 1);
    }
  }

  void write(const std::string& path) const {
    Json header = {{"__metadata__", {{"cases", cases_.dump()}}}};
    std::int64_t at = 0;
    for (const auto& [name, tensor] : tensors_) {
      const std::int64_t bytes = tensor.numel() * 8;
      header[name] = {{"dtype", tensor.scalar_type() == torch::kLong ? "I64" : "F64"},
                      {"shape", tensor.sizes().vec()},
                      {"data_offsets", {at, at + bytes}}};
      at += bytes;
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const std::uint64_t length = text.size();
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), 8);
    file << text;
    for (const auto& [name, tensor] : tensors_)
      file.write(static_cast<const char*>(tensor.data_ptr()), tensor.numel() * 8);
  }
  std::size_t size() const { return cases_.size(); }

 private:
  void record(const std::string& op, const Json& attributes, const Tensors& given, const std::vector<int>& by,
              const Function& function, int order) {
    const std::string id = std::to_string(cases_.size());
    Tensors inputs;
    for (const Tensor& tensor : given) inputs.push_back(tensor.detach().clone());
    for (const int i : by) inputs[i].set_requires_grad(true);
    const Tensors outputs = function(inputs);
    Tensors differentiated, cotangents, sources;
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < given.size(); ++i) put(id + ".in." + std::to_string(i), given[i]);
    for (std::size_t j = 0; j < outputs.size(); ++j) {
      put(id + ".out." + std::to_string(j), outputs[j]);
      if (by.empty() || !outputs[j].requires_grad()) continue;
      differentiated.push_back(outputs[j]);
      cotangents.push_back(torch::randn_like(outputs[j]).set_requires_grad(order > 1));
      which.push_back(j);
      put(id + ".cot." + std::to_string(j), cotangents.back());
    }
    for (const int i : by) sources.push_back(inputs[i]);
    if (!by.empty()) {
      const Tensors gradients = torch::autograd::grad(differentiated, sources, cotangents, true, order > 1, true);
      for (std::size_t k = 0; k < by.size(); ++k)
        put(id + ".grad." + std::to_string(by[k]), or_zeros(gradients[k], sources[k]));
      if (order > 1) second(id, by, gradients, sources, cotangents, which);
    }
    cases_.push_back({{"id", id},
                      {"op", op},
                      {"attrs", attributes},
                      {"inputs", given.size()},
                      {"diff", by},
                      {"outputs", outputs.size()},
                      {"second", order > 1 && !by.empty()}});
  }

  static Tensor or_zeros(const Tensor& tensor, const Tensor& like) {
    return tensor.defined() ? tensor : torch::zeros_like(like);
  }

  void put(const std::string& name, const Tensor& tensor) {
    const bool whole = !tensor.is_floating_point();
    // Added to zeros: a "zero tensor" of libtorch has no memory that could be written to a file.
    const Tensor values = tensor.detach().to(whole ? torch::kLong : torch::kDouble);
    tensors_.emplace_back(name, (torch::zeros(values.sizes(), values.scalar_type()) + values).contiguous());
  }

  void second(const std::string& id, const std::vector<int>& by, const Tensors& gradients, Tensors sources,
              const Tensors& cotangents, const std::vector<std::size_t>& which) {
    Tensor total = torch::zeros({}, torch::kDouble);
    for (std::size_t k = 0; k < by.size(); ++k) {
      const Tensor cotangent = torch::randn_like(sources[k]);
      put(id + ".cot2." + std::to_string(by[k]), cotangent);
      if (gradients[k].defined()) total = total + (gradients[k] * cotangent).sum();
    }
    const std::size_t inputs = sources.size();
    sources.insert(sources.end(), cotangents.begin(), cotangents.end());
    Tensors found(sources.size());
    if (total.requires_grad()) found = torch::autograd::grad({total}, sources, {}, false, false, true);
    for (std::size_t k = 0; k < sources.size(); ++k)
      put(id + ".grad2." + (k < inputs ? std::to_string(by[k]) : "cot." + std::to_string(which[k - inputs])),
          or_zeros(found[k], sources[k]));
  }

  Json cases_ = Json::array();
  std::vector<std::pair<std::string, Tensor>> tensors_;
};

Tensor normal(const Sizes& sizes) { return torch::randn(sizes, torch::kDouble); }
Tensor positive(const Sizes& sizes) { return torch::rand(sizes, torch::kDouble) + 0.3; }
/// No two values closer than 0.1, none near a kink at 0 or at a whole number.
Tensor distinct(const Sizes& sizes) {
  std::int64_t count = 1;
  for (const std::int64_t size : sizes) count *= size;
  return (torch::randperm(count, torch::kDouble) - count / 2).reshape(sizes) * 0.1 + 0.037;
}
Tensor whole(std::int64_t below, const Sizes& sizes) { return torch::randint(below, sizes, torch::kLong); }

void convolutions(Recorder& to) {
  to.add("conv1d", {{"stride", {2}}, {"padding", {1}}, {"dilation", {2}}, {"groups", 2}},
         {normal({2, 4, 9}), normal({6, 2, 3}), normal({6})}, {0, 1, 2},
         [](const Tensors& in) { return Tensors{at::conv1d(in[0], in[1], in[2], 2, 1, 2, 2)}; });
  to.add("conv1d", {{"padding", "same"}}, {normal({1, 2, 7}), normal({3, 2, 4})}, {0, 1},
         [](const Tensors& in) { return Tensors{at::conv1d(in[0], in[1], {}, 1, "same", 1, 1)}; });
  to.add("conv1d", {{"stride", 2}}, {normal({2, 7}), normal({3, 2, 3})}, {0, 1},
         [](const Tensors& in) { return Tensors{at::conv1d(in[0], in[1], {}, 2)}; });
  to.add("conv2d", {{"padding", "same"}, {"dilation", {1, 2}}},
         {normal({1, 2, 5, 7}), normal({3, 2, 2, 4}), normal({3})}, {0, 1, 2}, [](const Tensors& in) {
           return Tensors{at::conv2d(in[0], in[1], in[2], at::IntArrayRef{1}, "same", at::IntArrayRef{1, 2}, 1)};
         });
  to.add("conv2d", {{"padding", "valid"}, {"stride", 2}}, {normal({2, 5, 7}), normal({3, 2, 2, 4})}, {0, 1},
         [](const Tensors& in) {
           return Tensors{at::conv2d(in[0], in[1], {}, at::IntArrayRef{2}, "valid", at::IntArrayRef{1}, 1)};
         });
  to.add("conv3d", {{"stride", {1, 2, 1}}, {"padding", {1, 0, 1}}},
         {normal({1, 2, 3, 5, 4}), normal({2, 2, 2, 3, 2}), normal({2})}, {0, 1, 2}, [](const Tensors& in) {
           return Tensors{at::conv3d(in[0], in[1], in[2], {1, 2, 1}, {1, 0, 1})};
         });
  to.add("conv_transpose1d", {{"stride", 3}, {"output_padding", 2}, {"dilation", 2}},
         {normal({2, 3, 4}), normal({3, 2, 3}), normal({2})}, {0, 1, 2},
         [](const Tensors& in) { return Tensors{at::conv_transpose1d(in[0], in[1], in[2], 3, 0, 2, 1, 2)}; });
  to.add("conv_transpose2d", {{"stride", {2, 1}}, {"padding", 1}}, {normal({3, 4, 3}), normal({3, 2, 3, 3})}, {0, 1},
         [](const Tensors& in) {
           return Tensors{at::conv_transpose2d(in[0], in[1], {}, {2, 1}, 1)};
         });
  to.add("conv_transpose3d", {{"stride", 2}, {"groups", 2}, {"output_padding", {1, 0, 1}}},
         {normal({1, 2, 2, 3, 2}), normal({2, 1, 2, 2, 3})}, {0, 1}, [](const Tensors& in) {
           return Tensors{at::conv_transpose3d(in[0], in[1], {}, 2, 0, {1, 0, 1}, 2)};
         });
}

Tensors pair(const std::tuple<Tensor, Tensor>& both) { return {std::get<0>(both), std::get<1>(both)}; }

void pools(Recorder& to) {
  to.add("max_pool1d",
         {{"kernel_size", 3}, {"stride", 2}, {"padding", 1}, {"ceil_mode", true}, {"return_indices", true}},
         {distinct({2, 2, 8})}, {0},
         [](const Tensors& in) { return pair(at::max_pool1d_with_indices(in[0], 3, 2, 1, 1, true)); });
  to.add("max_pool2d", {{"kernel_size", {2, 3}}, {"stride", nullptr}, {"dilation", {2, 1}}, {"return_indices", false}},
         {distinct({1, 2, 6, 7})}, {0}, [](const Tensors& in) {
           return Tensors{at::max_pool2d(in[0], {2, 3}, {}, 0, {2, 1})};
         });
  to.add("max_pool3d", {{"kernel_size", 2}, {"stride", {1, 2, 1}}, {"return_indices", true}},
         {distinct({1, 2, 3, 4, 3})}, {0}, [](const Tensors& in) {
           return pair(at::max_pool3d_with_indices(in[0], 2, {1, 2, 1}));
         });
  to.add("avg_pool1d", {{"kernel_size", 3}, {"stride", 2}, {"padding", 1}, {"count_include_pad", false}},
         {normal({2, 2, 7})}, {0},
         [](const Tensors& in) { return Tensors{at::avg_pool1d(in[0], 3, 2, 1, false, false)}; });
  to.add("avg_pool2d", {{"kernel_size", 2}, {"divisor_override", 3}, {"ceil_mode", true}}, {normal({1, 2, 5, 3})}, {0},
         [](const Tensors& in) { return Tensors{at::avg_pool2d(in[0], 2, {}, 0, true, true, 3)}; });
  to.add("avg_pool3d", {{"kernel_size", {2, 1, 2}}, {"stride", 1}}, {normal({1, 1, 3, 2, 4})}, {0},
         [](const Tensors& in) {
           return Tensors{at::avg_pool3d(in[0], {2, 1, 2}, 1)};
         });
  to.add("adaptive_avg_pool1d", {{"output_size", 3}}, {normal({2, 2, 7})}, {0},
         [](const Tensors& in) { return Tensors{at::adaptive_avg_pool1d(in[0], 3)}; });
  to.add("adaptive_avg_pool2d", {{"output_size", {nullptr, 2}}}, {normal({1, 2, 3, 5})}, {0}, [](const Tensors& in) {
    return Tensors{at::adaptive_avg_pool2d(in[0], {3, 2})};
  });
  to.add("adaptive_avg_pool3d", {{"output_size", {2, 1, 3}}}, {normal({1, 1, 3, 4, 5})}, {0}, [](const Tensors& in) {
    return Tensors{at::adaptive_avg_pool3d(in[0], {2, 1, 3})};
  });
  to.add("adaptive_max_pool1d", {{"output_size", 3}, {"return_indices", true}}, {distinct({2, 2, 7})}, {0},
         [](const Tensors& in) { return pair(at::adaptive_max_pool1d(in[0], 3)); });
  to.add("adaptive_max_pool2d", {{"output_size", {2, nullptr}}, {"return_indices", true}}, {distinct({1, 2, 5, 3})},
         {0}, [](const Tensors& in) {
           return pair(at::adaptive_max_pool2d(in[0], {2, 3}));
         });
  to.add("adaptive_max_pool3d", {{"output_size", {1, 2, 2}}}, {distinct({1, 1, 3, 3, 5})}, {0}, [](const Tensors& in) {
    return Tensors{std::get<0>(at::adaptive_max_pool3d(in[0], {1, 2, 2}))};
  });
  const Tensor x = distinct({1, 2, 5, 7});
  const auto [y, places] = at::max_pool2d_with_indices(x, 2, 2);
  to.add("max_unpool2d", {{"kernel_size", 2}, {"output_size", {5, 7}}}, {y, places}, {0}, [](const Tensors& in) {
    return Tensors{at::max_unpool2d(in[0], in[1], {5, 7})};
  });
}

void resampling(Recorder& to) {
  namespace F = torch::nn::functional;
  const auto interpolate = [&](const Json& attributes, const Sizes& sizes, const F::InterpolateFuncOptions& o) {
    to.add("interpolate", attributes, {normal(sizes)}, {0},
           [o](const Tensors& in) { return Tensors{F::interpolate(in[0], o)}; });
  };
  using Factors = std::vector<double>;
  interpolate({{"scale_factor", {1.7}}, {"mode", "linear"}, {"align_corners", false}}, {1, 2, 5},
              F::InterpolateFuncOptions().scale_factor(Factors{1.7}).mode(torch::kLinear).align_corners(false));
  interpolate({{"scale_factor", {1.6, 0.7}}, {"mode", "bilinear"}, {"recompute_scale_factor", true}}, {1, 1, 5, 7},
              F::InterpolateFuncOptions()
                  .scale_factor(Factors{1.6, 0.7})
                  .mode(torch::kBilinear)
                  .align_corners(false)
                  .recompute_scale_factor(true));
  interpolate({{"scale_factor", {1.6, 0.7}}, {"mode", "bilinear"}, {"antialias", false}}, {1, 1, 5, 7},
              F::InterpolateFuncOptions().scale_factor(Factors{1.6, 0.7}).mode(torch::kBilinear).align_corners(false));
  interpolate({{"size", {2, 3, 5}}, {"mode", "trilinear"}, {"align_corners", true}}, {1, 1, 3, 2, 4},
              F::InterpolateFuncOptions().size(Sizes{2, 3, 5}).mode(torch::kTrilinear).align_corners(true));
  interpolate({{"size", {3, 8}}, {"mode", "nearest-exact"}}, {1, 2, 5, 5},
              F::InterpolateFuncOptions().size(Sizes{3, 8}).mode(torch::kNearestExact));
  interpolate({{"size", {2, 3}}, {"mode", "area"}}, {1, 2, 5, 7},
              F::InterpolateFuncOptions().size(Sizes{2, 3}).mode(torch::kArea));
  interpolate({{"scale_factor", {0.6, 1.9}}, {"mode", "bicubic"}}, {1, 1, 6, 5},
              F::InterpolateFuncOptions().scale_factor(Factors{0.6, 1.9}).mode(torch::kBicubic).align_corners(false));
  to.add("pixel_unshuffle", {{"downscale_factor", 2}}, {normal({1, 2, 4, 6})}, {0},
         [](const Tensors& in) { return Tensors{at::pixel_unshuffle(in[0], 2)}; });
  const auto pad = [&](const char* mode, const Json& amounts, const Sizes& sizes, const F::PadFuncOptions& o) {
    to.add("pad", {{"pad", amounts}, {"mode", mode}, {"value", nullptr}}, {normal(sizes)}, {0},
           [o](const Tensors& in) { return Tensors{F::pad(in[0], o)}; });
  };
  pad("constant", {1, -1, -2, 3}, {2, 4, 3}, F::PadFuncOptions({1, -1, -2, 3}));
  pad("reflect", {2, 1}, {1, 2, 4}, F::PadFuncOptions({2, 1}).mode(torch::kReflect));
  pad("replicate", {1, 2, 0, 1}, {1, 1, 3, 2}, F::PadFuncOptions({1, 2, 0, 1}).mode(torch::kReplicate));
  pad("circular", {1, 2, 2, 0}, {1, 1, 3, 4}, F::PadFuncOptions({1, 2, 2, 0}).mode(torch::kCircular));
}

void losses(Recorder& to) {
  const auto mean = at::Reduction::Mean, none = at::Reduction::None, sum = at::Reduction::Sum;
  const Tensor logits = normal({3, 4}), probabilities = torch::softmax(normal({3, 4}), 1);
  to.add("cross_entropy", {{"label_smoothing", 0.2}, {"weight", true}}, {logits, probabilities, positive({4})}, {0, 1},
         [=](const Tensors& in) { return Tensors{at::cross_entropy_loss(in[0], in[1], in[2], mean, -100, 0.2)}; });
  to.add("cross_entropy", {{"reduction", "none"}}, {normal({2, 3, 2, 2}), torch::softmax(normal({2, 3, 2, 2}), 1)},
         {0, 1}, [=](const Tensors& in) { return Tensors{at::cross_entropy_loss(in[0], in[1], {}, none)}; });
  to.add("cross_entropy", {{"ignore_index", 1}, {"reduction", "sum"}, {"size_average", nullptr}, {"weight", false}},
         {normal({2, 3, 2, 2}), whole(3, {2, 2, 2})}, {0},
         [=](const Tensors& in) { return Tensors{at::cross_entropy_loss(in[0], in[1], {}, sum, 1)}; });
  to.add("nll_loss", {{"ignore_index", 0}, {"weight", true}},
         {normal({2, 3, 2, 2}), whole(3, {2, 2, 2}), positive({3})}, {0},
         [=](const Tensors& in) { return Tensors{at::nll_loss_nd(in[0], in[1], in[2], mean, 0)}; });
  to.add("binary_cross_entropy", {{"weight", true}, {"reduction", "sum"}},
         {torch::sigmoid(logits), probabilities, positive({3, 4})}, {0},
         [=](const Tensors& in) { return Tensors{at::binary_cross_entropy(in[0], in[1], in[2], sum)}; });
  to.add("binary_cross_entropy_with_logits", {{"weight", true}, {"pos_weight", true}, {"reduction", "none"}},
         {logits, probabilities, positive({3, 4}), positive({4})}, {0}, [=](const Tensors& in) {
           return Tensors{at::binary_cross_entropy_with_logits(in[0], in[1], in[2], in[3], none)};
         });
  to.add(
      "smooth_l1_loss", {{"beta", 0.0}, {"reduction", "sum"}}, {distinct({3, 4}), torch::zeros({3, 4}, torch::kDouble)},
      {0}, [=](const Tensors& in) { return Tensors{at::l1_loss(in[0], in[1], sum)}; }, 1);
  to.add("kl_div", {{"reduction", "sum"}, {"log_target", true}},
         {torch::log_softmax(logits, 1), torch::log_softmax(normal({3, 4}), 1)}, {0, 1},
         [=](const Tensors& in) { return Tensors{at::kl_div(in[0], in[1], sum, true)}; });
}

void elementwise(Recorder& to) {
  const Tensor x = distinct({3, 5}), y = distinct({3, 5}) + 0.05;
  to.add("add", {{"alpha", 2.5}}, {x, y}, {0, 1},
         [](const Tensors& in) { return Tensors{at::add(in[0], in[1], 2.5)}; });
  to.add("sub", {{"other", 3}, {"alpha", 2}}, {x}, {0},
         [](const Tensors& in) { return Tensors{at::sub(in[0], 3, 2)}; });
  to.add("lerp", {{"weight", 0.3}}, {x, y}, {0, 1},
         [](const Tensors& in) { return Tensors{at::lerp(in[0], in[1], 0.3)}; });
  to.add("lerp", Json::object(), {x, y, normal({3, 5})}, {0, 1, 2},
         [](const Tensors& in) { return Tensors{at::lerp(in[0], in[1], in[2])}; });
  to.add("clamp", {{"min", nullptr}, {"max", 0.02}}, {x}, {0},
         [](const Tensors& in) { return Tensors{at::clamp_max(in[0], 0.02)}; });
  using Unary = Tensor (*)(const Tensor&);
  const std::pair<const char*, Unary> functions[] = {{"selu", at::selu},           {"mish", at::mish},
                                                     {"hardswish", at::hardswish}, {"hardsigmoid", at::hardsigmoid},
                                                     {"square", at::square},       {"sign", at::sign}};
  for (const auto& [name, function] : functions)
    to.add(name, {{"inplace", false}}, {x}, {0},
           [function = function](const Tensors& in) { return Tensors{function(in[0])}; });
  const std::pair<const char*, Unary> roots[] = {
      {"rsqrt", at::rsqrt}, {"reciprocal", at::reciprocal}, {"log1p", at::log1p}, {"sqrt", at::sqrt}};
  for (const auto& [name, function] : roots)
    to.add(name, Json::object(), {positive({2, 3})}, {0},
           [function = function](const Tensors& in) { return Tensors{function(in[0])}; });
  to.add("hardtanh", {{"min_val", -0.5}, {"max_val", 0.25}}, {x}, {0},
         [](const Tensors& in) { return Tensors{at::hardtanh(in[0], -0.5, 0.25)}; });
  to.add("softplus", {{"beta", 2}, {"threshold", 1}}, {x}, {0},
         [](const Tensors& in) { return Tensors{at::softplus(in[0], 2, 1)}; });
  to.add("gt", {{"other", 0.1}}, {x}, {}, [](const Tensors& in) { return Tensors{at::gt(in[0], 0.1)}; });
  to.add("le", Json::object(), {x, y}, {}, [](const Tensors& in) { return Tensors{at::le(in[0], in[1])}; });
}

void reductions(Recorder& to) {
  const Tensor x = distinct({2, 3, 4});
  to.add("prod", {{"dim", 1}, {"keepdim", true}}, {x}, {0},
         [](const Tensors& in) { return Tensors{at::prod(in[0], 1, true)}; });
  to.add("cumsum", {{"dim", -1}, {"dtype", nullptr}}, {x}, {0},
         [](const Tensors& in) { return Tensors{at::cumsum(in[0], -1)}; });
  to.add("std", {{"dim", {0, 2}}, {"unbiased", false}}, {x}, {0}, [](const Tensors& in) {
    return Tensors{at::std(in[0], at::IntArrayRef{0, 2}, false)};
  });
  to.add("var", {{"dim", 1}, {"correction", 0}, {"keepdim", true}}, {x}, {0},
         [](const Tensors& in) { return Tensors{at::var(in[0], at::IntArrayRef{1}, 0, true)}; });
  to.add("norm", {{"p", "fro"}, {"dim", {0, 1}}}, {x}, {0}, [](const Tensors& in) {
    return Tensors{at::norm(in[0], 2, at::IntArrayRef{0, 1})};
  });
  to.add("norm", {{"p", 3}, {"dim", -1}}, {x}, {0},
         [](const Tensors& in) { return Tensors{at::norm(in[0], 3, at::IntArrayRef{-1})}; });
  to.add(
      "norm", {{"p", "inf"}}, {x}, {0},
      [](const Tensors& in) {
        return Tensors{at::norm(in[0], INFINITY, at::IntArrayRef{0, 1, 2})};
      },
      1);
  to.add("argmax", {{"dim", nullptr}}, {x}, {}, [](const Tensors& in) { return Tensors{at::argmax(in[0])}; });
  to.add("argmin", {{"dim", 1}, {"keepdim", true}}, {x}, {},
         [](const Tensors& in) { return Tensors{at::argmin(in[0], 1, true)}; });
}

void moves(Recorder& to) {
  const Tensor x = normal({2, 3, 4});
  to.add("squeeze", {{"dim", 1}}, {normal({2, 1, 3})}, {0},
         [](const Tensors& in) { return Tensors{in[0].squeeze(1)}; });
  to.add("unsqueeze", {{"dim", -1}}, {x}, {0}, [](const Tensors& in) { return Tensors{in[0].unsqueeze(-1)}; });
  to.add("flatten", {{"start_dim", 1}}, {x}, {0}, [](const Tensors& in) { return Tensors{in[0].flatten(1)}; });
  to.add("transpose", {{"dim0", 0}, {"dim1", 2}}, {x}, {0},
         [](const Tensors& in) { return Tensors{in[0].transpose(0, 2)}; });
  to.add("split", {{"split_size_or_sections", 3}, {"dim", 2}}, {x}, {0},
         [](const Tensors& in) { return in[0].split(3, 2); });
  to.add("split", {{"split_size_or_sections", {1, 3}}, {"dim", 2}}, {x}, {0}, [](const Tensors& in) {
    return at::split_with_sizes(in[0], {1, 3}, 2);
  });
  to.add("chunk", {{"chunks", 2}, {"dim", 1}}, {x}, {0}, [](const Tensors& in) { return in[0].chunk(2, 1); });
  to.add("roll", {{"shifts", {1, -2}}, {"dims", {0, 2}}}, {x}, {0}, [](const Tensors& in) {
    return Tensors{at::roll(in[0], {1, -2}, {0, 2})};
  });
  to.add("repeat", {{"repeats", {2, 1, 3, 2}}}, {x}, {0}, [](const Tensors& in) {
    return Tensors{in[0].repeat({2, 1, 3, 2})};
  });
  to.add("tril", {{"diagonal", -1}}, {x}, {0}, [](const Tensors& in) { return Tensors{at::tril(in[0], -1)}; });
  to.add("triu", {{"diagonal", 1}}, {x}, {0}, [](const Tensors& in) { return Tensors{at::triu(in[0], 1)}; });
  to.add("gather", {{"dim", 2}, {"sparse_grad", false}}, {x, whole(4, {2, 2, 5})}, {0},
         [](const Tensors& in) { return Tensors{at::gather(in[0], 2, in[1])}; });
  to.add("scatter_add", {{"dim", 1}}, {x, whole(3, {2, 5, 4}), normal({2, 5, 4})}, {0, 2},
         [](const Tensors& in) { return Tensors{at::scatter_add(in[0], 1, in[1], in[2])}; });
  to.add("index_select", {{"dim", -1}}, {x, whole(4, {6})}, {0},
         [](const Tensors& in) { return Tensors{at::index_select(in[0], -1, in[1])}; });
  to.add("index_add", {{"dim", 1}, {"alpha", 0.5}}, {x, whole(3, {5}), normal({2, 5, 4})}, {0, 2},
         [](const Tensors& in) { return Tensors{at::index_add(in[0], 1, in[1], in[2], 0.5)}; });
  to.add("one_hot", Json::object(), {whole(5, {2, 3})}, {},
         [](const Tensors& in) { return Tensors{at::one_hot(in[0])}; });
  to.add(
      "embedding",
      {{"padding_idx", 2}, {"max_norm", nullptr}, {"norm_type", 2.0}, {"scale_grad_by_freq", false}, {"sparse", false}},
      {whole(5, {3, 4}), normal({5, 3})}, {1},
      [](const Tensors& in) { return Tensors{at::embedding(in[1], in[0], 2)}; });
}

void normalisations(Recorder& to) {
  to.add("group_norm", {{"num_groups", 2}, {"affine", false}}, {normal({2, 4, 3})}, {0},
         [](const Tensors& in) { return Tensors{at::group_norm(in[0], 2)}; });
  to.add("instance_norm", {{"use_input_stats", true}, {"momentum", 0.1}, {"eps", 1e-3}, {"affine", true}},
         {normal({2, 3, 4}), normal({3}), normal({3})}, {0, 1, 2}, [](const Tensors& in) {
           return Tensors{at::instance_norm(in[0], in[1], in[2], {}, {}, true, 0.1, 1e-3, false)};
         });
  to.add("rms_norm", {{"normalized_shape", {4}}, {"eps", 1e-4}, {"weight", true}}, {normal({2, 3, 4}), normal({4})},
         {0, 1},
         [](const Tensors& in) { return Tensors{in[0] * at::rsqrt(in[0].square().mean(-1, true) + 1e-4) * in[1]}; });
  to.add("dropout", {{"p", 0.5}, {"training", false}, {"inplace", false}}, {normal({2, 3})}, {0},
         [](const Tensors& in) { return Tensors{at::dropout(in[0], 0.5, false)}; });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  torch::manual_seed(argc > 2 ? std::stoul(argv[2]) : 7);
  Recorder recorder;
  convolutions(recorder);
  pools(recorder);
  resampling(recorder);
  losses(recorder);
  elementwise(recorder);
  reductions(recorder);
  moves(recorder);
  normalisations(recorder);
  recorder.write(argv[1]);
  std::printf("%zu cases\n", recorder.size());
}
