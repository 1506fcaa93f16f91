// Internal: the head of a .npy array, shared by npy and npz.
#pragma once

#include <string>

#include <duet/core/tensor.hpp>

namespace duet {

/// Magic, version, length and the description of a tensor, padded so that the elements after it are aligned.
std::string npy_header(const Tensor& tensor);

/// The array in `bytes` bytes; IoError in the name of `op`. `name` is the array's within `file`, or empty.
Tensor read_npy(const char* op, const std::string& file, const std::string& name, std::byte* data, std::int64_t bytes,
                const std::shared_ptr<const void>& owner);

}  // namespace duet
