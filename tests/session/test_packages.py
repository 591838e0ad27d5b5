"""Packages: C code of the user's, found by name, that wraps, replaces and mocks functions of the program."""
import os
import re
import subprocess

import harness
import pytest
from harness import text_differences
from test_mock import bare, every_build

MOCKS = """
#include <errno.h>
#include <gibbon/package.h>
GIBBON_MOCK("libc.so.6", getaddrinfo, -2);
GIBBON_MOCK("libm.so.6", cos, 0.5);
GIBBON_MOCK("libc.so.6", getenv, "the same for every name");
GIBBON_MOCK("libc.so.6", fopen, NULL);
GIBBON_MOCK_ERRNO("libc.so.6", open, -1, EACCES);
GIBBON_MOCK("libc.so.6", getpid, 1);
GIBBON_MOCK("libc.so.6", getppid, 0);
GIBBON_SET("ids", getpid, getppid);
GIBBON_SET("all", getpid, getppid, "cos");
"""
MOCKED = ["sorted 123", "pid 1 1 1", "parent 1", "cos 0.500", "home the same for every name", "open EACCES", "fopen 0", "getaddrinfo -2", "sleep 0", "strlen 4", "thread 1", "child 1"]

WRAPS = """
#include <errno.h>
#include <fcntl.h>
#include <gibbon/package.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
typedef int order(const void *, const void *);
static void backwards(void *, size_t, size_t, order *);
GIBBON_WRAP("libc.so.6", qsort, backwards);
static int greater(const void *a, const void *b) { return *(const int *)b - *(const int *)a; }
static void backwards(void *base, size_t count, size_t size, order *ignored)
{
    char *text = malloc(100); /* an IFUNC or two, and errno */
    strcpy(text, "a text");
    errno = ENOENT;
    printf("qsort %zu %zu %s\\n", count, strlen(text), strerror(errno));
    free(text);
    GIBBON_ORIGINAL(qsort)(base, count, size, greater);
}
static unsigned long allocations;
static void *count(size_t size);
GIBBON_WRAP("libc.so.6", malloc, count);
static void *count(size_t size)
{
    __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return GIBBON_ORIGINAL(malloc)(size);
}
static unsigned no_sleep(unsigned seconds)
{
    return allocations ? seconds + 7 : 0;
}
GIBBON_REPLACE("libc.so.6", sleep, no_sleep);
static size_t longer(const char *text);
GIBBON_WRAP("libc.so.6", strlen, longer);
static size_t longer(const char *text)
{
    size_t size = GIBBON_ORIGINAL(strlen)(text);
    return size == 4 && !memcmp(text, "four", 4) ? 44 : size;
}
static int tell_open(const char *path, int flags, ...);
GIBBON_WRAP("libc.so.6", open, tell_open);
static int tell_open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    int mode = flags & O_CREAT ? va_arg(list, int) : 0;
    va_end(list);
    int fd = GIBBON_ORIGINAL(open)(path, flags, mode);
    if (!strcmp(path, "/etc/passwd"))
        printf("opened\\n");
    return fd;
}
static void here(void) { printf("libm\\n"); }
GIBBON_ON_LOAD("libm.so.6", here);
static void program(void) { printf("program\\n"); }
GIBBON_ON_LOAD("", program);
"""

ADD = """
#include <gibbon/package.h>
int add(int a, int b);
static int other(int a, int b);
GIBBON_WRAP("", add, other);
static int other(int a, int b) { return GIBBON_ORIGINAL(add)(a, b) %s; }
"""

HOSTED = """
#include <gibbon/package.h>
#include <stdio.h>
int hosted_value(int);
static int more(int n);
GIBBON_WRAP("libhosted.so", hosted_value, more);
static int more(int n) { return 10 * GIBBON_ORIGINAL(hosted_value)(n); }
static int loads;
static void hook(void) { printf("load %d\\n", ++loads); fflush(stdout); } /* each namespace has a libc of its own */
GIBBON_ON_LOAD("libhosted.so", hook);
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes a package and gives its path."""

    def write(name, text, directory="packages", mode=0o644):
        folder = tmp_path / directory
        folder.mkdir(exist_ok=True)
        file = folder / name
        file.write_text(text)
        file.chmod(mode)
        return str(file)

    return write


