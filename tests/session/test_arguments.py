"""Arguments and results of every kind, known from debug information, from -prototype, from the shipped prototypes, or not at all."""
import csv
import io
import re
import subprocess

import pytest
from harness import jsonl

ANY = object()
HEX = r"0x[0-9a-f]+"
# function, what is logged for it (a regular expression)
EXPECTED = [
    ("small", r"small\(a=-128, b=255, c=-32768, d=65535\) = -5"),
    ("large", r"large\(a=-2147483648, b=4294967295, c=-9000000000000000000, d=18446744073709551615\) = -9223372036854775808"),
    ("unsigned_result", r"unsigned_result\(\) = 4000000000"),
    ("logic", r"logic\(yes=true, no=false\) = true"),
    ("letter", r"letter\(a='a', b='\\n', c='\\''\) = 'z'"),
    ("paint", r"paint\(a=RED, b=BLUE, c=77\) = GREEN"),
    ("mask", r"mask\(f=READ\|RUN\) = READ\|RUN"),
    ("single", r"single\(a=1\.5, b=-0\.1\) = 0\.1"),
    ("twice", r"twice\(a=3\.25, b=1e\+300\) = 0\.1"),
    ("thrice", r"thrice\(a=2\.5, b=7\) = 1\.25"),
    ("nine", r"nine\(a=1, b=2, c=3, d=4, e=5, f=6, g=7, h=8, i=9\.5, j=10\.25\) = 19\.75"),
    ("eight", r"eight\(a=1, b=2, c=3, d=4, e=5, f=6, g=7, h=8\) = 78"),
    ("both", r'both\(a=1, b=2\.5, c=3, d=4\.5, e="five"\) = 7'),
    ("text", r'text\(a="hello", b="buffer", none=NULL\) = 0x[0-9a-f]+ "result"'),
    ("pointer", r"pointer\(a=0x[0-9a-f]+, b=NULL, c=NULL\) = NULL"),
    ("by_pointer", r"by_pointer\(p=0x[0-9a-f]+\) = 7"),
    ("nothing", r"nothing\(\)"),
]
VALUES = {
    "small": ({"a": -128, "b": 255, "c": -32768, "d": 65535}, -5),
    "large": ({"a": -2147483648, "b": 4294967295, "c": -9000000000000000000, "d": 18446744073709551615}, -9223372036854775808),
    "logic": ({"yes": True, "no": False}, True),
    "paint": ({"a": "RED", "b": "BLUE", "c": 77}, "GREEN"),
    "twice": ({"a": 3.25, "b": 1e300}, 0.1),
    "eight": ({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8}, 78),
    "nine": (dict(zip("abcdefgh", range(1, 9)), i=9.5, j=10.25), 19.75),
    "both": ({"a": 1, "b": 2.5, "c": 3, "d": 4.5, "e": "five"}, 7),
}
STRUCTS = "make_point make_wide make_floats make_mixed take_point take_wide"
NAMES = " ".join(name for name, _ in EXPECTED)


def bare(program):
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("cc,opt", [("gcc", "-O0"), ("gcc", "-O2"), ("clang", "-O0"), ("clang", "-O2")])
@pytest.mark.parametrize("kind", ["pie", "fixed", "static"])
def test_debug_information(debugger, target, tmp_path, cc, opt, kind):
    program = target("arguments", cc=cc, opt=opt, pie=kind == "pie", static=kind == "static")
    log = tmp_path / "log.jsonl"
    result = debugger.session(program, ["gibbon wrap %s %s" % (NAMES, STRUCTS), "run", "gibbon log -save %s -format jsonl" % log])
    assert result.out == bare(program)
    for name, pattern in EXPECTED:
        body = result.only(name)
        assert re.fullmatch(pattern, body), body
    calls = {call["function"]: call for call in jsonl(log)}
    for name, (arguments, value) in VALUES.items():
        assert (calls[name]["arguments"], calls[name]["result"]) == (arguments, value)
        assert calls[name]["type"] == "call" and calls[name]["duration"] >= 0  # the counter may not have moved
    assert "result" not in calls["nothing"]
    assert calls["text"]["arguments"] == {"a": "hello", "b": "buffer", "none": None} and calls["text"]["result_text"] == "result"


