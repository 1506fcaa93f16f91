// Arrays in a zip archive. What the reader believes is the directory at the archive's end, after it has compared every
// number in it with the file: members lie inside, apart from each other, and cannot unpack to more than deflate allows.
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <unordered_set>

#include <duet/core/fail.hpp>
#include <duet/core/npy.hpp>
#include <duet/core/npy_header.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/raw.hpp>

namespace duet {
namespace {

constexpr const char* load_op = "load_npz";
constexpr const char* save_op = "save_npz";
constexpr std::uint32_t local_mark = 0x04034b50, central_mark = 0x02014b50, end_mark = 0x06054b50,
                        end64_mark = 0x06064b50, locator_mark = 0x07064b50;
constexpr std::int64_t local_size = 30, central_size = 46, end_size = 22, end64_size = 56, locator_size = 20;
constexpr std::uint64_t narrow_limit = 0xffffffff;  // what a field of 32 bits says where a wide one holds the number
constexpr std::int64_t deflate_limit = 1032;        // bytes out of one byte, at the most

// --- little-endian numbers ---

std::uint64_t number_at(const std::byte* at, int bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, at, static_cast<std::size_t>(bytes));
  return value;
}
void put(std::string& into, std::uint64_t value, int bytes) {
  into.append(reinterpret_cast<const char*>(&value), static_cast<std::size_t>(bytes));
}

std::uint32_t checksum(std::uint32_t sum, const void* data, std::int64_t bytes) {
  const auto* at = static_cast<const Bytef*>(data);
  for (std::int64_t done = 0; done < bytes;) {
    const auto step = std::min<std::int64_t>(bytes - done, 1 << 30);
    sum = static_cast<std::uint32_t>(crc32(sum, at + done, static_cast<uInt>(step)));
    done += step;
  }
  return sum;
}

// --- reading ---

struct Member {
  std::string name;
  int method = 0;
  std::uint32_t crc = 0;
  std::uint64_t packed = 0, size = 0;  // bytes in the file, and unpacked
  std::uint64_t local = 0, begin = 0;  // where its own head lies, and its bytes
};

class Archive {
 public:
  Archive(const std::string& file, std::byte* data, std::int64_t bytes)
      : file_(file), data_(data), bytes_(static_cast<std::uint64_t>(bytes)) {}

  std::vector<Member> members() {
    find_directory();
    std::vector<Member> all;
    std::uint64_t at = directory_;
    for (std::uint64_t i = 0; i < count_; ++i) {
      need(at, central_size, "the directory");
      if (number_at(data_ + at, 4) != central_mark) broken("the directory's entry {} is none", i);
      all.push_back(entry(at));
      at +=
          central_size + number_at(data_ + at + 28, 2) + number_at(data_ + at + 30, 2) + number_at(data_ + at + 32, 2);
    }
    if (at != directory_ + directory_bytes_)
      broken("the directory has {} bytes, not {}", at - directory_, directory_bytes_);
    check_places(all);
    return all;
  }

 private:
  template <class... Args>
  [[noreturn]] void broken(fmt::format_string<Args...> text, Args&&... args) const {
    fail<IoError>(load_op, "'{}' is a broken zip archive: {}", file_, fmt::format(text, std::forward<Args>(args)...));
  }
  void need(std::uint64_t at, std::uint64_t bytes, const char* what) const {
    if (at > bytes_ || bytes > bytes_ - at) broken("{} at byte {} does not lie in its {} bytes", what, at, bytes_);
  }

  void find_directory() {
    if (bytes_ < static_cast<std::uint64_t>(end_size))
      fail<IoError>(load_op, "'{}' has {} bytes, too few for a zip archive", file_, bytes_);
    const std::uint64_t last = bytes_ - end_size, first = last > 0xffff ? last - 0xffff : 0;
    std::uint64_t end = last + 1;
    while (end-- > first)
      if (number_at(data_ + end, 4) == end_mark && end + end_size + number_at(data_ + end + 20, 2) == bytes_) break;
    if (end == first - 1) fail<IoError>(load_op, "'{}' is no zip archive, or was cut off: it has no directory", file_);
    if (number_at(data_ + end + 4, 2) != 0 || number_at(data_ + end + 6, 2) != 0)
      broken("it is one of several volumes");
    count_ = number_at(data_ + end + 10, 2);
    directory_bytes_ = number_at(data_ + end + 12, 4);
    directory_ = number_at(data_ + end + 16, 4);
    if (count_ == 0xffff || directory_bytes_ == narrow_limit || directory_ == narrow_limit) wide_directory(end);
    need(directory_, directory_bytes_, "the directory");
    if (count_ > directory_bytes_ / central_size)
      broken("{} entries do not fit a directory of {} bytes", count_, directory_bytes_);
  }
  void wide_directory(std::uint64_t end) {
    if (end < static_cast<std::uint64_t>(locator_size) || number_at(data_ + end - locator_size, 4) != locator_mark)
      return;
    const std::uint64_t at = number_at(data_ + end - locator_size + 8, 8);
    need(at, end64_size, "the wide directory's end");
    if (number_at(data_ + at, 4) != end64_mark) broken("there is no wide directory's end at byte {}", at);
    count_ = number_at(data_ + at + 32, 8);
    directory_bytes_ = number_at(data_ + at + 40, 8);
    directory_ = number_at(data_ + at + 48, 8);
  }

