// A solution of exercise 3.
#include <duet/duet.hpp>

#include "../checks/3_sizes.hpp"

std::int64_t output_padding_for_size(std::int64_t input, std::int64_t wanted, std::int64_t kernel, std::int64_t stride,
                                     std::int64_t padding) {
  const std::int64_t missing = wanted - ((input - 1) * stride - 2 * padding + kernel);
  return missing >= 0 && missing < stride ? missing : -1;
}
