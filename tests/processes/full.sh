#!/usr/bin/env bash
# Goal: full drives beside empty ones, then a full cluster: the writer gets ENOSPC, what was there
# before stays right, deleting works and gives room to write again.
# Method: tiny drives. With one node stopped the drives of the others are filled; then it goes on,
# and everything is filled. Each time: fill with files that are synced one by one until a call
# fails, look at everything, overwrite (must fail or work whole), delete, write. Last, the tables may
# take 24 MiB only: small files, whose bytes lie in them, fill that.
. "$(dirname "$0")/lib.sh"
cat >"$work/fill.py" <<'PY'
import errno, hashlib, os, sys, time
what, base = sys.argv[1], sys.argv[2]
MIB = 1 << 20
def content(name, size):
    return (hashlib.sha256(name.encode()).digest() * (size // 32 + 1))[:size]
def put(path, data, flags=os.O_CREAT | os.O_EXCL):
    """Writes and syncs. Returns (call, errno) of the first failure, or None."""
    call = "open"
    failed = None
    fd = -1
    try:
        fd = os.open(path, os.O_WRONLY | flags, 0o600)
        call = "write"
        for at in range(0, len(data), MIB // 4):
            os.pwrite(fd, data[at:at + MIB // 4], at)
        call = "fsync"
        os.fsync(fd)
    except OSError as e:
        failed = (call, e.errno)
    if fd >= 0:
        try:
            os.close(fd)
        except OSError as e:
            failed = failed or ("close", e.errno)
    return failed
if what == "fill":      # BASE SIZE: until it is full; names of whole files to stdout
    size, i, began = int(sys.argv[3]), 0, time.time()
    while True:
        name = f"f{i}"
        failed = put(os.path.join(base, name), content(name, size))
        if failed:
            print(f"{failed[0]}: {errno.errorcode.get(failed[1], failed[1])} after {i} files",
                  file=sys.stderr)
            sys.exit(0 if failed[1] == errno.ENOSPC else 1)
        print(name, size, flush=True)
        i += 1
        if time.time() - began > 300:
            sys.exit("never full")
elif what == "check":   # BASE LIST
    bad = 0
    for line in open(sys.argv[3]):
        name, size = line.split()
        path = os.path.join(base, name)
        if os.path.exists(path) and open(path, "rb").read() != content(name, int(size)):
            print("WRONG", path)
            bad += 1
    sys.exit(1 if bad else 0)
elif what == "small":   # BASE: small files until there is no room; names to stdout
    import threading
    ends, lock = [], threading.Lock()
    def work(t):
        i = 0
        while not ends and i < 4000:
            name = f"s{t}-{i}"
            failed = put(os.path.join(base, name), content(name, 7000))
            with lock:
                if failed:
                    ends.append(failed)
                else:
                    print(name, 7000, flush=True)
            i += 1
    threads = [threading.Thread(target=work, args=(t,)) for t in range(8)]
    for t in threads: t.start()
    for t in threads: t.join()
    print(ends, file=sys.stderr)
    sys.exit(0 if ends and all(e[1] == errno.ENOSPC for e in ends) else 1)
elif what == "put":     # BASE NAME SIZE
    name, size = sys.argv[3], int(sys.argv[4])
    failed = put(os.path.join(base, name), content(name, size), os.O_CREAT)
    print(failed)
    sys.exit(1 if failed else 0)
elif what == "over":    # BASE NAME SIZE: new bytes over old ones; each block is old or new after
    name, size = sys.argv[3], int(sys.argv[4])
    path = os.path.join(base, name)
    old, new = open(path, "rb").read(), os.urandom(size)
    failed = put(path, new, 0)
    now = open(path, "rb").read()
    blocks = range(0, size, 8192)
    mixed = [b for b in blocks if now[b:b + 8192] not in (old[b:b + 8192], new[b:b + 8192])]
    print("overwriting said", failed, "; blocks that are neither:", len(mixed))
    whole = now == new if failed is None else len(now) == len(old)
    sys.exit(0 if whole and not mixed and (failed is None or failed[1] == errno.ENOSPC) else 1)
PY
free_bytes() { t status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["space"]["free_bytes"])'; }
has_free() { [ "$(free_bytes)" -ge "$1" ]; }
fill() { # DIRECTORY TEXT
  mkdir -p "$mnt/$1"
  if python3 "$work/fill.py" fill "$mnt/$1" 4000000 >"$work/$1.list" 2>"$work/$1.end"; then
    say "ok: $2: $(cat "$work/$1.end")"
  else
    fail "$2: $(tail -n 3 "$work/$1.end")"
  fi
}
look() { # TEXT
  remount
  expect "$1: earlier data is right" sh -c "cd '$mnt/keep' && sha256sum --quiet -c '$work/keep.sums'"
  for l in "$work"/*.list; do
    expect "$1: what fsync promised in $(basename "$l" .list)" \
      python3 "$work/fill.py" check "$mnt/$(basename "$l" .list)" "$l"
  done
}

DRIVE_SIZE=64MiB
start_cluster --drives 2 --set partition.lease_ms=2000 --set tables.bytes_max=$((24 << 20))
mkdir "$mnt/keep"
cp -r /usr/include/linux/usb /usr/include/linux/netfilter "$mnt/keep/"
head -c 9000000 /dev/urandom >"$mnt/keep/large"
checksums "$mnt/keep" "$work/keep.sums"
cp "$mnt/keep/large" "$mnt/over"
free_before=$(free_bytes)

victim=$(node_pid 5)
kill -STOP "$victim"
fill four "full drives of four nodes, one stopped"
kill -CONT "$victim"
wait_until 60 "all nodes serve" all_nodes_serve
look "full drives beside empty ones"
expect "overwriting fails whole or works" python3 "$work/fill.py" over "$mnt" over 9000000
rm -r "$mnt/four" && say "ok: deleted what had filled them" || fail "rm"
rm "$work/four.list"
wait_until 60 "a writer has room again" python3 "$work/fill.py" put "$mnt" again 8000000
rm -f "$mnt/again"
wait_until 60 "the room is back" has_free $((free_before * 95 / 100))

fill all "full cluster"
look "full cluster"
expect "overwriting fails whole or works" python3 "$work/fill.py" over "$mnt" over 9000000
expect "names can be changed" sh -c "mv '$mnt/all/f0' '$mnt/all/g0' && mv '$mnt/all/g0' '$mnt/all/f0'"
expect "a file can be cut off" truncate -s 0 "$mnt/all/f1"
sed -i '/^f1 /d' "$work/all.list"
rm "$mnt"/all/f?[02468] && say "ok: deleted some of it" || fail "rm"
wait_until 60 "a writer has room again" python3 "$work/fill.py" put "$mnt" again 8000000
look "after deleting"

mkdir "$mnt/small"
if python3 "$work/fill.py" small "$mnt/small" >"$work/small.list" 2>"$work/small.end"; then
  say "ok: no room for metadata after $(wc -l <"$work/small.list") small files: $(cat "$work/small.end")"
else
  fail "small files: $(tail -n 3 "$work/small.end")"
fi
t event list --json --count 1000 | grep -q metadata_full && say "ok: an event says so" || fail "no event"
look "no room for metadata"
expect "names can be changed" mv "$mnt/small/s0-0" "$mnt/small/moved"
expect "a file can be cut off" truncate -s 0 "$mnt/small/moved"
rm -r "$mnt/small" && say "ok: deleted the small files" || fail "rm"
rm "$work/small.list"
wait_until 90 "there is room for metadata again" python3 "$work/fill.py" put "$mnt" small-again 7000
expect "fsck finds nothing but leaks" t fsck --check
finish
