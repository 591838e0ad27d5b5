"""The options of wrap."""
import re

import pytest
from harness import jsonl


def numbers(result, step=None):
    lines = result.calls("work") if step is None else [line for line in result[step].split("\n") if line.startswith("gibbon: ") and " work(" in line]
    return [int(re.search(r"work\(i=(-?\d+)", line).group(1)) for line in lines]


def run(debugger, target, options, n=10, after=("gibbon list", "gibbon stats")):
    return debugger.session(target("calls"), ["gibbon wrap work " + options, "run"] + list(after), args=[str(n)])


@pytest.mark.parametrize("options,seen", [
    ("-after 3", [3, 4, 5, 6, 7, 8, 9]),
    ("-every 4", [3, 7]),
    ("-times 2", [0, 1]),
    ("-after 2 -every 3", [4, 7]),
    ("-after 2 -every 3 -times 1", [4]),
    ("-after 20", []),
    ("-temporary", [0]),
    ("-temporary -after 4", [4]),
    ("-times 100", list(range(10))),
    ("-quiet", []),
    ("-disabled", []),
    ("--after=8", [8, 9]),
    ("-aft 8", [8, 9]),
    ("-ti 1", [0]),
])
def test_which_calls(debugger, target, options, seen):
    result = run(debugger, target, options)
    assert numbers(result) == seen or ("every" in options and numbers(result) == every(options)), result.text
    assert result.out == "10 calls, last -10\n"


def every(options):
    """The first of every N is as good as the last of every N, if it is always the same."""
    return {"-every 4": [0, 4, 8], "-after 2 -every 3": [2, 5, 8], "-after 2 -every 3 -times 1": [2]}[options]


def test_count(debugger, target):
    result = run(debugger, target, "-count")
    assert result.log == [] and re.search(r"^1 +10 +- .*  work$", result[3], re.M)
    assert "called 10 times, 0 threads inside" in result[2]


def test_quiet_records(debugger, target, tmp_path):
    log = tmp_path / "log"
    result = run(debugger, target, "-quiet", after=["gibbon log -save %s -format jsonl" % log])
    assert result.log == [] and [c["arguments"]["i"] for c in jsonl(log)] == list(range(10))


def test_times_then_off_then_enabled_again(debugger, target):
    result = debugger.session(target("calls"), ["gibbon wrap work -times 2", "break between", "run", "gibbon list", "gibbon enable 1", "gibbon list", "continue", "gibbon list"], args=["10"])
    assert numbers(result, 2) == [0, 1] and re.search(r"^1 +wrap +keep n ", result[3], re.M)
    assert re.search(r"^1 +wrap +keep y ", result[5], re.M) and numbers(result)[2:] == [5, 6]
    assert re.search(r"^1 +wrap +keep n ", result[7], re.M)


def test_temporary_is_deleted(debugger, target):
    result = debugger.session(target("calls"), ["gibbon wrap work -temporary", "gibbon list", "break between", "run", "gibbon list", "continue"], args=["10"])
    assert re.search(r"^1 +wrap +del +y ", result[1], re.M)
    assert result[4] == "No patches.\n" and numbers(result) == [0]


def test_from(debugger, target):
    """The callers in libc are left out, and so is all but the named module."""
    program = target("errors")
    result = debugger.session(program, ["gibbon wrap malloc -from errors", "gibbon wrap malloc -from libc.so.6", "gibbon wrap getenv -from errors", "gibbon wrap getenv -from nothing.so",
                                        "gibbon wrap getenv -from err*", "run", "gibbon stats"])
    counts = [int(n) for n in re.findall(r"^\d +(\d+) ", result[6], re.M)]
    assert counts[0] == 0 and counts[1] >= 1 and counts[2] == 2 and counts[3] == 0 and counts[4] == 2, result[6]


def test_from_a_module_that_is_loaded_later(debugger, target):
    """Twice, and perhaps at another address the second time; what is mapped there in between is not meant."""
    library = target("libplugin", shared=True, name="libplugin.so")
    result = debugger.session(target("loader"), ["gibbon wrap getenv -from libplugin.so", "gibbon wrap getenv -quiet -from loader", "run", "gibbon stats"], args=[library])
    assert result.out == "101\n201\nover\n" and result.bodies("getenv") == ['getenv(name="PLUGIN") = NULL'] * 2
    assert re.findall(r"^\d +(\d+) ", result[3], re.M) == ["2", "0"]


