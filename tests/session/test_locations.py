"""Everything that a LOCATION may be."""
import re
import subprocess

import pytest


def test_module_and_function(debugger, target):
    result = debugger.session(target("errors"), ["break main", "run", "gibbon wrap libc.so.6!getenv", "gibbon wrap errors!main", "!gibbon wrap errors!getenv", "continue"])
    assert re.search(r"^Patch 1: wrap libc\.so\.6!getenv at 0x[0-9a-f]{16} in libc\.so\.6\.$", result[2], re.M)
    assert re.search(r"^Patch 2: wrap errors!main at 0x[0-9a-f]{16} in errors\.$", result[3], re.M)
    assert re.search(r'Function "getenv" not found in module "errors"\.', result[4])
    assert len(result.calls("getenv")) >= 2


@pytest.mark.parametrize("location", ["*work", "*&work", "*ADDRESS", "*ADDRESS+0"])
def test_address(debugger, target, location):
    program = target("calls", pie=False)
    address = re.search(r"^([0-9a-f]+) T work$", subprocess.run(["nm", program], capture_output=True, text=True).stdout, re.M).group(1)
    location = location.replace("ADDRESS", "0x" + address)
    if location == "*work" and debugger.name == "lldb":
        location = "*&work"
    result = debugger.session(program, ["break main", "run", "gibbon wrap " + location, "gibbon list", "continue"], args=["3"])
    assert "at 0x%016x in calls." % int(address, 16) in result[2], result[2]
    assert len(result.calls("work")) == 3 and re.search(r"work in calls \(", result[3])


def test_a_name_in_every_class(debugger, target):
    """`*::name` is a glob, no address."""
    result = debugger.session(target("conditions.cc"), ["break main", "run", "gibbon wrap *::feed -count", "!gibbon wrap *::nosuch", "gibbon wrap *(::main) -count" if debugger.name == "gdb" else "gibbon wrap *&main -count",
                                                        "continue", "gibbon list"])
    assert "2 functions" in result[2] and 'Function "*::nosuch" not found' in result[3] and "main() now" in result[4], result.text
    assert re.findall(r"called (\d+) times?", result[6])[0] == "24", result[6]


def test_address_inside_a_function_is_refused(debugger, target):
    """A detour in the middle of a function is never what is meant."""
    result = debugger.session(target("calls"), ["break main", "run", "!gibbon wrap *&work+2", "!gibbon wrap *0", "!gibbon wrap *0x10", "gibbon list", "continue"], args=["3"])
    for step in (3, 4):
        assert re.search(r"0x[0-9a-f]+|0", result[step]) and "Patch" not in result[step]
    assert "Patch" not in result[2] and result.out == "3 calls, last 3\n"
    assert result[5] == "No patches.\n"


def test_file_and_function(debugger, target):
    """Two static functions of one name: the file tells them apart."""
    program = target("unit_a.c", "unit_b.c")
    result = debugger.session(program, ["break main", "run", "gibbon wrap unit_b.c:local", "gibbon wrap local -quiet", "!gibbon wrap unit_c.c:local", "!gibbon wrap unit_a.c:7", "continue", "gibbon stats"])
    assert result.bodies("local") == ["local(n=2) = 102"]
    assert "Patch 2: wrap local <MULTIPLE>, 2 functions." in result[3]
    assert "unit_c.c" in result[4] or "not found" in result[4]
    assert "names a line" in result[5]
    assert re.search(r"^2 +2 ", result[7], re.M) and result.out == "2 103\n"


@pytest.mark.parametrize("cc, flags", [("gcc", ("-flto",)), ("clang", ("-funique-internal-linkage-names",))], ids=["lto", "unique"])
def test_names_made_unique(debugger, target, cc, flags):
    """`local.lto_priv.0` and `local.__uniq.71` are names of the linker's; the function is `local`."""
    program = target("unit_a.c", "unit_b.c", cc=cc, opt="-O1", flags=flags)
    assert len(re.findall(r" t (?:local|_ZL5locali)\.\w+\.\d+$", subprocess.run(["nm", program], capture_output=True, text=True).stdout, re.M)) == 2
    result = debugger.session(program, ["break main", "run", "gibbon wrap local -quiet", "gibbon delete 1", "gibbon wrap unit_*!local* -quiet", "gibbon delete 2", "gibbon wrap unit_b.c:local", "continue"])
    assert "Patch 1: wrap local <MULTIPLE>, 2 functions." in result[2]
    assert "Patch 2: wrap unit_*!local* <MULTIPLE>, 2 functions." in result[4]
    assert result.bodies("local") == ["local(n=2) = 102"]


