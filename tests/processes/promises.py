#!/usr/bin/env python3
"""A mixed load that notes what it was promised, and the check of it after a crash.

    promises.py write DIR STATE NOTES SEED    works below DIR until it is killed or a call fails
    promises.py check DIR STATE NOTES         compares; writes what is there to STATE

STATE (local) is what DIR held at the last check. NOTES (local) gets a line before each call and
one after it, so at most one call is in doubt. Durable on return: name-space calls; contents at
fsync, close, and each write to a file opened with O_SYNC. A file consists of cells of 512 bytes,
each says of which file, place and writing it is; of an unsynced cell any state since the last sync
may be there, of an unsynced length too. Anything else is a failure. One writer owns its DIR.
"""
import json, os, random, struct, sys, time

CELL = 512
FILES, DIRS = 14, 4


def cell(uid, index, version):
    return struct.pack("<IIII", uid, index, version, 0x74727570) * (CELL // 16)


def cells(uid, first, count, version):
    return b"".join(cell(uid, i, version) for i in range(first, first + count))


class Model:
    """names -> uid; per uid the versions of its durable cells and the changes since."""

    def __init__(self, path):
        state = {"names": {}, "dirs": [], "files": {}, "uid": 0, "version": 0}
        if os.path.exists(path):
            state = json.load(open(path))
        self.names = state["names"]
        self.dirs = set(state["dirs"])
        self.files = {int(u): list(v) for u, v in state["files"].items()}
        self.uid, self.version = state["uid"], state["version"]
        self.pending = {u: [] for u in self.files}

    def save(self, path):
        json.dump({"names": self.names, "dirs": sorted(self.dirs), "uid": self.uid,
                   "version": self.version,
                   "files": {u: self.files[u] for u in self.names.values()}}, open(path, "w"))

    def change(self, uid, what):
        """A write ["w", first, count, version] or truncation ["t", count] that began."""
        self.pending[uid].append(what)
        if what[0] == "w":
            self.version = max(self.version, what[3])

    def synced(self, uid):
        self.files[uid] = self.now(uid)
        self.pending[uid] = []

    def now(self, uid):
        v = list(self.files[uid])
        for p in self.pending[uid]:
            end = p[1] + p[2] if p[0] == "w" else p[1]
            if p[0] == "t":
                del v[end:]
            v += [0] * (end - len(v))
            if p[0] == "w":
                v[p[1]:end] = [p[3]] * p[2]
        return v

    def begin(self, call):
        """What may be true from now on: contents only."""
        if call[0] == "create":
            self.uid = max(self.uid, call[2])
            self.files[call[2]], self.pending[call[2]] = [], []
        elif call[0] in ("w", "t"):
            self.change(call[1], [call[0]] + call[2:])

    def done(self, call):
        if call[0] == "create":
            self.names[call[1]] = call[2]
        elif call[0] == "sync":
            self.synced(call[1])
        elif call[0] == "unlink":
            del self.names[call[1]]
        elif call[0] == "rename":
            self.names[call[2]] = self.names.pop(call[1])
        elif call[0] == "mkdir":
            self.dirs.add(call[1])
        elif call[0] == "rmdir":
            self.dirs.discard(call[1])


class Writer:
    def __init__(self, base, state, notes, seed):
        self.base, self.model = base, Model(state)
        self.notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self.random = random.Random(seed)
        self.open = {}  # uid -> (descriptor, O_SYNC)

    def note(self, *words):
        os.write(self.notes, (json.dumps(words) + "\n").encode())

    def call(self, call, run):
        self.note("begin", call)
        self.model.begin(call)
        try:
            result = run()
        except OSError as e:
            self.note("failed", time.time(), e.errno, str(e))
            print("stopped:", call[:2], e)
            sys.exit(0)
        self.note("done")
        self.model.done(call)
        return result

    def path(self, name):
        return os.path.join(self.base, name)

    def descriptor(self, name, uid):
        if uid not in self.open:
            always = self.random.random() < 0.15
            flags = os.O_RDWR | (os.O_SYNC if always else 0)
            self.open[uid] = (self.call(["open"], lambda: os.open(self.path(name), flags)), always)
        return self.open[uid]

    def close(self, uid):
        if uid in self.open:
            fd, _ = self.open.pop(uid)
            self.call(["sync", uid], lambda: os.close(fd))

    def write_some(self, name, uid):
        r = self.random
        fd, always = self.descriptor(name, uid)
        for _ in range(r.randint(1, 4)):
            length = len(self.model.now(uid))
            first = length if r.random() < 0.3 else r.randint(0, length)
            count = r.choice([1, 3, 16, 17, 60, 256, 600, 2100])
            count = max(1, min(count, 6000 - first))
            version = self.model.version + 1
            data = cells(uid, first, count, version)
            put = self.call(["w", uid, first, count, version],
                            lambda: os.pwrite(fd, data, first * CELL))
            if put != len(data):
                self.note("failed", time.time(), 0, "short write")
                sys.exit(0)
            if always:
                self.note("begin", ["sync", uid])
                self.note("done")
                self.model.synced(uid)
        self.finish(uid)

    def finish(self, uid):
        way = self.random.random()
        if way < 0.35 and uid in self.open:
            fd = self.open[uid][0]
            self.call(["sync", uid], lambda: (os.fsync if way < 0.2 else os.fdatasync)(fd))
        if way < 0.15 or way > 0.6:
            self.close(uid)

    def step(self):
        r, m = self.random, self.model
        names = sorted(m.names)
        what = r.random()
        if len(names) < 3 or (what < 0.2 and len(names) < FILES):
            uid = m.uid + 1
            name = f"f{uid}"
            if m.dirs and r.random() < 0.4:
                name = f"{r.choice(sorted(m.dirs))}/f{uid}"
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
            fd = self.call(["create", name, uid], lambda: os.open(self.path(name), flags, 0o600))
            self.open[uid] = (fd, False)
            return self.write_some(name, uid)
        name = r.choice(names)
        uid = m.names[name]
        if what < 0.55:
            self.write_some(name, uid)
        elif what < 0.65:
            fd, _ = self.descriptor(name, uid)
            count = r.randint(0, len(m.now(uid)) + 40)
            self.call(["t", uid, count], lambda: os.ftruncate(fd, count * CELL))
            self.finish(uid)
        elif what < 0.8:
            other = r.choice(names) if r.random() < 0.5 else f"r{m.version}-{uid}"
            if other == name or os.path.dirname(other) != os.path.dirname(name):
                other = os.path.join(os.path.dirname(name), f"m{m.version}-{uid}")
            if other == name:
                return
            replaced = m.names.get(other)
            self.call(["rename", name, other], lambda: os.rename(self.path(name), self.path(other)))
            if replaced is not None:
                self.close(replaced)
        elif what < 0.88:
            self.call(["unlink", name], lambda: os.unlink(self.path(name)))
            self.close(uid)
        elif what < 0.94 and len(m.dirs) < DIRS:
            d = f"d{m.version}"
            if d not in m.dirs:
                self.call(["mkdir", d], lambda: os.mkdir(self.path(d)))
        elif m.dirs:
            d = r.choice(sorted(m.dirs))
            if not any(n.startswith(d + "/") for n in names):
                self.call(["rmdir", d], lambda: os.rmdir(self.path(d)))


class Checker:
    def __init__(self, base, state, notes):
        self.base, self.state, self.model = base, state, Model(state)
        self.problems, self.calls, self.doubt = [], 0, None
        self.unsynced_lost = self.unsynced_kept = 0
        for line in open(notes) if os.path.exists(notes) else []:
            if not line.endswith("\n"):
                break
            words = json.loads(line)
            if words[0] == "begin":
                self.doubt = words[1]
                self.model.begin(self.doubt)
                self.calls += 1
            elif words[0] == "done":
                self.model.done(self.doubt)
                self.doubt = None
            elif time_of_cut and words[1] < time_of_cut:
                self.problems.append(f"call failed before the cut: {words[3]}")

    def found(self):
        files, dirs = set(), set()
        for root, below, names in os.walk(self.base, onerror=self.unreadable):
            at = os.path.relpath(root, self.base)
            join = (lambda n: n) if at == "." else (lambda n: os.path.join(at, n))
            dirs |= {join(d) for d in below}
            files |= {join(n) for n in names}
        return files, dirs

    def unreadable(self, e):
        self.problems.append(f"UNREADABLE {e}")

    def run(self):
        m, doubt = self.model, self.doubt or [""]
        files, dirs = self.found()
        # What the one call in doubt did is what is there.
        if doubt[0] == "create" and doubt[1] in files:
            m.done(doubt)
        if doubt[0] == "unlink" and doubt[1] not in files:
            m.done(doubt)
        if doubt[0] == "rename" and doubt[1] not in files:
            m.done(doubt)
        if doubt[0] == "mkdir" and doubt[1] in dirs or doubt[0] == "rmdir" and doubt[1] not in dirs:
            m.done(doubt)
        for lost in sorted(set(m.names) - files) + sorted(m.dirs - dirs):
            self.problems.append(f"LOST {lost}")
        for extra in sorted(files - set(m.names)) + sorted(dirs - m.dirs):
            self.problems.append(f"CAME BACK {extra}")
        for name, uid in sorted(m.names.items()):
            if name in files:
                self.check_file(name, uid)
        m.save(self.state)
        print(f"{self.calls} calls, {len(m.names)} files,", f"{self.unsynced_kept} unsynced cells"
              f" kept, {self.unsynced_lost} lost, {len(self.problems)} problems")
        for p in self.problems[:8]:
            print("  " + p)
        sys.exit(1 if self.problems else 0)

    def check_file(self, name, uid):
        m = self.model
        try:
            data = open(os.path.join(self.base, name), "rb").read()
        except OSError as e:
            self.problems.append(f"UNREADABLE {name}: {e}")
            return
        durable, pending = m.files[uid], m.pending[uid]
        # One write may be stored in parts, so any length between is possible.
        sizes = {len(durable)} | {p[1] + p[2] if p[0] == "w" else p[1] for p in pending}
        if len(data) % CELL or not min(sizes) <= len(data) // CELL <= max(sizes):
            self.problems.append(f"WRONG {name}: {len(data)} bytes, expected cells {sorted(sizes)}")
        seen, wrong = [], []
        wanted = m.now(uid)
        cut = any(p[0] == "t" for p in pending)
        for i in range(len(data) // CELL):
            got = data[i * CELL:(i + 1) * CELL]
            u, at, version, _ = struct.unpack_from("<IIII", got)
            if got == bytes(CELL):
                version = 0
            elif got != cell(uid, i, version):
                wrong.append(f"{i} (is of file {u} cell {at} version {version})")
                seen.append(version)
                continue
            seen.append(version)
            base = durable[i] if i < len(durable) else 0
            later = {p[3] for p in pending if p[0] == "w" and p[1] <= i < p[1] + p[2]}
            if version != base and version not in later and not (version == 0 and cut):
                wrong.append(f"{i} (version {version}, expected {base} or {sorted(later)})")
            if later:
                newest = i < len(wanted) and version == wanted[i]
                self.unsynced_kept += newest
                self.unsynced_lost += not newest
        if wrong:
            self.problems.append(f"WRONG {name}: {len(wrong)} cells: " + "; ".join(wrong[:3]))
        m.files[uid], m.pending[uid] = seen, []


time_of_cut = float(os.environ.get("TIME_OF_CUT", "0"))
if sys.argv[1] == "write":
    writer = Writer(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5])
    while True:
        writer.step()
else:
    Checker(*sys.argv[2:5]).run()
