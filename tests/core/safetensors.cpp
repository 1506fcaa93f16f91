// Safetensors: what was saved comes back, and no hostile file gets past the header.
#include <doctest/doctest.h>

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/safetensors.hpp>

using namespace duet;

namespace {

/// A folder that goes away with the test.
struct TemporaryFolder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("duet_safetensors_" + std::to_string(::getpid()));
  TemporaryFolder() { std::filesystem::create_directories(path); }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
};

std::string bytes_of(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), 8);
  return bytes + header + data;
}

/// The message of the IoError that these bytes give, or "none".
std::string refusal(std::string bytes) {
  try {
    parse_safetensors("hostile.safetensors", bytes.data(), static_cast<std::int64_t>(bytes.size()), nullptr);
  } catch (const IoError& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("safetensors: tensors and text come back, in order, and strides are followed") {
  const TemporaryFolder folder;
  const Tensor bytes = full({3}, 7, {.dtype = u8}), numbers = arange(-2, 3, 1, {.dtype = i64});
  const Tensor transposed = raw::view(arange(0, 6), {3, 2}, {1, 3});
  const Tensor single = Tensor::scalar(2.5, {.dtype = f64}), none = zeros({0, 4});
  const NamedTensors saved{{"b", bytes}, {"n", numbers}, {"t", transposed}, {"s \"ü\"", single}, {"none", none}};
  save_safetensors(folder / "a.safetensors", saved, {{"kind", "test"}, {"text", "line\nline"}});
  const SafetensorsFile file = load_safetensors(folder / "a.safetensors");
  REQUIRE(file.tensors.size() == saved.size());
  for (std::size_t i = 0; i < saved.size(); ++i) {
    CHECK(file.tensors[i].first == saved[i].first);
    CHECK(file.tensors[i].second.shape() == saved[i].second.shape());
    CHECK(file.tensors[i].second.dtype() == saved[i].second.dtype());
    CHECK(file.tensors[i].second.to_vector() == saved[i].second.to_vector());
  }
  CHECK(file.metadata == Metadata{{"kind", "test"}, {"text", "line\nline"}});
  CHECK(*file.find_metadata("kind") == "test");
  CHECK(file.find_metadata("other") == nullptr);
  CHECK(!file.find("other").defined());
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
}

TEST_CASE("safetensors: a loaded tensor outlives its file and may be written, the file stays") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.safetensors";
  save_safetensors(path, {{"x", full({5}, 3)}});
  Tensor x = load_safetensors(path).find("x");
  x.mutable_data<float>()[0] = 9;
  CHECK(x.to_vector() == std::vector<double>{9, 3, 3, 3, 3});
  CHECK(load_safetensors(path).find("x").to_vector()[0] == 3);
  save_safetensors(path, {{"x", full({5}, 4)}});
  CHECK(x.to_vector() == std::vector<double>{9, 3, 3, 3, 3});
  std::filesystem::remove(path);
  CHECK(x.to_vector()[4] == 3);
}

TEST_CASE("safetensors: half precision becomes f32, bool u8, and unaligned elements are copied") {
  const std::uint16_t halves[] = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00, 0x0400};
  std::string data(reinterpret_cast<const char*>(halves), sizeof halves);
  const std::uint16_t brains[] = {0x3f80, 0xc040};
  data += std::string(reinterpret_cast<const char*>(brains), sizeof brains);
  data += std::string("\1\0\1", 3);
  const double wide = -1.25;
  data += std::string(reinterpret_cast<const char*>(&wide), 8);
  std::string bytes = bytes_of(
      R"({"h":{"dtype":"F16","shape":[7],"data_offsets":[0,14]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[14,18]},)"
      R"("m":{"dtype":"BOOL","shape":[3],"data_offsets":[18,21]},"w":{"dtype":"F64","shape":[],"data_offsets":[21,29]}})", data);
  const SafetensorsFile file = parse_safetensors("x", bytes.data(), static_cast<std::int64_t>(bytes.size()), nullptr);
  CHECK(file.find("h").to_vector() == std::vector<double>{1, -2, 65504, 0x1p-24, -0.0, INFINITY, 0x1p-14});
  CHECK(std::signbit(file.find("h").to_vector()[4]));
  CHECK(file.find("b").to_vector() == std::vector<double>{1, -3});
  CHECK(file.find("m").dtype() == u8);
  CHECK(file.find("m").to_vector() == std::vector<double>{1, 0, 1});
  CHECK(file.find("w").item() == -1.25);
}

