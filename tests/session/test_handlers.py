"""One C function of the target for calls of any type: gibbon wrap LOCATION -handler SYMBOL."""
import os
import re
import sys

import pytest
from conftest import PROGRAMS
from harness import ROOT
from transparent import COMPILERS, bare, ended, same

sys.path.insert(0, PROGRAMS)
import make_calls  # noqa: E402

INCLUDE = ["-w", "-I", os.path.join(ROOT, "core", "include")]


@pytest.fixture(scope="session")
def calls(target, tmp_path_factory):
    """A program of random signatures, with handlers in it."""
    folder = tmp_path_factory.mktemp("handled")

    def make(seed, language, **how):
        source = folder / ("handled%d%s.%s" % (seed, language, language))
        source.write_text(make_calls.program(seed, 150, language, 16, 4000))
        return target(str(source), "handlers.c", name="handled%d%s" % (seed, language), flags=INCLUDE, **how)

    return make


@pytest.fixture
def handled(target):
    return target("handled", flags=INCLUDE)


def handle(debugger, program, handlers, extra=(), args=()):
    """Runs it with a handler for each of some functions; what it printed, by lines, and the Result."""
    actions = ["gibbon wrap %s" % what for what in handlers] + ["run"] + list(extra)
    result = debugger.session(program, actions, args=args)
    return result.out.splitlines(), result


# Where nobody else decides what the parameters are: gcc does not tell of ms_abi, so those functions are not in these programs' own tests.
REFUSED = re.compile(r" cannot have a handler: .*(vector register|more than 16 bytes|variable number|compilers disagree|in another way)")


@pytest.mark.parametrize("handler", ["handle_once", "handle_rewrite"])
@pytest.mark.parametrize("cc,opt", COMPILERS)
@pytest.mark.parametrize("language", ["c", "cc"])
def test_random_signatures(debugger, calls, cc, opt, language, handler):
    """Structs of all classes, packed, unions, empty, in registers and memory, _Complex, long double, __int128, objects by reference."""
    program = calls(3, language, cc=cc, opt=opt)
    result = same(debugger, program, ["%s!*f_* -quiet -handler %s" % (os.path.basename(program), handler)], after=["run", "gibbon list 1"])
    assert int(re.search(r"called (\d+) times", result.text).group(1)) > 70, result.text[-2000:]
    refused = re.findall(r"^ {10,}(\S*f_\d+.* cannot .*)$", result.text, re.M)
    assert refused and all(REFUSED.search(line) for line in refused), refused


def test_a_wrong_bit_is_noticed(debugger, calls):
    program = calls(3, "c")
    result = debugger.session(program, ["gibbon wrap handled3c!f_* -quiet -handler handle_wrong", "run"])
    wanted = bare(program)[0].splitlines()
    wrong = sum(a != b for a, b in zip(wanted, result.out.splitlines()))
    assert len(result.out.splitlines()) == len(wanted) and wrong > 60, wrong


def test_arguments_by_index_and_name(debugger, handled):
    names = ["add", "blend", "spread", "twice", "half", "positive"]
    lines, result = handle(debugger, handled, [" ".join(names) + " -handler show"])
    shown = [line for line in lines if "->" in line]
    assert shown[:1] + [line for line in shown if not line.startswith("add")] == ["add: (int)a=1 (int)b=2 -> (int)3",
                     'blend: (float)f=1.5 (struct pair)pair=16 bytes (struct many)many=40 bytes (char)c=97 (const char *)text="xyz" -> (double)114',
                     "spread: (long int)n=7 (struct odd)odd=5 bytes (union either)either=4 bytes -> (struct many)0",
                     "twice: (struct pair)pair=16 bytes -> (struct pair)0",
                     "half: (long double)x=2.5 -> (long double)1.25",
                     "positive: (signed char)c=-3 -> (_Bool)0", "positive: (signed char)c=3 -> (_Bool)1"], result.text
    assert [line for line in lines if "->" not in line] == bare(handled)[0].splitlines()
    assert "add(a=1, b=2) = 3 " in result.text and 'blend(f=1.5, pair={a = 3, b = 4.5}, many={a[0] = 1, a[1] = 2, a[2] = 3, a[3] = 4, a[4] = 5}, c=\'a\', text="xyz") = 114 ' in result.text


