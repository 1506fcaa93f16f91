#!/bin/sh
# Fails if a workload of `duet_bench train` asks the system for memory after its third step. Argument: duet_bench.
set -e
rows=$("$1" train --seconds 0 --json)
echo "$rows" | sed 's/.*"case": "\([^"]*\)".*"system_calls_after_third_step": \([0-9]*\).*/\1 \2/'
! echo "$rows" | grep -v '"system_calls_after_third_step": 0}'
