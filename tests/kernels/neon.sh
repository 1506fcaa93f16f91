#!/bin/sh
# The convolution and matrix kernels on NEON: built by the cross compiler, run under emulation, against the same
# independent loops as here. Says so and exits with 77 where the tools are missing (Debian: g++-aarch64-linux-gnu,
# qemu-user).
#
#     neon.sh SOURCE_DIR BUILD_DIR [arguments of the tests]
set -e
source=$1 build=$2
shift 2
for tool in aarch64-linux-gnu-g++ qemu-aarch64; do
  if ! command -v $tool > /dev/null; then
    echo "SKIPPED: $tool is not installed (Debian: g++-aarch64-linux-gnu, qemu-user)"
    exit 77
  fi
done
# Headers that know no machine come from this one; the compiler's own folders must not mix with those of the system.
mkdir -p "$build/include" "$build/objects"
ln -sfn "$source" "$build/include/duet"
for header in fmt xsimd doctest; do
  [ -d "/usr/include/$header" ] || { echo "SKIPPED: no /usr/include/$header"; exit 77; }
  ln -sfn "/usr/include/$header" "$build/include/$header"
done
for file in "$source"/ops/kernels/conv*.cpp "$source"/ops/kernels/matmul.cpp "$source"/ops/kernels/simd.cpp \
  "$source"/ops/kernels/arch/conv*.cpp "$source"/ops/kernels/arch/winograd*.cpp "$source"/ops/conv_geometry.cpp "$source"/ops/fast_convolutions.cpp \
  "$source"/core/allocator.cpp "$source"/core/arena.cpp "$source"/core/parallel.cpp "$source"/core/platform.cpp "$source"/core/shape.cpp \
  "$source"/tests/kernels/*.cpp; do
  object="$build/objects/$(echo "${file#"$source"/}" | tr / _).o"
  # Tests are not optimised much: what is under test is.
  case $file in */tests/*) level=-O1 ;; *) level=-O2 ;; esac
  aarch64-linux-gnu-g++ -std=c++20 $level -DFMT_HEADER_ONLY -Wno-psabi -I"$build/include" -c "$file" -o "$object"
done
aarch64-linux-gnu-g++ -static "$build"/objects/*.o -o "$build/kernel_tests" -pthread
exec qemu-aarch64 "$build/kernel_tests" "$@"
