// duet_digits, duet_gan, duet_superres and duet_checkerboard from outside: what they write, that runs repeat and go on
// exactly, and what they say to bad input.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include <duet/core/factory.hpp>
#include <duet/core/fnv1a.hpp>
#include <duet/core/npy.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/safetensors.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/nn/data/synthetic_digits.hpp>
#include <duet/nn/models/gan.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/shape.hpp>

#include "data/support.hpp"
#include "gan/gan_training.hpp"
#include "program_support.hpp"

using namespace duet;
using test::content;
using test::Result;
namespace fs = std::filesystem;

namespace {

struct Workshop : TemporaryFolder {
  Result digits(const std::string& arguments) const { return test::run_program(path, DUET_DIGITS, arguments); }
  Result gan(const std::string& arguments) const { return test::run_program(path, DUET_GAN, arguments); }
  Result superres(const std::string& arguments) const { return test::run_program(path, DUET_SUPERRES, arguments); }
  /// The arguments of a GAN that takes a second: eight batches an epoch.
  std::string tiny(const std::string& out, const std::string& more, int threads = 1) const {
    return "train --generated 40 --val 8 --base 2 --latent 4 --batch 4 --out " + *this / out + " --threads " +
           std::to_string(threads) + " " + more;
  }
  std::string write(const std::string& name, const std::vector<unsigned char>& bytes) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
    return (path / name).string();
  }
};

/// What a run comes to, but for the clock.
std::string outcome(const fs::path& run) {
  return content(run / "generator.safetensors") + test::without_column(content(run / "metrics.csv"), 2);
}

}  // namespace

TEST_CASE("duet_gan: a run leaves grids, a walk, curves and weights that sample and evaluate take") {
  const Workshop shop;
  const Result trained = shop.gan(shop.tiny("run", "--epochs 2"));
  REQUIRE_MESSAGE(trained.status == 0, trained.errors);
  CHECK(contains(trained.output, "done after 16 steps"));
  CHECK_FALSE(contains(trained.output, "\x1b"));
  const fs::path run = shop.path / "run";
  for (const char* file : {"generator.safetensors", "state.safetensors", "metrics.csv", "run.json", "report.html",
                           "grids/epoch-0001.png", "grids/epoch-0002.png", "walk.png"})
    CHECK_MESSAGE(fs::file_size(run / file) > 0, file);
  CHECK_FALSE(fs::exists(run / "unfinished"));
  CHECK_FALSE(fs::exists(run / "state.safetensors.previous"));
  const auto about = nlohmann::json::parse(content(run / "run.json"));
  CHECK(about.at("steps") == 16);
  CHECK(about.at("complete") == true);
  CHECK(about.at("flags").at("ema") == true);
  CHECK(about.at("images") == 32);
  for (const char* key : {"seed", "version", "cpu", "simd", "threads", "data"}) CHECK_MESSAGE(about.contains(key), key);
  const std::string report = content(run / "report.html");
  CHECK(contains(report, "type='range'"));
  CHECK(contains(report, "epoch-0002"));
  CHECK_FALSE(contains(report, "src=\"http"));

  const std::string weights = " --weights " + (run / "generator.safetensors").string();
  const Result sampled = shop.gan("sample --count 10 --summary --out " + (shop / "samples") + weights);
  REQUIRE_MESSAGE(sampled.status == 0, sampled.errors);
  CHECK(contains(sampled.output, "ConvTranspose2d"));
  CHECK(data::read_png_info(shop / "samples/sample-0009.png").width == 28);
  CHECK(fs::exists(shop.path / "samples/walk.png"));
  const std::string grid = content(shop.path / "samples/grid.png");
  REQUIRE(shop.gan("sample --count 10 --out " + (shop / "again") + weights).status == 0);
  CHECK(content(shop.path / "again/grid.png") == grid);
  REQUIRE(shop.gan("sample --count 10 --seed 1 --out " + (shop / "other") + weights).status == 0);
  CHECK(content(shop.path / "other/grid.png") != grid);

  REQUIRE(shop.digits("train --generated 40 --width 2 --features 4 --steps 2 --batch 8 --out " + (shop / "digits"))
              .status == 0);
  const Result judged = shop.gan("evaluate --generated 40 --val 8 --samples 20 --classifier " +
                                 (shop / "digits/last.safetensors") + weights);
  REQUIRE_MESSAGE(judged.status == 0, judged.errors);
  double shares = 0, share = 0;
  for (const char* line : {"frechet distance ", "frechet distance of real images ", "mean confidence ",
                           "mean confidence of real images ", "classes with at least 4 % "})
    CHECK_MESSAGE(contains(judged.output, line), line);
  for (int c = 0; c < 10; ++c) {
    const auto at = judged.output.find("class " + std::to_string(c) + " ");
    REQUIRE(at != std::string::npos);
    CHECK(std::sscanf(judged.output.c_str() + at + 8, "%lf", &share) == 1);
    shares += share;
  }
  CHECK(shares == doctest::Approx(1).epsilon(1e-3));

  // The same samples out of a file of arrays are judged the same.
  const auto generator = nn::GanGenerator::load((run / "generator.safetensors").string());
  Generator random(0);
  const Tensor samples = examples::pictures_of(*generator, generator->noise(20, random));
  const std::string rest =
      " --generated 40 --val 8 --classifier " + (shop / "digits/last.safetensors") + " --pictures " + (shop / "s.npy");
  save_npy(shop / "s.npy", samples);
  CHECK(shop.gan("evaluate" + rest).output == judged.output);
  const auto refused = [&](const Tensor& tensor, const std::string& part) {
    save_npy(shop / "s.npy", tensor);
    const Result result = shop.gan("evaluate" + rest);
    CHECK(result.status == 1);
    CHECK_MESSAGE(contains(result.errors, part), result.errors);
  };
  refused(samples + 1.0, "pixels lie in [0, 1]");
  refused(full({2, 1, 28, 28}, NAN), "pixels lie in [0, 1]");
  refused(select(samples, 1, 0), "must hold f32 images");
  refused(full({2, 3, 28, 28}, 0.5), "(2, 3, 28, 28)");
  CHECK(shop.gan("evaluate" + rest + weights).status != 0);
  CHECK(shop.gan("evaluate --classifier " + (shop / "digits/last.safetensors")).status != 0);
}

