"""Whatever leaves a patched function without returning: exceptions, threads that end, the target's own backtraces."""
import os
import re
import shutil
import subprocess

import pytest
from transparent import COMPILERS, same

MINE = "exceptions!*"
VARIANTS = {
    "shared": {},
    "own libgcc": dict(flags=["-w", "-static-libgcc", "-static-libstdc++"]),
    "own libgcc, stripped": dict(flags=["-w", "-static-libgcc", "-static-libstdc++", "-rdynamic"], strip=True, debug=False),
    "static": dict(static=True),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("cc,opt", COMPILERS)
def test_exceptions(debugger, target, cc, opt, variant):
    """Caught, rethrown, nested, from constructors, through qsort; terminate; pthread_cancel and pthread_exit; backtrace(3)."""
    how = dict({"flags": ["-w"]}, **VARIANTS[variant])
    program = target("exceptions.cc", cc=cc, opt=opt, name="exceptions", **how)
    same(debugger, program, [MINE + " -quiet"])


@pytest.mark.parametrize("variant", ["shared", "own libgcc, stripped", "static"])
def test_everything_patched(debugger, target, variant):
    """libstdc++, libgcc, libc and the loader as well."""
    how = dict({"flags": ["-w"]}, **VARIANTS[variant])
    program = target("exceptions.cc", opt="-O1", name="exceptions", **how)
    same(debugger, program, ["*!* -quiet"], timeout=120)


@pytest.mark.parametrize("cc,opt", COMPILERS + [("gcc", "-O1"), ("gcc", "-Os"), ("clang", "-O1"), ("clang", "-Oz")])
def test_calls_among_the_first_instructions(debugger, target, cc, opt):
    """`push %rbx; call *%rdi; ...` is displaced: the exception must find the function's own handlers and cleanups, not those of a copy."""
    program = target("passing.cc", cc=cc, opt=opt, flags=["-w"], name="passing")
    names = "catches catches_number cleans cleans_twice passes through_object object_caught ends".split()
    padded = opt in ("-O0", "-O2")
    result = same(debugger, program, ["%s -quiet" % name for name in names], called=padded)
    if not padded:  # functions follow each other, so there may be no room for an island: refused then, with the reason
        refused = re.findall(r"^ +1 refused: (.*)$", result.text, re.M)
        assert all(re.search(r"through which no exception could pass\.$", why) for why in refused), result.text


def test_patched_while_it_runs(debugger, target):
    program = target("exceptions.cc", flags=["-w"], name="exceptions")
    same(debugger, program, [MINE + " -quiet -backtrace 3"], before=["break looks_back", "break nested", "run"], after=[("delete", "breakpoint delete -f"), "continue"])


@pytest.mark.parametrize("library", ["/usr/lib/llvm-14/lib/libunwind.so.1", "/usr/lib/x86_64-linux-gnu/libunwind.so.8"])
def test_other_unwinders(debugger, target, library):
    """Their lookup cannot be told of thunks: patched functions have no results then, and exceptions pass."""
    if not os.path.exists(library):
        pytest.skip(library + " is not installed")
    program = target("exceptions.cc", flags=["-w", "-DNO_THREADS"], opt="-O1", name="exceptions")
    result = same(debugger, program, [MINE + " -quiet", "catcher"], preload=library)
    assert len(re.findall(r"^gibbon: libunwind\.so\.\S+ unwinds exceptions itself", result.text, re.M)) == 1, result.text
    assert sorted(result.bodies("catcher")) == ["catcher(kind=%d)" % kind for kind in range(6)]


def test_stripped_static_program(debugger, target, tmp_path):
    """The unwinder is somewhere in it, without a name."""
    with_names = target("exceptions.cc", static=True, flags=["-w", "-DNO_THREADS"], opt="-O1", debug=False, pie=False, name="exceptions")
    symbols = subprocess.run(["nm", with_names], check=True, capture_output=True, text=True).stdout
    address = re.search(r"^([0-9a-f]+) T _Z7catcheri$", symbols, re.M).group(1)
    program = shutil.copy(with_names, str(tmp_path / "without"))
    subprocess.run(["strip", program], check=True)
    result = same(debugger, program, ["*0x" + address], before=["starti"], after=["continue"])
    assert len(re.findall(r"^gibbon: without unwinds exceptions itself", result.text, re.M)) == 1, result.text
    assert len(result.log) == 6 and not any(" = " in line for line in result.log), result.log


def test_coroutines(debugger, target):
    program = target("coroutines.cc", flags=["-w", "-std=c++20"])
    for what in ("coroutines!* -quiet", "*!* -quiet"):
        same(debugger, program, [what])


PYTHON = """
import ctypes, faulthandler, signal, sys, threading, traceback
def key(x):
    if x == 7: raise ValueError("seven")
    return -x
try: sorted(range(10), key=key)
except ValueError as e: print("caught", e)
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))(lambda a, b: a[0] - b[0])
numbers = (ctypes.c_int * 6)(5, 2, 9, 1, 7, 3)
ctypes.CDLL(None).qsort(numbers, 6, 4, compare)
print(list(numbers))
threads = [threading.Thread(target=lambda: faulthandler.dump_traceback(sys.stdout)) for _ in range(1)]
def deep(n): return n if n == 0 else 1 + deep(n - 1)
print(deep(800))
try:
    deep(100000)
except RecursionError: print("recursion")
signal.signal(signal.SIGUSR1, lambda *_: print("signal"))
signal.raise_signal(signal.SIGUSR1)
print(sum(hash(str(i)) % 7 >= 0 for i in range(2000)))
"""


@pytest.mark.parametrize("what", ["libc.so.6!* -quiet -pending", "*!Py* -quiet"])
def test_python(debugger, tmp_path, what):
    """An interpreter with its own idea of the stack: callbacks from C, RecursionError, signals."""
    script = tmp_path / "script.py"
    script.write_text(PYTHON)
    same(debugger, "/usr/bin/python3", [what], args=["-I", str(script)], before=["starti", ("handle SIGUSR1 nostop noprint pass", "process handle -s false -n false -p true SIGUSR1")], after=["continue"], timeout=120)
