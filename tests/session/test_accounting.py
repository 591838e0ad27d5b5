"""Every call is in the log or among those counted as lost: slow readers, killed targets; and what is written can be read by strict readers."""
import array
import collections
import csv
import json
import os
import re
import signal
import subprocess
import time

import pytest

import tracefile
from harness import environment, jsonl, kill_session

CALLS = 1000000


def count(path):
    """Calls by thread in the order of the file, and how many records are said to be lost."""
    threads, lost = collections.defaultdict(list), 0
    for line in jsonl(path):
        if line["type"] == "lost":
            lost += line["lost"]
        else:
            assert line["type"] == "call", line
            threads[line["tid"]].append(line["arguments"]["n"])
    return threads, lost


@pytest.mark.parametrize("overflow", ["block", "overwrite"])
def test_eight_threads_and_a_reader_that_is_stopped(debugger, target, tmp_path, overflow):
    """The debugger is stopped again and again, the last times for longer than threads wait for it."""
    log = tmp_path / "log.jsonl"
    debugger.stdin, debugger.out, debugger.err, debugger.args = "/dev/null", str(tmp_path / "out"), "/dev/null", []
    words = debugger.command_line(target("million", opt="-O0"), True)
    for action in ("gibbon set ring-size 128K", "gibbon set overflow " + overflow, "gibbon wrap counted -quiet", "gibbon log -save %s -format jsonl -follow on" % log, "run", "gibbon log -follow off", "gibbon stats"):
        words += debugger.translate(action)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, env=environment(tmp_path), start_new_session=True)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end and process.poll() is None and (not log.exists() or log.stat().st_size < 100000):
            time.sleep(0.01)
        for pause in (0.05, 0.05, 0.1, 0.9):
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(pause)
            os.kill(process.pid, signal.SIGCONT)
            time.sleep(0.05)
        text = process.communicate(timeout=100)[0]
    finally:
        kill_session(process)
    assert (tmp_path / "out").read_text() == "%d calls, 0 wrong\n" % CALLS, text
    threads, lost = count(log)
    assert len(threads) == 8 and sum(len(n) for n in threads.values()) + lost == CALLS, (lost, text)
    for numbers in threads.values():  # none twice, none of another thread's, in order
        assert len({n % 8 for n in numbers}) == 1 and all(a < b for a, b in zip(numbers, numbers[1:]))
    assert ("%d record" % lost in text) == (lost > 0)


def test_killed_target(debugger, target, tmp_path):
    """What had returned before SIGKILL came is in the log: whole, in order, nothing of it lost."""
    log, progress = tmp_path / "log.jsonl", tmp_path / "progress"
    result = debugger.session(target("killed", opt="-O2"), ["gibbon wrap counted -quiet", "gibbon log -save %s -format jsonl -follow on" % log, "run", "gibbon log -follow off"], args=[str(progress), "20000"])
    done = array.array("l", progress.read_bytes())[:8]
    calls, ended = collections.defaultdict(list), collections.Counter()
    for call in jsonl(log):
        assert call["type"] in ("call", "unfinished"), call
        calls[call["arguments"]["thread"]].append(call["arguments"]["n"])
        ended[call["arguments"]["thread"]] += call["type"] == "call"
    for thread in range(8):
        assert calls[thread] == list(range(len(calls[thread]))) and done[thread] >= 20000
        # The counter is written behind the return, so one call more may have returned; one more may have been under way.
        assert done[thread] <= ended[thread] <= done[thread] + 1 and len(calls[thread]) <= ended[thread] + 1
    assert "lost" not in result.text


def as_utf8(value):
    """What viewers of traces are given: bytes of a text that are not UTF-8 are U+FFFD."""
    return json.loads(re.sub(r"\\udc[89a-f][0-9a-f]", r"\\ufffd", json.dumps(value)))


@pytest.mark.parametrize("program,args,patches", [("million", [], "plain deep many pairs text -every 5"), ("nested", ["jumps"], "catches leaves inner"), ("nested", ["storm"], "storm inner"),
                                                  ("nested", ["threads"], "nested!outer middle inner"), ("nested", ["ends"], "last ends inner"), ("escapes", [], "escapes!*")])
def test_strict_readers(debugger, target, tmp_path, program, args, patches):
    """The same calls in all formats, with the same times."""
    name = str(tmp_path / "log.")
    actions = ["gibbon wrap %s -quiet" % patches, "run"] + ["gibbon log -save %s -format %s" % (name + form, form) for form in ("trace", "jsonl", "csv")]
    debugger.session(target(program, opt="-O2" if program == "million" else "-O0", name=program), actions, args=args, timeout=180)
    events = [e for e in tracefile.read(name + "trace") if e["ph"] != "M" and e["name"] != "records lost"]
    lines = [line for line in jsonl(name + "jsonl") if line["type"] != "lost"]
    with open(name + "csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, strict=True) if row["type"] != "lost"]
    assert len(events) == len(lines) == len(rows) > 0
    for event, line, row in zip(events, lines, rows):
        assert (event["name"], event["pid"], event["tid"]) == (line["function"], line["pid"], line["tid"])
        assert (row["function"], row["tid"], row["type"]) == (line["function"], str(line["tid"]), line["type"])
        assert event["args"].get("arguments") == as_utf8(line.get("arguments"))
        assert round(line["time"] * 1e9) == round(float(row["time"]) * 1e9)
        assert abs(round(event["ts"] * 1000) - round(line["time"] * 1e9)) < 5  # set apart
        assert (event["ph"] == "X") == (line["type"] == "call")
        if event["ph"] == "X":
            assert round(line["duration"] * 1e9) == round(float(row["duration"]) * 1e9) and abs(round(event["dur"] * 1000) - round(line["duration"] * 1e9)) < 5
