"""Patches made before the program runs see the first call in any constructor."""
import re

import pytest

EARLY = ['getenv(name="FROM_CONSTRUCTOR")', 'getenv(name="FROM_MAIN")']


@pytest.fixture
def early(target):
    library = target("libearly", shared=True, name="libearly.so")
    folder = library.rsplit("/", 1)[0]
    return target("early", flags=("-L" + folder, "-learly", "-Wl,-rpath," + folder))


def names(result, function="getenv"):
    return [body.split(" = ")[0] for body in result.bodies(function)]


def test_first_call_in_a_constructor(debugger, early):
    result = debugger.session(early, ["gibbon wrap getenv", "run"])
    assert names(result)[-2:] == EARLY and result.out == "1 early, not set\n"


def test_own_function_in_a_constructor(debugger, early):
    result = debugger.session(early, ["gibbon wrap early_work", "run"])
    assert result.bodies("early_work") == ["early_work(n=11) = 12"]


def test_constructor_itself(debugger, early):
    result = debugger.session(early, ["gibbon wrap libearly.so?!begin", "run"])
    assert result.bodies("begin") == ["begin()"]


def test_run_again(debugger, early):
    result = debugger.session(early, ["gibbon wrap getenv", "run", "run", "gibbon list", "gibbon log"])
    assert names(result)[-2:] == EARLY and len(re.findall("FROM_CONSTRUCTOR", result[1])) == 1 and len(re.findall("FROM_CONSTRUCTOR", result[2])) == 1
    assert len({line.split("]")[0] for line in result.log}) == 2, "two processes"
    assert len(re.findall("FROM_MAIN", result[4])) == 2, "the log has both runs"


def test_run_again_while_it_runs(debugger, early):
    """Without a kill first: GDB asks, and kills; LLDB does too."""
    result = debugger.session(early, ["gibbon wrap getenv", "break main", "run", "run", "continue"])
    logged = "\n".join(result.log)
    assert len(re.findall("FROM_CONSTRUCTOR", logged)) == 2 and len(re.findall("FROM_MAIN", logged)) == 1


def test_library_loaded_later(debugger, target):
    library = target("libplugin", shared=True, name="libplugin.so")
    result = debugger.session(target("loader"), ["gibbon wrap libplugin.so?!plugin_work", "run", "gibbon list"], args=[library])
    each = ["plugin_work(n=7) = 8", "plugin_work(n=%d) = %d"]
    assert result.bodies("plugin_work") == [each[0], each[1] % (100, 101), each[0], each[1] % (200, 201)]
    assert result.out == "101\n201\nover\n"
    assert re.search(r"^1 +wrap +keep y +<PENDING> +libplugin.so\?!plugin_work$", result[2], re.M)
    assert "called 4 times, 0 threads inside" in result[2]


MEDDLING = pytest.mark.parametrize("action", [("delete", "breakpoint delete"), ("delete", "breakpoint delete -f"), ("disable", "breakpoint disable"), ("delete 1", "breakpoint delete 1"),
                                              ("delete 1-2", "breakpoint delete 1-2"), ("disable 1", "breakpoint disable 1")], ids=lambda a: a[1])
# A thread renews it; nobody types as fast as the next action comes here. `lldb.target` is None once LLDB has called a script for that thread.
RENEWED = ("echo", "script [__import__('time').sleep(0.1) for i in range(100) if not any(b.IsEnabled() and b.MatchesName('gibbon') and b.GetNumLocations() for b in lldb.SBDebugger.FindDebuggerWithID(1).GetSelectedTarget().breakpoints)]")


@MEDDLING
def test_breakpoints_deleted_before_the_start(debugger, early, action):
    """LLDB lets the user at the number of Gibbon's hidden breakpoint; a library's constructor must be seen all the same."""
    result = debugger.session(early, ["gibbon wrap early_work getenv", "break fflush", action, RENEWED, "run"])
    assert names(result) == EARLY, result.text


@MEDDLING
def test_breakpoints_deleted_before_a_library_comes(debugger, target, action):
    library = target("libplugin", shared=True, name="libplugin.so")
    result = debugger.session(target("loader"), ["gibbon wrap libplugin.so?!plugin_work", "break main", "run", action, RENEWED, "continue"], args=[library])
    assert len(result.calls("plugin_work")) == 4 and result.out == "101\n201\nover\n", result.text


