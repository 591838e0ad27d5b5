"""Others change what Gibbon has changed: the user by hand, libraries that go, rebuilt files, Ctrl-C, death. No crash, no lie, nothing left behind."""
import os
import re
import subprocess
import sys

import pytest
from conftest import asks
from harness import INSIDE, Gdb, Lldb, text_differences

LOAD = "python import sys; sys.path.insert(0, %r); import inside" % os.path.dirname(INSIDE)
SAME = "python inside.text_differences()"
NONE = "text: 0 bytes of many differ"
SCRIPT = {"gdb": Gdb.script, "lldb": Lldb.script}


def poke(function, offset, *data):
    """The user's own write."""
    gdb = "python gdb.selected_inferior().write_memory(int(gdb.parse_and_eval('(unsigned long) &%s')) + %d, bytes(%r))" % (function, offset, data)
    return gdb, "memory write `(unsigned long) &%s + %d` %s" % (function, offset, " ".join("0x%02x" % byte for byte in data))


def originally(debugger, program, function):
    result = debugger.session(program, ["break main", "run", ("x/5xb &%s" % function, "memory read -c 5 -s 1 -f x `(unsigned long) &%s`" % function)])
    return [int(b, 16) for b in re.findall(r"\b0x[0-9a-f]{2}\b", result[2])][:5]


# Bytes that are not ours any more.

def test_delete_of_a_detour_that_somebody_wrote_over(debugger, target):
    program = target("calls", cc="clang", opt="-O2")
    first = originally(debugger, program, "work")
    actions = ["break main", "run", "gibbon wrap work", "gibbon wrap between", poke("work", 2, 0x11), "gibbon list", "!gibbon wrap work -count", "gibbon delete", "gibbon list", "!gibbon wrap work",
               LOAD, SAME, poke("work", 0, *first), SAME, "gibbon wrap work", "continue"]
    result = debugger.session(program, actions, args=["3"])
    assert "1 no longer in place, the first: somebody has written over the first bytes of work at 0x" in result[5], result.text
    assert "written over since; delete that patch first." in result[6], result[6]
    assert re.search(r"gibbon: the first bytes of work, at 0x[0-9a-f]+, have been written over since they were patched, and are left as they are; originally they were %s\."
                     % " ".join("%02x" % b for b in first), result.text), result.text
    assert result[8] == "No patches.\n" and "another tool has patched it" in result[9], result.text
    assert re.search(r"text: [1-5] bytes of", result[11]) and NONE in result[13], result.text
    assert result.out == "3 calls, last 3\n" and len(result.calls("work")) == 3


def test_delete_of_a_detour_that_the_user_took_away(debugger, target):
    """The original bytes are there: nothing to say, nothing to do."""
    program = target("calls", cc="clang", opt="-O2")
    first = originally(debugger, program, "work")
    result = debugger.session(program, ["break main", "run", "gibbon wrap work", poke("work", 0, *first), "gibbon list", "gibbon delete", "gibbon wrap work", LOAD, "continue"], args=["3"])
    assert "1 no longer in place" in result[4] and "written over" not in result[5], result.text
    assert result.out == "3 calls, last 3\n" and len(result.calls("work")) == 3, result.text


def test_a_byte_behind_the_detour_is_the_users(debugger, target):
    """He writes what is there already into the rest of the window, and below it."""
    result = debugger.session(target("calls"), ["break main", "run", LOAD, "gibbon wrap work", ("set var *((char *) work + 6) = *((char *) work + 6)", "script pass"), "gibbon delete", SAME, "continue"], args=["3"])
    assert NONE in result[6] and result.out == "3 calls, last 3\n", result.text


def test_detach_restores_all_but_what_somebody_wrote(debugger, server, target):
    process = server()
    result = debugger.session(None, ["attach %d" % process.pid, "gibbon wrap getenv poll tick -quiet", poke("tick", 0, 0xc3), "detach", "gibbon list"])
    # In GDB the detour is behind the set-up of the frame: there the byte was never Gibbon's.
    assert debugger.name == "gdb" or ("the first bytes of tick" in result.text and "left as they are" in result.text), result.text
    different = text_differences(process.pid)
    assert 0 < len(different) <= 5 and max(different) - min(different) < 5, different


