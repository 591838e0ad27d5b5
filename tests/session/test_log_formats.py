"""The log for programs: csv for spreadsheets and data frames, trace for Perfetto and chrome://tracing."""
import csv
import json

from harness import jsonl

COLUMNS = ("type,process,pid,tid,time,duration,patch,function,module,result,errno,error,mocked,caller,lost,arguments,"
           "arg1,arg2,arg3,arg4,arg5,arg6,backtrace").split(",")


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_csv(debugger, target, tmp_path):
    table, lines = tmp_path / "log.csv", tmp_path / "log.jsonl"
    result = debugger.session(target("cells"), ["gibbon wrap say seven named -backtrace 2", "run", "gibbon log -save %s -format csv" % table,
                                                "gibbon log -save %s -format jsonl" % lines, "gibbon log -last 1 -format csv"])
    data = table.read_bytes()
    assert data.startswith(",".join(COLUMNS).encode() + b"\r\n") and data.count(b"\n") == data.count(b"\r\n")
    assert not [c for c in data if c < 32 and c not in b"\r\n"]
    found, calls = rows(table), jsonl(lines)
    assert len(found) == len(calls) == 13 + 1 + 3 + 8 and all(None not in row and None not in row.values() for row in found)
    for row, call in zip(found, calls):
        for name in ("type", "process", "pid", "tid", "patch", "function", "module"):
            assert row[name] == str(call[name])
        assert float(row["time"]) == call["time"] and float(row["duration"]) == call["duration"]
        assert row["caller"] == call["caller"]["symbol"]
        assert row["backtrace"].split("; ") == [frame["symbol"] for frame in call["backtrace"]]
    said = [row for row in found if row["function"] == "say"][:13]
    assert [row["arg1"] for row in said] == ["plain", "a,b", 'say "x"', "'=1+1", "'-1", "'+x", "'@x", " lead", r"line\nend", r"tab\tesc\33[31m", "", "grün", "NULL"]
    assert [int(row["arg2"]) for row in said] == [int(row["result"]) for row in said] == [-i for i in range(13)]
    assert said[2]["arguments"] == r'what="say \"x\"", n=-2' and said[0]["arg3"] == said[0]["errno"] == said[0]["lost"] == ""
    seven = next(row for row in found if row["function"] == "seven")
    assert [seven["arg%d" % i] for i in range(1, 7)] == ["-7", "120", "0.5", "'=d", "NULL", "4000000000"] and seven["arguments"].endswith("g=-1")
    assert [row["result"] for row in found if row["function"] == "named"] == ["NULL", "'-x, \"y\"", "0x8"]
    assert [call.get("result_text") for call in calls if call["function"] == "named"] == [None, '-x, "y"', None]  # nobody can read the last one
    shown = result[4].splitlines()  # on a terminal without carriage returns
    assert shown[0] == ",".join(COLUMNS) and len(shown) == 2 and "\r" not in result[4]


def test_csv_of_failures_and_mocks(debugger, target, tmp_path):
    table = tmp_path / "log.csv"
    debugger.session(target("calls"), ["gibbon mock getenv NULL", "gibbon mock open -1 -errno EACCES -pending", "gibbon set pending on", "gibbon wrap fopen open64 openat", "run",
                                       "gibbon log -save %s -format csv" % table])
    for row in rows(table):
        assert (row["mocked"] == "true") == (row["patch"] in "12")
        assert (row["errno"] == "") == (row["error"] == "")


def spans(events):
    return [e for e in events if e["ph"] == "X"]


def test_trace(debugger, target, tmp_path):
    trace = tmp_path / "log.json"
    result = debugger.session(target("cells"), ["gibbon wrap outer say named", "run", "gibbon log -save %s -format trace" % trace, "gibbon log -last 1 -format trace"])
    events = json.loads(trace.read_text())
    names = {(e["name"], e["args"]["name"]) for e in events if e["ph"] == "M"}
    assert ("process_name", "cells") in names and ("thread_name", "cells") in names
    assert len({(e["pid"], e["tid"]) for e in events}) == 1
    calls = spans(events)
    assert len(calls) == 4 + 13 + 8 + 3 and all(e["ts"] >= 0 and e["dur"] >= 0 and e["cat"] == "cells" for e in calls)
    # Each call of outer encloses the next, and those of say made in it.
    nested = sorted((e for e in calls if e["name"] == "outer"), key=lambda e: e["ts"])
    assert [e["args"]["arguments"]["n"] for e in nested] == [3, 2, 1, 0]
    for one, other in zip(nested, nested[1:]):
        assert one["ts"] <= other["ts"] and other["ts"] + other["dur"] <= one["ts"] + one["dur"] + 1e-9
        assert other["args"]["caller"].startswith("outer+0x")
    for e in calls:
        if e["name"] == "say" and e["args"]["arguments"]["what"] in ("inside", "behind"):
            assert sum(o["ts"] <= e["ts"] and e["ts"] + e["dur"] <= o["ts"] + o["dur"] + 1e-9 for o in nested) >= 1
    texts = [e["args"]["arguments"]["what"] for e in calls if e["name"] == "say"][:13]
    assert texts[9] == "tab\tesc\033[31m" and texts[12] is None
    assert [e["args"]["result"] for e in calls if e["name"] == "named"] == [None, '-x, "y"', "0x8"]
    assert spans(json.loads(result[3]))[0]["name"] == "outer"


def test_trace_of_calls_that_do_not_return(debugger, target, tmp_path):
    """What the process ended in is a bar without an end; what was seen at its entry only is a mark."""
    trace = tmp_path / "log.json"
    debugger.session(target("exits"), ["gibbon wrap last inner exit _exit getenv", "run", "gibbon log -save %s -format trace" % trace])
    events = json.loads(trace.read_text())
    phases = {e["name"]: e["ph"] for e in events if e["ph"] != "M"}
    assert phases["inner"] == "X" and phases["last"] in "Bi" and all(e.get("s") in (None, "t") for e in events)
    assert [e["args"]["seen"] for e in events if e["ph"] == "i"], events


def test_trace_of_threads(debugger, target, tmp_path):
    """A track a thread; what is lost is seen."""
    trace = tmp_path / "log.json"
    debugger.session(target("million", opt="-O2"), ["gibbon set ring-size 128K", "gibbon set overflow overwrite", "gibbon wrap plain deep -quiet -every 10", "run",
                                                    "gibbon log -save %s -format trace" % trace], timeout=180)
    events = json.loads(trace.read_text())
    calls = spans(events)
    assert len({e["tid"] for e in calls}) == 8 and len({e["pid"] for e in calls}) == 1
    named = {e["tid"] for e in events if e["name"] == "thread_name"}
    assert {e["tid"] for e in calls} <= named or [e for e in events if e["name"] == "records lost"]
    for tid in {e["tid"] for e in calls}:  # nothing overlaps without being nested
        open_until = []
        for e in sorted((e for e in calls if e["tid"] == tid), key=lambda e: (e["ts"], -e["dur"])):
            begin, end = round(e["ts"] * 1000), round((e["ts"] + e["dur"]) * 1000)
            while open_until and open_until[-1] <= begin:
                open_until.pop()
            assert not open_until or end <= open_until[-1], e
            open_until.append(end)
    lost = [e["args"]["lost"] for e in events if e["name"] == "records lost"]
    assert all(count > 0 for count in lost)