TEST_CASE("duet_gan: a seed gives the same run on any number of threads, and going on gives it too") {
  const Workshop shop;
  for (const std::string model :
       {"--model dcgan", "--model wgan-gp --critics 2 --ema=false", "--model dcgan --spectral-norm --hidden 0"}) {
    CAPTURE(model);
    REQUIRE(shop.gan(shop.tiny("a", "--steps 10 " + model)).status == 0);
    REQUIRE(shop.gan(shop.tiny("b", "--steps 10 " + model, 2)).status == 0);
    CHECK(outcome(shop.path / "a") == outcome(shop.path / "b"));
    const Result stopped = shop.gan(shop.tiny("c", "--steps 10 --stop-after 5 " + model));
    CHECK(contains(stopped.output, "interrupted after 5 steps"));
    const Result resumed = shop.gan("train --resume --threads 1 --out " + (shop / "c"));
    REQUIRE_MESSAGE(resumed.status == 0, resumed.errors);
    CHECK(contains(resumed.output, "going on after step 5"));
    CHECK(contains(resumed.output, "slope of the critic on the mixing line ") == contains(model, "wgan-gp"));
    CHECK(content(shop.path / "c/generator.safetensors") == content(shop.path / "a/generator.safetensors"));
  }
  REQUIRE(shop.gan(shop.tiny("d", "--steps 10 --seed 1 --model dcgan --spectral-norm --hidden 0")).status == 0);
  CHECK(outcome(shop.path / "d") != outcome(shop.path / "a"));
}

