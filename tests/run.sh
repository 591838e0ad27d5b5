#!/bin/sh
# run.sh: everything that is tested, in one command. Installs what is missing (tests/setup.sh), then
#
#   build/        the normal build, which the session tests use
#   build-test/   unit tests, with the address and undefined-behaviour sanitizers
#   build-fuzz/   libFuzzer targets, a few seconds each (GIBBON_FUZZ_SECONDS, default 10)
#
# Exit status 0: nothing failed. The last lines are the summaries of the test runners.
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
sh tests/setup.sh tests || exit 1

NO_COLOR=1 CLICOLOR=0 CLICOLOR_FORCE=0 PY_COLORS=0 PYTHONDONTWRITEBYTECODE=1
export NO_COLOR CLICOLOR CLICOLOR_FORCE PY_COLORS PYTHONDONTWRITEBYTECODE
unset CMAKE_COLOR_DIAGNOSTICS GIBBON_LIBRARY || true
jobs=$(nproc 2>/dev/null || echo 2)
seconds=${GIBBON_FUZZ_SECONDS:-10}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
failed=0

# build FOLDER TARGETS OPTIONS...: 1 when it could not be built, and then its last lines are shown.
build() {
    folder=$1
    targets=$2
    shift 2
    echo "== build $folder"
    # shellcheck disable=SC2086 # a list of targets
    if cmake -S . -B "$folder" -G Ninja "$@" >"$work/log" 2>&1 && cmake --build "$folder" --target $targets >"$work/log" 2>&1; then
        return 0
    fi
    tail -n 40 "$work/log"
    echo "$folder: FAILED to build" >>"$work/summary"
    failed=1
    return 1
}

: >"$work/summary"

if build build-test all -DGIBBON_TESTS=ON -DGIBBON_SANITIZE=ON; then
    echo "== unit tests"
    if ! ctest --test-dir build-test -j"$jobs" --output-on-failure --timeout 300 >"$work/unit" 2>&1; then
        failed=1
    fi
    cat "$work/unit"
    grep -E 'tests passed|No tests were found' "$work/unit" | sed 's/^/unit tests: /' >>"$work/summary"
fi

# Each in its own folder: libFuzzer leaves what it finds there. Two at a time.
fuzz() {
    name=$(basename "$1")
    # The corpus has a folder of its own: the log beside it must not become an input. By its whole name: a target may
    # change its directory, and libFuzzer looks into the corpus again later.
    corpus=$work/fuzz/$name/corpus
    mkdir -p "$corpus"
    for seeds in "$(dirname "$1")/corpus/$name" "$root/tests/fuzz/corpus/$name"; do
        [ ! -d "$seeds" ] || cp "$seeds"/* "$corpus"
    done
    if (cd "$work/fuzz/$name" && timeout $((seconds * 6 + 60)) "$1" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -verbosity=1 "$corpus" >log 2>&1); then
        echo "fuzz $name: $(grep -E '^Done|^#[0-9]+.*DONE' "$work/fuzz/$name/log" | tail -n 1)" >"$work/fuzz/$name.ok"
    else
        { echo "== fuzz $name"; tail -n 40 "$work/fuzz/$name/log"; } >"$work/fuzz/$name.bad"
    fi
}
# Only the targets: clang cannot link libgibbon.so whole with sanitizers and without undefined symbols.
fuzzers=$(cd tests/fuzz && ls fuzz_*.c | sed 's/\.c$//')
if build build-fuzz "$fuzzers" -DCMAKE_C_COMPILER=clang -DGIBBON_FUZZ=ON; then
    echo "== fuzz targets, $seconds s each"
    mkdir -p "$work/fuzz"
    running=0
    for target in "$root"/build-fuzz/tests/fuzz/fuzz_*; do
        [ -f "$target" ] && [ -x "$target" ] || continue
        fuzz "$target" &
        running=$((running + 1))
        [ $((running % jobs)) -ne 0 ] || wait
    done
    wait
    for result in "$work"/fuzz/*.bad; do
        [ -f "$result" ] || continue
        cat "$result"
        echo "fuzz $(basename "$result" .bad): FAILED" >>"$work/summary"
        failed=1
    done
    for result in "$work"/fuzz/*.ok; do
        [ -f "$result" ] && cat "$result" >>"$work/summary"
    done
fi

# A session is several processes in real time, and machines have other work: what fails is tried once more, and told. The
# plugin counts through a socket of "localhost", also when it has nothing to count.
again="--reruns 1"
getent hosts localhost >/dev/null 2>&1 || again="-p no:rerunfailures"
# Last, so that pytest's own summary stands beside the others at the end. Debuggers get no start-up files of the user's.
if build build all; then
    if ls tests/session/test_*.py >/dev/null 2>&1; then
        echo "== session tests"
        # shellcheck disable=SC2086 # a list of options
        /usr/bin/python3 -m pytest -p no:cacheprovider --color=no -ra $again -n "$jobs" tests/session >"$work/session" 2>&1 || failed=1
        cat "$work/session"
        echo "session tests: $(tail -n 1 "$work/session")" >>"$work/summary"
    fi
fi

echo "== summary"
cat "$work/summary"
exit $failed
