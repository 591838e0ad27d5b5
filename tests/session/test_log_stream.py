"""gibbon log -save FILE -follow on: a file that grows with the calls."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from conftest import asks
from harness import LOG, Interactive, environment, jsonl, kill_session

MILLION = 1000000


def test_a_million_calls_followed_live(debugger, target, tmp_path):
    """None lost, each once, in order; while the program runs, in a ring that holds few of them."""
    log = tmp_path / "log.jsonl"
    result = debugger.session(target("calls", opt="-O2"), ["gibbon set follow off", "gibbon wrap work", "gibbon log -save %s -format jsonl -follow on" % log, "run", "gibbon log -last 1",
                                                           "gibbon log -save %s -follow off" % log, "gibbon stats"], args=[str(MILLION)], timeout=180)
    assert "Calls are written to %s as they come" % log in result[2] and LOG.findall(result[3]) == []
    assert "Calls are written to %s as they come (jsonl, %d so far)." % (log, MILLION) in result[4]
    assert result[5] == "Wrote %d calls to %s.\n" % (MILLION, log) and "lost" not in result.text
    number = re.compile(rb'"arguments":\{"i":(\d+),')
    with open(log, "rb") as file:
        numbers = [int(number.search(line).group(1)) for line in file]
    assert numbers == list(range(MILLION))


@pytest.mark.parametrize("live", ["off", "on"])
def test_memory_does_not_grow(debugger, target, tmp_path, live):
    """The debugger's own, of forty times as many calls; in every format."""
    debugger.stdin, debugger.out, debugger.err = "/dev/null", "/dev/null", "/dev/null"
    actions = ["gibbon set follow " + live, "gibbon wrap work"]
    for count in 5000, 200000:
        debugger.args = [str(count)]
        for form in "text", "csv", "trace", "jsonl":
            actions += ["gibbon log -save %s/log -format %s -follow on" % (tmp_path, form), debugger.launch("run" if debugger.name == "gdb" else ""), "gibbon stats 1"]
        actions.append("python print('high', open('/proc/self/status').read().split('VmHWM:')[1].split()[0])")
    result = debugger.session(target("calls", opt="-O2"), actions, timeout=300)
    before, after = (int(kilobytes) for kilobytes in re.findall(r"^high (\d+)$", result.text, re.M))
    assert os.path.getsize(tmp_path / "log") > 40 << 20 and "lost" not in result.text
    assert after - before < 24 << 10, "%d KiB more" % (after - before)


def test_it_goes_on_with_the_next_run(debugger, target, tmp_path):
    """A trace is complete after every run."""
    trace = tmp_path / "log.json"
    check = "python import json; e = json.load(open('%s')); print('events', len([x for x in e if x['ph'] == 'X']), len({x['pid'] for x in e}))" % trace
    result = debugger.session(target("calls"), ["gibbon wrap work", "run", "gibbon log -save %s -format trace -follow on" % trace, check, "run", check, "gibbon log -follow off", "run", check,
                                                "!gibbon log -save %s -follow off" % trace, "gibbon show follow"], args=["5"])
    assert "events 5 1\n" in result[3] + result[4]  # begins with what there was
    assert "events 10 2\n" in result[5] and "Wrote 10 calls to %s." % trace in result[6] and "events 10 2\n" in result[8]
    assert LOG.findall(result[4]) != [] and LOG.findall(result[7]) == []  # -follow off alone ends both
    assert "No calls are being written to %s" % trace in result[9] and re.search(r"^follow +off", result[10], re.M)


def test_quit_completes_the_file(debugger, target, tmp_path):
    trace = tmp_path / "log.json"
    debugger.session(target("calls"), ["gibbon wrap work -quiet", "gibbon log -save %s -format trace -follow on" % trace, "break between", "run"], args=["6"])
    assert len([e for e in json.loads(trace.read_text()) if e["ph"] == "X"]) == 3


def test_detach_completes_the_file(debugger, server, tmp_path):
    trace, process = tmp_path / "log.json", server()
    debugger.session(None, ["attach %d" % process.pid, "gibbon wrap tick -quiet", "gibbon log -save %s -format trace -follow on" % trace, "detach"])
    assert asks(process) >= 0
    json.loads(trace.read_text())


def test_what_it_refuses(debugger, target, tmp_path):
    log = tmp_path / "log"
    result = debugger.session(target("calls"), ["!gibbon log -save /nowhere/log -follow on", "!gibbon log -save %s -follow off" % log, "gibbon wrap work -quiet", "gibbon log -save %s -follow on" % log,
                                                "!gibbon log -save %s" % log, "!gibbon log -save %s.2 -follow off" % log, "!gibbon log -save %s -follow on -last 3" % log, "!gibbon log -format cvs",
                                                "gibbon log 1 -save %s.2 -follow on" % log, "run", "gibbon log"], args=["3"])
    assert "/nowhere/log cannot be written: No such file or directory." in result[0]
    assert "No calls are being written to %s, or to another file." % log in result[1]
    assert "Calls are being written to %s; end that first" % log in result[4]
    assert "No calls are being written to %s.2; they go to %s." % (log, log) in result[5]
    assert "-last is for calls that have come" in result[6] and 'Option -format is text, jsonl, csv or trace, not "cvs".' in result[7]
    assert "Calls of patch 1 are written to %s.2 as they come (text, 3 so far)." % log in result[10]


