// The U-Net's variants: shapes, derivatives, that they learn, and that their weight files bring them back.
#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <duet/autograd/backward.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/gradcheck.hpp>
#include <duet/nn/models/unet.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

using namespace duet;
using nn::UNetNormalization;
using nn::UNetUpsampling;

namespace {

struct Variant {
  const char* name;
  nn::UNetOptions options;
};

/// Every option away from its default, alone and all together; rank 3 with each way up.
std::vector<Variant> variants() {
  nn::UNetOptions plain{.in_channels = 2, .out_channels = 3, .base_channels = 2, .depth = 2};
  std::vector<Variant> list{{"plain", plain}};
  const auto add = [&](const char* name, auto change) {
    nn::UNetOptions options = plain;
    change(options);
    list.push_back({name, options});
  };
  add("nearest", [](auto& o) { o.up = UNetUpsampling::nearest; });
  add("bilinear", [](auto& o) { o.up = UNetUpsampling::bilinear; });
  add("pixel_shuffle", [](auto& o) { o.up = UNetUpsampling::pixel_shuffle; });
  add("group", [](auto& o) { o.norm = UNetNormalization::group; });
  add("instance", [](auto& o) { o.norm = UNetNormalization::instance; });
  add("residual", [](auto& o) { o.residual = true; });
  add("attention", [](auto& o) { o.attention = true; });
  add("dropout", [](auto& o) { o.dropout = 0.2; });
  add("all", [](auto& o) {
    o.up = UNetUpsampling::bilinear;
    o.norm = UNetNormalization::group;
    o.residual = o.attention = true;
    o.dropout = 0.1;
  });
  add("volume", [](auto& o) { o.rank = 3; });
  add("volume nearest",
      [](auto& o) { o.rank = 3, o.up = UNetUpsampling::nearest, o.norm = UNetNormalization::instance; });
  add("volume trilinear", [](auto& o) { o.rank = 3, o.up = UNetUpsampling::bilinear, o.residual = true; });
  add("volume shuffle", [](auto& o) {
    o.rank = 3, o.up = UNetUpsampling::pixel_shuffle, o.norm = UNetNormalization::group, o.attention = true;
  });
  return list;
}

Tensor input(const nn::UNetOptions& options, Generator& random, std::int64_t size, Dtype dtype = f32) {
  Shape shape{2, options.in_channels, size + 1, size};
  if (options.rank == 3) shape.push_back(size);
  return randn(shape, {.dtype = dtype}, random);
}

struct File {
  std::string path =
      (std::filesystem::temp_directory_path() / ("duet_variants_" + std::to_string(::getpid()) + ".safetensors"))
          .string();
  ~File() { std::filesystem::remove(path); }
};

}  // namespace

TEST_CASE("unet variants: any size goes through, too small a one and bad options are refused") {
  Generator random(1);
  for (auto entry : variants()) {
    const char* const name = entry.name;
    auto& options = entry.options;
    CAPTURE(std::string(name));
    options.depth = 3;
    nn::UNet model(options);
    for (const std::int64_t size : {4, 7, 10}) {
      // One pixel on the lowest level has no deviation of its own.
      if (size == 4 && options.norm == UNetNormalization::instance) continue;
      const Tensor x = input(options, random, size);
      Shape expected = x.shape();
      expected[1] = 3;
      CHECK(model(x).shape() == expected);
    }
    CHECK_THROWS_AS(model(input(options, random, 3)), ShapeError);
  }
  CHECK_THROWS_WITH_AS(nn::UNet({.rank = 3})(randn({1, 1, 8, 8})), doctest::Contains("(N, 1, D, H, W)"), ShapeError);
  CHECK_THROWS_AS(nn::UNet({.rank = 1}), ValueError);
  CHECK_THROWS_AS(nn::UNet({.dropout = 1}), ValueError);
  CHECK_THROWS_AS(nn::UNet({.dropout = -0.1}), ValueError);
  CHECK_THROWS_WITH_AS(nn::UNet({.depth = 2, .deep_supervision = true}), doctest::Contains("at least 3, got 2"),
                       ValueError);
}

TEST_CASE("unet variants: derivatives by input and every parameter, in double precision") {
  for (const auto& entry : variants()) {
    const char* const name = entry.name;
    const auto& options = entry.options;
    CAPTURE(std::string(name));
    nn::UNetOptions tiny = options;
    manual_seed(11);
    nn::UNet model(tiny);
    model.to(f64);
    Generator random(5);
    // Norms away from 1 and 0: with those the scale of one norm hardly matters to the next.
    for (const auto& [key, tensor] : model.named_parameters()) {
      if (tensor.rank() != 1) continue;
      for (std::int64_t i = 0; i < tensor.numel(); ++i) raw::data<double>(tensor)[i] += 0.5 * random.normal();
    }
    const Tensor x = input(tiny, random, 4, f64);
    const Tensor weight = randn(model(x).shape(), {.dtype = f64}, random);
    // Projections: the full Jacobian of a few hundred parameters costs too many calls.
    const auto result =
        gradcheck(model, [&](const Tensor& y) { return sum(y * weight); }, x, {.full_limit = 0, .projections = 2});
    CHECK_MESSAGE(result, to_string(result));
  }
}

