#!/usr/bin/env bash
# Goal: what was promised as durable survives SIGKILL of all nodes at once.
# Method: writers create, write, fsync or close, rename and note each success in a local file
# *after* the call returned; all nodes are killed at a random moment, ROUNDS times; after each `up`
# everything noted must be there with the right bytes.
. "$(dirname "$0")/lib.sh"
rounds=${ROUNDS:-3}
nodes=${NODES:-5}

start_cluster --nodes "$nodes"
cat >"$work/writer.py" <<'PY'
import hashlib, os, sys
base, notes, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
log = open(notes, "a")
def note(*words):
    log.write(" ".join(words) + "\n"); log.flush(); os.fsync(log.fileno())
i = 0
while True:
    i += 1
    name = f"{seed}-{i}"
    size = [100, 5000, 8192, 30000, 300000, 3000000][i % 6]
    data = hashlib.sha256(name.encode()).digest() * (size // 32 + 1)
    data = data[:size]
    path = os.path.join(base, name)
    try:
        if i % 2:
            with open(path, "wb") as f:
                f.write(data)
                f.flush(); os.fsync(f.fileno())
                note("file", name, str(size))       # promised by fsync
        else:
            with open(path, "wb") as f:
                f.write(data)
            note("file", name, str(size))           # promised by close
        if i % 5 == 0:
            os.mkdir(path + ".d"); note("dir", name + ".d")
        if i % 7 == 0:
            os.rename(path, path + ".r"); note("moved", name, name + ".r")
        if i % 11 == 0:
            os.unlink(path + ".r" if i % 7 == 0 else path); note("gone", name)
    except OSError as e:
        print("stopped:", e); sys.exit(0)
PY
cat >"$work/checker.py" <<'PY'
import hashlib, os, sys
base, notes = sys.argv[1], sys.argv[2]
files, dirs, unsure = {}, set(), set()
for line in open(notes):
    w = line.split()
    if w[0] == "file": files[w[1]] = (w[1], int(w[2]))
    elif w[0] == "dir": dirs.add(w[1])
    elif w[0] == "moved": files[w[1]] = (w[2], files[w[1]][1])
    elif w[0] == "gone": del files[w[1]]
last = max((int(n.split("-")[1]) for n in list(files) + ["0-0"]), default=0)
bad = 0
for name, (where, size) in files.items():
    seed, i = name.split("-")
    want = (hashlib.sha256(name.encode()).digest() * (size // 32 + 1))[:size]
    candidates = [where]
    if int(i) % 7 == 0 or int(i) % 11 == 0:
        # the last operation on it may have happened without being noted
        candidates += [name, name + ".r"]
    for c in candidates:
        p = os.path.join(base, c)
        if os.path.exists(p):
            got = open(p, "rb").read()
            if got != want:
                print("WRONG", p, len(got), "of", size); bad += 1
            break
    else:
        if not (int(i) % 11 == 0 and int(i) == last):
            print("LOST", where); bad += 1
for d in dirs:
    if not os.path.isdir(os.path.join(base, d)):
        print("LOST", d); bad += 1
print(len(files), "files and", len(dirs), "directories promised,", bad, "wrong or lost")
sys.exit(1 if bad else 0)
PY
for r in $(seq "$rounds"); do
  mkdir -p "$mnt/r$r" || fail "mkdir r$r"
  writers=()
  for w in 1 2 3; do
    python3 "$work/writer.py" "$mnt/r$r" "$work/notes.$r.$w" "$w" >"$work/writer.$w" 2>&1 &
    writers+=($!)
  done
  sleep "$((2 + RANDOM % 4)).$((RANDOM % 10))"
  failsafe=$(cat "$dir/failsafe.pid")
  kill -9 "$failsafe" $(for n in $(seq "$nodes"); do node_pid "$n"; done)
  say "round $r: killed failsafe and all nodes at once"
  # The mount outlives its nodes; what its writers were promised is what counts.
  t umount "$mnt" >/dev/null 2>&1 || umount -l "$mnt"
  for w in "${writers[@]}"; do kill -9 "$w" 2>/dev/null; wait "$w" 2>/dev/null; done
  t up --mount "$mnt" >"$work/up.out" 2>&1 || { cat "$work/up.out"; fail "up after round $r"; finish; }
  for w in 1 2 3; do
    if python3 "$work/checker.py" "$mnt/r$r" "$work/notes.$r.$w" >"$work/check"; then
      say "ok: round $r writer $w: $(tail -n 1 "$work/check")"
    else
      fail "round $r writer $w: $(tail -n 5 "$work/check")"
    fi
  done
done
expect "fsck finds nothing but leaks" t fsck --check
finish
