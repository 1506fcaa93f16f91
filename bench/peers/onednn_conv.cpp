// oneDNN on the shape set: every primitive in the memory layout it likes best, reorders not counted. The strongest
// known kernels, under conditions that no program in plain NCHW meets.
#include <dnnl.hpp>
#include <omp.h>

#include "../shapes.hpp"
#include "arguments.hpp"

using namespace duet::bench;
using dnnl::memory;

namespace {

const dnnl::engine& cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

memory filled(const memory::desc& desc) {
  memory m(desc, cpu());
  auto* values = static_cast<float*>(m.get_data_handle());
  for (std::size_t i = 0; i < desc.get_size() / sizeof(float); ++i)
    values[i] = static_cast<float>((static_cast<unsigned>(i) * 2654435761u >> 8) & 1023) / 1024 - 0.5f;
  return m;
}

template <class Primitive>
Timing time_primitive(const Primitive& primitive, const std::unordered_map<int, memory>& arguments) {
  dnnl::stream stream(cpu());
  return time_of([&] {
    primitive.execute(stream, arguments);
    stream.wait();
  });
}

template <class Forward, class Input, class Weights>
ConvTimes time_all(const typename Forward::primitive_desc& forward, const typename Input::primitive_desc& input,
                   const typename Weights::primitive_desc& weights) {
  return {time_primitive(Forward(forward), {{DNNL_ARG_SRC, filled(forward.src_desc())},
                                            {DNNL_ARG_WEIGHTS, filled(forward.weights_desc())},
                                            {DNNL_ARG_BIAS, filled(forward.bias_desc())},
                                            {DNNL_ARG_DST, filled(forward.dst_desc())}}),
          time_primitive(Input(input), {{DNNL_ARG_DIFF_DST, filled(input.diff_dst_desc())},
                                        {DNNL_ARG_WEIGHTS, filled(input.weights_desc())},
                                        {DNNL_ARG_DIFF_SRC, filled(input.diff_src_desc())}}),
          time_primitive(Weights(weights), {{DNNL_ARG_SRC, filled(weights.src_desc())},
                                            {DNNL_ARG_DIFF_DST, filled(weights.diff_dst_desc())},
                                            {DNNL_ARG_DIFF_WEIGHTS, filled(weights.diff_weights_desc())}})};
}

ConvTimes run(const ConvShape& s) {
  const auto desc = [](const memory::dims& dims) {
    return memory::desc(dims, memory::data_type::f32, memory::format_tag::any);
  };
  const auto x = desc({s.batch, s.in_channels, s.height, s.width});
  const auto y = desc({s.batch, s.out_channels, s.out_height(), s.out_width()});
  const auto w = desc(s.groups == 1 ? memory::dims{s.out_channels, s.in_channels, s.kernel_h, s.kernel_w}
                                    : memory::dims{s.groups, s.out_channels / s.groups, s.in_channels / s.groups,
                                                   s.kernel_h, s.kernel_w});
  const memory::desc bias({s.out_channels}, memory::data_type::f32, memory::format_tag::a);
  const memory::dims stride{s.stride, s.stride}, dilation{s.dilation - 1, s.dilation - 1}, left{s.padding, s.padding};
  const memory::dims right{s.padding - s.output_padding, s.padding - s.output_padding};
  if (s.transposed) {
    using namespace dnnl;
    const auto direct = algorithm::deconvolution_direct;
    const deconvolution_forward::primitive_desc forward(
        {prop_kind::forward_training, direct, x, w, bias, y, stride, dilation, left, right}, cpu());
    return time_all<deconvolution_forward, deconvolution_backward_data, deconvolution_backward_weights>(
        forward, {{direct, x, w, y, stride, dilation, left, right}, cpu(), forward},
        {{direct, x, w, y, stride, dilation, left, right}, cpu(), forward});
  }
  using namespace dnnl;
  const auto direct = algorithm::convolution_direct;
  const convolution_forward::primitive_desc forward(
      {prop_kind::forward_training, direct, x, w, bias, y, stride, dilation, left, right}, cpu());
  return time_all<convolution_forward, convolution_backward_data, convolution_backward_weights>(
      forward, {{direct, x, w, y, stride, dilation, left, right}, cpu(), forward},
      {{direct, x, w, y, stride, dilation, left, right}, cpu(), forward});
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  omp_set_num_threads(arguments.threads);
  const dnnl_version_t* version = dnnl_version();
  std::printf("{\"library\": \"onednn\", \"version\": \"%d.%d.%d\", \"threads\": %d}\n", version->major, version->minor,
              version->patch, arguments.threads);
  for (const ConvShape& shape : read_shapes(arguments.shapes, arguments.filter)) print_json("onednn", shape, run(shape));
  return 0;
}
