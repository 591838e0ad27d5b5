"""Wrapping changes nothing of how functions are called: arguments, results, registers, the stack."""
import hashlib
import os
import re
import sys

import pytest
from conftest import PROGRAMS
from transparent import COMPILERS, same

sys.path.insert(0, PROGRAMS)
import make_calls  # noqa: E402

# One thunk of each kind.
KINDS = {"log": "%s -quiet", "callers": "%s -backtrace -quiet", "count": "%s -count", "some": "%s -every 3 -quiet"}


def processor():
    with open("/proc/cpuinfo") as file:
        return set(re.search(r"^flags\s*:(.*)$", file.read(), re.M).group(1).split())


def vectors():
    """The widest vectors that this processor has, in bytes, and the options for them."""
    has = processor()
    if {"avx512f", "avx512bw"} <= has:
        return 64, ["-mavx512f", "-mavx512bw"]
    return (32, ["-mavx"]) if "avx" in has else (16, [])


@pytest.fixture(scope="session")
def calls(target, tmp_path_factory):
    """Builds a program of random signatures."""
    folder = tmp_path_factory.mktemp("calls")

    def make(seed, language, most, wide=True, **how):
        width, flags = vectors() if wide else (16, [])
        name = "calls%d%s%d%d" % (seed, language, most, width)
        source = folder / (name + "." + language)
        source.write_text(make_calls.program(seed, 150, language, width, most))
        return target(str(source), name=name, flags=flags + ["-w"], **how)

    return make


@pytest.mark.parametrize("cc,opt", COMPILERS)
@pytest.mark.parametrize("language", ["c", "cc"])
def test_random_signatures(debugger, calls, cc, opt, language):
    """Structs of all classes in registers and memory, __int128, _Complex, long double, vectors, variadics, ms_abi: with debug information."""
    seed = int(hashlib.md5((cc + opt + language + debugger.name).encode()).hexdigest()[:4], 16)
    program = calls(seed, language, 4000, cc=cc, opt=opt)
    result = same(debugger, program, ["%s!*f_* -quiet" % os.path.basename(program)])
    assert re.search(r"called 1[0-9]{2} times", result.text), result.text[-2000:]


@pytest.mark.parametrize("cc,opt", COMPILERS)
@pytest.mark.parametrize("language", ["c", "cc"])
def test_random_signatures_without_debug_information(debugger, calls, cc, opt, language):
    """Nothing is known of the functions but their code."""
    seed = int(hashlib.md5((cc + opt + language).encode()).hexdigest()[:4], 16)
    program = calls(seed, language, 400, cc=cc, opt=opt, debug=False)
    same(debugger, program, ["%s!*f_* -quiet" % os.path.basename(program)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_random_signatures_without_vector_extensions(debugger, calls, cc, kind):
    """Vectors of 32 and 64 bytes are in memory then; each kind of thunk."""
    program = calls(7, "c", 4000, wide=False, cc=cc, opt="-O1")
    same(debugger, program, [KINDS[kind] % ("%s!f_*" % os.path.basename(program))])


@pytest.mark.parametrize("kind", list(KINDS) + ["floating", "two"])
def test_every_register(debugger, target, kind):
    """General registers, the x87 stack, control words, xmm to zmm, masks: before, inside and after."""
    program = target("preserved", opt="-O1", flags=["-w"])
    patches = [KINDS.get(kind, "%s -quiet") % "untouched"]
    if kind == "floating":
        patches = ["untouched -quiet -prototype 'double untouched(double, float, int, int, int, int, int, int, int, ...)'"]
    if kind == "two":
        patches.append("untouched -count")
    same(debugger, program, patches)


@pytest.mark.parametrize("cc,opt", COMPILERS)
def test_calls_of_every_kind(debugger, target, cc, opt):
    """Red zone, realigned stacks, tail calls, 100,000 levels, ms_abi, static chains, callees that keep registers, coroutine switches by hand."""
    program = target("conventions", cc=cc, opt=opt, flags=["-w", "-z", "noexecstack"] if cc == "clang" else ["-w"])
    result = same(debugger, program, ["conventions!* -quiet"])
    assert re.search(r"called \d{6} times, 0 threads inside", result.text), result.text[-2000:]


@pytest.mark.parametrize("flags", [["-mno-red-zone"], ["-mstackrealign"], ["-fomit-frame-pointer", "-fcf-protection=full"], ["-fno-asynchronous-unwind-tables"], ["-fipa-ra", "-O3"]], ids=lambda f: f[0])
def test_calls_of_every_kind_with_other_options(debugger, target, flags):
    program = target("conventions", opt="-O2", flags=["-w"] + flags, debug=False)
    same(debugger, program, ["conventions!* -quiet"], args=["20000"])


@pytest.mark.parametrize("kind", ["callers", "count", "some"])
def test_other_thunks(debugger, target, kind):
    program = target("conventions", opt="-O2", flags=["-w"])
    same(debugger, program, [KINDS[kind] % "conventions!*"])


def test_deep_calls_are_seen(debugger, target):
    """Where the stack has no more room for thunks, calls are logged at entry: all of them are counted, the innermost have no result."""
    program = target("conventions", opt="-O0", flags=["-w"])
    result = same(debugger, program, ["down -quiet"], after=["run", "gibbon log -save saved.jsonl -format jsonl"])
    # Five times 100,000 levels, a thousand twice in a small stack; each has one call more than levels.
    calls = 4 * 100001 + 2 * 1001
    assert "called %d times" % calls in result.text, result.text[-2000:]


def test_functions_known_by_what_they_do(debugger, target):
    """A setjmp, a coroutine switch and a user of the return address that no list names."""
    program = target("conventions", opt="-O2", flags=["-w"])
    result = debugger.session(program, ["break main", "run"] + ["gibbon explain " + f for f in ("own_setjmp", "own_longjmp", "own_switch", "who_called", "red_zone", "variable", "realigned")])
    seen = ["only entries are seen" in result[step] for step in range(2, 9)]
    assert seen == [True, True, True, True, False, False, False], result.text
