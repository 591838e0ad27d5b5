"""What a patch does not see is named: inlined copies, clones, other implementations, other functions for the same, threads inside."""
import os
import re
import subprocess
import sys

import pytest
from conftest import PROGRAMS

FLAGS = ["-D_FORTIFY_SOURCE=2", "-I" + PROGRAMS]
WAYS = [("gcc", []), ("clang", []), ("gcc", ["-gdwarf-4"]), ("clang", ["-gdwarf-4"])]


@pytest.fixture
def referring(target):
    def make(cc="gcc", flags=(), debug=True):
        library = target("libreferences.c", cc=cc, opt="-O2", shared=True, debug=debug, flags=flags)
        return target("references", cc=cc, opt="-O2", debug=debug, flags=[*flags, *FLAGS, library, "-Wl,-rpath," + os.path.dirname(library)])
    return make


def line_of(mark, source="references.c"):
    with open(os.path.join(PROGRAMS, source)) as file:
        return next(number for number, line in enumerate(file, 1) if "/* %s */" % mark in line)


def copies_of_add():
    return {"run (references.c:%d)" % line_of("COPY 1"), "run (references.c:%d)" % line_of("COPY 2"), "main (references.c:%d)" % line_of("COPY 3")}


def note(text, function):
    """The places in the line about inlined copies."""
    found = re.search(r"^(?:  |gibbon: patch \d+ \(\S+\): )(\d+) cop(?:y|ies) of %s\(\) (?:was|were) inlined and (?:is|are) not patched: (.*)\.$" % function, text, re.M)
    assert found, text
    places = found.group(2).split(", ")
    assert len(places) == int(found.group(1)), text
    return set(places)


def explained(text):
    return set(re.findall(r"^    (\S+ \(\S+:\d+\)(?: in \S+)?)$", text, re.M))


@pytest.mark.parametrize("cc,flags", WAYS)
def test_inlined_copies(debugger, referring, cc, flags):
    program = referring(cc, flags)
    result = debugger.session(program, ["break main", "run", "gibbon explain add", "gibbon wrap add", "gibbon explain add", "gibbon wrap outer", "gibbon explain outer", "continue"])
    assert explained(result[2]) == copies_of_add() == explained(result[4]), result.text
    assert note(result[3], "add") == copies_of_add()
    assert "inlined" not in result[5]
    assert "  inlined copies: none in the debug information\n" in result[6]
    # The inlined ones run without the patch: two of run's and one of main's.
    assert len(result.calls("add")) == 1 and len(result.calls("outer")) == 1, result.text


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_copies_in_other_modules(debugger, referring, cc):
    """A function of a header."""
    program = referring(cc)
    expected = {"main (references.c:%d)" % line_of("COPY 3"), "library (libreferences.c:%d) in libreferences.so" % line_of("COPY", "libreferences.c")}
    result = debugger.session(program, ["break main", "run", "gibbon explain scale", "gibbon wrap scale", "continue"])
    assert explained(result[2]) == expected
    assert note(result[3], "scale") == expected


def test_pending(debugger, referring):
    """Said once, when the patch is there; not at the second run."""
    result = debugger.session(referring(), ["gibbon wrap add", "run", "gibbon list", "run", "gibbon stats"])
    assert "inlined" not in result[0]
    assert len(re.findall("^gibbon: patch 1 .add.: 3 copies", result.text, re.M)) == 1, result.text
    assert note(result.text, "add") == copies_of_add()


def test_no_debug_information(debugger, referring):
    result = debugger.session(referring(debug=False), ["break main", "run", "gibbon explain add", "gibbon wrap add", "continue"])
    assert "  not seen: inlined copies, if there are any; references has no debug information for it\n" in result[2]
    assert "cop" not in result[3], result[3]


def test_clones(debugger, referring):
    program = referring("gcc", ["-O3", "--param", "ipa-cp-eval-threshold=1"])
    names = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    clones = set(re.findall(r" t (fill\.\S+)$", names, re.M))
    assert clones, "gcc made no clone"
    result = debugger.session(program, ["break main", "run", "gibbon explain fill", "gibbon wrap fill", "continue"])
    assert set(re.search(r"^  not seen: calls of its clones (.*)$", result[2], re.M).group(1).split(", ")) == clones
    assert set(re.search(r"^  Clones of fill\(\) are not patched: (.*)\.$", result[3], re.M).group(1).split(", ")) == clones
    assert result.bodies("fill") == ["fill(n=1, with=2) = %s" % result.only("fill").rsplit(" ", 1)[1]]


