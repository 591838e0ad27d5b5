"""The rows of the table: what is patched and how, the goal, and how a figure is judged. Figures are ns added to a call, by row of target.c."""
import collections

# key: the function in target.c, or a name for what is made of others' figures
# command: what follows `gibbon`; None: nothing is patched
# counts: whether `list` counts the calls; a false condition leaves them out; None: it need not, or more than these
# figure(r): the row's ns, of the figures r of one run; goal: its text; met(r): whether the goal is reached
# unit: how it is shown, beside what: "floor" as ns and a ratio to the floor, "alone" to the same call on one thread, "ns" as it is
Row = collections.namedtuple("Row", "key label command counts figure goal met unit")
FLOOR_GOAL, TEXT_GOAL, HEAP_GOAL, CONDITION_GOAL, COUNT_GOAL, TRACE_GOAL, THREADS_GOAL = 1.25, 25, 130, 5, 3, 1000, 1.5


def plain(key, label, command=None, counts=True, goal="", met=None, unit="floor"):
    return Row(key, label, command, counts, lambda r: r[key], goal, met, unit)


def logged(key, label, command="wrap {}"):
    return plain(key, label, command, goal="<= %.2f x" % FLOOR_GOAL, met=lambda r: r[key] <= FLOOR_GOAL * r["floor"])


def at_most(key, label, command, limit, counts=True):
    return plain(key, label, command, counts, "<= %d ns" % limit, lambda r: r[key] <= limit, "ns")


def alone(key, label, limit):
    """What a text costs more than an integer in its place."""
    def more(r):
        return r[key] - r["two_integers"]
    return Row(key + "_alone", label, None, True, more, "<= %d ns" % limit, lambda r: more(r) <= limit, "ns")


def two_threads(key, label, goal=True):
    both = key + "_two_threads"
    return Row(both, label, None, True, lambda r: r[both], "<= %.1f x" % THREADS_GOAL if goal else "", (lambda r: r[both] <= THREADS_GOAL * r[key]) if goal else None, "alone")


ROWS = (
    plain("floor", "the floor, by hand in the program"),
    logged("two_integers", "logged call, 2 integers"),
    Row("stats", "  its time in `stats` included", None, True, lambda r: r["two_integers"], "<= %.2f x" % FLOOR_GOAL,
        lambda r: r["two_integers"] <= FLOOR_GOAL * r["floor"], "floor"),
    logged("four_integers", "logged call, 4 integers"),
    logged("six_integers", "logged call, 6 integers"),
    plain("variadic", "logged call, variadic function", "wrap {}"),
    plain("text_constant", "logged call, text in read-only data", "wrap {}"),
    alone("text_constant", "  the text alone", TEXT_GOAL),
    plain("text_stack", "logged call, text on own stack", "wrap {}"),
    alone("text_stack", "  the text alone", TEXT_GOAL),
    plain("text_heap", "logged call, text on the heap", "wrap {}"),
    alone("text_heap", "  the text alone", HEAP_GOAL),
    at_most("traced", "logged call, -backtrace 10", "wrap {} -backtrace 10", TRACE_GOAL),
    at_most("counted", "-count", "wrap {} -count", COUNT_GOAL),
    plain("disabled", "a disabled patch", "wrap {} -disabled", counts=False, unit="ns"),
    plain("filtered", "-after 1000M, not yet reached", "wrap {} -after 1000M", counts=False, unit="ns"),
    plain("mocked", "mock", "mock {} 1"),
    plain("replaced", "replace, in the program", "replace {} plain_{}", counts=None, unit="ns"),
    at_most("if_false", "if a == -1, false", "wrap {} if a == -1", CONDITION_GOAL, counts=False),
    at_most("if_false_counted", "-count if a == -1, false", "wrap {} -count if a == -1", CONDITION_GOAL, counts=False),
    at_most("stop_false", "gibbon stop if a == -1, false", "stop {} if a == -1", CONDITION_GOAL, counts=False),
    plain("if_true", "logged call, if b == 2, true", "wrap {} if b == 2"),
    plain("if_stack", "if p->x == 1, false, p on own stack", "wrap {} if p->x == 1", counts=False, unit="ns"),
    plain("if_heap", "if p->x == 1, false, p on the heap", "wrap {} if p->x == 1", counts=False, unit="ns"),
    plain("if_result", "if $ret == -1, false", "wrap {} if $ret == -1", counts=False, unit="ns"),
    two_threads("floor", "two threads: the floor (x alone)", goal=False),
    two_threads("two_integers", "two threads: logged call (x alone)"),
    two_threads("counted", "two threads: -count (x alone)"),
)
PATCHES = [row for row in ROWS if row.command]


def time_text(ns):
    return "%.1f" % ns if ns < 1000 else "%.1f us" % (ns / 1000) if ns < 100000 else "%.0f us" % (ns / 1000)


def cell(row, r):
    """How a row of one debugger is shown."""
    ns = row.figure(r)
    if row.unit == "ns":
        return time_text(ns)
    return "%s, %.2f x" % (time_text(ns), ns / r["floor" if row.unit == "floor" else row.key.removesuffix("_two_threads")])


def markdown(lines, right=()):
    """A table of equally wide columns, readable as it is. The first line is the heading; `right` are columns of numbers."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    def joined(line):
        return "| " + " | ".join(text.rjust(width) if i in right else text.ljust(width) for i, (text, width) in enumerate(zip(line, widths))) + " |"
    rule = "|" + "|".join("-" * (width + 1) + (":" if i in right else "-") for i, width in enumerate(widths)) + "|"
    return "\n".join([joined(lines[0]), rule] + [joined(line) for line in lines[1:]])