@pytest.fixture
def patched(target):
    return lambda **kinds: target("patched", flags=["-lm"], **kinds)


@pytest.fixture
def host(target):
    return target("host"), target("libhosted.c", shared=True, name="libhosted.so")


def added(text):
    return [int(n) for n in re.findall(r"^add (-?\d+)$", text, re.M)]


def shared(source):
    """Compiled as docs/packages.md says."""
    out = source[:-1] + "so"
    subprocess.run(["cc", "-shared", "-fPIC", "-I", os.path.join(harness.ROOT, "core", "include"), source, "-o", out], check=True)
    return out


@every_build
def test_mocks_of_every_kind(debugger, patched, package, cc, opt):
    """Also in a constructor, through a pointer taken early, in a thread and in a child."""
    result = debugger.session(patched(cc=cc, opt=opt), ["gibbon load " + package("mocks.c", MOCKS), "run", "gibbon list"])
    assert result.out.split("\n")[:12] == MOCKED
    assert 'getenv <PENDING> returns "the same for every name"' in result[0]
    assert "open returns -1 -errno EACCES" in result[2]


@every_build
def test_wrappers_that_use_libc(debugger, patched, package, cc, opt):
    program = patched(cc=cc, opt=opt)
    result = debugger.session(program, ["gibbon load " + package("wraps.c", WRAPS), "run"])
    expected = bare(program).replace("sorted 123", "qsort 3 6 No such file or directory\nsorted 321").replace("sleep 0", "sleep 7").replace("open works", "opened\nopen works")
    length = "strlen 4" if opt == "-O2" or cc == "clang" else "strlen 44"  # the compiler knows the length
    out = result.out.replace("strlen 44", "strlen 4") if "strlen 44" in result.out else result.out
    assert out == "libm\nprogram\n" + expected, (length, result.text)


@pytest.mark.parametrize("words,mocked", [("ids", {"pid", "parent"}), ("all", {"pid", "parent", "cos"}), ("cos", {"cos"}), ("fopen ids", {"pid", "parent", "fopen"})])
def test_a_set_or_a_function_of_a_package(debugger, patched, package, words, mocked):
    result = debugger.session(patched(), ["gibbon load %s %s" % (package("mocks.c", MOCKS), words), "run"])
    plain = bare(patched()).split("\n")
    different = {a.split()[0] for a, b in zip(result.out.split("\n"), plain) if a != b} - {"thread", "child"}
    assert different == mocked


def test_unknown_set(debugger, patched, package):
    result = debugger.session(patched(), ["!gibbon load %s idz" % package("mocks.c", MOCKS), "gibbon list"])
    assert 'Package mocks has no set and no function "idz"' in result[0] and result[1] == "No patches.\n"


@pytest.mark.parametrize("first,second,sums", [(1, 2, [204, 6, 4]), (2, 1, [204, 103, 4]), (1, 3, [204, 6, 8]), (3, 1, [204, 206, 8])])
def test_chains_in_any_order(debugger, patched, package, first, second, sums):
    """Two packages and a log on one function; one loaded again afterwards."""
    one, two = package("one.c", ADD % "+ 100"), package("two.c", ADD % "* 2")
    actions = ["gibbon load " + one, "gibbon load " + two, "gibbon wrap add", "break mark", "run", "continue", "continue", "gibbon delete %d" % first, "continue", "gibbon delete %d" % second,
               "continue", "gibbon delete", "gibbon load " + one, "continue", "gibbon delete", "continue"]
    result = debugger.session(patched(), actions)
    assert added(result.out) == sums + [105, 6], result.text


