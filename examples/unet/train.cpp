// duet_unet train: the command line, and what --resume takes from the run that it goes on with.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <memory>

#include <duet/core/fail.hpp>
#include <duet/core/parallel.hpp>

#include "unet/commands.hpp"
#include "unet/training.hpp"

namespace duet::examples {
namespace {

void check(const TrainFlags& flags) {
  check_run(flags);
  need(flags.generated >= 1 && flags.generated <= 100000, "generated", "1 to 100000", flags.generated);
  need(flags.batch >= 1 && flags.batch <= 65536, "batch", "1 to 65536", flags.batch);
  need(flags.crop >= 1 && flags.crop <= 65536, "crop", "1 to 65536", flags.crop);
  need(flags.base >= 1 && flags.base <= 4096, "base", "1 to 4096", flags.base);
  need(flags.depth >= 1 && flags.depth <= 12, "depth", "1 to 12", flags.depth);
  need(flags.lr > 0 && flags.lr <= 100, "lr", "more than 0 and at most 100", flags.lr);
  need(flags.dice >= 0 && flags.dice <= 1000, "dice", "0 to 1000", flags.dice);
  need(flags.brightness >= 0 && flags.brightness <= 10, "brightness", "0 to 10", flags.brightness);
  need(flags.classes == 0 || (flags.classes >= 2 && flags.classes <= 255), "classes", "0 or 2 to 255", flags.classes);
  need(flags.ignore >= -1 && flags.ignore <= 255, "ignore", "-1 to 255", flags.ignore);
  need(flags.elastic >= 0 && flags.elastic <= 100, "elastic", "0 to 100", flags.elastic);
  need(flags.gamma >= 0 && flags.gamma <= 10, "gamma", "0 to 10", flags.gamma);
  need(flags.blur >= 0 && flags.blur <= 20, "blur", "0 to 20", flags.blur);
  need(flags.noise >= 0 && flags.noise <= 10, "noise", "0 to 10", flags.noise);
  need(flags.dropout >= 0 && flags.dropout < 1, "dropout", "at least 0 and below 1", flags.dropout);
  need(flags.workers >= 0 && flags.workers <= 256, "workers", "0 to 256", flags.workers);
  need(flags.validations >= 1 && flags.validations <= 1000000, "validations", "at least 1", flags.validations);
  need(flags.pictures >= 0, "pictures", "at least 0", flags.pictures);
  need(flags.crop >> (flags.depth - 1) >= 1, "depth",
       fmt::format("so small that a crop of {} is not pooled away", flags.crop).c_str(), flags.depth);
}

void train(TrainFlags flags, const CLI::App& command) {
  Ranks ranks;
  try {
    if (flags.resume) take_flags_of_run(flags, command);
    if (flags.steps == 0 && flags.epochs == 0 && flags.minutes == 0) flags.steps = 400;
    check(flags);
    // Processes on one machine share its cores.
    set_num_threads(flags.threads > 0 ? flags.threads : std::max(1, num_threads() / ranks.local_size()));
    Training training(flags, ranks);
    training.begin();
    training.run();
    training.finish();
  } catch (const std::exception& error) {
    ranks.fail_all(error.what());
    throw;
  }
}

}  // namespace

void add_train(CLI::App& program) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* command = program.add_subcommand("train", "Train a U-Net; 400 steps unless told otherwise");
  add_flags(*command, *flags);
  command->callback([flags, command] { train(*flags, *command); });
}

}  // namespace duet::examples
