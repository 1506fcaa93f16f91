// The reader trusts nothing: the header is read event by event, so whatever does not belong is refused where it
// stands, and sizes are compared before they are believed.
#include <duet/core/safetensors.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include <duet/core/fail.hpp>
#include <duet/core/file_elements.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/raw.hpp>

namespace duet {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* load_op = "load_safetensors";
constexpr std::int64_t prefix = 8;                 // bytes of the header's length
constexpr std::int64_t longest_header = 100000000;  // the format's own limit

struct FileDtype {
  const char* name;
  FileType type;
};
constexpr FileDtype file_dtypes[] = {
    {"F32", FileType::float32}, {"F64", FileType::float64}, {"I64", FileType::int64},     {"U8", FileType::uint8},
    {"F16", FileType::float16}, {"BF16", FileType::bfloat16}, {"BOOL", FileType::boolean}, {"I8", FileType::int8},
    {"I16", FileType::int16}, {"I32", FileType::int32}, {"U16", FileType::uint16},     {"U32", FileType::uint32},
    {"U64", FileType::uint64}};

struct Entry {
  std::string name;
  const FileDtype* dtype = nullptr;
  std::optional<Shape> shape = {};
  std::optional<std::pair<std::uint64_t, std::uint64_t>> range = {};  // bytes after the header
};

/// Collects the header's entries from the parser's events; fails at the first that has no place.
class HeaderReader final : public Json::json_sax_t {
 public:
  explicit HeaderReader(const std::string& file) : file_(file) {}
  std::vector<Entry> entries;
  Metadata metadata;

  bool start_object(std::size_t) override {
    switch (place_) {
      case Place::start: place_ = Place::top; return true;
      case Place::entry_value: place_ = Place::entry; return true;
      case Place::metadata_value: place_ = Place::metadata; return true;
      default: unexpected("an object");
    }
  }
  bool end_object() override {
    if (place_ == Place::entry) finish_entry();
    place_ = place_ == Place::top ? Place::end : Place::top;
    return true;
  }
  bool key(std::string& text) override {
    switch (place_) {
      case Place::top:
        if (!names_.insert(text).second) fail<IoError>(load_op, "'{}': the name '{}' comes twice", file_, text);
        if (text == "__metadata__") {
          place_ = Place::metadata_value;
        } else {
          place_ = Place::entry_value;
          entries.push_back({.name = text});
        }
        return true;
      case Place::metadata:
        if (!metadata_names_.insert(text).second)
          fail<IoError>(load_op, "'{}': the metadata key '{}' comes twice", file_, text);
        metadata.emplace_back(text, "");
        return true;
      default: entry_key(text); return true;
    }
  }
  bool string(std::string& text) override {
    if (place_ == Place::metadata) {
      metadata.back().second = text;
    } else if (place_ == Place::dtype) {
      const auto* found = std::find_if(std::begin(file_dtypes), std::end(file_dtypes),
                                       [&](const FileDtype& dtype) { return dtype.name == text; });
      if (found == std::end(file_dtypes))
        fail<IoError>(load_op, "'{}': tensor '{}' has dtype '{}', which is none that Duet reads",
                      file_, entries.back().name, text);
      entries.back().dtype = found;
      place_ = Place::entry;
    } else {
      unexpected("a string");
    }
    return true;
  }
  bool start_array(std::size_t) override {
    if (place_ == Place::shape)
      place_ = Place::shape_items;
    else if (place_ == Place::offsets)
      place_ = Place::offset_items;
    else
      unexpected("a list");
    items_.clear();
    return true;
  }
  bool number_unsigned(std::uint64_t value) override {
    if (place_ != Place::shape_items && place_ != Place::offset_items) unexpected("a number");
    const std::size_t most = place_ == Place::shape_items ? max_rank : 2;
    if (items_.size() == most)
      fail<IoError>(load_op, "'{}': tensor '{}' has a {} of more than {} numbers", file_, entries.back().name,
                    place_ == Place::shape_items ? "shape" : "data_offsets", most);
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      fail<IoError>(load_op, "'{}': tensor '{}' has a size of {}", file_, entries.back().name, value);
    items_.push_back(static_cast<std::int64_t>(value));
    return true;
  }
  bool end_array() override {
    Entry& entry = entries.back();
    if (place_ == Place::shape_items) {
      entry.shape = Shape(items_);
    } else {
      if (items_.size() != 2)
        fail<IoError>(load_op, "'{}': data_offsets of tensor '{}' must be two numbers, not {}", file_, entry.name,
                      items_.size());
      entry.range = {static_cast<std::uint64_t>(items_[0]), static_cast<std::uint64_t>(items_[1])};
    }
    place_ = Place::entry;
    return true;
  }
  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("a truth value"); }
  bool number_integer(std::int64_t value) override {
    fail<IoError>(load_op, "'{}': the header has the negative number {}", file_, value);
  }
  bool number_float(double, const std::string& text) override {
    fail<IoError>(load_op, "'{}': the header has the number {}, which is no size", file_, text);
  }
  bool binary(Json::binary_t&) override { unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    fail<IoError>(load_op, "'{}': the header is no JSON text in UTF-8, from its byte {} on", file_, position);
  }

