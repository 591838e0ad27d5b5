"""Threads stopped anywhere when a patch comes, is switched, and goes: the program never notices."""
import os
import random
import re
import subprocess

import pytest

COMPILERS = pytest.mark.parametrize("cc,opt", [("gcc", "-O0"), ("gcc", "-O2"), ("clang", "-O0"), ("clang", "-O2")])
STEP = ("stepi", "thread step-inst")
CLEAR = ("delete", "breakpoint delete -f")
SYSTEM_CALLS = "read_last read_middle nap"


def bare(program, *arguments):
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def at(function):
    return "break *%s" % function, "breakpoint set -K false -n %s" % function


def script(debugger, actions):
    """Many actions as one file of commands; it ends at the first that fails."""
    path = os.path.join(debugger.directory, "actions")
    with open(path, "w") as file:
        for action in actions:
            file.write((action if isinstance(action, str) else action[debugger.name == "lldb"]) + "\n")
    return "source " + path


def hit(result):
    return len(re.findall(r"^(?:Thread \d.* hit )?Breakpoint \d+, |stop reason = breakpoint", result.text, re.M))


@pytest.mark.parametrize("cc,opt,function", [("gcc", "-O0", "work"), ("gcc", "-O2", "work"), ("clang", "-O0", "work"), ("clang", "-O2", "work"), ("gcc", "-O2", "short_one")])
def test_at_every_instruction_of_a_patched_call(debugger, target, cc, opt, function):
    """Into the detour, the stub, the thunk, the agent and the trampoline, one instruction at a time, with a change at each."""
    program = target("stopped", cc=cc, opt=opt)
    wrap = "gibbon wrap %s -quiet" % function
    actions = []
    for _ in range(40):
        for change in (wrap, "gibbon disable", "gibbon enable", "gibbon delete"):
            actions += [change, STEP]
    result = debugger.session(program, [at(function), "run", script(debugger, actions), CLEAR, "continue"], args=["calls", "8"], timeout=120)
    assert result.out == bare(program, "calls", "8"), result.text


