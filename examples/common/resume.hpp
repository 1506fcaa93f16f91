// What --resume does with a flag.
#pragma once

namespace duet::examples {

enum class Resume {
  fixed,   ///< belongs to the run: taken from it, and another value is an error
  budget,  ///< how long it goes: taken from it, unless any of them is given anew
  free,    ///< belongs to the call
};

}  // namespace duet::examples
