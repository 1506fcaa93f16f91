// The table of functions.
#include "functional.hpp"

#include <fmt/format.h>

#include <duet/core/error.hpp>
#include <duet/core/factory.hpp>
#include <duet/ops/compare.hpp>
#include <duet/ops/conv.hpp>
#include <duet/ops/dropout.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/index.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/loss_composed.hpp>
#include <duet/ops/norm.hpp>
#include <duet/ops/pool.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>
#include <limits>
#include <map>

namespace golden {

using namespace duet;

namespace {

const Tensor& input(const Tensors& in, std::size_t i) {
  static const Tensor absent;
  return i < in.size() ? in[i] : absent;
}

std::int64_t whole(AttributeReader& reader, const char* name, std::int64_t otherwise) {
  reader.field(name, otherwise);
  return otherwise;
}
double real(AttributeReader& reader, const char* name, double otherwise) {
  reader.field(name, otherwise);
  return otherwise;
}
std::vector<std::int64_t> list(AttributeReader& reader, const char* name) {
  std::vector<std::int64_t> values;
  reader.field(name, values);
  return values;
}
/// Reads an options struct.
template <class O>
O options(AttributeReader& reader) {
  O o;
  o.fields(reader);
  return o;
}
Dims dims(const std::vector<std::int64_t>& values) { return Dims(values); }

/// Accepts booleans that say which optional inputs are there; the count of inputs says it too.
void accept_presence(AttributeReader& reader) {
  for (const char* name : {"bias", "weight", "affine"}) reader.accept(name);
}

Tensors pooled(const MaxPoolResult& result) { return {result.y, result.indices}; }

template <int N>
void add_rank(std::map<std::string, Functional>& table) {
  const std::string d = std::to_string(N) + "d";
  table["conv" + d] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    accept_presence(r);
    const auto o = options<ConvOptions<N>>(r);
    if constexpr (N == 1) return {conv1d(in[0], in[1], input(in, 2), o)};
    if constexpr (N == 2) return {conv2d(in[0], in[1], input(in, 2), o)};
    if constexpr (N == 3) return {conv3d(in[0], in[1], input(in, 2), o)};
  };
  table["conv_transpose" + d] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    accept_presence(r);
    const auto o = options<ConvTransposeOptions<N>>(r);
    if constexpr (N == 1) return {conv_transpose1d(in[0], in[1], input(in, 2), o)};
    if constexpr (N == 2) return {conv_transpose2d(in[0], in[1], input(in, 2), o)};
    if constexpr (N == 3) return {conv_transpose3d(in[0], in[1], input(in, 2), o)};
  };
  table["max_pool" + d] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    const auto o = options<MaxPoolOptions<N>>(r);
    if constexpr (N == 1) return pooled(max_pool1d_with_indices(in[0], o));
    if constexpr (N == 2) return pooled(max_pool2d_with_indices(in[0], o));
    if constexpr (N == 3) return pooled(max_pool3d_with_indices(in[0], o));
  };
  table["max_pool" + d + "_with_indices"] = table["max_pool" + d];
  table["adaptive_max_pool" + d] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    const auto size = options<AdaptivePoolOptions<N>>(r).output_size;
    if constexpr (N == 1) return pooled(adaptive_max_pool1d_with_indices(in[0], size));
    if constexpr (N == 2) return pooled(adaptive_max_pool2d_with_indices(in[0], size));
    if constexpr (N == 3) return pooled(adaptive_max_pool3d_with_indices(in[0], size));
  };
  table["adaptive_max_pool" + d + "_with_indices"] = table["adaptive_max_pool" + d];
  table["max_unpool" + d] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    auto o = options<MaxUnpoolOptions<N>>(r);
    // PyTorch takes the whole shape as well.
    if (o.output_size.size() > N) o.output_size.erase(o.output_size.begin(), o.output_size.end() - N);
    if constexpr (N == 1) return {max_unpool1d(in[0], in[1], o)};
    if constexpr (N == 2) return {max_unpool2d(in[0], in[1], o)};
    if constexpr (N == 3) return {max_unpool3d(in[0], in[1], o)};
  };
}

void add_shapes(std::map<std::string, Functional>& table) {
  table["squeeze"] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    const auto chosen = list(r, "dim");
    return {chosen.empty() ? squeeze(in[0]) : squeeze(in[0], dims(chosen))};
  };
  table["unsqueeze"] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    return {unsqueeze(in[0], whole(r, "dim", 0))};
  };
  table["flatten"] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    const std::int64_t start = whole(r, "start_dim", 0);
    return {flatten(in[0], start, whole(r, "end_dim", -1))};
  };
  table["transpose"] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    const std::int64_t first = whole(r, "dim0", 0);
    return {transpose(in[0], first, whole(r, "dim1", 1))};
  };
  table["select"] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    const std::int64_t dim = whole(r, "dim", 0);
    return {select(in[0], dim, whole(r, "index", 0))};
  };
  table["narrow"] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    const std::int64_t dim = whole(r, "dim", 0), start = whole(r, "start", 0);
    return {slice(in[0], dim, start, start + whole(r, "length", 0))};
  };
  table["split"] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    auto sizes = list(r, "split_size_or_sections");
    for (const char* name : {"split_size", "split_sizes"})
      if (sizes.empty()) sizes = list(r, name);
    const std::int64_t dim = whole(r, "dim", 0);
    return r.is_list("split_size_or_sections") || r.is_list("split_sizes") ? split(in[0], sizes, dim)
                                                                           : split(in[0], sizes.at(0), dim);
  };
  table["chunk"] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    const std::int64_t chunks = whole(r, "chunks", 1);
    return chunk(in[0], chunks, whole(r, "dim", 0));
  };
  const auto shaped = [](Tensor (*function)(const Tensor&, const Shape&)) -> Functional {
    return [function](const Tensors& in, AttributeReader& r) -> Tensors {
      auto sizes = list(r, "shape");
      for (const char* name : {"size", "sizes"})
        if (sizes.empty()) sizes = list(r, name);
      return {function(in[0], Shape(sizes))};
    };
  };
  table["expand"] = table["broadcast_to"] = shaped(expand);
  table["reshape"] = table["view"] = shaped(reshape);
  table["one_hot"] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    return {one_hot(in[0], whole(r, "num_classes", -1))};
  };
  table["index_add"] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    const double alpha = real(r, "alpha", 1);
    return {index_add(in[0], whole(r, "dim", 0), in[1], alpha == 1 ? in[2] : in[2] * alpha)};
  };
}

