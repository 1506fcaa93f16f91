// IDX files: values of every type, gzip, and files that lie.
#include <doctest/doctest.h>

#include <zlib.h>

#include <cstdlib>
#include <fstream>

#include <duet/nn/data/idx.hpp>

#include "data/support.hpp"

using namespace duet;

namespace {

using Bytes = std::vector<unsigned char>;

void write_plain(const std::string& path, const Bytes& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
}

void write_gzip(const std::string& path, const Bytes& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

}  // namespace

TEST_CASE("idx: every type, plain and compressed") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.idx";
  const Bytes pixels{0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255};
  for (const bool packed : {false, true}) {
    packed ? write_gzip(path, pixels) : write_plain(path, pixels);
    const Tensor read = data::read_idx(path);
    CHECK(read.dtype() == u8);
    CHECK(read.shape() == Shape{2, 1, 3});
    CHECK(read.to_vector() == std::vector<double>{1, 2, 3, 4, 5, 255});
  }
  write_plain(path, {0, 0, 0x0B, 1, 0, 0, 0, 2, 0x01, 0x02, 0xFF, 0xFE});
  CHECK(data::read_idx(path).to_vector() == std::vector<double>{258, -2});
  write_plain(path, {0, 0, 0x0C, 1, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0x00});
  CHECK(data::read_idx(path).dtype() == i64);
  CHECK(data::read_idx(path).item() == -256);
  write_plain(path, {0, 0, 0x0D, 1, 0, 0, 0, 1, 0xBF, 0xC0, 0, 0});
  CHECK(data::read_idx(path).dtype() == f32);
  CHECK(data::read_idx(path).item() == -1.5);
  write_plain(path, {0, 0, 0x0E, 1, 0, 0, 0, 1, 0x40, 0x09, 0x21, 0xFB, 0x54, 0x44, 0x2D, 0x18});
  CHECK(data::read_idx(path).item() == 3.141592653589793);
  write_plain(path, {0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 5});
  CHECK(data::read_idx(path).shape() == Shape{0, 5});
}

TEST_CASE("idx: a header that lies is met before memory is taken, a body that is short or long is told") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.idx";
  const auto refusal = [&](const Bytes& bytes, bool packed = false) {
    packed ? write_gzip(path, bytes) : write_plain(path, bytes);
    const std::string message = message_of<IoError>([&] { data::read_idx(path); });
    CHECK(contains(message, "a.idx"));
    return message;
  };
  CHECK(contains(refusal({}), "ends within its header"));
  CHECK(contains(refusal({0, 1, 8, 1, 0, 0, 0, 0}), "magic number is 00 01 08 01"));
  CHECK(contains(refusal({0, 0, 9, 1, 0, 0, 0, 0}), "magic number is 00 00 09 01"));
  CHECK(contains(refusal({0, 0, 8, 0}), "magic number"));
  CHECK(contains(refusal({0, 0, 8, 200}), "magic number"));
  CHECK(contains(refusal({0, 0, 8, 2, 0, 0, 0, 1}), "ends within its header"));
  // 2^32 − 1 and its cube: more than the file can hold.
  for (const bool packed : {false, true}) {
    CHECK(contains(refusal({0, 0, 8, 1, 255, 255, 255, 255}, packed), "at most"));
    CHECK(
        contains(refusal({0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}, packed), "at most"));
    // No element, but strides that 64 bits do not hold.
    CHECK(
        contains(refusal({0, 0, 8, 4, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}, packed),
                 "says that it holds (0, 4294967295, 4294967295) and more"));
    CHECK(contains(refusal({0, 0, 8, 1, 0, 0, 0, 3, 1, 2}, packed), "ends within its body: 2 bytes of 3"));
    CHECK(contains(refusal({0, 0, 8, 1, 0, 0, 0, 1, 1, 2}, packed), "goes on behind"));
  }
  write_gzip(path, Bytes(5000, 7));
  std::filesystem::resize_file(path, 20);
  CHECK(contains(message_of<IoError>([&] { data::read_idx(path); }), "a.idx"));
  write_plain(path, {0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3});
  CHECK(contains(message_of<IoError>([&] { data::read_idx(path, {.max_bytes = 2}); }), "at most 2"));
  CHECK(contains(message_of<IoError>([&] { data::read_idx(folder / "none"); }), "none"));
  CHECK(contains(message_of<IoError>([&] { data::read_idx(folder.path.string()); }), "duet_data"));
}

TEST_CASE("idx: the files of MNIST, where DUET_MNIST_DIR says that they are") {
  const char* mnist = std::getenv("DUET_MNIST_DIR");
  if (mnist == nullptr) {
    MESSAGE("skipped: DUET_MNIST_DIR is not set");
    return;
  }
  const Tensor images = data::read_idx(std::string(mnist) + "/t10k-images-idx3-ubyte.gz");
  const Tensor labels = data::read_idx(std::string(mnist) + "/t10k-labels-idx1-ubyte.gz");
  CHECK(images.shape() == Shape{10000, 28, 28});
  CHECK(labels.shape() == Shape{10000});
  CHECK(labels.to_vector()[0] == 7);
}
