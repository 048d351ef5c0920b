#!/usr/bin/env bash
# The rules of the code base that a compiler does not check: layering, file lengths, banned calls.
# Usage: tests/tidy.sh ROOT
set -u
cd "${1:-.}" || exit 1
failed=0
complain() { echo "tidy: $*"; failed=1; }
list() { find "$@" -name '*.hpp' -o -name '*.cpp' 2>/dev/null | grep -E '\.(hpp|cpp)$' | sort; }
all="messages storage jobs quota sync cluster actors access shell sim"

# A folder may include only the folders below it.
may_include() {
  case $1 in
    messages) echo "messages" ;;
    storage) echo "messages storage" ;;
    jobs|quota|sync) echo "messages storage $1" ;;
    cluster) echo "messages storage jobs quota sync cluster" ;;
    actors) echo "messages storage jobs quota sync cluster actors" ;;
    access) echo "messages storage jobs quota sync cluster actors access" ;;
    shell) echo "messages shell" ;;
    sim) echo "messages storage jobs quota sync cluster sim" ;;
  esac
}
for folder in $all; do
  [ -d "$folder" ] || continue
  allowed=$(may_include "$folder" | tr ' ' '|')
  for f in $(list "$folder"); do
    [ "$f" = shell/main.cpp ] && continue
    grep -nE '^#include "' "$f" | grep -vE "#include \"($allowed)/" |
      while IFS= read -r line; do echo "$f:$line"; done
  done
done >/tmp/tidy.$$
[ -s /tmp/tidy.$$ ] && complain "include against the layering: $(cat /tmp/tidy.$$)"
rm -f /tmp/tidy.$$

# CAF stays in actors/, type_ids.hpp and interfaces.hpp; raft.h in one class; leveldb in one folder.
for f in $(list $all); do
  case $f in actors/*|messages/type_ids.hpp|messages/interfaces.hpp) continue ;; esac
  grep -nE '#include [<"]caf/' "$f" /dev/null && complain "$f includes CAF"
done
grep -rnE '#include [<"]caf/all\.hpp' $all --include='*.?pp' 2>/dev/null && complain "caf/all.hpp is banned"
for f in $(grep -rlE '#include [<"]raft(/|\.h)' $all --include='*.?pp' 2>/dev/null); do
  case $f in storage/consensus/*) ;; *) complain "$f includes raft.h" ;; esac
done

# States decide: no clocks, threads, files, randomness.
for f in $(list $all | grep -E '_state\.(hpp|cpp)$'); do
  grep -nE '#include <(thread|mutex|condition_variable|chrono|random|fstream|filesystem|ctime|unistd\.h|fcntl\.h)>|std::rand|::rand\(|system_clock|steady_clock' "$f" /dev/null &&
    complain "$f: a state uses a clock, thread, file or randomness"
done

# Files are one concept long.
for f in $(list $all tests bench); do
  lines=$(wc -l <"$f")
  [ "$lines" -ge 1000 ] && complain "$f has $lines lines: split it"
done

# Results that differ between standard libraries, and calls with no bound.
grep -rnE 'std::(shuffle|uniform_int_distribution|uniform_real_distribution)|\b(sprintf|strcpy|strcat|gets)\(' $all --include='*.?pp' 2>/dev/null && complain "banned call"
for f in $(list $all | grep '\.hpp$'); do
  grep -q '^#pragma once' "$f" || complain "$f has no #pragma once"
done
for folder in $all; do
  [ -n "$(ls -A "$folder" 2>/dev/null)" ] && [ ! -f "$folder/README.md" ] && complain "$folder has no README.md"
done
[ $failed = 0 ] && echo "tidy: ok"
exit $failed
