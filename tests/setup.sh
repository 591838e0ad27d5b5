#!/bin/sh
# setup.sh [build|tests]: installs the Debian packages that are missing, and nothing when none is.
#
#   build   what building Gibbon and using it in GDB and LLDB needs (the default)
#   tests   that, and what tests/run.sh needs
#
# docs/demo.sh and tests/run.sh call it. It runs as root or through sudo.
set -eu

build="gdb lldb-19 python3-lldb-19 cmake ninja-build gcc g++ libc6-dev binutils dpkg-dev libzydis-dev libzycore-dev libffi-dev libdw-dev libelf-dev"
tests="clang libclang-rt-14-dev git procps sqlite3 libc6-dbg libunwind8 libunwind-14 python3 python3-pytest python3-pytest-xdist python3-pytest-rerunfailures libcmocka-dev libunicorn-dev"

fail() {
    echo "setup: $1" >&2
    exit 1
}

case "${1:-build}" in
build) packages=$build ;;
tests) packages="$build $tests" ;;
*) fail "\"$1\" is neither build nor tests." ;;
esac

command -v dpkg-query >/dev/null 2>&1 || fail "this system has no dpkg; install the equivalents of: $packages."

missing=
for package in $packages; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
else
    fail "these packages are missing and only root can install them:$missing."
fi

echo "setup: installing$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y"
if ! { $apt update && $apt install --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "apt-get could not install:$missing."
fi
