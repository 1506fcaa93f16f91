// A stack of running events; each that ends goes to the list.
#include <duet/autograd/profiler.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

#include <nlohmann/json.hpp>

#include <duet/autograd/note.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/node.hpp>
#include <duet/core/scope.hpp>

namespace duet {
namespace {

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string shapes_text(std::span<const Tensor> tensors) {
  std::string text;
  for (const Tensor& tensor : tensors)
    if (tensor.defined()) text += fmt::format("{}{}", text.empty() ? "" : " ", tensor.shape());
  return text;
}

std::string rows_text(const char* title, const std::vector<ProfileRow>& rows) {
  std::size_t width = std::string(title).size();
  for (const ProfileRow& row : rows) width = std::max(width, row.name.size());
  std::string text = fmt::format("{:<{}} {:>8} {:>12} {:>12} {:>8} {:>12} {:>12}\n", title, width, "calls",
                                 "forward ms", "MB", "vjps", "backward ms", "MB");
  ProfileRow total{.name = "total"};
  const auto line = [&](const ProfileRow& row) {
    text +=
        fmt::format("{:<{}} {:>8} {:>12.3f} {:>12.3f} {:>8} {:>12.3f} {:>12.3f}\n", row.name.empty() ? "-" : row.name,
                    width, row.forward_calls, row.forward_ms, static_cast<double>(row.forward_bytes) / 1e6,
                    row.backward_calls, row.backward_ms, static_cast<double>(row.backward_bytes) / 1e6);
  };
  for (const ProfileRow& row : rows) {
    line(row);
    total.forward_calls += row.forward_calls;
    total.backward_calls += row.backward_calls;
    total.forward_ms += row.forward_ms;
    total.backward_ms += row.backward_ms;
    total.forward_bytes += row.forward_bytes;
    total.backward_bytes += row.backward_bytes;
  }
  line(total);
  return text;
}

struct Event {
  std::string op = {}, module = {}, shapes = {};
  bool backward = false, nested = false;
  std::int64_t start = 0, end = 0;  // nanoseconds
  std::int64_t bytes = 0;
};

}  // namespace

struct Profiler::State {
  explicit State(Profiler& profiler) : guard(std::make_unique<ObserverGuard>(profiler)) {}
  void begin(Event event);
  void finish(std::span<const Tensor> results);
  std::vector<ProfileRow> rows(std::string Event::*key) const;

  std::unique_ptr<ObserverGuard> guard;
  std::vector<Event> events, running;
};

Profiler::Profiler() : state_(std::make_shared<State>(*this)) {}
Profiler::~Profiler() = default;
void Profiler::stop() { state_->guard.reset(); }

void Profiler::State::begin(Event event) {
  event.nested = !running.empty();
  event.start = now();
  running.push_back(std::move(event));
}

void Profiler::State::finish(std::span<const Tensor> results) {
  const std::int64_t end = now();
  if (running.empty()) return;  // began before the profiler did
  Event event = std::move(running.back());
  running.pop_back();
  event.end = end;
  for (const Tensor& result : results)
    if (result.defined()) event.bytes += result.bytes();
  events.push_back(std::move(event));
}

void Profiler::failed() {
  if (!state_->running.empty()) state_->running.pop_back();
}

void Profiler::before_op(const Call& call) {
  state_->begin({.op = call.name(), .module = scope_path(), .shapes = shapes_text(call.inputs)});
}
void Profiler::after_op(const Call&, std::span<const Tensor> outputs, Node* node) {
  state_->finish(outputs);
  if (node != nullptr) note_of(*node);
}
void Profiler::before_vjp(Node& node, std::span<const Tensor> cotangents) {
  state_->begin({.op = node.name(),
                 .module = node.note ? node.note->scope : std::string(),
                 .shapes = shapes_text(cotangents),
                 .backward = true});
}
void Profiler::after_vjp(Node&, std::span<const Tensor>, std::span<const Tensor> gradients) {
  state_->finish(gradients);
}

std::vector<ProfileRow> Profiler::State::rows(std::string Event::*key) const {
  std::vector<ProfileRow> result;
  for (const Event& event : events) {
    if (event.nested) continue;
    auto found =
        std::find_if(result.begin(), result.end(), [&](const ProfileRow& row) { return row.name == event.*key; });
    if (found == result.end()) found = result.insert(found, ProfileRow{.name = event.*key});
    const double ms = static_cast<double>(event.end - event.start) / 1e6;
    (event.backward ? found->backward_calls : found->forward_calls) += 1;
    (event.backward ? found->backward_ms : found->forward_ms) += ms;
    (event.backward ? found->backward_bytes : found->forward_bytes) += event.bytes;
  }
  std::stable_sort(result.begin(), result.end(), [](const ProfileRow& a, const ProfileRow& b) {
    return a.forward_ms + a.backward_ms > b.forward_ms + b.backward_ms;
  });
  return result;
}

std::vector<ProfileRow> Profiler::by_op() const { return state_->rows(&Event::op); }
std::vector<ProfileRow> Profiler::by_module() const { return state_->rows(&Event::module); }

std::string Profiler::table() const { return rows_text("op", by_op()) + "\n" + rows_text("module", by_module()); }

std::string Profiler::chrome_trace() const {
  nlohmann::json list = nlohmann::json::array();
  std::int64_t origin = 0;
  for (const Event& event : state_->events) origin = origin == 0 ? event.start : std::min(origin, event.start);
  for (const Event& event : state_->events)
    list.push_back({{"name", event.op + (event.backward ? " (backward)" : "")},
                    {"cat", event.backward ? "backward"
                            : event.nested ? "inside"
                                           : "forward"},
                    {"ph", "X"},
                    {"ts", static_cast<double>(event.start - origin) / 1e3},
                    {"dur", static_cast<double>(event.end - event.start) / 1e3},
                    {"pid", 1},
                    {"tid", 1},
                    {"args", {{"module", event.module}, {"shapes", event.shapes}, {"bytes", event.bytes}}}});
  return nlohmann::json{{"traceEvents", list}, {"displayTimeUnit", "ms"}}.dump();
}

void Profiler::write_chrome_trace(const std::string& path) const {
  const std::string text = chrome_trace();
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) fail<IoError>("profiler", "cannot write {}", path);
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (std::fclose(file) != 0 || !written) fail<IoError>("profiler", "{} could not be written whole", path);
}

}  // namespace duet
