// The table of settings: a few that were chosen, and a seeded pairwise cover of everything a user can set.
#include <algorithm>
#include <array>

#include <duet/core/fail.hpp>
#include <duet/core/random.hpp>
#include <duet/ops/conv_samples.hpp>

namespace duet {
namespace {

struct Channels {
  std::int64_t small, large_per_group, groups;
};

// The levels of each factor. Output padding counts from what stride and dilation allow: none, one, the largest.
constexpr Pair strides[] = {{1, 1}, {2, 2}, {3, 2}, {1, 2}};
constexpr Pair paddings[] = {{0, 0}, {1, 1}, {2, 1}, {0, 2}};
constexpr int output_paddings = 3;
constexpr Pair dilations[] = {{1, 1}, {2, 2}, {1, 3}, {4, 4}};
constexpr Pair kernels[] = {{1, 1}, {2, 2}, {3, 3}, {1, 3}, {4, 2}, {5, 3}, {2, 5}};
constexpr Channels channels[] = {{3, 2, 1}, {4, 1, 2}, {3, 1, 3}, {2, 3, 2}};
constexpr Pair sizes[] = {{3, 3}, {2, 5}, {1, 4}, {5, 1}};
constexpr std::int64_t batches[] = {1, 0, 2};

constexpr int factors = 9;
using Row = std::array<int, factors>;
constexpr Row levels{4, 4, output_paddings, 4, 7, 4, 4, 3, 2};

ConvSetting setting_of(const Row& row) {
  const auto at = [&](const auto& list, int factor) { return list[row[static_cast<std::size_t>(factor)]]; };
  const Channels c = at(channels, 5);
  ConvSetting s{"pair", at(batches, 7), c.small, c.large_per_group, c.groups, at(sizes, 6), at(kernels, 4), at(strides, 0),
                at(paddings, 1), 0, at(dilations, 3), row[8] == 1};
  for (int axis = 0; axis < 2; ++axis) {
    const std::int64_t most = std::max(s.stride[axis], s.dilation[axis]) - 1;
    s.output_padding[axis] = row[2] == 0 ? 0 : row[2] == 1 ? std::min<std::int64_t>(1, most) : most;
  }
  return s;
}

/// Whether the larger side is not empty, and the output padding is at the level that the row says.
bool is_valid(const Row& row) {
  const ConvSetting s = setting_of(row);
  std::int64_t most = 0;
  for (int axis = 0; axis < 2; ++axis) {
    const std::int64_t large = (s.small[axis] - 1) * s.stride[axis] - 2 * s.padding[axis] +
                               s.dilation[axis] * (s.kernel[axis] - 1) + s.output_padding[axis] + 1;
    if (large < 1) return false;
    most = std::max(most, s.output_padding[axis]);
  }
  return row[2] == 0 || (row[2] == 1 ? most == 1 : most > 1);
}

/// Which pairs of levels have occurred.
class Cover {
 public:
  int add(const Row& row, bool count_only) {
    int fresh = 0;
    for (int a = 0; a < factors; ++a)
      for (int b = a + 1; b < factors; ++b) {
        bool& seen = seen_[a][b][row[static_cast<std::size_t>(a)]][row[static_cast<std::size_t>(b)]];
        fresh += seen ? 0 : 1;
        if (!count_only) seen = true;
      }
    return fresh;
  }
  /// Fixes two entries of `row` to a pair that is missing; false if none is.
  bool missing(Row& row) const {
    for (std::size_t a = 0; a < factors; ++a)
      for (std::size_t b = a + 1; b < factors; ++b)
        for (int i = 0; i < levels[a]; ++i)
          for (int j = 0; j < levels[b]; ++j)
            if (!seen_[a][b][i][j]) {
              row.fill(-1);
              row[a] = i;
              row[b] = j;
              return true;
            }
    return false;
  }

 private:
  bool seen_[factors][factors][8][8] = {};
};

std::vector<ConvSetting> make_pairwise() {
  Generator random(0xc0);
  Cover cover;
  std::vector<Row> rows;
  constexpr std::size_t least = 40;
  Row wanted{};
  // Each new row has one missing pair, and of many such rows is the one with the most missing pairs.
  while (cover.missing(wanted) || rows.size() < least) {
    if (!cover.missing(wanted)) wanted.fill(-1);
    Row best{};
    int best_count = -1;
    for (int tries = 0; tries < 400; ++tries) {
      Row row = wanted;
      for (std::size_t f = 0; f < factors; ++f)
        if (row[f] < 0) row[f] = static_cast<int>(random.integer(0, levels[f]));
      if (!is_valid(row)) continue;
      if (const int count = cover.add(row, true); count > best_count) {
        best = row;
        best_count = count;
      }
    }
    if (best_count < 0) fail<ValueError>("conv_settings", "two settings never go together");
    cover.add(best, false);
    rows.push_back(best);
  }
  std::vector<ConvSetting> settings;
  for (const Row& row : rows) {
    settings.push_back(setting_of(row));
    settings.back().name = fmt::format("pair{}", settings.size());
  }
  return settings;
}

}  // namespace

const std::vector<ConvSetting>& chosen_conv_settings() {
  // clang-format off
  static const std::vector<ConvSetting> settings{
      {"plain",         2, 3, 2, 1, {3, 4}, {3, 2}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, true},
      {"unet_up",       1, 2, 3, 1, {3, 3}, {2, 2}, {2, 2}, {0, 0}, {0, 0}, {1, 1}, true},
      {"gan_up",        1, 2, 2, 1, {3, 2}, {4, 4}, {2, 2}, {1, 1}, {0, 0}, {1, 1}, false},
      {"inexact",       1, 2, 1, 1, {3, 3}, {3, 2}, {3, 2}, {1, 0}, {2, 1}, {1, 1}, true},
      {"grouped",       2, 4, 3, 2, {2, 3}, {3, 3}, {2, 1}, {1, 1}, {1, 0}, {1, 2}, true},
      {"depthwise",     1, 3, 1, 3, {4, 3}, {3, 3}, {1, 2}, {1, 1}, {0, 1}, {1, 1}, false},
      {"beyond",        1, 2, 2, 1, {3, 2}, {3, 2}, {3, 2}, {1, 2}, {2, 3}, {4, 4}, true},
      {"vector_edge",   1, 1, 1, 1, {1, 33}, {1, 3}, {1, 1}, {0, 1}, {0, 0}, {1, 1}, false},
      {"channel_edge",  1, 17, 1, 1, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, true},
      {"no_batch",      0, 2, 2, 1, {3, 3}, {2, 2}, {2, 2}, {0, 0}, {0, 0}, {1, 1}, true},
      {"wide_kernel",   1, 2, 1, 2, {2, 2}, {5, 5}, {1, 1}, {2, 2}, {0, 0}, {1, 1}, true},
      {"gaps",          2, 1, 2, 1, {2, 3}, {2, 2}, {4, 3}, {0, 0}, {3, 1}, {2, 1}, false},
  };
  // clang-format on
  return settings;
}

const std::vector<ConvSetting>& pairwise_conv_settings() {
  static const std::vector<ConvSetting> settings = make_pairwise();
  return settings;
}

}  // namespace duet
