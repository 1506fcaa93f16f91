// What run.json says of the machine.
#pragma once

#include <string>

namespace duet::examples {

/// The processor's name as the system gives it, or "unknown".
std::string cpu_name();

}  // namespace duet::examples
