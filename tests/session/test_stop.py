"""`gibbon stop`: the debugger stops as at a breakpoint, and what decides runs in the target."""
import os
import re
import signal
import subprocess
import time

import pytest

import harness
from conftest import asks

COMPILERS = pytest.mark.parametrize("cc,opt", [("gcc", "-O0"), ("gcc", "-O2"), ("clang", "-O0"), ("clang", "-O2")])
STOP = r"(?:^(?:Thread \d+ \"[^\"]*\" hit )?Patch (?=\d+, )|stop reason = patch |^Patch (?=\d+: stops))(\d+)"


def stops(text):
    """The patches that stopped, in order."""
    return [int(n) for n in re.findall(STOP, text, re.M)]


def shows(debugger, text, number, frame):
    """One stop of this patch, and nothing else, with the thread where `frame` matches."""
    assert stops(text) == [number], text
    assert re.search(frame, text), text
    if debugger.name == "gdb":
        assert re.search(r"^Patch %d, " % number, text, re.M), text


@COMPILERS
def test_each_call_stops_with_its_arguments(debugger, target, cc, opt):
    result = debugger.session(target("calls", cc=cc, opt=opt), ["gibbon stop work", "run", "backtrace", "continue", "continue", "gibbon list", "continue"], args=["3"])
    for step, i in ((1, 0), (3, 1), (4, 2)):
        shows(debugger, result[step], 1, r"work ?\(i=(?:i@entry=)?%d, twice=(?:twice@entry=)?%d\)" % (i, 2 * i))
        assert re.search(r"calls\.c:[68]", result[step]), result[step]
    assert re.search(r"#0.*\bwork\b.*\n.*#1.*\bmain\b", result[2]), result[2]
    assert re.search(r"^1 +stop +keep y +0x[0-9a-f]+ work in calls\n +stopped 3 times", result[5], re.M), result[5]
    assert not stops(result[6]) and result.out == "3 calls, last 3\n", result.text


@pytest.mark.parametrize("how", [dict(pie=False), dict(static=True), dict(debug=False), dict(debug=False, opt="-O2")])
def test_kinds_of_programs(debugger, target, how):
    result = debugger.session(target("calls", **how), ["gibbon stop work", "run", "backtrace", "continue", "continue"], args=["2"])
    assert [stops(result[step]) for step in (1, 3, 4)] == [[1], [1], []], result.text
    assert re.search(r"#0.*\bwork\b.*\n.*#1.*\bmain\b", result[2]), result[2]
    assert result.out == "2 calls, last -2\n"


@COMPILERS
def test_stepping_from_the_stop(debugger, target, cc, opt):
    for command, there in (("next", r"return i % 2|main"), ("step", r"return i % 2|work|main"), ("finish", "main"), ("up", "main"), ("stepi", "work|gibbon|calls = calls")):
        result = debugger.session(target("calls", cc=cc, opt=opt), ["gibbon stop work", "run", command, "backtrace", "continue", "continue", "gibbon disable", "continue"], args=["4"])
        assert re.search(there, result[2]), result[2]
        assert re.search("main", result[3]), result[3]
        for step, i in ((4, 1), (5, 2)):
            shows(debugger, result[step], 1, r"work ?\(i=(?:i@entry=)?%d" % i)
        assert result.out == "4 calls, last -4\n", result.text


@COMPILERS
@pytest.mark.parametrize("order", ["break work;gibbon stop work", "gibbon stop work;break work"])
def test_with_a_breakpoint_of_the_users(debugger, target, cc, opt, order):
    """Each is reported once a call; LLDB tells of both at once where they stop at the same instruction."""
    result = debugger.session(target("calls", cc=cc, opt=opt), ["break main", "run"] + order.split(";") + ["!continue"] * 7, args=["3"])
    text = "".join(result[step] for step in range(4, 11))
    assert stops(text) == [1, 1, 1], text
    assert len(re.findall(r"^Breakpoint \d+, |stop reason = breakpoint", text, re.M)) == 3, text
    assert result.out == "3 calls, last 3\n"


