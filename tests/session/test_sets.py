"""The sets that come with Gibbon, on programs of Debian's; and sets that are not whole."""
import re
import shutil
import subprocess

import harness
import pytest

SETS = ["tempfiles", "files", "sockets", "memory", "threads", "processes"]
PROGRAMS = {
    "sort": (["--parallel=2", "-r", "/etc/services"], "files memory threads"),
    "tar": (["-cf", "/dev/stdout", "-C", "/etc", "passwd", "group"], "files processes"),
    "sqlite3": ([":memory:", "create table t(a); insert into t values(1),(2); select sum(a), count(*) from t;"], "files memory"),
    "gcc": (["-S", "-o", "-", "-x", "c", "/dev/null"], "tempfiles processes"),
    "python3": (["-c", "import subprocess, tempfile, threading; t = threading.Thread(target=print, args=(3,)); t.start(); t.join(); "
                 "print(len(tempfile.mkdtemp()) > 3, subprocess.run(['echo', 'hi'], capture_output=True).stdout, sum(range(9)))"], "tempfiles files sockets memory threads processes"),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_real_programs_do_the_same(debugger, program):
    path = {"python3": "/usr/bin/python3"}.get(program, shutil.which(program))
    if not path:
        pytest.skip(program + " is not installed")
    args, sets = PROGRAMS[program]
    plain = subprocess.run([path, *args], stdin=subprocess.DEVNULL, capture_output=True, env=harness.environment(debugger.directory)).stdout
    result = debugger.session(path, ["gibbon set follow off"] + ["gibbon load " + name for name in sets.split()] + ["run", "gibbon list"], args=args, timeout=120)
    assert result.out == plain.decode("utf-8", "surrogateescape"), result.err
    assert re.search(r"called [1-9]", result.text) and "refused" not in result.text, result.text


@pytest.mark.parametrize("name", SETS)
def test_delete_restores(debugger, server, name):
    process = server()
    debugger.session(None, ["attach %d" % process.pid, "gibbon load " + name, "gibbon delete", "gibbon list", "detach"])
    assert harness.text_differences(process.pid) == []


def test_many_patches_are_one_line(debugger, target):
    result = debugger.session(target("results"), ["gibbon load files", "gibbon packages", "break main", "run", "gibbon packages", "gibbon packages files"])
    assert re.fullmatch(r'Package files: patches 1 to (\d+), \1 pending; "gibbon list" shows them.\n', result[0])
    assert re.search(r"^    pending   \d+ patches$", result[1], re.M) and re.search(r"^    active    \d+ patches$", result[4], re.M)
    assert len(result[1].split("\n")) < 20 and "wrap libc.so.6?!openat" in result[5]


def test_temporary_files_of_a_program(debugger):
    """The question the idea came from."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    result = debugger.session(shutil.which("gcc"), ["gibbon load tempfiles", "run"], args=["-c", "-pipe", "-x", "c", "/dev/null", "-o", "/dev/null"])
    assert "    #0 " in result.text or not result.log


@pytest.mark.parametrize("command,warning", [
    ("mock open -1 -errno EACCES", "open is patched without openat, which does the same."),
    ("mock malloc 77", "malloc is patched without free, realloc, which belong to it."),
    ("mock fork -1", "fork is patched without vfork, posix_spawn, which do the same."),
    ("replace malloc nobodys_malloc", "malloc is patched without free, realloc, which belong to it."),
    ("mock pthread_mutex_lock 0", "pthread_mutex_lock is patched without pthread_mutex_unlock, which belongs to it."),
    ("mock malloc 0 -after 100", None),  # a failure is no memory
    ("mock libmine.so?!open -1", None),
    ("wrap malloc", None),
])
def test_incoherent_sets(debugger, target, command, warning):
    result = debugger.session(target("results"), ["gibbon " + command])
    lines = result[0].strip().split("\n")
    assert lines[1:] == (["  Warning: " + warning] if warning else []), result[0]


def test_whole_sets_and_patches_that_look(debugger, target):
    """A wrap is told of functions only that the program has in its tables; glob patterns and earlier patches count."""
    program = target("patched", flags=["-lm"])
    result = debugger.session(program, ["gibbon mock openat -1", "gibbon mock open -1", "gibbon wrap open fork getppid", "gibbon mock *fork -1"])
    assert "Warning" in result[0] and "Warning" not in result[1] and "Warning" not in result[3]
    assert "Not seen" not in result[2]
    fortified = target("results", opt="-O2", flags=["-D_FORTIFY_SOURCE=2"])
    assert "  Not seen: __printf_chk, which the program uses too; printf is patched alone.\n" in debugger.session(fortified, ["gibbon wrap printf"])[0]
    # told once: at the definition, or when the function is there
    result = debugger.session(fortified, ["gibbon wrap printf", "break main", "run", "gibbon delete", "gibbon wrap printf", "continue"])
    told = [line for line in result.text.splitlines() if "__printf_chk" in line and "patched" in line]
    assert [line for line in told if "Not seen" in line] == ["  Not seen: __printf_chk, which the program uses too; printf is patched alone."] and len(told) == 2, result.text
    assert "Other functions for the same are not patched: __printf_chk (called by" in result[4]


def test_a_package_is_judged_as_a_whole(debugger, target, tmp_path):
    source = tmp_path / "both.c"
    text = '#include <gibbon/package.h>\nGIBBON_MOCK("libc.so.6", open, -1);\n'
    source.write_text(text)
    result = debugger.session(target("results"), ["gibbon load %s" % source])
    assert "Warning: open is patched without openat" in result[0]
    source.write_text(text + 'GIBBON_MOCK("libc.so.6", openat, -1);\n')
    assert "Warning" not in debugger.session(target("results"), ["gibbon load %s" % source])[0]
