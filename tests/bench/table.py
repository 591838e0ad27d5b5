"""Measures and prints the figures of docs/performance.md, as they stand there. Called by run.sh.

    python3 tests/bench/table.py BUILD [--write] [--quick]

--write puts them into docs/performance.md instead of printing them; --quick leaves out the tables of many functions."""
import argparse
import datetime
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import many
import tools
from rows import PATCHES, ROWS, cell, markdown, time_text

SESSIONS = 7  # of each debugger; the table has the least disturbed one
MILLION = 1000000
LOAD_GOAL = 50  # ms
READER_GOALS = {"one_ring": 10, "four_rings": 10, "jsonl": 3}  # million records a second
READER = {"one_ring": "rings of one thread to the spool, binary", "four_rings": "rings of four threads to the spool, binary",
          "text": "`log -save`, text", "jsonl": "`log -save`, jsonl", "csv": "`log -save`, csv", "trace": "`log -save`, trace"}
BEGIN, END = "<!-- figures: sh tests/bench/run.sh --write -->\n", "<!-- end of figures -->\n"
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def progress(text):
    print("bench: " + text, file=sys.stderr, flush=True)


class Debugger:
    def __init__(self, name, program, target, library, folder):
        self.name, self.program, self.target, self.folder = name, program, target, folder
        self.environment = dict(os.environ, GIBBON_LIBRARY=library)
        self.figures = os.path.join(folder, "figures")

    def words(self, lines, *arguments, plugin=True):
        if self.name == "GDB":
            words = [self.program, "-nx", "-q", "-batch", "-iex", "set debuginfod enabled off"]
            lines = (["source %s/gdb/gibbon.py" % ROOT] if plugin else []) + lines
            tail, option = ["--args", self.target, *arguments], "-ex"
        else:
            words = [self.program, "--no-lldbinit", "-b"]
            lines = (["command script import %s/lldb/gibbon.py" % ROOT] if plugin else []) + lines
            tail, option = ["--", self.target, *arguments], "-o"
        for line in lines:
            words += [option, line]
        return words + tail

    def session(self, patches, *arguments, follow="off"):
        """One run of the program with patches: its figures, what session.py answers, and what the debugger printed."""
        job = {"settings": ["gibbon set follow " + follow], "patches": patches, "result": os.path.join(self.folder, "answer")}
        with open(os.path.join(self.folder, "job"), "w") as file:
            json.dump(job, file)
        script = "import sys; sys.path.insert(0, %r); import session; session.inside(%r)" % (HERE, file.name)
        if self.name == "GDB":
            lines = ["tbreak main", "run", "python " + script]
        else:
            lines = ["breakpoint set -o true -n main", "process launch", "script " + script]
        if os.path.exists(job["result"]):
            os.unlink(job["result"])
        found, text = tools.run(self.words(lines, *arguments), self.figures, env=self.environment)
        if not found or not os.path.exists(job["result"]):
            raise SystemExit("bench: %s did not finish:\n%s" % (self.name, text[-3000:]))
        with open(job["result"]) as file:
            return found, json.load(file), text

    def own(self, lines):
        """ns of a call of two_integers() under the debugger's own commands."""
        words = self.words(lines + ["run"], str(tools.FEW_CALLS), str(tools.FEW_ROUNDS), "two_integers", plugin=False)
        try:
            return tools.best_of_free_and_pinned(words, self.figures)[0]
        except (tools.Failed, subprocess.TimeoutExpired) as error:
            progress("%s, %s: %s" % (self.name, lines[0], error))
            return None

    def own_condition(self):
        return self.own(["break two_integers if a == -1"] if self.name == "GDB" else ["breakpoint set -n two_integers -c 'a == -1'"])

    def own_logging(self):
        return self.own(['dprintf two_integers,"two_integers(%ld, %ld)\\n",a,b'] if self.name == "GDB" else ['breakpoint set -n two_integers -G true -C "frame variable a b"'])

    def load_time(self):
        """ms that loading the plugin takes: the quickest start with it, and without."""
        times = {False: [], True: []}
        for _ in range(9):
            for plugin in times:
                start = time.perf_counter()
                subprocess.run(self.words([], plugin=plugin)[:-2], env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
                times[plugin].append((time.perf_counter() - start) * 1000)
        return min(times[True]) - min(times[False])


# ---- Gibbon in a debugger ----

def reasons(found, answer):
    """Rows that cannot be shown, and why: the patch was refused, or did not see the calls that it should."""
    bad = dict(answer["refused"])
    for row in PATCHES:
        if row.key in bad or row.key not in found or row.counts is None:
            continue
        wanted = found[row.key][1] + found.get(row.key + "_two_threads", (0, 0))[1] if row.counts else 0
        called = answer["called"].get(row.key)
        if called != wanted:
            bad[row.key] = "it counted %s calls instead of %d" % (called, wanted)
        elif answer["left_out"].get(row.key):
            bad[row.key] = "list says: " + answer["left_out"][row.key]
    return bad


def measure(debuggers):
    """By debugger: the ns of each row, the rows that cannot be shown, what `stats` printed last, and the ratios of a logged call in all sessions.
    The debuggers take turns. Work of others on the machine only adds, so the session with the smallest figures is nearest to the truth: all its
    rows are taken, its floor too."""
    stats, sessions, bad = {}, {d: [] for d in debuggers}, {d: {} for d in debuggers}
    for number in range(SESSIONS):
        for debugger in debuggers:
            progress("Gibbon in %s, %d of %d" % (debugger.name, number + 1, SESSIONS))
            found, answer, _ = debugger.session({row.key: "gibbon " + row.command.replace("{}", row.key) for row in PATCHES})
            bad[debugger].update(reasons(found, answer))
            stats[debugger] = answer["stats"]
            sessions[debugger].append({name: ns for name, (ns, _) in found.items()})
    quietest = {d: min(sessions[d], key=lambda s: statistics.geometric_mean(max(ns, 0.1) for ns in s.values())) for d in debuggers}
    ratios = {d: sorted(s["two_integers"] / s["floor"] for s in sessions[d]) for d in debuggers}
    return {d: (quietest[d], bad[d], stats[d], ratios[d]) for d in debuggers}


def follow_live(debugger):
    """A million calls printed as they come: how many lines are missing, and the seconds it took."""
    progress("a million calls, followed in " + debugger.name)
    found, answer, text = debugger.session({"two_integers": "gibbon wrap two_integers"}, "million", follow="on")
    lines = len(re.findall(r"^gibbon: \[\d+\] [+-][\d.]+ two_integers\(a=\d+, b=2\) = \d+ <", text, re.M))
    if answer["called"].get("two_integers") != MILLION:
        return None
    return MILLION - lines, found["two_integers"][0] * MILLION * 1e-9


def debugger_table(debuggers):
    results, notes = measure(debuggers), {}
    for d in debuggers:
        if "p99" not in results[d][2]:
            results[d][1]["stats"] = "stats shows no times"
    lines = [["ns added to a call"] + ["in " + d.name for d in debuggers] + ["goal", "met"]]

    def add(label, cells, goal="", met=None):
        lines.append([label] + cells + [goal, "" if met is None else "yes" if met else "no"])

    for row in ROWS:
        cells, met = [], []
        for debugger in debuggers:
            r, bad = results[debugger][:2]
            needed = [key for key in bad if key in (row.key, row.key.removesuffix("_alone"), row.key.removesuffix("_two_threads"))]
            for key in needed:
                notes.setdefault("%s: %s" % (next(p.label.strip() for p in ROWS if p.key == key), bad[key]), []).append(debugger.name)
            cells.append("-" if needed else cell(row, r))
            if row.met and not needed:
                met.append(row.met(r))
        add(row.label, cells, row.goal, all(met) if met else None)
    for label, own in (("the debugger's own false condition", Debugger.own_condition), ("the debugger's own logging", Debugger.own_logging)):
        progress(label)
        times = [own(d) for d in debuggers]
        add(label, ["%s, %.0f x" % (time_text(ns), ns / results[d][0]["floor"]) if ns else "-" for d, ns in zip(debuggers, times)])
    followed = [follow_live(d) for d in debuggers]
    add("1,000,000 calls followed: lost", ["%d, in %.1f s" % f if f else "-" for f in followed], "0", all(f and f[0] == 0 for f in followed))
    progress("loading the plugin")
    times = [d.load_time() for d in debuggers]
    add("loading the plugin", ["%.0f ms" % ms for ms in times], "<= %d ms" % LOAD_GOAL, all(ms <= LOAD_GOAL for ms in times))
    text = markdown(lines, right=range(1, 1 + len(debuggers)))
    text += "\n\nThe logged call with 2 integers in all sessions: %s." % "; ".join(
        "in %s %s x" % (d.name, ", ".join("%.2f" % ratio for ratio in results[d][3])) for d in debuggers)
    if notes:
        text += "\n\n`-`: not measured.\n\n" + "\n".join("- %s (%s)" % (note, ", ".join(names)) for note, names in notes.items())
    return text, {d: results[d][0] for d in debuggers}


# ---- beside it ----

def tools_table(targets, results):
    progress("uftrace, LTTng-UST, ltrace")
    rows, missing, failed = tools.measure(targets)
    floor = statistics.median(r["floor"] for r in results.values())
    lines = [["the same call with", "ns added", "x floor"]]
    for label, ns, own_floor, remark in rows:
        times = ns / (own_floor or floor)
        lines.append([label + (" (%s)" % remark if remark else ""), time_text(ns), "%.1f" % times if times < 100 else "%.0f" % times])
    text = markdown(lines, right=(1, 2)) if rows else ""
    if missing:
        text += "\n\nNot installed, not measured: `apt-get install %s` helps." % " ".join(missing)
    if failed:
        text += "\n\n" + "\n".join("- failed: %s" % line for line in failed)
    return text.strip()


def reader_table(build):
    program = os.path.join(build, "tests", "bench", "reader_speed")
    if not os.path.exists(program):
        return ""
    progress("the reader")
    lines = [["the reader, without a debugger", "million calls/s", "its floor", "goal", "met"]]
    for line in subprocess.run([program], capture_output=True, text=True, timeout=tools.LIMIT).stdout.splitlines():
        name, speed, floor = line.split()
        goal = READER_GOALS.get(name)
        lines.append([READER.get(name, name), "%.1f" % float(speed), "%.1f" % float(floor), ">= %d" % goal if goal else "",
                      "" if not goal else "yes" if float(speed) >= goal else "no"])
    return markdown(lines, right=(1, 2))


# ---- the machine ----

def first_line(*words):
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=60).stdout.strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "-"


