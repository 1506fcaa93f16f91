// Percentiles and affine maps.
#include <duet/nn/data/normalization.hpp>

#include <algorithm>
#include <cmath>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>

namespace duet::data {
namespace {

/// Of more values than this every n-th is looked at.
constexpr std::int64_t most_values = std::int64_t{1} << 22;

void check_channels(const Normalization& normalization, const Tensor& image) {
  const std::size_t channels = normalization.mean.size();
  if (image.rank() < 2 || static_cast<std::size_t>(image.size(0)) != channels || channels == 0)
    fail<ShapeError>("normalize", "expects ({}, …), got {}", channels, image.shape());
}

template <class Visit>
void visit_image(const Tensor& image, Visit visit) {
  if (image.dtype() == u8)
    visit(raw::data<std::uint8_t>(image));
  else if (image.dtype() == f32)
    visit(raw::data<float>(image));
  else
    fail<DtypeError>("normalize", "needs an image of u8 or f32, got {}", name(image.dtype()));
}

}  // namespace

double percentile(std::vector<float>& values, double percent) {
  if (values.empty() || !(percent >= 0 && percent <= 100))
    fail<ValueError>("percentile", "needs values and a per cent in [0, 100], got {} and {}", values.size(), percent);
  const double place = percent / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::ptrdiff_t>(place);
  const auto at = values.begin() + below;
  std::nth_element(values.begin(), at, values.end());
  const double low = static_cast<double>(*at), share = place - static_cast<double>(below);
  if (share == 0 || at + 1 == values.end()) return low;
  return low + share * (static_cast<double>(*std::min_element(at + 1, values.end())) - low);
}

Normalization fitted(const Normalization& normalization, const Tensor& image) {
  check_channels(normalization, image);
  if (!normalization.per_image) return normalization;
  const Tensor source = raw::contiguous(image);
  const std::int64_t plane = image.numel() / image.size(0), step = (plane + most_values - 1) / most_values;
  Normalization result;
  std::vector<float> values;
  for (std::int64_t c = 0; c < image.size(0); ++c) {
    values.clear();
    visit_image(source, [&](auto* from) {
      const float unit = image.dtype() == u8 ? 1.0f / 255 : 1.0f;
      for (std::int64_t i = 0; i < plane; i += step) values.push_back(static_cast<float>(from[c * plane + i]) * unit);
    });
    const double low = percentile(values, normalization.low), high = percentile(values, normalization.high);
    result.mean.push_back(low);
    result.deviation.push_back(high - low > 1e-10 ? high - low : 1);
  }
  return result;
}

Tensor normalize(const Tensor& image, const Normalization& normalization) {
  check_channels(normalization, image);
  if (normalization.per_image) fail<ValueError>("normalize", "this normalization must be fitted to an image first");
  const Tensor source = raw::contiguous(image);
  Tensor out = Tensor::empty(image.shape());
  const std::int64_t plane = image.numel() / image.size(0);
  visit_image(source, [&](auto* from) {
    for (std::size_t c = 0; c < normalization.mean.size(); ++c) {
      const std::int64_t at = static_cast<std::int64_t>(c) * plane;
      const auto [scale, shift] = affine(image.dtype(), normalization, c);
      float* to = raw::data<float>(out) + at;
      for (std::int64_t i = 0; i < plane; ++i) to[i] = static_cast<float>(from[at + i]) * scale + shift;
    }
  });
  return out;
}

std::pair<float, float> affine(Dtype dtype, const Normalization& normalization, std::size_t channel) {
  const double deviation = normalization.deviation[channel];
  return {static_cast<float>((dtype == u8 ? 1.0 / 255 : 1.0) / deviation),
          static_cast<float>(-normalization.mean[channel] / deviation)};
}

}  // namespace duet::data
