#!/usr/bin/env bash
# docs/timeouts.md names every wait of the sources with its value, and nothing else.
# Usage: tests/timeouts.sh [ROOT]
set -u
cd "${1:-.}" || exit 1
# file name milliseconds, of every constant or default that is a wait
waits() {
  grep -rnE '(_ms|_ns|_ms_min|_ms_max) *= *[0-9]' --include='*.?pp' storage cluster actors access shell |
    sed -E "s/^([^:]+):[0-9]+:.*[ (]([a-z_]+(_ms|_ns|_ms_min|_ms_max)) *= *([0-9'x]+).*/\1 \2 \4/" | tr -d "'" |
    awk '$3 > 1 && $2 != "ns_per_ms" { v = $3; if ($2 ~ /_ns$/) v /= 1000000; print $1, $2, v }' | sort -u
}
listed() {
  sed -nE 's/^\| `([a-z_]+)` \| ([0-9]+) \| `([^`]+)` \|.*/\3 \1 \2/p' docs/timeouts.md | sort -u
}
difference=$(diff <(waits) <(listed))
[ -z "$difference" ] && { echo "timeouts: ok"; exit 0; }
echo "docs/timeouts.md (>) differs from the sources (<):"
echo "$difference"
exit 1