def test_an_edited_file(debugger, patched, package):
    """A second run is as the first; an edited file counts when it is loaded again."""
    source = package("one.c", ADD % "+ 100")
    edit = "python open(%r, 'w').write(%r)" % (source, ADD % "+ 2000")
    result = debugger.session(patched(), ["gibbon load " + source, "run", edit, "break mark", "run", "gibbon load " + source, "continue", "continue", "gibbon delete", "gibbon load " + source, "continue", "gibbon delete", ("delete", "breakpoint delete -f"), "continue"])
    assert "loaded already" in result[5] and added(result.out) == [102, 2003, 4, 5, 6], result.text


def test_a_package_built_anew(debugger, patched, package):
    """Between two runs: what was registered lies elsewhere in the new file."""
    out = shared(package("one.c", ADD % "+ 100"))
    new = package("new.c", "char room[100000] = {1};\nint first(void) { return 1; }\n" + ADD % "+ 2000" + "int last(void) { return 1; }\n")
    none = package("none.c", ADD.replace("add", "mark") % "")
    build = "python import subprocess; subprocess.run(['cc', '-shared', '-fPIC', '-I', %r, %r, '-o', %r], check=True)"
    include = os.path.join(harness.ROOT, "core", "include")
    result = debugger.session(patched(), ["gibbon load " + out, "run", build % (include, new, out), "run", build % (include, none, out), "run", "gibbon list"])
    assert added(result.out)[:5] == [2, 3, 4, 5, 6]  # LLDB does not empty the file before
    assert "one.so was built anew and has no such wrap of add any more; delete its patches and load it again." in result[6], result[6]
    middle = shared(package("one.c", ADD % "+ 100"))
    result = debugger.session(patched(), ["gibbon load " + middle, "run", build % (include, new, middle), "run"])
    assert added(result.out) == [2002, 2003, 2004, 2005, 2006], result.text


@every_build
def test_a_plugin_host(debugger, host, package, cc, opt):
    """The wrapper sees its library's constructors and destructors, each time it is loaded, from any thread and in any namespace."""
    program, library = host
    assert bare(program, library).startswith("begin 2\nfirst 11\nend 3\n")
    result = debugger.session(program, ["gibbon load " + package("hosted.c", HOSTED), "run", "gibbon packages"], args=[library])
    each = "load %d\nbegin 20\n%s 110\nend 30\n"
    assert result.out == "".join(each % pair for pair in enumerate(["first", "again", "thread", "namespace"], 1)) + "over\n"


def test_code_comes_with_the_module(debugger, host, package):
    """Lazy: before it nothing of the package is mapped."""
    program, library = host
    source = package("hosted.c", HOSTED)
    look = ("info proc mappings", "script print(open('/proc/%d/maps' % lldb.debugger.GetSelectedTarget().GetProcess().GetProcessID()).read())")
    actions = ["gibbon load " + source, "break main", "run", look, "break between", "continue", look]
    result = debugger.session(program, actions, args=[library])
    assert "hosted-" not in result[3] and "hosted-" in result[6], result.text


def test_static_program(debugger, target, package):
    program = target("results", static=True, opt="-O2")
    source = package("half.c", """
#include <gibbon/package.h>
static double ten(double x);
GIBBON_WRAP_NAMED("", "half", half, ten);
static double ten(double x) { return 10 * GIBBON_ORIGINAL(half)(x); }
""")
    result = debugger.session(program, ["gibbon load " + source, "run"], args=["1"])
    plain = re.search(r"half ([\d.]+)", bare(program, "1")).group(1)
    assert float(re.search(r"half ([\d.]+)", result.out).group(1)) == 10 * float(plain)


