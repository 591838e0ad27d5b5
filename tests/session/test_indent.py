"""`set indent on`: calls inside other calls are shown between two lines of those."""
import re

import harness
import pytest

ALL = "gibbon wrap nested!outer middle inner"
PLAIN = """outer(n=1) {
  middle(n=1) {
    inner(n=1) = 1
    inner(n=2) = 2
  } middle = 3
  inner(n=1) = 1
} outer = 4
outer(n=2) {
  middle(n=2) {
    inner(n=2) = 2
    inner(n=3) = 3
  } middle = 5
  inner(n=2) = 2
} outer = 7
"""
FLAT = """inner(n=1) = 1
inner(n=2) = 2
middle(n=1) = 3
inner(n=1) = 1
outer(n=1) = 4
inner(n=2) = 2
inner(n=3) = 3
middle(n=2) = 5
inner(n=2) = 2
outer(n=2) = 7
"""


def lines(text, tid=None):
    """Without thread, time and duration, but with indentation."""
    found = [re.fullmatch(r"gibbon: \[(\d+)\] [+-][\d.]+ (.*?)(?: <[\d.]+(?:s|ms|us|ns)>)?", line) for line in harness.LOG.findall(text)]
    return "".join(f[2] + "\n" for f in found if f and tid in (None, f[1]))


@pytest.fixture
def nested(target):
    return target("nested", name="nested")


def test_live_and_in_the_log(debugger, nested, tmp_path):
    result = debugger.session(nested, ["gibbon set indent on", ALL, "run", "gibbon log", "gibbon log -save %s" % (tmp_path / "saved"), "gibbon show indent", "gibbon set indent off", "gibbon log",
                                       "gibbon log -format jsonl -save %s" % (tmp_path / "json")])
    assert lines(result[2]) == PLAIN
    assert lines(result[3]) == PLAIN
    assert lines((tmp_path / "saved").read_text()) == PLAIN
    assert re.search(r"^indent +on", result[5], re.M)
    assert lines(result[7]) == FLAT
    assert [(c["type"], c["function"]) for c in harness.jsonl(tmp_path / "json")] == [("call", re.match(r"\w+", line)[0]) for line in FLAT.splitlines()]
    assert "Saved 10 calls" in result[4]


def test_times_of_both_lines(debugger, nested):
    text = debugger.session(nested, ["gibbon set indent on", ALL, "run"]).text
    times = [float(t) for t in re.findall(r"^gibbon: \[\d+\] \+([\d.]+) ", text, re.M)]
    assert len(times) == 14 and times == sorted(times)
    begin, end, duration = re.search(r"\+([\d.]+) outer\(n=1\) \{(?:.*\n)*?.*\+([\d.]+) \} outer = 4 <([\d.]+)(?:us|ns|ms)>", text).groups()
    assert float(end) >= float(begin) and float(duration) > 0


def test_off_is_the_default(debugger, nested):
    result = debugger.session(nested, ["gibbon show indent", ALL, "run", "gibbon set indent on", "gibbon log"])
    assert re.search(r"^indent +off", result[0], re.M)
    assert lines(result[2]) == FLAT and lines(result[4]) == FLAT  # what began before it was on


def test_switched_on_inside_a_call(debugger, nested):
    """The call that had begun has one line, at its end."""
    result = debugger.session(nested, [ALL, "tbreak middle", "run", "gibbon set indent on", "continue", "gibbon set indent off"])
    got = lines(result.text)
    assert got.startswith("inner(n=1) = 1\n") or got.startswith("middle(n=1) {\n"), got
    assert "\nouter(n=1) = 4\n" in got and "outer(n=1) {" not in got
    assert got.endswith(PLAIN[PLAIN.index("outer(n=2)"):])


def test_last_counts_calls(debugger, nested):
    result = debugger.session(nested, ["gibbon set indent on", ALL + " -quiet", "run", "gibbon log -last 2", "gibbon log -last 4", "gibbon log 3", "gibbon log 1 2"[:-2], "gibbon log -last 5"])
    assert lines(result[3]) == "inner(n=2) = 2\nouter(n=2) = 7\n"
    assert lines(result[4]) == "inner(n=3) = 3\nmiddle(n=2) = 5\ninner(n=2) = 2\nouter(n=2) = 7\n"
    assert lines(result[5]) == "".join("inner(n=%d) = %d\n" % (n, n) for n in (1, 2, 1, 2, 3, 2))
    assert lines(result[6]) == "outer(n=1) {\n} outer = 4\nouter(n=2) {\n} outer = 7\n"
    assert lines(result[7]) == PLAIN[PLAIN.index("outer(n=2)"):]


def test_quiet_patches_are_no_level(debugger, nested):
    result = debugger.session(nested, ["gibbon set indent on", "gibbon wrap nested!outer", "gibbon wrap nested!middle -quiet", "gibbon wrap nested!inner", "run"])
    assert lines(result.text).startswith("outer(n=1) {\n  inner(n=1) = 1\n  inner(n=2) = 2\n  inner(n=1) = 1\n} outer = 4\n")


