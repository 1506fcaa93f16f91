// The loop's frame.
#include "common/run.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <duet/autograd/anomaly.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/version.hpp>
#include <duet/ops/kernels/simd.hpp>

#include "common/interrupt.hpp"
#include "common/machine.hpp"

namespace duet::examples {
namespace {

constexpr const char* file_of_state = "state.safetensors";

}  // namespace

double cycle_at(double fraction, double rise) {
  constexpr double begin = 0.1;
  if (fraction < rise) return begin + (1 - begin) * fraction / rise;
  return 0.5 * (1 + std::cos(3.141592653589793 * (fraction - rise) / (1 - rise)));
}

data::Sample Feed::next() {
  if (at_ && !(*at_ == nullptr)) ++*at_;
  if (!at_ || *at_ == nullptr) at_ = loader_.begin();
  return **at_;
}

Run::Run(std::string name, const RunFlags& given, std::int64_t per_epoch, std::vector<std::string> columns)
    : program(std::move(name)),
      flags(given),
      steps_per_epoch(per_epoch),
      metrics(std::move(columns)),
      progress(given.quiet ? Verbosity::quiet : Verbosity::normal) {}

std::optional<nn::Checkpoint> Run::begin() {
  if (!flags.resume) {
    folder_ = RunFolder::start(flags.out);
    return std::nullopt;
  }
  folder_ = RunFolder::resume(flags.out, file_of_state);
  return nn::Checkpoint::load_latest(folder_->path(file_of_state));
}

double Run::fraction() const {
  double done = 0;
  if (flags.steps > 0) done = std::max(done, static_cast<double>(step) / static_cast<double>(flags.steps));
  if (flags.epochs > 0)
    done = std::max(done, static_cast<double>(step) / static_cast<double>(flags.epochs * steps_per_epoch));
  if (flags.minutes > 0) done = std::max(done, seconds() / (60 * flags.minutes));
  return std::min(done, 1.0);
}

double Run::seconds() const {
  return seconds_before_ + std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Run::loop(FunctionRef<void()> body) {
  start_ = std::chrono::steady_clock::now();
  const InterruptGuard guard;
  while (fraction() < 1 && !InterruptGuard::interrupted()) {
    body();
    if (step == flags.stop_after) break;
  }
  seconds_before_ = seconds();
  start_ = std::chrono::steady_clock::now();
  progress.clear();
}

void Run::show(const std::string& text) {
  const double done = fraction();
  const double left = flags.minutes > 0 && flags.steps == 0 && flags.epochs == 0
                          ? 60 * flags.minutes - seconds()
                          : seconds() * (1 - done) / std::max(done, 1e-6);
  progress.update(done, left, fmt::format("step {}  {}", step, text));
}

void Run::say(const std::string& line) {
  if (!flags.quiet) progress.print(line);
}

void Run::save(nn::Checkpoint& checkpoint, const nlohmann::json& all_flags, const nlohmann::json& more) {
  checkpoint.set_text("run",
                      nlohmann::json{{"step", step}, {"seconds", seconds()}, {"metrics", metrics.json()}}.dump());
  checkpoint.save(folder_->path(file_of_state));
  folder_->write("metrics.csv", metrics.csv());
  nlohmann::json run = {
      {"program", program},      {"version", DUET_VERSION}, {"flags", all_flags},
      {"seed", flags.seed},      {"steps", step},           {"complete", fraction() >= 1},
      {"seconds", seconds()},    {"cpu", cpu_name()},       {"simd", kernels::name(kernels::active_simd())},
      {"threads", num_threads()}};
  run.update(more);
  folder_->write("run.json", run.dump(2) + "\n");
}

void Run::restore(const nn::Checkpoint& checkpoint) {
  try {
    const nlohmann::json state = nlohmann::json::parse(checkpoint.text("run"));
    metrics.read_json(state.at("metrics"));
    step = state.at("step");
    seconds_before_ = state.at("seconds");
  } catch (const nlohmann::json::exception& error) {
    fail<IoError>("resume", "the state in {} is broken: {}", flags.out, error.what());
  }
  start_ = std::chrono::steady_clock::now();
  say(fmt::format("going on after step {}", step));
}

void Run::publish() {
  std::filesystem::remove(folder_->path(std::string(file_of_state) + ".previous"));  // the last one replaces it
  folder_->publish();
  const bool complete = fraction() >= 1;
  progress.print(fmt::format("{} after {} steps, {}", complete ? "done" : "interrupted", step, clock_text(seconds())));
  if (!complete) progress.print(fmt::format("go on with: {} --resume --out {}", program, flags.out));
}

std::vector<double> Run::watched(FunctionRef<std::vector<double>()> body) {
  const std::vector<double> values = body();
  if (std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); })) return values;
  std::string cause = "running the step again did not show where";
  try {
    const AnomalyMode anomaly({.stacks = false});
    body();
  } catch (const AutogradError& error) {
    cause = error.what();
    cause.resize(std::min(cause.find('\n'), cause.size()));
  }
  const bool kept = std::filesystem::exists(folder_->path(file_of_state));
  fail<ValueError>("train", "step {} gives a number that is not finite: {}; a lower --lr may help. {}", step + 1, cause,
                   kept ? "The last good checkpoint is in " + folder_->path("") + ", --resume goes on from it"
                        : "There is no checkpoint yet");
}

}  // namespace duet::examples
