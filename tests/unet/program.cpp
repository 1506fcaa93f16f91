// duet_unet from outside: what it writes, that runs repeat and go on exactly, and what it says to bad input.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include <duet/core/factory.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/safetensors.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/nn/models/unet.hpp>

#include "unet/workshop.hpp"

using namespace duet;
namespace fs = std::filesystem;

namespace {

/// Weights and metrics but for the clock.
std::string outcome(const fs::path& run) {
  std::string text = content(run / "last.safetensors") + content(run / "best.safetensors");
  std::istringstream lines(content(run / "metrics.csv"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream cells(line);
    int column = 0;
    for (std::string cell; std::getline(cells, cell, ','); ++column)
      if (column != 2) text += cell + ",";
  }
  return text;
}

}  // namespace

TEST_CASE("duet_unet: trains, scores and predicts on generated images") {
  const Workshop shop;
  const Result trained = shop.run(shop.train("run", "--steps 20 --validations 2"));
  REQUIRE_MESSAGE(trained.status == 0, trained.errors);
  CHECK(contains(trained.output, "report.html"));
  CHECK(contains(trained.output, "last  accuracy"));
  CHECK_FALSE(contains(trained.output, "\x1b"));  // no terminal: no bar, no colours
  const fs::path run = shop.path / "run";
  for (const char* file : {"last.safetensors", "best.safetensors", "state.safetensors", "metrics.csv", "run.json",
                           "report.html", "pictures/002.png"})
    CHECK_MESSAGE(fs::file_size(run / file) > 0, file);
  CHECK_FALSE(fs::exists(run / "unfinished"));
  CHECK_FALSE(fs::exists(run / "state.safetensors.previous"));
  CHECK(data::read_png_info((run / "pictures/002.png").string()).height == 256);

  const auto about = nlohmann::json::parse(content(run / "run.json"));
  CHECK(about.at("steps") == 20);
  CHECK(about.at("complete") == true);
  CHECK(about.at("flags").at("crop") == 32);
  CHECK(about.at("train").at("images").size() == 2);
  CHECK(about.at("validation").at("images") == nlohmann::json{"002"});
  for (const char* key : {"seed", "version", "cpu", "simd", "threads"}) CHECK_MESSAGE(about.contains(key), key);

  // Two rows, both with scores: a row each ten steps, validations at the half and the end.
  const std::string metrics = content(run / "metrics.csv");
  CHECK(metrics.starts_with("step,epoch,seconds,lr,loss,val_loss,val_accuracy,val_iou_0,val_iou_1\n10,"));
  CHECK(std::count(metrics.begin(), metrics.end(), '\n') == 3);
  const std::string report = content(run / "report.html");
  CHECK(contains(report, "<svg"));
  CHECK(contains(report, "data:image/png;base64,iVBOR"));
  CHECK_FALSE(contains(report, "src=\"http"));

  const std::string weights = " --weights " + (run / "last.safetensors").string();
  const Result scored = shop.run("evaluate --generated 3 --val 1 --csv " + (shop / "scores.csv") + weights);
  REQUIRE_MESSAGE(scored.status == 0, scored.errors);
  const double accuracy = about.at("last").at("accuracy");
  double printed = 0, iou[2] = {};
  CHECK(std::sscanf(scored.output.c_str(), "accuracy %lf\nIoU 0 %lf\nIoU 1 %lf\n", &printed, &iou[0], &iou[1]) == 3);
  CHECK(printed == doctest::Approx(accuracy).epsilon(1e-5));
  CHECK(iou[0] == doctest::Approx(about.at("last").at("iou").at(0).get<double>()).epsilon(1e-5));
  CHECK(content(shop.path / "scores.csv").starts_with("image,accuracy,iou_0,iou_1\n002,"));

  // The masks give the same accuracy by a count of their own.
  const std::string data = shop.data("data");
  REQUIRE(shop.run("predict " + data + "/image --probabilities --out " + (shop / "masks") + weights).status == 0);
  const Result judged = shop.run("evaluate --data " + data + " --csv " + (shop / "own.csv") + weights);
  std::int64_t right = 0, total = 0;
  for (int i = 0; i < 3; ++i) {
    const std::string file = std::to_string(i) + ".png";
    const Tensor mask = data::read_png(shop / ("masks/" + file)), label = data::read_png(data + "/label/" + file);
    const Tensor probability = data::read_png(shop / ("masks/" + std::to_string(i) + ".probability-1.png"));
    REQUIRE(mask.shape() == label.shape());
    CHECK(probability.dtype() == f32);
    for (std::int64_t k = 0; k < mask.numel(); ++k) {
      right += raw::data<std::uint8_t>(mask)[k] == raw::data<std::uint8_t>(label)[k];
      if (std::abs(raw::data<float>(probability)[k] - 0.5f) > 1e-4f)
        REQUIRE((raw::data<std::uint8_t>(mask)[k] == 255) == (raw::data<float>(probability)[k] > 0.5f));
    }
    total += mask.numel();
  }
  std::sscanf(judged.output.c_str(), "accuracy %lf", &printed);
  CHECK(printed == doctest::Approx(static_cast<double>(right) / static_cast<double>(total)).epsilon(1e-5));
}

TEST_CASE("duet_unet: weight files describe their model to the library") {
  const Workshop shop;
  REQUIRE(shop.run(shop.train("run", "--steps 2")).status == 0);
  const auto net = nn::UNet::load(shop / "run/last.safetensors");
  CHECK(net->parameter_count() == nlohmann::json::parse(content(shop.path / "run/run.json")).at("parameters"));
}

TEST_CASE("duet_unet: a seed gives the same run on any number of threads and workers") {
  const Workshop shop;
  REQUIRE(shop.run(shop.train("a", "--steps 10 --seed 5")).status == 0);
  REQUIRE(shop.run(shop.train("b", "--steps 10 --seed 5 --workers 3", 2)).status == 0);
  const Result quiet = shop.run(shop.train("c", "--steps 10 --seed 6 --quiet"));
  REQUIRE(quiet.status == 0);
  CHECK(quiet.output.starts_with("done after 10 steps"));
  CHECK(outcome(shop.path / "a") == outcome(shop.path / "b"));
  CHECK(outcome(shop.path / "a") != outcome(shop.path / "c"));
}

TEST_CASE("duet_unet: a run that was stopped goes on to exactly the same end") {
  const Workshop shop;
  REQUIRE(shop.run(shop.train("whole", "--steps 33 --validations 3")).status == 0);
  const Result stopped = shop.run(shop.train("parts", "--steps 33 --validations 3 --stop-after 17"));
  REQUIRE(stopped.status == 0);
  CHECK(contains(stopped.output, "interrupted after 17 steps"));
  CHECK(contains(stopped.output, "--resume"));
  CHECK(nlohmann::json::parse(content(shop.path / "parts/run.json")).at("complete") == false);
  const Result resumed = shop.run("train --resume --out " + shop / "parts");
  REQUIRE_MESSAGE(resumed.status == 0, resumed.errors);
  CHECK(contains(resumed.output, "going on after step 17"));
  CHECK(outcome(shop.path / "whole") == outcome(shop.path / "parts"));

  // A larger budget goes on; another learning rate is another run.
  CHECK(shop.run("train --resume --steps 40 --out " + shop / "parts").status == 0);
  CHECK(nlohmann::json::parse(content(shop.path / "parts/run.json")).at("steps") == 40);
  const Result other = shop.run("train --resume --lr 0.5 --out " + shop / "parts");
  CHECK(other.status == 1);
  CHECK(contains(other.errors, "has --lr 0.003, not 0.5"));
}

TEST_CASE("duet_unet: Ctrl-C saves and ends cleanly") {
  const Workshop shop;
  // Validations come early, so that something is there to be saved over; the budget is out of reach.
  const pid_t child = start(shop.path, shop.train("run", "--steps 1000000 --validations 100000"));
  for (int i = 0; i < 600 && !fs::exists(shop.path / "run/unfinished/run.json"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  ::kill(child, SIGINT);
  const Result ended = wait_for(shop.path, child);
  CHECK_MESSAGE(ended.status == 0, ended.errors);
  CHECK(contains(ended.output, "interrupted after"));
  CHECK(fs::exists(shop.path / "run/last.safetensors"));
  CHECK(fs::exists(shop.path / "run/report.html"));
  CHECK_FALSE(fs::exists(shop.path / "run/unfinished"));
}

TEST_CASE("duet_unet: more than two classes, images of different sizes, a validation folder") {
  const Workshop shop;
  const std::string data = shop.data("data", 4), val = shop.data("val", 4);
  const Result trained = shop.run("train --base 2 --depth 3 --crop 48 --batch 2 --steps 6 --threads 1 --data " + data +
                                  " --val " + val + " --out " + (shop / "run"));
  REQUIRE_MESSAGE(trained.status == 0, trained.errors);
  const std::string weights = " --weights " + (shop / "run/best.safetensors");
  const Result scored = shop.run("evaluate --data " + data + " --csv " + (shop / "s.csv") + weights);
  CHECK(contains(scored.output, "\nIoU 3 "));
  REQUIRE(shop.run("predict " + data + "/image/1.png --out " + (shop / "m") + weights).status == 0);
  CHECK(data::read_png(shop / "m/1.png").shape() == Shape{1, 40, 48});
  for (const double id : data::read_png(shop / "m/1.png").to_vector()) REQUIRE(id < 4);
}

TEST_CASE("duet_unet: bad input is one line, exit status 1, and earlier outputs stay") {
  const Workshop shop;
  REQUIRE(shop.run(shop.train("run", "--steps 2")).status == 0);
  const auto before = shop.snapshot("run");
  const std::string data = shop.data("data");
  const auto refused = [&](const std::string& arguments, const std::string& part) {
    const Result result = shop.run(arguments);
    CHECK_MESSAGE(result.status == 1, arguments);
    CHECK_MESSAGE(contains(result.errors, part), arguments << ": " << result.errors);
    CHECK(std::count(result.errors.begin(), result.errors.end(), '\n') == 1);
  };
  const std::string out = " --out " + (shop / "run");
  refused("train --data " + (shop / "nowhere") + out, "nowhere");
  refused("train --val 3 --generated 3" + out, "--val");
  refused("train --val -1 --generated 3" + out, "--val");
  refused("train --val " + (shop / "nowhere") + " --generated 3" + out, "nowhere");
  refused("train --lr 0" + out, "--lr");
  refused("train --depth 9 --crop 64" + out, "--depth");
  fs::remove(data + "/label/1.png");
  refused("train --data " + data + out, "image/1.png has no label");
  data::write_png(data + "/label/1.png", full({8, 9}, 255, {.dtype = u8}));
  refused("train --data " + data + out, "label/1.png is 8 x 9 pixels");
  fs::resize_file(data + "/label/1.png", 50);
  refused("train --data " + data + out, "label/1.png");
  refused("train --resume --out " + (shop / "nowhere"), "holds no run");
  CHECK(shop.snapshot("run") == before);

  const std::string weights = shop / "run/last.safetensors";
  refused("evaluate --weights " + (shop / "none.safetensors"), "none.safetensors");
  save_safetensors(shop / "foreign.safetensors", {{"x", zeros({2})}});
  refused("evaluate --weights " + (shop / "foreign.safetensors"), "foreign.safetensors");
  fs::copy(weights, shop.path / "cut.safetensors");
  fs::resize_file(shop.path / "cut.safetensors", 1000);
  refused("evaluate --weights " + (shop / "cut.safetensors"), "cut.safetensors");
  const std::string masks = " --out " + (shop / "masks");
  refused("predict " + (shop / "none.png") + masks + " --weights " + weights, "none.png");
  refused("predict " + data + "/image " + data + "/image/0.png" + masks + " --weights " + weights, "0.png");
  refused("evaluate --weights " + weights + " --data " + shop.data("many", 4),
          "label/0.png has the value 3: with 2 classes");

  CHECK(shop.run("").status != 0);
  CHECK(shop.run("train --no-such-flag").status != 0);
  for (const char* command : {"--help", "train --help", "evaluate --help", "predict --help"})
    CHECK_MESSAGE(shop.run(command).status == 0, command);
}
