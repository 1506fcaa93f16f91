// What a long run shows: a bar that is redrawn on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <string>

namespace duet::examples {

enum class Verbosity {
  quiet,   ///< nothing but what print() is given
  normal,  ///< a bar on a terminal, now and then a line elsewhere
};

/// "1:05", "2:03:04".
std::string clock_text(double seconds);

/// Whether standard output is a terminal whose lines may be redrawn and coloured. NO_COLOR, if set and not empty,
/// takes the colours away.
bool terminal_output();
bool colour_output();

class Progress {
 public:
  explicit Progress(Verbosity verbosity);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `fraction` of the work is done, with `seconds_left` to go; `text` says the rest. On a terminal the bar is redrawn
  /// at most ten times a second; elsewhere a line is printed every ten seconds.
  void update(double fraction, double seconds_left, const std::string& text);
  /// A line that stays, above the bar.
  void print(const std::string& line);
  /// Takes the bar away.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  Verbosity verbosity_;
  bool terminal_, colour_;
  bool drawn_ = false;
  Clock::time_point last_;
};

}  // namespace duet::examples