def test_threads_do_not_mix(debugger, nested):
    result = debugger.session(nested, ["gibbon set indent on", ALL, "run"], args=["threads"])
    tids = set(re.findall(r"^gibbon: \[(\d+)\]", result.text, re.M))
    assert len(tids) == 4
    begun = sorted(lines(result.text, tid) for tid in tids)
    assert begun == sorted(PLAIN[:PLAIN.index("outer(n=2)")].replace("n=2)", "n=%d)" % (n + 1)).replace("n=1)", "n=%d)" % n)
                           .replace("= 3\n", "= %d\n" % (2 * n + 1)).replace("= 4\n", "= %d\n" % (3 * n + 1)).replace("= 2\n", "= %d\n" % (n + 1)).replace("= 1\n", "= %d\n" % n)
                           for n in (10, 20, 30, 40))


def test_calls_that_never_return(debugger, nested, tmp_path):
    debugger.session(nested, ["gibbon set indent on", "gibbon wrap catches leaves inner", "run", "gibbon log -save jumps"], args=["jumps"])
    assert lines((tmp_path / "jumps").read_text()) == ("catches(n=1) {\n  leaves(n=1) {\n    inner(n=1) = 1\n    inner(n=1) = 1\n  } leaves <unfinished ...>\n} catches = 1\ninner(n=5) = 5\n")
    debugger.session(nested, ["gibbon set indent on", "gibbon wrap last ends inner libc.so.6!exit", "run", "gibbon log -save ends"], args=["ends"])
    assert lines((tmp_path / "ends").read_text()) == ("last(n=1) {\n  inner(n=1) = 1\n  ends(n=2) {\n    inner(n=2) = 2\n    exit(status=0)\n"
                                "  } ends <unfinished ...>\n} last <unfinished ...>\n")


def test_a_loop_of_jumps(debugger, nested, tmp_path):
    """What is left by longjmp is no level for the next round, though no call around it is patched."""
    debugger.session(nested, ["gibbon set indent on", "gibbon wrap enters leaves inner", "run", "gibbon log -save rounds"], args=["rounds"])
    begun, left = "enters(n=7) {\n  inner(n=7) = 7\n  leaves(n=1) {\n    inner(n=1) = 1\n", "  } leaves <unfinished ...>\n} enters <unfinished ...>\n"
    # Nothing tells of the last one before it ends.
    assert lines((tmp_path / "rounds").read_text()) == (begun + left) * 39 + begun + "    inner(n=5) = 5\n" + left


def test_a_child_returns_too(debugger, nested):
    result = debugger.session(nested, ["gibbon set indent on", "gibbon wrap forks inner", "run"], args=["forks"])
    parent, child = re.search(r"\[(\d+)\] \S+ forks\(n=1\) \{", result.text)[1], re.search(r"\[(\d+)\] \S+ inner\(n=9\)", result.text)[1]
    assert lines(result.text, parent) == "forks(n=1) {\n  inner(n=1) = 1\n  inner(n=2) = 2\n} forks = %s\n" % child
    assert lines(result.text, child) == "forks(n=1) = 0\ninner(n=9) = 9\n"


def test_a_storm_of_forks(debugger, nested, tmp_path):
    """A hundred children come back, at once, from calls that their parent has long been back from: each has its arguments."""
    log = tmp_path / "log"
    result = debugger.session(nested, ["gibbon wrap storm inner -quiet", "run", "gibbon log -save %s -format jsonl" % log, "gibbon stats"], args=["storm"])
    calls = harness.jsonl(log)
    got = sorted((c["function"], c["arguments"]["n"], c["result"]) for c in calls if c["type"] == "call")
    assert got == sorted([("inner", n, n) for n in range(100)] + [("inner", n, n) for n in range(1000, 1100)] + [("storm", n, r) for n in range(100) for r in (0, 1)])
    assert len(calls) == 400 and len({c["pid"] for c in calls}) == 101 and "lost" not in result[3]


def test_backtraces_are_indented(debugger, nested):
    result = debugger.session(nested, ["gibbon set indent on", ALL + " -backtrace 1", "run"])
    assert re.search(r"outer\(n=1\) \{\n    #0 main.*\n    \(more frames follow\)\ngibbon: \S+ \S+   middle\(n=1\) \{\n      #0 outer.*\n      \(more.*\ngibbon: \S+ \S+     inner\(n=1\) = 1 <.*\n        #0 middle", result.text)
    assert re.search(r"\} outer = 4 <[^>]*>\ngibbon", result.text)


def test_two_patches_on_one_function(debugger, nested):
    """A call that has a line for each says whose it is; one that has a single line does not."""
    result = debugger.session(nested, ["gibbon wrap nested!inner", "gibbon wrap nested!inner if n == 2", "run", "gibbon log 2", "gibbon set indent on", "gibbon wrap nested!middle", "gibbon wrap nested!middle if n > 0", "run"])
    assert lines(result[2]).startswith("inner(n=1) = 1\ninner(n=2) = 2 (patch 1)\ninner(n=2) = 2 (patch 2)\ninner(n=1) = 1\n"), result[2]
    assert lines(result[3]) == "inner(n=2) = 2\n" * 3
    assert lines(result[7]).startswith("middle(n=1) (patch 3) {\nmiddle(n=1) (patch 4) {\n  inner(n=1) = 1\n  inner(n=2) = 2 (patch 1)\n  inner(n=2) = 2 (patch 2)\n"
                                       "} middle = 3 (patch 3)\n} middle = 3 (patch 4)\ninner(n=1) = 1\n"), result[7]


def test_wrong_value(debugger, nested):
    result = debugger.session(nested, ["!gibbon set indent maybe"])
    assert 'indent is one of on|off, not "maybe".' in result.text
