// Comparisons and logic, from one loop over rows.
#include <duet/ops/compare.hpp>

#include <cmath>

#include <duet/ops/elementwise.hpp>
#include <duet/ops/elementwise_rules.hpp>

namespace duet {
namespace {

template <class T, class F>
void compare_rows(const Call& c, const Tensor& out, F f) {
  Tensor held[2];
  kernels::Operand operands[2];
  for (int k = 0; k < c.count(); ++k) operands[k] = operand(c[k], out.shape(), held[k]);
  std::uint8_t* to = raw::data<std::uint8_t>(out);
  kernels::for_rows(out.shape(), operands, c.count(), [&](const kernels::Rows& rows) {
    const int other = c.count() - 1;
    for (std::int64_t r = 0; r < rows.rows; ++r) {
      const T* a = static_cast<const T*>(operands[0].data) + rows.offset[0] + r * rows.row_stride[0];
      const T* b = static_cast<const T*>(operands[other].data) + rows.offset[other] + r * rows.row_stride[other];
      std::uint8_t* row = to + rows.out + r * rows.n;
      if (rows.step[0] && rows.step[other]) {
        for (std::int64_t i = 0; i < rows.n; ++i) row[i] = f(a[i], b[i]);
      } else if (rows.step[0]) {
        const T fixed = *b;
        for (std::int64_t i = 0; i < rows.n; ++i) row[i] = f(a[i], fixed);
      } else {
        for (std::int64_t i = 0; i < rows.n; ++i) row[i] = f(*a, b[i * rows.step[other]]);
      }
    }
  });
}

/// f(a, b) for two inputs; f(x, x) for one.
template <class F>
OpPtr compare_op(const char* name, const char* doc, const char* formula, const char* onnx, int inputs, F f) {
  return define({
      .name = name,
      .doc = doc,
      .formula = formula,
      .inputs = inputs == 1 ? std::vector<std::string>{"x"} : std::vector<std::string>{"a", "b"},
      .shape_rule = [](const ShapeCall& c) -> Specs { return {{broadcast_rule(c)[0].shape, u8}}; },
      .forward = [f](const Call& c) -> Tensors {
        const Tensor out = c.empty();
        raw::dispatch_all(c[0].dtype(), [&](auto zero) { compare_rows<decltype(zero)>(c, out, f); });
        return {out};
      },
      .onnx = onnx,
      .samples = [inputs]() -> std::vector<Sample> {
        return inputs == 1 ? unary_samples(normal_domain) : binary_samples(normal_domain, normal_domain);
      },
  });
}

}  // namespace

DUET_DEFINE_OP(eq, compare_op("eq", "Whether two elements are equal.", "a == b", "Equal", 2,
                              [](auto a, auto b) { return a == b; }))
DUET_DEFINE_OP(ne, compare_op("ne", "Whether two elements differ.", "a != b", "", 2,
                              [](auto a, auto b) { return a != b; }))
DUET_DEFINE_OP(lt, compare_op("lt", "Whether one element is less than the other.", "a < b", "Less", 2,
                              [](auto a, auto b) { return a < b; }))
DUET_DEFINE_OP(le, compare_op("le", "Whether one element is at most the other.", "a <= b", "LessOrEqual", 2,
                              [](auto a, auto b) { return a <= b; }))
DUET_DEFINE_OP(gt, compare_op("gt", "Whether one element is greater than the other.", "a > b", "Greater", 2,
                              [](auto a, auto b) { return a > b; }))
DUET_DEFINE_OP(ge, compare_op("ge", "Whether one element is at least the other.", "a >= b", "GreaterOrEqual", 2,
                              [](auto a, auto b) { return a >= b; }))
DUET_DEFINE_OP(logical_and, compare_op("logical_and", "Whether both elements are not 0.", "a != 0 and b != 0", "", 2,
                                       [](auto a, auto b) { return a != 0 && b != 0; }))
DUET_DEFINE_OP(logical_or, compare_op("logical_or", "Whether one of two elements is not 0.", "a != 0 or b != 0", "", 2,
                                      [](auto a, auto b) { return a != 0 || b != 0; }))
DUET_DEFINE_OP(logical_xor, compare_op("logical_xor", "Whether exactly one of two elements is not 0.",
                                       "(a != 0) != (b != 0)", "", 2,
                                       [](auto a, auto b) { return (a != 0) != (b != 0); }))
DUET_DEFINE_OP(logical_not, compare_op("logical_not", "Whether an element is 0.", "x == 0", "", 1,
                                       [](auto x, auto) { return x == 0; }))
DUET_DEFINE_OP(isnan, compare_op("isnan", "Whether an element is not a number.", "x != x", "IsNaN", 1,
                                 [](auto x, auto) { return x != x; }))
DUET_DEFINE_OP(isfinite, compare_op("isfinite", "Whether an element is neither infinite nor NaN.", "x - x == 0", "", 1,
                                    [](auto x, auto) { return x - x == 0; }))

Tensor eq(const Tensor& a, const Tensor& b) { return apply1(eq_op(), {a, b}); }
Tensor ne(const Tensor& a, const Tensor& b) { return apply1(ne_op(), {a, b}); }
Tensor lt(const Tensor& a, const Tensor& b) { return apply1(lt_op(), {a, b}); }
Tensor le(const Tensor& a, const Tensor& b) { return apply1(le_op(), {a, b}); }
Tensor gt(const Tensor& a, const Tensor& b) { return apply1(gt_op(), {a, b}); }
Tensor ge(const Tensor& a, const Tensor& b) { return apply1(ge_op(), {a, b}); }
Tensor eq(const Tensor& a, double b) { return eq(a, scalar_like(a, b)); }
Tensor ne(const Tensor& a, double b) { return ne(a, scalar_like(a, b)); }
Tensor lt(const Tensor& a, double b) { return lt(a, scalar_like(a, b)); }
Tensor le(const Tensor& a, double b) { return le(a, scalar_like(a, b)); }
Tensor gt(const Tensor& a, double b) { return gt(a, scalar_like(a, b)); }
Tensor ge(const Tensor& a, double b) { return ge(a, scalar_like(a, b)); }
Tensor logical_and(const Tensor& a, const Tensor& b) { return apply1(logical_and_op(), {a, b}); }
Tensor logical_or(const Tensor& a, const Tensor& b) { return apply1(logical_or_op(), {a, b}); }
Tensor logical_xor(const Tensor& a, const Tensor& b) { return apply1(logical_xor_op(), {a, b}); }
Tensor logical_not(const Tensor& x) { return apply1(logical_not_op(), {x}); }
Tensor isnan(const Tensor& x) { return apply1(isnan_op(), {x}); }
Tensor isfinite(const Tensor& x) { return apply1(isfinite_op(), {x}); }

}  // namespace duet
