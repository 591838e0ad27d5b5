"""Thousands of functions at once, in both debuggers: how long `gibbon wrap` and `delete` take, beside two measures of the same run.

    python3 tests/bench/many.py [BUILD-DIRECTORY] [COUNT...]

The floor: every page of those functions is read and written back once through the debugger. The debugger's own means: a breakpoint on each
(`rbreak` in GDB, for up to 10,000; `breakpoint set -r` in LLDB), without Gibbon. Each figure is the best of three runs, the breakpoints' one. Measures only."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from rows import markdown

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
GOALS = {"gdb": 0.5, "lldb": 1.0}  # seconds for 10,000
COUNTS = (1000, 10000, 50000)
LIMIT = 300  # seconds for one session


def inside(own):
    """In the debugger, stopped in main."""
    if "lldb" not in sys.modules:
        import gdb
        process = gdb.selected_inferior()
        address = lambda name: int(gdb.parse_and_eval("(unsigned long) &%s" % name))
        do = lambda line: gdb.execute(line, to_string=True)
        read, write = process.read_memory, process.write_memory
        pattern = "rbreak ^fun_[0-9]*$"
    else:
        import lldb
        target = lldb.debugger.GetSelectedTarget()
        process, error = target.GetProcess(), lldb.SBError()
        address = lambda name: target.FindSymbols(name)[0].GetSymbol().GetStartAddress().GetLoadAddress(target)
        result = lldb.SBCommandReturnObject()
        do = lambda line: lldb.debugger.GetCommandInterpreter().HandleCommand(line, result)
        read, write = lambda at, size: process.ReadMemory(at, size, error), lambda at, data: process.WriteMemory(at, data, error)
        pattern = "breakpoint set -r ^fun_[0-9]+$"

    def timed(name, what):
        start = time.perf_counter()
        what()
        print("figure %s %.4f" % (name, time.perf_counter() - start), flush=True)

    first, last = sorted((address("fun_0") & ~4095, address("main") & ~4095))

    def pages():
        for at in range(first, last, 4096):
            write(at, bytes(read(at, 4096)))
    if own:
        timed("own", lambda: do(pattern))
        return
    timed("floor", pages)
    timed("wrap", lambda: do("gibbon wrap fun_* -quiet"))
    timed("list", lambda: do("gibbon list"))
    timed("disable", lambda: do("gibbon disable"))
    timed("delete", lambda: do("gibbon delete"))


def make(folder, count):
    source, program = os.path.join(folder, "many%d.c" % count), os.path.join(folder, "many%d" % count)
    with open(source, "w") as file:
        subprocess.run([sys.executable, os.path.join(ROOT, "tests", "programs", "make_many.py"), str(count)], stdout=file, check=True)
    subprocess.run(["gcc", "-O1", "-o", program, source], check=True)
    return program


def run(debugger, program, library, own=False):
    """Seconds by name; with `own` those of the debugger's own breakpoints, without Gibbon."""
    here = os.path.dirname(os.path.abspath(__file__))
    script = "import sys; sys.path.insert(0, %r); import many; many.inside(%r)" % (here, own)
    if debugger == "gdb":
        plugin = [] if own else ["-ex", "source %s/gdb/gibbon.py" % ROOT]
        words = ["gdb", "-nx", "-q", "-batch", "-iex", "set debuginfod enabled off", *plugin, "-ex", "break main", "-ex", "run", "-ex", "python " + script, program]
    else:
        plugin = [] if own else ["-o", "command script import %s/lldb/gibbon.py" % ROOT]
        words = ["lldb-19", "-x", "-Q", "-b", *plugin, "-f", program, "-o", "breakpoint set -n main", "-o", "process launch", "-o", "script " + script]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=dict(os.environ, GIBBON_LIBRARY=library), timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {}
    found = {name: float(value) for name, value in re.findall(r"^figure (\w+) ([\d.]+)$", done.stdout, re.M)}
    if ("own" if own else "delete") not in found:
        print("many: %s did not finish:\n%s%s" % (debugger, done.stdout[-2000:], done.stderr[-2000:]), file=sys.stderr)
    return found


def table(library, counts=COUNTS):
    """Markdown."""
    folder = tempfile.mkdtemp()
    lines = [["many functions at once", "wrap", "disable", "delete", "floor", "own breakpoints", "goal", "met"]]
    try:
        for debugger, program_name in (("gdb", "gdb"), ("lldb", "lldb-19")):
            if not shutil.which(program_name):
                continue
            for count in counts:
                program = make(folder, count)
                runs = [run(debugger, program, library) for _ in range(3)]
                best = {name: min((r[name] for r in runs if name in r), default=None) for name in ("wrap", "disable", "delete", "floor")}
                if debugger == "lldb" or count <= 10000:
                    best.update(run(debugger, program, library, own=True))
                goal = GOALS[debugger] if count == 10000 else None
                lines.append(["%s, %d" % (debugger.upper(), count)] + ["%.2f s" % best[name] if best.get(name) is not None else "-" for name in ("wrap", "disable", "delete", "floor", "own")]
                             + ["<= %.1f s" % goal if goal else "", "" if not goal else "yes" if best["wrap"] and best["wrap"] <= goal else "no"])
    finally:
        shutil.rmtree(folder)
    return markdown(lines, right=range(1, 6))


def main():
    words = sys.argv[1:]
    build = words.pop(0) if words and not words[0].isdigit() else os.path.join(ROOT, "build")
    print(table(os.path.join(build, "libgibbon.so"), [int(word) for word in words] or COUNTS))


if __name__ == "__main__":
    main()
