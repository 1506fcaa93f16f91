// The list of every op, which the sweep, the op reference and the exporter iterate.
#pragma once

#include <span>
#include <string_view>

#include <duet/core/op.hpp>

namespace duet {

/// Every op of the library, in the order of ops/op_list.inc.
std::span<const OpPtr> registry();

/// The op of this name, or null.
OpPtr find_op(std::string_view name);

}  // namespace duet
