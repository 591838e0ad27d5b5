"""Each command once for what it says it does; the same words in both debuggers."""
import os
import re

import pytest
from harness import INSIDE, normal, same_lines

COMMANDS = ["wrap", "during", "list", "enable", "disable", "delete", "log", "stats", "explain", "save", "set", "show", "help", "version"]
LOAD = "python import sys; sys.path.insert(0, %r); import inside" % os.path.dirname(INSIDE)
SAME = "python inside.text_differences()"


def test_help_for_every_command(debugger):
    result = debugger.session(None, ["gibbon help"] + ["gibbon help " + name for name in COMMANDS] + ["help gibbon %s" % name for name in COMMANDS])
    for name in COMMANDS:
        assert re.search(r"^  %s +-- [A-Z][^.]*\.$" % name, result[0], re.M), name
    for step, name in enumerate(COMMANDS, 1):
        text = result[step]
        assert re.match(r"[A-Z].*\.\nUsage: gibbon %s\b" % name, text), text
        assert "\nExample: gibbon %s" % name in text
        summary = text.split("\n")[0]
        assert summary in result[step + len(COMMANDS)], "help gibbon " + name
        assert max(map(len, text.split("\n"))) <= 78, "LLDB would break it: " + text
        rest = text.partition("\n")[2]
        assert rest in result[step + len(COMMANDS)], "other words in\n" + result[step + len(COMMANDS)]


def test_bare_gibbon_is_help(debugger):
    result = debugger.session(None, ["!gibbon", "help gibbon"])
    for name in COMMANDS:
        assert re.search(r"\b%s\b" % name, result[0]) and re.search(r"\b%s\b" % name, result[1])
    assert result[0].startswith("Monkey patching for native code.\n") and '"gibbon help COMMAND" says more.\n' in result[0]


def test_every_option_is_in_the_help(debugger):
    result = debugger.session(None, ["gibbon help wrap", "gibbon help log"])
    for option in ("backtrace", "count", "from", "thread", "after", "every", "times", "temporary", "prototype", "pending", "quiet", "disabled"):
        assert re.search(r"^  -%s\b.* \w" % option, result[0], re.M), option
    for option in ("last", "save", "format", "clear", "follow"):
        assert re.search(r"^  -%s\b.* \w" % option, result[1], re.M), option


def test_version(debugger):
    assert re.fullmatch(r"Gibbon \d+\.\d+\.\d+, agent of \d+ bytes for x86-64\.\n", debugger.session(None, ["gibbon version"])[0])


def test_abbreviations(debugger, target):
    result = debugger.session(target("calls"), ["gibbon wr work -q", "gibbon li", "gibbon dis 1", "gibbon en 1", "gibbon sta", "gibbon del 1", "gibbon li", "gibbon ver", "!gibbon s", "!gibbon de x"])
    assert "Patch 1: wrap work" in result[0] and "work -quiet" in result[1] and result[2] == result[3] == result[5] == ""
    assert result[6] == "No patches.\n" and "Gibbon" in result[7]
    assert re.search(r"mbiguous", result[8]), result[8]


def test_double_dash(debugger, target):
    result = debugger.session(target("calls"), ["gibbon wrap work --quiet --times 3 --backtrace", "gibbon list", "gibbon wrap work --times=4", "gibbon log --last 3"])
    assert re.search(r"work -backtrace 16 -times 3 -quiet$", result[1], re.M) and "Patch 2" in result[2]


def test_numbers_and_ranges(debugger, target):
    result = debugger.session(target("calls"), ["gibbon wrap work", "gibbon wrap between", "gibbon wrap main", "gibbon wrap other", "gibbon disable 2-3", "gibbon list 1 3-4", "gibbon delete 1 4", "gibbon list",
                                                "!gibbon delete 1", "gibbon delete 1-3", "gibbon list"])
    assert re.findall(r"^(\d) +wrap +keep (y|n)", result[5], re.M) == [("1", "y"), ("3", "n"), ("4", "y")]
    assert re.findall(r"^(\d) ", result[7], re.M) == ["2", "3"]
    assert "No patch number 1." in result[8] and result[10] == "No patches.\n"


