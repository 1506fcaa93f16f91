// Connected components against a flood fill, and measures against hand-made cases.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/components.hpp>

using namespace duet;
using namespace duet::data;

namespace {

/// Labels by filling from each first pixel, an independent way to the same numbers.
std::vector<double> flooded(const Tensor& mask, bool diagonal) {
  const std::int64_t d = mask.rank() == 3 ? mask.size(0) : 1, h = mask.size(-2), w = mask.size(-1);
  const auto pixels = mask.to_vector();
  std::vector<double> labels(pixels.size());
  int next = 0;
  for (std::size_t start = 0; start < pixels.size(); ++start) {
    if (pixels[start] == 0 || labels[start] != 0) continue;
    std::vector<std::size_t> todo{start};
    labels[start] = ++next;
    while (!todo.empty()) {
      const auto i = static_cast<std::int64_t>(todo.back());
      todo.pop_back();
      const std::int64_t z = i / (h * w), y = i / w % h, x = i % w;
      for (std::int64_t dz = -1; dz <= 1; ++dz)
        for (std::int64_t dy = -1; dy <= 1; ++dy)
          for (std::int64_t dx = -1; dx <= 1; ++dx) {
            if (!diagonal && std::abs(dz) + std::abs(dy) + std::abs(dx) > 1) continue;
            if (z + dz < 0 || z + dz >= d || y + dy < 0 || y + dy >= h || x + dx < 0 || x + dx >= w) continue;
            const auto at = static_cast<std::size_t>(((z + dz) * h + y + dy) * w + x + dx);
            if (pixels[at] == 0 || labels[at] != 0) continue;
            labels[at] = next;
            todo.push_back(at);
          }
    }
  }
  return labels;
}

}  // namespace

TEST_CASE("components: the labels of a flood fill, in images and volumes") {
  Generator random(3);
  for (const Shape& shape : {Shape{1, 1}, Shape{1, 40}, Shape{37, 23}, Shape{5, 9, 11}})
    for (const double density : {0.0, 0.3, 0.5, 0.6, 0.8, 1.0})
      for (const bool diagonal : {false, true}) {
        Tensor mask = Tensor::empty(shape, {.dtype = u8});
        for (std::int64_t i = 0; i < mask.numel(); ++i)
          raw::data<std::uint8_t>(mask)[i] = random.uniform() < density ? 200 : 0;
        const Components found = connected_components(mask, {.diagonal = diagonal});
        CHECK(found.labels.to_vector() == flooded(mask, diagonal));
      }
}

TEST_CASE("components: area, centroid, box, intensity, and what is too small") {
  //  1 1 0 0 1
  //  1 0 0 1 1
  //  0 0 0 0 0
  //  0 1 0 0 0
  const std::uint8_t pixels[] = {1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0};
  const Tensor mask = Tensor::from_span(std::span<const std::uint8_t>(pixels), {4, 5});
  Tensor image = Tensor::empty({2, 4, 5});
  for (int i = 0; i < 20; ++i) {
    raw::data<float>(image)[i] = static_cast<float>(i);
    raw::data<float>(image)[20 + i] = static_cast<float>(3 * i);
  }
  const Components all = connected_components(mask, {}, image);
  REQUIRE(all.list.size() == 3);
  const Component& first = all.list[0];
  CHECK(first.area == 3);
  CHECK(first.centroid[1] == doctest::Approx(1.0 / 3));
  CHECK(first.centroid[2] == doctest::Approx(1.0 / 3));
  CHECK(first.first[1] == 0);
  CHECK(first.last[1] == 1);
  CHECK(first.last[2] == 1);
  CHECK(first.mean_intensity == doctest::Approx(2 * (0 + 1 + 5) / 3.0));
  CHECK(all.list[1].first[2] == 3);
  CHECK(all.list[1].last[2] == 4);
  CHECK(all.list[2].area == 1);
  CHECK(all.list[2].centroid[1] == 3);
  const Components large = connected_components(mask, {.min_area = 2});
  CHECK(large.list.size() == 2);
  CHECK(large.labels.to_vector()[16] == 0);
  CHECK(large.labels.to_vector()[9] == 2);
  CHECK(large.list[0].mean_intensity == 0);

  CHECK_THROWS_AS(connected_components(zeros({2, 2})), DtypeError);
  CHECK_THROWS_AS(connected_components(zeros({4}, {.dtype = u8})), ShapeError);
  CHECK_THROWS_AS(connected_components(mask, {.min_area = 0}), ValueError);
  CHECK_THROWS_AS(connected_components(mask, {}, zeros({1, 5, 4})), ShapeError);
  CHECK_THROWS_AS(connected_components(mask, {}, zeros({1, 4, 5}, {.dtype = i64})), DtypeError);
}