def test_a_false_condition_of_a_breakpoint_there(debugger, target):
    never = ("break work if i == 100", "breakpoint set -n work -c 'i == 100'")
    result = debugger.session(target("calls"), [never, "gibbon stop work", "run", "continue", "continue", "continue"], args=["3"])
    assert stops(result.text) == [1, 1, 1] and result.out == "3 calls, last 3\n", result.text


def test_a_step_over_a_call_that_stops(debugger, target):
    result = debugger.session(target("calls"), ["break between", "run", "gibbon stop work", "finish", "next", "next", "next", "gibbon delete 1", "continue"], args=["4"])
    text = "".join(result[step] for step in range(3, 7))
    assert stops(text) == [1] and re.search(r"work ?\(i=2, twice=4\)", text), result.text
    assert result.out == "4 calls, last -4\n", result.text


def test_options(debugger, target):
    result = debugger.session(target("calls"), ["break main", "run", "gibbon stop work -after 1 -every 2", "gibbon stop work -times 1", "gibbon stop work -temporary", "continue",
                                               "gibbon list", "continue", "continue", "continue"], args=["6"])
    first = re.findall(r"[Pp]atch (\d)", "\n".join(line for line in result[5].split("\n") if re.search(STOP, line)))
    assert first == ["2", "3"], result[5]
    assert re.search(r"^2 +stop +keep n", result[6], re.M) and not re.search(r"^3 ", result[6], re.M), result[6]
    for step, i in ((7, 2), (8, 4)):
        shows(debugger, result[step], 1, r"work ?\(i=%d" % i)
    assert result.out.startswith("6 calls"), result.text


def test_in_a_signal_handler_inside_a_function_only(debugger, target):
    quiet = ("handle SIGUSR1 nostop noprint pass", "process handle SIGUSR1 -s false -n false -p true")
    result = debugger.session(target("stops"), ["break main", "run", quiet, "gibbon stop hit -during handler", "continue", "backtrace", "continue"], args=["signal"])
    shows(debugger, result[4], 1, r"\bhit ?\(thread=10, i=7\)")
    assert re.search(r"#1.*\bhandler\b(.*\n)+.*\bmain\b", result[5]), result[5]
    assert result.out == "handled\n", result.text


def test_nothing_stops_when_it_is_disabled_or_deleted_there(debugger, target):
    for command in ("disable", "delete"):
        result = debugger.session(target("calls"), ["gibbon stop work", "run", "gibbon %s 1" % command, "continue"], args=["4"])
        assert stops(result.text) == [1] and result.out == "4 calls, last -4\n", result.text


def test_disabled_at_the_entry_and_enabled_again(debugger, target):
    result = debugger.session(target("calls", opt="-O2", debug=False), ["gibbon stop work", "break between", "run", "gibbon disable", "continue", "gibbon enable", "continue", "continue", "continue"], args=["4"])
    assert stops(result[2]) == [1] and stops(result[4]) == [] and stops(result[6]) == [1] and stops(result[7]) == [1], result.text
    assert result.out == "4 calls, last -4\n", result.text


def test_many_functions(debugger, target):
    result = debugger.session(target("stops"), ["break main", "run", "gibbon stop stops!/^(half|say|fail|nothing)$/"] + ["continue"] * 12 + ["continue", "continue"][:1])
    assert stops("".join(result[step] for step in range(3, 15))) == [1] * 12, result.text
    assert result.out == "0.5 even 0\n1 odd -1\n1.5 even -1\n"


def test_recursion(debugger, target):
    result = debugger.session(target("stops"), ["gibbon stop deep", "run", "continue", "continue", "backtrace", "continue", "continue", "continue", "continue"], args=["deep"])
    for step, n in ((1, 5), (2, 4), (3, 3), (5, 2), (6, 1), (7, 0)):
        shows(debugger, result[step], 1, r"deep ?\(n=%d\)" % n)
    assert len(re.findall(r"\bdeep ?\(n=", result[4])) == 3, result[4]
    assert result.out == "deep 15\n"


