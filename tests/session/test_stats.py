"""`gibbon stats`: all calls, how long they took, and what they were."""
import re

import pytest

from harness import same_lines

UNITS = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1}
TIME = r"([\d.]+)(s|ms|us|ns)"


def ns(text):
    number, unit = re.fullmatch(TIME, text).groups()
    return float(number) * UNITS[unit]


def rows(text):
    """By the number of the patch: calls, failures, seven times, name."""
    found = [line.split() for line in text.split("\n") if line[:1].isdigit()]
    return {int(cells[0]): cells[1:] for cells in found if len(cells) >= 11}


def groups(text):
    """By what is in the last column: calls, failures, total, min, mean, max."""
    found = {}
    for line in text.split("\n"):
        match = re.fullmatch(r" +(\d+) +(\d+) +(\S+) +(\S+) +(\S+) +(\S+)  (.*)", line)
        if match:
            found[match[7]] = (int(match[1]), int(match[2])) + match.groups()[2:6]
    return found


def bars(text, number):
    """Of one histogram: [(from, to, calls)]."""
    part = re.search(r"^Patch %d, .*:\n((?:  .*\n)*)" % number, text, re.M).group(1)
    return [(ns(m[1]), ns(m[2]), int(m[3])) for m in re.finditer(r"^ +(\S+) - +(\S+) +(\d+)(?:  .*)?$", part, re.M)]


@pytest.mark.parametrize("cc,opt", [("gcc", "-O0"), ("gcc", "-O2"), ("clang", "-O2")])
def test_counts_and_times(debugger, target, cc, opt):
    program = target("timed", cc=cc, opt=opt)
    result = debugger.session(program, ["gibbon wrap pause_for visit leave -quiet", "run", "gibbon stats"], args=["2", "1000"])
    table = rows(result[2])
    assert result.out == "3000 calls\n" and result[2].startswith("Num ")
    total, least, mean, half, ninety, ninety_nine, most = [ns(t) for t in table[1][2:9]]
    assert table[1][:2] == ["4", "0"] and table[1][9] == "pause_for"
    assert 160e6 <= total and 20e6 <= least <= half <= ninety <= ninety_nine <= most and 100e6 <= most < total
    assert abs(mean - total / 4) < total / 200 and half >= 20e6 * 15 / 16
    assert table[2][:2] == ["3000", "0"] and table[3][0] == "10"
    assert "\n  4 calls have no time: not returned yet, or left by exception or longjmp.\n" in result[2]
    for number, calls in ((1, 4), (2, 3000), (3, 6)):
        histogram = bars(result[2], number)
        assert sum(bar[2] for bar in histogram) == calls and len(histogram) <= 20, result[2]
        assert all(bar[0] < bar[1] for bar in histogram)


def test_lines_fit_a_terminal(debugger, target):
    result = debugger.session(target("timed"), ["gibbon wrap pause_for visit leave -quiet", "run", "gibbon stats", "gibbon stats 2 -by caller"], args=["4", "50000"])
    for text in (result[2], result[3]):
        assert max(len(line) for line in text.split("\n")) <= 80, text
    for line in result[2].split("\n")[:4]:
        assert len(line.split()) == 11, line


@pytest.mark.parametrize("locale,block", [("C", "#"), ("C.UTF-8", "█"), ("", "#")])
def test_bars(debugger, target, locale, block):
    result = debugger.session(target("timed"), ["gibbon wrap pause_for -quiet", "run", "gibbon stats"], env={"LANG": locale, "LC_ALL": ""})
    assert block * 40 in result[2] and ("█" in result[2]) == (block == "█"), result[2]


def test_calls_whose_records_are_lost(debugger, target):
    """The log may lose them; they are counted and timed all the same."""
    result = debugger.session(target("timed", opt="-O2"), ["gibbon set ring-size 128K", "gibbon set overflow overwrite", "gibbon wrap visit -quiet", "run", "gibbon log -clear", "gibbon stats",
                                                           "gibbon stats -by thread"], args=["4", "100000"])
    assert rows(result[5])[1][0] == "500000"
    assert sum(bar[2] for bar in bars(result[5], 1)) == 500000 and "no time" not in result[5]
    assert result[6] == "Patch 1, visit: no call is in the log.\n"


