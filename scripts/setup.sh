# What scripts/test and scripts/demo begin with: finds what this machine lacks to build Duet, and installs it with
# apt where root or sudo is there; otherwise prints the one line to type and ends. Sourced, not run; leaves the
# working directory at the root of the sources and defines `jobs`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }

# have_header HEADER…: whether the compiler finds one of them.
have_header() {
  local header
  for header in "$@"; do
    echo "#include <$header>" | "${CXX:-g++}" -std=c++20 -x c++ -E - >/dev/null 2>&1 && return 0
  done
  return 1
}

# Whether the compiler is there and knows C++20 as Duet uses it: g++ 12, clang++ 14 or later.
have_compiler() {
  command -v "${CXX:-g++}" >/dev/null 2>&1 || return 1
  printf '#if (defined(__clang__) && __clang_major__ < 14) || (!defined(__clang__) && __GNUC__ < 12)\n#error old\n#endif\n' |
    "${CXX:-g++}" -std=c++20 -x c++ -E - >/dev/null 2>&1
}

# The Debian packages that are missing, one a line.
missing_packages() {
  have_compiler || echo g++
  command -v cmake >/dev/null 2>&1 || echo cmake
  command -v ninja >/dev/null 2>&1 || echo ninja-build
  command -v pkg-config >/dev/null 2>&1 || echo pkgconf
  have_header fmt/format.h || echo libfmt-dev
  have_header xsimd/xsimd.hpp || echo libxsimd-dev
  have_header xtl/xsequence.hpp || echo xtl-dev
  have_header xtensor/xarray.hpp xtensor/containers/xarray.hpp || echo libxtensor-dev
  have_header nlohmann/json.hpp || echo nlohmann-json3-dev
  have_header png.h || echo libpng-dev
  have_header tiffio.h || echo libtiff-dev
  have_header zlib.h || echo zlib1g-dev
  have_header CLI/CLI.hpp || echo libcli11-dev
  have_header doctest/doctest.h || echo doctest-dev
}

# What only tests want, and go without where it cannot be had: ONNX files and their checkers, NumPy, MPI,
# OpenCV's matrices.
optional_packages() {
  have_header onnx/onnx_pb.h || echo libonnx-dev libprotobuf-dev
  have_header dlpack/dlpack.h || echo libdlpack-dev
  have_header opencv4/opencv2/core/version.hpp || echo libopencv-core-dev
  { command -v mpicxx && command -v mpirun; } >/dev/null 2>&1 || echo libopenmpi-dev openmpi-bin
  /usr/bin/python3 -c 'import numpy' >/dev/null 2>&1 || echo python3-numpy
  (cd / && /usr/bin/python3 -c 'import onnx.checker') >/dev/null 2>&1 || echo python3-onnx
}

# The words that make apt-get run as root here, or nothing found: root, sudo without a password, sudo that may ask.
install_packages() {
  local run
  if ! command -v apt-get >/dev/null 2>&1; then
    return 1
  elif [ "$(id -u)" -eq 0 ]; then
    run=()
  elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    run=(sudo)
  else
    return 1
  fi
  "${run[@]}" apt-get update -q &&
    "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

# need_packages TEST PACKAGE…: for scripts that want more than a build does. Installs the packages if the command TEST
# fails, and ends where it still does.
need_packages() {
  local test=$1
  shift
  "$test" && return
  say "Missing here: $*"
  install_packages "$@" </dev/stdin || true
  "$test" || { echo "Please install it, then start again: sudo apt-get update && sudo apt-get install -y $*"; exit 1; }
}

# missing_packages looks through the compiler, so a machine without one lacks everything at first; asking again after
# g++ is in would give a shorter list, but apt skips what is there anyway.
missing=$(missing_packages | tr '\n' ' ')
if [ -n "$missing" ]; then
  say "Missing here: $missing"
  # shellcheck disable=SC2086  # one word a package
  if ! install_packages $missing </dev/stdin; then
    say "Please install what is missing, then start again:"
    echo "sudo apt-get update && sudo apt-get install -y $missing"
    exit 1
  fi
  missing=$(missing_packages | tr '\n' ' ')
  if [ -n "$missing" ]; then
    say "Still missing after the installation: $missing (g++ must be 12 or later: Debian 12 has it)"
    exit 1
  fi
fi

if [ "${wants_optional:-no}" = yes ]; then
  wanted=$(optional_packages | tr '\n' ' ')
  if [ -n "$wanted" ]; then
    say "Good to have: $wanted"
    # shellcheck disable=SC2086
    install_packages $wanted </dev/stdin || echo "Not installed; the tests that want them are skipped."
  fi
fi

# As many compilers as cores, but each may take a gigabyte.
jobs=$(nproc)
memory_gigabytes=$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo 2>/dev/null || echo "$jobs")
if [ "$memory_gigabytes" -lt "$jobs" ]; then jobs=$((memory_gigabytes > 1 ? memory_gigabytes : 1)); fi