TEST_CASE("safetensors: integers of other widths become i64") {
  std::string data("\xff\1\0\xfe\xff\xff\xff\xff\xff\7\0\0\0\0\0\0\0", 17);
  std::string bytes = bytes_of(
      R"({"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U16","shape":[1],"data_offsets":[1,3]},)"
      R"("c":{"dtype":"I16","shape":[1],"data_offsets":[3,5]},"d":{"dtype":"U32","shape":[1],"data_offsets":[5,9]},)"
      R"("e":{"dtype":"U64","shape":[1],"data_offsets":[9,17]}})", data);
  const SafetensorsFile file = parse_safetensors("x", bytes.data(), static_cast<std::int64_t>(bytes.size()), nullptr);
  const double expected[] = {-1, 1, -2, 4294967295, 7};
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(file.tensors[i].second.dtype() == i64);
    CHECK(file.tensors[i].second.to_vector() == std::vector<double>{expected[i]});
  }
}

TEST_CASE("safetensors: a file of two gigabytes opens at once") {
  const TemporaryFolder folder;
  const std::string path = folder / "large.safetensors";
  constexpr std::int64_t count = std::int64_t{1} << 29;  // f32
  std::string text = R"({"x":{"dtype":"F32","shape":[536870912],"data_offsets":[0,2147483648]}})";
  text.append(8 - text.size() % 8, ' ');  // as writers do, so that the elements are aligned
  const std::string header = bytes_of(text, "");
  std::ofstream(path, std::ios::binary) << header;
  std::filesystem::resize_file(path, header.size() + 4 * count);  // a hole: the disk holds nothing of it
  const auto resident = [] {
    std::ifstream status("/proc/self/statm");
    std::int64_t all = 0, pages = 0;
    status >> all >> pages;
    return pages * 4096;
  };
  const std::int64_t before = resident();
  const auto start = std::chrono::steady_clock::now();
  const Tensor x = load_safetensors(path).find("x");
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  CHECK(x.numel() == count);
  CHECK(x.data<float>()[count - 1] == 0);
  CHECK(seconds.count() < 0.1);
  CHECK(resident() - before < 50 << 20);
}