def test_attached(debugger, server, package):
    """Loaded into a running process; after detach nothing is left, and it goes on."""
    process = server()
    source = package("tick.c", """
#include <gibbon/package.h>
long tick(long n, const char *what);
static long fast(long n, const char *what);
GIBBON_WRAP("", tick, fast);
static long fast(long n, const char *what) { return GIBBON_ORIGINAL(tick)(n, what) + 1000000; }
""")
    maps = lambda: [line for line in open("/proc/%d/maps" % process.pid) if "tick-" in line]
    result = debugger.session(None, ["attach %d" % process.pid, "gibbon load " + source, "break poll", ("continue", "process continue"), "gibbon list",
                                     ("delete", "breakpoint delete -f"), "detach"])
    assert re.search(r"^1 +wrap +keep y +0x[0-9a-f]+ +tick in server with fast of tick$", result[4], re.M), result.text
    assert text_differences(process.pid) == [] and not maps(), maps()
    process.stdin.write("?\n")
    process.stdin.flush()
    assert int(process.stdout.readline().split()[1]) >= 1000000


def test_cxx_names(debugger, target, package):
    source = package("zoo.c", """
#include <gibbon/package.h>
int _ZNK3zoo3Ape5climbEi(const void *ape, int metres);
static int twice(const void *ape, int metres);
GIBBON_WRAP("", _ZNK3zoo3Ape5climbEi, twice);
static int twice(const void *ape, int metres) { return 2 * GIBBON_ORIGINAL(_ZNK3zoo3Ape5climbEi)(ape, metres); }
static int more(int n);
GIBBON_WRAP_NAMED("", "zoo::feed(int)", feed, more);
static int more(int n) { return GIBBON_ORIGINAL(feed)(n) + 1000; }
GIBBON_MOCK("", "zoo::Ape::weigh(double)", 1.25);
static int caught(int height);
GIBBON_WRAP_NAMED("", "zoo::try_fall(int)", fall, caught);
static int caught(int height) { return 10 * GIBBON_ORIGINAL(fall)(height); }
""")
    result = debugger.session(target("cxx.cc"), ["gibbon load " + source, "run", "gibbon packages zoo"])
    assert result.out.startswith("1042 65 42 1.25 9\n") and "10 20 -30 -40 \n" in result.out
    assert "wrap zoo::feed(int) with more of zoo" in result[2]


def test_replaced_by_another_library(debugger, target, package):
    """An extern of the package is a function of whatever the target has loaded."""
    slow = target("codec.c", shared=True, name="libslow.so", flags=["-DNAME=\"slow\""])
    fast = target("codec.c", shared=True, name="libfast.so", flags=["-DNAME=\"fast\"", "-DFAST"])
    program = target("codecs.c", flags=["-Wl,--no-as-needed", slow, fast, "-Wl,-rpath," + os.path.dirname(slow), "-Wl,-rpath," + os.path.dirname(fast)])
    source = package("swap.c", """
#include <gibbon/package.h>
extern int encode(int n), encode_number(int n);
GIBBON_REPLACE("libslow.so", encode, encode_number);
""")
    assert debugger.session(program, ["gibbon load " + source, "run"]).out == "fast 1\nslow decode 2\nslow only 3\n"


def test_code_for_one_command(debugger, patched, package):
    source = package("code.c", """
#include <gibbon/package.h>
int add(int, int);
GIBBON_USE_ORIGINAL(add);
int seven(int a, int b) { return GIBBON_ORIGINAL(add)(a, b) + 7000; }
""")
    result = debugger.session(patched(), ["gibbon replace add %s:seven" % source, "run"])
    assert added(result.out) == [7002, 7003, 7004, 7005, 7006]


