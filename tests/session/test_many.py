"""Many functions at once: globs, regular expressions, refusals, previews; and that nobody in the target notices."""
import os
import re
import subprocess
import sys

import pytest
from conftest import PROGRAMS

COUNT, SHORT = 2000, 10  # functions of make_many.py, and those that are too short
LOAD = "python import sys; sys.path.insert(0, %r); import inside" % os.path.dirname(os.path.abspath(__file__))
SAME = "python inside.text_differences()"


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A program with 2000 functions fun_N and ten tiny_N that cannot be patched."""
    folder = tmp_path_factory.mktemp("many")
    source, program = str(folder / "many.c"), str(folder / "many")
    with open(source, "w") as file:
        subprocess.run([sys.executable, os.path.join(PROGRAMS, "make_many.py"), str(COUNT)], stdout=file, check=True)
    subprocess.run(["gcc", "-O1", "-g", "-o", program, source], check=True)
    return program


def bare(program, *arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True).stdout


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_stack_arguments_passed_on(debugger, target, cc):
    """Nothing is known of these functions; and what they do not read themselves, the one they jump to does."""
    program = target("passed", cc=cc, opt="-O2", debug=False)
    result = debugger.session(program, ["gibbon wrap take pass pass_indirect pass_to_cold -quiet", "run", "gibbon stats"])
    assert result.out == bare(program)
    assert len(re.findall(r"^\d +[1-9]\d* +0 .*  ", result[2], re.M)) == 4, result[2]


@pytest.mark.parametrize("location,functions", [("fun_*", COUNT), ("many!/^fun_[0-9]+$/", COUNT), ("/^(fun|tiny)_/", COUNT)])
@pytest.mark.parametrize("options", ["-count", "-quiet"])
def test_wrap_and_delete(debugger, many, location, functions, options):
    """Each is called three times; after delete the text is the file's again, and the output is what it always was."""
    result = debugger.session(many, ["break main", "run", LOAD, "gibbon wrap %s %s" % (location, options), "tbreak exit", "continue", "gibbon stats", "gibbon delete", SAME, "gibbon list", "continue"], args=["3"])
    assert "Patch 1: wrap %s <MULTIPLE>, %d functions." % (location, functions) in result[3]
    assert re.search(r"^1 +%d " % (3 * functions), result[6], re.M), result[6]
    assert "text: 0 bytes" in result[8] and result[9] == "No patches.\n"
    assert result.out == bare(many, "3")


@pytest.mark.parametrize("functions", ["fun_1*", "fun_*", "fun_*[02468]", "/_1?[1-3][0-9]$/"])
def test_delete_at_once(debugger, many, functions):
    """LLDB remembers memory that it has read, and does not always notice that it was written."""
    result = debugger.session(many, ["break main", "run", LOAD, "gibbon wrap %s -quiet" % functions, SAME, "gibbon delete", SAME, "gibbon wrap fun_1* -quiet", "gibbon delete", SAME, "continue"], args=["1"])
    assert "text: 0 bytes" not in result[4] and "text: 0 bytes" in result[6] and "text: 0 bytes" in result[9], result.text
    assert result.out == bare(many, "1")


def test_pending(debugger, many):
    result = debugger.session(many, ["gibbon wrap fun_* -count", "run", "gibbon stats"], args=["2"])
    assert result.out == bare(many, "2")
    assert re.search(r"^1 +%d " % (2 * COUNT), result[2], re.M), result[2]


def test_refused_ones_are_named(debugger, many):
    """By reason in a line; each of them when the patch is listed by its number. The others stand."""
    result = debugger.session(many, ["break main", "run", "gibbon wrap /^(fun|tiny)_/ -count", "gibbon list", "gibbon list 1", "continue"], args=["1"])
    summary = '%d refused: %d too short; "gibbon list 1" names them.' % (SHORT, SHORT)
    assert summary in result[2] and summary in result[3], result[2]
    for i in range(SHORT):
        assert re.search(r"^ +tiny_%d cannot be patched: .*5\.?$" % i, result[4], re.M), result[4]
    assert "tiny_" not in result[2] + result[3].replace("tiny)_", "")
    assert result.out == bare(many, "1")


def test_one_refused_is_told_at_once(debugger, many):
    result = debugger.session(many, ["break main", "run", "gibbon wrap /^(fun_1|tiny_1)$/ -count", "gibbon list"])
    for step in (2, 3):
        assert re.search(r"^ +1 refused: tiny_1 cannot be patched: ", result[step], re.M), result[step]


