#!/bin/bash
# extract.sh PAGE FOLDER: writes every ```cpp block of a page to FOLDER/NN.cpp, and an ```output block that follows one
# to FOLDER/NN.output. A block without a main function is the inside of one, in namespace duet; its #include lines
# go before. Files that would not change are left alone, so that nothing is compiled twice.
set -eu
page=$1 folder=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk -v folder="$work" '
  /^```cpp *$/ { ++number; block = sprintf("%s/%02d", folder, number); out = block ".body"; next }
  /^```output *$/ && number { out = block ".output"; next }
  /^```/ { if (out) { close(out); out = "" } else { out = "/dev/null" }; next }
  out { print > out }
' "$page"
for body in "$work"/*.body; do
  [ -e "$body" ] || continue
  program=${body%.body}.cpp
  if grep -q 'int main(' "$body"; then
    mv "$body" "$program"
  else
    {
      echo '#include <duet/duet.hpp>'
      grep '^#include' "$body" || true
      echo 'using namespace duet;'
      echo 'int main() {'
      grep -v '^#include' "$body"
      echo '}'
    } >"$program"
    rm "$body"
  fi
done
mkdir -p "$folder"
for old in "$folder"/*.cpp "$folder"/*.output; do
  [ ! -e "$old" ] || [ -e "$work/${old##*/}" ] || rm "$old"
done
for new in "$work"/*; do
  [ -e "$new" ] || continue
  cmp -s "$new" "$folder/${new##*/}" || cp "$new" "$folder/"
done
