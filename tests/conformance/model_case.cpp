// Whole training runs, replayed.
#include "golden.hpp"

namespace golden {

void run_model_file(File& file) {
  throw Mismatch("a training run of an unknown model: " + Json(file.all_metadata()).dump());
}

}  // namespace golden
