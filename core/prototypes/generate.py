#!/usr/bin/python3
"""Writes data/libc.proto and data/types.proto from the C library's own headers.

A developer runs it after an upgrade of libc6-dev; its output is committed. Needs gcc, clang, nm (binutils), and
manpages-dev for the failure conventions. Nothing in it is from memory: names and types come from the
preprocessed headers, sizes and enumerators from gcc, classes of records from the calling convention clang
applies to them, the list of functions from what the shared libraries export. Which functions set errno is
first read from the manual pages (manual.py), then corrected by the reviewed list in annotations.txt;
flags.txt lists constants that have no type of their own.
"""
import os
import re
import subprocess
import sys
import tempfile

import manual

HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARIES = ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2",
             "libutil.so.1", "libanl.so.1", "libcrypt.so.1", "libBrokenLocale.so.1"]
# Type-generic macros, an obsolete header that is an #error, and kernel headers under another name.
SKIPPED_HEADERS = re.compile(r"^(bits|gnu|asm|finclude)/|/bits/|/asm/|^(tgmath|regexp|sys/elf|sys/vm86)\.h$")
KEYWORDS = set("""void char short int long float double signed unsigned const volatile struct union enum restrict
    _Bool _Complex _Float32 _Float64 _Float128 _Float32x _Float64x __int128 __builtin_va_list register
    if else for while do return goto break continue switch case default auto static extern typedef sizeof
    inline""".split())
DROPPED = set("""extern static inline __inline __inline__ __extension__ _Noreturn __restrict restrict __restrict__
    register""".split())
SPELLED_OUT = {"__const": ["const"], "__signed__": ["signed"], "__signed": ["signed"], "__volatile__": ["volatile"],
               # The headers hide these pointers in transparent unions, which are passed as their first member.
               "__SOCKADDR_ARG": ["struct", "sockaddr", "*"],
               "__CONST_SOCKADDR_ARG": ["const", "struct", "sockaddr", "*"]}
# Characters that are numbers, or raw memory, and not text.
BYTES = ("__int8_t", "__uint8_t", "__u_char", "__caddr_t")
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[A-Za-z_]\w*|\.\.\.|\d[\w.]*|\S')
CLOSING = {"(": ")", "[": "]", "{": "}"}


