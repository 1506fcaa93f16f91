// The registry, from the list.
#include <duet/ops/registry.hpp>

#include <vector>

#include <duet/ops/define.hpp>

namespace duet {

std::span<const OpPtr> registry() {
  static const std::vector<OpPtr> ops{
#define DUET_OP(name) name##_op(),
#include <duet/ops/op_list.inc>
#undef DUET_OP
  };
  return ops;
}

OpPtr find_op(std::string_view name) {
  for (const OpPtr& op : registry())
    if (op->name == name) return op;
  return nullptr;
}

}  // namespace duet
