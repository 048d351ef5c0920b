#!/usr/bin/env bash
# Goal: a real tree and a large file come back unchanged, whichever way they are read.
# Method: copy /usr/include and a file of LARGE_MIB (2048) through the mount; compare digests from
# a fresh mount process with dropped caches, after down/up, from a second mount, and with one
# drive's block file missing. The mount may not grow beyond 256 MiB while the large file is written.
. "$(dirname "$0")/lib.sh"
large_mib=${LARGE_MIB:-2048}
tree=${TREE:-/usr/include}

start_cluster
say "copying $tree and $large_mib MiB"
checksums "$tree" "$work/tree.sums"
expect "cp -a of $tree" cp -a "$tree" "$mnt/tree"
head -c $((large_mib * 1048576)) /dev/urandom >"$work/large"
(cd "$work" && sha256sum large) >"$work/large.sums"
mount_pid=$(t status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["mounts"][0]["pid"])')
( peak=0
  while kill -0 "$mount_pid" 2>/dev/null && [ ! -e "$work/copied" ]; do
    r=$(awk '/^RssAnon/{print $2}' "/proc/$mount_pid/status" 2>/dev/null)
    [ "${r:-0}" -gt $peak ] && peak=$r && echo $peak >"$work/peak"
    sleep 0.1
  done ) &
watcher=$!
s=$SECONDS
expect "cp of the large file" cp "$work/large" "$mnt/large"
touch "$work/copied"
wait $watcher
say "$large_mib MiB in $((SECONDS - s)) s; the mount's peak: $(cat "$work/peak") KiB"
[ "$(cat "$work/peak")" -lt 262144 ] || fail "the mount grew beyond 256 MiB"

verify() {
  expect "$1: the tree" sh -c "cd '$2/tree' && sha256sum --quiet -c '$work/tree.sums'"
  expect "$1: the large file" sh -c "cd '$2' && sha256sum --quiet -c '$work/large.sums'"
}
# attributes DIR: what `cp -a` must have kept.
attributes() { (cd "$1" && find . -printf '%p %y %m %U %G %l %s\n' | awk '$2=="d"{NF--} 1' | sort); }
remount
verify "fresh mount, dropped caches" "$mnt"
attributes "$tree" >"$work/a" ; attributes "$mnt/tree" >"$work/b"
expect "names, kinds, modes, owners, links and sizes" diff "$work/a" "$work/b"
t down >/dev/null || fail "down"
t up --mount "$mnt" >"$work/up.out" 2>&1 || { cat "$work/up.out"; fail "up again"; }
verify "after down and up" "$mnt"
mkdir -p "${mnt}2"
expect "second mount" t mount "${mnt}2"
verify "second mount" "${mnt}2"
t umount "${mnt}2" >/dev/null || fail "umount of the second mount"
t down >/dev/null || fail "down"
mv "$dir/node-2/drive-3" "$work/lost-drive" || fail "no drive directory to lose"
t up --mount "$mnt" >"$work/up.out" 2>&1 || { cat "$work/up.out"; fail "up without a drive"; }
verify "one drive's file missing" "$mnt"
expect "the missing drive is not re-created" test ! -e "$dir/node-2/drive-3/blocks"
t status | sed 's/^/    /'
finish
