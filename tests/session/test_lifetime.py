"""Attach, detach, delete, kill, quit, fork, exec, and the death of the debugger."""
import os
import re
import signal
import subprocess
import time

import pytest
from conftest import asks
from harness import INSIDE, Interactive, environment, mappings, text_differences

LOAD = "python import sys; sys.path.insert(0, %r); import inside" % os.path.dirname(INSIDE)
SAME = "python inside.text_differences()"
NONE = "text: 0 bytes of many differ"


def tracer(pid):
    with open("/proc/%d/status" % pid) as status:
        return int(re.search(r"^TracerPid:\s*(\d+)", status.read(), re.M).group(1))


def still_works(process):
    first = asks(process)
    time.sleep(0.05)
    second = asks(process)
    assert second > first, "the target stands still"


def test_attach_and_detach(debugger, server):
    process = server()
    still_works(process)
    assert text_differences(process.pid) == []
    result = debugger.session(None, ["attach %d" % process.pid, "gibbon wrap tick getenv -quiet", LOAD, SAME, "break tick", "continue", "continue", "continue",
                                     "gibbon log -last 1", ("delete", "breakpoint delete -f"), "detach"])
    assert re.search(r"^Patch 1: wrap tick at 0x[0-9a-f]{16} in server\.$", result[1], re.M), result[1]
    assert re.search(r"text: [1-9]\d* bytes of many differ", result[3]), result[3]
    assert re.search(r"(tick\(n=\d+, what=\"tock\"\)|getenv\(.*\"TICK\"\))", result[8]), result[8]
    assert text_differences(process.pid) == []
    assert tracer(process.pid) == 0
    still_works(process)
    process.stdin.close()
    assert process.wait(10) == 0


@pytest.mark.parametrize("pause", [0, 2])
def test_attach_again_in_one_session(debugger, server, pause):
    """The same process: at once, and when LLDB's detaching has been noticed."""
    process = server()
    attach = "attach %d" % process.pid
    result = debugger.session(None, [attach, "gibbon wrap tick -quiet", "break getenv", "continue", "continue", "detach", "python import time; time.sleep(%d)" % pause, attach, "gibbon list",
                                     "continue", "continue", "continue", "continue", "gibbon list", ("delete", "breakpoint delete -f"), "detach"])
    assert re.search(r"^1 +wrap +keep [yn] +0x[0-9a-f]{16} tick in server", result[8], re.M), result.text
    assert text_differences(process.pid) == []
    still_works(process)


def test_attach_to_a_stripped_program(debugger, server, target):
    process = server(target("server", debug=False, strip=True, name="bareserver"))
    result = debugger.session(None, ["attach %d" % process.pid, "gibbon wrap getenv -times 3", "break getenv", "continue", "continue", "continue", "continue",
                                     ("delete", "breakpoint delete -f"), "detach"])
    assert len(result.calls("getenv")) == 3, result.text
    assert text_differences(process.pid) == []
    still_works(process)


def test_quit_with_an_attached_process(debugger, server):
    process = server()
    result = debugger.session(None, ["attach %d" % process.pid, "gibbon wrap tick getenv poll", LOAD, SAME])
    assert re.search(r"text: [1-9]\d* bytes of many differ", result[3])
    assert text_differences(process.pid) == []
    assert tracer(process.pid) == 0
    still_works(process)


def test_nothing_is_left_mapped_that_runs(debugger, server):
    """What stays may only be memory a thread can still be in; text and breakpoints are the file's again."""
    process = server()
    before = mappings(process.pid)
    debugger.session(None, ["attach %d" % process.pid, "gibbon wrap tick", "gibbon delete 1", "detach"])
    assert text_differences(process.pid) == []
    # Two of the rings, and the arenas in reach of the program, libc and ld.so, when a thread was inside.
    assert len(mappings(process.pid)) - len(before) <= 5, mappings(process.pid)
    still_works(process)


