// For tests that hold in every SIMD table.
#pragma once

#include <doctest/doctest.h>

#include <duet/ops/kernels/simd.hpp>

namespace duet {

/// Runs a body with each table of kernels that this machine has.
template <class Body>
void on_every_table(Body body) {
  const kernels::Simd before = kernels::active_simd();
  for (const kernels::Simd simd : kernels::available_simd()) {
    CAPTURE(kernels::name(simd));
    kernels::set_active_simd(simd);
    body();
  }
  kernels::set_active_simd(before);
}

}  // namespace duet
