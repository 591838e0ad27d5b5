"""`step`, `next` and `finish` around patched functions show the same places as without the patch."""
import itertools
import re

import pytest

COMPILERS = pytest.mark.parametrize("cc,opt", [("gcc", "-O0"), ("gcc", "-O2"), ("clang", "-O0"), ("clang", "-O2")])
FUNCTIONS = ["plain", "no_arguments", "saver", "many", "floating"]


def line_of(function):
    """Where main calls it."""
    with open(__file__.replace("session/test_stepping.py", "programs/stepping.c")) as file:
        return next(n for n, line in enumerate(file, 1) if re.search(r"x \+= .*\b%s\(" % function, line))


def break_at_line(line):
    return "tbreak stepping.c:%d" % line, "breakpoint set -o true -f stepping.c -l %d" % line


def places(result, steps):
    """Function and line of the innermost frame that each of those backtraces shows."""
    found = []
    for step in steps:
        top = re.search(r"#0:? +(.*)", result[step])
        where = top and re.search(r"([\w:.]+) ?(?:\(.*)? at \S*?(\w+\.c):(\d+)|([\w:.]+)", re.sub(r"^0x\w+ (in |\w+`)?", "", top.group(1)))
        found.append(where and (where.group(1) or where.group(4), where.group(3)))
    return found


def both(debugger, program, actions, compared=None):
    """Where those actions lead from main's call of each function, without and with patches: two lists of places for each."""
    seen = []
    for patch in ([], ["gibbon wrap %s -quiet" % " ".join(FUNCTIONS)]):
        steps, shown = ["break main", "run"] + patch, {}
        for function in FUNCTIONS:
            steps += [break_at_line(line_of(function)), "continue"]
            for action in actions:
                steps += [action, "backtrace"]
                shown.setdefault(function, []).append(len(steps) - 1)
        result = debugger.session(program, steps + [("delete", "breakpoint delete -f"), "continue"], args=["12"], timeout=120)
        assert re.match(r"sink -?\d+\n", result.out), result.text
        seen.append({function: places(result, at) for function, at in shown.items()})
    return seen[0], seen[1], result.text


@COMPILERS
def test_step_into(debugger, target, cc, opt):
    """The debugger waits at the function's body, unseen."""
    bare, patched, text = both(debugger, target("stepping", cc=cc, opt=opt), ["step"])
    assert bare == patched, text


@COMPILERS
def test_next_inside(debugger, target, cc, opt):
    """From the entry on, through thunk and copy, and on to the next lines. Rows of the copy are no statements, so one can be passed; and a call
    among the displaced instructions is stepped into (gcc -O2's plain)."""
    bare, patched, text = both(debugger, target("stepping", cc=cc, opt=opt), ["step", "next"])
    for function in FUNCTIONS:
        assert bare[function][0] == patched[function][0], text
        if bare[function][0][0] == "main":
            continue  # LLDB: of several lines at the call, this was not the last
        assert patched[function][1][0] == function or (patched[function][1][0] == "other" and opt == "-O2" and function == "plain"), text


@COMPILERS
def test_next_from_a_breakpoint(debugger, target, cc, opt):
    """At the detour itself, where `break FUNCTION` stops."""
    for function in FUNCTIONS:
        actions = ["break %s" % function, "run", "gibbon wrap %s" % function, "continue"] + ["next", "backtrace"] * 3
        result = debugger.session(target("stepping", cc=cc, opt=opt), actions + [("delete", "breakpoint delete -f"), "continue"], args=["3"])
        found = places(result, [5, 7, 9])
        assert found[0][0] in (function, "other" if (opt, function) == ("-O2", "plain") else function), result.text
        assert {name for name, line in found} <= {function, "other", "main"} and len(set(found)) > 1, result.text
        assert len(result.log) in (2, 3), result.text  # the first call, when the breakpoint is before the detour


@COMPILERS
def test_next_until_out(debugger, target, cc, opt):
    """From the entry to the caller: never in code of Gibbon's, and on lines that are met without the patch as well."""
    bare, patched, text = both(debugger, target("stepping", cc=cc, opt=opt), ["step"] + ["next"] * 14)
    for function in FUNCTIONS:
        names = [name for name, line in patched[function]]
        assert set(names) <= {function, "main", "other"} and names[-1] == "main", (function, patched[function], text)
        assert len(set(patched[function])) > 2, (function, patched[function], text)


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_every_line_and_out(debugger, target, cc):
    """Unoptimised, up to the caller's next line. LLDB shows the line of a detour once more behind it."""
    bare, patched, text = both(debugger, target("stepping", cc=cc), ["step"] + ["next"] * 8)
    once = [{f: [place for place, _ in itertools.groupby(found)][:7] for f, found in each.items()} for each in (bare, patched)]
    assert once[0] == once[1] and (debugger.name == "lldb" or bare == patched), text


@COMPILERS
def test_finish(debugger, target, cc, opt):
    """From a callee, and from there to the caller and not to the thunk."""
    inside = [("tbreak other", "breakpoint set -o true -n other"), "continue", "finish", "finish"]
    bare, patched, text = both(debugger, target("stepping", cc=cc, opt=opt), inside)
    assert bare == patched and all(where[-1][0] == "main" for where in patched.values()), text


def test_finish_shows_the_value(debugger, target):
    result = debugger.session(target("stepping"), ["gibbon wrap plain", break_at_line(line_of("plain")), "run", "step", "next", "finish", "backtrace", "continue"], args=["1"])
    assert "Value returned" in result[5] or "Return value: (int)" in result[5], result[5]
    assert re.search(r"#0:? .*main.* stepping.c:%d" % line_of("plain"), result[5] + result[6].replace("/", " ")) or "main" in places(result, [6])[0][0], result.text


def test_a_single_instruction_shows_the_thunk(debugger, target):
    """Who steps over the return instruction sees where it goes."""
    result = debugger.session(target("stepping"), [break_at_line(line_of("plain")), "run", "gibbon wrap plain", "step"] + ["next"] * 5 + [("stepi", "thread step-inst")] * 2 + ["backtrace", "continue"], args=["1"])
    assert places(result, [11])[0][0] == "gibbon:plain", result.text


@COMPILERS
def test_return_with_a_value(debugger, target, cc, opt):
    """`return` leaves the thread in the thunk; the next step leads to the caller, with the value, and the log has it."""
    actions = ["gibbon wrap plain", ("tbreak other", "breakpoint set -o true -n other"), "run", "finish", ("return 77", "thread return 77"), "backtrace", "next", "backtrace", ("delete", "breakpoint delete -f"), "continue"]
    result = debugger.session(target("stepping", cc=cc, opt=opt), actions, args=["1"])
    assert [name for name, line in places(result, [5, 7])] == ["gibbon:plain", "main"], result.text
    assert len(result.log) == 1 and " = 77 <" in result.log[0], result.text
