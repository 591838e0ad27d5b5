"""Debuggers that go on with a forked child in its parent's place: patches go along, and whoever is let go lives on."""
import os
import re

import pytest

from test_stop import stops

FOLLOW = ("set follow-fork-mode child", "settings set target.process.follow-fork-mode child")


def waits(debugger):
    """An action: until the program, which may have been let go, has said its last word."""
    code = "import os, time; _ = [time.sleep(0.05) for i in range(400) if not os.path.getsize(%r)]" % os.path.join(debugger.directory, "out-1")
    return "python " + code, "script " + code


def whose_text(told):
    """An action: says of the processes that look at the file whether their text is that of their files."""
    code = "import sys, subprocess; sys.path.insert(0, %r); import harness; print(sorted((int(p), bool(harness.text_differences(int(p)))) for p in subprocess.run(['pgrep', '-fx', '.*family %s'], capture_output=True, text=True).stdout.split()))" % (os.path.dirname(__file__), told)
    return "python " + code, "script " + code


@pytest.fixture
def told(tmp_path):
    return str(tmp_path / "told")


def test_patches_go_on_in_the_child(debugger, target, told):
    open(told, "w").close()
    result = debugger.session(target("family"), [FOLLOW, "gibbon stop stride", "gibbon wrap stride", "run", "backtrace", "continue", "gibbon list", "gibbon delete 1", "continue", "gibbon log", waits(debugger)], args=[told])
    for step, i in ((3, 0), (5, 1)):
        assert stops(result[step]) == [1] and re.search(r"stride ?\(who=2, i=%d\)" % i, result[step]), result.text
    assert re.search(r"#0.*\bstride\b.*\n(.*\n)*.*#\d.*\bmain\b", result[4]), result[4]
    assert re.search(r"^1 +stop +keep y +0x[0-9a-f]+ stride in family$", result[6], re.M) and not stops(result[8]), result.text
    assert "another tool" not in result.text and result.out == "child 5, 0 wrong\n", result.text
    assert len(set(re.findall(r"stride\(who=2, i=\d\) = 2\d ", result[9]))) == 4, result[9]


def test_new_patches_in_the_child(debugger, target, told):
    open(told, "w").close()
    result = debugger.session(target("family"), [FOLLOW, "gibbon stop stride if who == 2 && i == 1", "run", "gibbon wrap usleep access", "gibbon mock stride 77", "continue", "gibbon log"], args=[told])
    assert "access(" in result[6] and "stride(who=2, i=2) = 77 (mocked)" in result[6], result.text


def test_detach_restores_the_child(debugger, target, told):
    """The parent, which was let go when it forked, keeps its patches; both live on."""
    goes = ("shell touch " + told, "platform shell touch " + told)
    result = debugger.session(target("family"), [FOLLOW, "gibbon stop stride", "gibbon wrap stride", "run", "continue", "detach", whose_text(told), goes, waits(debugger)], args=[told])
    assert re.search(r"^\[\(\d+, True\), \(\d+, False\)\]$", result[6], re.M), result.text
    assert result.out == "child 5, 0 wrong\n", result.text


def test_the_child_is_followed_into_another_program(debugger, target):
    """vfork, and exec in the child; the parent goes on."""
    result = debugger.session(target("forks"), [FOLLOW, "gibbon stop /^exit$/", "run", ("", "continue"), "gibbon list", "continue", waits(debugger)], args=["vfork"])
    assert stops(result[2] + result[3]) == [1], result.text
    assert re.search(r"exit in libc\.so\.6.*\n +stopped 1 time$", result[4], re.M), result.text
    assert "another tool" not in result.text and re.match(r"parent \d+ child \d+ status 0\n", result.out), result.text