def go_through(debugger, tmp_path):
    """An action: go on until the program ends; and a function that gives what was seen: function, line, and the two arguments of each thread that had
    a reason to stop."""
    seen, code = tmp_path / "seen", tmp_path / "loop.py"
    if debugger.name == "gdb":
        code.write_text("""
with open(%r, "w") as out:
    while gdb.selected_inferior().pid:
        frame = gdb.newest_frame()
        out.write("%%s %%d %%d %%d\\n" %% (frame.name(), frame.find_sal().line, int(frame.read_var("thread")), int(frame.read_var("i"))))
        gdb.execute("continue", to_string=True)
""" % str(seen))
        run = "source %s" % code
    else:
        code.write_text("""
import lldb
def loop():
    process = lldb.debugger.GetSelectedTarget().GetProcess()
    with open(%r, "w") as out:
        while process.GetState() == lldb.eStateStopped:
            for thread in process:
                if thread.GetStopReason() != lldb.eStopReasonNone:
                    frame = thread.GetFrameAtIndex(0)
                    out.write("%%s %%d %%d %%d\\n" %% (frame.GetFunctionName(), frame.GetLineEntry().GetLine(),
                                                   frame.FindVariable("thread").GetValueAsSigned(), frame.FindVariable("i").GetValueAsSigned()))
            process.Continue()
loop()
""" % str(seen))
        run = "command script import %s" % code
    return (run, run), lambda: sorted(seen.read_text().split("\n")[:-1])


@pytest.mark.parametrize("opt", ["-O0", "-O2"])
def test_several_threads(debugger, target, tmp_path, opt):
    """Every call stops once, with its arguments, whichever threads meet it at the same time; LLDB shows those together, and none elsewhere."""
    run, seen = go_through(debugger, tmp_path)
    result = debugger.session(target("stops", opt=opt), ["gibbon stop hit", "run", run, "gibbon stats"], args=["threads", "4"], timeout=120)
    assert re.search(r"^1 +80 ", result[3], re.M), result[3]
    places = [line.split() for line in seen()]
    assert [[f, t, i] for f, _, t, i in places] == sorted(["hit", str(t), str(i)] for t in range(4) for i in range(20)), result.text
    assert result.out == "80 calls, 0 wrong\n"


def test_several_threads_between_stops_and_breakpoints(debugger, target, tmp_path):
    """Some threads meet a stop while others meet a breakpoint."""
    run, seen = go_through(debugger, tmp_path)
    at = "break stops.c:15", "breakpoint set -f stops.c -l 15"
    result = debugger.session(target("stops"), [at, "gibbon stop hit", "run", run, "gibbon stats"], args=["threads", "4"], timeout=120)
    places = seen()
    if debugger.name == "lldb":  # shows a breakpoint again until its thread has left it
        places = sorted(set(line for line in places if line.split()[1] == "15")) + [line for line in places if line.split()[1] != "15"]
    assert sorted(places) == sorted("hit %d %d %d" % (line, t, i) for line in (14, 15) for t in range(4) for i in range(20)), result.text
    assert result.out == "80 calls, 0 wrong\n"


def test_a_forked_child_goes_on(debugger, target):
    result = debugger.session(target("stops"), ["gibbon stop hit", "run", "continue", "continue", "continue"], args=["fork"])
    assert stops(result.text) == [1, 1, 1] and result.out == "child 5\n", result.text


def test_with_other_patches_on_the_function(debugger, target):
    result = debugger.session(target("calls"), ["gibbon stop work", "gibbon wrap work", "run", "backtrace", "continue", "gibbon mock work 5 -every 2", "continue", "gibbon delete 2", "continue", "continue"], args=["4"])
    assert [stops(result[step]) for step in (2, 4, 6, 8)] == [[1]] * 4, result.text
    shows(debugger, result[2], 1, r"work ?\(i=0, twice=0\)")
    shows(debugger, result[4], 1, r"work ?\(i=1, twice=2\)")
    assert "main" in result[3] and result.bodies("work"), result.text
    assert result.out == "4 calls, last 5\n", result.text
    durations = [line for line in result.calls("work") if re.search(r"<\d+(\.\d+)?s>$", line)]
    assert not durations, durations


