#!/bin/sh
# Makes the first inputs of fuzz_cfi_copy, fuzz_dwarf_copy and fuzz_condition again, from a small program as compilers describe it. Not run by tests: its
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

# Conditions, and types for them.
cat >"$work/a.c" <<'C'
enum color { RED, GREEN = 5 };
struct rec { int i; struct rec *next; char name[4]; int bits : 3; unsigned char a[2][3]; union { long l; double d; }; } global;
__attribute__((noinline, aligned(16))) long first(struct rec *r, enum color c, double d) { static int kept; return r->i + global.l + (long)d + c + kept++; }
C
number=0
condition() { number=$((number + 1)); { printf '\000'; printf %s "$1"; } >"$here/corpus/fuzz_condition/text-$number"; }
mkdir -p "$here/corpus/fuzz_condition"
condition 'r->i == 3 && p == "abc" || $ret < 0'
condition 'r->next->a[1][2] * 2.5 > d ? u : c'
condition '((struct rec *)p)->in.y >> 3 & 7'
condition 't.b + g / 2 != t.c'
condition '$startswith(p, "x") && !$strstr(r->s, p) || $streq(r->in.n, p)'
condition 'e == GREEN && hidden[1] % (c) - 1 == 0'
condition '$caller == f || $caller != "main"'
condition 'sizeof(struct in) / sizeof *r + (unsigned char)w'
condition 'pointer->in.n == "ab" && global.l'
condition '(double)u < 1e10f ? (float)b : -0x1.8p3'
condition "*(int *)(p + s) ^ ~u << 3 | 'x' == '\\0'"
condition '$errno == 2 && $tid != $calls && $arg1'
for cc in gcc clang; do
    for text in 'r->next->i == c && d > 1' 'r->name == "x" || global.bits + GREEN' '((struct rec *)$arg1)->l && kept'; do
        number=$((number + 1))
        link $cc -O1 -g -gdwarf-4
        section .debug_abbrev "$work/abbrev"
        section .debug_str "$work/str"
        section .debug_info "$work/info"
        { printf '\001'; size "$work/abbrev"; size "$work/str"; size "$work/info"; cat "$work/abbrev" "$work/str" "$work/info"; printf %s "$text"; } \
            >"$here/corpus/fuzz_condition/types-$cc-$number"
    done
done
