"""The first thing a user does: wrap a function, see its calls."""
import re
import subprocess

import pytest
from harness import need, normal, same_lines

LINE = r"gibbon: \[(\d+)\] \+(\d+\.\d{6}) %s = %s <[\d.]+(?:ns|us|ms|s)>"


@pytest.fixture(scope="session")
def deb(tmp_path_factory):
    """A small package, as dpkg-deb builds it."""
    need("dpkg-deb")
    root = tmp_path_factory.mktemp("deb") / "small"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text("Package: small\nVersion: 1\nArchitecture: all\nMaintainer: N <n@example.org>\nDescription: small\n")
    subprocess.run(["dpkg-deb", "-b", str(root)], check=True, capture_output=True)
    return str(root) + ".deb"


def test_the_session_of_the_issue(debugger, deb):
    """Who creates the temporary directories of dpkg-deb?"""
    bare = subprocess.run(["dpkg-deb", "--info", deb], check=True, capture_output=True, text=True).stdout
    result = debugger.session("/usr/bin/dpkg-deb", ["gibbon wrap mkdtemp -backtrace", "run", "gibbon list"], args=["--info", deb])
    assert result[0] == "Patch 1: wrap mkdtemp <PENDING>.\n"
    call, = result.calls("mkdtemp")
    made = re.fullmatch(LINE % (r'mkdtemp\(template="/tmp/dpkg-deb\.XXXXXX"\)', r'0x[0-9a-f]+ "(/tmp/dpkg-deb\.[A-Za-z0-9]{6})"'), call)
    assert made, call
    frames = re.findall(r"^    #(\d+) (\S+)", result.text, re.M)
    assert [int(n) for n, _ in frames] == list(range(len(frames))) and len(frames) >= 3, result.text
    assert frames[-1][1].startswith(("_start", "0x", "dpkg-deb")), frames
    assert any(name.startswith("__libc_start_main") for _, name in frames), frames
    assert result.out == bare
    assert re.search(r"^1 +wrap +keep y +<PENDING> +mkdtemp", result[2], re.M)
    assert "called 1 time, 0 threads inside" in result[2]


def test_the_words_are_the_same_in_both(both, deb):
    outputs = []
    for debugger in both:
        result = debugger.session("/usr/bin/dpkg-deb", ["gibbon wrap mkdtemp -backtrace 2", "run", "gibbon list", "gibbon stats", "gibbon log"],
                                  args=["--info", deb])
        lines = [normal(result[step]) for step in (0, 2, 3, 4)]
        text = re.sub(r"dpkg-deb\.\w{6}", "dpkg-deb.R", "".join(lines))
        outputs.append(re.sub(r" +", " ", re.sub(r"\d+(\.\d+)?(ns|us|ms)\b", "TIME", text)))  # columns are as wide as their times
    same_lines(*outputs)


@pytest.mark.parametrize("cc", ["gcc", "clang"])
@pytest.mark.parametrize("opt", ["-O0", "-O2"])
@pytest.mark.parametrize("pie", [True, False], ids=["pie", "fixed"])
def test_before_run(debugger, target, cc, opt, pie):
    program = target("calls", cc=cc, opt=opt, pie=pie)
    result = debugger.session(program, ["gibbon wrap work", "run", "gibbon stats"], args=["6"])
    assert [re.sub(r" = .*", "", body) for body in result.bodies("work")] == ["work(i=%d, twice=%d)" % (i, 2 * i) for i in range(6)]
    assert [body.split(" = ")[1] for body in result.bodies("work")] == ["1", "-2", "3", "-4", "5", "-6"]
    assert result.out == "6 calls, last -6\n"
    assert re.search(r"^1 +6 +0 .*  work$", result[2], re.M)


def test_at_starti(debugger, target):
    result = debugger.session(target("calls"), ["starti", "gibbon wrap work", "continue"], args=["4"])
    assert re.search(r"^Patch 1: wrap work at 0x[0-9a-f]{16} in calls\.$", result[1], re.M), result[1]
    assert len(result.calls("work")) == 4 and result.out == "4 calls, last -4\n"


def test_libc_at_starti(debugger, target):
    """libc is not mapped at the first instruction: it has to be waited for."""
    result = debugger.session(target("early", "libearly.c"), ["starti", "gibbon wrap libc.so.6?!getenv", "continue"])
    assert result[1] == "Patch 1: wrap libc.so.6?!getenv <PENDING>.\n"
    assert [b.split(" = ")[0] for b in result.bodies("getenv")][-2:] == ['getenv(name="FROM_CONSTRUCTOR")', 'getenv(name="FROM_MAIN")']


def test_in_main(debugger, target):
    result = debugger.session(target("calls"), ["break main", "run", "gibbon wrap work", "continue"], args=["3"])
    assert re.search(r"^Patch 1: wrap work at 0x[0-9a-f]{16} in calls\.$", result[2], re.M)
    assert len(result.calls("work")) == 3 and result.out == "3 calls, last 3\n"


