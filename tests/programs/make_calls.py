"""Writes a C or C++ program that calls functions of random signatures and prints what each of them got and gave.

    make_calls.py SEED COUNT c|cc [vectors=16|32|64] [most=BYTES]

Every function hashes the leaves of its arguments and fills its result from that hash, so one wrong bit of one argument or result shows
in the line it prints. `most` bounds the bytes of arguments of one call.
"""
import random
import sys

HEAD = """#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#ifdef __cplusplus
#define complex_of(T, re, im) (T){re, im}
#else
#define complex_of(T, re, im) __builtin_complex(re, im)
#endif
#ifdef __clang__
#define APART __attribute__((noinline, optnone))
#else
#define APART __attribute__((noipa))
#endif
#define KEEP __attribute__((noinline))
typedef unsigned char v8 __attribute__((vector_size(8)));
typedef unsigned char v16 __attribute__((vector_size(16)));
typedef double d16 __attribute__((vector_size(16)));
typedef float f32 __attribute__((vector_size(32)));
typedef long l32 __attribute__((vector_size(32)));
typedef int i64 __attribute__((vector_size(64)));
static uint64_t mix(uint64_t h, const void *p, size_t n)
{
    const unsigned char *c = (const unsigned char *)p;
    while (n--)
        h = (h ^ *c++) * 0x100000001b3ull;
    return h ^ h >> 29;
}
static uint64_t state = 1;
static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}
/* Numbers that every floating type holds exactly. */
static void fill_bytes(void *p, size_t n)
{
    unsigned char *c = (unsigned char *)p;
    while (n--)
        *c++ = (unsigned char)(next() >> 11);
}
"""

INTEGERS = {"signed char": 1, "unsigned char": 1, "short": 2, "unsigned short": 2, "int": 4, "unsigned": 4, "long": 8, "unsigned long": 8, "__int128": 16, "unsigned __int128": 16, "char *": 8}
FLOATS = {"float": 4, "double": 8, "long double": 16}
VECTORS = {"v8": 8, "v16": 16, "d16": 16, "f32": 32, "l32": 32, "i64": 64}


