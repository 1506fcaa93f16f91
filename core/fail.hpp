// Internal, because it needs fmt (include it from .cpp files only): the one way to throw,
// fail<ShapeError>("conv2d", "x has {} channels", n).
#pragma once

#include <utility>

#include <duet/core/error.hpp>
#include <duet/core/format.hpp>

namespace duet {

/// Throws E with the text `[where] message`.
template <class E, class... Args>
[[noreturn]] void fail(std::string_view where, fmt::format_string<Args...> text, Args&&... args) {
  throw E(fmt::format("[{}] {}", where, fmt::format(text, std::forward<Args>(args)...)));
}

}  // namespace duet