def test_several_files(debugger, patched, package, tmp_path):
    one = package("first.c", '#include <gibbon/package.h>\nint add(int a, int b);\nint other(int, int);\nGIBBON_WRAP("", add, other);\n'
                  "int more(void);\nint other(int a, int b) { return GIBBON_ORIGINAL(add)(a, b) + more(); }\n")
    two = package("second.c", '#include <gibbon/package.h>\n#include <unistd.h>\nint more(void) { return 50; }\nGIBBON_MOCK("libc.so.6", getppid, 0);\n')
    out = str(tmp_path / "packages" / "both.so")
    subprocess.run(["clang-14", "-O2", "-shared", "-fPIC", "-I", os.path.join(harness.ROOT, "core", "include"), one, two, "-o", out], check=True)
    result = debugger.session(patched(), ["gibbon load both", "run"], env={"GIBBON_PATH": os.path.dirname(out)})
    assert added(result.out) == [52, 53, 54, 55, 56] and "parent 1\n" in result.out


def test_switched_on_at_the_start(debugger, patched, package):
    folder = os.path.dirname(package("mocks.c", MOCKS))
    package("one.c", ADD % "+ 100")
    result = debugger.session(patched(), ["run"], env={"GIBBON_PATH": folder, "GIBBON_PATCHES": "mocks,one"})
    assert result.out.split("\n")[:12] == MOCKED and added(result.out)[0] == 102
    wrong = debugger.session(patched(), ["gibbon list"], env={"GIBBON_PATH": folder, "GIBBON_PATCHES": "moks,one"})
    assert 'No package is called "moks". Did you mean "mocks"?' in wrong.start and "other of one" in wrong[0]


def test_what_discovery_refuses(debugger, patched, package, tmp_path):
    good = os.path.dirname(package("good.c", ADD % "+ 1"))
    package("group.c", ADD % "+ 1", mode=0o664)
    package("junk.so", "not ELF")
    package("broken.c", ADD % "+ ;")
    os.mkfifo(os.path.join(good, "pipe.so"))
    whole = shared(package("whole.c", ADD % "+ 1"))
    with open(whole, "rb") as file:
        half = file.read()[:9000]
    with open(os.path.join(good, "half.so"), "wb") as file:
        file.write(half)
    second = os.path.dirname(package("good.c", ADD % "+ 1", directory="second"))
    world = os.path.dirname(package("world.c", ADD % "+ 1", directory="world"))
    os.chmod(world, 0o777)
    names = {"group": "its group can write to it (mode 664)", "junk": "it is not an ELF file", "broken": "expected expression before", "pipe": "it is not a regular file",
             "half": "half.so", "world": "everybody can write to it (mode 777)", "goad": 'No package is called "goad". Did you mean "good"?', "nothing": 'No package is called "nothing" in '}
    result = debugger.session(patched(), ["!gibbon load " + name for name in names] + ["gibbon packages", "gibbon list"], env={"GIBBON_PATH": ":".join([good, second, world, "/nonexistent"])})
    for step, (name, reason) in enumerate(names.items()):
        assert reason in result[step], result[step]
    listing = result[len(names)]
    assert re.search(r"^  group.c +refused: its group can write to it", listing, re.M), listing
    assert re.search(r"^  junk.so +refused: it cannot be read: it is not an ELF file.$", listing, re.M)
    assert re.search(r"^  good.c +hidden: %s/good.c comes first.$" % good, listing, re.M)
    assert re.search(r"^  world.c +refused: its directory is.$", listing, re.M)
    assert "The directory %s is refused: everybody can write to it (mode 777); chmod go-w helps.\n" % world in listing
    assert "/nonexistent cannot be read: No such file or directory.\n" in listing
    assert result[len(names) + 1] == "No patches.\n"


def test_an_unloadable_package_waits(debugger, patched, package, tmp_path):
    """Its library is not there: it may come, and at the end one is told."""
    (tmp_path / "own.c").write_text("int own(void) { return 1; }")
    library = str(tmp_path / "libown.so")
    subprocess.run(["cc", "-shared", "-fPIC", str(tmp_path / "own.c"), "-o", library, "-Wl,-soname,libown.so"], check=True)
    source = package("needs.c", ADD % "+ own()" + "\nint own(void);\n".join(["", ""]))
    source = package("needs.c", "int own(void);\n" + ADD % "+ own()")
    out = source[:-1] + "so"
    subprocess.run(["cc", "-shared", "-fPIC", "-I", os.path.join(harness.ROOT, "core", "include"), source, library, "-o", out], check=True)
    result = debugger.session(patched(), ["gibbon load " + out, "run", "gibbon list"])
    assert "needs.so needs a library that the program has not loaded: libown.so." in result.text
    assert added(result.out) == [2, 3, 4, 5, 6]