def test_all_or_none(debugger, many):
    """One refusal undoes all that the command did, in all its locations."""
    actions = ["break main", "run", LOAD]
    commands = ["!gibbon wrap /^(fun|tiny)_/ -all-or-none", "!gibbon wrap fun_1* fun_20 tiny_* -all-or-none", "!gibbon wrap fun_2 nowhere_at_all -all-or-none"]
    for command in commands:
        actions += [command, SAME, "gibbon list"]
    result = debugger.session(many, actions + ["gibbon wrap fun_* -all-or-none -count", "continue"], args=["1"])
    for number in range(len(commands)):
        first = 3 + 3 * number
        assert ("nowhere_at_all" if number == 2 else "tiny_0 cannot be patched: ") in result[first], result[first]
        assert ("With -all-or-none, nothing was patched." in result[first]) == (number < 2), result[first]
        assert result[first + 2] == "No patches.\n", result[first + 2]
        # Gibbon's own, so that exceptions pass: in no list.
        assert re.search(r"text: [0-9] bytes", result[first + 1]), result[first + 1]
    assert "<MULTIPLE>, %d functions." % COUNT in result[12]
    assert result.out == bare(many, "1")


def test_all_or_none_pending(debugger, many):
    """It was defined before the functions were there: it says why, and is on none of them."""
    result = debugger.session(many, ["gibbon wrap /^(fun|tiny)_/ -all-or-none -count", "break main", "run", "gibbon list", "continue"], args=["1"])
    assert "tiny_0 cannot be patched: " in result[2] + result[3] and "<PENDING>" in result[3], result.text
    assert "With -all-or-none, nothing was patched." in result[2], result.text
    assert result.out == bare(many, "1")


def test_all_or_none_later(debugger, target, many):
    """A library that comes later is a group of its own: all of its functions, or none of them; those before stand."""
    program, library = target("loader"), os.path.join(os.path.dirname(many), "libmany.so")
    if not os.path.exists(library):
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-Dmain=not_this", "-o", library, many + ".c", os.path.join(PROGRAMS, "libplugin.c")], check=True)
    for functions, refused in ("loaded|fun_[0-9]+|tiny_[0-9]+", True), ("loaded|fun_[0-9]+", False):
        result = debugger.session(program, ["gibbon wrap /^(%s)$/ -all-or-none -count" % functions, "tbreak loaded", "run", LOAD, SAME, "gibbon list", "gibbon delete", SAME, "continue"], args=[library])
        found = re.search(r"text: (\d+) bytes", result[4])
        assert ("tiny_0 cannot be patched: " in result[2] and "With -all-or-none, nothing more is patched." in result[2]) == refused, result.text
        assert ("1 refused: tiny_0 " in result[5]) == refused, result.text
        assert (int(found.group(1)) < 20) == refused and "text: 0 bytes" in result[7], result.text
        assert result.out == "101\n201\nover\n"


def test_preview(debugger, many):
    """explain counts what wrap then does, and changes nothing."""
    actions = ["break main", "run", LOAD, "gibbon explain /^(fun|tiny)_/", SAME, "gibbon list", "gibbon wrap /^(fun|tiny)_/ -count", "gibbon explain /^(fun|tiny)_/", "gibbon explain fun_7"]
    result = debugger.session(many, actions)
    assert "/^(fun|tiny)_/ means %d functions in 1 module:" % (COUNT + SHORT) in result[3]
    assert "%d can be patched:" % COUNT in result[3] and "%d cannot be patched:" % SHORT in result[3]
    assert re.search(r"^ +%d too short:$" % SHORT, result[3], re.M) and "tiny_0 cannot be patched: " in result[3] and "and 2 more" in result[3]
    assert re.search(r"^ +%d have a known prototype$" % COUNT, result[3], re.M) and "nothing was changed." in result[3]
    assert len(result[3].split("\n")) < 30
    assert "text: 0 bytes" in result[4] and result[5] == "No patches.\n"
    assert "%d functions." % COUNT in result[6]
    assert re.search(r"^ +%d are patched already, and would have one patch more$" % COUNT, result[7], re.M), result[7]
    assert "fun_7 at 0x" in result[8] and "is patched already: patch 1" in result[8]


def test_all_or_none_and_ifuncs(debugger, target):
    """Functions that are known only when the program has chosen them come under the same word."""
    program = target("calls", static=True)
    result = debugger.session(program, ["gibbon wrap /./ -all-or-none", "run", "gibbon list", "gibbon stats"], args=["3"])
    assert "With -all-or-none, nothing was patched." in result[1] and result.log == [], result.text
    assert result.out == bare(program, "3")


@pytest.mark.parametrize("options", ["-count", "-quiet -backtrace 4"])
def test_static_program_again(debugger, target, options):
    """All functions from the entry on, in one process after the other, also when one ends in the middle."""
    program = target("calls", static=True)
    result = debugger.session(program, ["gibbon wrap calls!* " + options, "run", "run", "tbreak work", "run", "run", "gibbon wrap calls!main -count", "run"], args=["3"])
    for step in (1, 2, 4, 5, 7):
        assert ("exited" in result[step]) == (step != 4), result.text
    assert result.out == bare(program, "3")


def test_the_end_of_a_threaded_program(debugger, target):
    """LLDB's server loses a process that ends while it resumes others of its threads; Gibbon stops at the end, unseen."""
    program = target("leavers")
    result = debugger.session(program, ["gibbon wrap puts -quiet"] + ["run"] * 5, args=["400"], timeout=150)
    for step in range(1, 6):
        assert re.search(r"exited with (code 07|status = 7 )", result[step]), result[step]
    assert result.out == "leaving\n"
