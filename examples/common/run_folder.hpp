// RunFolder: where a run writes. Its files stand in FOLDER/unfinished until the run has come to its end; then they
// take the places of an earlier run's files. A run that fails leaves those as they were.
#pragma once

#include <string>

namespace duet::examples {

class RunFolder {
 public:
  /// Starts a new run: makes the folder and an empty FOLDER/unfinished in it. IoError if that cannot be done.
  static RunFolder start(const std::string& folder);
  /// Goes on with a run: with FOLDER/unfinished if it holds `file`, else with a copy of the published files. IoError if
  /// neither holds it.
  static RunFolder resume(const std::string& folder, const std::string& file);

  /// The path of a file of this run; folders in `name` are made.
  std::string path(const std::string& name) const;
  /// The path that the file has after publish().
  std::string published(const std::string& name) const;
  /// Writes a text file whole or not at all.
  void write(const std::string& name, const std::string& text) const;
  /// Moves everything to FOLDER, over what is there; folders of the run replace folders of the same name.
  void publish();

 private:
  explicit RunFolder(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
};

}  // namespace duet::examples
