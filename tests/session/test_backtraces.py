"""`-backtrace` against the debugger's own `bt` at the same place: inlined functions, signals, threads, code without tables."""
import os
import re
import subprocess

import harness
import pytest


def own_frames(result, step):
    """(function, file, line, is it known to be inlined) of what the debugger shows, without the innermost frame."""
    text, frames = result[step], []
    for line in text.split("\n"):
        if result.debugger.name == "gdb":
            found = re.match(r"#(\d+) +(?:0x[0-9a-f]+ in )?(.*?) \(.*?(?: at (\S+):(\d+))?$", line)
            inlined = None  # it does not say
        else:
            found = re.match(r"\W*frame #(\d+): 0x[0-9a-f]+ [^`]+`(?:\S* \[inlined\] )?(.*?)(?: at (\S+?):(\d+)(?::\d+)?)?(?: \[opt\])?$", line)
            inlined = found and "[inlined]" in line
        if found and int(found[1]) and not found[2].startswith("gibbon:"):  # a thunk
            frames.append((bare(found[2]), found[3] and found[3].rsplit("/", 1)[-1], found[4] and int(found[4]), inlined))
    return frames


def bare(name):
    """The last component, without parameters, template arguments and offset."""
    name = re.sub(r"\(anonymous namespace\)::", "", name)
    name = re.split(r"\(|\+0x| \+ \d", name)[0]
    while "<" in name:
        name = re.sub(r"<[^<>]*>", "", name)
    return name.split(" ")[-1].split("::")[-1]


def logged_frames(text, function):
    """The same of the first logged call."""
    found = re.search(r"^gibbon: \[\d+\] \S+ (?:\S+!)?%s\(.*\n((?:    #.*\n)+)" % re.escape(function), text, re.M)
    assert found, text
    frames = []
    for number, line in enumerate(found[1].splitlines()):
        one = re.fullmatch(r"    #(\d+) (.*?)(?: \((\S+?)(?::(\d+))?\))?( \[inlined\])?", line)
        assert one and int(one[1]) == number, line
        frames.append((bare(one[2]), one[4] and one[3], one[4] and int(one[4]), bool(one[5])))
    return frames


def compare(debugger, program, function, least, args=(), depth=40, exact=True):
    """Not exact: functions may have several names; and of two lines of one instruction GDB takes one that begins a statement."""
    result = debugger.session(program, ["break main", "run", "gibbon wrap %s -backtrace %d" % (function, depth), "break " + function, "continue", "backtrace",
                                        ("delete", "breakpoint delete -f"), "continue"], args=args)
    own, ours = own_frames(result, 5), logged_frames(result.text, function)
    until = 1 + next(i for i, frame in enumerate(own) if frame[0] == "main")
    for number, (mine, debuggers) in enumerate(zip(ours[:until], own[:until])):
        called_inlined = number and ours[number - 1][3]
        if exact or called_inlined or debugger.name == "lldb":
            assert mine[not exact:3] == debuggers[not exact:3], result.text
        assert debuggers[3] in (None, mine[3]), result.text
    assert len(ours) >= until and sum(frame[3] for frame in ours[:until]) >= least, result.text
    return ours, result


@pytest.mark.parametrize("cc", ["gcc", "clang"])
@pytest.mark.parametrize("opt", ["-O0", "-O2"])
def test_inlined_functions(debugger, target, cc, opt):
    ours, _ = compare(debugger, target("inlined", cc=cc, opt=opt), "leaf", 2)
    assert [f[0] for f in ours[:4]] == ["inner", "middle", "outer", "main"] and [f[3] for f in ours[:4]] == [True, True, False, False]


@pytest.mark.parametrize("cc", ["gcc", "clang"])
@pytest.mark.parametrize("flags", [(), ("-gdwarf-4",), ("-gsplit-dwarf",)])
def test_inlined_members_and_templates(debugger, target, cc, flags):
    ours, result = compare(debugger, target("inlined.cc", cc=cc, opt="-O2", flags=flags), "leaf", 4)
    assert [f[0] for f in ours[:5]] == ["feed", "visit", "hidden", "opened", "main"]
    assert re.search(r"#0 zoo::Cage::feed\(\) \(inlined.cc:\d+\) \[inlined\]\n", result.text)
    assert re.search(r"#2 \(anonymous namespace\)::hidden(\(zoo::Cage&\))? \(inlined.cc:\d+\) \[inlined\]\n", result.text)
    assert re.search(r"#3 park::opened(\(zoo::Cage&\))? \(inlined.cc:\d+\) \[inlined\]\n", result.text)


def test_in_libc(debugger, target):
    """With Debian's libc6-dbg: a buffer that printf allocates."""
    build_id = re.search(r"Build ID: (\w\w)(\w+)", subprocess.run(["readelf", "-n", "/lib/x86_64-linux-gnu/libc.so.6"], capture_output=True, text=True).stdout)
    if not build_id or not os.path.exists("/usr/lib/debug/.build-id/%s/%s.debug" % build_id.groups()):
        pytest.skip("libc6-dbg is not installed")
    ours, _ = compare(debugger, target("inlined"), "_IO_file_doallocate", 1, exact=False)
    assert [f[0] for f in ours[:2]] == ["__GI__IO_doallocbuf", "_IO_doallocbuf"]