def test_numbers_of_breakpoints_are_the_users(debugger, target):
    """GDB's own internal ones have none; LLDB has no such for scripts: one number a target, however often it runs."""
    result = debugger.session(target("calls"), ["gibbon wrap memcpy getenv strlen work", "run", "run", "break between", "run"], args=["2"])
    assert re.search(r"^Breakpoint (\d+)", result[3], re.M).group(1) == ("1" if debugger.name == "gdb" else "2"), result.text


@pytest.mark.parametrize("static", [False, True])
def test_names_that_are_not_utf8(debugger, target, static):
    program = target("calls", static=static, name="c\udcffll\udce9s")
    result = debugger.session(program, ["gibbon wrap work -pending", "run"], args=["3", "n\udcfft"])
    assert len(result.calls("work")) == 3 and result.out == "3 calls, last 3\n", result.text


def test_another_target(debugger, target, early):
    """In LLDB the hidden breakpoint and the stop hook belong to a target; a new one has the number of the old one."""
    result = debugger.session(target("calls"), ["gibbon wrap work getenv", "run", (None, "target delete 0"), ("file " + early, "target create " + early), "gibbon list", "break fflush", "run"],
                              args=["2"])
    assert result.calls("work") and "FROM_CONSTRUCTOR" in "\n".join(result.log), result.text


def test_pending_while_it_runs_and_again_after_unload(debugger, target):
    library = target("libplugin", shared=True, name="libplugin.so")
    result = debugger.session(target("loader"), ["break unloaded", "break loaded", "break main", "run", "gibbon wrap plugin_work -pending", "continue", "gibbon list",
                                                 "continue", "gibbon list", "continue", "gibbon list", "continue", "continue"], args=[library])
    assert re.search(r"^Patch 1: wrap plugin_work <PENDING>\.$", result[4], re.M)
    assert re.search(r"^1 +wrap +keep y +0x[0-9a-f]{16} plugin_work in libplugin\.so", result[6], re.M), result[6]
    assert re.search(r"^1 +wrap +keep y +<PENDING> +plugin_work", result[8], re.M), "after dlclose: " + result[8]
    assert re.search(r"^1 +wrap +keep y +0x[0-9a-f]{16} plugin_work in libplugin\.so", result[10], re.M), result[10]
    assert len(result.calls("plugin_work")) == 4 and result.out == "101\n201\nover\n"


def test_optional_module_is_applied_at_once_when_it_is_there(debugger, early):
    result = debugger.session(early, ["break main", "run", "gibbon wrap libearly.so?!early_work", "gibbon wrap libc.so.6?!getenv", "continue"])
    assert re.search(r"at 0x[0-9a-f]{16} in libearly\.so\.$", result[2], re.M) and re.search(r"in libc\.so\.6\.$", result[3], re.M)
    assert names(result) == EARLY[1:]


def test_start_through_exec(debugger, early):
    """env executes the program: the patch is for the new image as well."""
    result = debugger.session("/usr/bin/env", ["gibbon wrap libearly.so?!early_work", "run", ("", "continue"), "gibbon list"], args=[early])
    assert result.out == "1 early, not set\n"
    assert result.bodies("early_work") == ["early_work(n=11) = 12"]


def test_exec_is_not_over_when_the_debugger_tells_of_it(debugger, early):
    """The stop is in the middle of the system call, whose result would come over what is put into rax there; and addresses of the old image are nobody's now."""
    result = debugger.session("/usr/bin/env", ["gibbon wrap _exit -pending", "run", ("", "continue"), "gibbon list"], args=[early])
    assert result.out == "1 early, not set\n"
    assert "_exit(status=0)" in result.text and "called 1 time" in result[3], result.text
    assert "cannot be sized" not in result.text and "warning" not in result.text and "error" not in result.text, result.text


def test_functions_of_the_loader_itself(debugger, early):
    """Code of ld.so runs before thread-local storage is set up."""
    result = debugger.session(early, ["starti", "gibbon wrap ld-linux-x86-64.so.2!_dl_map_object -count", "continue", "gibbon stats"])
    assert "Patch 1" in result[1], result[1] + "libc6-dbg names it"
    assert result.out == "1 early, not set\n"


def test_function_used_by_the_loader(debugger, early):
    result = debugger.session(early, ["starti", "gibbon wrap *strlen* *memcpy* strcmp -quiet -pending", "continue"])
    assert result.out == "1 early, not set\n"
