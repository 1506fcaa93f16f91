// duet_unet: a U-Net for images whose every pixel has a class. Trains on a folder of labelled images, looks at
// one, scores weights, segments new images, and counts what they show.
#include "common/program.hpp"
#include "unet/commands.hpp"

int main(int argc, char** argv) {
  using namespace duet::examples;
  const auto add_commands = [](CLI::App& program) {
    for (const auto add : {add_train, add_evaluate, add_predict, add_generate, add_inspect, add_count}) add(program);
  };
  return run_program("duet_unet", "Train a U-Net on images with labels, score it, use it.", add_commands, argc, argv);
}
