#!/bin/sh
# What Gibbon costs, beside the floor and the debuggers' own means, in one table. Measures only: it never passes or fails.
#   sh tests/bench/run.sh [BUILD-DIRECTORY]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:-$root/build-bench}
mkdir -p "$build"
build=$(cd "$build" && pwd)
cmake -S "$root" -B "$build" -DGIBBON_TESTS=ON -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$build" -j "$(nproc)" --target gibbon bench_target reader_speed >/dev/null
python3 "$root/tests/bench/table.py" "$root" "$build"
exec python3 "$root/tests/bench/many.py" "$build"
