"""Who sees a patch: -from with tail calls, -during, `gibbon during`."""
import os
import re

import pytest

INSIDE = [101, 110, 111, 112, 113, 120, 130, 131, 132, 133, 140, 150, 151, 160]


def numbers(result):
    return sorted(int(re.search(r"work\(n=(\d+)", line).group(1)) for line in result.calls("work"))


# -during


@pytest.mark.parametrize("opt", ["-O0", "-O2"])
def test_during(debugger, target, opt):
    """By call, recursion, longjmp, signal handlers on both stacks, another thread, fork, pthread_exit."""
    result = debugger.session(target("inside", opt=opt), ["gibbon wrap work -during handle", "run", "gibbon list"])
    assert numbers(result) == INSIDE, result.text
    assert re.search(r"^1 +wrap +keep y .* -during handle$", result[2], re.M) and "called 14 times" in result[2]


def test_during_of_a_mock(debugger, target):
    result = debugger.session(target("inside"), ["gibbon wrap work", "gibbon mock work 7 -during handle -from inside", "run"])
    mocked = sorted(int(n) for n in re.findall(r"work\(n=(\d+)\) = 7 \(mocked\)", result.text))
    assert mocked == [n for n in INSIDE if n != 150] or mocked == INSIDE, result.text
    assert all(n >= 200 for n in numbers(result) if n not in mocked)


def test_during_of_a_replacement(debugger, target):
    result = debugger.session(target("inside"), ["gibbon replace work abs -during handle -count", "run", "gibbon list"])
    assert re.search(r"^1 .*\n +called 14 times", result[2], re.M), result.text


def test_during_is_shared_and_goes_with_its_patches(debugger, target):
    """The function of -during has its own bytes again when the last patch has gone."""
    differ = "python import sys; sys.path.insert(0, %r); import inside; inside.text_differences()" % os.path.dirname(os.path.realpath(__file__))
    result = debugger.session(target("inside"), ["break deeper", "run", differ, "gibbon wrap work -during handle", "gibbon mock work 3 -during handle", "gibbon list",
                                                 "gibbon delete 1", "gibbon explain handle", "gibbon delete 2", "gibbon explain handle", differ, "gibbon list"])
    assert re.findall(r"^(\d+) ", result[5], re.M) == ["1", "2"], result[5]
    assert "-during handle of patch 2" in result[7] and "patched already" not in result[9]
    assert result[2] == result[10] and result[11] == "No patches.\n"


def test_during_says_who_is_inside_already(debugger, target):
    result = debugger.session(target("inside"), ["break work", "run", "up", "gibbon wrap other_thread -during main", "gibbon list"])
    assert "gibbon: -during main of patch 1: Thread 1 is inside main() now; that call does not count.\n" in result.text, result.text


def test_during_needs_a_function_that_returns(debugger, target):
    result = debugger.session(target("inside"), ["break deeper", "run", "!gibbon wrap work -during longjmp", "!gibbon wrap work -during nosuch", "!gibbon wrap work -during", "gibbon list",
                                                 "gibbon wrap work -during nosuch -pending", "continue"])
    assert "cannot be the function of -during: it returns twice, never, or looks at its caller, so nobody sees when it ends." in result[2]
    assert "Function \"nosuch\" not found" in result[3] and "needs a value" in result[4] and result[5] == "No patches.\n"
    assert "nosuch is in no loaded module yet; until it is, the patch sees no call." in result[6] and not result.calls("work")


def test_during_that_is_misspelt(debugger, target):
    result = debugger.session(target("inside"), ["gibbon wrap work -during handel", "run", "gibbon list"])
    assert "patch 1 saw no call, since no module has the function handel of its -during." in result.text and not result.calls("work")


def test_during_a_function_of_a_library(debugger, target):
    """It waits for the library, which comes twice: its constructor is inside."""
    library = target("libplugin", shared=True, name="libplugin.so")
    result = debugger.session(target("loader"), ["gibbon wrap getenv -during libplugin.so!begin", "run", "run"], args=[library])
    assert result.bodies("getenv") == ['getenv(name="PLUGIN") = NULL'] * 4, result.text


def test_during_and_temporary(debugger, target):
    result = debugger.session(target("inside"), ["gibbon wrap work -during handle -temporary", "break deeper", "run", "gibbon list", "gibbon explain handle"])
    assert numbers(result) == [101] and result[3] == "No patches.\n" and "patched already" not in result[4]


