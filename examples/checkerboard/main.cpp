// duet_checkerboard: where the checkerboards in generated pictures come from, as one page of pictures.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>

#include <duet/core/parallel.hpp>
#include <duet/core/version.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

#include "checkerboard/checkerboard.hpp"
#include "common/canvas.hpp"
#include "common/report.hpp"
#include "common/run_folder.hpp"
#include "common/spectrum.hpp"

namespace duet::examples {
namespace {

struct Flags {
  std::string out = "checkerboard";
  std::uint64_t seed = 0;
  std::int64_t nets = 32;
  int threads = 0;
};

void add_overlaps(Report& report, RunFolder& folder) {
  constexpr std::int64_t pairs[][2] = {{2, 2}, {3, 2}, {4, 2}, {5, 2}, {3, 3}, {5, 3}, {6, 3}, {6, 4}, {8, 4}};
  std::vector<Tensor> maps;
  std::vector<std::vector<std::string>> rows{{"kernel", "stride", "most / least"}};
  for (const auto& [kernel, stride] : pairs) {
    const Tensor map = overlap_map(kernel, stride);
    maps.push_back(heat_map(map, 0, amax(map).item(), 160 / map.size(0)));
    rows.push_back(
        {std::to_string(kernel), std::to_string(stride), fmt::format("{:.2f}", overlap_ratio(kernel, stride))});
    fmt::print("kernel {} stride {}: most / least overlap {}\n", kernel, stride, rows.back()[2]);
  }
  const Tensor picture = mosaic(maps, 5, 8);
  data::write_png(folder.path("overlaps.png"), picture);
  report.heading("Overlaps");
  report.paragraph(
      "How many taps of a transposed convolution reach each pixel of its output, from none (dark) to most (yellow). "
      "Where "
      "the stride divides the kernel all inner pixels are reached equally often; elsewhere a pattern of the stride's "
      "period is "
      "built into the op, whatever is learned.");
  report.picture(picture, "Kernel/stride: 2/2, 3/2, 4/2, 5/2, 3/3; 5/3, 6/3, 6/4, 8/4");
  report.table(rows);
}

/// A spectrum in decibels below its peak, 60 deep.
Tensor spectrum_picture(const Tensor& spectrum) {
  std::vector<double> values = spectrum.to_vector();
  const double most = *std::max_element(values.begin(), values.end());
  for (double& value : values) value = 10 * std::log10(std::max(value / most, 1e-6));
  return heat_map(Tensor::from_span(values, spectrum.shape()), -60, 0, 3);
}

void add_outputs(Report& report, RunFolder& folder, const Flags& flags) {
  std::vector<Tensor> panels;
  std::vector<std::vector<std::string>> rows{{"doubling", "checkerboard, dB"}};
  report.heading("Untrained generators");
  report.paragraph(
      fmt::format("Three doublings from 8 x 8 to 64 x 64 with ReLU between, fresh from random weights: two outputs, "
                  "and the mean power "
                  "spectrum of {} nets (frequency 0 in the middle, 60 dB from blue to yellow). A checkerboard is light "
                  "at the borders of "
                  "the spectrum, where one period is two pixels. The number says how far power there stands above what "
                  "is around it.",
                  flags.nets));
  for (const Doubling& doubling : doublings()) {
    const Tensor outputs = untrained_outputs(doubling, flags.nets, flags.seed);
    Tensor spectrum;
    for (std::int64_t i = 0; i < flags.nets; ++i) {
      const Tensor power = power_spectrum(select(outputs, 0, i), 64);
      spectrum = spectrum.defined() ? spectrum + power : power;
    }
    const double decibels = checkerboard_decibels(spectrum, 2);
    std::vector<Tensor> row;
    for (std::int64_t i = 0; i < 2; ++i) row.push_back(as_picture(select(outputs, 0, i) * 0.2 + 0.5, 3));
    row.push_back(spectrum_picture(spectrum));
    panels.insert(panels.end(), row.begin(), row.end());
    rows.push_back({doubling.name, fmt::format("{:.2f}", decibels)});
    fmt::print("{:<32} checkerboard {:6.2f} dB\n", doubling.name, decibels);
    report.picture(mosaic(row, 3, 8), fmt::format("{}: {:.2f} dB", doubling.name, decibels));
  }
  data::write_png(folder.path("outputs.png"), mosaic(panels, 6, 8));
  report.heading("Cures");
  report.paragraph(
      "A kernel that the stride divides takes away the pattern that is built in, but random weights still treat the "
      "phases "
      "of a transposed convolution differently: so its output shows one all the same. Resizing before the convolution "
      "has no "
      "phases. ICNR begins sub-pixel convolution as nearest-neighbour resizing, bilinear weights begin a transposed "
      "convolution as interpolation; these two are a beginning only, which training may leave.");
  report.table(rows);
}

void run(const Flags& flags) {
  if (flags.threads > 0) set_num_threads(flags.threads);
  RunFolder folder = RunFolder::start(flags.out);
  Report report("Checkerboards");
  add_overlaps(report, folder);
  add_outputs(report, folder, flags);
  folder.write("report.html", report.html());
  folder.publish();
  fmt::print("look at {}\n", folder.published("report.html"));
}

}  // namespace
}  // namespace duet::examples

int main(int argc, char** argv) {
  CLI::App program(
      "Show where checkerboards in generated pictures come from, and what cures them: one page of pictures.",
      "duet_checkerboard");
  duet::examples::Flags flags;
  program.set_version_flag("--version", DUET_VERSION);
  program.add_option("--out", flags.out, "folder for the pictures and the page")->capture_default_str();
  program.add_option("--seed", flags.seed, "of the untrained nets")->capture_default_str();
  program.add_option("--nets", flags.nets, "how many of them a spectrum is made of")
      ->check(CLI::Range(2, 10000))
      ->capture_default_str();
  program.add_option("--threads", flags.threads, "how many threads compute. Default: all cores")
      ->check(CLI::Range(1, 1024));
  try {
    program.parse(argc, argv);
    duet::examples::run(flags);
  } catch (const CLI::ParseError& error) {
    return program.exit(error);
  } catch (const std::exception& error) {
    fmt::print(stderr, "duet_checkerboard: {}\n", error.what());
    return 1;
  }
  return 0;
}
