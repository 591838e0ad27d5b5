"""Wrong input of every kind to every command: one sentence, an error, and nothing changed."""
import os
import re

import pytest

WRONG = [
    "nonsense", "-wrap work",
    "wrap", "wrap -nonsense work", "wrap work -after", "wrap work -after x", "wrap work -after -1", "wrap work -every 0", "wrap work -times 0", "wrap work -times 99999999999999999999",
    "wrap work -thread", "wrap work -thread 0", "wrap work -thread abc", "wrap work -thread 99999999999", "wrap work -backtrace 0", "wrap work -backtrace 100000", "wrap work -count -backtrace",
    "wrap work -temporary -times 3", "wrap work -t", "wrap work -from", "wrap work -prototype", "wrap work -prototype 'int'", "wrap work -prototype 'int work(int'", "wrap work -prototype 'int work(struct)'",
    "wrap work -prototype 'unclosed", "wrap work -prototype 'int wrok(int i)'", "wrap other between -prototype 'int other(int i)'", "wrap zoo::work -prototype 'int other::work(int)'", "wrap 'work", 'wrap "work', "wrap work -count=3", "wrap work if i ==", "wrap work -quiet=yes", "wrap !work", "wrap calls!", "wrap calls.c:", "wrap calls.c:5", "wrap /wo[/",
    "wrap ''", "wrap work nowhere_at_all", "wrap nowhere_at_all work",
    "wrap work -from -count", "wrap work -after 1 -after 2", "wrap work -after 9223372036854775808", "wrap work -backtrace -1", "wrap work -prototype -quiet", "wrap work -=", "wrap *", "wrap **", "wrap 12", "wrap 0x401000", "wrap calls!3",
    "wrap -- -- -count nowhere_at_all", "wrap " + "-quiet " * 40 + "work", "wrap " + "work " * 300, "list -quiet", "stats -all", "save -f", "help -x", "version -x", "set -x", "show -x", "explain -x", "explain *",
    "list 7-9", "log -1", "log -clear -last 3", "log -save x -clear 1", "log -clear -format jsonl", "log -follow on -last 3", "log -follow on -save /nonexistent/x", "log -save a -save /nonexistent/b", "log -format jsonll",
    "set string-limit", "set string-limit 5K", "set string-limit 1.5", "set follow on off", "set follow=on",
    "list x", "list 0", "list 99", "list 1-", "list 3-1", "list -1", "list 1 99", "list 99999999999999999999", "list 1,2",
    "enable 99", "enable x", "enable 1 x", "disable 99", "disable 0", "disable 1 x", "delete 99", "delete x", "delete 1 99", "delete 1-x", "delete -nonsense",
    "log -nonsense", "log -last", "log -last x", "log -last 0", "log -last -3", "log -format xml", "log -format", "log -save", "log -save /nonexistent/dir/file", "log 99", "log 0", "log x", "log 1 1",
    "log -follow maybe", "log -follow", "log -clear=1",
    "stats x", "stats 99", "stats -count",
    "explain", "explain nowhere_at_all", "explain work between", "explain -x", "explain ''",
    "save", "save /nonexistent/dir/file", "save a b", "save ''",
    "set", "set follow", "set nonsense 3", "set follow maybe", "set o on", "set string-limit 0", "set string-limit x", "set string-limit 5000", "set string-limit -1", "set ring-size 3", "set ring-size 1000000",
    "set ring-size 1G", "set string-limit 3 4", "set on-detach", "set pending sometimes", "set ''",
    "show nonsense", "show follow pending", "help nonsense", "help wrap list", "version 3",
]
STATE = ["gibbon list", "gibbon show", "gibbon stats", "gibbon log"]


