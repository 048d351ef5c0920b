#!/usr/bin/env bash
# Goal: nobody gets in who should not, nothing that an intruder sends crashes a node or disturbs a
# client that works, and events say what was refused. Certificates and the CA change, and one is
# revoked, while the client works.
# Method: five nodes and a mount that writes and reads all the time; the program `intruder` does by
# hand what a member never does.
. "$(dirname "$0")/lib.sh"
INTRUDER=${INTRUDER:-$(dirname "$TROUPE")/intruder}
[ -x "$INTRUDER" ] || { echo "no program at $INTRUDER: build the target intruder" >&2; exit 1; }
start_cluster
nodes=127.0.0.1:$((port + 1))   # node 1, for nodes
clients=127.0.0.1:$((port + 6)) # node 1, for clients
i() { "$INTRUDER" "$@"; }
# says TEXT WORD COMMAND...: the output must hold WORD, whatever the exit status.
says() {
  local text=$1 word=$2
  shift 2
  "$@" >"$work/said" 2>&1
  if grep -qF "$word" "$work/said"; then say "ok: $text ($word)"; else fail "$text: no '$word' in: $(cat "$work/said")"; fi
}
pids() { for n in 1 2 3 4 5; do node_pid $n; done; }

# The client that works: writes, reads back, compares, and notes every error and its longest wait.
python3 - "$mnt" "$work/stop" >"$work/client" 2>&1 <<'PY' &
import hashlib, os, sys, time
mnt, stop = sys.argv[1:3]
rounds = longest = 0
data = os.urandom(1 << 20)
while not os.path.exists(stop):
    began = time.time()
    path = f"{mnt}/w{rounds % 8}"
    body = rounds.to_bytes(8, "big") + data[rounds % 1000:]
    with open(path, "wb") as f:
        f.write(body)
        f.flush()
        os.fsync(f.fileno())
    with open(path, "rb") as f:
        if hashlib.sha256(f.read()).digest() != hashlib.sha256(body).digest():
            sys.exit(f"round {rounds}: other bytes")
    os.listdir(mnt)
    rounds += 1
    longest = max(longest, time.time() - began)
print(f"{rounds} rounds, longest {longest:.1f} s")
PY
worker=$!
pids >"$work/pids"

# -- certificates ---------------------------------------------------------------------------------
expect "forge with another CA" i forge "$dir" client 66 86400 "$work/wrong" --own-ca
expect "forge an expired one" i forge "$dir" client 66 -60 "$work/expired"
expect "forge a good client" i forge "$dir" client 66 86400 "$work/good"
expect "forge another" i forge "$dir" client 67 86400 "$work/thief"
expect "forge a node" i forge "$dir" node 2 86400 "$work/node"
expect "forge one that ends soon" i forge "$dir" client 68 12 "$work/soon"
says "another CA" TRP-1007 i enter "$work/wrong" client 66 "$clients"
says "an expired certificate" TRP-1006 i enter "$work/expired" client 66 "$clients"
says "a certificate of this CA" in i enter "$work/good" client 66 "$clients"
says "a client at the listener for nodes" TRP-1026 i enter "$work/good" client 66 "$nodes"
says "a node at the listener for clients" TRP-1026 i enter "$work/node" node 2 "$clients"
says "a client that says it is an admin" TRP-1026 i enter "$work/good" admin 66 "$clients"
says "a node that says it is another" TRP-1026 i enter "$work/node" node 1 "$nodes"

# -- roles ----------------------------------------------------------------------------------------
expect "a client's node and admin messages are refused" i roles "$work/good" client 66 "$clients"
say "   $(cat "$work/out")"
expect "a node's admin messages are refused, and what it says for node 1" \
  i roles "$work/node" node 2 "$nodes"
say "   $(cat "$work/out")"

# -- data connections -----------------------------------------------------------------------------
for trick in replay alter plain; do
  expect "data connection, $trick: not accepted" i data "$work/thief" client 67 "$clients" $trick
done

# -- garbage and floods ---------------------------------------------------------------------------
for at in "$nodes" "$clients"; do
  expect "garbage and plain text at $at" i garbage "$at" 60
done
for n in 1 2 3 4 5; do i flood "127.0.0.1:$((port + 5 + n))" 3000 6 >"$work/flood$n" & floods[n]=$!; done
sleep 3
expect "status during 15,000 connections" t status
says "a node's neighbour gets in meanwhile" in i enter "$work/node" node 2 "$nodes"
for n in 1 2 3 4 5; do wait "${floods[n]}" || fail "flood $n"; say "   flood $n: $(cat "$work/flood$n")"; done

# -- while an open session looks on ---------------------------------------------------------------
i data "$work/soon" client 68 "$clients" alter >/dev/null 2>&1
expect "revoke by name" t cert revoke 00112233445566778899aabbccddeeff --reason "never seen"
serial=$(openssl x509 -in "$work/thief/own.pem" -noout -serial | cut -d= -f2 | tr A-F a-f)
expect "revoke the thief's" t cert revoke "$serial" --reason stolen
revoked() { i enter "$work/thief" client 67 "127.0.0.1:$((port + 5 + $1))" 2>&1 | grep -q TRP-1060; }
for n in 1 2 3 4 5; do wait_until 5 "node $n refuses the revoked certificate" revoked $n; done

# -- rotation under load --------------------------------------------------------------------------
expect "rotate all certificates" t cert rotate
expect "rotate the CA" t cert rotate --ca
expect "the old CA's last certificates are gone: retire it" t cert retire
says "a certificate of the old CA" TRP-1007 i enter "$work/good" client 66 "$clients"
t cert list --json >"$work/certs" || fail "cert list"
python3 - "$work/certs" <<'PY' || fail "certificates after the rotation"
import json, sys
listed = json.load(open(sys.argv[1]))
cas = [x for x in listed["certificates"] if x["name"] == "CA"]
now = [x for x in listed["certificates"] if x["current"]]
assert len(cas) == 1, cas
assert len(now) == 7, now
assert {x["authority"] for x in now} == {cas[0]["authority"]}, now
assert {x["state"] for x in now if x["name"] != "admin/1"} == {"in use"}, now
assert len(listed["revoked"]) == 2, listed["revoked"]
PY

# -- what is left ---------------------------------------------------------------------------------
touch "$work/stop"
if wait $worker; then say "ok: the client saw no error: $(cat "$work/client")"; else fail "the client: $(cat "$work/client")"; fi
expect "the mount ends as it should" t umount "$mnt"
pids | cmp -s - "$work/pids" && say "ok: no node died" || fail "a node died"
expect "every node serves" all_nodes_serve
t event list --count 20000 --json >"$work/events" || fail "event list"
python3 - "$work/events" <<'PY' || fail "events"
import collections, json, sys
events = json.load(open(sys.argv[1]))["events"]
names = collections.Counter(e["event"] for e in events)
print("    events:", {k: names[k] for k in sorted(names) if "refused" in k or "revoked" in k or "reload" in k or k in ("session_closed", "damaged_frame")})
for name in ("session_refused", "peer_refused", "message_refused", "stranger_refused",
             "certificate_revoked", "certificates_reloaded", "damaged_frame"):
    assert names[name] > 0, name
assert names["stranger_refused"] < 1000, names  # of tens of thousands
assert names["certificates_not_reloaded"] == 0, names
PY
finish
