// The one way to throw: fail<ShapeError>("conv2d", "x has {} channels", n). Internal, because it needs fmt:
// include it from .cpp files only.
#pragma once

#include <fmt/format.h>

#include <utility>

#include <duet/core/error.hpp>
#include <duet/core/shape.hpp>

template <>
struct fmt::formatter<duet::Shape> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const duet::Shape& shape, Context& context) const {
    return fmt::formatter<std::string>::format(duet::to_string(shape), context);
  }
};

namespace duet {

/// Throws E with the text `[where] message`.
template <class E, class... Args>
[[noreturn]] void fail(std::string_view where, fmt::format_string<Args...> text, Args&&... args) {
  throw E(fmt::format("[{}] {}", where, fmt::format(text, std::forward<Args>(args)...)));
}

}  // namespace duet
