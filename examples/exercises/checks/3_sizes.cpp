// Exercise 3: the test.
#include "3_sizes.hpp"

#include "check.hpp"

void run() {
  using namespace duet;
  for (std::int64_t input = 1; input < 6; ++input)
    for (std::int64_t kernel = 1; kernel < 5; ++kernel)
      for (std::int64_t stride = 1; stride < 4; ++stride)
        for (std::int64_t padding = 0; padding < 3; ++padding)
          for (std::int64_t wanted = 1; wanted < 20; ++wanted) {
            std::int64_t truth = -1;
            for (const ReachableSize& r : reachable_output_sizes(input, kernel, stride, padding))
              if (r.size == wanted) truth = r.output_padding;
            near("from " + std::to_string(input) + " to " + std::to_string(wanted),
                 static_cast<double>(output_padding_for_size(input, wanted, kernel, stride, padding)),
                 static_cast<double>(truth), 0);
          }
}
