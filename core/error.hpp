// The error types that Duet throws. Every message reads `[op] what is wrong: the values`, so that one line
// tells which call to mend. How messages are put together is core/fail.hpp's business.
#pragma once

#include <stdexcept>
#include <string>

namespace duet {

/// What every Duet error derives from.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Ranks, sizes or channel counts that do not fit together, or a size that cannot exist.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// An element type that the operation does not take, or two that differ.
class DtypeError : public Error {
 public:
  using Error::Error;
};

/// An argument outside its range.
class ValueError : public Error {
 public:
  using Error::Error;
};

/// A file that is missing, broken, foreign, or cannot be written.
class IoError : public Error {
 public:
  using Error::Error;
};

/// Misuse of the tape: a second backward, a stale saved tensor, a cotangent of another shape.
class AutogradError : public Error {
 public:
  using Error::Error;
};

/// Memory that the system or the set limit does not give.
class MemoryError : public Error {
 public:
  using Error::Error;
};

}  // namespace duet
