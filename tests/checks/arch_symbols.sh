#!/bin/bash
# A function that the compiler emits as weak in two builds of a kernel file is merged by the linker, and the one for
# a newer CPU may win on an old one. So none may be in the objects of two instruction sets, but those in a namespace
# xsimd_<arch>, which differ. Arguments: source folder, then one file per set that lists its objects, one a line.
. "$(dirname "$0")/common.sh"
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
for list in "$@"; do
  number=$((number + 1))
  [ -s "$list" ] || complain "no objects in $list"
  while read -r object; do
    # W, V and u: weak function, weak object, unique global.
    nm --defined-only "$object" | awk '$2 ~ /^[WVu]$/ {print $3}'
  done < <(tr ';' '\n' <"$list") | sort -u >"$work/$number"
done
shared=$(sort "$work"/* | uniq -d | c++filt | grep -vE 'xsimd_(baseline|avx2|avx512)' | grep -vE '^DW\.ref\.' || true)
[ -z "$shared" ] || complain "weak symbols in two instruction sets:"$'\n'"$shared"
finish "arch_symbols: $number instruction sets share nothing that a linker merges"
