// duet_unet: a U-Net for images whose every pixel has a class. Trains on a folder of labelled images, looks at
// one, scores weights, segments new images, and counts what they show.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include <duet/core/version.hpp>

#include "unet/commands.hpp"

int main(int argc, char** argv) {
  CLI::App program("Train a U-Net on images with labels, score it, use it.", "duet_unet");
  program.set_version_flag("--version", DUET_VERSION);
  program.require_subcommand(1);
  duet::examples::add_train(program);
  duet::examples::add_evaluate(program);
  duet::examples::add_predict(program);
  duet::examples::add_generate(program);
  duet::examples::add_inspect(program);
  duet::examples::add_count(program);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error);
  } catch (const std::exception& error) {
    fmt::print(stderr, "duet_unet: {}\n", error.what());
    return 1;
  }
  return 0;
}
