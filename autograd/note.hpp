// The note that observers leave on a node. Internal to autograd/.
#pragma once

#include <duet/core/node.hpp>

namespace duet {

/// The node's note, made with the present module path if there was none.
NodeNote& note_of(Node& node);

}  // namespace duet
