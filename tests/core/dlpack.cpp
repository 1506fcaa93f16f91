// The DLPack bridge: memory is shared both ways, lives as long as somebody uses it, and what does not fit is refused.
#if __has_include(<dlpack/dlpack.h>)
#include <doctest/doctest.h>

#include <duet/core/dlpack.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/raw.hpp>

using namespace duet;

TEST_CASE("dlpack: a tensor goes out and comes back on the same memory, strides included") {
  for (const Dtype dtype : {f32, f64, i64, u8}) {
    const Tensor x = raw::view(arange(0, 6, 1, {.dtype = dtype}), {3, 2}, {1, 3});
    DLManagedTensor* out = to_dlpack(x);
    CHECK(out->dl_tensor.ndim == 2);
    CHECK(out->dl_tensor.strides[1] == 3);
    const Tensor back = from_dlpack(out);
    CHECK(back.dtype() == dtype);
    CHECK(back.strides() == x.strides());
    CHECK(back.to_vector() == std::vector<double>{0, 3, 1, 4, 2, 5});
  }
  Tensor x = zeros({2}), back = from_dlpack(to_dlpack(x));
  x.mutable_data<float>()[1] = 5;
  CHECK(back.to_vector() == std::vector<double>{0, 5});
  x = {};
  CHECK(back.to_vector() == std::vector<double>{0, 5});  // the memory outlives the first handle
}

TEST_CASE("dlpack: what is taken over is given back once, what is refused is untouched") {
  struct Foreign {
    float values[6] = {1, 2, 3, 4, 5, 6};
    std::int64_t shape[2] = {2, 2}, strides[2] = {3, 1};
    int freed = 0;
    DLManagedTensor managed = {};
    Foreign() {
      managed.dl_tensor = {values, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, strides, 4};
      managed.manager_ctx = this;
      managed.deleter = [](DLManagedTensor* self) { ++static_cast<Foreign*>(self->manager_ctx)->freed; };
    }
  } foreign;
  {
    const Tensor x = from_dlpack(&foreign.managed), part = raw::view(x, {2}, {3});
    CHECK(x.to_vector() == std::vector<double>{2, 3, 5, 6});
    CHECK(foreign.freed == 0);
  }
  CHECK(foreign.freed == 1);
  foreign.managed.dl_tensor.strides = nullptr;
  CHECK(from_dlpack(&foreign.managed).to_vector() == std::vector<double>{2, 3, 4, 5});
  CHECK(foreign.freed == 2);
  CHECK_THROWS_AS(from_dlpack(nullptr), ValueError);
  foreign.managed.dl_tensor.dtype.bits = 16;
  CHECK_THROWS_AS(from_dlpack(&foreign.managed), DtypeError);
  foreign.managed.dl_tensor.dtype = {kDLFloat, 32, 2};
  CHECK_THROWS_AS(from_dlpack(&foreign.managed), DtypeError);
  foreign.managed.dl_tensor.device.device_type = kDLCUDA;
  CHECK_THROWS_AS(from_dlpack(&foreign.managed), ValueError);
  foreign.managed.dl_tensor.device.device_type = kDLCPU;
  foreign.managed.dl_tensor.ndim = 9;
  CHECK_THROWS_AS(from_dlpack(&foreign.managed), ShapeError);
  foreign.managed.dl_tensor.ndim = 2;
  std::int64_t backwards[] = {3, -1};
  foreign.managed.dl_tensor.strides = backwards;
  CHECK_THROWS_AS(from_dlpack(&foreign.managed), ShapeError);
  CHECK(foreign.freed == 2);
  CHECK_THROWS_AS(to_dlpack({}), ValueError);
  CHECK_THROWS_AS(to_dlpack(zeros({2}, {.requires_grad = true})), AutogradError);
}
#endif
