// DataLoader: one order for one seed on any number of workers, and errors that arrive where they are due.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <tuple>

#include <duet/core/raw.hpp>
#include <duet/nn/data/loader.hpp>

#include "data/support.hpp"

using namespace duet;
using namespace duet::data;

namespace {

/// Sample i: image (2,) of i and a random number, target (1,) of i.
struct Numbers : Dataset {
  std::int64_t count;
  std::int64_t broken = -1, ill_shaped = -1, of_other_dtype = -1;
  explicit Numbers(std::int64_t n) : count(n) {}
  std::int64_t size() const override { return count; }
  Sample get(std::int64_t index, Generator& random) const override {
    if (index == broken) throw std::runtime_error("sample is broken");
    Sample sample{Tensor::empty({index == ill_shaped ? 3 : 2}),
                  Tensor::empty({1}, {.dtype = index == of_other_dtype ? f32 : i64})};
    float* image = raw::data<float>(sample.image);
    image[0] = static_cast<float>(index);
    image[1] = static_cast<float>(random.uniform());
    if (sample.target.dtype() == i64) raw::data<std::int64_t>(sample.target)[0] = index;
    return sample;
  }
};

/// Everything two epochs hold, batch by batch.
std::vector<std::vector<double>> two_epochs(DataLoader& loader) {
  std::vector<std::vector<double>> batches;
  for (int epoch = 0; epoch < 2; ++epoch)
    for (auto& [image, target] : loader) {
      batches.push_back(image.to_vector());
      batches.push_back(target.to_vector());
    }
  return batches;
}

std::vector<double> first_targets(DataLoader& loader) {
  for (auto& [image, target] : loader) return target.to_vector();
  return {};
}

}  // namespace

TEST_CASE("loader: the same batches for the same seed on any number of workers") {
  std::vector<std::vector<double>> expected;
  for (const int workers : {0, 1, 2, 5, 8}) {
    DataLoader loader(Numbers(23), {.batch_size = 4, .seed = 3, .workers = workers, .prefetch = 3});
    const auto batches = two_epochs(loader);
    CHECK(batches.size() == 2 * 2 * 6);
    if (expected.empty()) expected = batches;
    CHECK(batches == expected);
  }
  DataLoader other(Numbers(23), {.batch_size = 4, .seed = 4});
  CHECK(two_epochs(other) != expected);
}