def test_during_is_saved(debugger, target, tmp_path):
    file = str(tmp_path / "saved")
    result = debugger.session(target("inside"), ["gibbon wrap work -during handle -times 2", "gibbon save " + file, "gibbon delete", "source " + file, "run"])
    assert "Saved 1 patch to" in result[1] and numbers(result) == [101, 110]


# -from with tail calls


@pytest.fixture
def relay(target):
    def make(*flags):
        library = target("libtail", shared=True, opt="-O2", name="libtail.so", flags=flags)
        return target("relay", flags=(library, "-Wl,-rpath," + os.path.dirname(library)) + flags)
    return make


@pytest.mark.parametrize("flags", [(), ("-fno-plt",), ("-fcf-protection=full", "-Wl,-z,now")])
def test_from_sees_tail_calls(debugger, relay, flags):
    """Where the call instruction names the function; calls by a pointer are counted."""
    result = debugger.session(relay(*flags), ["gibbon wrap getenv -from libtail.so", "gibbon wrap getenv -from relay -count", "gibbon mock getenv 0 -from no.so", "run", "gibbon list"])
    assert [re.search(r'"(\w+)"', body).group(1) for body in result.bodies("getenv")] == ["TAIL", "CALL"] * 2, result.text
    assert "        4 calls were left out that may be tail calls of libtail.so: they came by an indirect call, or through another module\n" in result[4]
    assert "called 8 times" in result[4] and "of no.so" not in result[4]


def test_from_below_another_patch(debugger, relay):
    """The caller of a layer is the program's, not the thunk of the layer above."""
    result = debugger.session(relay(), ["gibbon wrap getenv -from libtail.so", "gibbon mock getenv 0 -from no.so", "gibbon wrap getenv -quiet", "run", "gibbon list"])
    assert re.search(r"^1 .*\n +called 4 times", result[4], re.M), result.text


# gibbon during


def test_during_command(debugger, target):
    finish = 'gibbon during "mock work 77" -- '
    result = debugger.session(target("inside"), ["break deeper", "run", (finish + "finish", finish + "thread step-out"), "gibbon list"])
    assert re.search(r"(Value returned is \S+|Return value: \(int\) \S+) = 77", result[2]), result.text
    assert result[3] == "No patches.\n"


def test_during_command_that_fails(debugger, target):
    result = debugger.session(target("inside"), ["break deeper", "run", '!gibbon during "mock work 77" -- nosuchcommand', "gibbon list", '!gibbon during "mock work" -- nosuchcommand',
                                                 '!gibbon during "list" -- continue', '!gibbon during "wrap work"', '!gibbon during wrap work -- continue', "gibbon list"])
    assert "nosuchcommand" in result[2] and result[3] == "No patches.\n"
    assert "needs a function and the value" in result[4] and "nosuchcommand" not in result[4]
    assert "holds a patch: a wrap, replace, mock or stop, not \"list\"" in result[5]
    assert "needs a patch command in quotes, --, and a command" in result[6] and "needs a patch command in quotes" in result[7]
    assert result[8] == "No patches.\n"


def test_during_command_until_the_program_ends(debugger, target):
    result = debugger.session(target("inside"), ["break deeper", "run", 'gibbon during "gibbon wrap work" -- continue', "gibbon list", "run", "continue"])
    assert numbers(result) == [270] and result[3] == "No patches.\n"


def test_during_command_at_a_prompt(interactive, target):
    """LLDB lets the program run behind a prompt; not here."""
    session = interactive(target("inside"))
    gdb = session.debugger.name == "gdb"
    session.do("break deeper" if gdb else "breakpoint set -n deeper")
    session.do("run")
    text = session.do('gibbon during "wrap work" -- continue')
    assert "work(n=270)" in text and "Exception" not in text and "No registers" not in text, text
    assert "No patches." in session.do("gibbon list")


def test_a_call_that_a_detour_displaced_is_no_tail_call(debugger, target):
    """The call instruction cannot be read any more; what it calls is known all the same."""
    result = debugger.session(target("displaced"), ["break main", "run", "gibbon wrap inner -quiet -from libc.so.6", "gibbon wrap inner -quiet -from displaced", "gibbon wrap direct indirect -count", "continue", "gibbon list"])
    assert "left out" not in result[6] and re.findall(r"called (\d+) times", result[6]) == ["0", "10", "5", "5"], result[6]