def test_what_cannot_take_a_byte(debugger, target, tmp_path):
    """One sentence, at once, and no other that says the contrary. A pipe that nobody reads keeps nobody waiting."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    result = debugger.session(target("calls"), ["gibbon wrap work -quiet", "!gibbon log -save /dev/full -format csv -follow on", "!gibbon log -save %s -follow on" % pipe, "!gibbon log -save %s" % pipe, "run",
                                                "!gibbon log -save /dev/full -format jsonl -follow on", "!gibbon log -save /dev/full", "gibbon log", "!gibbon save %s" % pipe, "!gibbon save /dev/full"], args=["3"])
    full, nobody = "/dev/full could not be written to the end: No space left on device.", "%s cannot be written: nobody reads this pipe." % pipe
    assert [debugger.error(result[i]) for i in (1, 2, 3, 5, 6, 8, 9)] == [[full], [nobody], [nobody], [full], [full], [nobody], [full]]
    assert len(LOG.findall(result[7])) == 3 and "as they come" not in result.text and "no longer" not in result.text


def test_full_disk_and_removed_directory(debugger, target, tmp_path):
    """One sentence; the program goes on, and the calls are kept."""
    gone = tmp_path / "gone"
    gone.mkdir()
    remove = "python import shutil; shutil.rmtree('%s')" % gone
    result = debugger.session(target("calls", opt="-O2"), ["gibbon set follow off", "gibbon wrap work", "gibbon log -save /dev/full -format jsonl -follow on", "run", "gibbon log -follow on", "gibbon set follow off",
                                                           "gibbon log -save %s/log -follow on" % gone, remove, "run", "gibbon log -last 1", "gibbon stats"], args=["20000"], timeout=120)
    assert len(re.findall(r"gibbon: Calls are no longer written to /dev/full: No space left on device\. It has 0; later ones are kept", result.text)) == 1, result.text
    assert len(re.findall(r"gibbon: Calls are no longer written to %s/log: it was removed" % gone, result.text)) == 1, result.text
    assert "as they come" not in result[9] and len(LOG.findall(result[9])) == 1
    assert result.out.startswith("20000 calls") and "lost" not in result.text


def whole_events(text):
    """A trace whose writer was killed has no bracket at its end; viewers do without."""
    return json.loads(text.rsplit("\n", 1)[0].rstrip(",") + "]") if not text.rstrip().endswith("]") else json.loads(text)


def test_killed_debugger_leaves_a_trace_and_a_working_target(debugger, server, target, tmp_path):
    """SIGKILL under load. What was written can be loaded; the target goes on; another debugger attaches, patches and logs."""
    trace, process = tmp_path / "log.json", server()
    session = Interactive(debugger, None)
    try:
        session.do(debugger.words("attach %d" % process.pid))
        session.do("gibbon wrap tick -quiet")
        session.do("gibbon log -save %s -format trace -follow on" % trace)
        session.send("continue")
        end = time.monotonic() + 30
        while time.monotonic() < end and (not trace.exists() or trace.read_text().count('"tick"') < 100):
            time.sleep(0.05)
    finally:
        os.kill(session.pid, signal.SIGKILL)
        os.waitpid(session.pid, 0)
        os.close(session.master)
    events = whole_events(trace.read_text())
    numbers = [e["args"]["arguments"]["n"] for e in events if e["ph"] == "X"]
    assert len(numbers) >= 99 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    time.sleep(0.3)
    before = asks(process)
    again = tmp_path / "again.jsonl"
    result = debugger.session(None, ["attach %d" % process.pid, "gibbon wrap getenv", "gibbon log -save %s -format jsonl -follow on" % again, "break tick", "continue", "continue", "detach"])
    calls = jsonl(again)
    assert [c["function"] for c in calls[:1]] == ["getenv"], result.text
    assert process.poll() is None and asks(process) > before


def test_slow_terminal_loses_nothing(debugger, target, tmp_path):
    """Nobody reads what the debugger prints for longer than a thread waits for a reader that is dead."""
    program = target("calls", opt="-O2")
    debugger.stdin, debugger.out, debugger.err, debugger.args = "/dev/null", "/dev/null", "/dev/null", ["60000"]
    words = debugger.command_line(program, True)
    for action in ("gibbon set ring-size 128K", "gibbon wrap work", "run", "gibbon stats"):
        words += debugger.translate(action)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, env=environment(tmp_path), start_new_session=True)
    try:
        time.sleep(4)  # the pipe is full long before
        text = process.communicate(timeout=100)[0]
    finally:
        kill_session(process)
    assert [int(n) for n in re.findall(r"work\(i=(\d+),", text)] == list(range(60000)) and "lost" not in text


def test_debugger_that_was_stopped(debugger, server, tmp_path):
    """SIGSTOP for longer than the target waits: it goes on meanwhile, and afterwards calls are logged as before."""
    log, process = tmp_path / "log.jsonl", server()
    session = Interactive(debugger, None)
    try:
        session.do(debugger.words("attach %d" % process.pid))
        session.do("gibbon wrap tick -quiet")
        session.do("gibbon log -save %s -format jsonl -follow on" % log)
        session.send("continue")
        time.sleep(0.5)
        os.kill(session.pid, signal.SIGSTOP)
        before = asks(process)
        time.sleep(1)
        assert asks(process) > before
        os.kill(session.pid, signal.SIGCONT)
        goal = asks(process) + 100
        end = time.monotonic() + 30
        while time.monotonic() < end and '"n":%d,' % goal not in log.read_text():
            time.sleep(0.1)
        calls = jsonl(log)
        numbers = [c["arguments"]["n"] for c in calls]
        assert goal in numbers and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    finally:
        os.kill(session.pid, signal.SIGKILL)
        os.waitpid(session.pid, 0)
        os.close(session.master)