def test_text_that_differs_from_the_file(debugger, target):
    """Another tool was first: what, where, and a refusal."""
    result = debugger.session(target("calls"), ["break main", "run", poke("work", 0, 0xe9, 1, 2, 3, 4), "!gibbon wrap work", "!gibbon explain work", "gibbon list"])
    for step in (3, 4):
        assert re.search(r"work at 0x[0-9a-f]+ holds .*e9 01 02 03 04.* but calls has .*: another tool has patched it, or the file was rebuilt\.", result[step]), result[step]
    assert result[5] == "No patches.\n"


# Libraries and programs that change.

def test_a_library_that_goes_and_comes_elsewhere(debugger, target, tmp_path):
    library = target("libplugin.c", shared=True)
    program = target("reloader")
    result = debugger.session(program, ["gibbon wrap libplugin.so?!plugin_work -quiet", "break between", "run", "gibbon list", "continue", "gibbon list", "continue", "gibbon list", "continue", "gibbon stats"], args=[library])
    assert result.out == subprocess.run([program, library], capture_output=True, text=True, check=True).stdout, result.text
    places = []
    for step, calls in ((3, "called 1 time,"), (5, "called 2 times"), (7, "called 3 times")):
        assert calls in result[step], result.text
        places.append(re.search(r"(0x[0-9a-f]{16}|<PENDING>) +\S*plugin_work", result[step]).group(1))
    assert places[1] == "<PENDING>" and "<PENDING>" not in (places[0], places[2]) and places[0] != places[2], places
    assert re.search(r"^1 +204 ", result[9], re.M), result[9]


def test_the_program_is_rebuilt_while_it_runs(debugger, target, tmp_path):
    """The process goes on with the old file: patches can be made, listed and deleted; the next run has the new one."""
    program = str(tmp_path / "prog")
    source = tmp_path / "prog.c"
    text = open(os.path.join(os.path.dirname(INSIDE), "..", "programs", "calls.c")).read()

    source.write_text(text)
    subprocess.run(["gcc", "-g", "-O0", "-o", program, str(source)], check=True)
    source.with_name("new.c").write_text("__attribute__((used)) static int filler(int a) { return a * 5 + 3; }\n" + text)
    rebuild = "python import subprocess; subprocess.run(['gcc', '-g', '-O0', '-o', %r, %r], check=True)" % (program, str(source.with_name("new.c")))
    actions = ["break between", "run", "gibbon wrap work", rebuild, "gibbon list", "gibbon wrap between", "gibbon list", "gibbon delete 1", "gibbon wrap prog!work", "continue",
               ("delete", "breakpoint delete -f"), "run", "gibbon list"]
    result = debugger.session(program, actions, args=["4"])
    assert re.search(r"0x[0-9a-f]{16} work in prog\n", result[4]), result.text
    assert re.search(r"Patch 2: wrap between at 0x[0-9a-f]{16} in prog\.", result[5]), result.text
    assert re.search(r"0x[0-9a-f]{16} work in prog\n", result[6]), result.text
    assert re.search(r"Patch 3: wrap prog!work at 0x[0-9a-f]{16} in prog\.", result[8]), result.text
    assert "another tool" not in result.text and result.out == "4 calls, last -4\n", result.text
    assert len(result.calls("work")) == 2 + 4 and len(result.calls("between")) in (1, 2), result.text


def test_a_new_file_for_the_next_run(debugger, target, tmp_path):
    """`file` in GDB, another target in LLDB: the definitions are of the new program."""
    old, new = target("calls"), target("calls", opt="-O2", name="calls2")
    actions = ["gibbon wrap work", "run", "gibbon list", ("file " + new, "target create " + new), "gibbon list", "run", "gibbon list"]
    result = debugger.session(old, actions, args=["3"])
    assert result.out == "3 calls, last 3\n", result.text
    assert len(result.calls("work")) == 6 and "in calls2" not in result[2], result.text
    assert "another tool" not in result.text and "Traceback" not in result.text


def test_stand_ins_go_with_their_library(debugger, target):
    """A breakpoint of the user's in the window of a library's function that is unloaded."""
    library = target("libplugin.c", shared=True)
    actions = ["gibbon wrap libplugin.so?!plugin_work -quiet", "break between", "run", ("break *((char *) plugin_work + 1)", "breakpoint set -a '(char *)plugin_work + 1'"), "gibbon list",
               "continue", "continue", "gibbon list", ("info breakpoints", "breakpoint list"), ("delete", "breakpoint delete -f"), "continue"]
    result = debugger.session(target("reloader"), actions, args=[library])
    stand_in = re.search(r"breakpoint (\d+), on their copy, stops in its place", result.text).group(1)
    assert "plugin_work" in result[5], result.text
    assert not re.search(r"^%s[ :]" % stand_in, result[8], re.M), result.text
    assert "sum" in result.out, result.text