@pytest.mark.parametrize("cc,opt,function", [("gcc", "-O0", "work"), ("gcc", "-O2", "work"), ("clang", "-O0", "work"), ("clang", "-O2", "work"), ("gcc", "-O2", "short_one")])
def test_deleted_and_set_at_every_place_of_the_way_in(debugger, target, cc, opt, function):
    """One call for each place: so many instructions after the entry the patch goes; in the next call it comes there."""
    program = target("stopped", cc=cc, opt=opt)
    calls, actions = 24, []
    for steps in range(calls // 2):
        actions += ["gibbon wrap %s -count" % function] + [STEP] * steps + ["gibbon delete", "continue"]
        actions += [STEP] * (steps % 4) + ["gibbon wrap %s -count" % function, "gibbon delete", "continue"]
    result = debugger.session(program, [at(function), "run", script(debugger, actions)], args=["calls", str(calls)], timeout=120)
    assert result.out == bare(program, "calls", str(calls)), result.text


@COMPILERS
def test_in_system_calls_inside_the_window(debugger, target, cc, opt):
    """The kernel begins an interrupted system call again, by going back over its instruction, wherever the thread was moved to."""
    program = target("stopped", cc=cc, opt=opt)
    actions = ["break ready", "run"]
    for _ in range(6):
        actions += ["gibbon wrap %s -quiet" % SYSTEM_CALLS, "continue", "gibbon delete", "continue"]
    result = debugger.session(program, actions[:-1] + [CLEAR, "continue"], args=["waits", "6"])
    assert result.out == bare(program, "waits", "6"), result.text


@COMPILERS
def test_in_system_calls_of_the_copy(debugger, target, cc, opt):
    """Patched before the call; deleted, and set again, while the thread waits in the trampoline."""
    program = target("stopped", cc=cc, opt=opt)
    actions = ["gibbon wrap %s" % SYSTEM_CALLS, "break ready", "run"]
    for _ in range(6):
        actions += ["gibbon delete", "gibbon wrap %s" % SYSTEM_CALLS, "continue", "gibbon disable", "gibbon enable", "continue"]
    result = debugger.session(program, actions[:-1] + [CLEAR, "continue"], args=["waits", "6"])
    assert result.out == bare(program, "waits", "6"), result.text
    assert len(result.log) >= 5, result.text


def test_detached_in_a_system_call_of_the_copy(debugger, target):
    program = target("stopped")
    wait = "python import time; [time.sleep(0.05) for i in range(400) if 'done' not in open(%r).read()]"
    actions = ["gibbon wrap %s -quiet" % SYSTEM_CALLS, "break ready", "run", CLEAR, "detach"]
    result = debugger.session(program, actions + [wait % (str(debugger.directory) + "/out-1")], args=["waits", "3"])
    assert result.out == bare(program, "waits", "3"), result.text


@COMPILERS
def test_a_return_address_in_the_window_delays_that_function_only(debugger, target, cc, opt):
    program = target("stopped", cc=cc, opt=opt)
    actions = ["break ready", "run", "gibbon wrap calls_*", "gibbon list", "continue", "continue", "gibbon list", CLEAR, "continue", "gibbon stats"]
    result = debugger.session(program, actions, args=["window", "4"])
    assert result.out == bare(program, "window", "4"), result.text
    assert re.search(r"^Patch 1: wrap calls_\* at 0x[0-9a-f]+ in stopped\.$\n  1 refused: .*\n  1 delayed, tried again at each stop: Thread \d+ will come back into the first instructions of calls_on, from a call", result[2], re.M), result[2]
    assert "calls_off in stopped" in result[3] and "1 delayed" in result[3]
    assert "gibbon: patch 1 waited for a thread, and is on 1 more function now." in result[4] + result[5], result.text
    assert "delayed" not in result[6] and "calls_*, 2 functions" in result[6]
    assert re.search(r"^1 +7 ", result[9], re.M), result[9]


def test_one_delayed_function_is_told_and_comes(debugger, target):
    program = target("stopped")
    result = debugger.session(program, ["break ready", "run", "gibbon wrap calls_on", "gibbon list", "continue", "continue", "gibbon list", CLEAR, "continue", "gibbon stats"], args=["window", "4"])
    assert result.out == bare(program, "window", "4"), result.text
    assert "Patch 1: wrap calls_on <PENDING>.\n  1 delayed" in result[2] and "1 delayed" in result[3], result.text
    assert "gibbon: patch 1 waited for a thread, and is on 1 more function now." in result[4] + result[5] and "delayed" not in result[6], result.text
    assert re.search(r"^1 +3 ", result[9], re.M), result[9]


def test_what_is_refused_is_counted_once(debugger, target):
    """One function of many waits for a thread, at every stop; another cannot be patched at all."""
    program = target("stopped")
    actions = ["break ready", "run", "gibbon wrap calls_*", STEP, STEP, STEP, "gibbon list"]
    result = debugger.session(program, actions, args=["window", "4"])
    assert "1 refused: calls_never cannot be patched" in result[2], result.text
    assert "1 refused" in result[6] and "1 delayed" in result[6], result.text
    assert result.text.count("calls_never cannot be patched") == 2, result.text


@pytest.mark.parametrize("opt", ["-O0", "-O2"])
def test_many_threads_at_many_places(debugger, target, opt):
    """Eight threads hammer the function; patches come, are switched and go at random, with a step or a run in between."""
    choose = random.Random(17)
    actions = []
    for _ in range(60):
        actions.append(choose.choice(["gibbon wrap hammer -quiet", "gibbon wrap hammer -count", "gibbon disable", "gibbon enable", "gibbon delete"]))
        actions += [STEP] * choose.randrange(3)
    result = debugger.session(target("threads", opt=opt), ["break ready", "run", CLEAR, script(debugger, actions), "continue"], args=["8", "2000"], timeout=120)
    assert re.match(r"total \d+ wrong 0\n", result.out), result.text