def run(*command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def public_headers():
    names = set()
    for package in ("libc6-dev", "libcrypt-dev"):
        for path in run("dpkg", "-L", package).split():
            match = re.fullmatch(r"/usr/include/(?:x86_64-linux-gnu/)?(.*\.h)", path)
            if match and not SKIPPED_HEADERS.search(match.group(1)):
                names.add(match.group(1))
    return sorted(names)


def exported_functions():
    """Each function that the shared libraries export, and where it is."""
    places = {}
    for library in LIBRARIES:
        for line in run("nm", "-D", "--defined-only", "/lib/x86_64-linux-gnu/" + library).splitlines():
            address, kind, name = line.split()
            if kind in "TtWwi":
                places.setdefault(name.split("@")[0], (library, address))
    return places


def add_aliases(functions, exported):
    """_IO_puts is puts: an undeclared name at the address of a declared one has its prototype.

    Returns the declared name of each such alias."""
    declared, origin = {}, {}
    for name in sorted(functions):
        if name in exported:
            declared.setdefault(exported[name], []).append(name)
    for name, place in exported.items():
        if name not in functions and place in declared:
            plain = name.removeprefix("_IO_").lstrip("_")
            origin[name] = plain if plain in declared[place] else declared[place][0]
            functions[name] = functions[origin[name]]
    return origin


def skip_group(tokens, start):
    """The index behind the bracket that closes tokens[start]."""
    depth = 0
    for i in range(start, len(tokens)):
        if tokens[i] in CLOSING:
            depth += 1
        elif tokens[i] in CLOSING.values():
            depth -= 1
            if depth == 0:
                return i + 1
    raise ValueError("unbalanced: " + " ".join(tokens[start:start + 20]))


def top_level(tokens):
    """Splits a translation unit into declarations; a function's body ends one too."""
    start = i = 0
    while i < len(tokens):
        if tokens[i] in CLOSING:
            end = skip_group(tokens, i)
            if tokens[i] == "{" and tokens[i - 1] == ")":
                yield tokens[start:i]
                start = end
            i = end
        else:
            if tokens[i] == ";":
                yield tokens[start:i]
                start = i + 1
            i += 1


def cleaned(tokens):
    """Without attributes and storage classes; also the assembler name and the attributes."""
    out, asm_name, attributes = [], None, []
    i = 0
    while i < len(tokens):
        token = tokens[i]
        if token in ("__attribute__", "__asm__", "__asm", "_Alignas"):
            end = skip_group(tokens, i + 1)
            if token.startswith("__asm"):
                asm_name = "".join(t.strip('"') for t in tokens[i + 2:end - 1])
            else:
                attributes += tokens[i + 2:end - 1]
            i = end
            continue
        if token not in DROPPED and not (out[:1] == ["typedef"] and token.endswith("SOCKADDR_ARG")):
            out += SPELLED_OUT.get(token, [token])
        i += 1
    return out, asm_name, attributes


def spell(tokens):
    """Tokens as one line of C in the usual spacing."""
    text = ""
    for i, token in enumerate(tokens):
        previous = tokens[i - 1] if i else "("
        if token == "(":
            space = tokens[i + 1:i + 2] == ["*"] and previous not in ("(", "*")
        elif token in (",", ")", "[", "]"):
            space = False
        else:
            space = previous not in ("(", "[", "*")
        text += (" " if space and text else "") + token
    return text


class Headers:
    """What the preprocessed headers declare, as lists of tokens."""

    def __init__(self, include_lines):
        source = run("gcc", "-D_GNU_SOURCE", "-w", "-E", "-P", "-x", "c", "-", text=include_lines)
        self.functions = {}  # name: (tokens before the name, tokens of the parameter list, annotations)
        self.typedefs = {}   # name: (tokens, index of the name)
        self.tags = set()    # "struct stat", complete ones
        self.enums = {}      # "enum idtype" or a typedef's name: enumerator names
        tokens = TOKEN.findall(re.sub(r"^\s*#.*$", "", source, flags=re.M))
        for i in range(len(tokens) - 2):
            if tokens[i] in ("struct", "union") and tokens[i + 2] == "{":
                self.tags.add(tokens[i] + " " + tokens[i + 1])
        self.redirected = {}
        for declaration in top_level(tokens):
            self.add(declaration)
        self.functions = self.redirected | self.functions

    def add(self, declaration):
        tokens, asm_name, attributes = cleaned(declaration)
        if not tokens or tokens[0] == "_Static_assert":
            return
        tokens = self.without_bodies(tokens)
        if tokens[0] == "typedef":
            self.add_typedefs(tokens[1:], attributes)
            return
        for i in range(len(tokens) - 1):
            if re.match(r"[A-Za-z_]", tokens[i]) and tokens[i + 1] == "(" and tokens[i] not in KEYWORDS:
                # Wide formats have no attribute, which is right: they are shown as pointers.
                meaning = {"printf"} if "__printf__" in attributes and "..." in tokens else set()
                function = (tokens[:i], tokens[i + 1:], meaning)
                if asm_name:  # a redirection never overrules the plain declaration of that name
                    self.redirected.setdefault(asm_name, function)
                self.functions.setdefault(tokens[i], function)
                return

    def without_bodies(self, tokens):
        """Struct and enum bodies go; enumerators are remembered under the tag, or under a {marker}."""
        out = []
        i = 0
        while i < len(tokens):
            if tokens[i] == "{":
                end = skip_group(tokens, i)
                tagged = tokens[i - 1] not in ("struct", "union", "enum")
                if "enum" in (tokens[i - 1], tokens[i - 2]):
                    body = tokens[i + 1:end - 1]
                    names = [t for k, t in enumerate(body) if k == 0 or body[k - 1] == ","]
                    self.enums[" ".join(out[-2:]) if tagged else "{}"] = [n for n in names if n != ","]
                if not tagged:
                    out.append("{}")
                i = end
            else:
                out.append(tokens[i])
                i += 1
        return out

    def add_typedefs(self, tokens, attributes):
        if tokens[-1] == "{}" or "__vector_size__" in attributes:
            return  # one of the SPELLED_OUT; the audit interface's vectors, which no function takes
        if "__mode__" in attributes:
            mode = {"__word__": "long", "__HI__": "short"}[attributes[attributes.index("__mode__") + 2]]
            tokens = [mode if t == "int" else t for t in tokens]
        specifiers, declarators = self.split_declarators(tokens)
        for declarator in declarators:
            if len(declarator) > 2 and declarator[0] == "(" and declarator[1] == "*":
                at = 2
            else:
                at = next(i for i, t in enumerate(declarator) if re.match(r"[A-Za-z_]", t) and t != "const")
            self.typedefs[declarator[at]] = specifiers + declarator
            if specifiers[:2] == ["enum", "{}"]:
                self.enums[declarator[at]] = self.enums.pop("{}")

    @staticmethod
    def split_declarators(tokens):
        parts, start, i = [], 0, 0
        while i < len(tokens):
            if tokens[i] in CLOSING:
                i = skip_group(tokens, i)
                continue
            if tokens[i] == ",":
                parts.append(tokens[start:i])
                start = i + 1
            i += 1
        parts.append(tokens[start:])
        # The first part holds the specifiers: all up to the declarator's first token.
        first = parts[0]
        at = 0
        while at < len(first) and (first[at] in KEYWORDS or first[at] == "{}" or
                                   (at and first[at - 1] in ("struct", "union", "enum"))):
            at += 1
        if not any(t not in ("const", "volatile") for t in first[:at]):
            at += 1  # the specifier is itself a typedef's name
        return first[:at], [first[at:]] + parts[1:]

    def public_alias(self):
        """__off_t is shown as off_t: what a person reads in the manual."""
        alias = {}
        for name, tokens in self.typedefs.items():
            if len(tokens) == 2 and tokens[0].startswith("_") and not name.startswith("_"):
                if tokens[0] not in alias or tokens[0].strip("_") == name:
                    alias[tokens[0]] = name
            plain = name.lstrip("_")
            if name != plain and self.typedefs.get(plain, [])[:-1] == tokens[:-1] != []:
                alias[name] = plain  # __FILE and FILE, both declared in full
        return alias


def with_plain_names(tokens, typedefs):
    """Parameter names without the underscores that keep them out of a program's way."""
    out = []
    for i, token in enumerate(tokens):
        plain = token.lstrip("_")
        if (token.startswith("_") and plain and token not in KEYWORDS and token not in typedefs
                and plain not in KEYWORDS and (i == 0 or tokens[i - 1] not in ("struct", "union", "enum"))):
            token = plain
        out.append(token)
    return out


def record_layouts(include_lines, records):
    """size, alignment and eightbyte classes of records, from the code clang makes to return one."""
    source = include_lines
    for i, record in enumerate(records):
        source += f"extern {record} g{i}; {record} f{i}(void) {{ return g{i}; }}\n"
        source += f"unsigned long s{i} = sizeof({record}), a{i} = _Alignof({record});\n"
    ir = run("clang", "-D_GNU_SOURCE", "-w", "-O0", "-S", "-emit-llvm", "-x", "c", "-o", "-", "-", text=source)
    number = {m[1]: int(m[2]) for m in re.finditer(r"^@([sa]\d+) = .*?global i64 (\d+)", ir, re.M)}
    layouts = {}
    for match in re.finditer(r"^define dso_local (.*?)@f(\d+)\((.*)$", ir, re.M):
        i = match[2]
        returned = match[1].strip()
        if "sret" in match[3]:
            classes = ["MEMORY"]
        elif returned == "void":
            classes = []
        else:
            inner = re.fullmatch(r"\{(.*)\}", returned)
            classes = [ir_class(t.strip()) for t in (inner[1].split(", ") if inner else [returned])]
        layouts[records[int(i)]] = (number["s" + i], number["a" + i], classes)
    return layouts


def ir_class(type_name):
    if type_name == "x86_fp80":
        return "X87"
    if re.fullmatch(r"i\d+|.*\*", type_name):
        return "INTEGER"
    if type_name in ("float", "double", "<2 x float>"):
        return "SSE"
    raise ValueError("unknown IR type " + type_name)


def enumerator_values(include_lines, names):
    lines = "".join(f'printf("%lld\\n", (long long)({n}));\n' for n in names)
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "values")
        run("gcc", "-D_GNU_SOURCE", "-w", "-x", "c", "-o", program, "-",
            text=include_lines + "int main(void) {" + lines + "}")
        return dict(zip(names, map(int, run(program).split())))


