// The scopes of a thread, as a list through the stack.
#include <duet/core/scope.hpp>

namespace duet {
namespace {
thread_local const ScopeGuard* innermost = nullptr;
}

std::string scope_path() { return innermost == nullptr ? std::string() : innermost->path_(innermost->object_); }

ScopeGuard::ScopeGuard(const void* object, std::string (*path)(const void*))
    : object_(object), path_(path), outer_(innermost) {
  innermost = this;
}
ScopeGuard::~ScopeGuard() { innermost = outer_; }

}  // namespace duet
