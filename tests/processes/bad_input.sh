#!/usr/bin/env bash
# Goal: every refusal names the object, the cause and the next step, and changes nothing.
# Method: wrong command lines, wrong machines (port taken, disk full, no /dev/fuse, no io_uring, no
# permission) and wrong data (another cluster's, a newer format's, a foreign certificate) against a
# real cluster; a second cluster runs beside it.
. "$(dirname "$0")/lib.sh"
small=(--drive-size 64MiB)
other=$work/other
other_port=$((port + 500))

# refused CODE PATTERN... -- COMMAND...: the command fails with this exit code and says all patterns.
refused() {
  local code=$1 patterns=()
  shift
  while [ "$1" != -- ]; do patterns+=("$1"); shift; done
  shift
  "$@" >"$work/said" 2>&1
  local got=$?
  [ $got = "$code" ] || { fail "exit code $got instead of $code: $*: $(head -n 5 "$work/said")"; return; }
  for p in "${patterns[@]}"; do
    grep -qF -- "$p" "$work/said" || { fail "$* does not say '$p': $(head -n 6 "$work/said")"; return; }
  done
  say "ok: ${*:2} -> $(grep -m1 -E 'TRP-|not a command|:' "$work/said" | sed 's/^ *//' | cut -c1-100)"
}
edit_json() { # FILE KEY VALUE
  python3 -c 'import json,sys
f,k,v=sys.argv[1:]
d=json.load(open(f)); d[k]=json.loads(v); json.dump(d,open(f,"w"))' "$@"
}

# -- command lines
refused 2 "'stauts' is not a command" "did you mean 'status'" -- "$TROUPE" stauts
refused 2 "nodes" -- "$TROUPE" up --nodes 0 --dir "$dir"
refused 1 '"+9z"' "+2d:1n" -- "$TROUPE" up --level +9z --dir "$dir"
refused 1 "64 MiB" -- "$TROUPE" up --drive-size 12 --dir "$dir"
refused 2 "drive-size" -- "$TROUPE" up --drive-size many --dir "$dir"
refused 1 TRP-1011 "+2d:1n needs" "what would work: +1n" -- \
  "$TROUPE" up --nodes 2 --drives 1 --level +2d:1n --dir "$dir"
refused 1 TRP-1014 "$dir" "troupe up" -- "$TROUPE" down --dir "$dir"
refused 1 TRP-1014 "$dir" -- "$TROUPE" status --dir "$dir"
refused 1 TRP-1002 "$dir" MiB -- "$TROUPE" up --drive-size 64TiB --dir "$dir"
python3 -c '
import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(); print("ready", flush=True); time.sleep(600)' \
  $((port + 2)) >"$work/listener" &
listener=$!
wait_until 30 "somebody else listens on port $((port + 2))" grep -q ready "$work/listener"
refused 1 TRP-1001 "127.0.0.1:$((port + 2))" "--port-first" -- \
  "$TROUPE" up "${small[@]}" --port-first "$port" --dir "$dir"
kill $listener; wait $listener 2>/dev/null
mkdir -p "$work/full" && touch "$work/full/somebody's file"
refused 1 TRP-1033 "$work/full" -- "$TROUPE" up "${small[@]}" --dir "$work/full"
mkdir -m 700 "$work/closed" && cp "$TROUPE" "$work/troupe" && chmod 755 "$work" "$work/troupe"
refused 1 TRP-1005 "$work/closed" -- \
  setpriv --reuid 65534 --regid 65534 --clear-groups "$work/troupe" up "${small[@]}" --dir "$work/closed/c"
expect "nothing was made by all of that" test ! -e "$dir" -a ! -e "$work/closed/c"

# -- two clusters side by side
DRIVE_SIZE=64MiB start_cluster
refused 1 TRP-1001 -- "$TROUPE" up "${small[@]}" --port-first "$port" --dir "$other"
expect "a second cluster" "$TROUPE" up "${small[@]}" --port-first "$other_port" --dir "$other"
echo first >"$mnt/who"
expect "a file in the second" sh -c "echo second | '$TROUPE' put - /who --dir '$other'"
expect "each has its own" sh -c "[ \"\$(cat '$mnt/who')\" = first ] && [ \"\$('$TROUPE' cat /who --dir '$other')\" = second ]"
expect "up of what runs changes nothing" t up
refused 1 TRP-1018 "/no/such" -- t cat /no/such
refused 1 TRP-1030 "99" -- t config show --effective --node 99
refused 1 TRP-1025 "node/9" -- t actors kill node/9/drive/1
mkdir "$work/taken" && touch "$work/taken/x"
refused 1 TRP-1024 "$work/taken" -- t mount "$work/taken"
refused 1 TRP-1029 "$work/nowhere" -- t umount "$work/nowhere"
refused 1 TRP-1008 /dev/fuse -- unshare -m sh -c \
  "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && '$TROUPE' mount '$work/m3' --dir '$dir'"