def write(name, heading, lines):
    with open(os.path.join(HERE, "data", name), "w", encoding="ascii") as out:
        out.write(heading + "\n".join(lines) + "\n")
    print(f"{name}: {len(lines)} declarations")


FUNCTIONS_HEADING = """\
// C functions of the GNU C library, generated from its headers by generate.py: do not edit. Format and
// annotations are described in README.md; corrections go to annotations.txt and generate.py.
"""
TYPES_HEADING = """\
// Types of the GNU C library's headers on x86-64, generated by generate.py: do not edit. The format is
// described in README.md.
"""


def other_names(declaration, origin, name, has_mode):
    """`manual=pathname,flags,mode`, when the manual page has other names than the header. Behind `...` only a mode counts."""
    parameters = declaration[declaration.index(name + "(") + len(name) + 1:declaration.rindex(")")]
    own, page = manual.names_of(parameters), manual.names_in_manual(origin)
    wanted = len(own) + has_mode
    if parameters.endswith("..."):
        page = page[:wanted]
    if len(page) != wanted or None in page or page == own:
        return ""
    if any(other in own and own.index(other) != i for i, other in enumerate(page)):
        return ""  # one name for two of them
    return "manual=" + ",".join(page)


def function_lines(headers, exported, origin, annotations):
    alias = headers.public_alias()
    lines = []
    for name in sorted(headers.functions):
        if name not in exported:
            continue
        before, parameters, meaning = headers.functions[name]
        before = [alias.get(t, t) for t in before]
        parameters = with_plain_names([alias.get(t, t) for t in parameters], headers.typedefs)
        note = annotations.of(origin.get(name, name), fails=before != ["void"], meaning=meaning)
        text = spell(before + [name] + parameters)
        note = " ".join(filter(None, [note, other_names(text, origin.get(name, name), name, "open" in note.split())]))
        lines.append(text + ";" + (f" // {note}" if note else ""))
    for name in annotations.unused(headers.functions | headers.typedefs):
        print(f"annotations.txt: {name} is not in these headers", file=sys.stderr)
    return lines


