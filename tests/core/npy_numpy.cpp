// Arrays to NumPy and back: what numpy.load reads of ours, and what we read of numpy.save's.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include <duet/core/factory.hpp>
#include <duet/core/npy.hpp>
#include <duet/core/raw.hpp>

#include "data/support.hpp"

using namespace duet;

namespace {

std::string python_with_numpy() {
  for (const char* python : {"python3", "/usr/bin/python3"})
    if (std::system((std::string(python) + " -c 'import numpy' >/dev/null 2>&1").c_str()) == 0) return python;
  return {};
}

}  // namespace

TEST_CASE("NumPy: arrays go there and come back, npy and npz") {
  const std::string python = python_with_numpy();
  if (python.empty()) {
    std::puts("skipped: no Python with NumPy (Debian: apt install python3-numpy)");
    return;
  }
  const TemporaryFolder folder;
  const NamedTensors ours{
      {"a", arange(0, 6, 1, {.dtype = f64})},        {"b", full({2, 3}, 1.5)}, {"c", arange(-3, 3, 1, {.dtype = i64})},
      {"d", full({4}, 255, {.dtype = u8})},          {"s", Tensor::scalar(7)}, {"n", zeros({0, 2})},
      {"t", raw::view(arange(0, 6), {3, 2}, {1, 3})}};
  save_npz(folder / "stored.npz", ours);
  save_npz(folder / "packed.npz", ours, {.compressed = true});
  save_npy(folder / "one.npy", ours.back().second);
  // What NumPy finds in our files is written by NumPy again, plainly, compressed and in its other types.
  std::ofstream(folder / "script.py") << R"(
import sys, numpy as np
folder = sys.argv[1]
stored, packed = np.load(folder + "/stored.npz"), np.load(folder + "/packed.npz")
assert list(stored) == list(packed) == ["a", "b", "c", "d", "s", "n", "t"]
for name in stored:
    assert stored[name].dtype == packed[name].dtype and (stored[name] == packed[name]).all()
assert [str(stored[n].dtype) for n in stored] == ["float64", "float32", "int64", "uint8", "float32", "float32", "float32"]
assert stored["t"].tolist() == [[0, 3], [1, 4], [2, 5]] == np.load(folder + "/one.npy").tolist()
assert stored["s"].shape == () and stored["n"].shape == (0, 2) and (stored["d"] == 255).all()
assert stored["c"].tolist() == [-3, -2, -1, 0, 1, 2]
np.savez(folder + "/back.npz", **stored)
np.savez_compressed(folder + "/back_packed.npz", **packed)
x = np.arange(24).reshape(2, 3, 4) - 5
types = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", ">f4", ">i2", ">i8"]
np.savez(folder + "/types.npz", **{t.replace(">", "big_"): x.astype(t) for t in types}, fortran=np.asfortranarray(x),
         mask=x > 0, unsigned=(x + 5).astype("uint32"))
np.save(folder + "/columns.npy", np.asfortranarray(x.astype("float32")))
)";
  REQUIRE(std::system((python + " -B " + folder / "script.py" + " " + folder.path.string()).c_str()) == 0);
  for (const char* file : {"back.npz", "back_packed.npz"}) {
    const NamedTensors back = load_npz(folder / file);
    REQUIRE(back.size() == ours.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      CHECK(back[i].first == ours[i].first);
      CHECK(back[i].second.dtype() == ours[i].second.dtype());
      CHECK(back[i].second.shape() == ours[i].second.shape());
      CHECK(back[i].second.to_vector() == ours[i].second.to_vector());
    }
  }
  std::vector<double> counted;
  for (int i = 0; i < 24; ++i) counted.push_back(i - 5);
  const NamedTensors types = load_npz(folder / "types.npz");
  REQUIRE(types.size() == 13);
  for (const auto& entry : types) {
    const std::string& name = entry.first;
    const Tensor& tensor = entry.second;
    CAPTURE(name);
    CHECK(tensor.shape() == Shape{2, 3, 4});
    auto expected = counted;
    for (double& value : expected) value = name == "mask" ? value > 0 : name == "unsigned" ? value + 5 : value;
    CHECK(tensor.to_vector() == expected);
  }
  CHECK(load_npy(folder / "columns.npy").to_vector() == counted);
}
