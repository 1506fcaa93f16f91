// The subcommands of duet_bench, one .cpp each. To add one: declare it here, call it in main.cpp.
#pragma once

#include <CLI/CLI.hpp>

namespace duet::bench {

/// duet_bench conv: the three ops of the convolution triple on a set of shapes.
void add_conv(CLI::App& app);
/// duet_bench train: training steps and inference of whole networks.
void add_train(CLI::App& app);
/// duet_bench ops: what is not a convolution, in per cent of memory bandwidth.
void add_ops(CLI::App& app);

}  // namespace duet::bench
