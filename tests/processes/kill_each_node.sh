#!/usr/bin/env bash
# Goal: SIGKILL of any one node in the middle of a copy is not noticed by the copy.
# Method: for each node in turn, start a copy, kill the node after a moment, let the copy finish;
# the node must come back by itself, serve and be caught up; everything is compared afterwards.
. "$(dirname "$0")/lib.sh"
tree=${TREE:-/usr/include}
large_mib=${LARGE_MIB:-256}
nodes=${NODES:-5}

start_cluster --nodes "$nodes"
checksums "$tree" "$work/tree.sums"
head -c $((large_mib * 1048576)) /dev/urandom >"$work/large"
(cd "$work" && sha256sum large) >"$work/large.sums"
for n in $(seq "$nodes"); do
  victim=$(node_pid "$n")
  mkdir "$mnt/$n" || fail "mkdir $n"
  ( cp -a "$tree" "$mnt/$n/tree" && cp "$work/large" "$mnt/$n/large" ) >"$work/copy.$n" 2>&1 &
  copier=$!
  sleep $((1 + n % 3))
  kill -9 "$victim" || fail "kill node $n"
  say "killed node $n (pid $victim) in the middle of the copy"
  if wait $copier; then say "ok: the copy finished without an error"; else
    fail "the copy: $(tail -n 3 "$work/copy.$n")"; fi
  wait_until 30 "node $n is back" sh -c "[ \"\$(cat '$dir/node-$n/pid')\" != $victim ] && kill -0 \"\$(cat '$dir/node-$n/pid')\""
  wait_until 60 "all nodes serve again" all_nodes_serve
done
remount
for n in $(seq "$nodes"); do
  expect "copy $n: the tree" sh -c "cd '$mnt/$n/tree' && sha256sum --quiet -c '$work/tree.sums'"
  expect "copy $n: the large file" sh -c "cd '$mnt/$n' && sha256sum --quiet -c '$work/large.sums'"
done
expect "fsck finds nothing but leaks" t fsck --check
finish