def test_by(debugger, target):
    actions = ["gibbon wrap visit pause_for access -quiet", "gibbon wrap leave -count", "run", "gibbon stats 1 -by thread", "gibbon stats 1 -by caller", "gibbon stats 1 -by argument=name",
               "gibbon stats 1 -by argument", "gibbon stats 2 -by argument", "gibbon stats 3 -by result", "gibbon stats 4 -by caller", "!gibbon stats 1 -by argument=nam"]
    result = debugger.session(target("timed"), actions, args=["2", "40"])
    threads = groups(result[3])
    assert len(threads) == 3 and all(re.fullmatch(r"\d+", name) and group[0] == 40 for name, group in threads.items())
    callers = groups(result[4])
    assert sorted(re.sub(r"\+0x.*", "", name) for name in callers) == ["from_here", "run"] and sorted(c[0] for c in callers.values()) == [40, 80]
    assert all(re.fullmatch(r"\w+\+0x[0-9a-f]+ \(timed\.c:\d+\)", name) for name in callers), callers
    names = groups(result[5])
    assert {name: group[0] for name, group in names.items()} == {'"thread"': 80, '"here"': 40} and "Max  name" in result[5]
    numbers = groups(result[6])
    assert len(numbers) == 11 and numbers["(30 others)"][0] == 90 and sum(group[0] for group in numbers.values()) == 120
    pauses = list(groups(result[7]).items())
    assert [(name, group[0]) for name, group in pauses] == [("100", 1), ("20", 3)] or [(name, group[0]) for name, group in pauses] == [("20", 3), ("100", 1)]
    assert ns(dict(pauses)["100"][2]) >= 100e6 and ns(dict(pauses)["20"][3]) >= 20e6
    failed = {name: group[:2] for name, group in groups(result[8]).items()}
    assert failed["-1 ENOENT (No such file or directory)"][1] >= 1
    assert result[9] == "Patch 4, leave: its calls are not recorded.\n"
    assert result[10].endswith('visit has no argument "nam"; it has n, name. Did you mean name?\n'), result[10]


def test_by_an_argument_there_is_not(debugger, target):
    """An error, before and after there are calls; where one of several functions has it, rows."""
    program = target("timed", opt="-O2")
    result = debugger.session(program, ["gibbon wrap visit pause_for -quiet", "break main", "run", "!gibbon stats 1 -by argument=nmae", "!gibbon stats -by argument=zzz", "continue", "!gibbon stats 1 -by argument=zzz",
                                        "gibbon stats -by argument=name", "!gibbon stats 2 -by argument=name"], args=["1", "40"])
    assert 'visit has no argument "nmae"; it has n, name. Did you mean name?' in result[3]
    assert 'None of the 2 functions has an argument "zzz"' in result[4]
    assert 'visit has no argument "zzz"; it has n, name.\n' in result[6]
    assert "Patch 1, visit:\n" in result[7] and '"here"' in result[7] and "(no such argument)" in result[7]
    assert 'pause_for has no argument "name"; it has ' in result[8]
    result = debugger.session(target("timed", debug=False, name="bare"), ["gibbon wrap visit -quiet", "run", "!gibbon stats -by argument=name"], args=["1", "40"])
    assert 'No names of visit\'s arguments are known, so none is "name"; -prototype' in result[2]


def test_by_leaves_out_what_was_never_called(debugger, target):
    result = debugger.session(target("timed"), ["gibbon wrap visit strtol_not_there -pending -quiet", "run", "gibbon stats -by thread"], args=["1", "40"])
    assert "Patch 1, visit:\n" in result[2] and "Patch 2" not in result[2] and result[2].endswith("\n1 patch was never called.\n"), result[2]


def test_what_by_names_is_shown_even_if_never_called(debugger, target):
    result = debugger.session(target("timed"), ["gibbon wrap visit strtol_not_there -pending -quiet", "run", "gibbon stats 2 -by thread"], args=["1", "40"])
    assert result[2].endswith("Patch 2, strtol_not_there: no call is in the log.\n")


