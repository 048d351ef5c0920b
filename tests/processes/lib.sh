# Shared by the scripts of the `cluster` ring; source it first. Nothing runs before `start_cluster`.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TROUPE=${TROUPE:-$here/build/release/troupe}
[ -x "$TROUPE" ] || { echo "no program at $TROUPE: build it, or set TROUPE" >&2; exit 1; }
[ -c /dev/fuse ] || { echo "no /dev/fuse: this is a failure, not a reason to skip" >&2; exit 1; }
TROUPE=$(readlink -f "$TROUPE")
work=$(mktemp -d "${TROUPE_TEST_DIR:-/var/tmp}/troupe-test.XXXXXX")
dir=$work/cluster
mnt=$work/mnt
port=$((20000 + ($$ % 2000) * 10))
failures=0
began=$SECONDS

say() { printf '[%3d s] %s\n' $((SECONDS - began)) "$*"; }
fail() { say "FAILED: $*"; failures=$((failures + 1)); }
# expect TEXT COMMAND...: the command must succeed.
expect() {
  local text=$1
  shift
  if "$@" >"$work/out" 2>&1; then say "ok: $text"; else fail "$text: $(tail -n 5 "$work/out")"; fi
}
t() { "$TROUPE" "$@" --dir "$dir"; }

# UNSYNCED=1: the nodes keep unsynced bytes in memory, so that SIGKILL is a power cut.
# KEEP_ONE_IN=n (0: none): so many of the unsynced pages reach the disk early all the same.
unsynced=()
[ -z "${UNSYNCED:-}" ] ||
  unsynced=(--set hold_unsynced.enabled=true --set "hold_unsynced.keep_one_in=${KEEP_ONE_IN:-8}")

start_cluster() { # extra arguments of `up`
  mkdir -p "$mnt"
  set -- "${unsynced[@]}" "$@"
  t up --drive-size "${DRIVE_SIZE:-512MiB}" --port-first "$port" --mount "$mnt" "$@" >"$work/up.out" 2>&1 ||
    { cat "$work/up.out"; fail "up"; finish; }
  say "cluster is up: $*"
}
kill_everything() { # failsafe and nodes, at once
  local n pids
  pids=$(cat "$dir/failsafe.pid")
  for n in "$dir"/node-*/pid; do pids="$pids $(cat "$n")"; done
  kill -9 $pids
}

# Writers that note what they were promised: promises.py. One directory of the mount for each.
writers=()
start_writers() { # NUMBER SEED
  local w
  for w in $(seq "$1"); do
    mkdir -p "$mnt/w$w" || fail "mkdir w$w"
    python3 "$here/tests/processes/promises.py" write "$mnt/w$w" "$work/state.$w" "$work/notes.$w" \
      "$2.$w" >"$work/writer.$w" 2>&1 &
    writers+=($!)
  done
  for w in $(seq "$1"); do
    until [ -s "$work/notes.$w" ] || ! kill -0 "${writers[w - 1]}" 2>/dev/null; do sleep 0.05; done
  done
}
stop_writers() {
  local pid
  for pid in "${writers[@]}"; do kill -9 "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; done
  writers=()
}
check_promises() { # NUMBER TEXT TIME_OF_CUT
  local w
  for w in $(seq "$1"); do
    if TIME_OF_CUT=$3 python3 "$here/tests/processes/promises.py" check "$mnt/w$w" "$work/state.$w" \
      "$work/notes.$w" >"$work/check.$w" 2>&1; then
      say "ok: $2, writer $w: $(head -n 1 "$work/check.$w")"
    else
      fail "$2, writer $w: $(cat "$work/check.$w" "$work/writer.$w")"
      cp "$work/notes.$w" "$work/failed-notes.$failures"
    fi
    rm -f "$work/notes.$w"
  done
}
node_pid() { cat "$dir/node-$1/pid"; }
node_alive() { kill -0 "$(node_pid "$1")" 2>/dev/null; }
mounted() { mountpoint -q "$1"; }
# wait_until SECONDS TEXT COMMAND...: polls until the command succeeds.
wait_until() {
  local seconds=$1 text=$2 end=$((SECONDS + $1))
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { fail "$text: not within $seconds s"; return 1; }
    sleep 0.2
  done
  say "ok: $text"
}
remount() { # a fresh mount process and no kernel caches
  t umount "$mnt" >/dev/null 2>&1 || fail "umount $mnt"
  echo 3 >/proc/sys/vm/drop_caches
  t mount "$mnt" >"$work/mount.out" 2>&1 || { cat "$work/mount.out"; fail "mount $mnt"; }
}
# checksums DIR FILE: digests of everything below DIR, names relative to it.
checksums() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 -r sha256sum) >"$2"; }
all_nodes_serve() { t status --json | python3 -c '
import json,sys
s=json.load(sys.stdin)
sys.exit(0 if all(n["answers"] and n["lease_valid"] for n in s["nodes"]) and s["partitions_without_leader"]==0 else 1)'; }

cleanup() {
  cd /
  for m in "$mnt" "${mnt}2"; do
    mounted "$m" && { t umount "$m" >/dev/null 2>&1 || umount -l "$m"; }
  done
  if [ $failures -gt 0 ] && [ -n "${TROUPE_KEEP:-}" ]; then
    t down >/dev/null 2>&1
    echo "kept: $work"
    return
  fi
  [ -d "$dir" ] && t down --destroy >/dev/null 2>&1
  rm -rf "$work"
}
trap cleanup EXIT
finish() {
  if [ $failures = 0 ]; then say "passed"; exit 0; fi
  say "$failures failed"
  exit 1
}