def test_set_and_show(debugger):
    result = debugger.session(None, ["gibbon show", "gibbon set string-limit 64", "gibbon show string-limit", "gibbon set follow off", "gibbon show follow", "gibbon set on-detach keep", "gibbon show on",
                                     "gibbon set ring-size 1M", "gibbon show ring-size", "gibbon set overflow overwrite", "gibbon set pending on", "gibbon show"])
    for name in ("follow", "on-detach", "overflow", "pending", "ring-size", "string-limit"):
        assert re.search(r"^%s +\S+ +\w+" % name, result[0], re.M), name
    assert re.match(r"string-limit +64 ", result[2]) and re.match(r"follow +off ", result[4]) and re.match(r"on-detach +keep ", result[6])
    assert re.match(r"ring-size +1048576 ", result[8]) and re.search(r"^overflow +overwrite ", result[11], re.M) and re.search(r"^pending +on ", result[11], re.M)


def test_misspelt(debugger):
    """What was meant is named; when nothing is like it, where to look."""
    result = debugger.session(None, ["!gibbon wrpa f", "!gibbon wrap f -conut", "!gibbon set string-limt 4", "!gibbon show strng-limit", "!gibbon help lgo", "!gibbon xyzzy", "!gibbon show xyzzy", "!gibbon wrap f -xyzzy"])
    said = [debugger.error(result[i])[0] for i in range(8)]
    if debugger.name == "lldb":  # words behind `gibbon` are LLDB's own commands there
        assert said[0] == "invalid command 'gibbon wrpa'." and said[5] == "invalid command 'gibbon xyzzy'."
        said[0], said[5] = 'Undefined gibbon command: "wrpa". Did you mean "gibbon wrap"?', 'Undefined gibbon command: "xyzzy". Try "gibbon help".'
    assert said == ['Undefined gibbon command: "wrpa". Did you mean "gibbon wrap"?', '"gibbon wrap" has no option "-conut". Did you mean -count?', 'No setting "string-limt". Did you mean string-limit?',
                    'No setting "strng-limit". Did you mean string-limit?', 'Undefined gibbon command: "lgo". Did you mean "gibbon log"?', 'Undefined gibbon command: "xyzzy". Try "gibbon help".',
                    'No setting "xyzzy"; "gibbon show" lists them.', '"gibbon wrap" has no option "-xyzzy"; "gibbon help wrap" lists them.']


def test_overflow_setting(debugger):
    """`wait` is the old name of `block`."""
    result = debugger.session(None, ["gibbon show overflow", "gibbon set overflow overwrite", "gibbon set overflow block", "gibbon show overflow", "gibbon set overflow overwrite", "gibbon set overflow wait",
                                     "gibbon show overflow", "!gibbon set overflow never"])
    for step in (0, 3, 6):
        assert re.match(r"overflow +block ", result[step]), result.text
    assert 'overflow is one of block|overwrite, not "never".' in result[7]


def test_pending_setting(debugger, target):
    actions = ["break main", "run", "!gibbon wrap nowhere", "gibbon set pending on", "gibbon wrap nowhere", "gibbon set pending off", "!gibbon wrap nowhere2", "gibbon wrap nowhere3 -pending", "gibbon list"]
    result = debugger.session(target("calls"), actions)
    assert "not found" in result[2] and "Patch 1: wrap nowhere <PENDING>." in result[4] and "not found" in result[6] and "Patch 2: wrap nowhere3 <PENDING>." in result[7]


def test_gdb_info_set_show(gdb, target):
    result = gdb.session(target("calls"), [("info gibbon", ""), ("gibbon wrap work", ""), ("info gibbon", ""), ("info gibbon 1", ""), ("set gibbon string-limit 99", ""), ("show gibbon string-limit", ""),
                                           ("show gibbon", ""), ("set gibbon string-limit nonsense", ""), ("show gibbon string-limit", ""), ("info gibbon 7", "")])
    assert result[0] == "No patches.\n" and "<PENDING>          work" in result[2] and result[2] == result[3]
    assert re.match(r"string-limit +99 ", result[5]) and "ring-size" in result[6] and "number" in result[7] and re.match(r"string-limit +99 ", result[8])
    assert result[9] == "No patch number 7.\n"