TEST_CASE("unet variants: five steps on one batch lower the loss, and dropout is off in evaluation") {
  for (const auto& entry : variants()) {
    const char* const name = entry.name;
    const auto& options = entry.options;
    CAPTURE(std::string(name));
    manual_seed(3);
    nn::UNet model(options);
    Generator random(4);
    const Tensor x = input(options, random, 8);
    Shape ids = x.shape();
    ids.erase(1);
    const Tensor target = randint(0, 3, ids, {.dtype = i64}, random);
    optim::Adam optimizer(model.parameters(), {.lr = 0.02});
    std::vector<double> losses;
    for (int step = 0; step < 6; ++step) {
      optimizer.zero_grad();
      const Tensor loss = cross_entropy(model(x), target);
      losses.push_back(loss.item());
      loss.backward();
      optimizer.step();
    }
    CHECK(losses.back() < 0.97 * losses.front());
    model.eval();
    const NoGradGuard no_grad;
    CHECK(model(x).to_vector() == model(x).to_vector());
    model.train();
    if (options.dropout > 0) CHECK(model(x).to_vector() != model(x).to_vector());
  }
}

TEST_CASE("unet variants: a weight file says which one it is") {
  const File file;
  Generator random(9);
  for (const auto& entry : variants()) {
    const char* const name = entry.name;
    const auto& options = entry.options;
    CAPTURE(std::string(name));
    nn::UNet model(options);
    for (int step = 0; step < 2; ++step) model(input(options, random, 6));  // running statistics of their own
    model.save(file.path, {.classes = {"a", "b", "c"}, .more = {{"run", "7"}}});
    nn::ModelDescription description;
    const auto back = nn::UNet::load(file.path, &description);
    CHECK(back->describe() == model.describe());
    CHECK(description.more == Metadata{{"run", "7"}});
    CHECK(description.classes.size() == 3);
    model.eval();
    back->eval();
    const Tensor x = input(options, random, 9);
    CHECK((*back)(x).to_vector() == model(x).to_vector());
    // And by hand.
    nn::UNet other(options);
    other.load_state_dict(model.state_dict());
    other.eval();
    CHECK(other(x).to_vector() == model(x).to_vector());
  }
  CHECK_THROWS_AS(nn::UNet().save(file.path, {.more = {{"variant", "{}"}}}), ValueError);
  const auto refusal = [&](const std::string& variant) -> std::string {
    nn::UNet model({.base_channels = 2, .depth = 2});
    save_safetensors(file.path, model.state_dict(),
                     {{"architecture", "UNet"},
                      {"options", R"({"in_channels":1,"out_channels":1,"base_channels":2,"depth":2})"},
                      {"classes", "[]"},
                      {"normalization", R"({"mean":[],"deviation":[]})"},
                      {"threshold", "0.5"},
                      {"variant", variant}});
    try {
      nn::UNet::load(file.path);
    } catch (const Error& error) {
      return error.what();
    }
    return "none";
  };
  const auto contains = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  CHECK(contains(refusal("{"), "describes its variant badly"));
  CHECK(contains(refusal(R"({"up":"sideways"})"), "unknown up: sideways"));
  CHECK(contains(refusal(R"({"rank":"3"})"), "describes its variant badly"));
  CHECK(contains(refusal(R"({"rank":4})"), "rank must be 2 or 3"));
  CHECK(contains(refusal(R"({"colour":1})"), "does not know: colour"));
  CHECK(contains(refusal(R"({"rank":3})"), "down.0.conv1.weight (2, 1, 3, 3, 3), the file has (2, 1, 3, 3)"));
  CHECK(contains(refusal(R"({"residual":true})"), "missing: down.0.shortcut.weight"));
}

TEST_CASE("deep supervision: logits at each scale, the first of them forward's own") {
  Generator random(6);
  nn::UNet model({.in_channels = 2, .out_channels = 3, .base_channels = 2, .depth = 4, .deep_supervision = true});
  model.eval();
  const Tensor x = randn({2, 2, 21, 18}, {}, random);
  const Tensors scales = model.scales(x);
  REQUIRE(scales.size() == 3);
  CHECK(scales[0].shape() == Shape{2, 3, 21, 18});
  CHECK(scales[1].shape() == Shape{2, 3, 10, 9});
  CHECK(scales[2].shape() == Shape{2, 3, 5, 4});
  CHECK(scales[0].to_vector() == model(x).to_vector());
  nn::UNet volume({.base_channels = 2, .depth = 3, .rank = 3, .deep_supervision = true});
  CHECK(volume.scales(randn({1, 1, 8, 9, 10}, {}, random)).back().shape() == Shape{1, 1, 4, 4, 5});
  CHECK(nn::UNet({.base_channels = 2, .depth = 3}).scales(randn({1, 1, 8, 8}, {}, random)).size() == 1);
  CHECK_THROWS_AS(model.scales(randn({1, 2, 7, 8}, {}, random)), ShapeError);
}

