"""Runs tests/bench/target in both debuggers and prints one table. Called by run.sh."""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

root, build = sys.argv[1:3]
target = os.path.join(build, "tests", "bench", "bench_target")
output = os.path.join(tempfile.mkdtemp(), "figures")
environment = dict(os.environ, BENCH_OUTPUT=output, GIBBON_LIBRARY=os.path.join(build, "libgibbon.so"))
LLDB = next((name for name in ("lldb-19", "lldb") if shutil.which(name)), None)
GDB = shutil.which("gdb")
WRAPS = ["wrap two_integers four_integers six_integers text_constant text_stack text_heap", "wrap counted -count",
         "wrap disabled -disabled", "wrap traced -backtrace", "wrap ten_frames -backtrace 10"]
ROWS = (  # row of the target, what it is, the goal
    ("floor", "the floor: two rdtsc, one 64-byte record by hand", ""),
    ("two_integers", "logged call, 2 integers", "<= 1.25 x floor"),
    ("four_integers", "logged call, 4 integers", "<= 1.25 x floor"),
    ("six_integers", "logged call, 6 integers", "<= 1.25 x floor"),
    ("text_constant", "logged call, string in read-only data", "<= 25 ns more"),
    ("text_stack", "logged call, string on the stack", "<= 25 ns more"),
    ("text_heap", "logged call, string on the heap", "<= 130 ns more"),
    ("traced", "logged call, -backtrace (6 frames)", ""),
    ("ten_frames", "logged call, -backtrace of 10 frames", "<= 1 us more"),
    ("counted", "-count", "<= 3 ns"),
    ("disabled", "a disabled patch", ""),
    ("floor_two_threads", "the floor, two threads at once", ""),
    ("two_integers_two_threads", "logged call, 2 integers, two threads at once", "<= 1.25 x floor"),
)


def command(debugger, lines, *arguments):
    option = "-ex" if debugger == GDB else "-o"
    words = [debugger, "-nx", "-batch"] if debugger == GDB else [debugger, "--no-lldbinit", "-b"]
    for line in lines:
        words += [option, line]
    return words + (["--args"] if debugger == GDB else ["--"]) + [target, *arguments] if arguments != (None,) else words


def plugin(debugger):
    if debugger == GDB:
        return ["set debuginfod enabled off", "source %s/gdb/gibbon.py" % root]
    return ["command script import %s/lldb/gibbon.py" % root]


def run(words):
    open(output, "w").close()
    return subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=600).stdout


def figures():
    found = {}
    for line in open(output):
        words = line.split()
        found[words[0]] = float(words[1])
    return found


def own_logging(debugger):
    if debugger == GDB:
        lines = ['set debuginfod enabled off', 'dprintf slow,"slow(%ld, %ld)\\n",a,b', "run"]
    else:
        lines = ['breakpoint set -n slow -G true -C "frame variable"', "run"]
    run(command(debugger, lines, "slow"))
    return figures().get("slow")


def load_times(debugger):
    bare, loaded = [], []
    for _ in range(9):
        for lines, times in ((plugin(debugger)[:-1], bare), (plugin(debugger), loaded)):
            start = time.perf_counter()
            run(command(debugger, lines, None))
            times.append((time.perf_counter() - start) * 1000)
    return statistics.median(bare), statistics.median(loaded)


def main():
    debuggers = [d for d in (GDB, LLDB) if d]
    results, logs = {}, {}
    for debugger in debuggers:
        lines = plugin(debugger) + ["gibbon set follow off"] + ["gibbon " + wrap for wrap in (w + " -pending" for w in WRAPS)] + ["run", "gibbon stats"]
        logs[debugger] = run(command(debugger, lines))
        results[debugger] = figures()
        if len(results[debugger]) < len(ROWS):
            print("%s did not finish:\n%s" % (debugger, logs[debugger][-3000:]))
    names = [os.path.basename(d) for d in debuggers]
    print("%-48s" % "ns added to a call" + "".join("%22s" % ("in " + n) for n in names) + "   goal")
    for row, what, goal in ROWS:
        cells = ""
        for debugger in debuggers:
            r = results[debugger]
            floor = r.get("floor_two_threads" if row.endswith("_two_threads") else "floor")
            cells += "%22s" % ("%.1f = %5.2f x floor" % (r[row], r[row] / floor) if row in r and floor else "-")
        print("%-48s" % what + cells + "   " + goal)
    text = {d: results[d] for d in debuggers}
    for row, what, goal in (("text_constant", "  the string in read-only data alone", "<= 25 ns"), ("text_stack", "  the string on the stack alone", "<= 25 ns"),
                            ("text_heap", "  the string on the heap alone", "<= 130 ns")):
        print("%-48s" % what + "".join("%22s" % ("%.1f ns" % (text[d][row] - text[d]["two_integers"]) if row in text[d] else "-") for d in debuggers) + "   " + goal)
    cells = ""
    for debugger in debuggers:
        slow, logged = own_logging(debugger), results[debugger].get("two_integers")
        cells += "%22s" % ("%.0f us = %.0f x ours" % (slow / 1000, slow / logged) if slow and logged else "-")
    print("%-48s" % "the debugger's own: dprintf, auto-continue" + cells)
    cells = ""
    for debugger in debuggers:
        bare, loaded = load_times(debugger)
        cells += "%22s" % ("%.0f - %.0f = %.0f ms" % (loaded, bare, loaded - bare))
    print("%-48s" % "loading the plugin" + cells + "   <= 50 ms")


main()