def test_only_clones_are_there(debugger, target):
    """The compiler has replaced the function itself by copies for its callers."""
    program = target("unit_a.c", "unit_b.c", opt="-O2", flags=("-flto",))
    names = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    clones = re.findall(r" t (local\.\S+)$", names, re.M)
    assert len(clones) == 2 and not re.search(r" t local$", names, re.M)
    result = debugger.session(program, ["break main", "run", "!gibbon wrap local", "gibbon wrap %s" % clones[0], "continue"])
    assert 'Function "local" not found in any loaded module. Only clones of it are there: %s.' % ", ".join(clones) in result[2]
    assert len(result.calls(clones[0])) == 1
    result = debugger.session(program, ["gibbon wrap local", "run", "gibbon list"])
    assert "gibbon: patch 1 found no function local in any module of the program. Only clones of it are there: %s." % ", ".join(clones) in result.text


def test_clones_have_arguments_of_their_own(debugger, referring):
    """Debug information has the source's parameters, of which the compiler has taken some away."""
    program = referring("gcc", ["-O3", "--param", "ipa-cp-eval-threshold=1"])
    result = debugger.session(program, ["gibbon wrap fill.constprop.0", "run"])
    assert len(result.calls("fill.constprop.0")) == 2 and "with=" not in result.text, result.text


@pytest.mark.parametrize("location,named", [("libc.so.6!getenv", True), ("getenv", False)])
def test_same_name_elsewhere(debugger, target, location, named):
    """The program's own getenv is what its calls go to."""
    result = debugger.session(target("owngetenv", flags=["-rdynamic"]), ["break main", "run", "gibbon explain " + location, "gibbon wrap " + location, "continue"])
    assert ("  not seen: the same name elsewhere, getenv in owngetenv\n" in result[2]) == named
    assert ("  Another function of that name is not patched: getenv in owngetenv.\n" in result[3]) == named
    assert "Another function" in result[3] or not named


def test_implementations_not_chosen(debugger, referring):
    result = debugger.session(referring(), ["break run", "run", "gibbon explain choice", "gibbon explain libc.so.6!memcpy"])
    assert re.search(r"^  not seen: implementations that were not chosen, choice_(plain|other)$", result[2], re.M), result[2]
    chosen = re.search(r"^  also seen: .*choice_(plain|other)$", result[2], re.M).group(1)
    assert "chosen, choice_" + chosen not in result[2]
    assert len(re.search(r"implementations that were not chosen, (.*)", result[3]).group(1).split(", ")) > 3, result[3]


def test_siblings(debugger, referring):
    """Headers turn read() into __read_chk(); the program calls that."""
    result = debugger.session(referring(), ["break run", "run", "gibbon explain libc.so.6!read", "gibbon wrap libc.so.6!read", "gibbon explain libc.so.6!qsort", "gibbon wrap qsort"])
    assert re.search(r"^  not seen: other functions for the same, __read_chk \(called by references\)", result[2], re.M), result[2]
    assert "  not seen: direct system calls, by instructions of the caller's own\n" in result[2]
    assert re.search(r"^  Other functions for the same are not patched: __read_chk \(called by references\)\.$", result[3], re.M), result[3]
    assert "system calls" not in result[4] and "for the same" not in result[4] + result[5]


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_thread_inside(debugger, referring, cc):
    program = referring(cc)
    result = debugger.session(program, ["break run", "run", "gibbon explain outer", "gibbon explain run", "gibbon explain fills", "gibbon wrap outer run fills", "continue"])
    assert "  inside it now: thread 1, whose call finishes with the old code\n" in result[2]
    assert "inside it" not in result[4]
    assert "  Thread 1 is inside outer() now, and finishes its call with the old code.\n" in result[5]
    assert "inside fills" not in result[5]
    assert result.calls("outer") == [] and len(result.calls("run")) == 1, result.text


