#!/usr/bin/env bash
# Goal: a power cut of the whole machine at any moment loses nothing that was promised, and leaves
# nothing but leaks.
# Method: nodes hold unsynced bytes in memory (hold_unsynced); a mixed load (promises.py) runs on
# small drives; after 0.2 to 2.5 s failsafe, nodes and mount are killed at once; after `up` every
# promise is checked and `fsck --check` run. ROUNDS times, or as often as fits into LIMIT_S seconds.
# From round to round the disks keep none, few or many of the unsynced pages. SEED repeats the
# choices of this script; what the machine does beside is never the same twice.
UNSYNCED=1
KEEP_ONE_IN=0
. "$(dirname "$0")/lib.sh"
rounds=${ROUNDS:-200}
limit_s=${LIMIT_S:-1000000}
RANDOM=${SEED:-$$}
seed=$RANDOM
say "seed $seed"

# How many unsynced pages reach the disks early, from the next start on.
keep_one_in() {
  python3 - "$1" "$dir"/node-*/node.json <<'PY'
import json, sys
for path in sys.argv[2:]:
    config = json.load(open(path))
    config["options"]["hold_unsynced.keep_one_in"] = sys.argv[1]
    json.dump(config, open(path, "w"), indent=2)
PY
}

DRIVE_SIZE=256MiB
start_cluster --drives 2 --set partition.lease_ms=2000
done_rounds=0
while [ $done_rounds -lt "$rounds" ] && [ $((SECONDS - began)) -lt "$limit_s" ] && [ $failures = 0 ]; do
  done_rounds=$((done_rounds + 1))
  mount_pid=$(t status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["mounts"][0]["pid"])')
  start_writers 3 "$seed.$done_rounds"
  ms=$((200 + RANDOM % 2300))
  sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
  cut=$(date +%s.%N)
  kill -9 "$mount_pid" &
  kill_everything
  wait $!
  stop_writers
  umount -l "$mnt" 2>/dev/null
  keep=$((RANDOM % 4))
  keep_one_in "$((keep == 0 ? 0 : keep == 1 ? 2 : keep == 2 ? 8 : 100))"
  t up --mount "$mnt" >"$work/up.out" 2>&1 || { cat "$work/up.out"; fail "up after round $done_rounds"; break; }
  check_promises 3 "round $done_rounds, cut after $ms ms" "$cut"
  t fsck --check >"$work/fsck" 2>&1 || fail "round $done_rounds: fsck: $(tail -n 5 "$work/fsck")"
done
say "$done_rounds power cuts"
finish
