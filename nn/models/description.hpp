// What a weight file says about its model, so that nobody has to remember it: kept as text beside the tensors.
#pragma once

#include <string>
#include <vector>

#include <duet/core/safetensors.hpp>

namespace duet::nn {

/// How a trained model is to be used on images.
struct ModelDescription {
  std::vector<std::string> classes = {};  ///< names, in the order of the outputs
  std::vector<double> mean = {},
                      deviation =
                          {};  ///< of each input channel, pixels counted in [0, 1]: inputs are (x − mean) / deviation
  double threshold = 0.5;      ///< above which a probability counts as yes
  Metadata more = {};          ///< whatever else belongs to the weights; keys of one's own
};

/// The description as metadata: `architecture`, `options` (a JSON object of numbers), `classes`, `normalization`,
/// `threshold`, `description_version`, and what `more` holds. ValueError for a key of `more` that is one of these.
Metadata to_metadata(const std::string& architecture, const std::vector<std::pair<std::string, std::int64_t>>& options,
                     const ModelDescription& description);

/// What to_metadata() wrote. IoError, naming `path`, if the file describes no model of `architecture`, or badly, or in
/// a version that a later Duet writes (without one it is the first): each of `options` is filled in and must be there,
/// as a whole number, and no other. There are as many means as deviations.
ModelDescription from_metadata(const std::string& path, const Metadata& metadata, const std::string& architecture,
                               std::vector<std::pair<std::string, std::int64_t>>& options);

/// A file may claim any size: IoError unless it holds a tensor of this name and shape. To be asked of the largest ones
/// before a model of that size is made.
void require_tensor(const std::string& path, const SafetensorsFile& file, const std::string& name, const Shape& shape);

/// The file's description as options of `architecture`: from_metadata(), and IoError unless each option is 1 to 2^24.
ModelDescription read_options(const std::string& path, const SafetensorsFile& file, const std::string& architecture,
                              std::vector<std::pair<std::string, std::int64_t>>& options);

}  // namespace duet::nn
