# What the checks share: where the sources are, which headers are public, how a failure is told.
# Usage in a check: . "$(dirname "$0")/common.sh"; then use $source, public_headers, complain, finish.
set -eu
source_folder=${1:?the source folder}
cd "$source_folder"
failures=0

complain() {
  echo "$*"
  failures=$((failures + 1))
}

finish() {
  if [ "$failures" -ne 0 ]; then
    echo "$failures failures"
    exit 1
  fi
  echo "$1"
}

# The first comment of a header says "Internal" where no promise is made to users.
is_internal() {
  sed '/^[^/]/q; /^$/q' "$1" | grep -qi 'internal'
}

# Every header for users, the bridges to other libraries included.
public_headers() {
  for header in duet.hpp $(find core ops autograd nn -name '*.hpp' -not -path '*/kernels/*' | sort); do
    is_internal "$header" || echo "$header"
  done
}

is_bridge() {
  case $1 in core/format.hpp | core/xtensor.hpp | core/dlpack.hpp) true ;; *) false ;; esac
}

# Every file of Duet's own that people read.
all_files() {
  find . \( -name .git -o -name 'build*' -o -name 'out*' -o -name 'install*' -o -name node_modules \
    -o -name __pycache__ -o -name .cache \) -prune -o -type f -print | sed 's|^\./||' | sort
}
