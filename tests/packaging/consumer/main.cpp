// Differentiates something through the installed or embedded Duet, and reads its version.
#include <cstdio>
#include <string>

#include <duet/duet.hpp>

int main() {
  duet::Tensor w = duet::full({2, 3}, 2.0, {.requires_grad = true});
  duet::sum(w * w).backward();
  const auto gradient = w.grad().to_vector();
  for (double value : gradient)
    if (value != 4) return 1;
  try {
    duet::zeros({-1});
    return 2;
  } catch (const duet::ShapeError&) {  // typeinfo crosses the library's border
  }
  std::printf("duet %s: %s\n", duet::version(), to_string(w.grad()).c_str());
  return std::string(duet::version()) == DUET_VERSION ? 0 : 3;
}
