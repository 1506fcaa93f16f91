#!/bin/bash
# core <- ops <- autograd <- nn <- examples, bench: a layer includes only what stands to its left.
. "$(dirname "$0")/common.sh"

check() {
  local layer=$1 forbidden=$2
  [ -d "$layer" ] || return 0
  local found
  found=$(grep -rnE "#include [<\"](duet/)?($forbidden)/" "$layer" --include='*.hpp' --include='*.cpp' --include='*.inc' || true)
  [ -z "$found" ] || complain "$layer must not include $forbidden:"$'\n'"$found"
}
check core 'ops|autograd|nn|examples|bench|tests'
check ops 'autograd|nn|examples|bench|tests'
check autograd 'nn|examples|bench|tests'
check nn 'examples|bench|tests'
check examples 'bench|tests'
# The umbrella is for users.
found=$(grep -rn '#include <duet/duet.hpp>' core ops autograd nn || true)
[ -z "$found" ] || complain "a layer includes the umbrella header:"$'\n'"$found"
# A vjp calls public ops; only ops/ itself may know kernels, and its public headers do not show them.
found=$(grep -rnE '#include <duet/ops/kernels/' core autograd nn/*.hpp $(public_headers | grep '^ops/') 2>/dev/null || true)
[ -z "$found" ] || complain "kernels are included outside ops/:"$'\n'"$found"
finish "layers: every include goes to the left"