@pytest.mark.parametrize("opt", ["-O0", "-O2"])
def test_structs_by_value(debugger, target, opt):
    """With members as far as they are in registers or on the stack; a result in memory is {...}. The program is not harmed."""
    program = target("arguments", opt=opt)
    log = str(debugger.directory) + "/log.jsonl"
    result = debugger.session(program, ["gibbon wrap " + STRUCTS, "run", "gibbon log -save %s -format jsonl" % log, "gibbon log -format csv", "gibbon stats 5 -by argument=p", "gibbon stats 1 -by result"])
    assert result.out == bare(program)
    assert result.bodies("make_point")[0] == "make_point(x=3, y=7) = {x = 3, y = 7}"
    assert result.bodies("make_wide")[0] == "make_wide(a=10) = {...}"
    assert result.bodies("make_floats")[0] == "make_floats(x=1.5) = {x = 1.5, y = 3}"
    assert result.bodies("make_mixed")[0] == "make_mixed(n=9) = {n = 9, x = 0.5}"
    assert result.bodies("take_point")[0] == "take_point(p={x = 3, y = 7}, after=5) = 375"
    assert result.bodies("take_wide")[0] == "take_wide(w={a = 10, b = 11, c = 12}, after=6) = 39"
    calls = {c["function"]: c for c in jsonl(log)}
    assert calls["make_mixed"]["result"] == {"n": 9, "x": 0.5} and calls["make_wide"]["result"] is None
    assert calls["take_point"]["arguments"] == {"p": {"x": 3, "y": 7}, "after": 5}
    assert calls["take_wide"]["arguments"] == {"w": {"a": 10, "b": 11, "c": 12}, "after": 6}
    cells = {row["function"]: row for row in csv.DictReader(io.StringIO(result[3]))}
    assert cells["take_wide"]["arg1"] == "{a = 10, b = 11, c = 12}" and cells["take_wide"]["arg2"] == "6" and cells["make_point"]["result"] == "{x = 3, y = 7}"
    assert "  {x = 3, y = 7}\n" in result[4] and "  {x = 3, y = 7}\n" in result[5]


PROTOTYPES = {
    "small": "int8_t small(int8_t a, uint8_t b, int16_t c, uint16_t d)",
    "large": "int64_t large(int32_t a, uint32_t b, int64_t c, uint64_t d)",
    "logic": "_Bool logic(_Bool yes, _Bool no)",
    "single": "float single(float a, float b)",
    "nine": "double nine(double a, double b, double c, double d, double e, double f, double g, double h, double i, double j)",
    "eight": "int eight(int a, int b, int c, int d, int e, int f, int g, int h)",
    "both": "double both(int a, double b, int c, double d, const char *e)",
    "text": "const char *text(const char *a, char *b, const char *none)",
    "nothing": "void nothing(void)",
}


def test_prototype_option(debugger, target):
    program = target("arguments", debug=False)
    result = debugger.session(program, ["gibbon wrap %s -prototype '%s'" % item for item in PROTOTYPES.items()] + ["run"])
    assert result.out == bare(program)
    patterns = dict(EXPECTED)
    for name in PROTOTYPES:
        body = result.only(name)
        assert re.fullmatch(patterns[name], body), body


@pytest.mark.parametrize("opt", ["-O0", "-O2"])
def test_raw_registers(debugger, target, opt):
    """Nothing knows the function: four registers in hexadecimal, and the result's register."""
    program = target("arguments", debug=False, opt=opt)
    result = debugger.session(program, ["gibbon wrap eight large nine make_wide take_wide", "run"])
    assert result.out == bare(program)
    assert re.fullmatch(r"eight\(0x1, 0x2, 0x3, 0x4\) = 0x4e", result.bodies("eight")[0])
    body = result.bodies("large")[0]
    assert re.fullmatch(r"large\(0x[0-9a-f]*80000000, 0x[0-9a-f]*ffffffff, 0x831993af1d7c0000, 0xffffffffffffffff\) = 0x8000000000000000", body), body


