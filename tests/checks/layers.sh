#!/bin/bash
# core <- ops <- autograd <- nn <- onnx, mpi <- examples, bench: a layer includes only what stands to its left.
. "$(dirname "$0")/common.sh"

check() {
  local layer=$1 forbidden=$2
  [ -d "$layer" ] || return 0
  local found
  found=$(grep -rnE "#include [<\"](duet/)?($forbidden)/" "$layer" --include='*.hpp' --include='*.cpp' --include='*.inc' || true)
  [ -z "$found" ] || complain "$layer must not include $forbidden:"$'\n'"$found"
}
check core 'ops|autograd|nn|onnx|mpi|examples|bench|tests'
check ops 'autograd|nn|onnx|mpi|examples|bench|tests'
check autograd 'nn|onnx|mpi|examples|bench|tests'
check nn 'onnx|mpi|examples|bench|tests'
check onnx 'mpi|examples|bench|tests'
check mpi 'onnx|bench|tests'
check examples 'bench|tests'
# The umbrella is for users.
found=$(grep -rn '#include <duet/duet.hpp>' core ops autograd nn || true)
[ -z "$found" ] || complain "a layer includes the umbrella header:"$'\n'"$found"
# Kernels are the ops' own business: nobody else knows them, nor does a header for users.
found=$(grep -rn '#include <duet/ops/kernels/' core autograd || true)
for header in $(public_headers); do
  found+=$(grep -Hn '#include <duet/ops/kernels/' "$header" || true)
done
[ -z "$found" ] || complain "kernels are included where they are not known:"$'\n'"$found"
# What another operating system does otherwise stands in one file.
found=$(grep -rnE '#include <(unistd|fcntl|sched|pthread|dlfcn|cxxabi|execinfo|signal|poll|dirent|windows|io|sys/.*|mach/.*)\.h>' \
  core ops autograd nn onnx mpi | grep -v '^core/platform\.cpp:' || true)
[ -z "$found" ] || complain "the operating system is core/platform.cpp's business:"$'\n'"$found"
finish "layers: every include goes to the left"