def test_save_for_the_other_debugger(gdb, lldb, patched, package, tmp_path):
    wraps, mocks = package("wraps.c", WRAPS), package("mocks.c", MOCKS)
    code = package("code.c", "int seven(int a, int b) { return a + b + 7000; }\n")
    saved = str(tmp_path / "saved")
    commands = ["gibbon load " + wraps, "gibbon load %s ids" % mocks, "gibbon replace add %s:seven" % code, "gibbon mock cos 0.25", "gibbon load tempfiles", "gibbon disable 2"]
    first = gdb.session(patched(), commands + ["gibbon save " + saved, "run", "gibbon list"])
    second = lldb.session(patched(), ["source " + saved, "run", "gibbon list", "gibbon save %s2" % saved])
    assert first.out == second.out and "add 7002" in second.out and "pid 1 1 1" in second.out
    assert open(saved).read() == open(saved + "2").read()
    strip = lambda text: re.sub(r"called \d+ times?", "called N", harness.normal(text))
    harness.same_lines(strip(first[len(commands) + 2]), strip(second[2]))
    third = gdb.session(patched(), ["source %s2" % saved, "run"])
    assert third.out == first.out


def test_loaded_already(debugger, patched, package):
    source = package("one.c", ADD % "+ 100")
    result = debugger.session(patched(), ["gibbon load " + source, "gibbon load " + source, "gibbon load tempfiles", "gibbon load tempfiles", "gibbon delete 1", "gibbon load " + source, "run"])
    assert result[1] == "Package one is loaded already; delete its patches to load it anew.\n"
    assert result[3] == "Package tempfiles is loaded already; delete its patches to load it anew.\n"
    assert added(result.out)[0] == 102


@pytest.mark.parametrize("source,message", [
    ("#include <gibbon/package.h>\nint add(int, int);\nstatic int f(int a, long b) { return 1; }\nGIBBON_REPLACE(\"\", add, f);\n", "type differs from that of add"),
    ("#include <gibbon/package.h>\nint f(void) { return GIBBON_ORIGINAL(add)(1, 2); }\n", "gibbon_original_add"),
    ("int f(void) { return 1; }\n", "registers nothing"),
    ("#include <gibbon/package.h>\nGIBBON_MOCK(\"libc.so.6\", getpid, 1);\nGIBBON_SET(\"a\", getppid);\n", "getppid"),
])
def test_mistakes_in_a_package(debugger, patched, package, source, message):
    result = debugger.session(patched(), ["!gibbon load " + package("wrong.c", source), "gibbon list"])
    assert message in result[0], result[0]
    assert "wrong.c" in result[0] and "wrong-" not in result[0], "the file that the user wrote is named"
    assert result[1] == "No patches.\n"