def test_shipped_prototypes(debugger, target, tmp_path):
    program = target("errors", debug=False)
    made = str(tmp_path / "made")
    plain = subprocess.run([program, made], capture_output=True, text=True).stdout
    result = debugger.session(program, ["gibbon wrap open openat fopen getenv close write snprintf printf", "run"], args=[made])
    strip = lambda text: re.sub(HEX, "0xA", text)
    assert strip(result.out) == strip(plain)
    opens = result.bodies("open")
    assert re.fullmatch(r'open\(\w+="/nonexistent/file", \w+=\w+\) = -1 ENOENT \(No such file or directory\)', opens[0]), opens
    assert re.fullmatch(r'open\(\w+="%s", \w+=[\w|]+, mode=0640\) = \d+' % re.escape(made), opens[1]), opens
    assert re.fullmatch(r'openat\(\w+=(-100|AT_FDCWD), \w+="/nonexistent/at", \w+=\w+\) = -1 ENOENT \(No such file or directory\)', result.bodies("openat")[0])
    assert re.fullmatch(r'fopen\(\w+="/nonexistent/stream", \w+="r"\) = NULL ENOENT \(No such file or directory\)', result.bodies("fopen")[0])
    assert re.fullmatch(r'getenv\(name="GIBBON_NOT_SET"\) = NULL', result.bodies("getenv")[-2] if len(result.bodies("getenv")) > 1 else "")
    assert result.bodies("close")[-1] == "close(fd=9999) = -1 EBADF (Bad file descriptor)"
    assert re.fullmatch(r"write\(fd=\d+, \w+=%s, \w+=3\) = 3" % HEX, result.bodies("write")[0]), result.bodies("write")


def test_printf_family(debugger, target, tmp_path):
    program = target("errors")
    made = str(tmp_path / "made")
    result = debugger.session(program, ["gibbon wrap printf snprintf", "run"], args=[made])
    body = result.bodies("snprintf")[0]
    assert re.fullmatch(r'snprintf\(\w+=(?:\".*\"|%s), \w+=100, \w+="%%d %%s %%5\.2f %%c %%lu %%p %%%% %%\*d %%x", -7, "seven", 2\.5, \'q\', 123456789012, 0x1234, 4, 9, 255\) = \d+' % HEX, body), body
    body = result.bodies("printf")[-2]
    assert re.fullmatch(r'printf\(\w+="%%s\|%%\.3s\|%%ld\|%%s\\n", "one", "abc(?:def)?"(?:\.\.\.)?, -5000000000, "%s"\) = \d+' % re.escape(made), body), body


def test_errno_is_not_changed(debugger, target, tmp_path):
    """The target's errno is what the function left, wrapped or not: printed by the program itself."""
    result = debugger.session(target("errors"), ["gibbon wrap open openat fopen getenv close write -backtrace", "run"], args=[str(tmp_path / "x")])
    assert "open -1 2\n" in result.out and "close -1 9\n" in result.out and "kept 1\n" in result.out and "openat -1 No such file" in result.out


def test_failures_are_counted(debugger, target, tmp_path):
    result = debugger.session(target("errors"), ["gibbon wrap open close", "run", "gibbon stats"], args=[str(tmp_path / "x")])
    assert re.search(r"^1 +3 +2 .*  open$", result[2], re.M) and re.search(r"^2 +\d+ +1 .*  close$", result[2], re.M), result[2]


def test_unknown_prototype_word_is_an_error(debugger, target):
    result = debugger.session(target("calls"), ["!gibbon wrap work -prototype 'int work('", "!gibbon wrap work -prototype 'nonsense'", "gibbon list"])
    assert "-prototype" in result[0] and "-prototype" in result[1] and result[2] == "No patches.\n"


