import os
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import harness  # noqa: E402

PROGRAMS = os.path.join(harness.ROOT, "tests", "programs")


@pytest.fixture(params=["gdb", "lldb"])
def debugger(request, tmp_path):
    """A real debugger; every call of its session() is a fresh process."""
    harness.need("gdb" if request.param == "gdb" else "lldb-19")
    return {"gdb": harness.Gdb, "lldb": harness.Lldb}[request.param](tmp_path)


@pytest.fixture
def both(tmp_path):
    """Both debuggers, for tests that compare them."""
    harness.need("gdb", "lldb-19")
    for name in ("gdb", "lldb"):
        (tmp_path / name).mkdir()
    return harness.Gdb(tmp_path / "gdb"), harness.Lldb(tmp_path / "lldb")


@pytest.fixture
def gdb(tmp_path):
    harness.need("gdb")
    return harness.Gdb(tmp_path)


@pytest.fixture
def lldb(tmp_path):
    harness.need("lldb-19")
    return harness.Lldb(tmp_path)


@pytest.fixture
def interactive(debugger):
    opened = []

    def start(program, env=None, size=None):
        opened.append(harness.Interactive(debugger, program, env, size))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


class Targets:
    """Compiles tests/programs once for each way of doing it."""

    def __init__(self, directory):
        self.directory, self.made = directory, {}

    def __call__(self, *sources, cc="gcc", opt="-O0", debug=True, pie=True, static=False, strip=False, shared=False, flags=(), name=None):
        sources = [s if "." in s else s + ".c" for s in sources]
        key = (tuple(sources), cc, opt, debug, pie, static, strip, shared, tuple(flags), name)
        if key in self.made:
            return self.made[key]
        if any(s.endswith(".cc") for s in sources):
            cc = {"gcc": "g++", "clang": "clang++-14"}[cc]
        elif cc == "clang":
            cc = "clang-14"
        harness.need(cc)
        folder = self.directory / ("t%d" % len(self.made))
        folder.mkdir()
        base = name or (("lib" if shared and not sources[0].startswith("lib") else "") + os.path.splitext(sources[0])[0] + (".so" if shared else ""))
        out = str(folder / base)
        words = [cc, opt, "-o", out, "-pthread"] + (["-g"] if debug else [])
        words += ["-shared", "-fPIC"] if shared else ["-static"] if static else ["-fPIE", "-pie"] if pie else ["-fno-pie", "-no-pie"]
        words += [os.path.join(PROGRAMS, s) for s in sources] + list(flags) + ([] if static else ["-ldl"])
        if shared:
            words += ["-Wl,-soname," + base]
        done = subprocess.run(words, capture_output=True, text=True, cwd=folder)  # where split debug information goes
        assert done.returncode == 0, "%s\n%s" % (" ".join(words), done.stderr)
        if strip:
            subprocess.run(["strip", out], check=True)
        self.made[key] = out
        return out


@pytest.fixture(scope="session")
def target(tmp_path_factory):
    return Targets(tmp_path_factory.mktemp("programs"))


@pytest.fixture
def server(target):
    """A running process that nobody debugs; its input asks it how far it is."""
    started = []

    def start(program=None):
        process = subprocess.Popen([program or target("server")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def asks(process):
    process.stdin.write("?\n")
    process.stdin.flush()
    return int(process.stdout.readline().split()[1])


@pytest.fixture(scope="session", autouse=True)
def built():
    library = os.path.join(harness.ROOT, "build", "libgibbon.so")
    if not os.path.exists(library) and "GIBBON_LIBRARY" not in os.environ:
        pytest.exit("%s is missing: cmake -S . -B build -G Ninja && cmake --build build" % library, 2)
    assert shutil.which("gcc"), "gcc is needed to build the targets"


def pytest_terminal_summary(terminalreporter):
    """What failed at first, with --reruns: a test that passed then has still something to say."""
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.write_sep("_", "tried again: " + report.nodeid)
        terminalreporter.write_line(report.longreprtext)
