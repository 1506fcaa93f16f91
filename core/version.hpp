// The version of Duet, which CMake reads from here. Semantic versioning; before 1.0 a minor version may change
// interfaces.
#pragma once

#define DUET_VERSION_MAJOR 0
#define DUET_VERSION_MINOR 1
#define DUET_VERSION_PATCH 0
#define DUET_VERSION "0.1.0"

namespace duet {

/// The version of the library that this program runs with, which a shared library can make another than
/// DUET_VERSION.
const char* version();

}  // namespace duet
