// UpsampleBlock: sizes, smooth beginnings, derivatives; summary: numbers that can be counted by hand.
#include <doctest/doctest.h>

#include <cmath>

#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/nn/activation.hpp>
#include <duet/nn/container.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/gradcheck.hpp>
#include <duet/nn/linear.hpp>
#include <duet/nn/norm.hpp>
#include <duet/nn/summary.hpp>
#include <duet/nn/upsample.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

using namespace duet;

namespace {

/// The largest difference between pixels of a plane of a block's answer to a constant, borders left out.
double unevenness(nn::UpsampleBlock& block) {
  const Tensor y = block(ones({1, 3, 8, 8}));
  const std::int64_t size = y.size(2), edge = 2 * block.options.scale;
  double most = 0;
  for (std::int64_t c = 0; c < y.size(1); ++c) {
    const auto values =
        slice(slice(select(select(y, 0, 0), 0, c), 0, edge, size - edge), 1, edge, size - edge).to_vector();
    for (const double value : values) most = std::max(most, std::abs(value - values[0]));
  }
  return most;
}

}  // namespace

TEST_CASE("upsample: every way gives scale times the size, at any scale") {
  for (const nn::Upsampler way : nn::all_upsamplers)
    for (const std::int64_t scale : {2, 3, 4}) {
      CAPTURE(nn::name(way));
      nn::UpsampleBlock block{3, 2, way, {.scale = scale}};
      CHECK(block(randn({2, 3, 5, 7})).shape() == Shape{2, 2, 5 * scale, 7 * scale});
      CHECK(nn::upsampler_from_name(nn::name(way)) == way);
      CHECK(block.named_parameters()[0].first == "conv.weight");
    }
  CHECK_THROWS_WITH_AS(nn::upsampler_from_name("cubic"), doctest::Contains("none of nearest"), ValueError);
  CHECK_THROWS_AS(nn::UpsampleBlock(1, 1, nn::Upsampler::nearest, {.scale = 1}), ValueError);
  CHECK_THROWS_AS(nn::UpsampleBlock(1, 1, nn::Upsampler::nearest, {.kernel_size = 2}), ValueError);
  CHECK_THROWS_AS(nn::UpsampleBlock(0, 1, nn::Upsampler::transposed), ValueError);
}

TEST_CASE("upsample: a constant stays one under every smooth beginning, and shows a pattern without it") {
  manual_seed(11);
  for (const nn::Upsampler way : nn::all_upsamplers) {
    CAPTURE(nn::name(way));
    for (const std::int64_t scale : {2, 4}) {
      nn::UpsampleBlock smooth{3, 2, way, {.scale = scale}};
      CHECK(unevenness(smooth) < 1e-5);
    }
    nn::UpsampleBlock raw{3, 2, way, {.smooth_init = false}};
    const bool patterned = way == nn::Upsampler::pixel_shuffle || way == nn::Upsampler::transposed;
    CHECK((unevenness(raw) > 0.05) == patterned);
  }
}

TEST_CASE("upsample: derivatives to second order") {
  for (const nn::Upsampler way : nn::all_upsamplers) {
    CAPTURE(nn::name(way));
    nn::UpsampleBlock block{2, 1, way};
    block.to(f64);
    const auto verdict = gradcheck(block, [](const Tensor& y) { return sum(sin(y)); },
                                   randn({1, 2, 3, 3}, {.dtype = f64}), {.order = 2});
    CHECK_MESSAGE(verdict, to_string(verdict));
  }
}

TEST_CASE("summary: outputs, parameters, operations and memory of each layer") {
  nn::Sequential net{nn::Conv2d{1, 4, 3, {.padding = 1}}, nn::BatchNorm2d{4}, nn::ReLU{},
                     nn::ConvTranspose2d{4, 2, 2, {.stride = 2, .bias = false}}};
  const auto before = net.named_buffers()[0].second.to_vector();
  const std::uint64_t position = default_generator().position();
  const Tensor x = ones({2, 1, 8, 6});
  const nn::Summary summary = nn::summary(net, x);
  CHECK(net.named_buffers()[0].second.to_vector() == before);
  CHECK(default_generator().position() == position);
  REQUIRE(summary.rows.size() == 5);
  const nn::SummaryRow& all = summary.rows[0];
  CHECK(all.path.empty());
  CHECK(all.output == Shape{2, 2, 16, 12});
  CHECK(all.parameters == 40 + 8 + 32);
  CHECK(summary.parameter_bytes == 4 * 80);
  const nn::SummaryRow& conv = summary.rows[1];
  CHECK(conv.path == "0");
  CHECK(conv.kind == "Conv2d");
  CHECK(conv.depth == 1);
  CHECK(conv.output == Shape{2, 4, 8, 6});
  CHECK(conv.parameters == 40);
  CHECK(conv.flops == 2 * (2 * 4 * 48) * 9);
  CHECK(conv.output_bytes == 4 * 2 * 4 * 48);
  CHECK(conv.saved_bytes == 4 * 2 * 48);  // its input; the weight is a parameter
  const nn::SummaryRow& relu = summary.rows[3];
  CHECK(relu.flops == 2 * 4 * 48);
  CHECK(relu.parameters == 0);
  const nn::SummaryRow& transposed = summary.rows[4];
  CHECK(transposed.flops == 2 * (2 * 4 * 48) * (2 * 4));
  CHECK(all.flops == conv.flops + summary.rows[2].flops + relu.flops + transposed.flops);
  CHECK(all.saved_bytes <= conv.saved_bytes + summary.rows[2].saved_bytes + relu.saved_bytes + transposed.saved_bytes);
  const std::string table = summary.table();
  CHECK(table.find("0: Conv2d") != std::string::npos);
  CHECK(table.find("(2, 4, 8, 6)") != std::string::npos);
  CHECK(table.find("parameters 80") != std::string::npos);
}

TEST_CASE("summary: matrix products, layers that do not run, and a model that throws") {
  nn::Linear linear{5, 3};
  CHECK(nn::summary(linear, ones({4, 5})).rows[0].flops == 2 * 4 * 5 * 3);
  struct Net : nn::Module {
    nn::Linear used{this, "used", 2, 1};
    nn::Linear unused{this, "unused", 2, 1000};
    Tensor forward(const Tensor& x) { return used(x); }
  };
  Net net;
  const nn::Summary summary = nn::summary(net, ones({1, 2}));
  CHECK(summary.rows[2].calls == 0);
  CHECK(summary.rows[0].parameters == 3 + 3000);
  CHECK(summary.table().find("3,003") != std::string::npos);
  CHECK_THROWS_AS(nn::summary(linear, ones({4, 6})), ShapeError);
}