def test_attach_again(debugger, server):
    process = server()
    for _ in range(3):
        result = debugger.session(None, ["attach %d" % process.pid, "gibbon wrap tick", "gibbon list", "detach"])
        assert re.search(r"^1 +wrap +keep y +0x[0-9a-f]{16} tick in server", result[2], re.M)
        assert text_differences(process.pid) == []
        still_works(process)


def test_definitions_outlive_detach(debugger, server):
    one, two = server(), server()
    result = debugger.session(None, ["attach %d" % one.pid, "gibbon wrap tick -quiet", "detach", "gibbon list", "attach %d" % two.pid, "gibbon list", "detach"])
    assert re.search(r"^1 +wrap +keep y +<PENDING> +tick -quiet$", result[3], re.M), result[3]
    assert re.search(r"^1 +wrap +keep y +0x[0-9a-f]{16} tick in server", result[5], re.M), result[5]
    for process in (one, two):
        assert text_differences(process.pid) == []
        still_works(process)


def test_detach_restores_before_it_lets_go(debugger, server):
    """A moment later somebody else may attach, which our own look at a process that runs would make fail."""
    process = server()
    look = "python import sys; sys.path.insert(0, %r); from harness import text_differences; print('changed:', len(text_differences(%d)))" % (os.path.dirname(INSIDE), process.pid)
    result = debugger.session(None, ["attach %d" % process.pid, "gibbon wrap tick getenv -quiet", look, "detach", look])
    assert re.search(r"^changed: [1-9]", result[2], re.M), result[2]
    assert re.search(r"^changed: 0$", result[4], re.M), result[4]
    still_works(process)


def test_detach_by_a_script(debugger, server):
    """No event tells of it, and the debugger's own state may be late."""
    process = server()
    script = "python gdb.execute('detach')" if debugger.name == "gdb" else "script lldb.process.Detach()"
    result = debugger.session(None, ["attach %d" % process.pid, "gibbon wrap tick -quiet", script, "gibbon list"])
    assert re.search(r"^1 +wrap +keep y +<PENDING> +tick -quiet$", result[3], re.M), result[3]
    assert text_differences(process.pid) == []
    still_works(process)


def test_keep_on_detach(debugger, server):
    process = server()
    debugger.session(None, ["gibbon set on-detach keep", "attach %d" % process.pid, "gibbon wrap tick", "detach"])
    assert text_differences(process.pid) != []
    still_works(process)


def test_delete_restores_text(debugger, target):
    actions = ["break main", "run", LOAD, SAME, "gibbon wrap work getenv malloc memcpy printf", SAME, "gibbon delete 2 4", SAME, "gibbon delete", SAME,
               "gibbon list", "continue"]
    result = debugger.session(target("calls"), actions, args=["9"])
    assert NONE in result[3], result[3]
    changed = [int(re.search(r"text: (\d+) bytes", result[step]).group(1)) for step in (5, 7)]
    assert 0 < changed[1] < changed[0] <= 6 * 16, changed
    assert NONE in result[9], result[9]
    assert result[10] == "No patches.\n"
    assert result.out == "9 calls, last 9\n" and result.log == []


def test_delete_while_calls_are_under_way(debugger, target):
    """A frame of the patched function is on the stack: it returns through memory that has to stay, and so do the sites that tell unwinders of it."""
    result = debugger.session(target("arguments"), ["gibbon wrap recursive", "break recursive", "run", "continue", "continue", "gibbon list", "gibbon delete 1",
                                                    ("delete", "breakpoint delete -f"), "break _exit", "continue", LOAD, SAME, "continue"])
    assert re.search(r"called \d times, 1 thread inside", result[5]), result[5]
    assert NONE in result[11]
    assert result.out.endswith("15\n"), result.out


