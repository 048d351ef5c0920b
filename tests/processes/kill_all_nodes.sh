#!/usr/bin/env bash
# Goal: what was promised as durable survives SIGKILL of all nodes at once; with UNSYNCED=1, where
# unsynced bytes die with the process, a power cut of all nodes.
# Method: three writers note each promise (promises.py); all nodes are killed at a random moment,
# ROUNDS times; after each `up` everything noted must be there with the right bytes.
. "$(dirname "$0")/lib.sh"
rounds=${ROUNDS:-3}

start_cluster --nodes "${NODES:-5}"
for r in $(seq "$rounds"); do
  start_writers 3 "$r"
  sleep "$((2 + RANDOM % 4)).$((RANDOM % 10))"
  cut=$(date +%s.%N)
  kill_everything
  say "round $r: killed failsafe and all nodes at once"
  # The mount outlives its nodes; what its writers were promised is what counts.
  t umount "$mnt" >/dev/null 2>&1 || umount -l "$mnt"
  stop_writers
  t up --mount "$mnt" >"$work/up.out" 2>&1 || { cat "$work/up.out"; fail "up after round $r"; finish; }
  check_promises 3 "round $r" "$cut"
done
expect "fsck finds nothing but leaks" t fsck --check
finish