 private:
  enum class Place {
    start, top, metadata_value, metadata, entry_value, entry, dtype, shape, shape_items, offsets, offset_items, end
  };

  void entry_key(const std::string& text) {
    Entry& entry = entries.back();
    if (text == "dtype" && entry.dtype == nullptr)
      place_ = Place::dtype;
    else if (text == "shape" && !entry.shape)
      place_ = Place::shape;
    else if (text == "data_offsets" && !entry.range)
      place_ = Place::offsets;
    else
      fail<IoError>(load_op, "'{}': tensor '{}' has the key '{}', unknown here or given twice", file_, entry.name, text);
  }
  void finish_entry() const {
    const Entry& entry = entries.back();
    const char* missing = entry.dtype == nullptr ? "dtype" : !entry.shape ? "shape" : !entry.range ? "data_offsets" : nullptr;
    if (missing != nullptr) fail<IoError>(load_op, "'{}': tensor '{}' has no {}", file_, entry.name, missing);
  }
  [[noreturn]] void unexpected(const char* what) const {
    fail<IoError>(load_op, "'{}': the header has {} {}{}", file_, what,
                  entries.empty() ? "at its start" : "after the name ", entries.empty() ? "" : "'" + entries.back().name + "'");
  }

  const std::string& file_;
  Place place_ = Place::start;
  std::vector<std::int64_t> items_;
  std::unordered_set<std::string> names_, metadata_names_;
};

/// Every tensor's bytes match its shape, and together they tile the data without overlap or hole.
void check_ranges(const std::string& file, const std::vector<Entry>& entries, std::uint64_t data_bytes) {
  for (const Entry& entry : entries) {
    const auto [begin, end] = *entry.range;
    if (begin > end || end > data_bytes)
      fail<IoError>(load_op, "'{}': tensor '{}' lies at bytes {} to {} of {}", file, entry.name, begin, end, data_bytes);
    std::int64_t bytes = 0;
    const bool fits = file_bytes(entry.dtype->type, *entry.shape, bytes);
    if (!fits || static_cast<std::uint64_t>(bytes) != end - begin)
      fail<IoError>(load_op, "'{}': tensor '{}', {} of shape {}, does not fill its {} bytes", file, entry.name,
                    entry.dtype->name, *entry.shape, end - begin);
  }
  std::vector<std::size_t> order(entries.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return *entries[a].range < *entries[b].range; });
  std::uint64_t at = 0;
  for (const std::size_t i : order) {
    const auto [begin, end] = *entries[i].range;
    if (begin != at)
      fail<IoError>(load_op, "'{}': tensor '{}' begins at byte {}, where the one before it ends at {}: {}", file,
                    entries[i].name, begin, at, begin < at ? "they overlap" : "there is a hole");
    at = end;
  }
  if (at != data_bytes)
    fail<IoError>(load_op, "'{}': the tensors take {} bytes, the file has {} after its header", file, at, data_bytes);
}

