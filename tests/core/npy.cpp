// npy and npz: what was saved comes back, every form that NumPy writes is read, and no hostile file gets further than
// its header. The other side, NumPy itself, is in npy_numpy.cpp.
#include <doctest/doctest.h>

#include <zlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include <duet/core/factory.hpp>
#include <duet/core/npy.hpp>
#include <duet/core/raw.hpp>

#include "data/support.hpp"

using namespace duet;

namespace {

std::string npy(const std::string& literal, const std::string& elements, char version = 1) {
  std::string bytes = std::string("\x93NUMPY") + version + '\0';
  const std::uint64_t length = literal.size();
  bytes.append(reinterpret_cast<const char*>(&length), version == 1 ? 2 : 4);
  return bytes + literal + elements;
}
std::string described(const std::string& type, const std::string& shape, const std::string& elements,
                      const char* fortran = "False") {
  return npy("{'descr': '" + type + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n", elements);
}
template <class T>
std::string elements(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

Tensor parsed(std::string& bytes) {
  return parse_npy("hostile.npy", bytes.data(), static_cast<std::int64_t>(bytes.size()), nullptr);
}
std::vector<double> values(std::string bytes) { return parsed(bytes).to_vector(); }
std::string refusal(std::string bytes) {
  return message_of<IoError>([&] { parsed(bytes); });
}
std::string zip_refusal(std::string bytes) {
  return message_of<IoError>(
      [&] { parse_npz("hostile.npz", bytes.data(), static_cast<std::int64_t>(bytes.size()), nullptr); });
}

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// What a member says of itself; ~0: the truth.
struct Claims {
  std::uint64_t flags = 0, method = 0, packed = ~0ull, size = ~0ull, place = ~0ull;
  bool good_crc = true;
};

/// A zip archive of stored members that says what it is told to say.
struct Zip {
  std::string body = {}, directory = {};
  std::uint32_t count = 0;

  static void put(std::string& into, std::uint64_t value, int bytes) {
    into.append(reinterpret_cast<const char*>(&value), static_cast<std::size_t>(bytes));
  }
  void add(const std::string& name, const std::string& data, Claims claims = {}) {
    const std::uint64_t place = claims.place == ~0ull ? body.size() : claims.place;
    const std::uint64_t packed = claims.packed == ~0ull ? data.size() : claims.packed;
    const std::uint64_t size = claims.size == ~0ull ? data.size() : claims.size;
    const auto* bytes = reinterpret_cast<const Bytef*>(data.data());
    const std::uint64_t crc = crc32(0, bytes, static_cast<uInt>(data.size())) ^ (claims.good_crc ? 0 : 1);
    std::string fields;
    put(fields, 20, 2), put(fields, claims.flags, 2), put(fields, claims.method, 2), put(fields, 0, 4);
    put(fields, crc, 4), put(fields, packed, 4), put(fields, size, 4), put(fields, name.size(), 2), put(fields, 0, 2);
    body += "PK\3\4" + fields + name + data;
    directory += "PK\1\2" + std::string("\x14\0", 2) + fields;
    put(directory, 0, 8), put(directory, 0, 2), put(directory, place, 4);
    directory += name;
    ++count;
  }
  std::string bytes(std::uint64_t claimed_count = ~0ull, std::uint64_t claimed_place = ~0ull) const {
    std::string all = body + directory + "PK\5\6";
    const std::uint64_t entries = claimed_count == ~0ull ? count : claimed_count;
    put(all, 0, 4), put(all, entries, 2), put(all, entries, 2), put(all, directory.size(), 4);
    put(all, claimed_place == ~0ull ? body.size() : claimed_place, 4), put(all, 0, 2);
    return all;
  }
};

const std::string one = described("<f4", "(1,)", elements<float>({2.5f}));

}  // namespace

TEST_CASE("npy: tensors of every dtype and any strides come back") {
  const TemporaryFolder folder;
  const Tensor all[] = {full({3}, 7, {.dtype = u8}),
                        arange(-2, 3, 1, {.dtype = i64}),
                        raw::view(arange(0, 6), {3, 2}, {1, 3}),
                        Tensor::scalar(2.5, {.dtype = f64}),
                        zeros({0, 4}),
                        arange(0, 12).detach()};
  for (const Tensor& tensor : all) {
    save_npy(folder / "a.npy", tensor);
    const Tensor back = load_npy(folder / "a.npy");
    CHECK(back.shape() == tensor.shape());
    CHECK(back.dtype() == tensor.dtype());
    CHECK(back.to_vector() == tensor.to_vector());
  }
  Tensor mapped = load_npy(folder / "a.npy");
  mapped.mutable_data<float>()[0] = 9;  // this process's copy of the page
  CHECK(load_npy(folder / "a.npy").to_vector()[0] == 0);
  const std::string head = std::string("\1\0\x76\0", 4) + "{'descr': '<f4', 'fortran_order': False, 'shape': (12,), }";
  CHECK(content(folder / "a.npy").substr(6, head.size()) == head);
  CHECK_THROWS_AS(save_npy(folder / "b.npy", Tensor()), ValueError);
  CHECK(!std::filesystem::exists(folder / "b.npy"));
}

TEST_CASE("npy: every form that NumPy writes is read") {
  CHECK(values(described("<f2", "(2,)", elements<std::uint16_t>({0x3c00, 0xc000}))) == std::vector<double>{1, -2});
  CHECK(values(described("|b1", "(2,)", {"\1\0", 2})) == std::vector<double>{1, 0});
  CHECK(values(described("|i1", "(2,)", "\xff\1")) == std::vector<double>{-1, 1});
  CHECK(values(described("<i2", "(1,)", elements<std::int16_t>({-300}))) == std::vector<double>{-300});
  CHECK(values(described("<i4", "(1,)", elements<std::int32_t>({-70000}))) == std::vector<double>{-70000});
  CHECK(values(described("<u2", "(1,)", elements<std::uint16_t>({65535}))) == std::vector<double>{65535});
  CHECK(values(described("<u4", "(1,)", elements<std::uint32_t>({4294967295}))) == std::vector<double>{4294967295});
  CHECK(values(described("<u8", "(1,)", elements<std::uint64_t>({77}))) == std::vector<double>{77});
  CHECK(values(described(">u2", "(2,)", {"\1\0\0\2", 4})) == std::vector<double>{256, 2});
  CHECK(values(described(">f4", "()", {"\x3f\x80\0\0", 4})) == std::vector<double>{1});
  CHECK(values(described("=i8", "(1L,)", elements<std::int64_t>({-5}))) == std::vector<double>{-5});
  std::string bytes = described("<f8", "(2, 3)", elements<double>({1, 2, 3, 4, 5, 6}), "True");
  const Tensor columns = parsed(bytes);
  CHECK(columns.shape() == Shape{2, 3});
  CHECK(columns.to_vector() == std::vector<double>{1, 3, 5, 2, 4, 6});
  for (const char version : {'\2', '\3'})
    CHECK(values(npy("{'shape': (), 'fortran_order': False, \"descr\": '|u1'}", "\x05", version)) ==
          std::vector<double>{5});
}

TEST_CASE("npy: hostile files are refused with the file and the value") {
  const std::string four(4, '\0');
  struct Case {
    std::string bytes;
    const char* text;
  };
  const Case cases[] = {
      {"", "0 bytes"},
      {"\x93NUMPX\1\0\0\0\0\0", "does not begin"},
      {npy("", "", '\4'), "version 4"},
      {std::string("\x93NUMPY\1\0\xff\xff", 10), "header of 65535"},
      {std::string("\x93NUMPY\2\0\xff\xff\xff\xff", 12), "header of 4294967295"},
      {npy("", ""), "none that NumPy writes"},
      {npy("{", ""), "from its byte 1"},
      {npy("{}", ""), "no descr"},
      {npy("{'descr': '<f4', 'shape': (1,)}", four), "no fortran_order"},
      {npy("{'descr': '<f4', 'descr': '<f4'}", four), "given twice"},
      {npy("{'descr': '<f4', 'fortran_order': maybe, 'shape': ()}", four), "none that NumPy writes"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': ()} ()", four), "none that NumPy writes"},
      {npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", four), "records"},
      {described("|O", "(1,)", four), "'|O'"},
      {described("<U1", "(1,)", four), "'<U1'"},
      {described("<c8", "(1,)", four), "'<c8'"},
      {described("<f4", "(2,)", four), "do not fill the shape (2,)"},
      {described("<f4", "(1,)", four + "x"), "5 bytes"},
      {described("<f4", "(-1,)", four), "none that NumPy writes"},
      {described("<f4", "(4611686018427387904, 4)", four), "do not fill"},
      {described("<f4", "(0, 4611686018427387904, 4611686018427387904)", ""), "do not fill"},
      {described("<f4", "(99999999999999999999,)", four), "does not fit 63 bits"},
      {described("<f4", "(1,1,1,1,1,1,1,1,1)", four), "more than 8"},
      {described("<u8", "(1,)", std::string(8, '\xff')), "i64 does not hold"},
  };
  for (const Case& each : cases) {
    const std::string message = refusal(each.bytes);
    CAPTURE(message);
    CHECK(contains(message, each.text));
    CHECK(contains(message, "hostile.npy"));
  }
  for (std::size_t length = 0; length < one.size(); ++length)
    CHECK(refusal(one.substr(0, length)) != "nothing was thrown");
  for (std::size_t i = 0; i < one.size(); ++i)
    for (const int bit : {0, 3, 7}) {
      std::string flipped = one;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      refusal(flipped);  // anything but an IoError would leave the test
    }
}

TEST_CASE("npz: tensors by name come back, stored and compressed, and equal tensors give equal files") {
  const TemporaryFolder folder;
  const NamedTensors saved{{"weights/a", arange(0, 3000, 1, {.dtype = f64})},
                           {"b ü", full({3}, 7, {.dtype = u8})},
                           {"none", zeros({0, 4})},
                           {"t", raw::view(arange(0, 6), {3, 2}, {1, 3})}};
  for (const bool compressed : {false, true}) {
    save_npz(folder / "a.npz", saved, {.compressed = compressed});
    save_npz(folder / "b.npz", saved, {.compressed = compressed});
    CHECK(content(folder / "a.npz") == content(folder / "b.npz"));
    CHECK((std::filesystem::file_size(folder / "a.npz") < 20000) == compressed);
    const NamedTensors back = load_npz(folder / "a.npz");
    REQUIRE(back.size() == saved.size());
    for (std::size_t i = 0; i < saved.size(); ++i) {
      CHECK(back[i].first == saved[i].first);
      CHECK(back[i].second.dtype() == saved[i].second.dtype());
      CHECK(back[i].second.shape() == saved[i].second.shape());
      CHECK(back[i].second.to_vector() == saved[i].second.to_vector());
    }
  }
  save_npz(folder / "a.npz", {});
  CHECK(load_npz(folder / "a.npz").empty());
  CHECK_THROWS_AS(save_npz(folder / "c.npz", {{"x", ones({1})}, {"x", ones({1})}}), ValueError);
  CHECK_THROWS_AS(save_npz(folder / "c.npz", {{"", ones({1})}}), ValueError);
  CHECK_THROWS_AS(save_npz(folder / "c.npz", {{"x", Tensor()}}), ValueError);
  CHECK_THROWS_WITH_AS(load_npz(folder / "no.npz"), doctest::Contains("no.npz"), IoError);
  CHECK(!std::filesystem::exists(folder / "c.npz"));
}

TEST_CASE("npz: more members than the narrow directory can count") {
  const TemporaryFolder folder;
  NamedTensors saved;
  for (int i = 0; i < 65536; ++i) saved.emplace_back(std::to_string(i), full({}, i, {.dtype = i64}));
  save_npz(folder / "wide.npz", saved);
  const NamedTensors back = load_npz(folder / "wide.npz");
  REQUIRE(back.size() == saved.size());
  bool same = true;
  for (std::size_t i = 0; i < back.size(); ++i)
    same = same && back[i].first == saved[i].first && back[i].second.item() == static_cast<double>(i);
  CHECK(same);
  // The wide directory's end, 98 bytes before the file's, and the locator that says where it is.
  std::string bytes = content(folder / "wide.npz");
  REQUIRE(bytes.substr(bytes.size() - 98, 4) == "PK\6\6");
  REQUIRE(bytes.substr(bytes.size() - 42, 4) == "PK\6\7");
  const auto damaged = [&](std::size_t from_end, const char* with) {
    std::string other = bytes;
    return zip_refusal(other.replace(other.size() - from_end, 8, with, 8));
  };
  CHECK(damaged(34, "\xff\xff\xff\xff\xff\xff\xff\x7f").find("the wide directory's end") != std::string::npos);
  CHECK(damaged(34, "\0\0\0\0\0\0\0\0").find("there is no wide directory's end at byte 0") != std::string::npos);
  CHECK(damaged(66, "\xff\xff\xff\xff\xff\xff\xff\xff").find("18446744073709551615 entries") != std::string::npos);
  CHECK(damaged(50, "\xff\xff\xff\xff\xff\xff\xff\xff").find("the directory") != std::string::npos);
}

TEST_CASE("npz: hostile archives are refused with the file and the value") {
  const auto archive = [](const std::string& name, const std::string& data, Claims claims = {}) {
    Zip zip;
    zip.add(name, data, claims);
    return zip;
  };
  CHECK(zip_refusal(archive("x.npy", one).bytes()) == "nothing was thrown");
  Zip twice = archive("x.npy", one), overlap = archive("x.npy", one);
  twice.add("x.npy", one);
  overlap.add("y.npy", one, {.place = 0});
  struct Case {
    std::string bytes;
    const char* text;
  };
  const Case cases[] = {
      {"", "0 bytes"},
      {std::string(100, 'x'), "no zip archive"},
      {archive("x.npy", one).bytes().substr(0, 60), "no zip archive"},
      {archive("x.npy", one).bytes(2), "directory"},
      {archive("x.npy", one).bytes(60000), "60000 entries"},
      {archive("x.npy", one).bytes(0), "directory has 0 bytes"},
      {archive("x.npy", one).bytes(1, 1 << 30), "does not lie"},
      {archive("x.npy", one).bytes(1, 0), "is none"},
      {archive("x", one).bytes(), "no array"},
      {archive(".npy", one).bytes(), "no array"},
      {twice.bytes(), "'x.npy' comes twice"},
      {overlap.bytes(), "overlaps"},
      {archive("x.npy", one, {.flags = 1}).bytes(), "encrypted"},
      {archive("x.npy", one, {.method = 12}).bytes(), "method 12"},
      {archive("x.npy", one, {.method = 8}).bytes(), "does not unpack"},
      {archive("x.npy", one, {.method = 8, .size = 4000000000}).bytes(), "claims 4000000000 bytes out of"},
      {archive("x.npy", one, {.size = 5}).bytes(), "claims 5 bytes"},
      {archive("x.npy", one, {.packed = 100000, .size = 100000}).bytes(), "does not lie"},
      {archive("x.npy", one, {.place = 7}).bytes(), "no head"},
      {archive("x.npy", one, {.place = 0xfffffff0}).bytes(), "does not lie"},
      {archive("x.npy", one, {.good_crc = false}).bytes(), "checksum"},
      {archive("x.npy", "text").bytes(), "array 'x' does not begin"},
  };
  for (const Case& each : cases) {
    const std::string message = zip_refusal(each.bytes);
    CAPTURE(message);
    CHECK(contains(message, each.text));
    CHECK(contains(message, "hostile.npz"));
  }
}

TEST_CASE("npz: what is unpacked is limited, in all") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.npz";
  const NamedTensors saved{{"x", zeros({1000})}, {"y", zeros({1000})}};  // 4128 bytes each with its head
  save_npz(path, saved, {.compressed = true});
  CHECK(load_npz(path, {.max_unpacked = 8256}).size() == 2);
  CHECK_THROWS_WITH_AS(load_npz(path, {.max_unpacked = 8255}), doctest::Contains("'y.npy' unpacks to 4128 bytes"), IoError);
  save_npz(path, saved);
  CHECK(load_npz(path, {.max_unpacked = 0}).size() == 2);  // nothing to unpack
}

TEST_CASE("npz: every truncation of a good archive is refused, every flipped byte is survived") {
  const TemporaryFolder folder;
  for (const bool compressed : {false, true}) {
    save_npz(folder / "a.npz", {{"x", arange(0, 40)}, {"y", full({2}, 3, {.dtype = u8})}}, {.compressed = compressed});
    const std::string good = content(folder / "a.npz");
    for (std::size_t length = 0; length < good.size(); ++length)
      CHECK(zip_refusal(good.substr(0, length)) != "nothing was thrown");
    for (std::size_t i = 0; i < good.size(); ++i)
      for (const int bit : {0, 3, 7}) {
        std::string flipped = good;
        flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
        zip_refusal(flipped);
      }
  }
}
