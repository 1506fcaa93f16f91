// IDX files, which MNIST and its relatives come in, plain or compressed by gzip.
#pragma once

#include <cstdint>
#include <string>

#include <duet/core/tensor.hpp>

namespace duet::data {

struct ReadIdxOptions {
  std::int64_t max_bytes = std::int64_t{1} << 30;  ///< a file that holds more is refused before memory is taken
};

/// The tensor in a file: bytes as u8, 16- and 32-bit integers as i64, floating ones as f32 and f64. IoError names the
/// file: missing, a wrong magic number, a size that no file of this length can hold, more than max_bytes, a body that
/// is shorter or longer than the header says, broken gzip.
Tensor read_idx(const std::string& path, const ReadIdxOptions& options = {});

}  // namespace duet::data