def test_disable_and_enable(debugger, target):
    result = debugger.session(target("calls"), ["gibbon wrap work", "break between", "run", "gibbon disable 1", "gibbon list", "continue", "gibbon stats", "gibbon enable 1", "gibbon list",
                                                "run", "gibbon stats"], args=["6"])
    assert len(re.findall(r"work\(i=", result[2])) == 3 and "work(" not in result[5]
    assert re.search(r"^1 +wrap +keep n ", result[4], re.M) and re.search(r"^1 +wrap +keep y ", result[8], re.M)
    assert re.search(r"^1 +3 +0 .*  work$", result[6], re.M), result[6]
    assert len(re.findall(r"work\(i=", result[9])) == 3


def test_kill_keeps_definitions(debugger, target):
    result = debugger.session(target("calls"), ["gibbon wrap work", "break between", "run", "kill", "gibbon list", ("delete", "breakpoint delete -f"), "run", "gibbon log"], args=["4"])
    assert re.search(r"^1 +wrap +keep y +<PENDING> +work$", result[4], re.M), result[4]
    assert "called 2 times" in result[4]
    assert len(re.findall(r"work\(", result[6])) == 4 and len(re.findall(r"work\(", result[7])) == 6


def test_numbers_are_not_reused(debugger, target):
    result = debugger.session(target("calls"), ["gibbon wrap work", "gibbon wrap between", "gibbon delete 1 2", "gibbon wrap work", "gibbon list"])
    assert result[3] == "Patch 3: wrap work <PENDING>.\n"
    assert re.findall(r"^(\d+) ", result[4], re.M) == ["3"]


def test_forked_child_logs_with_its_own_pid(debugger, target, tmp_path):
    log = tmp_path / "log.jsonl"
    result = debugger.session(target("forks"), ["gibbon wrap getenv", "run", "gibbon log -save %s -format jsonl" % log])
    parent, child, status = re.fullmatch(r"parent (\d+) child (\d+) status (\d+)\n", result.out).groups()
    assert status == "7"
    from harness import jsonl
    calls = [(c["pid"], c["arguments"]["name"]) for c in jsonl(log) if "FORK" in c["arguments"]["name"] or "CHILD" in c["arguments"]["name"]]
    assert calls == [(int(parent), "BEFORE_FORK")] + [(int(child), "IN_CHILD")] * 3 + [(int(parent), "AFTER_FORK")]
    assert len([line for line in result.calls("getenv") if line.startswith("gibbon: [%s]" % child)]) == 3


@pytest.mark.parametrize("how", ["vfork", "exec"])
def test_child_that_executes(debugger, target, how):
    result = debugger.session(target("forks"), ["gibbon wrap getenv execl execve vfork fork _exit", "run", "gibbon stats"], args=[how])
    assert re.fullmatch(r"parent \d+ child \d+ status 0\n", result.out), result.out
    assert [b.split(" = ")[0] for b in result.bodies("getenv")][-1] == 'getenv(name="AFTER_FORK")'


def test_death_of_the_debugger(debugger, server):
    """SIGKILL leaves it no time to restore anything; the target goes on."""
    process = server()
    session = Interactive(debugger, None)
    try:
        session.do(debugger.words("attach %d" % process.pid))
        session.do("gibbon wrap tick getenv -quiet")
        session.send("continue")
        time.sleep(0.5)
        still_works(process)
    finally:
        os.kill(session.pid, signal.SIGKILL)
        os.waitpid(session.pid, 0)
        os.close(session.master)
    time.sleep(0.2)
    assert process.poll() is None, "the target died with its debugger"
    still_works(process)
    time.sleep(1)
    still_works(process)
    process.stdin.close()
    assert process.wait(10) == 0


def test_a_new_debugger_after_the_death_of_one(debugger, server):
    """The text is still patched by one that is dead: say so, or take it over; never write nonsense."""
    process = server()
    session = Interactive(debugger, None)
    session.do(debugger.words("attach %d" % process.pid))
    session.do("gibbon wrap tick -quiet")
    session.send("continue")
    time.sleep(0.3)
    os.kill(session.pid, signal.SIGKILL)
    os.waitpid(session.pid, 0)
    os.close(session.master)
    time.sleep(0.2)
    result = debugger.session(None, ["attach %d" % process.pid, "!gibbon wrap tick -quiet", "gibbon list", "detach"])
    assert "Patch 1" in result[1] or re.search(r"tick.*(differ|changed|patched|somebody)", result[1]), result[1]
    still_works(process)