def test_originals_of_what_is_not_patched(debugger, patched, package, tmp_path):
    """A set leaves some out, and a second file only uses one: both lead to a function."""
    one = package("first.c", '#include <gibbon/package.h>\n#include <unistd.h>\nint add(int, int);\nint sum(int, int);\nstatic pid_t parent(void);\n'
                  'GIBBON_WRAP("", add, sum);\nGIBBON_WRAP("libc.so.6", getppid, parent);\nGIBBON_SET("sums", add);\nint more(int);\n'
                  'static pid_t parent(void) { return 0; }\nint sum(int a, int b) { return more(GIBBON_ORIGINAL(add)(a, b) + (GIBBON_ORIGINAL(getppid)() > 1 ? 10 : 20)); }\n')
    two = package("second.c", "#include <gibbon/package.h>\n#include <unistd.h>\nint add(int, int);\nGIBBON_USE_ORIGINAL(add);\nGIBBON_USE_ORIGINAL(getpid);\n"
                  "int more(int n) { return GIBBON_ORIGINAL(add)(n, GIBBON_ORIGINAL(getpid)() > 1 ? 100 : 200); }\n")
    out = str(tmp_path / "packages" / "both.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-I", os.path.join(harness.ROOT, "core", "include"), one, two, "-o", out], check=True)
    result = debugger.session(patched(), ["gibbon load %s sums" % out, "run"])
    assert added(result.out) == [112, 113, 114, 115, 116], result.text


def test_a_misspelt_function_of_a_module_that_is_there(debugger, patched, package):
    source = package("wrong.c", '#include <gibbon/package.h>\nGIBBON_MOCK("libc.so.6", getpidd, 1);\nGIBBON_MOCK("libnone.so", f, 1);\n')
    result = debugger.session(patched(), ["gibbon load " + source, "run", "gibbon list"])
    assert "gibbon: patch 1 found no function libc.so.6!getpidd in any module of the program. Did you mean getpid?" in result.text
    assert "patch 2" not in result.text


def test_what_is_missing_is_told_of_the_source(debugger, patched, package):
    source = package("wants.c", "int nosuch(void);\n" + ADD % "+ nosuch()")
    result = debugger.session(patched(), ["gibbon load " + source, "break main", "run", "gibbon list", "continue", "gibbon list"])
    assert "1 waiting: wants.c needs a symbol that the program does not have: nosuch." in result[3]
    assert "never was in place: wants.c needs" in result.text and "wants-" not in result.text


def test_one_file_by_two_paths(debugger, patched, package, tmp_path):
    """One package; listed once below its directory, with another one of that directory."""
    one, two = package("one.c", ADD % "+ 100"), package("two.c", '#include <gibbon/package.h>\nGIBBON_MOCK("libc.so.6", getppid, 1);\n')
    folder, name = os.path.split(one)
    (tmp_path / "way").symlink_to(folder)
    result = debugger.session(patched(), ["gibbon load " + one, "gibbon load %s/./%s" % (folder, name), "gibbon load %s/way/%s" % (tmp_path, name), "gibbon load " + two, "gibbon packages"])
    assert result[1] == result[2] == "Package one is loaded already; delete its patches to load it anew.\n"
    assert result[4].count(folder + "\n") == 1 and "  one.c " in result[4] and "  two.c " in result[4]


def test_a_constructor_is_refused_when_it_is_loaded(debugger, target, tmp_path):
    """Also where the package has no code of its own to be called: it would never run."""
    source = tmp_path / "begins.c"
    source.write_text('#include <gibbon/package.h>\n#include <unistd.h>\nGIBBON_MOCK("libc.so.6", getppid, 1);\n__attribute__((constructor)) static void begin(void) { getppid(); }\n')
    result = debugger.session(target("calls"), ["!gibbon load %s" % source, "gibbon list"])
    assert "has a constructor, begin, which would not run" in result[0] and result[1] == "No patches.\n"


def test_a_hook_that_never_returns(debugger, target, tmp_path):
    """Called by the debugger, since its module is there already: the debugger must not wait for ever, and the program goes on."""
    source = tmp_path / "stuck.c"
    source.write_text('#include <gibbon/package.h>\nstatic volatile int on = 1;\nstatic void stuck(void) { while (on) ; }\nGIBBON_ON_LOAD("libc.so.6", stuck);\n')
    result = debugger.session(target("calls"), ["break main", "run", "gibbon load %s" % source, "gibbon list", "gibbon delete", "continue"], timeout=40)
    assert "could not be called" in result[2] + result[3], result.text
    assert result.out == "10 calls, last -10\n", result.text