/// A checkpoint whose values are bad and whose checksum is right: what a run leaves that went wrong unnoticed.
void write_with_its_checksum(const std::string& path, const SafetensorsFile& state) {
  Fnv1a hash;
  hash.add(*state.find_metadata("duet.checkpoint.names"));
  for (const auto& [key, text] : state.metadata)
    if (!key.starts_with("duet.checkpoint")) hash.add(key), hash.add(text);
  for (const auto& [name, tensor] : state.tensors) hash.add(name), hash.add(tensor);
  Metadata metadata = state.metadata;
  for (auto& [key, text] : metadata)
    if (key == "duet.checkpoint.fnv1a64") text = hash.text();
  save_safetensors(path, state.tensors, metadata);
}

TEST_CASE("duet_gan: a run that diverges stops, names the op, and keeps the last good checkpoint") {
  const Workshop shop;
  REQUIRE(shop.gan(shop.tiny("run", "--steps 8")).status == 0);
  const auto before = test::snapshot(shop.path / "run");
  const Result diverged = shop.gan(shop.tiny("run", "--steps 50 --lr 1e30"));
  CHECK(diverged.status == 1);
  CHECK_MESSAGE(contains(diverged.errors, "not finite: ["), diverged.errors);
  CHECK(std::count(diverged.errors.begin(), diverged.errors.end(), '\n') == 1);
  fs::remove_all(shop.path / "run/unfinished");
  CHECK(test::snapshot(shop.path / "run") == before);

  // A checkpoint that has gone bad: the one that was there stays.
  SafetensorsFile state = load_safetensors(shop / "run/state.safetensors");
  for (auto& [name, tensor] : state.tensors)
    if (name == "generator/0.weight") tensor = full(tensor.shape(), NAN);
  fs::remove(shop.path / "run/state.safetensors.previous");
  write_with_its_checksum(shop / "run/state.safetensors", state);
  const auto broken = test::snapshot(shop.path / "run");
  const Result resumed = shop.gan("train --resume --steps 20 --threads 1 --out " + (shop / "run"));
  CHECK(resumed.status == 1);
  CHECK_MESSAGE(contains(resumed.errors, "step 9 gives a number that is not finite: [conv_transpose2d]"),
                resumed.errors);
  CHECK(contains(resumed.errors, "The last good checkpoint is in"));
  for (const auto& [file, text] : broken) CHECK(content(file) == text);
  CHECK(fs::exists(shop.path / "run/unfinished/state.safetensors"));
}

TEST_CASE("duet_gan and duet_digits: bad input is one line, exit status 1, and earlier outputs stay") {
  const Workshop shop;
  REQUIRE(shop.gan(shop.tiny("run", "--steps 2")).status == 0);
  const auto before = test::snapshot(shop.path / "run");
  const std::string out = " --out " + (shop / "run");
  const auto refused = [&](const std::string& arguments, const std::string& part) {
    const Result result = shop.gan(arguments);
    CHECK_MESSAGE(result.status == 1, arguments);
    CHECK_MESSAGE(contains(result.errors, part), arguments << ": " << result.errors);
    CHECK(std::count(result.errors.begin(), result.errors.end(), '\n') == 1);
  };
  refused("train --data " + (shop / "nowhere") + out, "nowhere");
  fs::create_directories(shop.path / "empty");
  refused("train --data " + (shop / "empty") + out, "has no images");
  fs::create_directories(shop.path / "mixed");
  data::write_png(shop / "mixed/a.png", ones({28, 28}));
  data::write_png(shop / "mixed/b.png", ones({28, 30}));
  refused("train --data " + (shop / "mixed") + out, "b.png is (1, 28, 30)");
  data::write_png(shop / "mixed/b.png", ones({3, 28, 28}));
  refused("train --data " + (shop / "mixed") + out, "b.png is (3, 28, 28)");
  data::write_png(shop / "mixed/b.png", ones({28, 28}));
  refused("train --val 0 --data " + (shop / "mixed") + out, "do not fill a batch");
  fs::create_directories(shop.path / "odd");
  data::write_png(shop / "odd/a.png", ones({30, 30}));
  data::write_png(shop / "odd/b.png", ones({30, 30}));
  refused("train --val 0 --batch 2 --data " + (shop / "odd") + out, "image_size must be");
  shop.write("idx/x-labels-idx1-ubyte", {0, 0, 8, 1, 0, 0, 0, 1, 7});
  shop.write("idx/x-images-idx3-ubyte", {0, 0, 9, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4});
  refused("train --data " + (shop / "idx") + out, "magic number is 00 00 09 03");
  shop.write("idx/x-images-idx3-ubyte", {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3});
  refused("train --data " + (shop / "idx") + out, "ends within its body: 3 bytes of 4");
  shop.write("idx/x-images-idx3-ubyte", {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2});
  refused("train --data " + (shop / "idx") + out, "has 2 images");
  fs::remove(shop.path / "idx/x-labels-idx1-ubyte");
  refused("train --data " + (shop / "idx") + out, "has no labels");
  refused("train --model vae" + out, "--model");
  refused("train --lr 0" + out, "--lr");
  refused("train --lr-discriminator 0" + out, "--lr-discriminator");
  refused("train --hidden 65537" + out, "--hidden");
  refused("train --val 40 --generated 40" + out, "leaves none");
  refused("train --resume --out " + (shop / "nowhere"), "holds no run");
  refused("train --resume --latent 9" + out, "has --latent 4, not 9");
  refused("train --resume --model wgan-gp" + out, "has --model dcgan, not wgan-gp");
  CHECK(test::snapshot(shop.path / "run") == before);

  refused("sample --weights " + (shop / "none.safetensors"), "none.safetensors");
  const std::string weights = shop / "run/generator.safetensors";
  refused("evaluate --classifier " + weights + " --weights " + weights, "a GanGenerator, not a DigitNet");
  fs::resize_file(weights, 1000);
  refused("sample --weights " + weights, "generator.safetensors");
  for (const char* command : {"--help", "train --help", "sample --help", "evaluate --help"})
    CHECK_MESSAGE(shop.gan(command).status == 0, command);
  for (const char* command : {"--help", "train --help", "evaluate --help"})
    CHECK_MESSAGE(shop.digits(command).status == 0, command);
  CHECK(shop.gan("train --no-such-flag").status != 0);
  CHECK(shop.digits("evaluate --weights " + (shop / "none.safetensors")).status == 1);
}

