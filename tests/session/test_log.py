"""The log: complete, right, safe to print, there while the program runs."""
import json
import os
import re
import select
import subprocess
import time

import pytest
from harness import LOG, environment, jsonl, kill_session

MANY = 100000


def test_a_name_that_two_modules_have(debugger, target):
    """The program's own getenv and libc's: the line says which. As long as one of them is patched, nothing needs to be said."""
    program = target("owngetenv")
    result = debugger.session(program, ["gibbon wrap owngetenv!getenv", "run", "gibbon wrap libc.so.6?!getenv", "gibbon delete 1", "gibbon wrap getenv", "run", "gibbon log -last 3 -format jsonl"])
    assert result.bodies("getenv")[0] == 'getenv(name="MINE") = 0x%s "mine"' % re.search(r"getenv.* = 0x(\w+)", result.text).group(1), result.text
    assert re.search(r' owngetenv!getenv\(name="MINE"\) = 0x[0-9a-f]+ "mine"', result[5]) and re.search(r' libc.so.6!getenv\(name="GIBBON_NOT_SET"\) = NULL', result[5]), result[5]
    assert '"function":"getenv","module":"libc.so.6"' in result[6] and '"function":"getenv","module":"owngetenv"' in result[6]


def test_every_one_of_many_calls(debugger, target, tmp_path):
    log = tmp_path / "log.jsonl"
    result = debugger.session(target("calls", opt="-O2"), ["gibbon wrap work -quiet -prototype 'long work(int i, unsigned long twice)'", "run", "gibbon stats",
                                                            "gibbon log -save %s -format jsonl" % log], args=[str(MANY)], timeout=120)
    assert result.log == [] and "lost" not in result.text
    assert re.search(r"^1 +%d +0 .*  work$" % MANY, result[2], re.M)
    assert "Saved %d calls to %s." % (MANY, log) in result[3]
    calls = jsonl(log)
    assert len(calls) == MANY
    last = -1.0
    for i, call in enumerate(calls):
        assert (call["type"], call["function"], call["patch"]) == ("call", "work", 1)
        assert call["arguments"] == {"i": i, "twice": 2 * i}
        assert call["result"] == (-(i + 1) if i % 2 else i + 1)
        assert call["time"] >= last and call["duration"] >= 0
        last = call["time"]


def test_every_printed_line(debugger, target):
    """Printed, not only saved: a full pipe must not lose one."""
    result = debugger.session(target("calls", opt="-O2"), ["gibbon wrap work", "run"], args=["20000"], timeout=120)
    numbers = [int(re.search(r"\(i=(\d+),", line).group(1)) for line in result.calls("work")]
    assert numbers == list(range(20000))


def test_small_ring(debugger, target, tmp_path):
    log = tmp_path / "log.jsonl"
    result = debugger.session(target("calls", opt="-O2"), ["gibbon set ring-size 128K", "gibbon wrap work -quiet", "run", "gibbon log -save %s -format jsonl" % log], args=["50000"])
    calls = jsonl(log)
    assert [call["arguments"]["i"] for call in calls if call["type"] == "call"] == list(range(50000)), result.text


def test_overwriting_counts_what_is_lost(debugger, target, tmp_path):
    """With `overflow overwrite` records may be lost, but recorded and lost ones add up."""
    log = tmp_path / "log.jsonl"
    result = debugger.session(target("calls", opt="-O2"), ["gibbon set ring-size 128K", "gibbon set overflow overwrite", "gibbon wrap work -quiet", "run", "gibbon stats",
                                                           "gibbon log -save %s -format jsonl" % log], args=["300000"])
    entries = jsonl(log)
    calls = [entry for entry in entries if entry["type"] == "call"]
    lost = sum(entry["lost"] for entry in entries if entry["type"] == "lost")
    assert len(calls) + lost == 300000
    numbers = [call["arguments"]["i"] for call in calls]
    assert numbers == sorted(set(numbers)) and result.out.startswith("300000 calls")
    assert re.search(r"^1 +300000 ", result[4], re.M)


