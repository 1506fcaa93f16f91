// ONNX files: ONNX's own checker takes every one (save_onnx asks it), the Python checker too, a runtime computes the
// same as Duet, and what has no form in a file is refused by name.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <duet/core/factory.hpp>
#include <duet/core/safetensors.hpp>
#include <duet/nn/activation.hpp>
#include <duet/nn/container.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/norm.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/index.hpp>
#include <duet/ops/shape.hpp>

#include "data/support.hpp"
#include "support.hpp"

using namespace duet;

namespace {

std::string refusal(Callable<Tensor(const Tensor&)> compute, const Tensor& x = randn({2, 4, 6, 6}),
                    OnnxOptions options = {}) {
  const TemporaryFolder folder;
  Formula model(std::move(compute));
  const std::string message = message_of<ValueError>([&] { save_onnx(folder / "x.onnx", model, x, options); });
  CHECK(std::filesystem::is_empty(folder.path));
  return message;
}

void write_all(const std::string& folder) {
  for (const auto& cases : {model_cases(), op_cases()})
    for (const OnnxCase& one : cases) {
      CAPTURE(one.name);
      write_case(one, folder);
    }
}

int run(const std::string& command) { return std::system(command.c_str()); }

}  // namespace

TEST_CASE("onnx: models and ops are written, and ONNX's checker takes every file") {
  const TemporaryFolder folder;
  write_all(folder.path.string());
  // Folding leaves no trace of the norms; without it they are there, under their modules' names.
  const auto content = [&](const char* name) {
    std::ifstream in(folder / name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  CHECK(!contains(content("unet.onnx"), "BatchNormalization"));
  CHECK(contains(content("unet_unfolded.onnx"), "down.0.bn1/BatchNormalization"));
  CHECK(contains(content("unet_unfolded.onnx"), "up.1.upconv.weight"));
}

TEST_CASE("onnx: the Python checker takes every file") {
  std::string python;
  for (const char* candidate : {"python3", "/usr/bin/python3"})
    if (python.empty() && run(std::string(candidate) + " -c 'import onnx.checker' >/dev/null 2>&1") == 0) python = candidate;
  if (python.empty()) {
    std::puts("skipped: no Python with onnx (Debian: apt install python3-onnx)");
    return;
  }
  const TemporaryFolder folder;
  write_all(folder.path.string());
  CHECK(run(python + " -B " DUET_SOURCE_DIR "/tests/onnx/check.py " + folder.path.string()) == 0);
}

TEST_CASE("onnx: onnxruntime computes the same, at the example's sizes and at others") {
  const char* given = std::getenv("DUET_ONNXRUNTIME");
  const std::string packages = given != nullptr ? given : DUET_SOURCE_DIR "/build/onnxruntime";
  if (!std::filesystem::exists(packages + "/node_modules/onnxruntime-node") ||
      run("node --version >/dev/null 2>&1") != 0) {
    std::puts(
        "skipped: no onnxruntime-node (npm install --ignore-scripts --prefix build/onnxruntime onnxruntime-node)");
    return;
  }
  const TemporaryFolder folder;
  write_all(folder.path.string());
  CHECK(run("node " DUET_SOURCE_DIR "/tests/onnx/run.cjs " + packages + " " + folder.path.string()) == 0);
}

TEST_CASE("onnx: what has no form in a file is refused, by name and place") {
  const auto x3 = [](const Tensor& x) { return roll(x, {1}, {0}); };
  CHECK(contains(refusal(x3), "roll"));
  CHECK(contains(refusal(x3), "it has no form in ONNX"));
  CHECK(contains(refusal([](const Tensor& x) { return x.size(0) > 2 ? relu(x) : sigmoid(x); }),
                 "another path at another size"));
  CHECK(contains(refusal([](const Tensor& x) { return x.size(0) > 2 ? relu(relu(x)) : relu(x); }),
                 "another path at another size"));
  CHECK(contains(refusal([](const Tensor& x) { return x + ones(x.shape()); }), "makes itself"));
  CHECK(contains(refusal([](const Tensor& x) { return slice(x, 0, 0, x.size(0) - 1); }),
                 "where it cuts depends on the size"));
  CHECK(contains(refusal([](const Tensor& x) { return x; }, randn({2}), {.input_names = {"a", "b"}}), "2 input names"));
  CHECK(contains(refusal([](const Tensor& x) { return x; }, randn({2}), {.output_names = {}}), "0 output names"));
  CHECK(contains(refusal([](const Tensor& x) { return x; }, randn({2}), {.dynamic = {-1}}), "count from 0"));
  CHECK(contains(refusal([](const Tensor& x) { return x; }, Tensor()), "undefined"));
  // Where it stands: the module's path.
  struct Inner : nn::Module {
    using Module::Module;
    Tensor forward(const Tensor& x) override { return flip(x, {0}); }
  };
  struct Outer : nn::Module {
    Inner inner{this, "inner"};
    Tensor forward(const Tensor& x) override { return inner(x); }
  } outer;
  const TemporaryFolder folder;
  CHECK(contains(message_of<ValueError>([&] {
                   save_onnx(folder / "x.onnx", outer, randn({2, 3}));
                 }),
                 "flip (in inner)"));
  CHECK_THROWS_AS(save_onnx(folder / "no/x.onnx", *std::make_unique<nn::ReLU>(), randn({2})), IoError);
}

TEST_CASE("onnx: the module stays as it was, module by module") {
  const TemporaryFolder folder;
  nn::Sequential net{nn::Conv2d{1, 2, 3}, nn::BatchNorm2d{2}, nn::ReLU{}};
  net.at(1).eval();
  const auto before = nn::clone_tensors(net.state_dict());
  save_onnx(folder / "x.onnx", net, randn({2, 1, 5, 5}));
  CHECK(net.is_training());
  CHECK(!net.at(1).is_training());
  CHECK(net.at(2).is_training());
  const auto after = net.state_dict();
  for (std::size_t i = 0; i < after.size(); ++i) CHECK(after[i].second.to_vector() == before[i].second.to_vector());
}

TEST_CASE("onnx: several inputs and results, named") {
  const TemporaryFolder folder;
  nn::Sequential nothing;
  const auto both = [](const Tensors& in) -> Tensors { return {in[0] + in[1], relu(in[0]), in[1]}; };
  save_onnx(folder / "x.onnx", nothing, {randn({2, 3}), randn({2, 3})}, both,
            {.input_names = {"left", "right"}, .output_names = {"sum", "positive", "same"}});
  CHECK(std::filesystem::file_size(folder / "x.onnx") > 0);
}
