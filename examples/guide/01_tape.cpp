// Scalars and the tape: one made by hand in thirty lines, then Duet's.
#include <cmath>
#include <cstdio>
#include <vector>

#include <duet/duet.hpp>

using namespace duet;

/// What a tape has to remember of one operation: where its inputs stand, and its slope by each of them.
struct Entry {
  double value;
  int left = -1, right = -1;
  double by_left = 0, by_right = 0;
  double gradient = 0;
};

struct Tape {
  std::vector<Entry> entries;
  /// Adds an entry; its number is what later entries call it by.
  int record(Entry e) {
    entries.push_back(e);
    return static_cast<int>(entries.size()) - 1;
  }
  double operator[](int i) const { return entries[static_cast<std::size_t>(i)].value; }

  // Each is the operation's value, its inputs, and its slope by each input.
  int leaf(double value) { return record({value}); }
  int add(int a, int b) { return record({(*this)[a] + (*this)[b], a, b, 1, 1}); }
  int mul(int a, int b) { return record({(*this)[a] * (*this)[b], a, b, (*this)[b], (*this)[a]}); }
  int tanh(int a) { return record({std::tanh((*this)[a]), a, -1, 1 - std::pow(std::tanh((*this)[a]), 2), 0}); }

  /// From the last entry to the first: an entry's gradient is complete when its turn comes.
  void backward() {
    entries.back().gradient = 1;
    for (std::size_t i = entries.size(); i-- > 0;) {
      const Entry e = entries[i];
      if (e.left >= 0) entries[static_cast<std::size_t>(e.left)].gradient += e.gradient * e.by_left;
      if (e.right >= 0) entries[static_cast<std::size_t>(e.right)].gradient += e.gradient * e.by_right;
    }
  }
};

int main() {
  // y = tanh(a b + a), by the tape above: entries 0 and 1 are a and b
  {
    Tape tape;
    const int a = tape.leaf(0.5), b = tape.leaf(-3);
    const int m = tape.mul(a, b), s = tape.add(m, a);
    tape.tanh(s);
    tape.backward();
    std::printf("by hand: dy/da = %.6f  dy/db = %.6f\n", tape.entries[0].gradient, tape.entries[1].gradient);
  }

  // By Duet: tensors of one number (f64 is double), which the tape shall follow.
  Tensor a = Tensor::scalar(0.5, {.dtype = f64, .requires_grad = true});
  Tensor b = Tensor::scalar(-3, {.dtype = f64, .requires_grad = true});
  const Tensor y = tanh(a * b + a);
  std::printf("%s", to_table({y}, {.names = {{"a", a}, {"b", b}}}).c_str());
  y.backward();  // a.grad() is dy/da, a tensor of one number again, and item() is that number
  std::printf("by Duet: dy/da = %.6f  dy/db = %.6f\n", a.grad().item(), b.grad().item());
}
