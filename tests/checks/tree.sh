#!/bin/bash
# The tree as a whole: no file longer than a head holds, no path of one particular machine, no tabs or CRLF, no name of
# a test case that gets lost on its way, no link that leads nowhere.
. "$(dirname "$0")/common.sh"
longest=500

while read -r file; do
  case $file in
    *.cpp | *.hpp | *.cmake | *.sh | *.py | *CMakeLists.txt)
      lines=$(wc -l <"$file")
      [ "$lines" -le $longest ] || complain "$file has $lines lines, at most $longest"
      ;;
  esac
  case $file in
    LICENSE | *.png | *.safetensors | *.npy | *.npz | *.tif | *.bin | tests/checks/tree.sh) continue ;;
  esac
  found=$(grep -nIE '(^|[^A-Za-z0-9_.])/(home|work|root|Users|mnt)/[A-Za-z0-9_]|\.\./shared' "$file" || true)
  [ -z "$found" ] || complain "$file names a path of one machine: $found"
  case $file in
    *.cpp | *.hpp | *.cmake | *CMakeLists.txt | *.sh)
      ! grep -qP '\t|\r' "$file" || complain "$file has tabs or carriage returns"
      ;;
  esac
  case $file in
    tests/*.cpp)  # CMake's lists end at a semicolon: such a case is never run. doctest's end at a comma: no label is found.
      ! grep -q 'TEST_CASE("[^"]*;' "$file" || complain "$file has a case with a semicolon in its name"
      ! grep -A99 '^TEST_SUITE("long")' "$file" | grep -q 'TEST_CASE("[^"]*,' || complain "$file has a long case with a comma in its name"
      ;;
  esac
done < <(all_files)

# Links of the pages that lead into the tree.
while read -r page; do
  for link in $(awk '/^```/ {code = !code} !code' "$page" | grep -oE '\]\([^)#: ]+' | sed 's/^](//' || true); do
    [ -e "$(dirname "$page")/$link" ] || complain "$page links to $link, which is not there"
  done
done < <(all_files | grep '\.md$')
finish "tree: every file fits in a head and names no machine"
