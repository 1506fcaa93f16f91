// duet_bench: how fast Duet is on this machine, beside what the machine can do.
#include <cstdio>
#include <exception>

#include "commands.hpp"

int main(int argc, char** argv) {
  CLI::App app{"Duet's benchmarks"};
  app.require_subcommand(1);
  try {
    duet::bench::add_conv(app);
    duet::bench::add_train(app);
    duet::bench::add_ops(app);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "duet_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
