#!/usr/bin/env python3
"""Harms the block files of a cluster that is down, as bad drives do. Used by corruption.sh.

    corrupt_blocks.py DIR drive UUID           prints the directory of a drive
    corrupt_blocks.py DIR flip LAYOUT UNIT...   flips a bit in every block of data units
    corrupt_blocks.py DIR swap LAYOUT LAYOUT    swaps the blocks of a unit between two files
    corrupt_blocks.py DIR old LAYOUT UNIT IMAGE puts back what an older image of the drive has there

LAYOUT is the output of `troupe get -DD FILE --json`; only the first stripe is touched. What was
harmed is printed, one "drive start_block birth" per line.
"""
import glob
import json
import struct
import sys
import uuid

BLOCK = 8192


def drives(directory):
    """uuid -> (directory of the drive, offset of its data blocks), from the superblocks."""
    found = {}
    for path in glob.glob(directory + "/node-*/drive-*/blocks"):
        with open(path, "rb") as f:
            head = f.read(4096)
        if head[:8] == b"TRPBLOCK":
            name = str(uuid.UUID(bytes=head[32:48]))
            found[name] = (path[: -len("/blocks")], struct.unpack_from("<Q", head, 112)[0])
    return found


class run:
    def __init__(self, where, unit):
        directory, data = where[unit["drive"]]
        self.unit = unit
        self.path = directory + "/blocks"
        self.offset = data + unit["start_block"] * BLOCK
        self.bytes = unit["blocks"] * BLOCK

    def read(self, path=None):
        with open(path or self.path, "rb") as f:
            f.seek(self.offset)
            return f.read(self.bytes)

    def write(self, content):
        assert len(content) == self.bytes
        with open(self.path, "r+b") as f:
            f.seek(self.offset)
            f.write(content)
        print(self.unit["drive"], self.unit["start_block"], self.unit["birth"])


def units(layout):
    with open(layout) as f:
        return json.load(f)["stripes"][0]["units"]


def flip(where, layout, numbers):
    for number in numbers:
        r = run(where, units(layout)[int(number)])
        content = bytearray(r.read())
        for at in range(1000, len(content), BLOCK):
            content[at] ^= 0x10
        r.write(bytes(content))


def swap(where, first, second):
    """The first units of both files that have the same length change places."""
    for a in units(first):
        for b in units(second):
            if a["blocks"] == b["blocks"]:
                x, y = run(where, a), run(where, b)
                old_x, old_y = x.read(), y.read()
                assert old_x != old_y
                x.write(old_y)
                y.write(old_x)
                return
    sys.exit("no two units of one length")


def old(where, layout, number, image):
    r = run(where, units(layout)[int(number)])
    before = r.read(image)
    assert before != r.read(), "the image is not older"
    r.write(before)


def main():
    directory, verb, *rest = sys.argv[1:]
    where = drives(directory)
    if verb == "drive":
        print(where[rest[0]][0])
    elif verb == "flip":
        flip(where, rest[0], rest[1:])
    elif verb == "swap":
        swap(where, *rest)
    elif verb == "old":
        old(where, *rest)
    else:
        sys.exit(__doc__)


main()