class Program:
    def __init__(self, seed, cplus, vectors, most):
        self.random, self.cplus, self.most = random.Random(seed), cplus, most
        self.vectors = [v for v, size in VECTORS.items() if size <= vectors]
        self.lines, self.size, self.records = [HEAD], {}, []
        self.copied = set()  # records that have a copy constructor, somewhere inside
        for name, size in list(INTEGERS.items()) + list(FLOATS.items()):
            self.scalar(name, size)
        for name in self.vectors:
            self.size[name] = VECTORS[name]
            leaf = {"d16": "double", "f32": "float"}.get(name)
            if leaf:
                count = VECTORS[name] // FLOATS[leaf]
                fill = "for (int i = 0; i < %d; i++) (*p)[i] = (%s)((int)next() >> 12);" % (count, leaf)
            else:
                fill = "fill_bytes(p, sizeof *p);"
            self.functions(name, fill, "h = mix(h, p, sizeof *p);")
        for real in FLOATS:
            name = "_Complex " + real
            self.size[name] = 2 * FLOATS[real]
            self.functions(name, "__real__ *p = (%s)((int)next() >> 12); __imag__ *p = (%s)((int)next() >> 12);" % (real, real),
                           "%s re = __real__ *p, im = __imag__ *p; h = mix(mix(h, &re, %d), &im, %d);" % (real, self.bytes(real), self.bytes(real)))
        self.size["_Bool"] = 1
        self.lines.append("#ifdef __cplusplus\n#define _Bool bool\n#endif\n")
        self.functions("_Bool", "*p = next() >> 20 & 1;", "unsigned char b = *p; h = mix(h, &b, 1);")

    @staticmethod
    def bytes(name):
        return 10 if name == "long double" else FLOATS.get(name) or INTEGERS[name]

    @staticmethod
    def mangle(name):
        return name.replace("*", "p").replace(" ", "_")

    def functions(self, name, fill, mix):
        m = self.mangle(name)
        self.lines.append("static inline void fill_%s(%s *p) { %s }\nstatic inline uint64_t hash_%s(uint64_t h, const %s *p) { %s return h; }\n" % (m, name, fill, m, name if name[-1] != "*" else "char *const", mix))

    def scalar(self, name, size):
        self.size[name] = size
        if name in FLOATS:
            self.functions(name, "*p = (%s)((int)next() >> 12);" % name, "h = mix(h, p, %d);" % self.bytes(name))
        else:
            self.functions(name, "fill_bytes(p, sizeof *p);", "h = mix(h, p, sizeof *p);")

    def leaf(self):
        r = self.random
        kind = r.random()
        if kind < .5:
            return r.choice(list(INTEGERS) + ["_Bool"])
        if kind < .8:
            return r.choice(list(FLOATS))
        if kind < .9 and self.vectors:
            return r.choice(self.vectors)
        return "_Complex " + r.choice(list(FLOATS))

    def record(self):
        """A struct or union: small ones mostly, for the classes of their eightbytes; some large, packed, aligned, nested, empty."""
        r = self.random
        name = "S%d" % len(self.records)
        union = r.random() < .1
        kind = r.random()
        members = [] if kind < .05 and not union else [self.leaf() if r.random() < .8 or not self.records else r.choice(self.records)
                                         for _ in range(r.choice([1, 1, 2, 2, 2, 3, 3, 4, 6]))]
        if kind < .6:  # few bytes, to be in registers
            members = [m if self.size.get(m, 99) <= 8 else r.choice(["float", "int", "double", "short", "char *"]) for m in members]
        if union:
            members = [m if m not in self.copied else "long" for m in members]
        arrays = [r.choice([0, 0, 0, 0, 2, 3]) if m not in self.records else 0 for m in members]
        if kind > .97 and self.most > 1000:
            members.append("long")
            arrays.append(60)
        attribute = r.choice([""] * 8 + ["__attribute__((packed)) ", "__attribute__((aligned(32))) "])
        if union or not members or any(m in self.records for m in members):
            attribute = ""
        body, fills, hashes = [], [], []
        for i, (m, n) in enumerate(zip(members, arrays)):
            body.append("%s m%d%s;" % (m, i, "[%d]" % n if n else ""))
            for index in range(n) if n else [None]:
                leaf = "m%d%s" % (i, "" if index is None else "[%d]" % index)
                mm = self.mangle(m)
                # Through a copy: a packed member has no address.
                fills.append("{ %s t; fill_%s(&t); p->%s = t; }" % (m, mm, leaf))
                if not union or i == 0:
                    hashes.append("{ %s t = p->%s; h = hash_%s(h, &t); }" % (m, leaf, mm))
        if union:
            fills = ["memset((void *)p, 0, sizeof *p);"] + fills[:max(1, arrays[0])]
        self.lines.append("typedef %s %s{ %s } %s;\n" % ("union" if union else "struct", attribute, " ".join(body), name))
        total = sum(self.size[m] * (n or 1) for m, n in zip(members, arrays))
        self.size[name] = (total + 63) // 16 * 16 if attribute.startswith("__attribute__((a") else total + 16
        self.functions(name, " ".join(fills) or "(void)p;", " ".join(hashes) or "(void)p;")
        if self.copied.intersection(members):
            self.copied.add(name)
        self.records.append(name)
        return name

    def class_(self):
        """C++: a class with a copy constructor goes by invisible reference."""
        name = "K%d" % len(self.records)
        self.lines.append("struct %s { int n; %s m; %s() : n(7), m() {} %s(const %s &o) : n(o.n + 0), m(o.m) {} ~%s() { n = 0; } };\n" % (name, "long double" if self.random.random() < .3 else "double", name, name, name, name))
        self.functions(name, "p->n = (int)next(); p->m = (int)next() >> 12;", "double d = (double)p->m; h = mix(mix(h, &p->n, 4), &d, 8);")
        self.size[name] = 32
        self.copied.add(name)
        self.records.append(name)
        return name

    def type(self):
        r = self.random
        if self.records and r.random() < .35:
            return r.choice(self.records)
        return self.leaf()

    def arguments(self, most):
        r, chosen, total = self.random, [], 0
        count = r.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 40])
        only = r.choice([None, None, None, "int", "double", "long double", "__int128"])
        for _ in range(count):
            t = only if only and r.random() < .8 else self.type()
            total += max(8, (self.size[t] + 15) // 8 * 8 if self.size[t] > 8 else 8)
            if total > most:
                break
            chosen.append(t)
        return chosen

    def function(self, number):
        r = self.random
        result = self.type() if r.random() < .9 else "void"
        types = self.arguments(self.most)
        abi = "__attribute__((ms_abi)) " if r.random() < .06 else ""
        if abi:
            plain = ["int", "long", "double", "float", "char *", "short"]
            types = [t if t in plain else r.choice(plain) for t in types]
            result = r.choice(plain)
        variadic = not abi and types and r.random() < .12
        if variadic:
            types = self.arguments(min(self.most, 400)) or ["int"]  # docs/limits.md: 512 bytes of them are repeated
        named = r.randrange(1, len(types) + 1) if variadic else len(types)
        if variadic:
            # clang before 18 reads an __int128 from elsewhere than its callers put it.
            promoted = {"__int128": "long", "unsigned __int128": "long", "float": "double", "short": "int", "unsigned short": "int", "signed char": "int", "unsigned char": "int", "_Bool": "int"}
            types = types[:named] + [promoted.get(t, t) for t in types[named:]]
            types = types[:named] + [t if t not in ("f32", "l32", "i64", "_Complex float") and t not in self.copied and self.size[t] else "double" for t in types[named:]]
            types[named - 1] = "int"  # what va_start names
        attribute = r.choice(["KEEP ", "APART "])
        parameters = ", ".join("%s a%d" % (t, i) for i, t in enumerate(types[:named])) + (", ..." if variadic else "")
        body = ["uint64_t h = %d;" % number]
        if variadic:
            body.append("va_list v; va_start(v, a%d);" % (named - 1))
        for i, t in enumerate(types):
            if i >= named:
                body.append("%s a%d = va_arg(v, %s);" % (t, i, t))
            body.append("h = hash_%s(h, &a%d);" % (self.mangle(t), i))
        body.append("va_end(v);" if variadic else "")
        body.append("uint64_t old = state; state = h | 1;")
        if result == "void":
            body.append("sink = next(); state = old;")
        else:
            body.append("%s result; %s fill_%s(&result); state = old; return result;" % (result, "" if result in self.copied else "memset((void *)&result, 0, sizeof result);", self.mangle(result)))
        self.lines.append("%s%s%s f_%d(%s)\n{\n    %s\n}\n" % (attribute, abi, result, number, parameters or "void", "\n    ".join(body)))
        lines = []
        for i, t in enumerate(types):
            lines.append("%s a%d; %s fill_%s(&a%d);" % (t, i, "" if t in self.copied else "memset((void *)&a%d, 0, sizeof a%d);" % (i, i), self.mangle(t), i))
        call = "f_%d(%s)" % (number, ", ".join("a%d" % i for i in range(len(types))))
        if r.random() < .3:  # through a pointer that nobody sees through
            lines.append("__typeof__(&f_%d) volatile pointer = f_%d;" % (number, number))
            call = call.replace("f_%d(" % number, "pointer(", 1)
        if result == "void":
            lines.append('%s; printf("f_%d %%llx\\n", (unsigned long long)sink);' % (call, number))
        else:
            lines.append('%s result = %s; printf("f_%d %%llx\\n", (unsigned long long)hash_%s(1, &result));' % (result, call, number, self.mangle(result)))
        self.lines.append("%svoid t_%d(void)\n{\n    %s\n}\n" % (attribute, number, "\n    ".join(lines)))

    def write(self, count):
        self.lines.append("static uint64_t sink;\n")
        for number in range(count):
            if number % 3 == 0:
                self.record()
            if self.cplus and number % 25 == 3:
                self.class_()
            self.function(number)
        self.lines.append("int main(void)\n{\n%s    return 0;\n}\n" % "".join("    t_%d();\n" % n for n in range(count)))
        return "\n".join(self.lines)


def program(seed, count, language="c", vectors=16, most=4000):
    return Program(seed, language == "cc", vectors, most).write(count)


if __name__ == "__main__":
    words = dict(word.split("=") for word in sys.argv[4:])
    print(program(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], **{k: int(v) for k, v in words.items()}))