# Ctrl-C and death.

HOOK = """
import os, signal, sys, atexit
sys.path.insert(0, %(binding)r)
import gibbon_binding
class At:
    left, what = -1, None
    armed = False
def hooked(name, function):
    def call(*arguments):
        if At.armed and name in At.names:
            At.left -= 1
            if At.left == 0 and At.what() is not None:
                return -1
        return function(*arguments)
    return call
for name in ("_read", "_write", "_fill"):
    setattr(gibbon_binding.Engine, name, staticmethod(hooked(name, getattr(gibbon_binding.Engine, name))))
def pid():
    try:
        import gdb
        return gdb.selected_inferior().pid
    except ImportError:
        import lldb
        return lldb.debugger.GetSelectedTarget().GetProcess().GetProcessID()
def die():
    os.kill(pid(), signal.SIGKILL)
    import time
    time.sleep(0.05)
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
def fail():
    return True
def comm(thread):
    try:
        return open("/proc/self/task/" + thread + "/comm").read()
    except (FileNotFoundError, ProcessLookupError):  # it has ended since the folder was read
        return ""
def count():
    name = open("/proc/self/comm").read()
    threads = [comm(t) for t in os.listdir("/proc/self/task")]
    files = [os.readlink("/proc/self/fd/" + f) for f in os.listdir("/proc/self/fd") if os.path.lexists("/proc/self/fd/" + f)]
    print("has", threads.count(name), sum("gibbon" in f or f.endswith("/mem") for f in files), flush=True)
def arm(what, count, *names):
    At.what, At.left, At.names, At.armed = what, count, names, True
def disarm():
    At.armed = False
    print("left", At.left, flush=True)
"""


@pytest.fixture
def hooked(debugger, tmp_path):
    """A session whose debugger does something in the middle of the engine's work."""
    (tmp_path / "hook.py").write_text(HOOK % {"binding": os.path.join(os.path.dirname(SCRIPT["gdb"]), "..", "core", "python")})
    start = ["python import sys; sys.path.insert(0, %r); import hook" % str(tmp_path),
             ("source " + SCRIPT["gdb"], "command script import " + SCRIPT["lldb"])]

    def session(program, actions, **how):
        temporary = tmp_path / "temporary"
        temporary.mkdir(exist_ok=True)
        result = debugger.session(program, start + actions, load=False, env={"TMPDIR": str(temporary)}, **how)
        assert "Traceback" not in result.text and "ctypes" not in result.text, result.text
        assert os.listdir(temporary) == []
        return result
    return session


def arm(what, count, *names):
    return "python hook.arm(hook.%s, %d, *%r)" % (what, count, names)