def test_user_detach_hook_is_kept(gdb, target, tmp_path):
    script = tmp_path / "hook.gdb"
    script.write_text("define hook-detach\necho the user's hook\\n\nend\n")
    result = gdb.session(target("calls"), [("break main", ""), "run", "gibbon wrap work", "detach"], extra=["-iex", "source %s" % script])
    assert "the user's hook" in result[3], result.text


def test_a_program_full_of_signals_ends(debugger, target):
    """LLDB is stopped at _exit for the log's sake; stepping over that trap would never succeed here. The signals come as often as the debugger
    alone can take them on this machine, now."""
    program, quietly = target("alarms"), ("handle SIGALRM nostop noprint pass", None)
    for interval in ("100", "300", "1000", "3000", "10000"):
        try:
            debugger.session(program, [quietly, "run"], args=[interval], load=False, timeout=10)
            break
        except pytest.fail.Exception:
            pass
    result = debugger.session(program, [quietly, "gibbon wrap getenv -count", "run", "gibbon list"], args=[interval])
    assert result.out == "done\n"
    assert re.search(r"called [1-9]\d* times", result[3]), result[3]


def test_a_signal_that_comes_meanwhile_is_not_lost(debugger, target, server):
    """It waits for the very thread that is borrowed for the agent's system calls."""
    process = server()
    debugger.session(None, ["attach %d" % process.pid, "python import os; os.kill(%d, 10)" % process.pid, "gibbon wrap tick", "detach"])
    assert process.wait(20) == -10


def test_the_last_lines_of_a_session(debugger, target):
    """The program ends inside calls, and the debugger right after it: what the reader finds out last is shown all the same."""
    for _ in range(4):
        result = debugger.session(target("unfinished"), ["gibbon wrap outer inner", "run"])
        assert [line.split(" ", 3)[3] for line in result.log[-2:]] == ["outer(n=3) <unfinished ...>", "inner(n=3) <unfinished ...>"], result.text


def test_another_process_is_left_alone(debugger, server, target):
    """Patches are in one process at a time. What the user does with another that the debugger holds is no end of it."""
    one, two = server(), server()
    look = "python import sys; sys.path.insert(0, %r); from harness import text_differences; print('changed:', [bool(text_differences(p)) for p in (%d, %d)])" % (os.path.dirname(INSIDE), one.pid, two.pid)
    result = debugger.session(None, ["attach %d" % one.pid, "gibbon wrap tick -quiet", ("add-inferior", "target create /proc/%d/exe" % two.pid), ("inferior 2", "script pass"), "attach %d" % two.pid,
                                     "!gibbon list", "!gibbon delete 1", "detach", ("inferior 1", "target select 0"), "gibbon list", "detach", look])
    for step in (5, 6):
        assert "Process %d has the patches, and they can be in one process at a time: select that one, or let it go first." % one.pid in result[step], result.text
    assert "changed: [False, False]" in result[11], result.text
    assert re.search(r"^1 +wrap +keep y +0x[0-9a-f]{16} tick in server", result[9], re.M), result.text
    for process in (one, two):
        still_works(process)


def test_a_detach_that_fails_changes_nothing(lldb, target):
    fails = ["script lldb.debugger.HandleCommand('process detach %s')" % words for words in ("-s true", "--no-such-option", "word")]
    result = lldb.session(target("calls"), ["gibbon wrap work -quiet", "gibbon stop between", "run", *fails, "continue", "gibbon list"], args=["4"])
    assert result.text.count("error: ") == 3 and re.search(r"work -quiet\n +called 4 times", result[7]), result.text
