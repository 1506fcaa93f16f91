// Writes the networks of the inference workloads as FOLDER/NAME.onnx and their inputs' shapes as FOLDER/NAME.txt.
#include <cstdio>
#include <exception>
#include <fstream>

#include <duet/onnx/save.hpp>

#include "../workloads.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 1;
  }
  try {
    for (const duet::bench::Inference& one : duet::bench::inference_models()) {
      const std::string path = std::string(argv[1]) + "/" + one.name;
      duet::save_onnx(path + ".onnx", *one.model, one.input, {.dynamic = {}});
      std::ofstream shape(path + ".txt");
      for (const std::int64_t size : one.input.shape()) shape << size << '\n';
      if (!shape.flush()) throw std::runtime_error("cannot write " + path + ".txt");
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
  return 0;
}
