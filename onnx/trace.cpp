// An observer of apply. Ops that run inside an op are that op's business.
#include <duet/onnx/trace.hpp>

#include <duet/core/fail.hpp>
#include <duet/core/scope.hpp>
#include <duet/core/tape.hpp>

namespace duet::onnx_export {

namespace {

class FieldReader final : public FieldVisitor {
 public:
  explicit FieldReader(Fields& into) : into_(into) {}
  void field(const char* name, bool& value) override { into_.integers[name] = {value ? 1 : 0}; }
  void field(const char* name, std::int64_t& value) override { into_.integers[name] = {value}; }
  void field(const char* name, double& value) override { into_.reals[name] = {value}; }
  void field(const char* name, std::string& value) override { into_.words[name] = value; }
  void field(const char* name, std::vector<std::int64_t>& value) override { into_.integers[name] = value; }
  void field(const char* name, std::vector<double>& value) override { into_.reals[name] = value; }
  void field(const char* name, Shape& value) override { into_.integers[name] = {value.begin(), value.end()}; }
  void integers(const char* name, std::span<std::int64_t> value) override {
    into_.integers[name] = {value.begin(), value.end()};
  }
  void field(const char* name, std::optional<double>& value) override {
    if (value) into_.reals[name] = {*value};
  }
  void field(const char* name, std::optional<std::int64_t>& value) override {
    if (value) into_.integers[name] = {*value};
  }
  void integers(const char* name, std::span<std::int64_t> value, std::string& word) override {
    integers(name, value);
    if (!word.empty()) into_.words[name] = word;
  }
  void choice(const char* name, int& index, std::span<const char* const> names) override {
    into_.words[name] = names[static_cast<std::size_t>(index)];
  }

 private:
  Fields& into_;
};

}  // namespace

Fields::Fields(const AnyOptions& options) {
  FieldReader reader(*this);
  options.visit(reader);
}

std::string Trace::source_of(const Tensor& tensor) {
  if (!tensor.defined()) return {};
  auto [at, is_new] = sources_.try_emplace(tensor.impl().get());
  if (is_new) {
    at->second = fmt::format("constant {}", constants.size());
    constants.push_back(tensor);
  }
  return at->second;
}

class Tracer final : public Observer {
 public:
  explicit Tracer(Trace& trace) : trace_(trace) {
    for (std::size_t i = 0; i < trace_.inputs.size(); ++i)
      trace_.sources_[trace_.inputs[i].impl().get()] = fmt::format("input {}", i);
  }
  void before_op(const Call&) override { ++depth_; }
  void failed() override { --depth_; }
  void after_op(const Call& call, std::span<const Tensor> outputs, Node*) override {
    if (--depth_ > 0) return;
    TracedCall traced{.op = call.op.name,
                      .onnx = call.op.onnx,
                      .scope = scope_path(),
                      .fields = Fields(call.options),
                      .inputs = {call.inputs.begin(), call.inputs.end()},
                      .outputs = {outputs.begin(), outputs.end()},
                      .sources = {}};
    for (const Tensor& input : call.inputs) traced.sources.push_back(trace_.source_of(input));
    // The trace holds every tensor, so that no two of them ever have one address.
    for (std::size_t j = 0; j < outputs.size(); ++j)
      if (outputs[j].defined())
        trace_.sources_.try_emplace(outputs[j].impl().get(), fmt::format("call {} output {}", trace_.calls.size(), j));
    trace_.calls.push_back(std::move(traced));
  }

 private:
  Trace& trace_;
  int depth_ = 0;
};

Trace trace(const Tensors& inputs, FunctionRef<Tensors(const Tensors&)> forward) {
  Trace result;
  result.inputs = inputs;
  const NoGradGuard no_grad;
  Tracer tracer(result);
  {
    const ObserverGuard guard(tracer);
    result.outputs = forward(inputs);
  }
  for (const Tensor& output : result.outputs) result.output_sources.push_back(result.source_of(output));
  return result;
}

void require_same_path(const Trace& a, const Trace& b) {
  constexpr const char* op = "save_onnx";
  const auto name = [](const Trace& t, std::size_t i) {
    return i < t.calls.size() ? t.calls[i].op : std::string("the end");
  };
  for (std::size_t i = 0; i < std::max(a.calls.size(), b.calls.size()); ++i)
    if (name(a, i) != name(b, i) || a.calls[i].sources != b.calls[i].sources)
      fail<ValueError>(
          op,
          "the forward takes another path at another size, which a file cannot: its call {} is {} of ({}) for "
          "inputs of {}, {} of ({}) for {}",
          i, name(a, i), i < a.calls.size() ? fmt::join(a.calls[i].sources, ", ") : fmt::join(a.output_sources, ", "),
          to_string(spec_of(a.inputs[0])), name(b, i),
          i < b.calls.size() ? fmt::join(b.calls[i].sources, ", ") : fmt::join(b.output_sources, ", "),
          to_string(spec_of(b.inputs[0])));
  if (a.output_sources != b.output_sources)
    fail<ValueError>(op, "the forward returns another value at another size: ({}) and ({})",
                     fmt::join(a.output_sources, ", "), fmt::join(b.output_sources, ", "));
  for (std::size_t k = 0; k < a.constants.size(); ++k) {
    const Tensor &x = a.constants[k], &y = b.constants[k];
    if (x.impl() == y.impl()) continue;  // a parameter
    if (x.shape() != y.shape() || x.dtype() != y.dtype() || x.to_vector() != y.to_vector())
      fail<ValueError>(
          op,
          "a tensor that the forward makes itself, {}, is {} at another size, or has other values, which a file "
          "cannot follow",
          to_string(spec_of(x)), to_string(spec_of(y)));
  }
}

}  // namespace duet::onnx_export
