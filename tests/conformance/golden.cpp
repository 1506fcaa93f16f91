// Reading and comparing.
#include "golden.hpp"

#include <fmt/format.h>

#include <cmath>

namespace golden {

File::File(const std::string& path) : path_(path), held_(duet::load_safetensors(path)) {}

duet::Tensor File::find(const std::string& name) {
  duet::Tensor tensor = held_.find(name);
  if (tensor.defined()) read_.insert(name);
  return tensor;
}

duet::Tensor File::get(const std::string& name) {
  duet::Tensor tensor = find(name);
  if (!tensor.defined()) throw Mismatch(fmt::format("the file has no tensor '{}'", name));
  return tensor;
}

std::vector<std::string> File::unread(const std::string& prefix) const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : held_.tensors)
    if (name.starts_with(prefix) && !read_.contains(name)) names.push_back(name);
  return names;
}

void compare(const std::string& what, const duet::Tensor& got, const duet::Tensor& expected, Tolerance tolerance) {
  if (got.defined() && got.shape() != expected.shape())
    throw Mismatch(fmt::format("{}: shape {}, expected {}", what, duet::to_string(got.shape()),
                               duet::to_string(expected.shape())));
  const std::vector<double> want = expected.to_vector();
  const std::vector<double> have = got.defined() ? got.to_vector() : std::vector<double>(want.size(), 0.0);
  std::size_t wrong = 0, worst = 0;
  double most = -1;
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (have[i] == want[i] || (std::isnan(have[i]) && std::isnan(want[i]))) continue;
    const double error = std::abs(have[i] - want[i]);
    if (error <= tolerance.absolute + tolerance.relative * std::abs(want[i])) continue;
    ++wrong;
    // A NaN is worse than any number.
    const double size = std::isnan(error) ? INFINITY : error;
    if (size > most) most = size, worst = i;
  }
  if (wrong > 0)
    throw Mismatch(fmt::format("{}: {} of {} elements differ, the most at {}: {:.17g}, expected {:.17g}", what, wrong,
                               want.size(), worst, have[worst], want[worst]));
}

std::vector<Case> cases_of(const File& file) {
  const std::string* text = file.metadata("cases");
  std::vector<Case> cases;
  for (const Json& entry : Json::parse(*text)) {
    Case one;
    for (const auto& [key, value] : entry.items()) {
      if (key == "id") one.id = value.get<std::string>();
      else if (key == "op") one.op = value.get<std::string>();
      else if (key == "name") one.name = value.get<std::string>();
      else if (key == "attrs") one.attributes = value;
      else if (key == "inputs") one.inputs = value.get<int>();
      else if (key == "outputs") one.outputs = value.get<int>();
      else if (key == "diff") one.differentiable = value.get<std::vector<int>>();
      else if (key == "second") one.second = value.get<bool>();
      else if (key == "atol") one.tolerance.absolute = value.get<double>();
      else if (key == "rtol") one.tolerance.relative = value.get<double>();
      else throw Mismatch(fmt::format("unknown field '{}' of case {}", key, entry.dump()));
    }
    cases.push_back(one);
  }
  return cases;
}

}  // namespace golden