def test_return_with_a_condition(debugger, target):
    result = debugger.session(target("calls"), ["gibbon stop work if $ret == -2", "run", "backtrace", "continue"], args=["5"])
    assert stops(result[1]) == [1] and "work returned -2" in result[1] and re.search(r"#0.*\bmain\b", result[2]), result.text
    assert result.out == "5 calls, last 5\n"


@pytest.mark.parametrize("function,value", [("half", "1"), ("say", '"odd"'), ("fail", r"-1 EPERM \(Operation not permitted\)")])
def test_the_value_that_is_returned(debugger, target, function, value):
    condition = {"half": "$ret == 1", "say": '$streq($ret, "odd")', "fail": "$errno == 1"}[function]
    result = debugger.session(target("stops"), ["gibbon stop %s if %s" % (function, condition), "run", "continue"])
    assert stops(result[1]) == [1] and re.search(r"%s returned (0x[0-9a-f]+ )?%s" % (function, value), result[1]), result.text
    assert result.out == "0.5 even 0\n1 odd -1\n1.5 even -1\n"


def test_functions_of_libraries(debugger, target):
    result = debugger.session(target("stops"), ["break main", "run", "gibbon stop libc.so.6!malloc if $arg1 == 1234", "continue", "backtrace", "gibbon delete", "continue"])
    assert stops(result[3]) == [1] and re.search(r"#0.*malloc.*\n(.*\n)?.*#1.*\bmain\b", result[4]), result.text
    assert result.out == "0.5 even 0\n1 odd -1\n1.5 even -1\n"


def test_calls_from_the_prompt_use_up_nothing(debugger, target):
    """A call of the same function while a thread is stopped at its entry, and has still to go through it."""
    program = target("calls", opt="-O2", debug=False)
    call = ("print ((long (*)(int, unsigned long)) work)(7, 3)", "expression -i true -- ((long (*)(int, unsigned long)) work)(7, 3)")
    result = debugger.session(program, ["gibbon stop work -after 0 -times 3", "run", "gibbon disable", call, "gibbon enable", "continue", "continue"], args=["2"])
    assert stops(result[1]) == [1] and stops(result[5]) == [1] and stops(result[6]) == [], result.text
    assert result.out.startswith("2 calls"), result.text


def test_commands(debugger, target):
    show = ("print i + 100", "p i + 100")
    result = debugger.session(target("calls"), ["gibbon stop work", 'gibbon commands 1 "%s" continue' % (show[0] if debugger.name == "gdb" else show[1]), "run"], args=["3"])
    for i in range(3):
        assert re.search(r"\b%d\b" % (100 + i), result.text), result.text
    assert result.out == "3 calls, last 3\n"


def test_commands_of_several_threads(debugger, target):
    """Once for each call, and with the arguments of its own thread."""
    result = debugger.session(target("stops"), ["gibbon stop hit", 'gibbon commands silent "print i * 10 + thread" continue', "run"], args=["threads", "4"], timeout=120)
    seen = sorted(int(i) for i in re.findall(r"^(?:\$\d+ = |\((?:int|long)\) (?:\$\d+ = )?)(\d+)$", result[2], re.M))
    assert seen == sorted(i * 10 + t for i in range(20) for t in range(4)), result.text
    assert result.out == "80 calls, 0 wrong\n"