# -- names
python3 - "$mnt" <<'PY' || fail "names"
import errno, os, sys
base = os.path.join(os.fsencode(sys.argv[1]), b"names")
os.mkdir(base)
for i in range(1, 256):
    if i != ord("/"):
        open(os.path.join(base, b"n" + bytes([i])), "wb").close()
listed = set(os.listdir(base))
assert listed == {b"n" + bytes([i]) for i in range(1, 256) if i != ord("/")}, "a name changed"
open(os.path.join(base, b"x" * 255), "wb").close()
assert b"x" * 255 in os.listdir(base)
try:
    open(os.path.join(base, b"x" * 256), "wb")
    sys.exit("256 bytes were taken")
except OSError as e:
    assert e.errno == errno.ENAMETOOLONG, e
PY
say "ok: names of 1 to 255 bytes, of every byte but / and NUL; 256 bytes are ENAMETOOLONG"
refused 1 TRP-1010 -- t mkdir "/$(printf 'x%.0s' $(seq 256))"

# -- certificates of somebody else
expect "the second cluster stops" "$TROUPE" down --dir "$other"
cp -r "$dir/admin" "$work/admin" && cp -r "$other/admin/." "$dir/admin/"
refused 1 TRP-1007 -- t status
printf 'garbage' >"$dir/admin/admin.pem"
refused 1 TRP-1006 "$dir/admin/admin.pem" -- t status
rm "$dir/admin/admin.pem"
refused 1 "$dir/admin/admin.pem" -- t status
cp -r "$work/admin/." "$dir/admin/"
expect "with its own again" t status

# -- data of somebody else: the node serves without it and leaves it alone
expect "down" t down
mv "$dir/node-2/drive-1" "$work/own-drive" && cp -r "$other/node-2/drive-1" "$dir/node-2/drive-1"
refused 4 TRP-1003 "$dir/node-2/drive-1" -- t config check "$dir/node-2/node.json"
mkdir "$work/node-3" && cp "$dir/node-3/node.pem" "$dir/node-3/node.key" "$work/node-3/"
cp "$other/node-3/node.pem" "$other/node-3/node.key" "$dir/node-3/"
refused 4 TRP-1007 "$dir/node-3/node.pem" -- t config check "$dir/node-3/node.json"
cp "$work/node-3/node.pem" "$work/node-3/node.key" "$dir/node-3/"
before=$(sha256sum "$dir/node-2/drive-1/blocks")
expect "up with a foreign drive" t up --mount "$mnt"
expect "the foreign drive is named" sh -c "'$TROUPE' event list --severity error --count 1000 --dir '$dir' | grep TRP-1003"
expect "data are there" grep -q first "$mnt/who"
expect "down again" t down
expect "the foreign drive is unchanged" test "$before" = "$(sha256sum "$dir/node-2/drive-1/blocks")"
rm -rf "$dir/node-2/drive-1" && mv "$work/own-drive" "$dir/node-2/drive-1"

# -- a newer format
cp "$dir/cluster.json" "$work/cluster.json" && edit_json "$dir/cluster.json" format 99
refused 1 TRP-1004 "cluster.json" 99 -- t up
cp "$work/cluster.json" "$dir/cluster.json"
cp "$dir/node-4/node.json" "$work/node.json" && edit_json "$dir/node-4/node.json" format 99
refused 4 TRP-1004 "node.json" -- t config check "$dir/node-4/node.json"
cp "$work/node.json" "$dir/node-4/node.json"

# -- no io_uring: the kernel refuses it to this cluster
cat >"$work/noring.c" <<'C'
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int n, char** args) {
  struct sock_filter rule[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {4, rule};
  if (n < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
      || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
    return 125;
  execvp(args[1], args + 1);
  return 126;
}
C
expect "a program that forbids io_uring" gcc -o "$work/noring" "$work/noring.c"
expect "up without io_uring" "$work/noring" "$TROUPE" up --dir "$dir"
expect "status says which" sh -c "'$TROUPE' status --dir '$dir' | grep -q threads"
expect "a mount" t mount "$mnt"
expect "data are there" grep -q first "$mnt/who"
expect "and more are taken" sh -c "head -c 3000000 /dev/urandom >'$mnt/f' && sync '$mnt/f'"
# -- a mount of which another mount namespace has a copy, as containers and services have
unshare -m sleep 300 &
keeper=$!
expect "it is unmounted all the same" t umount "$mnt"
expect "and mounted again" t mount "$mnt"
expect "with what was written" test "$(stat -c %s "$mnt/f")" = 3000000
kill $keeper
# -- a machine that does nothing for some seconds: silent nodes are asked again
stopped=$(cat "$dir"/node-*/pid)
kill -STOP $stopped
(sleep 4; kill -CONT $stopped) &
expect "a command waits for nodes that are silent" t part list
wait $!
"$TROUPE" down --destroy --dir "$other" >/dev/null 2>&1 || fail "down of the second cluster"
finish