@pytest.mark.parametrize("debug", [True, False])
def test_cxx_names(debugger, target, debug):
    program = target("cxx.cc", debug=debug)
    result = debugger.session(program, ["break main", "run", "gibbon wrap zoo::feed(int)", "gibbon wrap 'zoo::feed(char const*)'", "gibbon wrap zoo::Ape::climb", "gibbon wrap zoo::Ape::weigh",
                                        "gibbon wrap \"zoo::Ape::swing(unsigned char)\"", "gibbon list", "gibbon delete 1-5", "gibbon wrap zoo::feed", "gibbon list", "gibbon delete",
                                        "continue"])
    for step in range(2, 7):
        assert re.search(r"^Patch %d: wrap zoo::.* at 0x[0-9a-f]{16} in cxx\.$" % (step - 1), result[step], re.M), result[step]
    assert "Patch 6: wrap zoo::feed <MULTIPLE>, 2 functions." in result[9]
    assert result.out == subprocess.run([program], capture_output=True, text=True).stdout


def test_cxx_calls(debugger, target):
    result = debugger.session(target("cxx.cc"), ["gibbon wrap zoo::feed zoo::Ape::climb zoo::Ape::weigh zoo::Ape::swing zoo::largest*", "run"])
    feed = [line.split("] ")[1].split(" ", 1)[1] for line in result.log if "zoo::feed" in line]
    assert len(feed) == 2 and "(n=41) = 42" in feed[0] + feed[1] and '(what="A") = 65' in feed[0] + feed[1], result.log
    assert [b for b in result.log if "zoo::Ape::climb" in b and re.search(r"\(this=0x[0-9a-f]+, metres=3\) = 21", b)], result.log
    assert [b for b in result.log if "zoo::Ape::weigh" in b and "(kilos=5) = 2.5" in b], result.log
    assert [b for b in result.log if "zoo::Ape::swing" in b and re.search(r"\(this=0x[0-9a-f]+, times=(9|'\\t')\) = 9", b)], result.log
    assert [b for b in result.log if "zoo::largest" in b and "(a=3, b=4) = 4" in b] and [b for b in result.log if "(a=1.5, b=0.5) = 1.5" in b], result.log


def test_tags_may_be_left_out(debugger, target):
    """`repeat[abi:cxx11]` is `repeat` to people and to both debuggers."""
    locations = ["repeat", "'repeat(int)'", "repeat[abi:cxx11]", "'repeat[abi:cxx11](int)'", "ns::Store::get", "tagged!*Store::get"]
    result = debugger.session(target("tagged.cc"), ["break main", "run", "!gibbon wrap Store::get"] + ["gibbon wrap %s -quiet if n == 3" % location for location in locations] + ["continue", "gibbon list"])
    assert "Did you mean ns::Store::get?" in result[2], result[2]
    assert re.findall(r"called (\d+) time", result[len(locations) + 4]) == ["1"] * len(locations), result.text


def test_clones_and_long_names_in_refusals(debugger, target):
    program = target("tagged.cc", opt="-O2")
    clone = re.search(r"_ZN2nsL6shrunk\S+", subprocess.run(["nm", program], capture_output=True, text=True).stdout).group(0)
    assert ".isra" in clone or ".constprop" in clone
    method = "ns::a_namespace_with_a_name_of_its_own_length_and_a_half::ClassOfWhichTheNameIsNotShortEither::method_at_the_very_end_of_it"
    result = debugger.session(program, ["break main", "run", "!gibbon wrap ns::shrunk", "!gibbon wrap tagged.cc:ns::shrunk"])
    assert 'Function "ns::shrunk" not found in any loaded module. Only clones of it are there: %s.' % clone in result[2], result[2]
    assert "Clones are there: %s." % clone in result[3], result[3]
    result = debugger.session(target("tagged.cc"), ["break main", "run", "!gibbon wrap %s if nosuch == 3" % method, "!gibbon wrap %ss" % method])
    assert 'Function "ns::a_namespace_with_a...' in result[3], result[3]
    assert re.search(r"does not fit ns::a_namespace_with\S*\.\.\.\S*at_the_very_end_of_it(\(int\))?: column 1: \"nosuch\" is no argument of", result[2]), result[2]


