// Random convolution geometries.
#include "conv_reference.hpp"

#include <algorithm>
#include <sstream>

namespace duet::test {
namespace {

using Random = std::mt19937;

std::int64_t between(Random& random, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(high - low + 1));
}

bool chance(Random& random, int percent) { return static_cast<int>(random() % 100) < percent; }

/// Sizes of one axis. `reach` bounds the side that is chosen freely.
ConvAxis random_axis(Random& random, std::int64_t reach) {
  ConvAxis a;
  a.kernel = chance(random, 50) ? between(random, 1, 4) : between(random, 1, 7);
  a.stride = chance(random, 50) ? 1 : between(random, 1, 4);
  a.dilation = chance(random, 60) ? 1 : between(random, 1, 4);
  const std::int64_t extent = a.dilation * (a.kernel - 1);
  a.padding = chance(random, 60) ? between(random, 0, extent) : between(random, -3, extent + 2);
  const int form = static_cast<int>(random() % 10);
  if (form < 4) {  // conv
    a.large = between(random, 1, reach);
    const std::int64_t room = a.large + 2 * a.padding - extent - 1;
    a.small = room < 0 ? between(random, 0, 2) : room / a.stride + 1;
  } else if (form < 8) {  // conv_transpose with output_padding
    a.small = between(random, 1, std::max<std::int64_t>(1, reach / a.stride));
    const std::int64_t extra = between(random, 0, std::max(a.stride, a.dilation) - 1);
    a.large = std::max<std::int64_t>(0, (a.small - 1) * a.stride - 2 * a.padding + extent + extra + 1);
  } else {  // neither
    a.small = between(random, chance(random, 5) ? 0 : 1, reach);
    a.large = between(random, chance(random, 5) ? 0 : 1, reach);
  }
  return a;
}

/// Channels of one side of one group: often few, sometimes just around a multiple of a vector's length.
std::int64_t random_channels(Random& random) {
  const int form = static_cast<int>(random() % 10);
  if (form < 5) return between(random, 1, 5);
  if (form < 8) return between(random, 1, 20);
  return std::max<std::int64_t>(1, 8 * between(random, 1, 6) + between(random, -1, 1));
}

}  // namespace

std::int64_t products(const ConvCase& c) {
  std::int64_t count = c.batch * c.geometry.small_channels * (c.geometry.large_channels / c.geometry.groups);
  for (int i = 0; i < c.geometry.rank; ++i) count *= c.geometry.axis[i].small * c.geometry.axis[i].kernel;
  return count;
}

std::string to_string(const ConvCase& c) {
  std::ostringstream text;
  text << "N " << c.batch << ", large channels " << c.geometry.large_channels << ", small channels "
       << c.geometry.small_channels << ", groups " << c.geometry.groups;
  for (int i = 0; i < c.geometry.rank; ++i) {
    const ConvAxis& a = c.geometry.axis[i];
    text << "; large " << a.large << " small " << a.small << " kernel " << a.kernel << " stride " << a.stride
         << " padding " << a.padding << " dilation " << a.dilation;
  }
  return text.str();
}

ConvCase random_case(Random& random, std::int64_t limit) {
  for (;;) {
    ConvCase c;
    ConvGeometry& g = c.geometry;
    const int form = static_cast<int>(random() % 10);
    g.rank = form < 6 ? 2 : form < 8 ? 1 : 3;
    const std::int64_t reach = g.rank == 1 ? 200 : g.rank == 2 ? (chance(random, 50) ? 12 : 40) : 9;
    for (int i = 0; i < g.rank; ++i) g.axis[i] = random_axis(random, reach);
    const int grouping = static_cast<int>(random() % 10);
    if (grouping < 6) {
      g.large_channels = random_channels(random);
      g.small_channels = random_channels(random);
    } else if (grouping < 8) {
      g.groups = between(random, 2, 5);
      g.large_channels = g.groups * between(random, 1, 9);
      g.small_channels = g.groups * between(random, 1, 9);
    } else {  // depthwise, with a multiplier
      g.groups = between(random, 1, 20);
      g.large_channels = g.groups;
      g.small_channels = g.groups * (chance(random, 70) ? 1 : between(random, 2, 3));
    }
    c.batch = chance(random, 40) ? 1 : between(random, 2, 9);
    if (chance(random, 1)) c.batch = 0;
    if (chance(random, 1)) g.large_channels = 0;
    if (chance(random, 1)) g.small_channels = 0;
    if (products(c) <= limit) return c;
  }
}

}  // namespace duet::test