@pytest.mark.parametrize("where", ["brk", "mmap"])
def test_inside_malloc(debugger, target, where):
    """malloc holds its lock there; nothing of Gibbon's may need it."""
    result = debugger.session(target("heap"), ["break begin", "run", "break " + where, "continue", "backtrace", "gibbon wrap malloc free -quiet",
                                               ("delete", "breakpoint delete -f"), "continue", "gibbon stats"])
    assert "malloc" in result[4], "the breakpoint is not inside malloc: " + result[4]
    assert result.out == "sum %d\n" % sum(i for i in range(200))
    counts = re.findall(r"^\d +(\d+) +(\d+) .*  (\w+)$", result[8], re.M)
    assert [(name, failed) for _, failed, name in counts] == [("malloc", "0"), ("free", "0")]
    assert 185 <= int(counts[0][0]) <= 201 and 200 <= int(counts[1][0]) <= 202, counts


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_static_program(debugger, target, cc):
    program = target("heap", static=True, cc=cc)
    result = debugger.session(program, ["gibbon wrap malloc free write -quiet", "run", "gibbon stats"])
    assert result.out == "sum %d\n" % sum(range(200))
    counts = {name: int(n) for n, name in re.findall(r"^\d +(\d+) +\d+ .*  (\w+)$", result[2], re.M)}
    assert counts["write"] == 1 and counts["malloc"] >= 200 and counts["free"] >= 200, counts


def test_static_program_at_its_first_instruction(debugger, target):
    result = debugger.session(target("calls", static=True), ["starti", "gibbon wrap work", "continue"], args=["3"])
    assert [b.split(" = ")[0] for b in result.bodies("work")] == ["work(i=%d, twice=%d)" % (i, 2 * i) for i in range(3)]


def test_stripped_program(debugger, target):
    program = target("errors", strip=True, debug=False)
    result = debugger.session(program, ["gibbon wrap fopen", "run"])
    assert result.bodies("fopen")[0].startswith("fopen(filename=\"/nonexistent/stream\", ") or '"/nonexistent/stream"' in result.bodies("fopen")[0]
    assert "fopen (nil) 2" in result.out


def test_stripped_program_by_address(debugger, target):
    """A function without a name, found by its address."""
    with_names, without = target("calls", pie=False, debug=False), target("calls", pie=False, debug=False, strip=True, name="stripped")
    symbols = subprocess.run(["nm", with_names], check=True, capture_output=True, text=True).stdout
    address = int(re.search(r"^([0-9a-f]+) T work$", symbols, re.M).group(1), 16)
    result = debugger.session(without, ["gibbon wrap *0x%x" % address, "run", "gibbon list"], args=["3"])
    assert len(result.log) == 3, result.text
    assert [re.search(r"\((0x\w+), (0x\w+), 0x\w+, 0x\w+\) = (\S+)", line).groups() for line in result.log] == [
        ("0x0", "0x0", "0x1"), ("0x1", "0x2", "0xfffffffffffffffe"), ("0x2", "0x4", "0x3")]


def test_several_locations_in_one_command(debugger, target):
    result = debugger.session(target("calls"), ["gibbon wrap work between getenv", "run", "gibbon list"], args=["4"])
    assert re.findall(r"^Patch (\d): wrap (\w+) <PENDING>\.$", result[0], re.M) == [("1", "work"), ("2", "between"), ("3", "getenv")]
    assert len(result.calls("work")) == 4 and result.bodies("between") == ["between(i=2)"]


def test_two_patches_on_one_function(debugger, target):
    """Each sees every call."""
    result = debugger.session(target("calls"), ["break main", "run", "gibbon wrap work", "gibbon wrap work -count", "gibbon wrap work -times 2 -quiet", "continue",
                                                "gibbon stats"], args=["5"])
    assert [m for m in re.findall(r"^(\d) +(\d+) +(?:\d+|-) .*  work$", result[6], re.M)][:2] == [("1", "5"), ("2", "5")]
    assert len(result.calls("work")) == 5


# Neither debugger may stop at SIGUSR1; LLDB takes that only while a process is there.
SIGNALS = ["break main", "run", ("handle SIGUSR1 nostop noprint pass", "process handle -s false -n false -p true SIGUSR1")]


def test_call_that_does_not_return(debugger, target):
    """exit() never comes back: its call is shown without a result, not forgotten."""
    result = debugger.session(target("jumps"), SIGNALS + ["gibbon wrap exit", "continue"])
    assert len(result.calls("exit")) == 1
    assert re.search(r"exit\(.*3\)( <unfinished \.\.\.>)?$", result.calls("exit")[0]), result.calls("exit")


@pytest.mark.parametrize("opt", ["-O0", "-O2"])
def test_longjmp_signals_and_thread_exit(debugger, target, opt):
    bare = subprocess.run([target("jumps", opt=opt)], capture_output=True, text=True)
    result = debugger.session(target("jumps", opt=opt), SIGNALS + ["gibbon wrap leap landing signalled", "continue", "gibbon stats"])
    assert result.out == bare.stdout
    assert len(result.calls("landing")) == 8 and len(result.calls("signalled")) == 5
    assert [b.split(" = ")[0] for b in result.bodies("leap")][:2] == ["leap(n=1)", "leap(n=2)"]
    assert len(result.calls("leap")) == 4, result.calls("leap")


def test_exceptions_pass_through(debugger, target):
    program = target("cxx.cc")
    bare = subprocess.run([program], capture_output=True, text=True).stdout
    result = debugger.session(program, ["gibbon wrap zoo::fall zoo::try_fall", "run", "gibbon stats"])
    assert result.out == bare
    assert re.search(r"^2 +4 +0 .*  zoo::try_fall$", result[2], re.M)
    assert re.search(r"^1 +4 +0 .*  zoo::fall$", result[2], re.M)


def test_recursion(debugger, target):
    result = debugger.session(target("arguments"), ["gibbon wrap recursive", "run"])
    assert sorted(result.bodies("recursive")) == ["recursive(n=%d) = %d" % (n, n * (n + 1) // 2) for n in range(6)]
