// Internal: elements as array files store them (safetensors, npy), and the tensors that they become here.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <duet/core/tensor.hpp>

namespace duet {

enum class FileType : std::uint8_t {
  float16,
  bfloat16,
  float32,
  float64,
  boolean,
  uint8,
  int8,
  int16,
  int32,
  int64,
  uint16,
  uint32,
  uint64
};

/// Bytes of one element in the file.
std::int64_t file_item_size(FileType type);
/// The bytes that a shape takes; false where it is no shape of a file, because a product does not fit 63 bits (that of
/// the other sizes, where one is 0).
bool file_bytes(FileType type, const Shape& shape, std::int64_t& bytes);

/// Elements in a file's memory: halves become f32 here, truth values u8, integers but u8 become i64. Of these elements
/// `data` has as many as the shape says (the caller checked it).
struct FileElements {
  FileType type;
  Shape shape;
  std::byte* data;
  std::shared_ptr<const void> owner;  ///< keeps `data` alive
  bool column_major = false;          ///< Fortran's order
  bool swapped = false;               ///< the other byte order
};

/// A view of the file's memory where dtype, byte order and alignment allow it, else a converted copy. IoError in the
/// name of `op`, naming the file and the array, for a u64 that i64 does not hold.
Tensor tensor_from_file(const char* op, const std::string& file, const std::string& name, const FileElements& elements);

}  // namespace duet
