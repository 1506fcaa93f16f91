// The head of an array is a Python literal. The reader knows exactly the literals that NumPy writes and refuses the
// rest; sizes are compared before they are believed.
#include <duet/core/npy.hpp>

#include <cstring>
#include <optional>
#include <string_view>

#include <duet/core/fail.hpp>
#include <duet/core/file_elements.hpp>
#include <duet/core/npy_header.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/raw.hpp>

namespace duet {
namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr std::int64_t longest_header = 1 << 20;

struct TypeName {
  std::string_view kind;
  FileType type;
};
constexpr TypeName type_names[] = {{"f2", FileType::float16},     {"f4", FileType::float32}, {"f8", FileType::float64},
                                   {"b1", FileType::boolean}, {"u1", FileType::uint8},  {"i1", FileType::int8},
                                   {"i2", FileType::int16},     {"i4", FileType::int32}, {"i8", FileType::int64},
                                   {"u2", FileType::uint16},     {"u4", FileType::uint32}, {"u8", FileType::uint64}};

/// Reads "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }".
class HeaderText {
 public:
  HeaderText(const char* op, const std::string& where, std::string_view text) : op_(op), where_(where), text_(text) {}

  FileElements read() {
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr" && !type_)
        read_type();
      else if (key == "fortran_order" && !column_major_)
        column_major_ = word() == "True";
      else if (key == "shape" && !shape_)
        read_shape();
      else
        fail<IoError>(op_, "{}: the header has the key '{}', unknown here or given twice", where_, key);
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip();
    if (at_ != text_.size()) bad();
    if (!type_ || !shape_ || !column_major_)
      fail<IoError>(op_, "{}: the header has no {}", where_, !type_ ? "descr" : !shape_ ? "shape" : "fortran_order");
    return {.type = *type_,
            .shape = *shape_,
            .data = nullptr,
            .owner = {},
            .column_major = *column_major_,
            .swapped = swapped_};
  }

 private:
  [[noreturn]] void bad() const {
    fail<IoError>(op_, "{}: the header is none that NumPy writes, from its byte {} on", where_, at_);
  }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char wanted) {
    skip();
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) bad();
  }
  std::string_view quoted() {
    skip();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    const std::size_t end = quote == '\'' || quote == '"' ? text_.find(quote, at_ + 1) : std::string_view::npos;
    if (end == std::string_view::npos) bad();
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return inside;
  }
  std::string_view word() {
    skip();
    for (const std::string_view name : {"True", "False"})
      if (text_.substr(at_, name.size()) == name) {
        at_ += name.size();
        return name;
      }
    bad();
  }
  void read_type() {
    skip();
    if (at_ < text_.size() && text_[at_] == '[')
      fail<IoError>(op_, "{}: an array of records (structured dtype) is none of Duet's types", where_);
    const std::string_view name = quoted();
    for (const TypeName& known : type_names)
      if (name.size() == 3 && std::string_view("<>|=").find(name[0]) != std::string_view::npos &&
          name.substr(1) == known.kind) {
        type_ = known.type;
        swapped_ = name[0] == '>' && file_item_size(known.type) > 1;
        return;
      }
    fail<IoError>(op_, "{}: the elements are '{}', which is none of f2 f4 f8 b1 u1 u2 u4 u8 i1 i2 i4 i8", where_, name);
  }
  void read_shape() {
    expect('(');
    Shape shape;
    while (!accept(')')) {
      if (shape.rank() == max_rank) fail<IoError>(op_, "{}: the shape has more than {} dimensions", where_, max_rank);
      shape.push_back(number());
      accept('L');  // Python 2 wrote 3L
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    shape_ = shape;
  }
  std::int64_t number() {
    skip();
    const std::size_t begin = at_;
    std::int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      if (__builtin_mul_overflow(value, std::int64_t{10}, &value) ||
          __builtin_add_overflow(value, std::int64_t{text_[at_] - '0'}, &value))
        fail<IoError>(op_, "{}: the shape has the size {}…, which does not fit 63 bits", where_,
                      text_.substr(begin, 20));
    if (at_ == begin) bad();
    return value;
  }

  const char* op_;
  const std::string& where_;
  std::string_view text_;
  std::size_t at_ = 0;
  std::optional<FileType> type_;
  std::optional<Shape> shape_;
  std::optional<bool> column_major_;
  bool swapped_ = false;
};

}  // namespace

std::string npy_header(const Tensor& tensor) {
  constexpr const char* types[] = {"<f4", "<f8", "<i8", "|u1"};
  constexpr std::size_t alignment = 64, before = 10;
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}",
                                 types[static_cast<int>(tensor.dtype())], to_string(tensor.shape()));
  text.append((alignment - (before + text.size() + 1) % alignment) % alignment, ' ');
  text += '\n';
  std::string header(magic);
  header += {'\1', '\0', static_cast<char>(text.size() & 255), static_cast<char>(text.size() >> 8)};
  return header + text;
}

Tensor read_npy(const char* op, const std::string& file, const std::string& name, std::byte* data, std::int64_t bytes,
                const std::shared_ptr<const void>& owner) {
  const std::string where = name.empty() ? fmt::format("'{}'", file) : fmt::format("'{}': array '{}'", file, name);
  const std::string_view all(reinterpret_cast<const char*>(data), static_cast<std::size_t>(bytes));
  if (all.size() < 10 || all.substr(0, magic.size()) != magic)
    fail<IoError>(op, "{} does not begin like an array that NumPy saved ({} bytes)", where, bytes);
  const int version = static_cast<unsigned char>(all[6]);
  if (version < 1 || version > 3)
    fail<IoError>(op, "{} has version {} of the format; 1 to 3 are known", where, version);
  const std::size_t begin = version == 1 ? 10 : 12;
  if (all.size() < begin) fail<IoError>(op, "{} ends after {} bytes", where, bytes);
  std::int64_t length = 0;
  for (std::size_t i = 8; i < begin; ++i) length |= std::int64_t{static_cast<unsigned char>(all[i])} << (8 * (i - 8));
  const std::int64_t elements_at = static_cast<std::int64_t>(begin) + length;
  if (length > longest_header || elements_at > bytes)
    fail<IoError>(op, "{} claims a header of {} bytes; it has {} bytes in all", where, length, bytes);
  FileElements elements = HeaderText(op, where, all.substr(begin, static_cast<std::size_t>(length))).read();
  std::int64_t needed = 0;
  if (!file_bytes(elements.type, elements.shape, needed) || needed != bytes - elements_at)
    fail<IoError>(op, "{}: {} bytes after the header do not fill the shape {}", where, bytes - elements_at,
                  elements.shape);
  elements.data = data + elements_at;
  elements.owner = owner;
  return tensor_from_file(op, file, name, elements);
}

Tensor load_npy(const std::string& path) {
  const auto file = MappedFile::open("load_npy", path);
  return read_npy("load_npy", path, "", file->data(), file->size(), file);
}

Tensor parse_npy(const std::string& name, void* data, std::int64_t bytes, const std::shared_ptr<const void>& owner) {
  return read_npy("load_npy", name, "", static_cast<std::byte*>(data), bytes, owner);
}

void save_npy(const std::string& path, const Tensor& tensor) {
  if (!tensor.defined()) fail<ValueError>("save_npy", "'{}': the tensor is undefined", path);
  const std::string header = npy_header(tensor);
  const Tensor dense = raw::contiguous(tensor);
  AtomicFile file("save_npy", path);
  file.write(header.data(), static_cast<std::int64_t>(header.size()));
  file.write(raw::data<std::byte>(dense), dense.bytes());
  file.commit();
}

}  // namespace duet
