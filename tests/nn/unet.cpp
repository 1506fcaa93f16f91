// The U-Net against PyTorch's runs, its weight files, and what they refuse.
#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>

#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/models/unet.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/ops/loss.hpp>

#include "nn/golden.hpp"

using namespace duet;
using nlohmann::json;

namespace {

struct TemporaryFolder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("duet_unet_" + std::to_string(::getpid()));
  TemporaryFolder() { std::filesystem::create_directories(path); }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
};

nn::UNetOptions options_of(const json& model) {
  return {.in_channels = model.at("in_channels"),
          .out_channels = model.at("out_channels"),
          .base_channels = model.at("base_channels"),
          .depth = model.at("depth")};
}

void run_golden(const std::string& name) {
  const SafetensorsFile file = test::golden("models/" + name);
  nn::UNet model(options_of(json::parse(*file.find_metadata("model"))));
  model.to(f64);
  model.load_state_dict(test::with_prefix(file, "before."));
  const Tensor x = file.find("input"), target = file.find("target");
  optim::Adam optimizer(model.parameters(), {.lr = json::parse(*file.find_metadata("optimizer")).at("lr")});
  std::vector<double> losses;
  for (int step = 0; step < std::stoi(*file.find_metadata("steps")); ++step) {
    optimizer.zero_grad();
    const Tensor loss = binary_cross_entropy_with_logits(model(x), target);
    losses.push_back(loss.item());
    loss.backward();
    optimizer.step();
  }
  CHECK(test::excess(losses, file.find("losses").to_vector(), 0) <= 1e-9);
  const NamedTensors after = test::with_prefix(file, "after.");
  const NamedTensors state = model.state_dict();
  CHECK(after.size() == state.size());
  for (const auto& entry : state) {
    const std::string& key = entry.first;
    CAPTURE(key);
    CHECK(test::excess(entry.second.to_vector(), file.find("after." + key).to_vector()) <= 1e-9);
  }
  model.eval();
  const NoGradGuard no_grad;
  CHECK(test::excess(model(x).to_vector(), file.find("output").to_vector()) <= 1e-9);
}

}  // namespace

TEST_CASE("unet: five steps of Adam, weights and output are PyTorch's, at even and odd sizes") {
  run_golden("unet_even");
  run_golden("unet_odd");
}

TEST_CASE("unet: any size goes through, and too small a one is refused") {
  nn::UNet model({.in_channels = 2, .out_channels = 3, .base_channels = 2, .depth = 3});
  for (const auto& [h, w] : {std::pair<std::int64_t, std::int64_t>{4, 4}, {7, 13}, {12, 5}})
    CHECK(model(randn({2, 2, h, w})).shape() == Shape{2, 3, h, w});
  CHECK_THROWS_WITH_AS(model(randn({1, 2, 3, 8})), doctest::Contains("at least 4"), ShapeError);
  CHECK_THROWS_AS(model(randn({1, 1, 8, 8})), ShapeError);
  CHECK_THROWS_AS(model(randn({2, 8, 8})), ShapeError);
  CHECK_THROWS_AS(nn::UNet({.depth = 0}), ValueError);
  CHECK_THROWS_AS(nn::UNet({.depth = 40}), ValueError);
}

TEST_CASE("unet: a weight file describes its model and needs nothing else") {
  const TemporaryFolder folder;
  const std::string path = folder / "unet.safetensors";
  nn::UNet model({.in_channels = 3, .out_channels = 4, .base_channels = 2, .depth = 2});
  model.save(path, {.classes = {"a", "b", "ü", "d"}, .mean = {0.5, 0.25, 0.1}, .deviation = {0.2, 0.3, 0.4}, .threshold = 0.35, .more = {{"run", "7"}}});
  nn::ModelDescription description;
  const auto loaded = nn::UNet::load(path, &description);
  CHECK(description.classes == std::vector<std::string>{"a", "b", "ü", "d"});
  CHECK(description.mean == std::vector<double>{0.5, 0.25, 0.1});
  CHECK(description.deviation == std::vector<double>{0.2, 0.3, 0.4});
  CHECK(description.threshold == 0.35);
  CHECK(description.more == Metadata{{"run", "7"}});
  CHECK(loaded->describe() == model.describe());
  model.eval();
  loaded->eval();
  const Tensor x = randn({1, 3, 6, 6});
  CHECK((*loaded)(x).to_vector() == model(x).to_vector());
  CHECK_THROWS_AS(model.save(path, {.more = {{"options", "{}"}}}), ValueError);
}

