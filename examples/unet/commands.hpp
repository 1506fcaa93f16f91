// The subcommands of duet_unet, a file each. Each adds itself to the program's command line.
#pragma once

namespace CLI {
class App;
}

namespace duet::examples {

void add_train(CLI::App& program);
void add_evaluate(CLI::App& program);
void add_predict(CLI::App& program);
void add_generate(CLI::App& program);
void add_inspect(CLI::App& program);
void add_count(CLI::App& program);

}  // namespace duet::examples
