// The bar: filled cells, per cent, time left, text, cut to the terminal's width. The bar keeps ten cells at least.
#include "common/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace duet::examples {
namespace {

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

/// `width` cells, filled to an eighth of a cell.
std::string bar(double fraction, std::size_t width) {
  static constexpr const char* partial[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths = static_cast<std::size_t>(fraction * static_cast<double>(width * 8));
  std::string cells;
  for (std::size_t i = 0; i < eighths / 8; ++i) cells += "█";
  std::size_t used = eighths / 8;
  if (used < width && eighths % 8 != 0) {
    cells += partial[eighths % 8];
    ++used;
  }
  return cells + std::string(width - used, ' ');
}

}  // namespace

std::string clock_text(double seconds) {
  const auto total = static_cast<long>(std::max(0.0, seconds) + 0.5);
  if (total >= 3600) return fmt::format("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60);
  return fmt::format("{}:{:02}", total / 60, total % 60);
}

bool terminal_output() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && (term == nullptr || std::string_view(term) != "dumb");
}

bool colour_output() {
  const char* off = std::getenv("NO_COLOR");
  return terminal_output() && (off == nullptr || *off == '\0');
}

Progress::Progress(Verbosity verbosity)
    : verbosity_(verbosity),
      terminal_(terminal_output()),
      colour_(colour_output()),
      last_(Clock::now() - std::chrono::hours(1)) {}

Progress::~Progress() { clear(); }

void Progress::update(double fraction, double seconds_left, const std::string& text) {
  if (verbosity_ == Verbosity::quiet) return;
  const auto now = Clock::now();
  if (now - last_ < (terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(10))) return;
  last_ = now;
  fraction = std::clamp(fraction, 0.0, 1.0);
  const std::string left = clock_text(seconds_left) + " left";
  if (!terminal_) {
    fmt::print("{:3.0f} %  {}  {}\n", 100 * fraction, left, text);
  } else {
    const std::string rest = fmt::format(" {:3.0f} %  {}  {}", 100 * fraction, left, text);
    const std::size_t width = terminal_width();
    const std::size_t cells = std::clamp<std::size_t>(width > rest.size() + 1 ? width - rest.size() - 1 : 0, 10, 30);
    const char* begin = colour_ ? "\x1b[36m" : "";
    const char* end = colour_ ? "\x1b[0m" : "";
    fmt::print("\r\x1b[K{}{}{}{}", begin, bar(fraction, cells), end,
               rest.substr(0, width > cells + 1 ? width - cells - 1 : 0));
    drawn_ = true;
  }
  std::fflush(stdout);
}

void Progress::print(const std::string& line) {
  clear();
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void Progress::clear() {
  if (!drawn_) return;
  fmt::print("\r\x1b[K");
  std::fflush(stdout);
  drawn_ = false;
}

}  // namespace duet::examples
