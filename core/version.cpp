// The version that the library was built as.
#include <duet/core/version.hpp>

namespace duet {

const char* version() { return DUET_VERSION; }

}  // namespace duet
