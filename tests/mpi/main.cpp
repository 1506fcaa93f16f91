// What each rank of a test runs: mpirun -n N duet_test_mpi CASE [FILE]. Every rank checks for itself; any that fails
// ends the job with an error.
#include <mpi.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include <duet/duet.hpp>
#include <duet/mpi/parallel.hpp>

using namespace duet;

namespace {

void require(bool ok, const std::string& what) {
  if (!ok) throw std::runtime_error(what);
}

template <class Norm>
struct Net : nn::Module {
  // No bias: before a norm its gradient is rounding alone, which Adam would make as large as any other step.
  nn::Conv2d first{this, "first", 1, 6, 3, {.padding = 1, .bias = false}};
  Norm norm{this, "norm", 6};
  nn::Conv2d second{this, "second", 6, 5, 3, {.stride = 2, .padding = 1}};
  nn::Linear head{this, "head", 5 * 4 * 4, 3};
  Tensor forward(const Tensor& x) override {
    return head(reshape(tanh(second(tanh(norm(first(x))))), {x.size(0), -1}));
  }
};
struct NoNorm : nn::Module {
  NoNorm(Module* parent, const std::string& name, std::int64_t) : Module(parent, name) {}
  Tensor forward(const Tensor& x) override { return x; }
};

double largest_difference(const NamedTensors& a, const NamedTensors& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto x = a[i].second.to_vector(), y = b[i].second.to_vector();
    for (std::size_t k = 0; k < x.size(); ++k) largest = std::max(largest, std::abs(x[k] - y[k]));
  }
  return largest;
}

/// 20 steps with the batch shared out, and the same alone with all of it: the same weights.
template <class Norm>
void same_as_alone(const mpi::World& world, const char* name, std::int64_t bucket_bytes) {
  manual_seed(7);
  Net<Norm> alone;
  alone.to(f64);
  const auto begin = nn::clone_tensors(alone.state_dict());
  manual_seed(100 + static_cast<std::uint64_t>(world.rank()));  // other weights on every rank, until the broadcast
  Net<Norm> shared;
  shared.to(f64);
  if (world.is_first()) shared.load_state_dict(begin);
  mpi::DataParallel parallel(world, shared, {.bucket_bytes = bucket_bytes});
  mpi::synchronize_batch_norms(shared);
  require(largest_difference(shared.state_dict(), begin) == 0, "the broadcast did not bring the first rank's weights");
  optim::Adam with_others(shared.parameters(), {.lr = 1e-2}), by_itself(alone.parameters(), {.lr = 1e-2});
  Generator random(5);
  for (int step = 0; step < 20; ++step) {
    const Tensor x = randn({8, 1, 8, 8}, {.dtype = f64}, random), target = randn({8, 3}, {.dtype = f64}, random);
    with_others.zero_grad();
    mse_loss(shared(world.share(x)), world.share(target)).backward();
    parallel.synchronize();
    with_others.step();
    by_itself.zero_grad();
    mse_loss(alone(x), target).backward();
    by_itself.step();
  }
  const double difference = largest_difference(shared.state_dict(), alone.state_dict());
  if (world.is_first())
    std::printf("%s, %d ranks: largest difference %.3g after 20 steps\n", name, world.size(), difference);
  require(difference < 1e-10, std::string(name) + ": the weights differ from those of one process");
  require(largest_difference(alone.state_dict(), begin) > 1e-3, "nothing was trained");
}

/// A parameter that only some ranks reach, and one that nobody does.
void partial(const mpi::World& world) {
  struct Two : nn::Module {
    nn::Parameter some{this, "some", ones({2})}, never{this, "never", ones({2})};
  } net;
  mpi::DataParallel parallel(world, net);
  if (world.is_first()) sum(net.some * 4).backward();
  parallel.synchronize();
  require(net.some.grad().to_vector() == std::vector<double>(2, 4.0 / world.size()),
          "the average counts absent ones as zeros");
  require(!net.never.grad().defined(), "nobody's gradient stays absent");
  net.zero_grad();
  sum(net.some).backward();
  bool refused = false;
  try {
    sum(net.some).backward();
  } catch (const AutogradError&) {
    refused = true;
  }
  require(refused, "a second backward before synchronize() must be refused");
  parallel.synchronize();
}

void reduce(const mpi::World& world) {
  Tensor x = full({3}, world.rank() + 1, {.dtype = f64, .requires_grad = true});
  const Tensor y = mpi::all_reduce(x);
  const double total = world.size() * (world.size() + 1) / 2.0;
  require(y.to_vector() == std::vector<double>(3, total), "all_reduce gives the sum");
  sum(y * y * (world.rank() + 1)).backward();
  require(x.grad().to_vector() == std::vector<double>(3, 2 * total * total),
          "its gradient is the sum of the cotangents");
}

void mismatch(const mpi::World& world) {
  nn::Linear net(4, world.rank() == world.size() - 1 ? 5 : 3);
  std::string message;
  try {
    mpi::DataParallel parallel(world, net);
  } catch (const ValueError& error) {
    message = error.what();
  }
  require(message.ends_with("rank " + std::to_string(world.size() - 1) +
                            " has another model than rank 0: 'weight (5, 4) f32', not 'weight (3, 4) f32'"),
          "got: " + message);
  require(world.local_size() == world.size(), "all ranks of this test are on one machine");
  bool refused = false;
  try {
    world.share(ones({2 * world.size() + 1, 3}));
  } catch (const ShapeError&) {
    refused = true;
  }
  require(refused || world.size() == 1, "a batch that does not divide must be refused");
}

