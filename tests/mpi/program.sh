#!/bin/bash
# `duet_unet train` under mpirun. Arguments: case, mpirun, duet_unet, duet_test_mpi (which compares weights), a folder.
set -euo pipefail
case=$1 mpirun=$2 unet=$3 tool=$4 folder=$5
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
flags=(--generated 3 --val 1 --depth 2 --crop 32 --threads 1 --seed 3 --pictures 1)

fail() {
  echo "$*"
  exit 1
}
# says FILE TEXT: the file has the text, once.
says() {
  [ "$(grep -c -- "$2" "$1")" = 1 ] || { cat "$1"; fail "expected once: $2"; }
}

case $case in
  same)
    flags+=(--base 4 --batch 4 --validations 2 --steps 5)
    # One process with the whole batch, and several with parts of it: weights agree up to rounding (f32).
    while read -r name ranks more; do
      # shellcheck disable=SC2086  # words of flags
      "$unet" train "${flags[@]}" --quiet --out "$name-alone" $more >/dev/null
      for n in ${ranks//,/ }; do
        # shellcheck disable=SC2086
        "$mpirun" -n "$n" "$unet" train "${flags[@]}" --quiet --sync-batch-norm --out "$name-$n" $more \
          >"$name-$n.txt" </dev/null
        printf '%s, %s processes: ' "$name" "$n"
        "$tool" compare "$name-alone/last.safetensors" "$name-$n/last.safetensors" 2e-6
        says "$name-$n.txt" "done after 5 steps"
        says "$name-$n/run.json" "\"processes\": $n"
        diff <(cd "$name-alone" && find . | sort) <(cd "$name-$n" && find . | sort) || fail "other files than alone"
      done
    done <<'RUNS'
plain 2,4
weighed 2 --loss focal --class-weights auto
classes 2 --classes 4 --loss ce+dice --class-weights auto
RUNS
    # Batch norm over a part alone is something else, which the comparison notices.
    "$mpirun" -n 2 "$unet" train "${flags[@]}" --quiet --out parts >/dev/null
    ! "$tool" compare plain-alone/last.safetensors parts/last.safetensors 2e-6 || fail "the comparison sees nothing"
    ;;
  resume)
    # Interrupted and gone on with, to the bit; with dropout, whose random numbers differ by rank.
    flags+=(--base 4 --batch 4 --validations 2 --dropout 0.2 --steps 6 --quiet)
    "$mpirun" -n 2 "$unet" train "${flags[@]}" --out whole >/dev/null
    "$mpirun" -n 2 "$unet" train "${flags[@]}" --out parts --stop-after 3 >first.txt
    says first.txt "interrupted after 3 steps"
    "$mpirun" -n 2 "$unet" train --resume --out parts --threads 1 >second.txt
    says second.txt "going on after step 3"
    cmp whole/last.safetensors parts/last.safetensors
    ;;
  dies)
    # A rank is killed: the job ends with a message, and what was saved before goes on, in one process.
    "$mpirun" -n 2 "$unet" train "${flags[@]}" --base 4 --batch 4 --steps 1000000 --validations 500000 --quiet --out run >log.txt 2>&1 &
    job=$!
    while [ ! -e run/unfinished/state.safetensors.previous ]; do
      kill -0 $job 2>/dev/null || { cat log.txt; fail "the job has ended"; }
      sleep 0.1
    done
    killed=
    for process in $(pgrep -P $job); do
      if tr '\0' '\n' <"/proc/$process/environ" | grep -qx OMPI_COMM_WORLD_RANK=1; then
        kill -KILL "$process"
        killed=$process
      fi
    done
    [ -n "$killed" ] || { kill $job; echo "skipped: no process of rank 1 below mpirun (not Open MPI?)"; exit 0; }
    status=0
    wait $job || status=$?
    [ $status -ne 0 ] || fail "mpirun reports success although a rank was killed"
    grep -q "signal 9\|exited" log.txt || { cat log.txt; fail "no message says what happened"; }
    "$unet" train --resume --out run --steps 1 >after.txt
    says after.txt "going on after step"
    says after.txt "done after"
    ;;
  refuses)
    status=0
    "$mpirun" -n 1 "$unet" train "${flags[@]}" --steps 2 --batch 4 --out run --base 4 : \
      -n 1 "$unet" train "${flags[@]}" --steps 2 --batch 4 --out run --base 8 >log.txt 2>&1 || status=$?
    [ $status -ne 0 ] || fail "ranks with different models were accepted"
    says log.txt "rank 1 has another set of flags and images than rank 0: '--base 8', not '--base 4'"
    [ ! -e run ] || fail "the folder was touched"
    status=0
    "$mpirun" -n 2 "$unet" train "${flags[@]}" --base 4 --batch 3 --steps 2 --out run >log.txt 2>&1 || status=$?
    [ $status -ne 0 ] || fail "a batch that does not divide was accepted"
    says log.txt "2 processes do not divide a batch of 3"
    ;;
esac