  Member entry(std::uint64_t at) const {
    const std::byte* head = data_ + at;
    const std::uint64_t name_bytes = number_at(head + 28, 2), extra_bytes = number_at(head + 30, 2);
    need(at + central_size, name_bytes + extra_bytes, "the directory");
    Member member{.name = std::string(reinterpret_cast<const char*>(head + central_size), name_bytes),
                  .method = static_cast<int>(number_at(head + 10, 2)),
                  .crc = static_cast<std::uint32_t>(number_at(head + 16, 4)),
                  .packed = number_at(head + 20, 4),
                  .size = number_at(head + 24, 4),
                  .local = number_at(head + 42, 4)};
    if ((number_at(head + 8, 2) & 1) != 0) fail<IoError>(load_op, "'{}': '{}' is encrypted", file_, member.name);
    if (member.method != 0 && member.method != 8)
      fail<IoError>(load_op, "'{}': '{}' is compressed by method {}; 0 (stored) and 8 (deflate) are known", file_,
                    member.name, member.method);
    widen(member, head + central_size + name_bytes, extra_bytes);
    const auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (member.method == 0
            ? member.size != member.packed
            : member.size > most || member.packed > bytes_ || member.size / deflate_limit > member.packed)
      broken("'{}' claims {} bytes out of {}", member.name, member.size, member.packed);
    need(member.local, local_size, "the head of a member");
    if (number_at(data_ + member.local, 4) != local_mark)
      broken("'{}' has no head at byte {}", member.name, member.local);
    member.begin =
        member.local + local_size + number_at(data_ + member.local + 26, 2) + number_at(data_ + member.local + 28, 2);
    need(member.begin, member.packed, member.name.c_str());
    return member;
  }
  /// Takes the numbers that do not fit 32 bits from the extra field 1.
  void widen(Member& member, const std::byte* extra, std::uint64_t bytes) const {
    for (std::uint64_t at = 0; at + 4 <= bytes;) {
      const std::uint64_t kind = number_at(extra + at, 2), length = number_at(extra + at + 2, 2);
      if (at + 4 + length > bytes) broken("the extra fields of '{}' do not fit", member.name);
      if (kind == 1) {
        std::uint64_t next = at + 4;
        for (std::uint64_t* number : {&member.size, &member.packed, &member.local})
          if (*number == narrow_limit) {
            if (next + 8 > at + 4 + length) broken("the sizes of '{}' are missing", member.name);
            *number = number_at(extra + next, 8);
            next += 8;
          }
        return;
      }
      at += 4 + length;
    }
  }
  void check_places(const std::vector<Member>& all) const {
    std::vector<const Member*> order;
    for (const Member& member : all) order.push_back(&member);
    std::sort(order.begin(), order.end(), [](const Member* a, const Member* b) { return a->local < b->local; });
    std::uint64_t at = 0;
    for (const Member* member : order) {
      if (member->local < at) broken("'{}' at byte {} overlaps the member before it", member->name, member->local);
      at = member->begin + member->packed;
    }
    if (at > directory_) broken("a member reaches into the directory at byte {}", directory_);
  }