/// The last rank throws in the middle; the first writes a checkpoint every step.
void death(const mpi::World& world, const std::string& file, bool silently) {
  nn::Linear net(64, 64);
  mpi::DataParallel parallel(world, net);
  optim::SGD optimizer(net.parameters(), {.lr = 1e-3});
  for (int step = 0;; ++step) {
    optimizer.zero_grad();
    mean(net(randn({4, 64}))).backward();
    if (step == 20 && world.rank() == world.size() - 1) {
      if (silently) std::_Exit(9);
      throw std::runtime_error("out of luck at step 20");
    }
    parallel.synchronize();
    optimizer.step();
    if (!world.is_first()) continue;
    nn::Checkpoint checkpoint;
    checkpoint.keep("model", net);
    checkpoint.set("step", step);
    checkpoint.save(file);
  }
}

/// Whether two weight files hold the same up to `bound`, relative to the largest value.
int compare(const std::string& a, const std::string& b, double bound) {
  const auto x = load_safetensors(a).tensors, y = load_safetensors(b).tensors;
  require(x.size() == y.size(), "the files hold different tensors");
  double largest = 0, scale = 0;
  for (const auto& [name, tensor] : x)
    if (name.find("num_batches_tracked") == std::string::npos)
      for (const double value : tensor.to_vector()) scale = std::max(scale, std::abs(value));
  largest = largest_difference(x, y);
  std::printf("largest difference %.3g, largest value %.3g\n", largest, scale);
  return largest <= bound * scale ? 0 : 1;
}

/// What a step costs, and how much of it is communication: a U-Net on 128 × 128 pixels, 8 images in all.
void measure(const mpi::World& world, bool synchronized) {
  nn::UNet net({.base_channels = 16, .depth = 4});
  mpi::DataParallel parallel(world, net);
  if (synchronized) mpi::synchronize_batch_norms(net);
  optim::Adam optimizer(net.parameters());
  const Tensor x = randn({8, 1, 128, 128}), target = to(gt(randn({8, 1, 128, 128}), Tensor::scalar(0)), f32);
  double seconds = 0, waited = 0, bytes = 0;
  constexpr int warm = 2, steps = 8;
  for (int step = 0; step < warm + steps; ++step) {
    world.barrier();
    const auto begin = std::chrono::steady_clock::now();
    const double waited_before = parallel.waited_seconds(),
                 bytes_before = static_cast<double>(parallel.bytes_averaged());
    optimizer.zero_grad();
    binary_cross_entropy_with_logits(net(world.share(x)), world.share(target)).backward();
    parallel.synchronize();
    optimizer.step();
    if (step < warm) continue;
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    waited += parallel.waited_seconds() - waited_before;
    bytes += static_cast<double>(parallel.bytes_averaged()) - bytes_before;
  }
  if (world.is_first())
    std::printf("ranks %d  step %.1f ms  communication %.1f ms (%.1f %%)  bytes a step %.0f\n", world.size(),
                seconds / steps * 1e3, waited / steps * 1e3, 100 * waited / seconds, bytes / steps);
}

int run_case(const mpi::World& world, const std::string& which, const std::string& file) {
  if (which == "same") {
    same_as_alone<NoNorm>(world, "no norm", 1 << 20);
    same_as_alone<NoNorm>(world, "no norm, small buckets", 64);
    same_as_alone<nn::BatchNorm2d>(world, "synchronised batch norm", 256);
    partial(world);
    reduce(world);
  } else if (which == "mismatch") {
    mismatch(world);
  } else if (which == "aborts" || which == "dies") {
    death(world, file, which == "dies");
  } else if (which == "measure") {
    measure(world, file == "synchronized");
  } else {
    std::fprintf(stderr, "unknown case '%s'\n", which.c_str());
    return 2;
  }
  return 0;
}

int run(int count, char** arguments) {
  const std::string which = count > 1 ? arguments[1] : "", file = count > 2 ? arguments[2] : "";
  set_num_threads(1);
  if (which == "intact") {
    const auto saved = nn::Checkpoint::load(file);
    nn::Linear net(64, 64);
    saved.restore("model", net);
    std::printf("the checkpoint of step %lld is whole\n", static_cast<long long>(saved.number("step")));
    // Step 20's gradients may have been averaged while the last rank was still in its backward: then it is saved too.
    return saved.number("step") == 19 || saved.number("step") == 20 ? 0 : 1;
  }
  if (which == "compare") return compare(file, arguments[3], std::stod(arguments[4]));
  mpi::World world;
  if (which == "throws") death(world, file, false);  // nobody catches it in time: World ends all
  try {
    return run_case(world, which, file);
  } catch (const std::exception& error) {
    world.abort(error.what());
  }
}

}  // namespace

int main(int count, char** arguments) {
  try {  // without a catch nothing would be unwound, and World would not get to speak
    return run(count, arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