def test_without_debug_information(debugger, target):
    program = target("inlined", opt="-O2", debug=False)
    result = debugger.session(program, ["gibbon wrap leaf -backtrace", "run"])
    assert [f[0] for f in logged_frames(result.text, "leaf")[:2]] == ["outer", "main"] and "inlined]" not in result.text


def test_json(debugger, target, tmp_path):
    log = tmp_path / "log"
    debugger.session(target("inlined", opt="-O2"), ["gibbon wrap leaf -quiet -backtrace", "run", "gibbon log -save %s -format jsonl" % log])
    calls = harness.jsonl(log)
    assert len(calls) == 3
    for call, names in zip(calls, (["inner", "middle", "outer", "main"], ["inner", "middle", "outer", "main"], ["inner", "main"])):
        frames, depth = call["backtrace"], len(names)
        assert [re.split(r"\+| ", f["symbol"])[0] for f in frames[:depth]] == names
        inlined = [f.get("inlined", False) for f in frames]
        assert inlined == [n in ("inner", "middle") for n in names] + [False] * (len(frames) - depth)
        assert len({f["address"] for f in frames[:depth - 1 if "outer" in names else depth]}) == 1
        assert call["caller"]["symbol"] == frames[0]["symbol"] and call["caller"]["inlined"] is True
        around = frames[inlined.index(False)]
        assert call["caller"]["in"] == around["symbol"] and call["caller"]["address"] == around["address"]


PASS = ("handle SIGUSR1 SIGILL nostop noprint pass", "process handle SIGUSR1 SIGILL -s false -n false -p true")
NO_TABLES = "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_frame_pointers_without_tables(debugger, target, cc):
    program = target("inlined", cc=cc, opt="-O2", flags=NO_TABLES + ("-fno-omit-frame-pointer",))
    result = debugger.session(program, ["gibbon wrap leaf -backtrace", "run"])
    assert [f[0] for f in logged_frames(result.text, "leaf")[:4]] == ["inner", "middle", "outer", "main"]


def test_neither_tables_nor_frame_pointers(debugger, target):
    """The caller is known; what follows, if anything, are frames there are."""
    result = debugger.session(target("inlined", opt="-O2", flags=NO_TABLES + ("-fomit-frame-pointer",)), ["gibbon wrap leaf -backtrace", "run"])
    names = [f[0] for f in logged_frames(result.text, "leaf")]
    assert names[:3] == ["inner", "middle", "outer"] and set(names[3:]) <= {"main", "__libc_start_call_main", "__libc_start_main", "_start"}, result.text
    assert result.out == "sum 23\n"


@pytest.mark.parametrize("opt", ["-O0", "-O2"])
def test_signals_and_threads(debugger, target, opt):
    result = debugger.session(target("interrupted", opt=opt), ["break main", "run", PASS, "gibbon wrap leaf -backtrace", "continue"])
    calls = re.findall(r"^gibbon: \[\d+\] \S+ leaf\(n=(\d+)\).*\n((?:    #.*\n)+)", result.text, re.M)
    frames = {int(number): [re.sub(r"^ *#\d+ ", "", line) for line in text.splitlines()] for number, text in calls}
    user, trap, thread = frames[10], frames[4], frames[1]
    assert user[0].startswith("on_signal+") and user[1] == "<signal handler called>" and any(f.startswith("interrupted+") for f in user[2:6])
    assert [re.split(r"\+| ", f)[0] for f in (trap[0], *trap[2:5])] == ["on_trap", "traps", "interrupted", "main"] and trap[1] == user[1]
    assert re.match(r"traps \(", trap[2])  # at its first instruction: not what lies before it
    assert thread[0].startswith("run+") and len(thread) == 3  # start_thread, clone


def test_stripped_static_program(debugger, target):
    named = target("interrupted", opt="-O1", debug=False, static=True)
    program = target("interrupted", opt="-O1", debug=False, static=True, strip=True)
    symbols = {line.split()[2]: int(line.split()[0], 16) for line in subprocess.run(["nm", named], capture_output=True, text=True).stdout.splitlines() if len(line.split()) == 3}
    result = debugger.session(program, ["starti", PASS, "gibbon wrap *0x%x -backtrace" % symbols["leaf"], "continue"])
    first = re.search(r"^gibbon: .*\n((?:    #.*\n)+)", result.text[result.text.index("*0x%x(" % symbols["leaf"]) - 60:], re.M)[1].splitlines()
    assert first[1] == "    #1 <signal handler called>"
    inside = [int(re.match(r" +#\d+ 0x([0-9a-f]+) \(interrupted\+0x", line)[1], 16) for line in first[:1] + first[2:]]
    starts = sorted(symbols.values())
    around = [max(s for s in starts if s < address) for address in inside]
    assert symbols["on_signal"] in around[:1] and symbols["interrupted"] in around and symbols["main"] in around


def test_depth(debugger, target):
    """Frames of the stack are counted; copies come in addition."""
    result = debugger.session(target("inlined", opt="-O2"), ["gibbon wrap leaf -backtrace 1", "run"])
    assert re.search(r"leaf\(n=2\).*\n    #0 inner .*\n    #1 middle .*\n    #2 outer.*\n    \(more frames follow\)\n", result.text)