TEST_CASE("loader: an epoch has every sample once, in another order each time") {
  DataLoader loader(Numbers(10), {.batch_size = 3, .seed = 1});
  std::vector<std::vector<double>> orders;
  for (int epoch = 0; epoch < 2; ++epoch) {
    std::vector<double> order;
    std::int64_t sizes = 0;
    for (auto& [image, target] : loader) {
      CHECK(image.shape() == Shape{target.size(0), 2});
      sizes = sizes * 10 + target.size(0);
      for (const double value : target.to_vector()) order.push_back(value);
    }
    CHECK(sizes == 3331);
    orders.push_back(order);
    std::sort(order.begin(), order.end());
    CHECK(order == std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  }
  CHECK(orders[0] != orders[1]);

  DataLoader plain(Numbers(5), {.batch_size = 2, .shuffle = false, .drop_last = true});
  CHECK(plain.batches() == 2);
  CHECK(first_targets(plain) == std::vector<double>{0, 1});
}

TEST_CASE("loader: a loop left early ends its epoch, seek goes on from any place") {
  for (const int workers : {0, 2}) {
    const LoaderOptions options{.batch_size = 2, .seed = 9, .workers = workers};
    DataLoader whole(Numbers(10), options);
    const auto batches = two_epochs(whole);
    CHECK(whole.epoch() == 2);
    CHECK(whole.batch() == 0);

    DataLoader left(Numbers(10), options);
    first_targets(left);
    CHECK(left.epoch() == 0);
    CHECK(left.batch() == 1);
    CHECK(first_targets(left) == batches[2 * 5 + 1]);  // the second epoch's first batch

    DataLoader resumed(Numbers(10), options);
    resumed.seek(0, 3);
    std::vector<std::vector<double>> rest;
    for (auto& [image, target] : resumed) {
      rest.push_back(image.to_vector());
      rest.push_back(target.to_vector());
    }
    CHECK(rest.size() == 4);
    CHECK(std::equal(rest.begin(), rest.end(), batches.begin() + 6));
    resumed.seek(1, 4);
    CHECK(first_targets(resumed) == batches[2 * 9 + 1]);
    CHECK_THROWS_AS(resumed.seek(0, 5), ValueError);
    CHECK_THROWS_AS(resumed.seek(-1, 0), ValueError);
  }
}

TEST_CASE("loader: what a sample throws arrives in the loop, when its batch is due") {
  for (const int workers : {0, 1, 3}) {
    Numbers numbers(12);
    numbers.broken = 7;
    DataLoader loader(numbers, {.batch_size = 2, .shuffle = false, .workers = workers});
    int seen = 0;
    const auto consume = [&] {
      for (auto& batch : loader) seen += batch.image.defined();
    };
    CHECK(message_of<std::runtime_error>(consume) == "sample is broken");
    CHECK(seen == 3);
  }
}

TEST_CASE("loader: samples that do not stack are typed errors with their number") {
  Numbers shapes(4), dtypes(4);
  shapes.ill_shaped = 3;
  dtypes.of_other_dtype = 1;
  DataLoader a(shapes, {.batch_size = 4, .shuffle = false}), b(dtypes, {.batch_size = 4, .shuffle = false});
  CHECK(
      contains(message_of<ShapeError>([&] { first_targets(a); }), "the image of sample 3 does not stack: it is (3,)"));
  CHECK(contains(message_of<DtypeError>([&] { first_targets(b); }), "the target of sample 1 is f32"));
}

TEST_CASE("loader: processes that share batches make the samples that one would") {
  for (const bool sampled : {false, true}) {
    LoaderOptions options{.batch_size = 4, .seed = 7};
    if (sampled) options.sampler = std::make_shared<RandomSampler>(10, RandomSamplerOptions{.replacement = true});
    DataLoader whole(Numbers(10), options);  // batches of 4, 4 and 2
    options.shares = 2;
    options.share = 0;
    DataLoader first(Numbers(10), options);
    options.share = 1;
    DataLoader second(Numbers(10), options);
    CHECK(first.batches() == 3);
    auto a = first.begin(), b = second.begin();
    for (auto& batch : whole) {
      for (const auto& [all, one, other] :
           {std::tuple(batch.image, a->image, b->image), std::tuple(batch.target, a->target, b->target)}) {
        auto together = one.to_vector(), rest = other.to_vector();
        together.insert(together.end(), rest.begin(), rest.end());
        CHECK(together == all.to_vector());
      }
      ++a, ++b;
    }
  }
  const auto refusal = [](std::int64_t batch, int share, int shares, bool drop_last = false) {
    return message_of<ValueError>([&] {
      DataLoader(Numbers(10), {.batch_size = batch, .drop_last = drop_last, .share = share, .shares = shares});
    });
  };
  CHECK(contains(refusal(4, 2, 2), "no share 2 of 2"));
  CHECK(contains(refusal(4, -1, 2), "no share -1 of 2"));
  CHECK(contains(refusal(4, 0, 0), "no share 0 of 0"));
  CHECK(contains(refusal(3, 0, 2), "2 processes do not divide a batch of 3"));
  CHECK(contains(refusal(4, 0, 4), "4 processes do not divide the last batch, of 2 samples"));
  CHECK(refusal(4, 0, 4, true) == "nothing was thrown");
}

TEST_CASE("loader: options out of range, an empty data set") {
  CHECK_THROWS_AS(DataLoader(Numbers(0)), ValueError);
  CHECK_THROWS_AS(DataLoader(Numbers(3), {.batch_size = 0}), ValueError);
  CHECK_THROWS_AS(DataLoader(Numbers(3), {.workers = -1}), ValueError);
  CHECK_THROWS_AS(DataLoader(Numbers(3), {.prefetch = 0}), ValueError);
  CHECK_THROWS_AS(DataLoader(Numbers(3), {.batch_size = 4, .drop_last = true}), ValueError);
  CHECK_THROWS_AS(DataLoader(std::shared_ptr<const Dataset>()), ValueError);
}

TEST_CASE("loader: a loader that goes away while its workers work") {
  for (int i = 0; i < 20; ++i) {
    DataLoader loader(Numbers(1000), {.batch_size = 2, .workers = 4, .prefetch = 8});
    if (i % 2 == 0) first_targets(loader);
    DataLoader moved = std::move(loader);
    CHECK(first_targets(moved).size() == 2);
  }
}

TEST_CASE("loader: a forked child is told that the workers stayed behind, and can make a loader of its own") {
  auto loader = std::make_unique<DataLoader>(Numbers(1000), LoaderOptions{.batch_size = 2, .seed = 5, .workers = 2});
  const std::vector<double> first = first_targets(*loader);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(20);  // a hang must not stop the suite
    const bool told = contains(message_of<ValueError>([&] { first_targets(*loader); }), "make a loader here") &&
                      contains(message_of<ValueError>([&] { loader->seek(3, 1); }), "make a loader here");
    loader.reset();
    DataLoader own(Numbers(1000), {.batch_size = 2, .seed = 5, .workers = 2});
    _exit(told && first_targets(own) == first ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