TEST_CASE("duet_digits: learns drawn digits, from a folder too, goes on exactly, and draws its confusions") {
  const Workshop shop;
  for (std::int64_t i = 0; i < 60; ++i) {
    const data::SyntheticDigit digit = data::synthetic_digit(i, {.size = 16});
    const fs::path folder = shop.path / "data" / std::to_string(digit.label);
    fs::create_directories(folder);
    data::write_png((folder / (std::to_string(i) + ".png")).string(), digit.image);
  }
  const std::string arguments =
      "train --width 4 --features 8 --batch 10 --val 20 --seed 3 --threads 1 --data " + (shop / "data") + " --out ";
  REQUIRE(shop.digits(arguments + (shop / "whole") + " --steps 9").status == 0);
  REQUIRE(shop.digits(arguments + (shop / "parts") + " --steps 9 --stop-after 4").status == 0);
  REQUIRE(shop.digits("train --resume --threads 2 --out " + (shop / "parts")).status == 0);
  CHECK(content(shop.path / "whole/last.safetensors") == content(shop.path / "parts/last.safetensors"));
  CHECK(fs::exists(shop.path / "whole/confusions.png"));

  const Result trained =
      shop.digits("train --generated 1200 --val 200 --width 8 --epochs 4 --threads 1 --quiet --out " + (shop / "run"));
  REQUIRE_MESSAGE(trained.status == 0, trained.errors);
  double accuracy = 0;
  const auto at = trained.output.find("accuracy ");
  REQUIRE(at != std::string::npos);
  std::sscanf(trained.output.c_str() + at, "accuracy %lf", &accuracy);
  CHECK(accuracy > 0.8);
  const Result scored = shop.digits("evaluate --generated 1200 --val 200 --weights " + (shop / "run/last.safetensors") +
                                    " --picture " + (shop / "c.png"));
  double again = 0;
  std::sscanf(scored.output.c_str(), "accuracy %lf", &again);
  CHECK(again == doctest::Approx(accuracy).epsilon(1e-4));
  CHECK(data::read_png_info(shop / "c.png").width == 396);
}

