// Golden cases: a safetensors file of tensors named CASE.WHAT and a JSON list of cases in its metadata, computed by a
// peer in float64. What the runner's parts share: reading, comparing, and remembering which tensors were looked at.
#pragma once

#include <duet/core/safetensors.hpp>
#include <duet/core/tensor.hpp>
#include <nlohmann/json.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace duet::optim {
class Optimizer;
}

namespace golden {

using Json = nlohmann::json;

/// Agreement that is asked for: |a - b| <= absolute + relative |b|.
struct Tolerance {
  double absolute = 1e-9, relative = 1e-7;
};

/// What a case found wrong; thrown, and reported under the case's name.
struct Mismatch : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A file's tensors. Remembers which were asked for: one that nobody looks at is a case that was not run.
class File {
 public:
  explicit File(const std::string& path);
  const std::string& path() const { return path_; }
  /// The tensor, which must be there (Mismatch).
  duet::Tensor get(const std::string& name);
  /// The tensor, or an undefined one.
  duet::Tensor find(const std::string& name);
  const std::string* metadata(const std::string& key) const { return held_.find_metadata(key); }
  const duet::Metadata& all_metadata() const { return held_.metadata; }
  const duet::NamedTensors& tensors() const { return held_.tensors; }
  /// Tensors of this prefix that were not asked for.
  std::vector<std::string> unread(const std::string& prefix) const;

 private:
  std::string path_;
  duet::SafetensorsFile held_;
  std::set<std::string> read_;
};

/// Throws Mismatch unless both have one shape and agree everywhere; `got` undefined counts as zeros.
void compare(const std::string& what, const duet::Tensor& got, const duet::Tensor& expected, Tolerance tolerance);

/// One entry of the list of cases.
struct Case {
  std::string id, op, name;
  Json attributes = Json::object();
  int inputs = 0, outputs = 0;
  std::vector<int> differentiable;
  bool second = false;
  Tolerance tolerance;
};
/// The cases of a file; Mismatch for a field that is not known.
std::vector<Case> cases_of(const File& file);

// The three kinds of cases. Each throws on a failure.
void run_op_case(File& file, const Case& one);
bool is_optimizer(const std::string& name);
/// An optimizer by torch.optim's name and attributes.
std::unique_ptr<duet::optim::Optimizer> make_optimizer(const std::string& name, const Json& attributes,
                                                       const std::vector<duet::Tensor>& parameters);
void run_optimizer_case(File& file, const Case& one);
bool is_schedule(const std::string& name);
void run_schedule_case(File& file, const Case& one);
/// A file of a whole model's training run, which has no list of cases.
void run_model_file(File& file);

}  // namespace golden
