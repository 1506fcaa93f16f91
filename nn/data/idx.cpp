// The format: two zero bytes, a type, a count of dimensions, their sizes, the elements; all big-endian. zlib reads
// plain and compressed files alike.
#include <duet/nn/data/idx.hpp>

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <filesystem>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>

namespace duet::data {
namespace {

struct Element {
  int type;
  int bytes;
  Dtype dtype;
};
constexpr Element elements[] = {{0x08, 1, u8}, {0x0B, 2, i64}, {0x0C, 4, i64}, {0x0D, 4, f32}, {0x0E, 8, f64}};

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
    if (file_ == nullptr) fail<IoError>("read_idx", "cannot open '{}'", path);
  }
  ~Reader() { gzclose(file_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// Exactly `count` bytes, or an error that says what was to be read.
  void read(void* to, std::int64_t count, const char* what) {
    auto* at = static_cast<std::uint8_t*>(to);
    for (std::int64_t got = 0; got < count;) {
      const auto part = static_cast<unsigned>(std::min<std::int64_t>(count - got, 1 << 24));
      const int n = gzread(file_, at + got, part);
      if (n < 0) broken();
      if (n == 0) fail<IoError>("read_idx", "'{}' ends within its {}: {} bytes of {}", path_, what, got, count);
      got += n;
    }
  }
  void expect_end() {
    std::uint8_t extra;
    const int n = gzread(file_, &extra, 1);
    if (n < 0) broken();
    if (n > 0) fail<IoError>("read_idx", "'{}' goes on behind what its header says", path_);
  }

 private:
  [[noreturn]] void broken() {
    int code = 0;
    const char* reason = gzerror(file_, &code);
    fail<IoError>("read_idx", "'{}' cannot be unpacked: {}", path_, reason);
  }
  const std::string& path_;
  gzFile file_;
};

template <class Unsigned>
Unsigned big_endian(const std::uint8_t* bytes) {
  Unsigned value = 0;
  for (std::size_t i = 0; i < sizeof(Unsigned); ++i) value = static_cast<Unsigned>(value << 8 | bytes[i]);
  return value;
}

/// Element i of the body, in the tensor's type.
void convert(const Element& element, const std::uint8_t* from, std::int64_t count, Tensor& to) {
  for (std::int64_t i = 0; i < count; ++i, from += element.bytes) {
    switch (element.type) {
      case 0x0B:
        raw::data<std::int64_t>(to)[i] = static_cast<std::int16_t>(big_endian<std::uint16_t>(from));
        break;
      case 0x0C:
        raw::data<std::int64_t>(to)[i] = static_cast<std::int32_t>(big_endian<std::uint32_t>(from));
        break;
      case 0x0D:
        raw::data<float>(to)[i] = std::bit_cast<float>(big_endian<std::uint32_t>(from));
        break;
      default:
        raw::data<double>(to)[i] = std::bit_cast<double>(big_endian<std::uint64_t>(from));
        break;
    }
  }
}

}  // namespace

Tensor read_idx(const std::string& path, const ReadIdxOptions& options) {
  std::error_code error;
  const auto length = static_cast<std::int64_t>(std::filesystem::file_size(path, error));
  if (error) fail<IoError>("read_idx", "cannot read '{}': {}", path, error.message());
  Reader reader(path);
  std::uint8_t head[4];
  reader.read(head, 4, "header");
  const Element* element = nullptr;
  for (const Element& known : elements)
    if (known.type == head[2]) element = &known;
  if (head[0] != 0 || head[1] != 0 || element == nullptr || head[3] < 1 || head[3] > max_rank)
    fail<IoError>("read_idx", "'{}' is no IDX file that can be read: its magic number is {:02x} {:02x} {:02x} {:02x}",
                  path, head[0], head[1], head[2], head[3]);
  // Deflate packs at most 1032 to 1: no file of this length unpacks to more.
  const std::int64_t most =
      std::min(options.max_bytes, length > (std::int64_t{1} << 50) ? options.max_bytes : 1032 * length);
  Shape shape;
  std::int64_t product = 1;  // of the sizes that are not zero: strides are made of these
  bool empty = false;
  for (int i = 0; i < head[3]; ++i) {
    std::uint8_t size[4];
    reader.read(size, 4, "header");
    shape.push_back(big_endian<std::uint32_t>(size));
    const std::int64_t factor = std::max<std::int64_t>(shape.back(), 1);
    empty = empty || shape.back() == 0;
    if ((!empty && product > most / element->bytes / factor) || __builtin_mul_overflow(product, factor, &product))
      fail<IoError>(
          "read_idx", "'{}' says that it holds {}{} of {} bytes each, but it is {} bytes long and at most {} are read",
          path, to_string(shape), i + 1 < head[3] ? " and more" : "", element->bytes, length, options.max_bytes);
  }
  const std::int64_t count = empty ? 0 : product;
  Tensor tensor = Tensor::empty(shape, {.dtype = element->dtype});
  if (element->dtype == u8) {
    reader.read(raw::data<std::uint8_t>(tensor), count, "body");
  } else {
    const Tensor body = Tensor::empty({count * element->bytes}, {.dtype = u8});
    reader.read(raw::data<std::uint8_t>(body), count * element->bytes, "body");
    convert(*element, raw::data<std::uint8_t>(body), count, tensor);
  }
  reader.expect_end();
  return tensor;
}

}  // namespace duet::data