TEST_CASE("duet_superres: trains, enlarges and compares, goes on exactly, refuses what does not fit") {
  const Workshop shop;
  const auto tiny = [&](const std::string& out, const std::string& more) {
    return "train --generated 3 --val 1 --width 4 --batch 2 --patch 8 --threads 1 --out " + (shop / out) + " " + more;
  };
  const Result trained = shop.superres(tiny("a", "--steps 6"));
  REQUIRE_MESSAGE(trained.status == 0, trained.errors);
  CHECK(contains(trained.output, "bicubic: PSNR"));
  CHECK(fs::exists(shop.path / "a/pictures/002.png"));
  REQUIRE(shop.superres(tiny("b", "--steps 6 --stop-after 3")).status == 0);
  REQUIRE(shop.superres("train --resume --threads 2 --out " + (shop / "b")).status == 0);
  CHECK(content(shop.path / "a/last.safetensors") == content(shop.path / "b/last.safetensors"));
  REQUIRE(shop.superres(tiny("c", "--steps 2 --upsampler nearest")).status == 0);
  REQUIRE(shop.superres(tiny("d", "--steps 2 --scale 4 --upsampler transposed --plain-init")).status == 0);

  data::write_png(shop / "colour.png", full({3, 10, 12}, 0.5));
  REQUIRE(shop.superres("upscale " + (shop / "colour.png") + " --weights " + (shop / "d/last.safetensors") + " --out " +
                        (shop / "large"))
              .status == 0);
  CHECK(data::read_png(shop / "large/colour.png").shape() == Shape{3, 40, 48});
  const Result compared = shop.superres("compare --generated 3 --val 1 --weights " + (shop / "a/last.safetensors") +
                                        " " + (shop / "c/last.safetensors") + " --out " + (shop / "cmp"));
  REQUIRE_MESSAGE(compared.status == 0, compared.errors);
  for (const char* way : {"bicubic ", "pixel-shuffle ", "nearest "}) CHECK_MESSAGE(contains(compared.output, way), way);
  CHECK(fs::exists(shop.path / "cmp/report.html"));

  const auto refused = [&](const std::string& arguments, const std::string& part) {
    const Result result = shop.superres(arguments);
    CHECK_MESSAGE(result.status == 1, arguments);
    CHECK_MESSAGE(contains(result.errors, part), arguments << ": " << result.errors);
  };
  const auto before = test::snapshot(shop.path / "a");
  refused(tiny("a", "--scale 3"), "[--scale]");
  refused(tiny("a", "--upsampler magic"), "none of nearest");
  refused("train --generated 3 --patch 500 --out " + (shop / "a"), "does not fit");
  refused("train --resume --scale 4 --out " + (shop / "a"), "has --scale 2, not 4");
  CHECK(test::snapshot(shop.path / "a") == before);
  refused("compare --weights " + (shop / "a/last.safetensors") + " " + (shop / "d/last.safetensors"), "4 times");
  refused("upscale " + (shop / "none.png") + " --weights " + (shop / "a/last.safetensors"), "none.png");
  CHECK(shop.superres("--help").status == 0);
}

TEST_CASE("duet_checkerboard: one page of pictures, the same for the same seed") {
  const Workshop shop;
  const Result drawn = test::run_program(shop.path, DUET_CHECKERBOARD, "--nets 4 --out " + (shop / "a"));
  REQUIRE_MESSAGE(drawn.status == 0, drawn.errors);
  CHECK(contains(drawn.output, "kernel 3 stride 2: most / least overlap 4.00"));
  CHECK(contains(drawn.output, "pixel-shuffle, ICNR"));
  for (const char* file : {"overlaps.png", "outputs.png", "report.html"})
    CHECK_MESSAGE(fs::file_size(shop.path / "a" / file) > 0, file);
  REQUIRE(test::run_program(shop.path, DUET_CHECKERBOARD, "--nets 4 --threads 2 --out " + (shop / "b")).status == 0);
  CHECK(content(shop.path / "a/outputs.png") == content(shop.path / "b/outputs.png"));
  CHECK(test::run_program(shop.path, DUET_CHECKERBOARD, "--nets 1").status != 0);
}
