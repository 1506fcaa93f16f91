// The switch for convolutions with fewer multiplications than their definition has (Winograd's minimal filtering).
// They are used for f32 where they are expected to be faster, and are on by default; docs/winograd.md has what they do.
#pragma once

namespace duet {

/// Whether they may be used: true unless the environment says DUET_WINOGRAD=0 (ValueError for anything but 0 and 1),
/// or set_fast_convolutions said otherwise. For the whole process.
///
/// With them a convolution's result differs from the exact one by some 1e-6 of its norm instead of 1e-7, sums of small
/// integers are no longer exact, and a NaN or an infinity spreads to the outputs of the tiles that it touches (of 4 x 4
/// elements in each output phase). Results still do not depend on the number of threads.
bool fast_convolutions();

/// Allows or forbids them; any thread's next convolution follows.
void set_fast_convolutions(bool allowed);

/// Allows or forbids them, for the whole process, for the length of a scope.
class FastConvolutionsGuard {
 public:
  explicit FastConvolutionsGuard(bool allowed) : before_(fast_convolutions()) { set_fast_convolutions(allowed); }
  ~FastConvolutionsGuard() { set_fast_convolutions(before_); }
  FastConvolutionsGuard(const FastConvolutionsGuard&) = delete;
  FastConvolutionsGuard& operator=(const FastConvolutionsGuard&) = delete;

 private:
  bool before_;
};

}  // namespace duet
