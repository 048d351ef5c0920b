#!/usr/bin/env bash
# Goal: whatever a drive does to bytes, a reader gets the right data or EIO, never wrong data; an event
# names drive and run; what was read is repaired, so that the next reader finds nothing.
# Method: write files, stop the cluster, harm its block files (flipped bits, blocks of two files
# swapped, an old block put back; then a truncated block file and a drive folder that was deleted and
# made again, empty), start it, read, wait for the repairs, read again with a fresh mount. One file has
# more harmed units than its level bears: EIO for that file, and for no other.
. "$(dirname "$0")/lib.sh"
DRIVE_SIZE=${DRIVE_SIZE:-256MiB}
mib=${FILE_MIB:-1}
corrupt() { "$here/tests/processes/corrupt_blocks.py" "$dir" "$@"; }
layout() { t get -DD "/$1" --json >"$work/$1.layout" 2>"$work/err" || fail "get $1: $(cat "$work/err")"; }
events() { # events NAME: "drive start_block birth" of every event of that name
  t event list --severity info --count 100000 --json | python3 -c '
import json,sys
for e in json.load(sys.stdin)["events"]:
  f=e["fields"]
  if e["event"]==sys.argv[1]: print(f["drive"], f["start_block"], f["birth"])' "$1" | sort; }
count() { events "$1" | wc -l; }
named() { # named NAME FILE: every run of the file is named by an event NAME
  [ -z "$(sort -u "$2" | comm -23 - <(events "$1" | uniq))" ]; }
down() { t umount "$mnt" >/dev/null 2>&1; t down >/dev/null || fail "down"; }
up() { t up --mount "$mnt" >"$work/up.out" 2>&1 || { cat "$work/up.out"; fail "up again"; finish; }; }
digests_are_right() { sh -c "cd '$mnt' && sha256sum --quiet -c '$work/sums'"; }

start_cluster
first_drive=$(ls -d "$dir"/node-1/drive-1)
for i in 1 2 3 4 5 6; do # what is removed again leaves old blocks behind
  head -c $((mib * 1048576)) /dev/urandom >"$mnt/old$i"
done
cp --sparse=always "$first_drive/blocks" "$work/image" || fail "no image of the first drive"
rm -f "$mnt"/old*
for f in flip swap1 swap2 lost1 lost2 hopeless; do
  head -c $((mib * 1048576)) /dev/urandom >"$work/$f"
  cp "$work/$f" "$mnt/$f" || fail "cp $f"
done
# A file with a data unit on the drive whose image is old.
for i in $(seq 1 40); do
  head -c $((mib * 1048576)) /dev/urandom >"$work/stale"
  cp "$work/stale" "$mnt/stale" || fail "cp stale"
  layout stale
  stale_unit=$(python3 -c '
import json,sys
s=json.load(open(sys.argv[1]))["stripes"][0]
print(next((i for i,u in enumerate(s["units"][:s["data_units"]]) if u["drive"]==sys.argv[2]), ""))' \
    "$work/stale.layout" "$(python3 -c '
import sys,uuid
print(uuid.UUID(bytes=open(sys.argv[1],"rb").read(48)[32:48]))' "$first_drive/blocks")")
  [ -n "$stale_unit" ] && break
  rm "$mnt/stale"
done
[ -n "$stale_unit" ] || fail "no file on the first drive"
(cd "$work" && sha256sum flip swap1 swap2 stale lost1 lost2) >"$work/sums"
for f in flip swap1 swap2 hopeless; do layout $f; done
say "written"

down
{ corrupt flip "$work/flip.layout" 0 3
  corrupt swap "$work/swap1.layout" "$work/swap2.layout"
  corrupt old "$work/stale.layout" "$stale_unit" "$work/image"; } >"$work/harmed" || fail "corrupt_blocks"
harmed=$(wc -l <"$work/harmed")
say "harmed: $harmed data units"
corrupt flip "$work/hopeless.layout" 0 1 2 >/dev/null || fail "corrupt_blocks" # one more than +2d bears
up
expect "right data of flipped, swapped and old blocks" digests_are_right
all_repaired() {
  [ "$(count unit_repaired)" -ge "$harmed" ] &&
    [ "$(events unit_reconstructed | uniq)" = "$(events unit_repaired | uniq)" ]; }
wait_until 20 "every unit that was found is repaired" all_repaired
expect "events name drive and run of every harmed unit" named unit_reconstructed "$work/harmed"
found=$(count unit_reconstructed)
cp "$work/flip.layout" "$work/flip.before"
layout flip
expect "get -DD shows new units" sh -c "! cmp -s '$work/flip.before' '$work/flip.layout'"
remount
expect "right data from a fresh mount" digests_are_right
expect "which found no damage" test "$(count unit_reconstructed)" = "$found"
if cat "$mnt/hopeless" >"$work/got" 2>"$work/err"; then fail "a file that lost too much was read"; else
  grep -q "Input/output error" "$work/err" || fail "$(cat "$work/err")"
  say "ok: EIO for the file that lost too much"
fi
expect "and not one wrong byte of it" cmp -n "$(stat -c %s "$work/got")" "$work/got" "$work/hopeless"

# Two drives: one is cut short, one is gone and its folder was made again.
for f in lost1 lost2; do layout $f; done
read -r cut gone < <(python3 -c '
import json,sys
a,b=[json.load(open(f))["stripes"][0] for f in sys.argv[1:]]
print(a["units"][0]["drive"], next(u["drive"] for u in b["units"][:b["data_units"]] if u["drive"]!=a["units"][0]["drive"]))' \
  "$work/lost1.layout" "$work/lost2.layout")
down
cut_dir=$(corrupt drive "$cut") && gone_dir=$(corrupt drive "$gone") || fail "no such drives"
truncate -s $(($(stat -c %s "$cut_dir/blocks") / 3)) "$cut_dir/blocks"
rm -rf "$gone_dir" && mkdir -m 700 "$gone_dir"
say "cut short: ${cut_dir#"$dir"/}; deleted and made again: ${gone_dir#"$dir"/}"
up
expect "right data without the two drives" digests_are_right
expect "nothing was put into the empty folder" test ! -e "$gone_dir/blocks"
off_lost_drives() { layout lost1 && layout lost2 && ! grep -q -e "$gone" "$work/lost2.layout"; }
wait_until 30 "units of the lost drive are elsewhere" off_lost_drives
events unit_repaired | grep -q "$gone" || fail "no event names the lost drive"
found=$(count unit_reconstructed)
remount
expect "right data again" digests_are_right

finish
