// Work on many files, of which some may be bad: which files, and the list of those that failed.
#pragma once

#include <string>
#include <vector>

#include <duet/core/callable.hpp>
#include <duet/nn/data/image_file.hpp>

namespace duet::examples {

/// Files as they are, folders as the images in them. IoError for a folder without any, ValueError for two files of one
/// stem, whose results would overwrite each other.
std::vector<data::ImageFile> gather_images(const char* command, const std::vector<std::string>& inputs);

class Failures {
 public:
  /// Runs `work` on a file; an Error of Duet's is kept under the file's name.
  void attempt(const std::string& file, FunctionRef<void()> work);
  std::size_t count() const { return list_.size(); }
  /// IoError with the list, one file a line, if there is any: "1 of 3 images failed: …".
  void raise(const char* command, std::size_t files) const;

 private:
  std::vector<std::string> list_;
};

}  // namespace duet::examples
