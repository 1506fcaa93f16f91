// The name of the op that this thread is computing, for errors that arise far below it (out of memory). Internal.
#pragma once

namespace duet {

/// The op this thread computes, or "allocate" outside any.
const char* op_in_flight();

/// Names the op in flight for the length of a scope. `op` must outlive it.
class OpInFlight {
 public:
  explicit OpInFlight(const char* op);
  ~OpInFlight();
  OpInFlight(const OpInFlight&) = delete;
  OpInFlight& operator=(const OpInFlight&) = delete;

 private:
  const char* before_;
};

}  // namespace duet
