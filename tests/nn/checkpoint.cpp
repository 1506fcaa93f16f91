// Nothing is lost: checkpoints under damage, a process killed while it saves, and a disk that is full.
#include <doctest/doctest.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/nn/checkpoint.hpp>
#include <duet/nn/linear.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

using namespace duet;

namespace {

struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("duet_checkpoint_" + std::to_string(::getpid()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const char* name) const { return (path / name).string(); }
};

/// A run with all that a run has: model, optimizer, random numbers, its place.
struct Run {
  nn::Linear model{24, 16};
  optim::Adam optimizer{model.parameters(), {.lr = 0.01}};
  std::int64_t step = 0;

  void advance() {
    optimizer.zero_grad();
    const Tensor y = model(randn({4, 24}));
    mean(y * y).backward();
    optimizer.step();
    ++step;
  }
  void save(const std::string& path) const {
    nn::Checkpoint checkpoint;
    checkpoint.keep("model", model);
    checkpoint.keep("optimizer", optimizer);
    checkpoint.keep("random", default_generator());
    checkpoint.set("step", step);
    checkpoint.save(path);
  }
  void load(const std::string& path) {
    const nn::Checkpoint saved = nn::Checkpoint::load_latest(path);
    saved.restore("model", model);
    saved.restore("optimizer", optimizer);
    saved.restore("random", default_generator());
    step = saved.number("step");
  }
  std::vector<double> weights() const { return model.weight.to_vector(); }
};

Run fresh() {
  manual_seed(5);
  return Run();
}

void flip_byte(const std::string& path, std::int64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const char byte = static_cast<char>(file.get() ^ 0x10);
  file.seekp(at);
  file.put(byte);
}

/// A child that trains and saves after every step, killed after a random while; then what it left must load, and be
/// exactly a state that the run passes through.
void kill_often(int kills) {
  const Folder folder;
  const std::string path = folder.file("run.safetensors");
  std::vector<std::vector<double>> truth;
  {
    Run run = fresh();
    truth.push_back(run.weights());
  }
  Generator random(11);
  std::int64_t reached = 0;
  int inside = 0;
  for (int kill = 0; kill < kills; ++kill) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      Run run = fresh();
      if (std::filesystem::exists(path)) run.load(path);
      for (;;) {
        run.advance();
        run.save(path);
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random.integer(3000, 30000)));
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    if (!std::filesystem::exists(path)) continue;  // killed before the first save
    inside += std::filesystem::exists(path + ".new");
    Run run = fresh();
    REQUIRE_NOTHROW(run.load(path));
    CHECK(run.step >= reached);
    reached = run.step;
    // The uninterrupted run: exact resume is bit for bit.
    if (static_cast<std::int64_t>(truth.size()) <= run.step) {
      Run straight = fresh();
      truth.resize(1);
      while (straight.step < 2 * run.step) {
        straight.advance();
        truth.push_back(straight.weights());
      }
    }
    CHECK(run.weights() == truth[static_cast<std::size_t>(run.step)]);
  }
  CHECK(reached > kills / 4);
  MESSAGE(kills << " kills, " << reached << " steps, " << inside << " of them while a file was being written");
}

}  // namespace

TEST_CASE("checkpoint: of a newer format, refused by name and version") {
  const Folder folder;
  const std::string path = folder.file("newer.safetensors");
  Run().save(path);
  SafetensorsFile file = load_safetensors(path);
  for (auto& [key, text] : file.metadata)
    if (key == "duet.checkpoint") text = std::string("2");
  const std::string newer = folder.file("copy.safetensors");
  save_safetensors(newer, file.tensors, file.metadata);
  CHECK_THROWS_WITH_AS(nn::Checkpoint::load(newer),
                       doctest::Contains("copy.safetensors' is a checkpoint of format 2, this Duet reads 1: a newer one"),
                       IoError);
}

TEST_CASE("checkpoint: a changed byte anywhere is refused, and the one before is taken") {
  const Folder folder;
  const std::string path = folder.file("run.safetensors");
  Run run = fresh();
  run.advance();
  run.save(path);
  const std::vector<double> first = run.weights();
  run.advance();
  run.save(path);
  std::filesystem::copy(path, folder.file("good"));
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path));
  Generator random(1);
  for (int trial = 0; trial < 200; ++trial) {
    std::filesystem::copy_file(folder.file("good"), path, std::filesystem::copy_options::overwrite_existing);
    const std::int64_t at = random.integer(0, size);
    flip_byte(path, at);
    INFO("byte ", at, " of ", size);
    CHECK_THROWS_AS(nn::Checkpoint::load(path), IoError);
    Run other = fresh();
    other.load(path);
    CHECK(other.step == 1);
    CHECK(other.weights() == first);
  }
  flip_byte(path + ".previous", size - 1);
  CHECK_THROWS_WITH_AS(nn::Checkpoint::load_latest(path), doctest::Contains("neither"), IoError);
}

TEST_CASE("checkpoint: 20 kills while saving, and nothing is lost") { kill_often(20); }

TEST_SUITE("long") {
  TEST_CASE("checkpoint: 200 kills while saving and nothing is lost") { kill_often(200); }
}

TEST_CASE("checkpoint: a full disk is an error and the one before stays") {
  const Folder folder;
  const std::string path = folder.file("run.safetensors");
  Run run = fresh();
  run.advance();
  run.save(path);
  const std::vector<double> kept = run.weights();
  run.advance();
  // A limit on the size of files stands for a disk without room: the system refuses to write on.
  const auto before = ::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const rlimit small{1000, limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string said;
  try {
    run.save(path);
  } catch (const IoError& error) {
    said = error.what();
  }
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  ::signal(SIGXFSZ, before);
  CHECK(said.find("run.safetensors") != std::string::npos);
  CHECK(said.find("File too large") != std::string::npos);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
  Run again = fresh();
  again.load(path);
  CHECK(again.weights() == kept);
}