def test_gdb_convenience_function(gdb, target):
    result = gdb.session(target("calls"), [("gibbon wrap work -quiet", ""), ("print $_gibbon_calls(1)", ""), "break between if $_gibbon_calls(1) >= 3", "run", ("print $_gibbon_calls(1)", ""),
                                           ("print $_gibbon_calls(9)", ""), ("print $_gibbon_calls(1) + 1", ""), ("print $_gibbon_calls()", ""), ("print $_gibbon_calls(\"a\")", "")], args=["8"])
    assert result[1] == "$1 = 0\n" and result[4] == "$2 = 4\n" and "No patch number 9." in result[5] and result[6] == "$3 = 5\n"
    assert "$" not in result[7] and "$" not in result[8]


def test_explain_changes_nothing(debugger, target):
    result = debugger.session(target("calls"), ["break main", "run", LOAD, SAME, "gibbon explain work", "gibbon explain libc.so.6!memcpy", "gibbon explain getenv", "gibbon explain *&work", SAME, "gibbon list", "continue"],
                              args=["3"])
    assert "text: 0 bytes" in result[3] and result[8] == result[3]
    assert result[9] == "No patches.\n" and result.log == [] and result.out == "3 calls, last 3\n"
    assert re.search(r"^work at 0x[0-9a-f]{16} in \S+/calls$", result[4], re.M), result[4]
    assert re.search(r"^  detour: \d+ bytes at 0x[0-9a-f]{16}; displaced, \d+ bytes:$", result[4], re.M)
    assert len(re.findall(r"^    0x[0-9a-f]{16}  \w+", result[4], re.M)) >= 1
    assert re.search(r"^  prototype: long(?: int)? work\(int i, (?:unsigned long|long unsigned int) twice\), from debug information$", result[4], re.M), result[4]
    assert re.search(r"prototype: .*getenv\(.*\), from ", result[6])


def test_explain_names_patches_that_are_there(debugger, target):
    result = debugger.session(target("calls"), ["break main", "run", "gibbon wrap work", "gibbon explain work"])
    assert re.search(r"is patched already: patch 1$", result[3], re.M), result[3]


def test_save_and_source(debugger, target, tmp_path):
    saved = tmp_path / "saved"
    make = ["gibbon wrap work -after 1 -times 3", "gibbon wrap between -backtrace 4 -quiet", "gibbon wrap libc.so.6?!getenv -disabled", "gibbon wrap zoo::feed(int) -count",
            "gibbon wrap other -prototype 'void other(void)' -every 2", "gibbon wrap main -temporary", "gibbon wrap 'ns::f(char const*)' -from calls"]
    result = debugger.session(target("calls"), make + ["gibbon list", "gibbon save %s" % saved, "gibbon delete", "source %s" % saved, "gibbon list", "run"], args=["6"])
    n = len(make)
    assert result[n + 1] == "Saved %d patches to %s.\n" % (n, saved)
    renumber = lambda text: re.sub(r"^\d+ +", "N ", text, flags=re.M)
    assert renumber(result[n]) == renumber(result[n + 4])
    assert [b.split(" = ")[0] for b in result.bodies("work")] == ["work(i=%d, twice=%d)" % (i, 2 * i) for i in (1, 2, 3)]


def test_save_in_one_and_source_in_the_other(both, target, tmp_path):
    for first, second in (both, both[::-1]):
        saved = str(tmp_path / (first.name + ".saved"))
        one = first.session(target("calls"), ["gibbon wrap work -after 2 -prototype 'long work(int number, unsigned long twice)'", "gibbon wrap libc.so.6?!getenv -quiet", "gibbon save " + saved])
        other = second.session(target("calls"), ["source " + saved, "gibbon list", "run"], args=["4"])
        assert "Saved 2 patches" in one[2]
        assert len(re.findall(r"<PENDING>", other[1])) == 2
        assert [b.split(",")[0] for b in other.bodies("work")] == ["work(number=2", "work(number=3"]