def test_what_by_may_be(debugger, target):
    result = debugger.session(target("timed"), ["gibbon wrap visit", "!gibbon stats -by colour", "!gibbon stats 9", "!gibbon stats -by", "gibbon stats 1 -by caller"])
    assert '"colour" is nothing to group calls by: caller, thread, argument, argument=NAME or result.' in result[1]
    assert "9" in result[2] and "-by" in result[3]
    assert result[4] == "Patch 1, visit: no call is in the log.\n"


def test_counted_calls_have_no_times(debugger, target):
    result = debugger.session(target("timed"), ["gibbon wrap visit -count", "gibbon replace pause_for visit -count", "run", "gibbon stats"], args=["1", "7"])
    assert re.search(r"^1 +18 +-( +-){7}  visit$", result[3], re.M) and re.search(r"^2 +4 +-( +-){7}  pause_for$", result[3], re.M), result[3]
    assert "no time" not in result[3]


def test_calls_under_way(debugger, target):
    """At a stop inside; and functions that never return."""
    result = debugger.session(target("timed"), ["gibbon wrap pause_for never_back -quiet", "break nanosleep", "run", "gibbon stats", ("delete", "breakpoint delete -f"), "continue", "gibbon stats"])
    assert re.search(r"^1 +1 +0( +-){7}  pause_for$", result[3], re.M), result[3]
    assert "Patch 1, pause_for:\n  1 call has no time: not returned yet, or left by exception or longjmp.\n" in result[3]
    assert rows(result[6])[1][0] == "4" and re.search(r"Patch 2, never_back:\n  1 call has no time: ", result[6]), result[6]


def test_mocked_calls_are_timed(debugger, target):
    result = debugger.session(target("timed"), ["gibbon mock pause_for 1 -quiet", "run", "gibbon stats"])
    table = rows(result[2])
    assert table[1][0] == "4" and ns(table[1][8]) < 20e6 and "no time" not in result[2]


def test_each_run_anew(debugger, target):
    """As with counts: those of a process that ended are shown until the next one; -by likewise."""
    result = debugger.session(target("timed"), ["gibbon wrap visit -quiet", "run", "gibbon stats", "run", "gibbon stats", "gibbon stats -by argument=name", "gibbon stats -by thread"], args=["1", "50"])
    assert rows(result[2])[1][0] == "100" and rows(result[4])[1][0] == "100"
    assert sum(bar[2] for bar in bars(result[4], 1)) == 100
    assert {name: group[0] for name, group in groups(result[5]).items()} == {'"thread"': 50, '"here"': 50}
    assert sorted(group[0] for group in groups(result[6]).values()) == [50, 50]


def test_forked_children(debugger, target):
    result = debugger.session(target("forks"), ["gibbon wrap getenv fork -quiet", "run", "gibbon stats", "gibbon stats 1 -by thread", "gibbon stats 1 -by argument"])
    parent, child = re.match(r"parent (\d+) child (\d+)", result.out).groups()
    threads = groups(result[3])
    assert threads["%s of process %s" % (child, child)][0] == 3 and parent in threads, result[3]
    assert groups(result[4])['"IN_CHILD"'][0] == 3
    assert int(rows(result[2])[1][0]) == sum(bar[2] for bar in bars(result[2], 1))


def test_many_patches_are_a_table(debugger, target):
    result = debugger.session(target("timed"), ["gibbon wrap visit pause_for leave access -quiet", "run", "gibbon stats", "gibbon stats 1"])
    assert len(rows(result[2])) == 4 and "Patch" not in result[2]
    assert "\n4 calls have no time: " in result[2]
    assert list(rows(result[3])) == [1] and "\nPatch 1, visit:\n" in result[3]


def test_the_same_in_both_debuggers(target, both):
    outputs = []
    for debugger in both:
        result = debugger.session(target("timed"), ["gibbon wrap visit leave -quiet", "run", "gibbon stats -by argument=name", "gibbon help stats", "gibbon stats"], args=["1", "60"])
        table = result[4].split("\n\n")[0]
        outputs.append(sorted(re.sub(r" +", " ", re.sub(TIME, "TIME", line)) for line in (result[2] + result[3] + table).split("\n")))
    same_lines("\n".join(outputs[0]), "\n".join(outputs[1]))