def flag_lines(include_lines):
    """The sets of flags.txt, with the values the compiler has for them."""
    with open(os.path.join(HERE, "flags.txt"), encoding="ascii") as lines:
        text = re.sub(r"#.*", "", lines.read())
    sets = re.findall(r"^(\w+)(?: field=(-?\d+))?: (.*(?:\n .*)*)", text, re.M)
    values = enumerator_values(include_lines, sorted({name for _, _, names in sets for name in names.split()}))
    return [f"flags {name} {{ " + ", ".join(f"{n} = {values[n]}" for n in names.split()) + " };"
            + (f" // field={field}" if field else "") for name, field, names in sets]


def type_lines(headers, include_lines, function_text, annotations):
    shown = {n for n in headers.typedefs if not n.startswith("_")}
    pending = [t for t in TOKEN.findall(function_text) if t in headers.typedefs] + list(shown)
    while pending:
        name = pending.pop()
        shown.add(name)
        pending += [t for t in headers.typedefs[name] if t in headers.typedefs and t not in shown]
    anonymous = [n for n in sorted(shown) if headers.typedefs[n][-2:] == ["{}", n]
                 and headers.typedefs[n][0] in ("struct", "union")]
    layouts = record_layouts(include_lines, sorted(headers.tags) + anonymous)
    values = enumerator_values(include_lines, sorted({e for names in headers.enums.values() for e in names}))

    def record(layout):
        size, align, classes = layout
        return f"// size={size} align={align}" + (" class=" + ",".join(classes) if classes else "")

    def enumerators(name):
        return "{ " + ", ".join(f"{e} = {values[e]}" for e in headers.enums[name]) + " }"

    lines = [f"{tag} {{}}; {record(layouts[tag])}" for tag in headers.tags if tag in layouts]
    lines += [f"{tag} {enumerators(tag)};" for tag in headers.enums if tag.startswith("enum ")]
    for name in shown:
        tokens = headers.typedefs[name]
        text = spell(["typedef"] + tokens) + ";"
        if name in anonymous:
            text += " " + record(layouts[name])
        elif name in headers.enums:
            text = text.replace("{}", enumerators(name))
        elif name in BYTES:
            text += " // bytes"
        elif "octal" in annotations.by_name.get(name, ()):
            text += " // octal"
        lines.append(text)
    return sorted(lines)


def main():
    names = public_headers()
    include_lines = "".join(f"#include <{h}>\n" for h in names)
    headers = Headers(include_lines)
    exported = exported_functions()
    origin = add_aliases(headers.functions, exported)
    annotations = manual.Annotations(os.path.join(HERE, "annotations.txt"))
    functions = function_lines(headers, exported, origin, annotations)
    types = type_lines(headers, include_lines, "\n".join(functions), annotations)
    types = sorted(types + flag_lines(include_lines))
    write("libc.proto", FUNCTIONS_HEADING, functions)
    write("types.proto", TYPES_HEADING, types)
    write("headers.txt", "", names)  # for the test that asks the compiler again


if __name__ == "__main__":
    main()