@pytest.fixture(scope="session")
def many(tmp_path_factory):
    """A program of 4000 functions."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "many.S").write_text(".text\n" + "".join(".globl f%d\n.type f%d,@function\nf%d: push %%rbx\nmov %%edi, %%ebx\nlea %d(%%rbx), %%eax\npop %%rbx\nret\n.size f%d, .-f%d\n.p2align 4\n"
                                                        % (i, i, i, i, i, i) for i in range(4000)) + ".section .note.GNU-stack\n")
    (folder / "main.c").write_text("#include <stdio.h>\n%s\nint main(void) { long s = 0; %s printf(\"%%ld\\n\", s); return 0; }\n"
                                   % ("\n".join("int f%d(int);" % i for i in range(0, 4000, 50)), " ".join("s += f%d(%d);" % (i, i) for i in range(0, 4000, 50))))
    subprocess.run(["gcc", "-g", "-o", str(folder / "many"), str(folder / "many.S"), str(folder / "main.c")], check=True)
    return str(folder / "many")


@pytest.mark.parametrize("count", [1, 5, 15])
def test_interrupt_in_a_large_patch(hooked, many, count):
    actions = ["break main", "run", LOAD, arm("interrupt", count, "_read"), "!gibbon wrap /^f[0-9]+$/", "python hook.disarm()", "gibbon list", SAME, "gibbon wrap /^f[0-9]+$/ -count", "gibbon delete", SAME, "continue"]
    result = hooked(many, actions)
    assert "Interrupted; nothing was patched." in result[6], result.text
    assert result[8] == "No patches.\n", result.text
    assert "<MULTIPLE>, 4000 functions" in result[10] and NONE in result[12], result.text
    assert result.out == subprocess.run([many], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name,counts", [("_read", range(1, 22)), ("_write", range(1, 7))])
def test_a_failure_in_the_middle(debugger, hooked, target, name, counts):
    """A read or write that fails once: a sentence and nothing patched, or all as ever. Not a process whose exceptions are not cared for."""
    program = target("exceptions.cc", flags=["-w"])
    for count in counts:
        result = hooked(program, ["break main", "run", LOAD, arm("fail", count, name), "!gibbon wrap Shape::area", "python hook.disarm()", "gibbon list", SAME, "gibbon wrap Guard::~Guard", "gibbon list", "gibbon delete", SAME])
        assert "unwinds exceptions itself" not in result.text and "Patch" in result[10], result.text
        assert ("Patch 1: " in result[6]) != ("No patches." in result[8] and NONE in result[9]), result.text
        assert "patched by Gibbon itself" not in result.text and NONE in result[13], result.text


@pytest.mark.parametrize("names,count,command", [
    (("_read",), 1, "!gibbon wrap /^f[0-9]+$/"), (("_read",), 12, "!gibbon wrap /^f[0-9]+$/"), (("_write",), 1, "!gibbon wrap /^f[0-9]+$/"), (("_write",), 6, "!gibbon wrap /^f[0-9]+$/"),
    (("_fill",), 2, "!gibbon wrap /^f[0-9]+$/"), (("_read",), 2, "gibbon list"), (("_fill",), 1, "gibbon list"), (("_read",), 1, "!gibbon delete"), (("_write",), 2, "!gibbon delete"), (("_fill",), 1, "!stepi")])
def test_killed_in_the_middle(debugger, hooked, many, names, count, command):
    """By somebody else, while the engine works. The next run is as if nothing had been."""
    command = command if command != "!stepi" else ("stepi", "script lldb.debugger.HandleCommand('thread step-inst')")
    actions = ["break main", "run", "gibbon wrap f50 f100", arm("die", count, *names), command, "python hook.disarm()", ("python pass", "script import time; time.sleep(0.3)"), "!gibbon list",
               ("python gdb.selected_inferior().pid and gdb.execute('kill')", "script p = lldb.debugger.GetSelectedTarget().GetProcess(); p.IsValid() and p.Kill()"),
               "gibbon delete", "gibbon wrap f50 f100 f150", ("delete", "breakpoint delete -f"), "run", "gibbon list"]
    result = hooked(many, actions)
    assert "Traceback" not in result.text
    assert result.out == subprocess.run([many], capture_output=True, text=True, check=True).stdout, result.text
    assert len(result.log) == 3 and len(re.findall("called 1 time", result[15])) == 3, result.text


def test_nothing_is_left_behind(debugger, hooked, target):
    """Files, descriptors and threads of the debugger: not more with each process. One of LLDB's own comes and goes."""
    actions = ["break between", "gibbon wrap work -quiet"]
    for _ in range(6):
        actions += ["run", "kill", "gibbon list", "python hook.count()"]
    result = hooked(target("calls"), actions, args=["3"])
    found = [(int(threads), int(files)) for threads, files in re.findall(r"^has (\d+) (\d+)$", result.text, re.M)]
    assert len(found) == 6 and found[5][0] <= found[0][0] + 1 and found[5][1] <= found[0][1], result.text


def test_settings_while_the_program_runs(debugger, interactive, server):
    process = server()
    session = interactive(None)
    session.do(debugger.words("attach %d" % process.pid))
    session.do("gibbon wrap tick -quiet")
    session.do("continue &" if debugger.name == "gdb" else "continue")
    for command in ("gibbon set string-limit 64", "gibbon set overflow overwrite", "gibbon set follow off", "gibbon show", "gibbon list", "gibbon stats", "gibbon disable 1", "gibbon enable 1", "gibbon log -last 1"):
        text = session.do(command)
        assert "Traceback" not in text and "rror" not in text.replace("overflow", ""), text
    assert re.search("string-limit +64 ", session.do("gibbon show string-limit"))
    for command in ("gibbon delete 1", "gibbon wrap getenv"):
        assert "The program is running; interrupt it first (Ctrl-C)." in session.do(command)
    first = asks(process)
    assert asks(process) >= first
    list_one, list_two = (int(re.search(r"called (\d+) times", session.do("gibbon list")).group(1)) for _ in range(2))
    assert list_two >= list_one > 0


