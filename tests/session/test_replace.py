"""gibbon replace: other code in place of a function."""
import os
import re
import subprocess

import pytest
from test_mock import bare, every_build, lines


@every_build
@pytest.mark.parametrize("options", ["", " -count", " -after 0"])
def test_one_function(debugger, target, cc, opt, options):
    """Registers that the original leaves alone survive: gcc's callers in the same file rely on it."""
    program = target("results", cc=cc, opt=opt)
    expected = re.sub(r"add \d+", lambda m: "add %d" % (10 * (int(m.group()[4:]) - 10)), bare(program, "4"))
    result = debugger.session(program, ["gibbon replace add multiply" + options, "run", "gibbon list"], args=["4"])
    assert re.match(r"Patch 1: replace add <PENDING> with multiply\.$", result[0])
    assert result.out == expected
    assert "replace  keep y   <PENDING>          add with multiply" in result[2]


@every_build
def test_registers_that_the_original_leaves_alone(debugger, target, cc, opt):
    """gcc's -fipa-ra, part of -O2: the caller keeps its numbers in registers that thrifty() does not touch, and greedy() does."""
    program = target("thrifty", cc=cc, opt=opt)
    assert bare(program) == "thrifty 1033\n"
    result = debugger.session(program, ["gibbon replace thrifty greedy", "run"])
    assert result.out == "greedy 1033\n", result.text


@every_build
def test_stack_arguments(debugger, target, cc, opt):
    program = target("results", cc=cc, opt=opt)
    result = debugger.session(program, ["gibbon replace sum last", "run"], args=["2"])
    assert result.out == re.sub(r"sum \d+", "sum 8", bare(program, "2"))


def test_filters_and_switches(debugger, target):
    program = target("results", opt="-O2")
    actions = ["break nothing", "gibbon replace add multiply -every 2", "run", "continue", "continue", "continue", "gibbon list", "gibbon delete 1", "continue", "continue"]
    result = debugger.session(program, actions + ["continue"], args=["6"])
    assert [int(line.split()[1]) for line in lines(result.out, "add")] == [11, 20, 13, 40, 15, 16]
    assert "called 2 times" in result[6]


def test_disabled_and_deleted(debugger, target):
    actions = ["break nothing", "gibbon replace add multiply", "run", "gibbon disable 1", "continue", "gibbon enable 1", "continue", "gibbon delete", "continue", "continue"]
    result = debugger.session(target("results"), actions, args=["4"])
    assert [int(line.split()[1]) for line in lines(result.out, "add")] == [10, 12, 30, 14]


@pytest.fixture
def swap(target):
    """A program that was linked with one library, and a second one that exports the same functions."""
    slow = target("codec.c", shared=True, name="libslow.so", flags=["-DNAME=\"slow\""])
    fast = target("codec.c", shared=True, name="libfast.so", flags=["-DNAME=\"fast\"", "-DFAST"])
    program = target("codecs.c", flags=["-Wl,--no-as-needed", slow, fast, "-Wl,-rpath," + os.path.dirname(slow), "-Wl,-rpath," + os.path.dirname(fast)])
    return program


def test_a_library_by_another(debugger, swap):
    """json by ujson: every same-named export."""
    assert bare(swap) == "slow encode 1\nslow decode 2\nslow only 3\n"
    result = debugger.session(swap, ["gibbon replace libslow.so!* libfast.so", "run", "gibbon list 1"])
    assert result.out == "fast encode 1\nfast decode 2\nslow only 3\n"
    started = debugger.session(swap, ["break main", "run", "gibbon replace libslow.so!* libfast.so", "gibbon list 1", "continue"])
    assert "<MULTIPLE>, 2 functions with libfast.so" in started[2], started[2]
    assert "only has no namesake that libfast.so exports" in started[3], started[3]
    assert started.out == result.out


@pytest.fixture
def swap_file(target):
    """The same, and the program knows nothing of the second library."""
    slow = target("codec.c", shared=True, name="libslow.so", flags=["-DNAME=\"slow\""])
    fast = target("codec.c", shared=True, name="libfast.so", flags=["-DNAME=\"fast\"", "-DFAST"])
    return target("codecs.c", name="one", flags=["-Wl,--no-as-needed", slow, "-Wl,-rpath," + os.path.dirname(slow)]), fast


def test_a_library_by_a_file(debugger, swap_file, tmp_path):
    """A path brings the library in; the saved command has all of it."""
    program, fast = swap_file
    saved = str(tmp_path / "saved")
    result = debugger.session(program, ["gibbon replace libslow.so!* " + fast, "gibbon save " + saved, "run", "gibbon list"])
    assert result.out == "fast encode 1\nfast decode 2\nslow only 3\n", result.text
    assert debugger.session(program, ["source " + saved, "run"]).out == result.out
    started = debugger.session(program, ["break main", "run", "gibbon replace libslow.so!* " + fast, "gibbon delete", "gibbon replace libslow.so!encode " + fast, "continue"])
    assert "<MULTIPLE>, 2 functions with " + fast in started[2]
    assert started.out == "fast encode 1\nslow decode 2\nslow only 3\n"


