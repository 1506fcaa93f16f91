// Checkpoint: everything that a run needs to go on, in one file.
//
//     duet::nn::Checkpoint checkpoint;
//     checkpoint.keep("model", model);
//     checkpoint.keep("optimizer", optimizer);
//     checkpoint.keep("random", duet::default_generator());
//     checkpoint.set("step", step);
//     checkpoint.save("run.safetensors");
//
//     auto saved = duet::nn::Checkpoint::load("run.safetensors");
//     saved.restore("model", model);
//     saved.restore("optimizer", optimizer);
//     step = saved.number("step");
#pragma once

#include <string>

#include <duet/core/random.hpp>
#include <duet/core/safetensors.hpp>

namespace duet::nn {

/// States, numbers and texts under names, kept to be written or read back to be restored.
class Checkpoint {
 public:
  /// Takes the state of anything that has a state_dict(): a module, an optimizer, a scheduler, an average. The state
  /// is that of save() where it shares memory, as a module's does. ValueError for a name that is taken.
  template <class T>
    requires requires(const T& object) { object.state_dict(); }
  void keep(const std::string& name, const T& object) {
    put(name, object.state_dict());
  }
  /// Seed and position of a stream of random numbers.
  void keep(const std::string& name, const Generator& generator);
  void set(const std::string& name, std::int64_t number);           ///< keeps a number; errors as keep()
  void set_text(const std::string& name, const std::string& text);  ///< keeps a text

  /// Writes the file whole or not at all, with a checksum of all that is in it. One of that name that was there is kept
  /// as `path` + ".previous": whenever the process or the machine stops, one of the two is whole.
  void save(const std::string& path) const;
  /// IoError for a file that is missing, broken, damaged (its checksum is another), or no checkpoint.
  static Checkpoint load(const std::string& path);
  /// The file, or where it cannot be read the one before it; IoError with both reasons where neither can.
  static Checkpoint load_latest(const std::string& path);

  /// Gives an object its state back. ValueError for a name that the checkpoint lacks or a state that does not fit, with
  /// every misfit; the object is unchanged then.
  template <class T>
    requires requires(T& object) { object.load_state_dict(NamedTensors()); }
  void restore(const std::string& name, T& object) const {
    object.load_state_dict(state(name));
  }
  void restore(const std::string& name, Generator& generator) const;
  /// ValueError if there is none.
  std::int64_t number(const std::string& name) const;
  const std::string& text(const std::string& name) const;  ///< a text that set_text() kept
  bool has(const std::string& name) const;                 ///< whether something is kept under the name

 private:
  void put(const std::string& name, const NamedTensors& state);
  /// The tensors kept under a name; ValueError if there are none.
  NamedTensors state(const std::string& name) const;

  std::string source_ = "checkpoint";  // for errors
  std::vector<std::string> names_;
  NamedTensors tensors_;
  Metadata texts_;
};

}  // namespace duet::nn
