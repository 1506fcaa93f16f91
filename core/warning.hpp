// Warnings: said where a call is allowed and yet most likely a mistake. The text reads as that of an error does,
// `[op] what is odd: what to do`.
#pragma once

#include <string>

#include <duet/core/callable.hpp>

namespace duet {

/// Receives warnings. It may throw; then the call that warns fails and has changed nothing.
using WarningHandler = Callable<void(const std::string&)>;

/// Sets what becomes of warnings, which is a line on stderr at first, and returns what it was; an empty handler drops
/// them. Each is said once, and once more after this call. Any thread may warn; handlers are set by one.
WarningHandler set_warning_handler(WarningHandler handler);

/// Passes `[op] text` on, unless `op` has warned before.
void warn_once(const char* op, const std::string& text);

}  // namespace duet