  const std::string& file_;
  std::byte* data_;
  std::uint64_t bytes_, directory_ = 0, directory_bytes_ = 0, count_ = 0;
};

/// The member's bytes unpacked into a tensor of u8, whose storage then owns them.
Tensor inflated(const std::string& file, const Member& member, const std::byte* packed) {
  const auto bytes = static_cast<std::int64_t>(member.size);
  Tensor memory = Tensor::empty({bytes}, {.dtype = u8});
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) fail<MemoryError>(load_op, "'{}': zlib cannot start", file);
  constexpr std::uint64_t step = 1 << 30;
  std::uint64_t taken = 0, made = 0;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed));
  stream.next_out = raw::data<std::uint8_t>(memory);
  int result = Z_OK;
  while (result == Z_OK) {
    const auto in = stream.avail_in = static_cast<uInt>(std::min(member.packed - taken, step));
    const auto out = stream.avail_out = static_cast<uInt>(std::min(member.size - made, step));
    result = inflate(&stream, Z_NO_FLUSH);
    taken += in - stream.avail_in;
    made += out - stream.avail_out;
  }
  inflateEnd(&stream);
  if (result != Z_STREAM_END || taken != member.packed || made != member.size)
    fail<IoError>(load_op, "'{}': '{}' does not unpack to its {} bytes (got {})", file, member.name, member.size, made);
  return memory;
}

// --- writing ---

