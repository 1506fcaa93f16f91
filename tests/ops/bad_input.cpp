// Runs the tables of bad calls: a typed error, `[op] text` with what the table says, and inputs that stay as they were.
// Then puts every op of the registry to the mistakes that can be made with any op.
#include "bad_input.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>

#include <duet/core/factory.hpp>
#include <duet/ops/registry.hpp>
#include <duet/ops/shape.hpp>

using namespace duet;

namespace bad_input {

const Tensor& image() {
  static const Tensor x = reshape(arange(0, 48, 1, {.dtype = f64}), {1, 2, 4, 6});
  return x;
}
const Tensor& matrix() {
  static const Tensor x = reshape(arange(0, 6), {2, 3});
  return x;
}
const Tensor& scalar() {
  static const Tensor x = Tensor::scalar(1);
  return x;
}
const Tensor& whole() {
  static const Tensor x = arange(0, 6, 1, {.dtype = i64});
  return x;
}
const Tensor& empty_batch() {
  static const Tensor x = zeros({0, 2, 4, 6});
  return x;
}
Tensor index(std::vector<std::int64_t> values) {
  return Tensor::from_span(std::span<const std::int64_t>(values), {static_cast<std::int64_t>(values.size())});
}

namespace {

std::vector<BadCall> all_calls() {
  std::vector<BadCall> all;
  for (const auto& table : {arithmetic_calls(), reduction_calls(), loss_calls(), product_calls(), shape_calls(),
                            index_calls(), pool_calls(), norm_calls()})
    all.insert(all.end(), table.begin(), table.end());
  return all;
}

/// A mistake made with one input of a sample; an undefined result means that it cannot be made with this one.
struct Mistake {
  const char* name;
  Tensor (*make)(const Tensor& input);
};
const Mistake mistakes[] = {
    {"nothing in place of a tensor", [](const Tensor&) { return Tensor(); }},
    {"integers in place of f64", [](const Tensor& x) { return is_floating(x.dtype()) ? to(x, i64) : Tensor(); }},
    {"f64 in place of integers", [](const Tensor& x) { return is_floating(x.dtype()) ? Tensor() : to(x, f64); }},
    {"f32 beside f64", [](const Tensor& x) { return x.dtype() == f64 ? to(x, f32) : Tensor(); }},
    {"a dimension more", [](const Tensor& x) { return x.rank() < max_rank ? unsqueeze(x, 0) : Tensor(); }},
    {"a dimension less", [](const Tensor& x) { return x.rank() > 0 && x.numel() > 0 ? select(x, 0, 0) : Tensor(); }},
    {"the last size one more",
     [](const Tensor& x) {
       return x.rank() > 0 ? cat({x, slice(x, -1, 0, 1)}, -1) : Tensor();
     }},
    {"the first size one less",
     [](const Tensor& x) { return x.rank() > 0 && x.size(0) > 1 ? slice(x, 0, 1, x.size(0)) : Tensor(); }},
    {"no elements", [](const Tensor& x) { return x.rank() > 0 ? slice(x, 0, 0, 0) : Tensor(); }},
    {"an index far out",
     [](const Tensor& x) { return x.dtype() == i64 && x.numel() > 0 ? full_like(x, 1 << 30) : Tensor(); }},
    {"a negative index",
     [](const Tensor& x) { return x.dtype() == i64 && x.numel() > 0 ? full_like(x, -(1 << 30)) : Tensor(); }},
};

}  // namespace
}  // namespace bad_input

using namespace bad_input;

TEST_CASE("bad calls fail with a typed error that says what is wrong, and change nothing") {
  const Tensors shared{image(), matrix(), scalar(), whole(), empty_batch()};
  const std::vector<double> before = values(shared);
  const std::vector<BadCall> calls = all_calls();
  CHECK(calls.size() >= 250);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    CAPTURE(i);
    CAPTURE(calls[i].text);
    const std::string wrong = wrong_with(calls[i]);
    CHECK_MESSAGE(wrong.empty(), wrong);
  }
  CHECK(values(shared) == before);
  MESSAGE(calls.size() << " bad calls");
}

TEST_CASE("every op of the registry refuses, or answers, each mistake that can be made with any op") {
  int calls = 0, refused = 0;
  for (const OpPtr& op : registry()) {
    if (!op->samples) continue;
    CAPTURE(op->name);
    const std::vector<Sample> samples = op->samples();
    int refused_here = 0;
    for (const Sample& sample : samples) {
      const std::vector<double> before = values(sample.inputs);
      for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
        if (!sample.inputs[i].defined()) continue;
        for (const Mistake& mistake : mistakes) {
          CAPTURE(sample.name);
          CAPTURE(i);
          INFO(mistake.name);
          Tensors inputs = sample.inputs;
          inputs[i] = mistake.make(sample.inputs[i]);
          const bool removed = &mistake == &mistakes[0];
          if (!removed && !inputs[i].defined()) continue;
          // An optional input may be absent.
          if (removed && op->inputs[std::min(i, op->inputs.size() - 1)].ends_with('?')) continue;
          ++calls;
          try {
            const Tensors outputs = apply(op, inputs, sample.options);
            CHECK(outputs.size() >= 1);
            CHECK_MESSAGE(!removed, "an absent input was taken");
          } catch (const Error& error) {
            ++refused_here;
            const std::string message = error.what();
            CHECK_MESSAGE(message.starts_with("[" + op->name + "] "), message);
            CHECK_MESSAGE(std::string(kind_of(error)) != "another", message);
            // The values: a shape, a dtype or a number.
            const bool has_value = message.find_first_of("0123456789(") != std::string::npos;
            CHECK_MESSAGE((removed || has_value || message.find("scalar") != std::string::npos), message);
          } catch (const std::exception& error) {
            FAIL_CHECK("an error of another library: " << error.what());
          }
        }
      }
      CHECK(values(sample.inputs) == before);
    }
    CHECK(refused_here > 0);
    refused += refused_here;
  }
  MESSAGE(calls << " calls, of which " << refused << " were refused");
}