def test_escapes_never_reach_the_terminal(debugger, target, tmp_path):
    log = tmp_path / "log.jsonl"
    result = debugger.session(target("escapes"), ["gibbon wrap say", "run", "gibbon log", "gibbon log -save %s -format jsonl" % log])
    for text in (result.text, log.read_bytes().decode("utf-8", "surrogateescape")):
        bad = [c for c in text if (ord(c) < 32 and c not in "\n\t") or 0x7f <= ord(c) < 0xa0 or ord(c) in (0x202e, 0x2028) or 0xdc80 <= ord(c) <= 0xdcff]
        assert bad == [], bad
    said = [re.fullmatch(r"say\(what=(.*)\) = 1", body).group(1) for body in result.bodies("say")]
    said = said[:len(said) // 2]
    assert said[0] == '"plain"'
    assert said[1] == r'"\33[31mred\0330;title\a"' or said[1] == r'"\33[31mred\33]0;title\a"', said[1]
    assert said[2] == r'"\2332J"' and said[3] == r'"\302\2332J"'
    assert said[4] == r'"tab\tline\nquote\"back\\"'
    assert said[5] == '"grüß €"' and said[6] == r'"bad \377\376 utf \303"'
    assert said[7] == r'"\342\200\256reversed"' and said[8] == '""'
    assert re.fullmatch(r'"x+"\.\.\.', said[9]) and len(said[9]) < 1000
    assert said[10] == "NULL" and said[11] == "0x8" and said[12] == "0x8000000000000000"
    assert said[13] == '"end"' and said[14] == '"cut"...' and said[15] == '"last"'
    assert result.out == "done\n"
    calls = jsonl(log)
    assert calls[1]["arguments"]["what"] == "\033[31mred\033]0;title\007" and calls[5]["arguments"]["what"] == "grüß €"


@pytest.mark.parametrize("limit", [1, 5, 4096])
def test_string_limit(debugger, target, limit):
    result = debugger.session(target("escapes"), ["gibbon set string-limit %d" % limit, "gibbon wrap say", "run"])
    said = [re.fullmatch(r"say\(what=(.*)\) = 1", body).group(1) for body in result.bodies("say")]
    assert said[9] == '"%s"...' % ("x" * limit)
    assert said[0] == {1: '"p"...', 5: '"plain"', 4096: '"plain"'}[limit]
    assert said[8] == '""'


def test_string_limit_changes_while_it_runs(debugger, target):
    result = debugger.session(target("escapes"), ["break main", "run", "gibbon wrap say", "gibbon set string-limit 3000", "continue"])
    assert '"%s"...' % ("x" * 3000) in result.text and result.out == "done\n"


def test_last_clear_and_save(debugger, target, tmp_path):
    text, lines = tmp_path / "log.txt", tmp_path / "log.jsonl"
    result = debugger.session(target("calls"), ["gibbon wrap work between", "run", "gibbon log", "gibbon log -last 2", "gibbon log 2", "gibbon log -save %s" % text,
                                                "gibbon log -last 3 -format jsonl", "gibbon log 1 -last 1 -save %s -format jsonl" % lines, "gibbon log -clear", "gibbon log", "run",
                                                "gibbon log"], args=["6"])
    printed = LOG.findall(result[1])
    assert len(printed) == 7 and LOG.findall(result[2]) == printed
    assert LOG.findall(result[3]) == printed[-2:]
    assert [re.sub(r".* between", "between", line) for line in LOG.findall(result[4])] == [re.sub(r".* between", "between", line) for line in printed if "between" in line]
    assert result[5] == "Saved 7 calls to %s.\n" % text and LOG.findall(text.read_text()) == printed
    assert [json.loads(line)["function"] for line in result[6].splitlines()] == ["work"] * 3
    assert result[7] == "Saved 1 call to %s.\n" % lines and len(jsonl(lines)) == 1
    assert result[9] == "No calls recorded.\n"
    assert len(LOG.findall(result[11])) == 7


def test_follow_and_quiet(debugger, target):
    result = debugger.session(target("calls"), ["gibbon wrap work", "gibbon wrap between -quiet", "gibbon log -follow off", "run", "gibbon log", "gibbon log -follow on", "run"], args=["2"])
    assert LOG.findall(result[3]) == [] and len(LOG.findall(result[4])) == 3
    assert [re.search(r"(work|between)\(", line).group(1) for line in LOG.findall(result[6])] == ["work", "work"]


def test_times_are_never_negative(debugger, target):
    result = debugger.session(target("arguments"), ["gibbon wrap recursive main", "run"])
    assert len(result.calls("recursive")) == 6 and len(result.calls("main")) == 1
    assert not [line for line in result.log if "] -" in line], result.log


def test_times_and_durations_are_right(debugger, target, tmp_path):
    log = tmp_path / "log.jsonl"
    debugger.session("/bin/sleep", ["gibbon wrap clock_nanosleep nanosleep main -pending", "run", "gibbon log -save %s -format jsonl" % log], args=["0.3"])
    calls = [c for c in jsonl(log) if "nanosleep" in c["function"]]
    assert calls and all(0.3 <= c["duration"] < 0.6 and c["arguments"] for c in calls), calls


def test_callers_in_jsonl(debugger, target, tmp_path):
    log = tmp_path / "log.jsonl"
    debugger.session(target("calls"), ["gibbon wrap work -quiet -backtrace 3", "run", "gibbon log -save %s -format jsonl" % log], args=["2"])
    for call in jsonl(log):
        assert re.match(r"main\+0x[0-9a-f]+ \(calls\.c:\d+\)$", call["caller"]["symbol"]), call
        assert len(call["backtrace"]) == 3 and call["backtrace"][0] == call["caller"]
        assert call["backtrace"][1]["symbol"].startswith("__libc_start_call_main")


def test_backtrace_depth(debugger, target):
    result = debugger.session(target("arguments"), ["gibbon wrap recursive -backtrace 2", "run"])
    blocks = re.split(LOG, result[1])[1:]
    assert len(blocks) == 6
    for block in blocks:
        assert [int(n) for n in re.findall(r"^    #(\d+) ", block, re.M)] == [0, 1] and "(more frames follow)" in block
    assert re.search(r"#0 recursive\+0x[0-9a-f]+ \(arguments\.c:48\)", blocks[0])


def test_backtrace_in_optimised_code(debugger, target):
    """No frame pointers: call frame information has to do."""
    result = debugger.session(target("arguments", opt="-O2", debug=False), ["gibbon wrap eight -backtrace", "run"])
    frames = re.findall(r"^    #\d+ (\S+?)(?:\+0x|\s|$)", result[1], re.M)
    assert frames[:3] == ["main", "__libc_start_call_main", "__libc_start_main"] or frames[:2] == ["main", "__libc_start_call_main"], frames


@pytest.mark.parametrize("size", [None, (50, 200)], ids=["unknown size", "50 lines"])
def test_log_appears_while_the_program_runs(debugger, interactive, target, size):
    """On a terminal, long before the program ends; then Ctrl-C stops it and everything is still there."""
    session = interactive(target("server"), size=size)
    session.do("gibbon wrap tick -every 20")
    session.send("run > /dev/null" if debugger.name == "gdb" else "process launch -o /dev/null")
    first = session.expect(r'gibbon: \[\d+\] \+([\d.]+) tick\(n=\d+, what="tock"\) = \d+ <', 30)
    second = session.expect(r'gibbon: \[\d+\] \+([\d.]+) tick\(n=\d+, what="tock"\) = \d+ <', 10)
    assert float(second.group(1)) >= float(first.group(1))
    session.interrupt()
    session.expect(r"SIGINT|SIGSTOP|signal", 10)
    session.prompt(10)
    assert "called" in session.do("gibbon list")


def test_log_appears_in_batch_use(debugger, target, tmp_path):
    """A synchronous session prints calls as they come as well."""
    program = target("server")
    words = debugger.command_line(program, True)
    os.mkfifo(tmp_path / "never")
    held = os.open(tmp_path / "never", os.O_RDWR)  # an input that never comes
    debugger.stdin, debugger.out, debugger.err, debugger.args = str(tmp_path / "never"), "/dev/null", "/dev/null", []
    for action in ("gibbon wrap tick -every 50", "run"):
        words += debugger.translate(action)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, env=environment(tmp_path), start_new_session=True)
    try:
        end, seen = time.monotonic() + 20, ""
        while time.monotonic() < end and len(LOG.findall(seen)) < 2:
            if select.select([process.stdout], [], [], 0.5)[0]:
                data = os.read(process.stdout.fileno(), 65536).decode()
                assert data, "the session ended:\n" + seen
                seen += data
        assert len(LOG.findall(seen)) >= 2, "nothing was logged while the program ran:\n" + seen
        assert process.poll() is None
    finally:
        kill_session(process)
        os.close(held)