TEST_CASE("unet: files of something else are refused, with the keys and shapes that do not fit") {
  const TemporaryFolder folder;
  const std::string path = folder / "unet.safetensors";
  nn::UNet model({.base_channels = 2, .depth = 2});
  const NamedTensors state = model.state_dict();
  const auto refusal = [&](const NamedTensors& tensors, const Metadata& metadata) -> std::string {
    save_safetensors(path, tensors, metadata);
    try {
      nn::UNet::load(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "none";
  };
  const auto described = [](const std::string& options, const std::string& architecture = "UNet") {
    return Metadata{{"architecture", architecture},
                    {"options", options},
                    {"classes", "[]"},
                    {"normalization", R"({"mean":[],"deviation":[]})"},
                    {"threshold", "0.5"}};
  };
  const std::string right = R"({"in_channels":1,"out_channels":1,"base_channels":2,"depth":2})";
  const auto contains = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  CHECK(refusal(state, described(right)) == "none");
  CHECK(contains(refusal(state, {}), "no 'architecture'"));
  CHECK(contains(refusal(state, described(right, "DCGAN")), "a DCGAN, not a UNet"));
  Metadata newer = described(right);
  newer.emplace_back("description_version", "2");
  CHECK(contains(refusal(state, newer), "describes its model in version 2, this Duet reads 1: a newer one wrote the file"));
  CHECK(contains(refusal(state, described("{")), "no JSON"));
  CHECK(contains(refusal(state, described("[]")), "'in_channels'"));
  CHECK(contains(refusal(state, described(R"({"in_channels":1,"out_channels":1,"base_channels":2})")), "'depth'"));
  CHECK(contains(refusal(state, described(R"({"in_channels":1,"out_channels":1,"base_channels":2,"depth":2,"x":1})")), "does not know"));
  CHECK(contains(refusal(state, described(R"({"in_channels":1,"out_channels":1,"base_channels":-2,"depth":2})")), "impossible"));
  CHECK(contains(refusal(state, described(R"({"in_channels":1,"out_channels":1,"base_channels":1.5,"depth":2})")), "whole number"));
  Metadata lopsided = described(right);
  lopsided[3].second = R"({"mean":[0.5],"deviation":[]})";
  CHECK(contains(refusal(state, lopsided), "1 means and 0 deviations"));
  // A claim of a huge model is met before any of it is made.
  CHECK(contains(refusal(state, described(R"({"in_channels":1,"out_channels":1,"base_channels":16777216,"depth":2})")),
                 "down.0.conv1.weight (16777216, 1, 3, 3), the file has (2, 1, 3, 3)"));
  NamedTensors other = state;
  other.pop_back();
  other[1].second = ones({5});
  const std::string text = refusal(other, described(right));
  CHECK(contains(text, "missing: head.bias (1,) f32"));
  CHECK(contains(text, "down.0.bn1.weight is (2,) f32 here, (5,) f32"));
  std::filesystem::resize_file(path, 500);
  CHECK_THROWS_AS(nn::UNet::load(path), IoError);
}

TEST_CASE("unet: double precision weights come back as such") {
  const TemporaryFolder folder;
  const std::string path = folder / "unet.safetensors";
  nn::UNet model({.base_channels = 1, .depth = 1});
  model.to(f64);
  model.save(path);
  CHECK(nn::UNet::load(path)->parameters()[0].dtype() == f64);
}
