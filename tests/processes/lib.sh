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

start_cluster() { # extra arguments of `up`
  mkdir -p "$mnt"
  t up --drive-size "${DRIVE_SIZE:-512MiB}" --port-first "$port" --mount "$mnt" "$@" >"$work/up.out" 2>&1 ||
    { cat "$work/up.out"; fail "up"; finish; }
  say "cluster is up: $*"
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
