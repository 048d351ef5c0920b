#!/usr/bin/env bash
# Goal: the leaders of the 16 partitions are on all nodes, every partition has commits, two
# partitions on one node commit in parallel, acknowledged commits had a majority of syncs.
. "$(dirname "$0")/lib.sh"
tree=${TREE:-/usr/include/linux}
start_cluster
expect "copy a tree" cp -a "$tree" "$mnt/tree"
for d in $(seq 64); do mkdir "$mnt/d$d" && echo "$d" >"$mnt/d$d/f"; done || fail "64 directories"
wait_until 60 "every leader is where it belongs" sh -c "'$TROUPE' part list --json --dir '$dir' | python3 -c '
import json,sys
p=json.load(sys.stdin)[\"partitions\"]
sys.exit(0 if all(x[\"leader\"]==x[\"preferred_leader\"] for x in p) else 1)'"
t part list --json >"$work/parts" || fail "part list"
python3 - "$work/parts" <<'PY' || fail "partitions"
import json, sys
p = json.load(open(sys.argv[1]))["partitions"]
nodes = {}
for x in p:
    nodes.setdefault(x["leader_node"], []).append(x["group"])
print("    leaders per node:", {n: len(g) for n, g in sorted(nodes.items())})
print("    commits per partition:", [x["commits"] for x in p])
assert len(p) == 16, len(p)
assert len(nodes) == 5, nodes
assert all(x["commits"] > 0 for x in p)
PY
say "ok: leaders on all nodes, commits in every partition"
# Two partitions led by one node, driven at once: both advance while the other does.
python3 - "$work/parts" "$mnt" "$TROUPE" "$dir" <<'PY' || fail "parallel commits"
import json, os, subprocess, sys, threading, time
parts = json.load(open(sys.argv[1]))["partitions"]
mnt, troupe, d = sys.argv[2:5]
owner = {}
for i in range(1, 65):
    lin = os.stat(f"{mnt}/d{i}").st_ino
    slot = lin >> 48
    for x in parts:
        if any(a <= slot < b for a, b in x["slots"]):
            owner.setdefault((x["leader_node"], x["group"]), i)
by_node = {}
for (node, group), i in owner.items():
    by_node.setdefault(node, []).append((group, i))
node, pair = next((n, g[:2]) for n, g in sorted(by_node.items()) if len(g) >= 2)
def commits():
    out = json.loads(subprocess.check_output([troupe, "part", "list", "--json", "--dir", d]))
    return {x["group"]: x["commits"] for x in out["partitions"]}
stop = False
def work(i):
    n = 0
    while not stop:
        n += 1
        open(f"{mnt}/d{i}/p{n}", "w").close()
ts = [threading.Thread(target=work, args=(i,)) for _, i in pair]
before = commits()
for t in ts: t.start()
samples = []
for _ in range(4):
    time.sleep(0.7)
    samples.append(commits())
stop = True
for t in ts: t.join()
for g, _ in pair:
    steps = [b[g] - a[g] for a, b in zip([before] + samples, samples)]
    print(f"    node {node} partition {g}: commits per interval {steps}")
    assert all(s > 0 for s in steps)
PY
say "ok: two partitions on one node commit in the same intervals"
# Every commit that was acknowledged is in the journals of a majority: syncs on at least 3 nodes.
t status --json >"$work/before" || fail "status"
for i in $(seq 200); do : >"$mnt/d1/s$i" || fail "create"; done
t status --json >"$work/after" || fail "status"
python3 - "$work/before" "$work/after" <<'PY' || fail "syncs"
import json, sys
def syncs(f):
    s = json.load(open(f))
    return {n["node"]: sum(d["journal_syncs"] for d in n["drives"]) for n in s["nodes"]}
a, b = syncs(sys.argv[1]), syncs(sys.argv[2])
more = {n: b[n] - a[n] for n in b}
print("    journal syncs for 200 acknowledged creates, one after the other:", more)
# Creates came one by one, so none shared a sync with another one.
assert sum(1 for v in more.values() if v >= 200) >= 3, more
PY
say "ok: each acknowledged commit had a majority of syncs"
finish
