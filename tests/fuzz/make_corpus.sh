#!/bin/sh
# Makes the first inputs of fuzz_cfi_copy and fuzz_dwarf_copy again, from a small program as compilers describe it. Not run by tests: its
# results are kept in corpus/.
set -e
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/a.c" <<'C'
struct pair { long a; double b; };
typedef struct pair pair_t;
enum color { RED, GREEN };
__attribute__((noinline, aligned(16))) long first(const char *text, pair_t p, enum color c, struct pair *q) { return text[0] + p.a + c + (long)q->b; }
__attribute__((noinline, aligned(16))) long second(long n, ...) { char room[n]; return first(room, (pair_t){n, 2}, GREEN, &(pair_t){3, 4}); }
C
link() { # compiler, options
    "$@" -ffreestanding -fno-stack-protector -c "$work/a.c" -o "$work/a.o"
    # Addresses in the unwind table count from its place: the same as in a made file.
    ld -e first -Ttext=0x1000 --section-start=.eh_frame=0x1400 "$work/a.o" -o "$work/a.so"
}
section() { : >"$2"; objcopy --dump-section "$1=$2" "$work/a.so" "$work/ignored" 2>/dev/null || : >"$2"; }
size() { n=$(stat -c %s "$1"); printf "\\$(printf %03o $((n % 256)))\\$(printf %03o $((n / 256)))"; }
for cc in gcc clang; do
    for options in "-O0" "-O2" "-O2 -fomit-frame-pointer"; do
        name=$cc$(echo "$options" | tr -d ' ')
        # shellcheck disable=SC2086 # several options
        link $cc $options -fasynchronous-unwind-tables
        section .eh_frame "$work/eh"
    
        { printf '\000'; cat "$work/eh"; } >"$here/corpus/fuzz_cfi_copy/$name"
        # shellcheck disable=SC2086
        link $cc $options -fno-asynchronous-unwind-tables -fno-unwind-tables -g
        section .debug_frame "$work/frame"
        { printf '\001'; cat "$work/frame"; } >"$here/corpus/fuzz_cfi_copy/$name-debug"
        for version in 4 5; do
            [ "$cc$version" != clang5 ] || continue # its strings and addresses are in sections of their own
            # shellcheck disable=SC2086
            link $cc $options -g -gdwarf-$version
            section .debug_abbrev "$work/abbrev"
            section .debug_str "$work/str"
            section .debug_info "$work/info"
            if [ $version = 4 ]; then section .debug_loc "$work/loc"; else section .debug_loclists "$work/loc"; fi
            { size "$work/abbrev"; size "$work/str"; size "$work/loc"; cat "$work/abbrev" "$work/str" "$work/loc" "$work/info"; } \
                >"$here/corpus/fuzz_dwarf_copy/$name-$version"
        done
    done
done
