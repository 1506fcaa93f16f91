// Internal: libtiff over bytes in memory, for tiff.cpp and tiff_write.cpp. Its messages are kept here instead of being
// printed.
#pragma once

#ifdef DUET_HAS_TIFF

#include <tiffio.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace duet::data::detail {

class TiffStream {
 public:
  /// For reading. IoError for what is no TIFF.
  TiffStream(std::span<const std::uint8_t> bytes, const std::string& name);
  /// For writing; `big` for more than 4 GB.
  explicit TiffStream(bool big);
  ~TiffStream();
  TiffStream(const TiffStream&) = delete;
  TiffStream& operator=(const TiffStream&) = delete;

  TIFF* tiff() const { return tiff_; }
  std::size_t source_bytes() const { return source_.size(); }
  /// Closes, and gives what was written. IoError if not all of it could be.
  std::vector<std::uint8_t> finish();

  char message[200] = "no reason given";  ///< libtiff's last complaint

 private:
  static tmsize_t read(thandle_t handle, void* to, tmsize_t count);
  static tmsize_t write(thandle_t handle, void* from, tmsize_t count);
  static toff_t seek(thandle_t handle, toff_t offset, int whence);
  static toff_t size(thandle_t handle);
  static int map(thandle_t handle, void** base, toff_t* size);
  void open(const char* mode, std::size_t largest);

  std::span<const std::uint8_t> source_;
  std::vector<std::uint8_t> sink_;
  bool writes_ = false, failed_ = false;
  std::uint64_t position_ = 0;
  TIFF* tiff_ = nullptr;
};

}  // namespace duet::data::detail

#endif
