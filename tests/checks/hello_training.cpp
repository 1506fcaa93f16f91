#include <duet/duet.hpp>
int main() { duet::Tensor w = duet::full({2, 3}, 2.0, {.requires_grad = true}); duet::sum(w * w).backward(); }