/// Functions of two tensors of which the second may be a number, `other`, and that may have a factor `alpha` on it.
void add_binary(std::map<std::string, Functional>& table) {
  using Binary = Tensor (*)(const Tensor&, const Tensor&);
  const std::pair<const char*, Binary> functions[] = {
      {"add", add}, {"sub", sub}, {"mul", mul}, {"div", div}, {"maximum", maximum}, {"minimum", minimum},
      {"eq", eq},   {"ne", ne},   {"lt", lt},   {"le", le},   {"gt", gt},           {"ge", ge}};
  for (const auto& [name, binary] : functions)
    table[name] = [function = binary](const Tensors& in, AttributeReader& r) -> Tensors {
      Tensor other = in.size() > 1 ? in[1] : scalar_like(in[0], real(r, "other", 0));
      const double alpha = real(r, "alpha", 1);
      if (alpha != 1) other = other * alpha;
      return {function(in[0], other)};
    };
  table["lerp"] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    return {in.size() > 2 ? lerp(in[0], in[1], in[2]) : lerp(in[0], in[1], real(r, "weight", 0))};
  };
}

void add_composed(std::map<std::string, Functional>& table) {
  table["rms_norm"] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    accept_presence(r);
    LayerNormOptions o{.eps = in[0].dtype() == f64 ? std::numeric_limits<double>::epsilon()
                                                   : static_cast<double>(std::numeric_limits<float>::epsilon())};
    o.fields(r);
    return {rms_norm(in[0], input(in, 1), o)};
  };
  const auto drop = [](Tensor (*function)(const Tensor&, const DropoutOptions&, Generator&)) -> Functional {
    return [function](const Tensors& in, AttributeReader& r) -> Tensors {
      DropoutOptions o;
      r.field("p", o.p);
      r.field("training", o.training);
      if (o.training && o.p > 0 && o.p < 1)
        throw ValueError("a dropout that draws random numbers has no expected value");
      return {function(in[0], o, default_generator())};
    };
  };
  table["dropout"] = drop(dropout);
  table["dropout2d"] = drop(dropout2d);
  const auto focal = [](Reduction reduction) -> Functional {
    return [reduction](const Tensors& in, AttributeReader& r) -> Tensors {
      FocalOptions o{.reduction = reduction};
      o.fields(r);
      return {focal_loss(in[0], in[1], o)};
    };
  };
  table["focal_loss"] = focal(Reduction::mean);
  table["sigmoid_focal_loss"] = focal(Reduction::none);  // torchvision's default
  table["cross_entropy"] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    accept_presence(r);
    return {cross_entropy(in[0], in[1], options<CrossEntropyOptions>(r), input(in, 2))};
  };
  table["total_variation"] = [](const Tensors& in, AttributeReader&) -> Tensors { return {total_variation(in[0])}; };
  table["dice_bce_loss"] = [](const Tensors& in, AttributeReader& r) -> Tensors {
    return {dice_bce_loss(in[0], in[1], options<DiceOptions>(r))};
  };
}

}  // namespace

Functional find_functional(const std::string& name) {
  static const std::map<std::string, Functional> table = [] {
    std::map<std::string, Functional> all;
    add_rank<1>(all);
    add_rank<2>(all);
    add_rank<3>(all);
    add_shapes(all);
    add_binary(all);
    add_composed(all);
    return all;
  }();
  const auto found = table.find(name);
  return found == table.end() ? Functional() : found->second;
}

std::string canonical(const std::string& name) {
  static const std::map<std::string, std::string> other_names = {{"clip", "clamp"},         {"absolute", "abs"},
                                                                 {"negative", "neg"},       {"concat", "cat"},
                                                                 {"concatenate", "cat"},    {"subtract", "sub"},
                                                                 {"multiply", "mul"},       {"divide", "div"},
                                                                 {"true_divide", "div"},    {"swapaxes", "transpose"},
                                                                 {"swapdims", "transpose"}, {"upsample", "interpolate"},
                                                                 {"greater", "gt"},         {"less", "lt"},
                                                                 {"greater_equal", "ge"},   {"less_equal", "le"},
                                                                 {"not_equal", "ne"},       {"nll_loss2d", "nll_loss"}};
  const auto found = other_names.find(name);
  return found == other_names.end() ? name : found->second;
}

}  // namespace golden
