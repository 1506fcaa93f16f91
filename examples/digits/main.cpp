// duet_digits: a small convolutional net that reads digits. Trains it and scores it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <exception>
#include <memory>

#include <duet/core/parallel.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/version.hpp>
#include <duet/nn/data/png.hpp>

#include "common/program.hpp"
#include "digits/digit_training.hpp"

namespace duet::examples {
namespace {

void train(DigitFlags flags, const CLI::App& command) {
  if (flags.resume) take_flags_of_run(flags, command);
  if (flags.steps == 0 && flags.epochs == 0 && flags.minutes == 0) flags.epochs = 10;
  check(flags);
  if (flags.threads > 0) set_num_threads(flags.threads);
  DigitTraining training(flags);
  training.begin();
  training.run();
  training.finish();
}

struct EvaluateFlags {
  std::string data, weights, picture;
  std::int64_t generated = 6000, val = 0;
  int threads = 0;
};

void evaluate(const EvaluateFlags& flags) {
  if (flags.threads > 0) set_num_threads(flags.threads);
  const Judge judge(flags.weights);
  DigitData digits = load_digits(flags.data, flags.generated);
  if (flags.val > 0 && flags.val < digits.size()) digits = split_digits(digits, flags.val).val;
  if (digits.classes.size() > judge.classes().size())
    fail<ValueError>("evaluate", "the images have {} classes, the classifier {}", digits.classes.size(),
                     judge.classes().size());
  const Confusions counts =
      confusions_of(judge.look(unit_images(digits.images)), digits.labels, judge.classes().size());
  fmt::print("accuracy {:.6f}\nimages {}\n", accuracy_of(counts), digits.size());
  for (std::size_t c = 0; c < counts.size(); ++c)
    fmt::print("class {}  {}\n", judge.classes()[c], fmt::join(counts[c], " "));
  if (!flags.picture.empty()) data::write_png(flags.picture, confusion_picture(counts));
}

void add_commands(CLI::App& program) {
  auto flags = std::make_shared<DigitFlags>();
  CLI::App* command = program.add_subcommand("train", "Train the classifier; ten epochs unless told otherwise");
  add_flags(*command, *flags);
  command->callback([flags, command] { train(*flags, *command); });

  auto scored = std::make_shared<EvaluateFlags>();
  CLI::App* second =
      program.add_subcommand("evaluate", "Score weights: accuracy, and a line of counts for each true class");
  second->add_option("--weights", scored->weights, "safetensors file that train wrote")->required();
  second->add_option("--data", scored->data, "folder as train takes it. Without it, digits are drawn");
  second->add_option("--generated", scored->generated, "how many digits to draw when there is no --data")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  second->add_option("--val", scored->val, "only the last N images")->check(CLI::NonNegativeNumber);
  second->add_option("--picture", scored->picture, "PNG file for the table of confusions");
  second->add_option("--threads", scored->threads, "how many threads compute. Default: all cores")
      ->check(CLI::Range(1, 1024));
  second->callback([scored] { evaluate(*scored); });
}

}  // namespace
}  // namespace duet::examples

int main(int argc, char** argv) {
  return duet::examples::run_program("duet_digits", "Train a small net to read digits, and score it.",
                                     duet::examples::add_commands, argc, argv);
}