def test_changes(debugger, handled):
    """Arguments, results, errno; the original not called, or three times."""
    lines, result = handle(debugger, handled, ["add -handler change -times 1", "fails -handler deny", "half -handler answer", "leaf -handler repeat"])
    assert "add 1102" in lines and "fails -1, errno 13" in lines and "half 0" in lines, lines
    assert "middle %d" % (2 + 3 + 4 + 1) in lines, lines
    assert re.search(r"fails\(code=2\) = -1( EACCES.*)? <", result.text), result.text
    lines, result = handle(debugger, handled, ["fails -handler pass"])
    assert "fails -1, errno 2" in lines, lines
    lines, result = handle(debugger, handled, ["fails -handler answer"])
    assert "fails 0, errno 0" in lines, lines


def test_threads_and_recursion(debugger, handled):
    """Four threads, a function that calls itself: each level meets the handler."""
    result = same(debugger, handled, ["add -handler pass -quiet", "fib -handler pass -quiet"])
    counts = [int(n) for n in re.findall(r"called (\d+) times", result.text)]
    assert counts == [1 + 4 * 500, 177 + 4 * 500 * 25], result.text


def test_functions_of_libraries(debugger, handled):
    """libc's own, with the prototypes that ship; open's mode is an argument."""
    lines, result = handle(debugger, handled, ["libc.so.6!open -handler show -from handled"])
    shown = [line for line in lines if line.startswith("open")]
    assert len(shown) == 2 and re.match(r'open\w*: .*="/dev/null" .*mode=', shown[0]) and shown[1] == "open done", lines


def test_left_by_longjmp(debugger, handled):
    lines, result = handle(debugger, handled, ["leaf -handler jump_out", "fib -handler pass -quiet"])
    assert "jumped 7" in lines and ended(result.text) == 0, result.text
    assert [line for line in lines if not line.startswith("jumped")] == [line for line in bare(handled)[0].splitlines() if not line.startswith("middle")]


def test_two_handlers(debugger, handled):
    """The newer one's original is the older one."""
    lines, result = handle(debugger, handled, ["leaf -handler who", "leaf -handler who_too", "leaf -handler change -disabled"])
    assert [line for line in lines if line.startswith("called by")] == ["called by middle", "called by a handler"], lines
    assert "middle 3" in lines


def test_under_a_wrap(debugger, handled):
    """The caller is the function's, not our own code; whatever lies between."""
    for patches in (["leaf -handler who", "leaf"], ["leaf", "leaf -handler who"], ["leaf -handler who -count"], ["leaf -handler who -after 0 -quiet"]):
        lines, result = handle(debugger, handled, patches)
        assert "called by middle" in lines and "middle 3" in lines, (patches, lines)


@pytest.mark.parametrize("opt", ["-O0", "-O1"])
def test_members_and_exceptions(debugger, target, opt):
    program = target("handled.cc", opt=opt, flags=INCLUDE)
    lines, result = handle(debugger, program, ["Point::sum -handler show", "Point::make -handler show", "Point::scaled -handler show", "thrower -handler pass", "joined -handler louder"])
    assert lines == ["Point::sum(int) const: a member, 1 arguments", "x is 3", "sum 12", "Point::make(int): no member, 1 arguments", "make 2",
                     "Point::scaled(double): a member, 1 arguments", "x is 3", "scaled 7.5", "thrower 2", "main caught: n is 3", "main caught: n is 4",
                     "joined left very right!"], result.text
    lines, result = handle(debugger, program, ["thrower -handler catcher"])
    assert "the handler caught: n is 3" in lines and lines.count("thrower 77") == 2 and not any("main caught" in line for line in lines), lines
    lines, result = handle(debugger, program, ["thrower -handler raiser"])
    assert lines.count("main caught 5") == 3 and ended(result.text) == 0, result.text


@pytest.mark.parametrize("where", ["use_leaf", "leaf"])
def test_backtraces(debugger, handled, where):
    """From a handler, and from what it called, to main: in the debugger at the very first stop, and in records."""
    result = debugger.session(handled, ["gibbon wrap middle -handler use_leaf -quiet", "gibbon wrap leaf -backtrace 20", "break " + where, "run", "bt", ("delete", "breakpoint delete -f"), "continue"])
    frames = result[4]
    places = [re.search(r"(?<![/\w])%s\b(?!/)" % name, frames).start() for name in ("use_leaf", "gib_handle", "main")]  # not of a path
    assert places == sorted(places), frames
    backtraces = re.findall(r"leaf\(n=(\d+)\) = .*\n((?:    #.*\n)+)", result.text)
    assert [n for n, _ in backtraces] == ["10", "1"], result.text
    for number, frames in backtraces:
        assert re.search(r"#\d+ use_leaf\+", frames) and re.search(r"#\d+ main\+", frames), frames
        assert ("middle+" in frames) == (number == "1"), frames