def test_commands_are_saved(debugger, target, tmp_path):
    file = tmp_path / "saved"
    result = debugger.session(target("calls"), ["gibbon stop work -after 1", 'gibbon commands "print i" continue', "gibbon save %s" % file, "gibbon delete 1", "source %s" % file, "run"], args=["3"])
    assert file.read_text() == 'gibbon stop work -after 1 -pending\ngibbon commands "print i" continue\n', file.read_text()
    assert [int(i) for i in re.findall(r"^(?:\$\d+ = |\(int\) (?:\$\d+ = )?)(\d+)$", result[5], re.M)] == [1, 2], result.text
    assert result.out == "3 calls, last 3\n"


def test_commands_are_removed_and_it_is_told(debugger, target):
    script = debugger.directory + "/removes"
    with open(script, "w") as file:  # GDB takes lines, here none
        file.write("gibbon commands 1\nend\n" if debugger.name == "gdb" else "gibbon commands 1\n")
    result = debugger.session(target("calls"), ["gibbon stop work", 'gibbon commands "p i"', "source " + script, "source " + script, "run"], args=["1"])
    assert "Commands of patch 1 removed.\n" in result[2] and "Patch 1 has no commands.\n" in result[3], result.text
    assert stops(result[4]) == [1] and not re.search(r"^(\$1|\(int\)) ", result[4], re.M), result.text


def test_commands_of_no_stop(debugger, target):
    result = debugger.session(target("calls"), ["gibbon wrap work", '!gibbon commands "bt"', '!gibbon commands 1 "bt"', '!gibbon commands 9 "bt"'])
    assert "There is no stop" in result[1] and "only a stop has commands" in result[2] and "No patch number 9" in result[3], result.text


def test_commands_of_gdb_up_to_end(gdb, target, tmp_path):
    script = tmp_path / "script"
    script.write_text("gibbon stop work\ngibbon commands\nsilent\nprintf \"i is %d\\n\", i\nif i == 1\n  backtrace 1\nend\ncontinue\nend\n")
    result = gdb.session(target("calls"), ["source %s" % script, "run"], args=["3"])
    assert re.findall(r"^i is (\d)", result.text, re.M) == ["0", "1", "2"] and result.text.count("#0") == 1 and not stops(result.text), result.text
    assert result.out == "3 calls, last 3\n"


def until(process, ticks):
    for _ in range(600):
        if asks(process) >= ticks:
            return True
        time.sleep(0.05)
    return False


def test_a_killed_debugger_leaves_no_trap(debugger, server):
    """Calls that would have stopped go on; the debugger has had no time to take its breakpoint away."""
    process = server()
    actions = ["attach %d" % process.pid, "gibbon stop tick -after 2000", "continue"]
    session = subprocess.Popen(debugger.command_line(None, True) + sum((debugger.translate(a) for a in actions), []),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, env=harness.environment("/tmp"), start_new_session=True)
    try:
        before = asks(process)
        for _ in range(200):  # stopped while it is patched, then it goes on
            time.sleep(0.05)
            with open("/proc/%d/maps" % process.pid) as maps:
                if "memfd:gibbon" in maps.read() and until(process, asks(process) + 5):
                    break
        assert before < 1500 and asks(process) < 1900
        session.kill()
        session.wait()
        assert until(process, 2500) and process.poll() is None
    finally:
        harness.kill_session(session)


def test_detached_it_goes_on(debugger, server):
    process = server()
    result = debugger.session(None, ["attach %d" % process.pid, "gibbon stop tick", "continue", "detach"])
    assert stops(result.text) == [1], result.text
    assert until(process, asks(process) + 50) and process.poll() is None
    assert not harness.text_differences(process.pid)


KILL = ("python import os, signal; os.kill(gdb.selected_inferior().pid, signal.SIGKILL)",
        "script import os, signal; os.kill(lldb.debugger.GetSelectedTarget().GetProcess().GetProcessID(), signal.SIGKILL)")