TEST_CASE("safetensors: hostile files are refused with the file and the value") {
  const std::string four(4, '\0'), eight(8, '\0');
  const auto one = [](const std::string& entry) { return R"({"x":)" + entry + "}"; };
  struct Case {
    std::string bytes;
    const char* text;
  };
  // A small file of many tensors, each of them all of its bytes.
  std::string all_in_one_place = "{";
  for (int i = 0; i < 1000; ++i)
    all_in_one_place += (i == 0 ? "\"" : ",\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})";
  all_in_one_place += "}";
  const std::uint64_t huge = 0xffffffffffffffff, large = 200000000;
  const Case cases[] = {
      {"", "has 0 bytes"},
      {"1234567", "has 7 bytes"},
      {std::string(reinterpret_cast<const char*>(&huge), 8) + "{}", "header of 18446744073709551615"},
      {std::string(reinterpret_cast<const char*>(&large), 8) + "{}", "header of 200000000"},
      {bytes_of("", ""), "with a brace"},
      {bytes_of("[]", ""), "with a brace"},
      {bytes_of("3", ""), "with a brace"},
      {bytes_of(" {}", ""), "with a brace"},
      {bytes_of("\xef\xbb\xbf{}", ""), "with a brace"},
      {bytes_of(R"({"x":[]})", ""), "a list after the name 'x'"},
      {bytes_of(R"({"x":3})", ""), "a number after the name 'x'"},
      {bytes_of("{", ""), "no JSON"},
      {bytes_of("{} {}", ""), "no JSON"},
      {bytes_of("{\"x\":" + std::string(100000, '['), ""), "a list"},
      {bytes_of(all_in_one_place, four), "overlap"},
      {bytes_of("{\"\xff\":1}", ""), "no JSON text in UTF-8"},
      {bytes_of(R"({"x":null})", ""), "null after the name 'x'"},
      {bytes_of(R"({"x":{"dtype":"F32","shape":[{}],"data_offsets":[0,4]}})", four), "an object"},
      {bytes_of(one(R"({"dtype":"F32","shape":[1]})"), four), "no data_offsets"},
      {bytes_of(one(R"({"dtype":"F32","data_offsets":[0,4]})"), four), "no shape"},
      {bytes_of(one(R"({"shape":[1],"data_offsets":[0,4]})"), four), "no dtype"},
      {bytes_of(one(R"({"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]})"), four), "given twice"},
      {bytes_of(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1})"), four), "'more'"},
      {bytes_of(one(R"({"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]})"), four), "'F8_E4M3'"},
      {bytes_of(one(R"({"dtype":"F32","shape":[0,4611686018427387904,4611686018427387904],"data_offsets":[0,0]})"), ""), "does not fill"},
      {bytes_of(one(R"({"dtype":"U64","shape":[1],"data_offsets":[0,8]})"), std::string(8, '\xff')), "i64 does not hold"},
      {bytes_of(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"), four), "(2,)"},
      {bytes_of(one(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"), four), "negative number -1"},
      {bytes_of(one(R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})"), four), "1.0"},
      {bytes_of(one(R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]})"), four), "more than 8"},
      {bytes_of(one(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]})"), four), "does not fill"},
      {bytes_of(one(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]})"), four), "18446744073709551615"},
      {bytes_of(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,8]})"), four), "0 to 8 of 4"},
      {bytes_of(one(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})"), four), "4 to 0"},
      {bytes_of(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})"), four), "two numbers"},
      {bytes_of(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,1,2]})"), four), "more than 2"},
      {bytes_of(one(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})"), eight), "hole"},
      {bytes_of(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"), eight), "take 4 bytes"},
      {bytes_of(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", eight), "'x' comes twice"},
      {bytes_of(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"y":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", eight), "overlap"},
      {bytes_of(R"({"__metadata__":{"a":1}})", ""), "a number"},
      {bytes_of(R"({"__metadata__":{"a":"1","a":"2"}})", ""), "'a' comes twice"},
      {bytes_of(R"({"__metadata__":"a"})", ""), "a string"},
  };
  for (const Case& one_case : cases) {
    const std::string message = refusal(one_case.bytes);
    CAPTURE(message);
    CHECK(message.find(one_case.text) != std::string::npos);
    CHECK(message.find("hostile.safetensors") != std::string::npos);
  }
}

TEST_CASE("safetensors: every truncation of a good file is refused, every flipped byte is survived") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.safetensors";
  save_safetensors(path, {{"weight", full({2, 3}, 1)}, {"count", full({}, 3, {.dtype = i64})}}, {{"kind", "x"}});
  std::ifstream in(path, std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), {});
  for (std::size_t length = 0; length < good.size(); ++length) CHECK(refusal(good.substr(0, length)) != "none");
  CHECK(refusal(good) == "none");
  CHECK(refusal(good + "x") != "none");
  int refused = 0;
  for (std::size_t i = 0; i < good.size(); ++i)
    for (const int bit : {0, 3, 7}) {
      std::string flipped = good;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      refused += refusal(flipped) != "none";
    }
  CHECK(refused > 100);
}

TEST_CASE("safetensors: a refused save leaves the file that was there") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.safetensors";
  save_safetensors(path, {{"x", ones({2})}});
  CHECK_THROWS_AS(save_safetensors(path, {{"x", ones({2})}, {"x", ones({2})}}), ValueError);
  CHECK_THROWS_AS(save_safetensors(path, {{"__metadata__", ones({2})}}), ValueError);
  CHECK_THROWS_AS(save_safetensors(path, {{"\xff", ones({2})}}), ValueError);
  CHECK_THROWS_AS(save_safetensors(path, {{"x", Tensor()}}), ValueError);
  CHECK_THROWS_AS(save_safetensors(path, {}, {{"a", "1"}, {"a", "2"}}), ValueError);
  CHECK_THROWS_WITH_AS(save_safetensors(folder / "no/such/a.safetensors", {}), doctest::Contains("no/such/a.safetensors"), IoError);
  CHECK_THROWS_WITH_AS(load_safetensors(folder / "none.safetensors"), doctest::Contains("none.safetensors"), IoError);
  CHECK_THROWS_AS(load_safetensors(folder.path.string()), IoError);
  CHECK(load_safetensors(path).find("x").to_vector() == std::vector<double>{1, 1});
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
}
