// Models of the tests, and the list of files that a runtime gets to run.
#pragma once

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <duet/core/npy.hpp>
#include <duet/core/random.hpp>
#include <duet/core/tape.hpp>
#include <duet/onnx/save.hpp>

namespace duet {

/// A module that computes what a function says.
struct Formula : nn::Module {
  explicit Formula(Callable<Tensor(const Tensor&)> given) : compute(std::move(given)) {}
  Tensor forward(const Tensor& x) override { return compute(x); }
  std::string kind() const override { return "Formula"; }
  Callable<Tensor(const Tensor&)> compute;
};

struct OnnxCase {
  std::string name;
  std::shared_ptr<nn::Module> model;
  Tensor example;
  OnnxOptions options = {};
  std::vector<Tensor> others = {};  ///< inputs of other sizes that the file has to take
};

/// U-Net, generator, super-resolution, classifier: every one in evaluation mode, with statistics that are not the
/// first.
std::vector<OnnxCase> model_cases();
/// One small model for every op that is exported, and its ways.
std::vector<OnnxCase> op_cases();

/// Writes NAME.onnx, and for each input NAME.K.in.npy and NAME.K.out.npy; appends "NAME K" to list.txt.
inline void write_case(const OnnxCase& one, const std::string& folder) {
  save_onnx(folder + "/" + one.name + ".onnx", *one.model, one.example, one.options);
  const NoGradGuard no_grad;
  one.model->eval();
  std::vector<Tensor> inputs{one.example};
  inputs.insert(inputs.end(), one.others.begin(), one.others.end());
  std::ofstream list(folder + "/list.txt", std::ios::app);
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const std::string stem = folder + "/" + one.name + "." + std::to_string(k);
    save_npy(stem + ".in.npy", inputs[k]);
    save_npy(stem + ".out.npy", (*one.model)(inputs[k]));
    list << one.name << " " << k << "\n";
  }
}

}  // namespace duet