def test_enable_while_the_program_runs(debugger, interactive, server):
    """Also where the debugger has had a breakpoint in Gibbon's memory, which is then the target's own copy: LLDB cannot write there now."""
    process = server()
    session = interactive(None)
    gdb = debugger.name == "gdb"
    session.do(debugger.words("attach %d" % process.pid))
    session.do("gibbon wrap tick -quiet")
    session.do("break *'gibbon:tick'" if gdb else "script t = lldb.debugger.GetSelectedTarget(); t.BreakpointCreateByAddress(t.FindSymbols('gibbon:tick')[0].GetSymbol().GetStartAddress().GetLoadAddress(t))")
    session.send("continue")
    session.expect("Breakpoint 1, " if gdb else "stop reason = breakpoint")
    if gdb:
        session.prompt()
    session.do("delete" if gdb else "breakpoint delete -f")
    session.do("gibbon disable 1")
    session.do("continue &" if gdb else "continue")
    for on in True, False, True:
        session.do("gibbon %s 1" % ("enable" if on else "disable"))
        asks(process), asks(process)  # the second answer comes behind a whole tick
        first = int(re.search(r"called (\d+) times?", session.do("gibbon list")).group(1))
        asks(process), asks(process)  # the second answer comes behind a whole tick
        second = int(re.search(r"called (\d+) times?", session.do("gibbon list")).group(1))
        assert (second > first) == on


# Moving on across a patched function.

STEP = ("step", "thread step-in")
NEXT = ("next", "thread step-over")
FINISH = ("finish", "thread step-out")


@pytest.mark.parametrize("cc,opt", [("gcc", "-O0"), ("clang", "-O2")])
@pytest.mark.parametrize("way", [
    [NEXT] * 6, [STEP] * 12, [FINISH, NEXT, NEXT, NEXT], [("stepi", "thread step-inst")] * 80, [("up", "frame select -r 1"), FINISH, NEXT], [("until", "thread step-over")] * 5,
    [("advance between", "thread until -f 0 1"), NEXT], [("nexti", "thread step-inst-over")] * 40], ids=["next", "step", "finish", "stepi", "up", "until", "advance", "nexti"])
def test_moving_on_across_a_patched_function(debugger, target, cc, opt, way):
    """From inside a patched function and from its caller; the program comes to its end as ever."""
    program = target("saves", cc=cc, opt=opt)
    result = debugger.session(program, ["gibbon wrap work -quiet", "break work", "run", ("delete", "breakpoint delete -f")] +
                              [(gdb, "script lldb.debugger.HandleCommand(%r)" % lldb) for gdb, lldb in way] + [("python gdb.selected_inferior().pid and gdb.execute('continue')",
                               "script lldb.debugger.GetSelectedTarget().GetProcess().GetState() == lldb.eStateStopped and lldb.debugger.HandleCommand('continue')")], args=["3"])
    assert result.out == "3 calls, last 3\n", result.text
    assert not re.search("SIGSEGV|SIGILL|SIGTRAP|SIGBUS", result.text), result.text


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_return_from_a_patched_function(debugger, target, cc):
    """It returns into the thunk, which logs what the caller gets."""
    result = debugger.session(target("saves", cc=cc), ["gibbon wrap work", "break between", "run", ("up", "frame select -r 1"), ("return (long) 77", "thread return (long)77"), ("delete", "breakpoint delete -f"), "continue"], args=["1"])
    assert result.out == "1 calls, last 77\n", result.text
    assert re.search(r"work\(i=0, twice=0\) = 77$", result.bodies("work")[0]), result.text


# A debugger that has no file descriptor left.

def starved(command):
    """An action: a gibbon command while the debugger can open nothing."""
    code = "import os, resource; n = resource.RLIMIT_NOFILE; old = resource.getrlimit(n); resource.setrlimit(n, (0, old[1])); %s; resource.setrlimit(n, old)"
    return "python " + code % ("gdb.gibbon_front_end.engine.command(%r, False)" % command), "script " + code % ("lldb.debugger.HandleCommand('gibbon %s')" % command)


def test_a_process_that_cannot_be_looked_at_has_not_ended(debugger, target):
    result = debugger.session(target("calls"), ["gibbon wrap work -quiet", "gibbon stop between", "run", starved("list"), "gibbon list", "continue", "gibbon list"], args=["3"])
    for step in (3, 4):
        assert re.search(r"^1 +wrap +keep y +0x[0-9a-f]+ work in calls -quiet$", result[step], re.M), result.text
    assert "another tool" not in result.text and re.search(r"^        called 3 times", result[6], re.M), result.text
    assert result.out == "3 calls, last 3\n", result.text