TEST_CASE("deep supervision: derivatives of all scales, in double precision") {
  struct Scales : nn::Module {
    nn::UNet net{this, "net", {.out_channels = 2, .base_channels = 2, .depth = 3, .deep_supervision = true}};
    Tensor forward(const Tensor& x) override {
      Tensors parts;
      for (const Tensor& scale : net.scales(x)) parts.push_back(reshape(scale, {-1}));
      return cat(parts, 0);
    }
  };
  manual_seed(12);
  Scales model;
  model.to(f64);
  Generator random(7);
  const Tensor x = randn({2, 1, 9, 8}, {.dtype = f64}, random);
  const Tensor weight = randn(model(x).shape(), {.dtype = f64}, random);
  const auto result =
      gradcheck(model, [&](const Tensor& y) { return sum(y * weight); }, x, {.full_limit = 0, .projections = 2});
  CHECK_MESSAGE(result, to_string(result));
}

TEST_CASE("deep supervision: five steps lower the loss of every scale, forward alone leaves its heads") {
  manual_seed(3);
  nn::UNet model({.out_channels = 3, .base_channels = 4, .depth = 3, .deep_supervision = true});
  Generator random(4);
  const Tensor x = randn({2, 1, 16, 16}, {}, random);
  const Tensor target = randint(0, 3, {2, 16, 16}, {.dtype = i64}, random);
  optim::Adam optimizer(model.parameters(), {.lr = 0.02});
  std::vector<double> first, last;
  for (int step = 0; step < 6; ++step) {
    optimizer.zero_grad();
    const Tensors scales = model.scales(x);
    const Tensor fine = cross_entropy(scales[0], target),
                 coarse = cross_entropy(scales[1], slice(slice(target, 1, 1, 16, 2), 2, 1, 16, 2));
    last = {fine.item(), coarse.item()};
    if (step == 0) first = last;
    (fine + coarse).backward();
    optimizer.step();
  }
  CHECK(last[0] < 0.97 * first[0]);
  CHECK(last[1] < 0.97 * first[1]);
  CHECK(model.up[0].head->parameters()[0].grad().defined());
  model.zero_grad();
  sum(model(x)).backward();
  CHECK_FALSE(model.up[0].head->parameters()[0].grad().defined());
}

TEST_CASE("deep supervision: weight files bring it back, and a net without it has the keys it always had") {
  const File file;
  Generator random(9);
  const nn::UNetOptions plain{.base_channels = 2, .depth = 4};
  nn::UNetOptions deep = plain;
  deep.deep_supervision = true;
  nn::UNet without(plain), with(deep);
  std::vector<std::string> keys, more;
  for (const auto& [key, tensor] : without.state_dict()) keys.push_back(key);
  for (const auto& [key, tensor] : with.state_dict())
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) more.push_back(key);
  CHECK(more == std::vector<std::string>{"up.0.head.weight", "up.0.head.bias", "up.1.head.weight", "up.1.head.bias"});
  CHECK(with.state_dict().size() == keys.size() + more.size());

  with.save(file.path);
  const auto back = nn::UNet::load(file.path);
  CHECK(back->options.deep_supervision);
  CHECK(back->describe() == with.describe());
  with.eval();
  back->eval();
  const Tensor x = randn({1, 1, 17, 16}, {}, random);
  const Tensors expected = with.scales(x), got = back->scales(x);
  REQUIRE(got.size() == expected.size());
  for (std::size_t k = 0; k < got.size(); ++k) CHECK(got[k].to_vector() == expected[k].to_vector());
}

TEST_CASE("unet variants: a pixel sees as far as reach() says, and no further") {
  Generator random(2);
  for (auto entry : variants()) {
    const char* const name = entry.name;
    auto& options = entry.options;
    if (options.norm != UNetNormalization::batch || options.rank == 3) continue;
    CAPTURE(std::string(name));
    double inside = 0;  // of all depths: in a small net a ReLU may stop the only way through
    for (const std::int64_t depth : {1, 2, 3}) {
      options.depth = depth;
      options.dropout = 0;
      nn::UNet model(options);
      model.to(f64);
      model.eval();
      const std::int64_t reach = model.reach(), size = 2 * reach + 12;
      for (const std::int64_t at : {reach + 5, reach + 6, reach + 7, reach + 8}) {
        const Tensor x = randn({1, 2, size, size}, {.dtype = f64, .requires_grad = true}, random);
        Tensor cotangent = Tensor::empty({1, 3, size, size}, {.dtype = f64});
        raw::fill(cotangent, 0);
        raw::data<double>(cotangent)[at * size + at] = 1;
        model(x).backward(cotangent);
        const double* gradient = raw::data<double>(x.grad());
        double outside = 0;
        for (std::int64_t i = 0; i < x.numel(); ++i) {
          const std::int64_t y = i / size % size, z = i % size;
          const bool far = std::abs(y - at) > reach || std::abs(z - at) > reach;
          (far ? outside : inside) += std::abs(gradient[i]);
        }
        CHECK(outside == 0);
      }
    }
    CHECK(inside > 0);
  }
}
