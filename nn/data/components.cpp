// First pass: each pixel joins the sets of its neighbours that came before it. Second: sets are numbered in the order
// of their first pixels, and measured.
#include <duet/nn/data/components.hpp>

#include <algorithm>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>

namespace duet::data {
namespace {

constexpr const char* op = "connected_components";

/// Sets of numbers; the least of each stands for it.
class Sets {
 public:
  std::int64_t add() {
    parent_.push_back(static_cast<std::int64_t>(parent_.size()));
    return parent_.back();
  }
  std::int64_t find(std::int64_t i) {
    while (at(i) != i) {
      at(i) = at(at(i));
      i = at(i);
    }
    return i;
  }
  std::int64_t join(std::int64_t a, std::int64_t b) {
    a = find(a), b = find(b);
    at(std::max(a, b)) = std::min(a, b);
    return std::min(a, b);
  }
  std::int64_t size() const { return static_cast<std::int64_t>(parent_.size()); }

 private:
  std::int64_t& at(std::int64_t i) { return parent_[static_cast<std::size_t>(i)]; }
  std::vector<std::int64_t> parent_;
};

struct Grid {
  std::int64_t depth, height, width;
};

struct Step {
  std::int64_t z, y, x;
};

/// The neighbours that come before a pixel in row-major order.
std::vector<Step> earlier_neighbours(bool diagonal) {
  std::vector<Step> steps;
  for (std::int64_t z = -1; z <= 0; ++z)
    for (std::int64_t y = -1; y <= 1; ++y)
      for (std::int64_t x = -1; x <= 1; ++x) {
        const bool earlier = z < 0 || (z == 0 && (y < 0 || (y == 0 && x < 0)));
        const std::int64_t apart = (z != 0) + (y != 0) + (x != 0);
        if (earlier && (diagonal || apart == 1)) steps.push_back({z, y, x});
      }
  return steps;
}

/// Gives every pixel of an object the number of a set, the others -1.
void first_pass(const std::uint8_t* mask, const Grid& grid, bool diagonal, std::int64_t* labels, Sets& sets) {
  const std::vector<Step> steps = earlier_neighbours(diagonal);
  std::int64_t i = 0;
  for (std::int64_t z = 0; z < grid.depth; ++z)
    for (std::int64_t y = 0; y < grid.height; ++y)
      for (std::int64_t x = 0; x < grid.width; ++x, ++i) {
        labels[i] = -1;
        if (mask[i] == 0) continue;
        for (const Step& step : steps) {
          if (z + step.z < 0 || y + step.y < 0 || y + step.y >= grid.height || x + step.x < 0 ||
              x + step.x >= grid.width)
            continue;
          const std::int64_t other = labels[i + (step.z * grid.height + step.y) * grid.width + step.x];
          if (other >= 0) labels[i] = labels[i] < 0 ? sets.find(other) : sets.join(labels[i], other);
        }
        if (labels[i] < 0) labels[i] = sets.add();
      }
}

/// Calls visit(i, z, y, x) for every pixel with a label.
template <class Visit>
void for_each_labelled(const std::int64_t* labels, const Grid& grid, std::int64_t background, Visit visit) {
  std::int64_t i = 0;
  for (std::int64_t z = 0; z < grid.depth; ++z)
    for (std::int64_t y = 0; y < grid.height; ++y)
      for (std::int64_t x = 0; x < grid.width; ++x, ++i)
        if (labels[i] != background) visit(i, z, y, x);
}

/// Sets become 1, 2, … in the order of their least members; those that are too small become 0.
std::int64_t number(std::int64_t* labels, std::int64_t count, Sets& sets, std::int64_t min_area) {
  std::vector<std::int64_t> area(static_cast<std::size_t>(sets.size())), number_of(area.size());
  for (std::int64_t i = 0; i < count; ++i)
    if (labels[i] >= 0) ++area[static_cast<std::size_t>(labels[i] = sets.find(labels[i]))];
  std::int64_t next = 0;
  for (std::size_t k = 0; k < area.size(); ++k)
    if (area[k] >= min_area) number_of[k] = ++next;
  for (std::int64_t i = 0; i < count; ++i)
    labels[i] = labels[i] < 0 ? 0 : number_of[static_cast<std::size_t>(labels[i])];
  return next;
}

void measure(const std::int64_t* labels, const Grid& grid, const Tensor& image, std::vector<Component>& list) {
  const std::int64_t plane = grid.depth * grid.height * grid.width;
  const std::int64_t channels = image.defined() ? image.size(0) : 0;
  const auto value = [&](std::int64_t at) {
    return image.dtype() == u8 ? static_cast<double>(raw::data<std::uint8_t>(image)[at])
                               : static_cast<double>(raw::data<float>(image)[at]);
  };
  for_each_labelled(labels, grid, 0, [&](std::int64_t i, std::int64_t z, std::int64_t y, std::int64_t x) {
    Component& object = list[static_cast<std::size_t>(labels[i] - 1)];
    const std::int64_t place[3] = {z, y, x};
    for (int a = 0; a < 3; ++a) {
      object.first[a] = object.area == 0 ? place[a] : std::min(object.first[a], place[a]);
      object.last[a] = object.area == 0 ? place[a] : std::max(object.last[a], place[a]);
      object.centroid[a] += static_cast<double>(place[a]);
    }
    ++object.area;
    for (std::int64_t c = 0; c < channels; ++c)
      object.mean_intensity += value(c * plane + i) / static_cast<double>(channels);
  });
  for (Component& object : list) {
    for (double& along : object.centroid) along /= static_cast<double>(object.area);
    object.mean_intensity /= static_cast<double>(object.area);
  }
}

}  // namespace

Components connected_components(const Tensor& mask, const ComponentOptions& options, const Tensor& image) {
  if (mask.dtype() != u8) fail<DtypeError>(op, "needs a mask of u8, got {}", name(mask.dtype()));
  if (mask.rank() != 2 && mask.rank() != 3)
    fail<ShapeError>(op, "needs a mask (height, width) or (depth, height, width), got {}", mask.shape());
  if (options.min_area < 1) fail<ValueError>(op, "min_area must be at least 1, got {}", options.min_area);
  if (image.defined()) {
    if (image.dtype() != u8 && image.dtype() != f32)
      fail<DtypeError>(op, "needs an image of u8 or f32, got {}", name(image.dtype()));
    Shape shape = image.shape();
    if (shape.rank() > 0) shape.erase(0);
    if (shape != mask.shape())
      fail<ShapeError>(op, "needs an image (channels, {}), got {}", mask.shape(), image.shape());
  }
  const Tensor source = raw::contiguous(mask);
  const Grid grid{mask.rank() == 3 ? mask.size(0) : 1, mask.size(-2), mask.size(-1)};
  Components result{Tensor::empty(mask.shape(), {.dtype = i64}), {}};
  std::int64_t* labels = raw::data<std::int64_t>(result.labels);
  Sets sets;
  first_pass(raw::data<std::uint8_t>(source), grid, options.diagonal, labels, sets);
  result.list.resize(static_cast<std::size_t>(number(labels, mask.numel(), sets, options.min_area)));
  measure(labels, grid, image.defined() ? raw::contiguous(image) : image, result.list);
  return result;
}

}  // namespace duet::data