def test_globs(debugger, target):
    result = debugger.session(target("calls"), ["break main", "run", "gibbon wrap calls!*e* -count", "gibbon wrap libc.so.6!str*dup", "gibbon wrap libc*!getenv", "!gibbon wrap calls!zzz*", "gibbon list",
                                                "continue"], args=["3"])
    assert re.search(r"^Patch 1: wrap calls!\*e\* <MULTIPLE>, \d+ functions\.$", result[2], re.M), result[2]
    assert re.search(r"^Patch 2: wrap libc\.so\.6!str\*dup <MULTIPLE>, [2-9] functions\.$", result[3], re.M), result[3]
    assert re.search(r"^Patch 3: wrap libc\*!getenv at 0x[0-9a-f]{16} in libc\.so\.6\.$", result[4], re.M), result[4]
    assert "zzz*" in result[5] and "Patch" not in result[5]
    assert result.out == "3 calls, last 3\n"


def test_glob_over_a_library(debugger, target):
    """A thousand functions of libc counted at once, and the program does not notice."""
    program = target("arguments")
    bare = subprocess.run([program], capture_output=True, text=True).stdout
    result = debugger.session(program, ["break main", "run", "gibbon wrap libc.so.6!*printf* libc.so.6!*mem* libc.so.6!*str* -count", "continue", "gibbon stats"], timeout=100)
    assert result.out == bare
    assert re.search(r"<MULTIPLE>, \d{2,} functions", result[2]), result[2]
    assert "Traceback" not in result.text and re.search(r"^1 +[1-9]\d* ", result[4], re.M), result[4]


def test_ifunc(debugger, target):
    """memcpy has several implementations: the one in use is patched."""
    result = debugger.session("/usr/bin/sqlite3" if __import__("os").path.exists("/usr/bin/sqlite3") else target("heap"),
                              ["gibbon wrap memcpy strlen -count", "run", "gibbon stats"], args=[":memory:", "select 'x' || hex(zeroblob(5000))"])
    counts = [int(n) for n in re.findall(r"^\d +(\d+) ", result[2], re.M)]
    assert counts[0] > 0 and counts[1] > 0, result.text


def test_nearest_name_is_offered(debugger, target):
    result = debugger.session(target("calls"), ["break main", "run", "!gibbon wrap mkdtmp", "!gibbon wrap wrok"])
    assert re.search(r'Function "mkdtmp" not found in any loaded module\. Did you mean mkdtemp\?', result[2]), result[2]
    assert re.search(r'Function "wrok" not found', result[3]) and "-pending" in result[3]


def test_fuller_name_is_offered(debugger, target):
    """A name without its namespace, or a template's without arguments, which debuggers would find."""
    result = debugger.session(target("cxx.cc"), ["break main", "run", "!gibbon wrap feed", "!gibbon wrap climb", "!gibbon wrap Ape::climb", "!gibbon wrap zoo::largest", "!gibbon wrap largest", "!gibbon wrap nest", "gibbon list"])
    for step, name in (2, "zoo::feed"), (3, "zoo::Ape::climb"), (4, "zoo::Ape::climb"):
        assert "not found in any loaded module. Did you mean %s?" % name in result[step], result[step]
    for step in 5, 6:
        assert re.search(r"Did you mean zoo::largest<(int|double)>\?", result[step]), result[step]
    assert "Did you mean zoo" not in result[7] and result[8] == "No patches.\n"


@pytest.mark.parametrize("location", ["!f", "libc.so.6!", "?!f", "a.c:", "/str[/", "''", "f:g:", "libc.so.6!*0x10"])
def test_wrong_locations(debugger, target, location):
    result = debugger.session(target("calls"), ["break main", "run", "!gibbon wrap " + location, "gibbon list"])
    sentence = debugger.error(result[2])
    assert len(sentence) == 1 and re.search(r"\w.*[.)]$", sentence[0]), result[2]
    assert result[3] == "No patches.\n"