@pytest.mark.parametrize("opt", ["-O0", "-O2"])
def test_threads_inside(debugger, target, opt):
    """The call that begins later is seen."""
    result = debugger.session(target("waiters", opt=opt), ["break stop_here", "run", "gibbon explain work", "gibbon wrap work", "continue"])
    assert "  inside it now: threads 2, 3, 4, 5, 6, 7, 8, whose calls finish with the old code\n" in result[2]
    assert "  Threads 2, 3, 4, 5 and 3 more are inside work() now, and finish their calls with the old code.\n" in result[3]
    assert result.bodies("work") == ["work(n=3) = 4"] and result.out == "32\n", result.text


def test_many_in_one_line(debugger, tmp_path):
    """Functions by the thousand: the number of those with copies, and nothing of each."""
    source, program = str(tmp_path / "many.c"), str(tmp_path / "many")
    with open(source, "w") as file:
        file.write("volatile int sum;\n")
        for i in range(500):
            file.write("int f_%d(int n) { return sum += n * %d; }\n" % (i, i))
        file.write("int main(void) {\n int (*volatile all[])(int) = {%s};\n" % ", ".join("f_%d" % i for i in range(500)))
        for i in range(0, 500, 10):
            file.write("  f_%d(%d);\n" % (i, i))
        file.write(" for (int i = 0; i < 500; i++) all[i](i);\n return 0;\n}\n")
    subprocess.run(["gcc", "-O2", "-g", "-o", program, source], check=True)
    result = debugger.session(program, ["break main", "run", "gibbon wrap f_* -count", "continue", "gibbon stats"])
    lines = [line for line in result[2].split("\n") if "inlined" in line]
    assert lines == ['  50 of them have inlined copies, which are not seen; "gibbon explain f_0" names those of the first.'], result[2]
    assert re.search(r"^1 +500 ", result[4], re.M), result[4]


def test_long_list_is_cut(debugger, tmp_path):
    source, program = str(tmp_path / "often.c"), str(tmp_path / "often")
    with open(source, "w") as file:
        file.write("volatile int sum;\nint f(int n) { return sum += n; }\n")
        for i in range(11):
            file.write("int g_%d(int n) {\n return f(n + %d) * 2;\n}\n" % (i, i))
        file.write("int main(void) { int (*volatile p)(int) = f; return p(0) + %s; }\n" % " + ".join("g_%d(1)" % i for i in range(11)))
    subprocess.run(["gcc", "-O2", "-g", "-fno-inline-small-functions", "-finline-functions-called-once", "-o", program, source], check=True)
    result = debugger.session(program, ["break main", "run", "gibbon explain f", "gibbon wrap f"])
    places = explained(result[2])
    if not places:
        pytest.skip("gcc did not inline")
    assert re.search(r"^  %d copies of f\(\) were inlined and are not patched: (\w+ \(often\.c:\d+\), ){3}\w+ \(often\.c:\d+\) and %d more\.$" % (len(places), len(places) - 4), result[3], re.M), result[3]
    assert '  "gibbon explain f" names them all.\n' in result[3]


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_members_and_templates(debugger, target, cc):
    program = target("references.cc", cc=cc, opt="-O2", flags=["-I" + PROGRAMS])
    result = debugger.session(program, ["break stop_here", "run", "gibbon wrap Box::get 'Box::convert<int>' outside"])
    for name in (r"Box::get\(int\) const", r"int Box::convert<int>\(int\)", r"outside\(int\)"):
        assert re.search(r"^  1 copy of %s was inlined and is not patched: main \(references\.cc:%d\)\.$" % (name, line_of("COPY", "references.cc")), result[2], re.M), result[2]


def test_a_pointer_to_the_next_function_is_no_return_address(debugger, target):
    program = target("behind", opt="-O0")
    places = {name: (int(value, 16), int(size, 16)) for value, size, _kind, name in (line.split() for line in subprocess.run(["nm", "-S", program], capture_output=True, text=True, check=True).stdout.splitlines() if len(line.split()) == 4)}
    assert sum(places["risky"]) == places["work"][0], "the compiler leaves room between them"
    result = debugger.session(program, ["break work", "run", "gibbon wrap risky -quiet", ("delete", "breakpoint delete -f"), "continue"])
    assert "Patch 1" in result[2] and "inside" not in result[2], result[2]