def test_a_library_by_another_build_of_it(debugger, target):
    """Both have one SONAME."""
    slow = target("codec.c", shared=True, name="libsame.so", flags=["-DNAME=\"slow\""])
    fast = target("codec.c", shared=True, name="libsame.so", flags=["-DNAME=\"fast\"", "-DFAST"])
    program = target("codecs.c", name="same", flags=["-Wl,--no-as-needed", slow, "-Wl,-rpath," + os.path.dirname(slow)])
    result = debugger.session(program, ["gibbon replace libsame.so!* " + fast, "break decode", "run", "gibbon list", ("delete", "breakpoint delete -f"), "continue"])
    assert "<MULTIPLE>         libsame.so!*, 2 functions with " + fast in result[3] and "itself" not in result[3], result[3]
    assert result.out == "fast encode 1\nfast decode 2\nslow only 3\n"


@pytest.mark.parametrize("source,what", [
    ("__attribute__((constructor)) static void begin(void) {}", "has a constructor, begin, which would not run"),
    ("__thread int t; int get(void) { return t++; }", "has thread-local variables"),
])
def test_a_library_that_needs_the_loader(debugger, swap_file, tmp_path, source, what):
    (tmp_path / "libown.c").write_text(source)
    library = str(tmp_path / "libown.so")
    subprocess.run(["gcc", "-shared", "-fPIC", str(tmp_path / "libown.c"), "-o", library], check=True)
    result = debugger.session(swap_file[0], ["!gibbon replace libslow.so!* " + library, "!gibbon replace libslow.so!* ./libnone.so", "gibbon list"])
    assert what in result[0] and "Start the program with LD_PRELOAD=%s, and name it without a directory." % library in result[0]
    assert "./libnone.so cannot be read: No such file or directory." in result[1]
    assert result[2] == "No patches.\n"


def test_waits_for_the_replacement(debugger, target):
    """Neither is there when the patch is defined, nor comes the replacement with the program."""
    plugin = target("codec.c", shared=True, name="libfast.so", flags=["-DNAME=\"fast\"", "-DFAST"])
    program = target("codecs.c", name="late", flags=["-DLATE=\"%s\"" % plugin])
    assert bare(program) == "own 1\nown 1\n"
    result = debugger.session(program, ["gibbon replace own libfast.so!encode_number", "run", "gibbon list"])
    assert result.out == "own 1\nfast 1\n"


def test_a_warning_when_they_differ(debugger, target):
    result = debugger.session(target("results"), ["break main", "run", "gibbon replace add half", "gibbon replace add sum", "gibbon replace half quarter", "gibbon replace add multiply"])
    assert "  Warning: add and its replacement differ: one returns int, the other double.\n" in result[2]
    assert "Warning: add and its replacement differ: one returns int, the other long" in result[3]
    assert "Warning: half and its replacement differ: one returns double, the other long double.\n" in result[4]
    assert "Warning" not in result[5]


def test_no_circle(debugger, target):
    result = debugger.session(target("results"), ["break main", "run", "gibbon replace add multiply", "!gibbon replace multiply add", "gibbon list", "continue"])
    assert "multiply is what patch 1 puts in place of that function; they would call each other for ever." in result[3], result[3]
    assert "add 10 multiply 10" in result.out


@pytest.mark.parametrize("command,message", [
    ("gibbon replace add", '"gibbon replace" needs a function and what runs instead'),
    ("gibbon replace add add", "add cannot be replaced by itself."),
    ("gibbon replace add m*", '"m*" may mean many functions; the second word of "gibbon replace" is one function, or a library.'),
    ("gibbon replace nosuch add", 'Function "nosuch" not found in any loaded module.'),
])
def test_mistakes(debugger, target, command, message):
    result = debugger.session(target("results"), ["break main", "run", "!" + command, "gibbon list"])
    assert message in result[2], result[2]
    assert result[3] == "No patches.\n"


def test_save_and_restore(debugger, target, tmp_path):
    saved = str(tmp_path / "saved")
    first = debugger.session(target("results"), ["gibbon replace add results!multiply -count", "gibbon save " + saved, "run"])
    second = debugger.session(target("results"), ["source " + saved, "run", "gibbon list"])
    assert first.out == second.out and "add 10 " in second.out
    assert "add with results!multiply -count" in second[2]


def test_bt_and_finish(debugger, target):
    """The replacement looks as if it had been called."""
    result = debugger.session(target("results"), ["gibbon replace add multiply", "break multiply", "run", "backtrace", "finish", "continue", "continue"])
    assert re.search(r"#0:? .*multiply.*\n(.*gibbon:add.*\n)?.*#\d:? .*main", result[3]), result[3]
    assert subprocess.run(["grep", "-c", "add 10 "], input=result.out, capture_output=True, text=True).stdout == "1\n"


def test_a_misspelt_replacement(debugger, target):
    """It is waited for, as it may come with a library; a name like it is offered."""
    result = debugger.session(target("calls"), ["break main", "run", "gibbon replace work worc", "gibbon wrap work -handler puts0 -quiet", "gibbon replace work nothing_like_it", "continue"], args=["3"])
    assert "  1 waiting: worc is in no loaded module yet.\n  Did you mean work?\n" in result[2]
    assert "  Did you mean puts?\n" in result[3] and "Did you mean" not in result[4]
    assert result.out == "3 calls, last 3\n"
