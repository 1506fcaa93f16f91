// The main function of a program with commands: parses, runs, and turns what is thrown into one line and status 1.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <duet/core/version.hpp>

namespace duet::examples {

template <class AddCommands>
int run_program(const char* name, const char* purpose, AddCommands add_commands, int argc, char** argv) {
  CLI::App program(purpose, name);
  program.set_version_flag("--version", DUET_VERSION);
  program.require_subcommand(1);
  add_commands(program);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", name, error.what());
    return 1;
  }
  return 0;
}

}  // namespace duet::examples
