// Safetensors files: named tensors and text, in the format that PyTorch's ecosystem reads and writes
// (github.com/huggingface/safetensors: eight bytes of header length, a JSON header, the elements).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <duet/core/tensor.hpp>

namespace duet {

/// Tensors by name, in an order that means something to whoever made the list.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
/// Text by name.
using Metadata = std::vector<std::pair<std::string, std::string>>;

/// What a file holds.
struct SafetensorsFile {
  NamedTensors tensors;  ///< in the order of the header
  Metadata metadata;     ///< what `__metadata__` holds
  /// The tensor of that name, or an undefined one.
  Tensor find(std::string_view name) const;
  /// The text of that name, or null.
  const std::string* find_metadata(std::string_view key) const;
};

/// Opens a file. Tensors are views of the mapped file, read when they are touched; writing to them changes memory
/// and never the file. f16 and bf16 are converted to f32, bool is u8, other integers become i64. The file must not be
/// overwritten in place while a tensor of it lives; save_safetensors never does that. Everything in the header is
/// checked before anything is allocated: IoError, naming the file and the value, for a header that does not fit the
/// file or is no JSON of this kind, a name that comes twice, an unknown dtype, a shape that does not fill its bytes,
/// and byte ranges that overlap, leave a hole or end outside the file.
SafetensorsFile load_safetensors(const std::string& path);

/// The same from memory, for example a file that came over a network; `name` stands in errors. Tensors are views of
/// the bytes, which `owner` keeps alive.
SafetensorsFile parse_safetensors(const std::string& name, void* data, std::int64_t bytes,
                                  const std::shared_ptr<const void>& owner);

/// Writes tensors of any shapes and strides. The file appears whole or not at all: a file of that name that was there
/// before stays until the new one is on the disk. ValueError for a name that comes twice, is not UTF-8 or is
/// `__metadata__`, or an undefined tensor; IoError where the system refuses.
void save_safetensors(const std::string& path, const NamedTensors& tensors, const Metadata& metadata = {});

}  // namespace duet