/// Deflates what is added.
class Packer {
 public:
  Packer() {
    if (deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      fail<MemoryError>(save_op, "zlib cannot start");
  }
  ~Packer() { deflateEnd(&stream_); }
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;

  void add(const void* data, std::int64_t bytes, bool last) {
    const auto* at = static_cast<const Bytef*>(data);
    do {
      const auto step = std::min<std::int64_t>(bytes, 1 << 30);
      stream_.next_in = const_cast<Bytef*>(at);
      stream_.avail_in = static_cast<uInt>(step);
      at += step;
      bytes -= step;
      run(last && bytes == 0 ? Z_FINISH : Z_NO_FLUSH);
    } while (bytes > 0);
  }
  std::string packed;

 private:
  void run(int flush) {
    do {
      Bytef buffer[1 << 15];
      stream_.next_out = buffer;
      stream_.avail_out = sizeof buffer;
      deflate(&stream_, flush);
      packed.append(reinterpret_cast<const char*>(buffer), sizeof buffer - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }
  z_stream stream_{};
};

/// The fields that a member's own head and its directory entry share: version, flags, method, time, sums and sizes.
/// The date is the format's first, so that equal tensors give equal files.
std::string shared_fields(const Member& member, bool wide) {
  constexpr std::uint64_t names_are_utf8 = 1 << 11, first_of_january_1980 = 1 << 5 | 1;
  std::string text;
  put(text, wide ? 45 : 20, 2);
  put(text, names_are_utf8, 2);
  put(text, static_cast<std::uint64_t>(member.method), 2);
  put(text, 0, 2);
  put(text, first_of_january_1980, 2);
  put(text, member.crc, 4);
  put(text, wide ? narrow_limit : member.packed, 4);
  put(text, wide ? narrow_limit : member.size, 4);
  put(text, member.name.size(), 2);
  return text;
}

/// The extra field that holds wide numbers; empty if none is.
std::string wide_field(const Member& member, bool wide, bool with_place) {
  if (!wide) return {};
  std::string text;
  put(text, 1, 2);
  put(text, with_place ? 24 : 16, 2);
  put(text, member.size, 8);
  put(text, member.packed, 8);
  if (with_place) put(text, member.local, 8);
  return text;
}

class Writer {
 public:
  explicit Writer(const std::string& path) : file_(save_op, path) {}

  void add(const std::string& name, const Tensor& tensor, bool compressed) {
    const std::string header = npy_header(tensor);
    const auto header_bytes = static_cast<std::int64_t>(header.size());
    const Tensor dense = raw::contiguous(tensor);
    const auto* elements = raw::data<std::byte>(dense);
    Member member{.name = name + ".npy", .method = compressed ? 8 : 0, .local = at_};
    member.crc = checksum(checksum(0, header.data(), header_bytes), elements, dense.bytes());
    member.packed = member.size = static_cast<std::uint64_t>(header_bytes + dense.bytes());
    if (!compressed) {
      begin(member);
      write(header.data(), header_bytes);
      write(elements, dense.bytes());
    } else {
      Packer packer;
      packer.add(header.data(), header_bytes, false);
      packer.add(elements, dense.bytes(), true);
      member.packed = packer.packed.size();
      begin(member);
      write(packer.packed.data(), static_cast<std::int64_t>(packer.packed.size()));
    }
    members_.push_back(std::move(member));
  }

  void finish() {
    const std::uint64_t directory = at_;
    for (const Member& member : members_) {
      const bool wide = is_wide(member);
      std::string entry;
      put(entry, central_mark, 4);
      put(entry, 45, 2);
      entry += shared_fields(member, wide);
      const std::string extra = wide_field(member, wide, true);
      put(entry, extra.size(), 2);
      put(entry, 0, 8);  // no comment, volume 0, no attributes
      put(entry, 0, 2);
      put(entry, wide ? narrow_limit : member.local, 4);
      write_text(entry.append(member.name).append(extra));
    }
    const std::uint64_t bytes = at_ - directory, count = members_.size();
    const bool wide = count >= 0xffff || bytes >= narrow_limit || directory >= narrow_limit;
    std::string end;
    if (wide) {
      put(end, end64_mark, 4);
      put(end, end64_size - 12, 8);
      put(end, 45, 2);
      put(end, 45, 2);
      put(end, 0, 8);
      for (const std::uint64_t number : {count, count, bytes, directory}) put(end, number, 8);
      put(end, locator_mark, 4);
      put(end, 0, 4);
      put(end, at_, 8);
      put(end, 1, 4);
    }
    put(end, end_mark, 4);
    put(end, 0, 4);
    put(end, wide ? 0xffff : count, 2);
    put(end, wide ? 0xffff : count, 2);
    put(end, wide ? narrow_limit : bytes, 4);
    put(end, wide ? narrow_limit : directory, 4);
    put(end, 0, 2);
    write_text(end);
    file_.commit();
  }

 private:
  static bool is_wide(const Member& member) {
    return member.packed >= narrow_limit || member.size >= narrow_limit || member.local >= narrow_limit;
  }
  void begin(const Member& member) {
    const bool wide = is_wide(member);
    std::string head;
    put(head, local_mark, 4);
    head += shared_fields(member, wide);
    const std::string extra = wide_field(member, wide, false);
    put(head, extra.size(), 2);
    write_text(head + member.name + extra);
  }
  void write(const void* data, std::int64_t bytes) {
    file_.write(data, bytes);
    at_ += static_cast<std::uint64_t>(bytes);
  }
  void write_text(const std::string& text) { write(text.data(), static_cast<std::int64_t>(text.size())); }

  AtomicFile file_;
  std::uint64_t at_ = 0;
  std::vector<Member> members_;
};

}  // namespace

NamedTensors parse_npz(const std::string& name, void* data, std::int64_t bytes,
                       const std::shared_ptr<const void>& owner, const LoadNpzOptions& options) {
  auto* first = static_cast<std::byte*>(data);
  std::int64_t left = options.max_unpacked;
  NamedTensors tensors;
  std::unordered_set<std::string> names;
  for (const Member& member : Archive(name, first, bytes).members()) {
    const std::size_t stem = member.name.size() - std::min<std::size_t>(4, member.name.size());
    if (stem == 0 || member.name.substr(stem) != ".npy")
      fail<IoError>(load_op, "'{}': '{}' is no array (no .npy)", name, member.name);
    if (!names.insert(member.name).second)
      fail<IoError>(load_op, "'{}': the array '{}' comes twice", name, member.name);
    std::byte* from = first + member.begin;
    std::shared_ptr<const void> keeper = owner;
    if (member.method == 8) {
      if (static_cast<std::int64_t>(member.size) > left)
        fail<IoError>(load_op, "'{}': '{}' unpacks to {} bytes; with those before it that is more than the limit of {}",
                      name, member.name, member.size, options.max_unpacked);
      left -= static_cast<std::int64_t>(member.size);
      const Tensor memory = inflated(name, member, from);
      from = raw::data<std::byte>(memory);
      keeper = memory.impl();
    }
    const auto size = static_cast<std::int64_t>(member.size);
    if (checksum(0, from, size) != member.crc)
      fail<IoError>(load_op, "'{}': '{}' fails its checksum", name, member.name);
    tensors.emplace_back(member.name.substr(0, stem),
                         read_npy(load_op, name, member.name.substr(0, stem), from, size, keeper));
  }
  return tensors;
}

NamedTensors load_npz(const std::string& path, const LoadNpzOptions& options) {
  const auto file = MappedFile::open(load_op, path);
  return parse_npz(path, file->data(), file->size(), file, options);
}

void save_npz(const std::string& path, const NamedTensors& tensors, const NpzOptions& options) {
  std::unordered_set<std::string_view> names;
  for (const auto& [name, tensor] : tensors) {
    if (name.empty() || name.size() > 65000)
      fail<ValueError>(save_op, "'{}': a name has {} bytes; 1 to 65000 are possible", path, name.size());
    if (!names.insert(name).second) fail<ValueError>(save_op, "'{}': the name '{}' is given twice", path, name);
    if (!tensor.defined()) fail<ValueError>(save_op, "'{}': tensor '{}' is undefined", path, name);
  }
  Writer writer(path);
  for (const auto& [name, tensor] : tensors) writer.add(name, tensor, options.compressed);
  writer.finish();
}

}  // namespace duet
