#!/bin/sh
# What Gibbon costs, beside the floor, the debuggers' own means and other tools. Measures only: it never passes or fails.
#   sh tests/bench/run.sh [--write] [--quick] [BUILD-DIRECTORY]
# It prints the section of figures of docs/performance.md; --write puts it there. --quick leaves out the tables of many functions at once.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/build-bench
options=
for word in "$@"; do
    case $word in
    --write | --quick) options="$options $word" ;;
    -*)
        echo "run.sh: there is no option $word; there are --write and --quick." >&2
        exit 2
        ;;
    *) build=$word ;;
    esac
done
BENCH_LOAD=$(cut -d ' ' -f 1 /proc/loadavg)
export BENCH_LOAD
mkdir -p "$build"
build=$(cd "$build" && pwd)
cmake -S "$root" -B "$build" -DGIBBON_TESTS=ON -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$build" -j "$(nproc)" --target gibbon bench_target bench_target_uftrace >/dev/null
if printf '#include <lttng/tracepoint.h>\n' | cc -E - >/dev/null 2>&1; then
    cmake --build "$build" -j "$(nproc)" --target bench_target_lttng >/dev/null
fi
if [ -e "$root/tests/bench/reader_speed.c" ]; then
    cmake --build "$build" -j "$(nproc)" --target reader_speed >/dev/null
fi
# shellcheck disable=SC2086 # a list of options
exec python3 "$root/tests/bench/table.py" "$build" $options
