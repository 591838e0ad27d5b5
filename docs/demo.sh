#!/bin/sh
# demo.sh: who creates the temporary directory of dpkg-deb? Asked in GDB, then in LLDB.
#
# Installs what is missing (tests/setup.sh), builds into build/, makes a small package, and runs the same two commands in both
# debuggers on Debian's own /usr/bin/dpkg-deb, which is stripped. Exit status 0: both logs show the call of mkdtemp.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
sh tests/setup.sh build

echo "Building Gibbon in $root/build"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
if ! { cmake -S . -B build -G Ninja && cmake --build build; } >"$work/build.log" 2>&1; then
    tail -n 30 "$work/build.log" >&2
    echo "demo: Gibbon could not be built." >&2
    exit 1
fi

# ---- a package to look at --------------------------------------------------------------------------

mkdir -p "$work/some/DEBIAN" "$work/some/usr/share/doc/some"
cat >"$work/some/DEBIAN/control" <<CONTROL
Package: some
Version: 1.0
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: a small package
CONTROL
echo "Nothing to read here." >"$work/some/usr/share/doc/some/README"
dpkg-deb --root-owner-group -b "$work/some" "$work/some.deb" >/dev/null

# ---- the session, twice -----------------------------------------------------------------------------

# Neither debugger reads the user's start-up files here. GDB does not repeat the commands of a batch; LLDB does.
in_gdb() {
    timeout 120 gdb -q -nx -batch \
        -ex "echo (gdb) source gdb/gibbon.py\n" -ex "source gdb/gibbon.py" \
        -ex "echo (gdb) gibbon wrap mkdtemp -backtrace\n" -ex "gibbon wrap mkdtemp -backtrace" \
        -ex "echo (gdb) run\n" -ex "run" \
        -ex "echo (gdb) gibbon list\n" -ex "gibbon list" \
        --args /usr/bin/dpkg-deb --info "$work/some.deb"
}

in_lldb() {
    timeout 120 lldb-19 --no-lldbinit -b \
        -o "command script import lldb/gibbon.py" \
        -o "gibbon wrap mkdtemp -backtrace" \
        -o "run" \
        -o "gibbon list" \
        -- /usr/bin/dpkg-deb --info "$work/some.deb"
}

failed=0
# session NAME COMMAND FUNCTION: shows the session and looks for the call in it.
session() {
    echo
    echo "---- $1 ----"
    echo "\$ $2"
    "$3" </dev/null >"$work/$3" 2>&1 || echo "demo: $1 ended with status $?." >>"$work/$3"
    cat "$work/$3"
    if grep -q '^gibbon: \[[0-9]*\] +[0-9.]* mkdtemp(template=".*XXXXXX") = 0x[0-9a-f]* ".*" <' "$work/$3"; then
        echo "---- $1: the call of mkdtemp is in the log ----"
    else
        echo "---- $1: FAILED, the call of mkdtemp is not in the log ----"
        failed=1
    fi
}

session GDB "gdb --args dpkg-deb --info some.deb" in_gdb
session LLDB "lldb-19 -- dpkg-deb --info some.deb" in_lldb

exit $failed