def test_both_are_kept(gdb, target, told):
    """`detach-on-fork off`: patches are where the user is."""
    open(told, "w").close()
    result = gdb.session(target("family"), ["set detach-on-fork off", FOLLOW, "gibbon stop stride", "gibbon wrap stride", "run", "inferior 1", "continue", "inferior 2", "continue", "gibbon delete 1", "continue",
                                            "gibbon list", "inferior 1", "gibbon list", "continue"], args=[told])
    for step, who, i in ((4, 2, 0), (6, 1, 0), (8, 2, 1)):
        assert stops(result[step]) == [1] and "stride (who=%d, i=%d)" % (who, i) in result[step], result.text
    for step in (11, 13):
        assert re.search(r"^2 +wrap +keep y +0x[0-9a-f]+ stride in family$", result[step], re.M), result.text
    assert "another tool" not in result.text and result.out == "child 5, 0 wrong\n", result.text


def test_one_of_both_is_detached(gdb, target, told):
    open(told, "w").close()
    result = gdb.session(target("family"), ["set detach-on-fork off", "gibbon stop stride", "run", "inferior 2", "continue", "detach", "inferior 1", "gibbon list", "continue", "gibbon delete", "continue"], args=[told])
    assert [stops(result[step]) for step in (2, 4, 8)] == [[1]] * 3, result.text
    assert re.search(r"^1 +stop +keep y +0x[0-9a-f]+ stride in family$", result[7], re.M), result.text
    assert "another tool" not in result.text and result.out == "child 5, 0 wrong\n", result.text


def test_let_go_by_a_script_and_run_again(debugger, target):
    """The engine gives it back without being asked; the next process stops all the same."""
    let_go = ("python gdb.execute('detach inferiors 1')", "script lldb.process.Detach()")
    result = debugger.session(target("calls"), ["gibbon stop work", "run", let_go, "run", "continue"], args=["2"])
    assert [stops(result[step]) for step in (1, 3, 4)] == [[1]] * 3, result.text


def test_only_stops_that_were_seen_are_counted(debugger, target, told):
    """The parent's calls would stop, were it debugged."""
    open(told, "w").close()
    result = debugger.session(target("family"), [FOLLOW, "gibbon stop stride", "run", "continue", "gibbon list"], args=[told])
    assert stops(result[2] + result[3]) == [1, 1] and re.search(r"^ +stopped 2 times$", result[4], re.M), result.text


def test_a_child_goes_on_by_the_old_way(debugger, target, told, tmp_path):
    """A package comes onto its function after the fork: it is not in the child."""
    package = tmp_path / "later.c"
    package.write_text("""#include <gibbon/package.h>
        long stride(int who, long i);
        static long mine(int who, long i);
        GIBBON_WRAP("family", stride, mine);
        static long mine(int who, long i) { return GIBBON_ORIGINAL(stride)(who, i); }
        """)
    goes = ("shell touch " + told, "platform shell touch " + told)
    result = debugger.session(target("family"), ["gibbon wrap stride -quiet", "gibbon stop libc.so.6?!usleep", "run", "gibbon load %s" % package, "gibbon delete 2", goes, "continue", "gibbon list"], args=[told])
    assert re.search(r"^3 .* mine of later\n +called 1 time", result[7], re.M) and result.out == "child 5, 0 wrong\n", result.text


def test_each_has_its_own_pass_at_an_entry(gdb, target, told):
    """What one waits with at the entry is at the same place of the other's stack, and not taken away there."""
    open(told, "w").close()
    result = gdb.session(target("family", opt="-O2", debug=False), ["set detach-on-fork off", "gibbon stop stride", "gibbon mock stride 7", "run", "inferior 2", "continue", "inferior 1", "continue", "inferior 2", "continue", "gibbon list"], args=[told])
    assert [stops(result[step]) for step in (3, 5, 7, 9)] == [[1]] * 4, result.text
    assert re.search(r"^2 +mock.*\n +called 2 times", result[10], re.M), result.text


def test_a_parent_in_vfork_is_not_stepped(gdb, target):
    """It would not stop before its child, which the debugger holds, has let it go on."""
    result = gdb.session(target("forks"), ["catch vfork", "run", "!gibbon wrap getenv", "delete 1", "break getenv", "continue", "gibbon list", "delete", "continue"], args=["vfork"])
    assert "one that waits in vfork for its child must go on first." in result[2], result.text
    assert re.match(r"parent \d+ child \d+ status 0\n", result.out), result.text