def check(debugger, text, command):
    lines = [line for line in text.split("\n") if line.strip()]
    assert len(lines) == 1, "not one sentence for %r: %r" % (command, text)
    line = lines[0]
    if debugger.name == "lldb":
        assert line.startswith("error: "), "%r: %r" % (command, text)
        line = line[7:]
    assert not line.startswith(("error:", "Error")), "%r: %r" % (command, text)
    assert re.search(r"[.)?]$", line) and re.match(r'["A-Z\'/-]|string-limit|ring-size|follow|pending|on-detach|overflow|libc|\w+\.', line), "no sentence for %r: %r" % (command, line)
    assert len(line) < 300 and "(null)" not in line and "%" not in line


@pytest.mark.parametrize("when", ["before run", "stopped"])
def test_wrong_input(debugger, target, when, tmp_path):
    """All of them in one session, so that what one of them broke shows in the next."""
    start = ["gibbon wrap work -quiet"] + (["break between", "run"] if when == "stopped" else ["python pass", "python pass"])
    actions = start + STATE
    before = {action: number for number, action in enumerate(actions)}
    where = {}
    for command in WRONG:
        if when == "before run" and "nowhere_at_all" in command and command.startswith("wrap"):
            continue  # before the program runs every function is awaited
        if debugger.name == "lldb" and command in ("nonsense", "-wrap work"):
            continue  # LLDB's own container answers those
        where[command] = len(actions)
        actions.append("!gibbon " + command)
    end = len(actions)
    result = debugger.session(target("calls"), actions + STATE + ["continue" if when == "stopped" else "python pass"], args=["4"], timeout=120)
    problems = []
    for command, step in where.items():
        try:
            check(debugger, result[step], command)
        except AssertionError as problem:
            problems.append(str(problem).split("\n")[0])
    assert not problems, "\n".join(problems)
    for number, action in enumerate(STATE):
        assert result[end + number] == result[before[action]], "changed: " + action
    if when == "stopped":
        assert result.out == "4 calls, last -4\n"
    assert os.listdir(tmp_path) and not os.path.exists(tmp_path / "a")


