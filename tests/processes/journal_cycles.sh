#!/usr/bin/env bash
# Goal: the journals go round and round: what was written is checkpointed and its room used again,
# also where a group is idle, and a killed actor or node finds its way back in the middle of it.
# Method: FILES small files in one directory, so in one partition (more bytes than the journals of
# its drives have), a replica actor and a node killed on the way; then everything is compared.
. "$(dirname "$0")/lib.sh"
files=${FILES:-18000}
start_cluster
cat >"$work/load.py" <<'PY'
import hashlib, os, sys, threading
base, files, check = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "check"
def content(i):
    return (hashlib.sha256(str(i).encode()).digest() * 256)[: 7000 + i % 1000]
def work(t):
    for i in range(t, files, 8):
        path = os.path.join(base, f"f{i}")
        if check:
            if open(path, "rb").read() != content(i):
                bad.append(path)
        else:
            with open(path, "wb") as f:
                f.write(content(i))
bad = []
errors = []
def guarded(t):
    try:
        work(t)
    except OSError as e:
        errors.append(str(e))
ts = [threading.Thread(target=guarded, args=(t,)) for t in range(8)]
for t in ts: t.start()
for t in ts: t.join()
print("\n".join((bad + errors)[:5]))
sys.exit(1 if bad or errors else 0)
PY
mkdir "$mnt/j" || fail mkdir
python3 "$work/load.py" "$mnt/j" "$files" write >"$work/load.out" 2>&1 &
loader=$!
sleep 5
actor=$(t actors list --json 'part/*' | python3 -c '
import json,sys
a=json.load(sys.stdin)["actors"]
print(next(x["path"] for x in a if x["state"].startswith("leader")))')
expect "kill the actor $actor" t actors kill "$actor"
sleep 5
kill -9 "$(node_pid 4)" && say "killed node 4"
if wait $loader; then say "ok: $files files of 7 to 8 KB were written"; else fail "writing: $(cat "$work/load.out")"; fi
wait_until 60 "all nodes serve" all_nodes_serve
remount
expect "all of them are right" python3 "$work/load.py" "$mnt/j" "$files" check
t event list --json --severity warn --count 1000 | python3 -c '
import json,sys
e=[x for x in json.load(sys.stdin)["events"] if x["event"] in ("journal_append_failed","journal_full")]
for x in e[:3]: print("    ", x)
sys.exit(1 if e else 0)' && say "ok: no journal was full" || fail "a journal was full"
expect "fsck finds nothing but leaks" t fsck --check
finish
