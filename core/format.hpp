// fmt formatters of Duet's types: fmt::print("{} {}\n", tensor, shape). One of the two public headers that need
// another library; include it knowingly. Widths and alignment are those of strings: "{:>20}".
#pragma once

#include <fmt/format.h>

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet::detail {

/// Formats whatever has a to_string() in namespace duet.
struct TextFormatter : fmt::formatter<fmt::string_view> {
  template <class T, class Context>
  auto format(const T& value, Context& context) const {
    return fmt::formatter<fmt::string_view>::format(to_string(value), context);
  }
};

}  // namespace duet::detail

template <>
struct fmt::formatter<duet::Shape> : duet::detail::TextFormatter {};
template <>
struct fmt::formatter<duet::Tensor> : duet::detail::TextFormatter {};
template <>
struct fmt::formatter<duet::TensorSpec> : duet::detail::TextFormatter {};
template <>
struct fmt::formatter<duet::AnyOptions> : duet::detail::TextFormatter {};
template <>
struct fmt::formatter<duet::Dtype> : fmt::formatter<fmt::string_view> {
  template <class Context>
  auto format(duet::Dtype dtype, Context& context) const {
    return fmt::formatter<fmt::string_view>::format(duet::name(dtype), context);
  }
};
template <int N>
struct fmt::formatter<duet::Extent<N>> : fmt::formatter<fmt::string_view> {
  template <class Context>
  auto format(const duet::Extent<N>& extent, Context& context) const {
    duet::Shape shape;
    for (int i = 0; i < N; ++i) shape.push_back(extent[i]);
    return fmt::formatter<fmt::string_view>::format(duet::to_string(shape), context);
  }
};
