// NumPy's array files, both ways: one array (.npy) or several with names (.npz, a zip archive of them).
// Format: numpy.org/doc/stable/reference/generated/numpy.lib.format.html; PKWARE's APPNOTE for zip.
#pragma once

#include <memory>
#include <string>

#include <duet/core/safetensors.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

/// Opens a file that numpy.save wrote. f32, f64, i64 and u8 are views of the mapped file, read when they are touched;
/// f16 becomes f32, bool u8, other integers i64, either byte order and Fortran's order are read. Writing to the tensor
/// never changes the file. Everything is checked before anything is allocated: IoError, naming the file, for a header
/// that is none, other types (objects, text, complex numbers, records), more than 8 dimensions, or elements that are
/// not as many as the shape says.
Tensor load_npy(const std::string& path);

/// The same from memory; `name` stands in errors. The tensor may be a view of the bytes, which `owner` keeps alive.
Tensor parse_npy(const std::string& name, void* data, std::int64_t bytes, const std::shared_ptr<const void>& owner);

/// Writes a tensor of any shape and strides, for numpy.load. The file appears whole or not at all. ValueError for an
/// undefined tensor; IoError where the system refuses.
void save_npy(const std::string& path, const Tensor& tensor);

/// How much load_npz unpacks.
struct LoadNpzOptions {
  std::int64_t max_unpacked = std::int64_t{1} << 36;  ///< more bytes out of deflate are refused before memory is taken
};
/// Opens a file that numpy.savez or savez_compressed wrote: its arrays by name, in the order of the archive. IoError as
/// above, and for an archive that is broken, encrypted, compressed otherwise, whose members overlap, come twice or
/// fail their checksum, claim more than their compressed bytes can hold or max_unpacked allows, or are not arrays.
NamedTensors load_npz(const std::string& path, const LoadNpzOptions& options = {});
/// The same from memory; `name` stands in errors. Tensors may be views of the bytes, which `owner` keeps alive.
NamedTensors parse_npz(const std::string& name, void* data, std::int64_t bytes,
                       const std::shared_ptr<const void>& owner, const LoadNpzOptions& options = {});

struct NpzOptions {
  bool compressed = false;  ///< deflate, as savez_compressed
};
/// Writes tensors of any shapes and strides, for numpy.load; equal tensors give equal files. ValueError for a name that
/// is empty, comes twice or is longer than 65000 bytes, or an undefined tensor; IoError where the system refuses.
void save_npz(const std::string& path, const NamedTensors& tensors, const NpzOptions& options = {});

}  // namespace duet