/// The header's text, for tensors laid out in `order`, padded so that the elements are aligned.
std::string header_text(const NamedTensors& tensors, const std::vector<std::size_t>& order, const Metadata& metadata) {
  constexpr const char* op = "save_safetensors";
  std::vector<std::int64_t> begins(tensors.size());
  std::int64_t at = 0;
  for (const std::size_t i : order) {
    begins[i] = at;
    at = checked_add(op, at, tensors[i].second.bytes());
  }
  Json header = Json::object();
  // ordered_json's operator[] looks through all keys; push_back does not, and names are checked by the caller.
  auto& fields = header.get_ref<Json::object_t&>();
  if (!metadata.empty()) {
    Json texts = Json::object();
    for (const auto& [key, text] : metadata) texts[key] = text;
    fields.push_back({"__metadata__", std::move(texts)});
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& tensor = tensors[i].second;
    constexpr const char* names[] = {"F32", "F64", "I64", "U8"};
    Json entry = Json::object();
    entry["dtype"] = names[static_cast<int>(tensor.dtype())];
    entry["shape"] = std::vector<std::int64_t>(tensor.shape().begin(), tensor.shape().end());
    entry["data_offsets"] = {begins[i], begins[i] + tensor.bytes()};
    fields.push_back({tensors[i].first, std::move(entry)});
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::type_error&) {
    fail<ValueError>(op, "a name or a metadata text is not UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

}  // namespace

Tensor SafetensorsFile::find(std::string_view name) const {
  for (const auto& [key, tensor] : tensors)
    if (key == name) return tensor;
  return {};
}

const std::string* SafetensorsFile::find_metadata(std::string_view key) const {
  for (const auto& [name, text] : metadata)
    if (name == key) return &text;
  return nullptr;
}

SafetensorsFile parse_safetensors(const std::string& name, void* data, std::int64_t bytes,
                                  const std::shared_ptr<const void>& owner) {
  auto* first = static_cast<std::byte*>(data);
  if (bytes < prefix) fail<IoError>(load_op, "'{}' has {} bytes, too few for a safetensors file", name, bytes);
  std::uint64_t length = 0;
  std::memcpy(&length, first, prefix);
  if (length > static_cast<std::uint64_t>(bytes - prefix))
    fail<IoError>(load_op, "'{}' has {} bytes, too few for the header of {} that it announces: it is truncated, or no "
                  "safetensors file", name, bytes, length);
  if (length > static_cast<std::uint64_t>(longest_header))
    fail<IoError>(load_op, "'{}' has a header of {} bytes; the format allows {}", name, length, longest_header);
  const auto* text = reinterpret_cast<const char*>(first + prefix);
  if (length == 0 || *text != '{')
    fail<IoError>(load_op, "'{}' is no safetensors file: its header does not begin with a brace", name);
  HeaderReader header(name);
  Json::sax_parse(text, text + length, &header);
  check_ranges(name, header.entries, static_cast<std::uint64_t>(bytes - prefix) - length);

  SafetensorsFile file{.tensors = {}, .metadata = std::move(header.metadata)};
  for (Entry& entry : header.entries)
    file.tensors.emplace_back(entry.name,
                              tensor_from_file(load_op, name, entry.name,
                                               {.type = entry.dtype->type,
                                                .shape = *entry.shape,
                                                .data = first + prefix + length + entry.range->first,
                                                .owner = owner}));
  return file;
}

SafetensorsFile load_safetensors(const std::string& path) {
  const std::shared_ptr<MappedFile> file = MappedFile::open(load_op, path);
  return parse_safetensors(path, file->data(), file->size(), file);
}

void save_safetensors(const std::string& path, const NamedTensors& tensors, const Metadata& metadata) {
  constexpr const char* op = "save_safetensors";
  std::unordered_set<std::string_view> names{"__metadata__"}, keys;
  for (const auto& [name, tensor] : tensors) {
    if (!names.insert(name).second)
      fail<ValueError>(op, "'{}': the name '{}' is {}", path, name, name == "__metadata__" ? "reserved" : "given twice");
    if (!tensor.defined()) fail<ValueError>(op, "'{}': tensor '{}' is undefined", path, name);
  }
  for (const auto& entry : metadata)
    if (!keys.insert(entry.first).second) fail<ValueError>(op, "'{}': the metadata key '{}' is given twice", path, entry.first);
  // Wide elements first, so that every tensor is aligned without a hole.
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return item_size(tensors[a].second.dtype()) > item_size(tensors[b].second.dtype());
  });
  const std::string header = header_text(tensors, order, metadata);
  const std::uint64_t length = header.size();
  AtomicFile file(op, path);
  file.write(&length, prefix);
  file.write(header.data(), static_cast<std::int64_t>(header.size()));
  for (const std::size_t i : order) {
    const Tensor dense = raw::contiguous(tensors[i].second);
    file.write(raw::data<std::byte>(dense), dense.bytes());
  }
  file.commit();
}

}  // namespace duet