def test_from_a_module_that_is_not_there(debugger, target):
    """It may be loaded later, so the patch is made, and a word said."""
    result = debugger.session(target("errors"), ["gibbon wrap getenv -from erors", "break main", "run", "gibbon wrap getenv -from libc", "gibbon wrap getenv -from lib*", "gibbon wrap getenv -from /no/errors", "continue", "gibbon stats"])
    assert result[0] == "Patch 1: wrap getenv <PENDING>.\n"
    assert "\n  No module named \"libc\" is loaded yet; until one is, the patch sees no call. Did you mean libc.so.6?\n" in result[3]
    assert "No module" not in result[4] and "No module named \"/no/errors\" is loaded yet; until one is, the patch sees no call.\n" in result[5]
    assert "gibbon: patch 1 saw no call, since no module named erors was loaded. Did you mean errors?\n" in result[6] + result[7]
    assert "gibbon: patch 2 saw no call" in result[6] + result[7] and "patch 3 saw" not in result.text


def test_from_does_not_run_out_of_room(debugger, target):
    """Enabling and disabling repeat the same ranges, which have a place for a thousand."""
    toggle = ["python [%s.%s for i in range(1100) for w in ('disable', 'enable')]" % pair for pair in
              (("gdb", "execute('gibbon ' + w)"), ("lldb", "debugger.HandleCommand('gibbon ' + w)"))]
    result = debugger.session(target("calls"), ["gibbon wrap work -from calls", "break between", "run", (toggle[0], toggle[1].replace("python", "script")), "continue"], args=["4"])
    assert numbers(result) == [0, 1, 2, 3], result.text


def test_thread(debugger, target):
    result = debugger.session(target("threads"), ["break ready", "run", "gibbon wrap hammer -thread 1 -count", "gibbon wrap hammer -thread 3 -quiet", "gibbon wrap hammer -count",
                                                  "!gibbon wrap hammer -thread 9999", "continue", "gibbon stats"], args=["3", "200"])
    counts = [int(n) for n in re.findall(r"^\d +(\d+) ", result[7], re.M)]
    assert counts[0] == 0 and 199 <= counts[1] < counts[2], result[7]
    assert counts[2] >= 597 and "9999" in result[5] and "Patch" not in result[5]


def test_thread_that_comes_later(debugger, target):
    """A number that no thread has yet is found at a stop; the next run has other threads."""
    actions = ["gibbon wrap hammer -thread 3 -count", "gibbon wrap hammer -thread 1 -count", "gibbon wrap main -thread 1", "break ready", "run", "continue", "gibbon stats"]
    result = debugger.session(target("threads"), actions + ["run", "continue", "gibbon stats"], args=["3", "200"])
    assert "Thread 3 is looked for when the program runs, at every stop." in result[0]
    for stats in (6, 9):
        third, first, main = re.findall(r"^\d +(\d+) ", result[stats], re.M)
        # More than 200 until the main thread has told it to stop; its last call may not have returned at the stop.
        assert int(third) >= 199 and first == "0" and main == "1", result.text
    assert int(third) <= int(re.search(r"^thread 1: (\d+)$", result.out, re.M).group(1))


def test_disabled_and_enabled_while_it_runs(debugger, target):
    result = debugger.session(target("calls"), ["gibbon wrap work -disabled", "break between", "run", "gibbon list", "gibbon enable", "continue"], args=["6"])
    assert re.search(r"^1 +wrap +keep n ", result[3], re.M) and numbers(result) == [3, 4, 5]


def test_options_may_follow_or_lead(debugger, target):
    result = debugger.session(target("calls"), ["gibbon wrap -quiet work -every 2 between", "gibbon list", "gibbon wrap -- work", "gibbon list"])
    assert "Patch 1: wrap work" in result[0] and "Patch 2: wrap between" in result[0]
    assert re.search(r"work -every 2 -quiet$", result[1], re.M) and re.search(r"between -every 2 -quiet$", result[1], re.M)
    assert "Patch 3: wrap work" in result[2]


def test_backtrace_and_times_in_one(debugger, target):
    result = run(debugger, target, "-backtrace 1 -times 2 -after 1")
    assert numbers(result) == [1, 2] and len(re.findall(r"^    #0 main\+0x", result.text, re.M)) == 2 and "    #1 " not in result.text
