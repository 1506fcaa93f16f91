// When a result is stored past the caches. Internal.
#pragma once

#include <cstdint>

namespace duet {

/// Results of at least so many bytes are not read back before they have left the caches, so that fetching their lines
/// only to overwrite them is a third of an op's traffic for nothing. Measured with two relus in a row and 32 MB of
/// last-level cache: equal at 12 MB, 8 % faster past the caches at 16 MB, 28 % at 32 MB, and slower below.
inline constexpr std::int64_t streamed_bytes = std::int64_t{1} << 24;

}  // namespace duet