def test_lines_are_whole(debugger, target):
    """What the debugger prints and what the log prints come from two threads; neither may break the other's lines."""
    result = debugger.session(target("calls", opt="-O2"), ["gibbon wrap work", "break between", "run", "gibbon list", "continue", "gibbon list"], args=["4000"])
    broken = [line for line in result.text.split("\n") if "gibbon: [" in line[1:]]
    assert broken == []
    assert len(result.calls("work")) == 4000
    assert not [line for line in result.log if not re.search(r" = -?\d+ <[\d.]+(ns|us|ms|s)>$", line)]


def test_lines_leave_the_prompt_readable(debugger, server, interactive):
    """The prompt is there while the program runs: lines come above it, and what is typed is shown again."""
    process = server()
    session = interactive(None, {} if debugger.name == "gdb" else {"TERM": "xterm"}, (50, 200))
    session.do("attach %d" % process.pid if debugger.name == "gdb" else "process attach -p %d" % process.pid)
    session.do("gibbon wrap tick -every 100")
    session.do("continue &" if debugger.name == "gdb" else "process continue")
    os.write(session.master, b"gibb")
    for _ in range(2):
        session.expect(r"gibbon: \[\d+\] [^\n]*\n+\((gdb|lldb)\) gibb\s", 10)
    os.write(session.master, b"on list\n")
    session.expect(r"called \d+ times", 10)
    session.do("interrupt" if debugger.name == "gdb" else "process interrupt")
    session.do("detach")