MODES = {
    "umask": [r"umask\(mask=022\) = \d+"],
    "mkdir": [r'mkdir\(path="/tmp", mode=01777\) = -1 EEXIST \(File exists\)'],
    "open": [r'open\(file="[^"]+", oflag=O_WRONLY\|O_CREAT\|O_TRUNC\|O_CLOEXEC, mode=0640\) = \d+'],
    "fchmod": [r"fchmod\(fd=\d+, mode=04711\) = 0"],
    "lseek": [r"lseek\(fd=\d+, offset=0, whence=SEEK_END\) = 0"],
    "access": [r'access\((name|file)="[^"]+", type=F_OK\) = 0', r'access\((name|file)="[^"]+", type=R_OK\|W_OK\) = 0'],
    "openat": [r'openat\(fd=AT_FDCWD, file="/nonexistent", oflag=O_RDONLY\|0x40000000\) = -1 ENOENT .*', r'openat\(fd=\d+, file="nonexistent", oflag=O_RDONLY\|O_PATH\) = -1 ENOTDIR .*'],
    "kill": [r"kill\(pid=\d+, sig=0\) = 0"],
    "signal": [r"signal\(sig=SIGUSR1, handler=0x1\) = NULL"],
    "mmap": [r"mmap\(addr=NULL, len=4096, prot=PROT_READ\|PROT_WRITE, flags=MAP_PRIVATE\|MAP_ANONYMOUS, fd=-1, offset=0\) = 0x[0-9a-f]+"],
    "mprotect": [r"mprotect\(addr=0x[0-9a-f]+, len=4096, prot=PROT_NONE\) = 0"],
    "socket": [r"socket\(domain=AF_UNIX, type=SOCK_STREAM\|SOCK_CLOEXEC, protocol=0\) = \d+"],
}


@pytest.mark.parametrize("debug", [True, False])
def test_modes_and_flags(debugger, target, tmp_path, debug):
    """People see modes in octal and flags by name, programs get numbers; it does not matter who knows the prototype."""
    program, log = target("modes", debug=debug, strip=not debug), tmp_path / "log"
    more = ["mine"] if debug else []
    result = debugger.session(program, ["gibbon wrap %s -from modes" % " ".join(list(MODES) + more), "run", "gibbon log -save %s -format jsonl" % log], args=[str(tmp_path / "made")])
    lines = [re.sub(r"^gibbon: \[\d+\] [+-][\d.]+ (\S+!)?| <[\d.]+\w+>$", "", line) for line in result.log]
    wanted = [pattern for patterns in MODES.values() for pattern in patterns] + [r"mine\(mode=0700, flags=2\) = 450"][:len(more)]
    for pattern in wanted:
        assert [line for line in lines if re.fullmatch(pattern, line)], "%s is not in\n%s" % (pattern, "\n".join(lines))
    assert len(lines) == len(wanted), result.text
    numbers = {call["function"]: call["arguments"] for call in jsonl(log)}
    assert numbers["open"]["oflag"] == 0o1000 | 0o100 | 1 | 0o2000000 and numbers["open"]["mode"] == 0o640 and numbers["mkdir"]["mode"] == 0o1777
    assert numbers["signal"] == {"sig": 10, "handler": "0x1"} and numbers["mmap"]["prot"] == 3


RIGHT = {"four": dict(a="1", b="2", c='"x"', d="4"), "floating": dict(a="1.5", b="2", c="3.5"), "seven": dict(a="1", b="2", c="3", d="4", e="5", f="6", g="7"),
         "ordinary": dict(a="1", b="2"), "constant": dict(unused="1", b="5", c="6"), "field": dict(k="3"), "last_only": dict(unused="1", other="2", n="41"),
         "regcalled": dict(a="1", b="2", c="3"), "preserving": dict(a="8")}


@pytest.mark.parametrize("cc", ["gcc", "clang"])
@pytest.mark.parametrize("opt", ["-O0", "-O1", "-O2", "-O3", "-Os"])
def test_functions_called_in_another_way(debugger, target, cc, opt):
    """ms_abi, regcall, arguments that the compiler has done away with: what is shown is what was passed, or {...}."""
    program = target("foreign.c", cc=cc, opt=opt, flags=["-w"])
    result = debugger.session(program, ["break main", "run", "gibbon wrap foreign!*", ("delete", "breakpoint delete -f"), "continue"])
    seen = 0
    for name, right in RIGHT.items():
        for line in (line for line in result.log if re.search(r"\b%s(\.[\w.]+)?\(" % name, line)):
            shown = dict(re.findall(r"(\w+)=(\{\.\.\.\}|\"[^\"]*\"|[^,)]+)", line))
            wrong = {key: shown[key] for key in right if shown[key] not in (right[key], "{...}")}
            assert not wrong, line
            seen += 1
    assert seen >= 4, result.text
    if opt in ("-O1", "-O2"):
        assert any("four(a=1, b=2, c=\"x\", d=4) = 127" in line for line in result.log), result.text
    assert any("ordinary(a=1, b=2) = 3" in line for line in result.log), result.text
