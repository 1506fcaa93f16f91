// Prints the tape of a tiny U-Net as a table; given a folder, writes the drawings there.
#include <cstdio>
#include <fstream>

#include <duet/autograd/anomaly.hpp>
#include <duet/autograd/draw.hpp>
#include <duet/core/random.hpp>
#include <duet/nn/conv.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/pool.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

using namespace duet;

struct Block : nn::Module {
  nn::Conv2d conv;
  Block(nn::Module* parent, std::string name, int in, int out)
      : nn::Module(parent, std::move(name)), conv{this, "conv", in, out, 3, {.padding = 1}} {}
  Tensor forward(const Tensor& x) override { return relu(conv(x)); }
};

struct TinyUNet : nn::Module {
  Block encoder{this, "encoder", 1, 4};
  Block bottom{this, "bottom", 4, 8};
  nn::ConvTranspose2d up{this, "up", 8, 4, 2, {.stride = 2}};
  Block decoder{this, "decoder", 8, 4};
  nn::Conv2d head{this, "head", 4, 1, 1};
  Tensor forward(const Tensor& x) override {
    const Tensor skip = encoder(x);
    const Tensor deep = bottom(max_pool2d(skip, {.kernel_size = 2}));
    return head(decoder(cat({skip, up(deep)}, 1)));
  }
};

int main(int argc, char** argv) {
  manual_seed(0);
  TinyUNet model;
  const ScopeRecorder scopes;  // so that the drawings show modules
  const Tensor loss = mean(model(randn({1, 1, 16, 16})));
  const DrawOptions options{.names = model.named_parameters()};
  std::printf("%s", to_table({loss}, options).c_str());
  if (argc > 1) {
    std::ofstream(std::string(argv[1]) + "/tape.dot") << to_dot({loss}, options);
    std::ofstream(std::string(argv[1]) + "/tape.mmd") << to_mermaid({loss}, options);
  }
}