def test_same_words_in_both(both, target):
    actions = ["gibbon", "gibbon help", "gibbon help wrap", "gibbon help log", "gibbon show", "gibbon version", "gibbon wrap work between -quiet", "gibbon wrap nothere -backtrace", "gibbon list",
               "gibbon disable 2", "break main", "run", "gibbon list", "gibbon wrap work -backtrace 2", "gibbon explain work", "!gibbon wrap nothere2", "!gibbon wrap work -thread 77", "!gibbon nonsense", "continue",
               "gibbon list", "gibbon stats", "gibbon log", "gibbon log -last 1 -format jsonl", "!gibbon log -format xml", "!gibbon delete 99", "!gibbon set follow maybe", "gibbon delete 1", "gibbon list"]
    outputs = []
    for debugger in both:
        result = debugger.session(target("calls"), actions, args=["3"])
        texts = []
        for step, action in enumerate(actions):
            if not action.lstrip("!").startswith("gibbon ") or action == "gibbon nonsense":
                continue
            text = re.sub(r"^error: ", "", normal(result[step]), flags=re.M)
            text = re.sub(r'"(pid|tid|time|duration)":[\d.e-]+', r'"\1":N', text)
            if action == "gibbon stats":
                text = re.sub(r" +", " ", re.sub(r"\b[\d.]+(s|ms|us|ns)\b", "TIME", text))
            texts.append((action, re.sub(r'"process":\d+', '"process":P', text)))
        outputs.append(texts)
    for (action, one), (_, other) in zip(*outputs):
        if "nonsense" not in action:
            same_lines("%s\n%s" % (action, one), "%s\n%s" % (action, other))


def test_list_and_stats_are_aligned(debugger, target):
    result = debugger.session(target("calls"), ["gibbon wrap work", "gibbon wrap between -count", "run", "gibbon list", "gibbon stats"], args=["2000", "0"])
    header, rows = result[3].split("\n")[0], [line for line in result[3].split("\n")[1:] if line[:1].isdigit()]
    for column in ("Type", "Disp", "Enb", "Address", "What"):
        at = header.index(column)
        assert all(row[at] != " " and row[at - 1] == " " for row in rows), result[3]
    assert "called 2000 times" in result[3]
    assert re.search(r"^1 +2000 +0 .*  work$", result[4], re.M) and re.search(r"^2 +1 +- .*  between$", result[4], re.M)


def test_delete_asks_on_a_terminal(debugger, interactive, target):
    session = interactive(target("calls"))
    if debugger.name == "gdb":
        session.do("set confirm on")
    session.do("gibbon wrap work")
    session.send("gibbon delete")
    session.expect(r"Delete all patches\? \(y or n\) ")
    session.send("n")
    session.prompt()
    assert "work" in session.do("gibbon list")
    session.send("gibbon delete")
    session.expect(r"Delete all patches\? \(y or n\) ")
    session.send("y")
    session.prompt()
    assert "No patches." in session.do("gibbon list")


def test_pending_asks_on_a_terminal(debugger, interactive, target):
    session = interactive(target("calls"))
    if debugger.name == "gdb":
        session.do("set confirm on")
    session.do("break main" if debugger.name == "gdb" else "breakpoint set -n main")
    session.do("run")
    session.send("gibbon wrap nowhere")
    session.expect(r"Make the patch pending on future shared library load\? \(y or \[n\]\) ")
    session.send("y")
    session.expect(r"Patch 1: wrap nowhere <PENDING>\.")
    session.prompt()


def test_enter_does_not_repeat(gdb, target):
    from harness import Interactive
    session = Interactive(gdb, target("calls"))
    try:
        session.do("gibbon wrap work")
        session.send("")
        session.prompt()
        assert "2 " not in re.sub(r".*?Num", "Num", session.do("gibbon list"), flags=re.S).split("What")[1]
    finally:
        session.close()


@pytest.mark.parametrize("when", ["before", "at a stop"])
def test_what_found_nothing_is_told_at_the_end(debugger, target, when):
    """While the command that ran the program is under way."""
    first = ["gibbon stop wrok -pending"]
    result = debugger.session(target("calls"), first + ["run"] if when == "before" else ["break main", "run"] + first + ["continue"])
    assert "gibbon: patch 1 found no function wrok in any module of the program. Did you mean work?\n" in result[1 if when == "before" else 3], result.text
