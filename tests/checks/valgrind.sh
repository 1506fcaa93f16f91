#!/bin/bash
# A training step under valgrind: no invalid access, no use of what was never written, no block lost. valgrind answers
# for the processor and offers no AVX-512, so it is the kernels for AVX2 that run. Argument: the program.
. "$(dirname "$0")/common.sh"
program=$2
command -v valgrind >/dev/null 2>&1 || { echo "skipped: no valgrind here (Debian: apt-get install valgrind)"; exit 0; }
log=$(mktemp)
weights=$(mktemp)
trap 'rm -f "$log" "$weights"' EXIT
valgrind --leak-check=full --errors-for-leak-kinds=definite,indirect --error-exitcode=9 --log-file="$log" \
  "$program" "$weights" || complain "$(cat "$log")"
grep -E 'definitely lost|no leaks are possible|ERROR SUMMARY' "$log"
finish "valgrind: a training step is clean"
