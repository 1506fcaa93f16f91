// Computes, and is told by name what this Duet was built without.
#include <cstdio>
#include <string>

#include <duet/duet.hpp>

int main() {
  duet::Tensor w = duet::full({2, 3}, 2.0, {.requires_grad = true});
  duet::sum(w * w).backward();
  if (w.grad().to_vector()[0] != 4) return 1;
  try {
    duet::data::write_png("x.png", duet::zeros({1, 2, 2}, {.dtype = duet::u8}));
    return 2;
  } catch (const duet::IoError& error) {
    std::puts(error.what());
    if (std::string(error.what()).find("libpng-dev") == std::string::npos) return 3;
  }
  try {
    duet::data::read_image("x.tif");
    return 4;
  } catch (const duet::IoError& error) {
    std::puts(error.what());
  }
  return 0;
}