@pytest.mark.parametrize("command", ["gibbon wrap", "gibbon delete 9", "gibbon set follow maybe", "gibbon wrap work -nonsense", "gibbon log -save /nonexistent/x/y"])
def test_error_status(debugger, command):
    """The debugger knows that it failed: its batch ends with a status."""
    import subprocess
    from harness import environment
    words = debugger.command_line(None, True) + ["-ex" if debugger.name == "gdb" else "-o", command]
    done = subprocess.run(words, capture_output=True, text=True, env=environment(debugger.directory), timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 1, done
    assert "Traceback" not in done.stdout + done.stderr


def test_a_command_that_fails_makes_none_of_its_patches(debugger, target):
    result = debugger.session(target("calls"), ["break main", "run", "!gibbon wrap work between nowhere_at_all main", "gibbon list", "gibbon wrap work", "continue"], args=["2"])
    assert "nowhere_at_all" in result[2] and result[3] == "No patches.\n" and "Patch 1: wrap work" in result[4]
    assert len(result.calls("work")) == 2 and result.calls("between") == []


def test_core_file(debugger, target, tmp_path):
    """A core file cannot be patched: one sentence."""
    import shutil
    import subprocess
    if not shutil.which("gcore"):
        pytest.skip("gcore is not installed")
    process = subprocess.Popen([target("server")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    core = str(tmp_path / "core")
    done = subprocess.run(["gcore", "-o", core, str(process.pid)], capture_output=True, text=True)
    process.kill()
    process.wait()
    if done.returncode:
        pytest.skip("gcore cannot write a core file here")
    path = "%s.%d" % (core, process.pid)
    result = debugger.session(target("server"), [("core-file " + path, "target create -c %s %s" % (path, target("server"))), "!gibbon wrap tick", "gibbon list", "!gibbon explain tick"])
    assert len(debugger.error(result[1])) == 1 and "core" in result[1].lower(), result[1]


def test_very_long_and_odd_words(debugger, target):
    long = "x" * 5000
    result = debugger.session(target("calls"), ["break main", "run", "!gibbon wrap " + long, "!gibbon wrap %s%n%s", "!gibbon wrap work -from %s -nope" % long, "!gibbon help " + long, "!gibbon " + "a" * 500, "!gibbon wrap ü€",
                                                "gibbon list", "continue"], args=["2"])
    for step in range(2, 8):
        assert "Patch" not in result[step] and result[step].strip(), result[step][:300]
        assert len(result[step]) < 1000
    assert result[8] == "No patches.\n" and result.out == "2 calls, last -2\n"


def test_refusals_name_functions_as_people_do(debugger, target):
    """C++ names are demangled in every sentence."""
    inside = "*(unsigned long)&zoo::fall+4"
    actions = ["break main", "run", ("break " + inside, "breakpoint set -a `%s`" % inside[1:]), "!gibbon wrap zoo::fall", "!gibbon explain " + inside, "gibbon explain zoo::feed", "gibbon wrap zoo::fe*", "gibbon explain zoo::fe*", "gibbon wrap zoo::tr*",
               "gibbon list", "!gibbon wrap zoo::fed", "!gibbon wrap zoo::Ape::climp"]
    result = debugger.session(target("cxx.cc"), actions)
    assert "_Z" not in "".join(result[n] for n in range(3, len(actions))), result.text
    assert "is inside zoo::fall(int), which begins at" in result[4]
    assert "prototype: int zoo::feed(int n), from debug information" in result[5] and "zoo::feed(char const*) at" in result[5]
    assert "zoo::feed(int) at" in result[7] and " zoo::try_fall(int) in cxx (zoo::tr*)\n" in result[9]
    assert "Did you mean zoo::feed?" in result[10] and "Did you mean zoo::Ape::climb?" in result[11]


CONTROL = "\x1b]0;x\x07\x1b[31m\x7f\u202e\r"


def test_control_characters_are_not_echoed(debugger, target):
    """What the user pasted may hold anything; none of it acts on the terminal, in no message."""
    names = [text.replace("@", CONTROL) for text in (
        "wrap @", "wrap calls!@", "wrap @!work", "wrap work -thread @", "wrap work -prototype 'int work(@ x)'", "wrap work -@", "wrap *@", "wrap @.c:3", "list @",
        "log -save /nonexistent/@", "log -format @", "log -follow @", "save /nonexistent/@", "set @ 3", "set follow @", "show @", "help @", "explain @", "@")]
    kept = ["wrap *@ -pending", "wrap @ -pending", "wrap nothing?!@ -from @", "list", "stats"]
    actions = ["!gibbon " + name for name in names] + [("!gibbon " + text).replace("@", CONTROL) for text in kept]
    result = debugger.session(target("calls"), ["break main", "run"] + actions)
    for step, action in enumerate(actions, 2):
        if debugger.name == "lldb" and step == 2 + len(names) - 1:
            continue  # LLDB answers that itself
        text = result[step]
        assert text.strip() and not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text), (action, text)
        assert re.search(r"\\33\[31m|\\x1b", text) or step >= 2 + len(names), (action, text)


def test_not_stopped(debugger, interactive, server):
    """A patch while the program runs in the background: done, or refused in one sentence; the program goes on either way."""
    from conftest import asks
    process = server()
    session = interactive(None)
    session.do(debugger.words("attach %d" % process.pid))
    session.do("continue &" if debugger.name == "gdb" else "continue")
    first = asks(process)
    text = session.do("gibbon wrap tick")
    assert "Traceback" not in text
    assert re.search(r"Patch 1: wrap tick|running", text), text
    assert asks(process) >= first


def test_what_debuggers_stop_at_is_left_to_them(debugger, target):
    result = debugger.session(target("calls"), ["break main", "run", "!gibbon wrap _dl_debug_state", "gibbon list", "continue"])
    assert "_dl_debug_state is where debuggers stop to hear of libraries; it is left to them." in result[2], result[2]
    assert result[3] == "No patches.\n" and result.out.startswith("10 calls")
