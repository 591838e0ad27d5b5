"""Reads a file of Chrome's trace events as strictly as its format is written, and more so than viewers do."""
import collections
import json
import math
import numbers
import re


def refuse(word):
    raise ValueError("%s is no JSON" % word)


def unique(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), "a name is there twice: %s" % names
    return dict(pairs)


def number(event, name):
    value = event[name]
    assert isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value), event
    return value


def read(path):
    """The events, after all that the format demands is checked: numbers, phases, nesting in each thread, and that begin and end only grow."""
    with open(path, "rb") as file:
        text = file.read().decode("utf-8")
    assert not re.search(r'(?<!\\)(\\\\)+"', text), "Perfetto takes a quote behind a backslash for one of the text"
    events = json.loads(text, parse_constant=refuse, object_pairs_hook=unique)
    json.dumps(events, ensure_ascii=False).encode("utf-8")  # no halves of surrogate pairs
    tracks = collections.defaultdict(list)
    open_ended, last_end, exact_end = {}, {}, {}
    for event in events:
        assert isinstance(event["name"], str) and event["name"] and event["ph"] in ("X", "B", "i", "M"), event
        assert type(event["pid"]) is int and type(event["tid"]) is int and isinstance(event.get("args", {}), dict), event
        track = event["pid"], event["tid"]
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name") and isinstance(event["args"]["name"], str), event
            continue
        number(event, "ts")
        assert ("dur" in event) == (event["ph"] == "X") and ("s" in event) == (event["ph"] == "i"), event
        assert isinstance(event["cat"], str), event
        assert event.get("s", "t") in ("t", "p", "g"), event
        if event["ph"] == "B":
            open_ended[track] = event  # nothing ends it: it lies around all that begins later, and nothing may end later
        elif event["ph"] == "X":
            assert number(event, "dur") >= 0, event
            begin = round(event["ts"] * 1000)  # nanoseconds
            end = begin + round(event["dur"] * 1000)
            assert end >= last_end.get(track, end), "ends before the one that was written before: %s" % event
            last_end[track] = end
            tracks[track].append((begin, -end, event))
            # As readers add it up: what is around another one ends later.
            before, exact = exact_end.get(track), event["ts"] + event["dur"]
            assert before is None or begin >= before[0] or exact > before[1], "ends with the call inside it: %s" % event
            exact_end[track] = end, exact
    for track, spans in tracks.items():
        inside = []
        for begin, end, event in sorted(spans, key=lambda span: span[:2]):
            while inside and inside[-1] <= begin:
                inside.pop()
            assert not inside or -end <= inside[-1], "overlaps without being nested: %s" % event
            inside.append(-end)
        if track in open_ended:
            assert round(open_ended[track]["ts"] * 1000) >= max(-end for _, end, _ in spans) or all(begin >= round(open_ended[track]["ts"] * 1000) or -end <= round(open_ended[track]["ts"] * 1000)
                                                                                               for begin, end, _ in spans), open_ended[track]
    return events
