// Ops that move elements, and those that change an image's size. Where a size differs between the two runs, the node is
// written so that it follows the size.
#include <limits>

#include <duet/core/factory.hpp>
#include <duet/onnx/graph.hpp>

namespace duet::onnx_export {
namespace {

using C = const Conversion&;

/// The target of a reshape: sizes that are the input's own are copied (0), one more may be left to be computed (-1).
std::string reshape(C c) {
  const Shape &in = c.shape(), &to = c.call.outputs[0].shape(), &in2 = c.other.inputs[0].shape(),
              &to2 = c.other.outputs[0].shape();
  if (to.rank() != to2.rank()) c.refuse("its rank depends on the size");
  Integers target;
  bool open = false;
  for (int i = 0; i < to.rank(); ++i) {
    if (to[i] == to2[i]) {
      if (to[i] == 0) c.refuse("a size of 0");
      target.push_back(to[i]);
    } else if (i < in.rank() && to[i] == in[i] && to2[i] == in2[i]) {
      target.push_back(0);
    } else if (!open) {
      open = true;
      target.push_back(-1);
    } else {
      c.refuse("more than one of its sizes depends on the input's");
    }
  }
  return c.last("Reshape", {c.inputs[0], c.graph.integers(target)});
}

std::string expand(C c) {
  const Shape &in = c.shape(), &to = c.call.outputs[0].shape(), &in2 = c.other.inputs[0].shape(),
              &to2 = c.other.outputs[0].shape();
  Integers target(to.begin(), to.end());
  for (int i = 0; i < to.rank(); ++i) {
    if (to[i] == to2[i]) continue;
    const int own = i - (to.rank() - in.rank());
    if (own < 0 || in[own] != to[i] || in2[own] != to2[i]) c.refuse("it repeats as often as the input is large");
    target[static_cast<std::size_t>(i)] = 1;  // keeps the input's
  }
  return c.last("Expand", {c.inputs[0], c.graph.integers(target)});
}

std::string slice(C c) {
  const auto same = [&](const char* name) {
    const auto &a = c.call.fields.integers, &b = c.other.fields.integers;
    return a.contains(name) == b.contains(name) && (!a.contains(name) || a.at(name) == b.at(name));
  };
  if (!same("start") || !same("end") || !same("step"))
    c.refuse("where it cuts depends on the size; count from the end instead");
  const auto value = [&](const char* name, std::int64_t otherwise) {
    return c.graph.integers({c.fields().has(name) ? c.fields().integer(name) : otherwise});
  };
  return c.last("Slice", {c.inputs[0], value("start", 0), value("end", std::numeric_limits<std::int64_t>::max()),
                          c.graph.integers({c.fields().integer("dim")}), value("step", 1)});
}

std::string permute(C c) {
  Integers order = c.fields().integers.at("dims");
  for (auto& dim : order) dim = dim < 0 ? dim + c.shape().rank() : dim;
  return c.last("Transpose", {c.inputs[0]}, {{"perm", order}});
}

std::string stack(C c) {
  std::int64_t dim = c.fields().integer("dim");
  if (dim < 0) dim += c.shape().rank() + 1;
  std::vector<std::string> wider;
  for (const std::string& input : c.inputs) wider.push_back(c.node("Unsqueeze", {input, c.graph.integers({dim})}));
  return c.last("Concat", wider, {{"axis", dim}});
}

std::string pad(C c) {
  const Integers& pairs = c.fields().integers.at("pad");
  if (pairs != c.other.fields.integers.at("pad")) c.refuse("its width depends on the size");
  const std::string& mode = c.fields().words.at("mode");
  if (mode == "circular") c.refuse("opset 13 has no circular padding");
  const auto rank = static_cast<std::size_t>(c.shape().rank());
  Integers pads(2 * rank, 0);
  for (std::size_t k = 0; 2 * k < pairs.size(); ++k) {
    pads[rank - 1 - k] = pairs[2 * k];
    pads[2 * rank - 1 - k] = pairs[2 * k + 1];
  }
  const std::string value = mode == "constant" ? c.graph.scalar(c.fields().real("value"), c.dtype()) : std::string();
  return c.last("Pad", {c.inputs[0], c.graph.integers(pads), value},
                {{"mode", mode == "replicate" ? std::string("edge") : mode}});
}

/// Resize, by factors where they were given or the result follows the input, else to fixed sizes.
std::string interpolate(C c) {
  const Shape &in = c.shape(), &out = c.call.outputs[0].shape(), &in2 = c.other.inputs[0].shape(),
              &out2 = c.other.outputs[0].shape();
  const std::string& mode = c.fields().words.at("mode");
  const bool nearest = mode == "nearest" || mode == "nearest-exact";
  if (mode == "area") c.refuse("opset 13 has no averages of areas");
  Attributes attributes{
      {"mode", std::string(nearest             ? "nearest"
                           : mode == "bicubic" ? "cubic"
                                               : "linear")},
      {"coordinate_transformation_mode", std::string(c.fields().flag("align_corners") ? "align_corners"
                                                     : mode == "nearest"              ? "asymmetric"
                                                                                      : "half_pixel")}};
  if (nearest) attributes.push_back({"nearest_mode", std::string(mode == "nearest" ? "floor" : "round_prefer_ceil")});
  if (mode == "bicubic") attributes.push_back({"cubic_coeff_a", -0.75});
  const std::vector<double>& given = c.fields().reals.at("scale_factor");
  bool fixed = given.empty();
  std::vector<float> factors{1, 1};
  for (int i = 2; i < in.rank(); ++i) {
    const auto k = static_cast<std::size_t>(i - 2);
    if (!given.empty()) {
      factors.push_back(static_cast<float>(given[given.size() == 1 ? 0 : k]));
      continue;
    }
    factors.push_back(static_cast<float>(out[i]) / static_cast<float>(in[i]));
    fixed = fixed && out[i] == out2[i];
    if (out[i] != out2[i] && out[i] * in2[i] != out2[i] * in[i])
      c.refuse("its size follows the input's by no fixed factor");
  }
  const std::string roi = c.graph.constant(Tensor::empty({0}));
  if (!fixed)
    return c.last("Resize",
                  {c.inputs[0], roi, c.graph.constant(Tensor::from_span(std::span<const float>(factors), {in.rank()}))},
                  attributes);
  const std::string all = c.node("Shape", {c.inputs[0]});
  const std::string front = c.node("Slice", {all, c.graph.integers({0}), c.graph.integers({2})});
  const std::string sizes =
      c.node("Concat", {front, c.graph.integers({out.begin() + 2, out.end()})}, {{"axis", std::int64_t{0}}});
  return c.last("Resize", {c.inputs[0], roi, c.graph.constant(Tensor::empty({0})), sizes}, attributes);
}

std::string pixel_shuffle(C c) {
  if (c.shape().rank() != 4) c.refuse("opset 13 shuffles (N, C, H, W) alone");
  return c.last("DepthToSpace", {c.inputs[0]},
                {{"blocksize", c.fields().integer("upscale_factor")}, {"mode", std::string("CRD")}});
}

std::string embedding(C c) { return c.last("Gather", {c.inputs[1], c.inputs[0]}); }

std::string convert_dtype(C c) {
  return c.last("Cast", {c.inputs[0]}, {{"to", std::int64_t{onnx_type(c.call.outputs[0].dtype())}}});
}

}  // namespace

std::span<const ConverterRow> shape_converters() {
  static constexpr ConverterRow rows[] = {
      {"reshape", reshape},
      {"expand", expand},
      {"slice", slice},
      {"permute", permute},
      {"stack", stack},
      {"pad", pad},
      {"cat",
       [](C c) {
         return c.last("Concat", c.inputs, {{"axis", c.fields().integer("dim")}});
       }},
      {"to", convert_dtype},
      {"interpolate", interpolate},
      {"pixel_shuffle", pixel_shuffle},
      {"embedding", embedding},
      {"index_select",
       [](C c) {
         return c.last("Gather", c.inputs, {{"axis", c.fields().integer("dim")}});
       }},
      {"gather",
       [](C c) {
         return c.last("GatherElements", c.inputs, {{"axis", c.fields().integer("dim")}});
       }},
  };
  return rows;
}

}  // namespace duet::onnx_export