@pytest.mark.parametrize("end", ["kill", "from outside"])
@pytest.mark.parametrize("opt", ["-O0", "-O2"])
def test_the_process_is_killed_at_a_stop_and_run_again(debugger, target, opt, end):
    ends = ["kill"] if end == "kill" else [KILL, "!continue", "gibbon list"]
    result = debugger.session(target("calls", opt=opt), ["gibbon stop work", "run"] + ends + ["run", "backtrace", "continue", "continue"], args=["2"])
    again = 2 + len(ends)
    assert [stops(result[step]) for step in (1, again, again + 2, again + 3)] == [[1], [1], [1], []], result.text
    assert re.search(r"#0.*\bwork\b.*i=(i@entry=)?0.*\n.*#1.*\bmain\b", result[again + 1]), result.text
    assert end == "kill" or "<PENDING>" in result[4], result.text
    assert "failed to set breakpoint" not in result.text, result.text
    assert result.out == "2 calls, last -2\n", result.text


@pytest.mark.parametrize("command", ["gibbon disable", "gibbon delete"])
def test_stepping_on_when_the_patch_has_gone(debugger, target, command):
    result = debugger.session(target("calls"), ["gibbon stop work", "run", command, "next", "backtrace", "finish", "continue"], args=["3"])
    assert stops(result.text) == [1] and "calls.c:9" in result[4] and "main" in result[5], result.text
    assert result.out == "3 calls, last 3\n", result.text


def test_until_a_later_line(debugger, target):
    result = debugger.session(target("calls"), ["gibbon stop work", "run", ("until 9", "thread until 9"), "backtrace", "continue", "gibbon delete", "continue"], args=["3"])
    assert re.search(r"#0.*\bwork\b.*calls\.c:9\b", result[3]), result.text
    shows(debugger, result[4], 1, r"work ?\(i=1, twice=2\)")
    assert result.out == "3 calls, last 3\n", result.text


def test_threads_go_on_and_end_well_when_it_is_detached(debugger, target):
    """Several stand at their stops, or wait for their turn."""
    wait = "python import time; [time.sleep(0.05) for i in range(400) if 'wrong' not in open(%r).read()]" % (debugger.directory + "/out-1")
    result = debugger.session(target("stops"), ["gibbon stop hit", "run"] + ["continue"] * 8 + ["detach", wait], args=["threads", "8"])
    assert result.out == "160 calls, 0 wrong\n", result.text


def test_machine_interface(gdb, target):
    commands = "-interpreter-exec console \"gibbon stop work\"\n-exec-run\n-exec-continue\n-exec-continue\n-gdb-exit\n"
    words = ["gdb", "-nx", "-q", "-i=mi", "-iex", "set debuginfod enabled off", "-ex", "source " + gdb.script, "--args", target("calls"), "2"]
    session = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=gdb.directory, env=harness.environment(gdb.directory))
    text = ""
    for line in commands.split("\n")[:-1]:
        session.stdin.write(line + "\n")
        session.stdin.flush()
        if "exec-" in line and "interpreter" not in line:
            for line in session.stdout:
                text += line
                if line.startswith("*stopped") or line.startswith("^error"):
                    break
    text += session.communicate(timeout=30)[0]
    records = [line for line in text.split("\n") if line.startswith("*stopped")]
    for i in range(2):
        assert 'reason="breakpoint-hit"' in records[i] and 'func="work"' in records[i] and '{name="i",value="%d"}' % i in records[i], text
    assert 'reason="exited-normally"' in records[2], text


def test_the_selected_frame_stays(debugger, target):
    """Whatever a command looks at."""
    chosen = ("frame 1", "frame select 1")
    show = ("frame", "frame info")
    result = debugger.session(target("calls"), ["gibbon stop work", "run", chosen, "gibbon list", show, "gibbon wrap between", show, "gibbon explain work", "gibbon disable 1", show])
    for step in (4, 6, 9):
        assert re.search(r"#1.*\bmain\b", result[step]), result.text


def test_list_shows_the_commands(debugger, target):
    result = debugger.session(target("calls"), ["gibbon stop work", 'gibbon commands "info registers rip" "bt 1"', "gibbon list"])
    assert re.search(r"<PENDING> +work\n +info registers rip\n +bt 1\n", result[2]), result[2]