def test_static_program(debugger, target):
    program = target("handled", static=True, flags=INCLUDE)
    lines, result = handle(debugger, program, ["add -handler change -times 1", "getenv strlen -handler pass -quiet"])
    assert "add 1102" in lines and ended(result.text) == 0, result.text


def test_what_is_refused(debugger, handled):
    """One sentence each, and nothing changed."""
    start = ["break main", "run"]
    asked = [("sum -handler pass", "cannot have a handler: it takes a variable number of arguments"),
             ("_setjmp -handler pass", "cannot have a handler: it returns twice"),
             ("pass -handler pass", "cannot have a handler: it would handle itself"),
             ("__errno_location -handler pass", "cannot have a handler: Gibbon itself calls it"),
             ("add -handler *f*", "may mean many functions"),
             ("add -handler", "needs")]
    result = debugger.session(handled, start + ["!gibbon wrap " + words for words, _ in asked] + ["gibbon list", "gibbon wrap sum -handler show -quiet -prototype 'int sum(int count, int a, int b, int c)'", "continue"])
    for step, (words, sentence) in enumerate(asked):
        assert sentence in result[len(start) + step], (words, result[len(start) + step])
    assert "No patches" in result[len(start) + len(asked)], result.text
    assert "sum: (int)count=3 (int)a=10 (int)b=20 (int)c=30 -> (int)60" in result.out, result.out


def test_an_unknown_handler(debugger, handled):
    """It may come with a library; until then nothing changes."""
    result = same(debugger, handled, ["add -handler nobody"], called=False)
    assert "1 waiting: nobody is in no loaded module yet." in result.text, result.text


def test_no_prototype(debugger, target):
    program = target("handled", debug=False, flags=INCLUDE)
    result = debugger.session(program, ["break main", "run", "!gibbon wrap add -handler show", "gibbon wrap add -handler show -quiet -prototype 'int add(int first, int second)' -times 1", "continue"])
    assert "cannot have a handler: its parameters are not known; give them with -prototype" in result[2], result[2]
    assert "add: (int)first=1 (int)second=2 -> (int)3" in result.out, result.out


def test_options(debugger, handled, tmp_path):
    """Counted and filtered like any wrap; disabled, deleted, saved and sourced."""
    saved = tmp_path / "saved"
    result = debugger.session(handled, ["gibbon wrap add -handler change -after 1 -times 2 -quiet", "gibbon wrap fib -handler pass -count", "run", "gibbon list", "gibbon save %s" % saved, "gibbon delete 1-2", "run",
                                        ("source %s" % saved, "command source %s" % saved), "gibbon list"])
    assert "called 2 times" in result[3] and "add -handler change -after 1 -times 2 -quiet" in result[3], result[3]
    assert saved.read_text().splitlines() == ["gibbon wrap add -handler change -after 1 -times 2 -quiet -pending", "gibbon wrap fib -handler pass -count -pending"]
    assert "add -handler change -after 1 -times 2 -quiet" in result[8], result[8]
    assert result.out == bare(handled)[0], result.out  # of the second run


PACKAGE = """
#include <gibbon/package.h>
#include <stdio.h>
static void count(struct gibbon_call *call)
{
    gibbon_call_original(call);
    printf("%s of %s gave %d\\n", gibbon_function(call), gibbon_module(call), (int)gibbon_result_int(call));
}
GIBBON_HANDLER("", middle, count);
GIBBON_HANDLER("", leaf, count);
"""


def test_of_a_package(debugger, handled, tmp_path):
    """GIBBON_HANDLER: the handler comes into the target with its package."""
    source = tmp_path / "counting.c"
    source.write_text(PACKAGE)
    result = debugger.session(handled, ["gibbon load %s" % source, "run", "gibbon list"])
    lines = result.out.splitlines()
    assert [line for line in lines if " gave " in line] == ["leaf of handled gave 2", "middle of handled gave 3"], result.text
    assert result.text.count("called 1 time") == 2 and "middle with count of counting" in result[2], result[2]


def test_a_function_of_another_type_is_no_handler(debugger, target):
    result = debugger.session(target("results"), ["break main", "run", "!gibbon wrap half -handler multiply", "gibbon list", "continue"])
    assert "multiply is no handler; one is declared void multiply(struct gibbon_call *)." in result[2] and result[3] == "No patches.\n"
    assert "half 0.5 " in result.out