def version(*words):
    found = re.search(r"\d+(\.\d+)+", first_line(*words).replace("(Debian", ""))
    return found.group(0) if found else "-"


def machine(debuggers, results):
    with open("/proc/cpuinfo") as file:
        info = file.read()
    model = re.search(r"^model name\s*: (.*)$", info, re.M)
    family = re.search(r"^cpu family\s*: (\d+)\nmodel\s*: (\d+)$", info, re.M)
    load = float(os.environ.get("BENCH_LOAD") or os.getloadavg()[0])
    processors = len(os.sched_getaffinity(0))
    r = {name: statistics.median(result[name] for result in results.values()) for name in ("rdtsc", "system_call")}
    commit = first_line("git", "-C", ROOT, "rev-parse", "--short", "HEAD")
    system = re.search(r'^PRETTY_NAME="(.*)"$', open("/etc/os-release").read(), re.M)
    names = [("GDB", "gdb", "--version"), ("gcc", "gcc", "-dumpfullversion"), ("uftrace", "uftrace", "--version"), ("ltrace", "ltrace", "--version"),
             ("LTTng", "lttng", "--version")]
    versions = ["LLDB " + version(d.program, "--version") for d in debuggers if d.name == "LLDB"] + [n + " " + version(*words) for n, *words in names if shutil.which(words[0])]
    lines = [
        "%s, commit %s; load average at the start: %.2f." % (datetime.date.today().isoformat(), commit, load),
        "%s, family %s model %s, %d processors%s; one `rdtsc` takes %.1f ns, a system call that does nothing %.0f ns."
        % (model.group(1) if model else platform.machine(), *(family.groups() if family else ("?", "?")), processors,
           ", a virtual machine" if "hypervisor" in info else "", r["rdtsc"], r["system_call"]),
        "%s, Linux %s; %s." % (system.group(1) if system else "-", platform.release(), ", ".join(sorted(versions, key=str.lower))),
    ]
    if load > 0.5:
        lines.insert(0, "**Provisional: the machine had other work.**")
    return "\n".join("- " + line for line in lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    page = os.path.join(ROOT, "docs", "performance.md")
    with tempfile.TemporaryDirectory() as folder:
        programs = (("GDB", ("gdb",)), ("LLDB", ("lldb-19", "lldb")))
        found = [(name, next((p for p in candidates if shutil.which(p)), None)) for name, candidates in programs]
        target, library = os.path.join(options.build, "tests", "bench", "bench_target"), os.path.join(options.build, "libgibbon.so")
        debuggers = [Debugger(name, program, target, library, folder) for name, program in found if program]
        if not debuggers:
            raise SystemExit("bench: neither GDB nor LLDB is installed; sh tests/setup.sh helps.")
        text, results = debugger_table(debuggers)
        parts = [machine(debuggers, results), text, tools_table(target, results), reader_table(options.build)]
        if not options.quick:
            progress("many functions at once")
            parts.append(many.table(library))
    section = "\n\n".join(part for part in parts if part) + "\n"
    if not options.write:
        print(section, end="")
        return
    with open(page) as file:
        before, _, rest = file.read().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit("bench: %s has no place for figures:\n%s%s" % (page, BEGIN, END))
    with open(page, "w") as file:
        file.write(before + BEGIN + "\n" + section + "\n" + END + after)
    progress("wrote " + page)


if __name__ == "__main__":
    main()
