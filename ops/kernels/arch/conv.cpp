// The table of ops/kernels/conv_table.hpp for one instruction set.
#include <duet/ops/kernels/arch/prelude.hpp>

#include <duet/ops/kernels/arch/conv_copy.hpp>
#include <duet/ops/kernels/arch/conv_lanes.hpp>
#include <duet/ops/kernels/arch/conv_rows.hpp>
#include <duet/ops/kernels/arch/conv_tile.hpp>

namespace {

std::int64_t multiply_add_peak(std::int64_t count, float* sink) {
  using V = Batch<float>;
  constexpr int chains = 12;
  V sum[chains];
  for (int i = 0; i < chains; ++i) sum[i] = V(static_cast<float>(i));
  V factor(0.5f), term(sink[0]);
  for (std::int64_t n = 0; n < count; ++n)
    for (int i = 0; i < chains; ++i) sum[i] = xsimd::fma(sum[i], factor, term);
  for (int i = 1; i < chains; ++i) sum[0] = sum[0] + sum[i];
  sum[0].store_unaligned(sink);
  return count * chains * 2 * lanes<float>;
}

template <class T>
constexpr duet::kernels::ConvKernels<T> kernels_of() {
  return {lanes<T>,      tile_columns, row_outputs, {product<T, 1>, product<T, 2>}, pack<T>, unpack<T>, rows<T>,
          interleave<T>, dots<T>,      copy_rows<T>};
}

}  // namespace

namespace duet::kernels {
constinit const ConvTable DUET_TABLE(conv_table) = {kernels_of<float>(), kernels_of<double>(), multiply_add_peak};
}  // namespace duet::kernels
