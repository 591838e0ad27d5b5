"""`step`, `next` and `finish` around patched functions show the same places as without the patch."""
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
        where = top and re.search(r"([\w:.]+) ?\(.* at \S*?(\w+\.c):(\d+)|([\w:.]+)", re.sub(r"^0x\w+ (in |\w+`)?", "", top.group(1)))
        found.append(where and (where.group(1) or where.group(4), where.group(3)))
    return found


def both(debugger, program, function, actions):
    """Where those actions lead from the call of the function, without and with a patch; [0] is the first action's place."""
    steps = [a for action in actions for a in (action, "backtrace")]
    seen = []
    for patch in ([], ["gibbon wrap %s -quiet" % function]):
        before = [break_at_line(line_of(function)), "run"] + patch
        result = debugger.session(program, before + steps + ["continue"], args=["2"])
        seen.append((places(result, range(len(before) + 1, len(before) + len(steps), 2)), result))
        assert re.match(r"sink -?\d+\n", result.out), result.text
    assert seen[0][1].out == seen[1][1].out
    return seen[0][0], seen[1][0], seen[1][1].text


@COMPILERS
@pytest.mark.parametrize("function", FUNCTIONS)
def test_step_into(debugger, target, cc, opt, function):
    """The debugger waits at the function's body, unseen."""
    bare, patched, text = both(debugger, target("stepping", cc=cc, opt=opt), function, ["step"])
    assert bare == patched, text


@COMPILERS
@pytest.mark.parametrize("function", FUNCTIONS)
def test_next_inside(gdb, target, cc, opt, function):
    """From the entry on, through thunk and copy, and on to the next lines; rows of the copy are no statements, so one can be passed."""
    bare, patched, text = both(gdb, target("stepping", cc=cc, opt=opt), function, ["step", "next", "next"])
    assert bare[0] == patched[0] and all(place[0] == function for place in patched), text
    assert int(patched[1][1]) >= int(bare[1][1]), text


@pytest.mark.parametrize("cc,opt", [("gcc", "-O0"), ("clang", "-O0")])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_line_and_out(debugger, target, cc, opt, function):
    """Unoptimised, up to the caller's next line."""
    bare, patched, text = both(debugger, target("stepping", cc=cc, opt=opt), function, ["step"] + ["next"] * 7)
    assert bare == patched, text
