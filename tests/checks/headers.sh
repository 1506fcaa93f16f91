#!/bin/bash
# Public headers: each compiles alone, includes neither a heavy standard header nor another library, and stands in
# duet.hpp. Arguments: source folder, C++ compiler, include folder.
. "$(dirname "$0")/common.sh"
compiler=$2 include=$3
banned='functional|map|unordered_map|random|chrono|thread|filesystem|iostream|sstream|regex|algorithm'
libraries='xtensor|xtl|xsimd|fmt|nlohmann|png|zlib|tiffio|cblas|CLI'

for header in $(public_headers); do
  if is_bridge "$header"; then continue; fi
  found=$(grep -nE "^ *# *include *<($banned)>|^ *# *include *[<\"](($libraries)[/.])" "$header" || true)
  [ -z "$found" ] || complain "$header includes what costs every user: $found"
  [ "$header" = duet.hpp ] || grep -q "#include <duet/$header>" duet.hpp ||
    complain "$header is public but not in duet.hpp: run scripts/umbrella, or say Internal in its first comment"
done
for header in $(grep -o 'duet/[a-z_0-9/]*\.hpp' duet.hpp | sed 's|duet/||'); do
  [ -f "$header" ] || [ "$header" = core/format.hpp ] || complain "duet.hpp names $header, which is not there"
done

# What duet.hpp drags in, directly or not.
dragged=$(echo '#include <duet/duet.hpp>' | $compiler -std=c++20 -x c++ -I "$include" -M - | tr ' \\' '\n\n' |
  grep -vF "$include/" | grep -E "/($libraries)[/.]" || true)
[ -z "$dragged" ] || complain "duet.hpp drags in:"$'\n'"$dragged"

alone() {
  echo "#include <duet/$1>" | $2 -std=c++20 -fsyntax-only -Wall -Wextra -Werror -x c++ -I "$3" - 2>&1 |
    sed "s|^|$1 alone: |" | head -3
}
export -f alone
# A bridge to a library that is not here is left out.
compilable() {
  public_headers | if echo '#include <dlpack/dlpack.h>' | $compiler -x c++ -E - >/dev/null 2>&1; then cat; else grep -v dlpack; fi
}
errors=$(compilable | xargs -P "$(nproc)" -I{} bash -c "alone {} '$compiler' '$include'")
[ -z "$errors" ] || complain "$errors"
finish "headers: $(public_headers | wc -l) public ones compile alone and are lean"
