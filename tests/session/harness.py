"""One real debugger a test: neutral actions, translated to the words of GDB and LLDB; the output by action; a limit in time.

An action is `run`, `starti`, `break F`, `tbreak F`, `continue`, `attach PID`, `detach`, `kill`, `backtrace`, `finish`, `source FILE`,
`python CODE`, `gibbon ...`, or anything both debuggers understand. One that begins with `!` must fail: LLDB in batch mode stops at the
first command that fails, so such a one is run from Python there. A pair is (what GDB gets, what LLDB gets).
"""
import difflib
import fcntl
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import struct
import subprocess
import termios
import time

import pytest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
INSIDE = os.path.join(ROOT, "tests", "session", "inside.py")
LIMIT = 60
MARK = "@@step-%d@@"
LOG = re.compile(r"^gibbon: \[\d+\] .*$", re.M)


def environment(home, extra=None):
    keep = {name: os.environ[name] for name in ("PATH", "GIBBON_LIBRARY", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "LD_PRELOAD") if name in os.environ}
    keep.update(HOME=str(home), TERM="dumb", LANG="C.UTF-8", SHELL="/bin/sh", COLUMNS="200", LINES="50")
    keep.update(extra or {})
    return keep


class Result:
    """What a session printed: all of it, by action, the log lines, and what the program wrote to its own files."""

    def __init__(self, debugger, text, status, out, err):
        self.debugger, self.text, self.status = debugger, text, status
        self.out, self.err = out, err
        pieces = re.split(r"@@step-(\d+)@@\n?", text)
        self.start, self.steps = pieces[0], {}
        for number, piece in zip(pieces[1::2], pieces[2::2]):
            self.steps[int(number)] = piece
        assert "Traceback" not in text, "a Python traceback in\n" + text
        assert "AddressSanitizer" not in text, text

    def __getitem__(self, step):
        assert step in self.steps, "step %d was not reached in\n%s" % (step, self.text)
        return self.steps[step]

    @property
    def log(self):
        return LOG.findall(self.text)

    def calls(self, function):
        """The log lines of one function, in whatever module."""
        return [line for line in self.log if re.match(r"gibbon: \[\d+\] [+-][\d.]+ (\S+!)?%s\(" % re.escape(function), line)]

    def bodies(self, function):
        """Those without thread, time, module and duration: `f(n=1) = 2`."""
        return [body_of(line) for line in self.calls(function)]

    def only(self, function):
        """The body of the one call of a function."""
        bodies = self.bodies(function)
        assert len(bodies) == 1, "%d calls of %s in\n%s" % (len(bodies), function, self.text)
        return bodies[0]


def body_of(line):
    return re.sub(r" <[\d.]+(s|ms|us|ns)>$", "", re.sub(r"^gibbon: \[\d+\] [+-][\d.]+ ([\w.+-]+!)?", "", line))


class Debugger:
    name = ""

    def __init__(self, directory):
        self.directory = str(directory)
        self.count = 0

    def __repr__(self):
        return self.name

    def session(self, program, actions, args=(), env=None, timeout=LIMIT, stdin="/dev/null", load=True, status=None, extra=()):
        """Runs `actions` with `program` in a fresh debugger and gives a Result."""
        self.count += 1
        self.out = os.path.join(self.directory, "out-%d" % self.count)
        self.err = os.path.join(self.directory, "err-%d" % self.count)
        self.stdin, self.args = stdin, list(args)
        words = self.command_line(program, load) + list(extra)
        for number, action in enumerate(actions):
            words += self.mark(number) + self.translate(action)
        if load:
            words += self.mark(len(actions))
        transcript = os.path.join(self.directory, "session-%d" % self.count)
        with open(transcript, "wb") as file:
            process = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=self.directory,
                                       env=environment(self.directory, env), start_new_session=True)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                kill_session(process)
                pytest.fail("%s did not end within %d seconds; %s\nits output so far:\n%s"
                            % (self.name, timeout, shlex.join(words), read(transcript)), pytrace=False)
            finally:
                kill_session(process)
        self.last = words
        result = Result(self, read(transcript), process.returncode, read(self.out), read(self.err))
        if process.returncode < 0:
            pytest.fail("%s died of signal %d; %s\n%s" % (self.name, -process.returncode, shlex.join(words), result.text), pytrace=False)
        if load:
            assert len(actions) in result.steps, "the session ended early: %s\n%s" % (shlex.join(words), result.text)
        return result


def kill_session(process):
    """What a debugger leaves behind when it is killed: only the processes of the session that we started."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open("/proc/%s/stat" % entry, errors="replace") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                if int(fields[3]) == process.pid:
                    os.kill(int(entry), signal.SIGKILL)
            except (OSError, IndexError):
                pass
    if process.poll() is None:
        process.kill()
        process.wait()


def read(path):
    if not os.path.exists(path):
        return ""
    with open(path, "rb") as file:
        return file.read().decode("utf-8", "surrogateescape").replace("\r\n", "\n")


class Gdb(Debugger):
    name = "gdb"
    script = os.path.join(ROOT, "gdb", "gibbon.py")
    prompt = r"\(gdb\) $"

    def command_line(self, program, load):
        words = ["gdb", "-nx", "-q", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set breakpoint pending on"]
        if load:
            words += ["-ex", "source " + self.script]
        return words + ([program] if program else [])

    def interactive_line(self, program):
        words = ["gdb", "-nx", "-q", "-iex", "set debuginfod enabled off", "-iex", "set confirm off", "-iex", "set style enabled off",
                 "-ex", "source " + self.script]
        return words + ([program] if program else [])

    def mark(self, number):
        return ["-ex", "echo " + MARK % number + "\\n"]

    def launch(self, verb):
        redirect = " < %s > %s 2> %s" % tuple(shlex.quote(p) for p in (self.stdin, self.out, self.err))
        return "%s %s%s" % (verb, shlex.join(self.args), redirect)

    def translate(self, action):
        if isinstance(action, tuple):
            return ["-ex", action[0]] if action[0] else []
        return ["-ex", self.words(action.lstrip("!"))]

    def words(self, action):
        if action in ("run", "starti"):
            return self.launch(action)
        return action

    def error(self, text):
        """The error sentences of an output."""
        return [line for line in text.split("\n") if line]


class Lldb(Debugger):
    name = "lldb"
    script = os.path.join(ROOT, "lldb", "gibbon.py")
    prompt = r"\(lldb\) $"

    def command_line(self, program, load):
        words = ["lldb-19", "-x", "-Q", "-b", "-o", "settings set auto-confirm true", "-o", "settings set use-color false"]
        if load:
            words += ["-o", "command script import " + self.script]
        return words + (["-f", program] if program else [])

    def interactive_line(self, program):
        words = ["lldb-19", "-x", "-Q", "-o", "settings set auto-confirm true", "-o", "settings set use-color false",
                 "-o", "settings set show-progress false", "-o", "command script import " + self.script]
        return words + (["-f", program] if program else [])

    def mark(self, number):
        return ["-o", 'script print("%s", flush=True)' % (MARK % number)]

    def launch(self, options):
        return "process launch %s-i %s -o %s -e %s -- %s" % (options, self.stdin, self.out, self.err, shlex.join(self.args))

    def translate(self, action):
        if isinstance(action, tuple):
            return ["-o", action[1]] if action[1] else []
        if action.startswith("!"):
            return ["-o", "script lldb.debugger.HandleCommand(%r)" % self.words(action[1:])]
        return ["-o", self.words(action)]

    def words(self, action):
        verb, _, rest = action.partition(" ")
        if action == "run":
            return self.launch("")
        if action == "starti":
            return self.launch("-s ")
        if verb in ("break", "tbreak"):
            once = "-o true " if verb == "tbreak" else ""
            return "breakpoint set %s%s" % (once, "-a " + rest[1:] if rest.startswith("*") else "-n " + rest)
        if verb == "attach":
            return "process attach -p " + rest
        if verb in ("detach", "kill"):
            return "process " + verb
        if verb == "backtrace":
            return "thread backtrace"
        if verb == "python":
            return "script " + rest
        if verb == "source":
            return "command source " + rest
        return action

    def error(self, text):
        return [re.sub("^error: ", "", line) for line in text.split("\n") if line]


class Interactive:
    """A debugger on a terminal of its own."""

    def __init__(self, debugger, program, env=None, size=None):
        """Without a size (rows, columns) LLDB reads its lines without an editor: where it cannot be interrupted. GDB has one in any case."""
        self.debugger = debugger
        self.text, self.seen = "", 0
        self.raw = ""  # with escape sequences
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(debugger.directory)
            if size:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            words = debugger.interactive_line(program)
            os.execvpe(words[0], words, environment(debugger.directory, env))
        self.prompt()

    def pump(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            data = b""
        # What a line editor sends to draw its line is not text.
        self.raw += data.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode("utf-8", "surrogateescape")).replace("\r\n", "\n")
        self.text += text.replace("\r", "\n")
        return bool(data)

    def expect(self, pattern, timeout=20):
        """Waits for `pattern` in what came since the last match, and gives the match."""
        end = time.monotonic() + timeout
        while True:
            found = re.search(pattern, self.text[self.seen:], re.M)
            if found:
                self.seen += found.end()
                return found
            left = end - time.monotonic()
            if left <= 0 or (not self.pump(left) and left > 0.5 and not self.alive()):
                pytest.fail("%s: no %r within %d seconds; all output:\n%s" % (self.debugger.name, pattern, timeout, self.text), pytrace=False)

    def prompt(self, timeout=30):
        self.expect(r"^\((gdb|lldb)\) ?", timeout)

    def alive(self):
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] == 0
        except ChildProcessError:
            return False

    def send(self, line):
        os.write(self.master, (line + "\n").encode())

    def do(self, line, timeout=30):
        """Sends a command and gives what came before the next prompt."""
        before = len(self.text)
        self.send(line)
        self.expect(re.escape(line[-20:]), timeout)  # its echo
        self.prompt(timeout)
        return self.text[before:]

    def interrupt(self):
        os.write(self.master, b"\x03")

    def close(self):
        for step in (lambda: self.send("kill" if self.debugger.name == "gdb" else "process kill"), lambda: self.send("quit")):
            try:
                step()
                time.sleep(0.1)
            except OSError:
                pass
        end = time.monotonic() + 3
        while self.alive() and time.monotonic() < end:
            self.pump(0.1)
        if self.alive():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)


def text_differences(pid):
    """Addresses at which the text of a running process differs from the files it was mapped from."""
    different = []
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
        for line in maps:
            fields = line.split(None, 5)
            if "x" not in fields[1] or len(fields) < 6 or not fields[5].startswith("/") or fields[5].startswith("/memfd:"):
                continue
            start, end = (int(x, 16) for x in fields[0].split("-"))
            with open(fields[5].strip(), "rb") as file:
                file.seek(int(fields[2], 16))
                expected = file.read(end - start)
            memory.seek(start)
            found = memory.read(len(expected))
            different += [start + i for i in range(0, len(expected)) if found[i] != expected[i]] if found != expected else []
    return different


def mappings(pid):
    """What is mapped that has to do with Gibbon: executable memory of no file, and rings."""
    with open("/proc/%d/maps" % pid) as maps:
        return [line for line in maps if "gibbon" in line or ("x" in line.split()[1] and len(line.split()) < 6)]


def jsonl(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return [json.loads(line) for line in file]


def normal(text):
    """An output without what differs from run to run and from debugger to debugger: ids, times, addresses."""
    text = LOG.sub(lambda m: re.sub(r"\[\d+\] [+-][\d.]+", "[T] +T", m.group(0)), text)
    text = re.sub(r" <[\d.]+(s|ms|us|ns)>$", " <D>", text, flags=re.M)
    return re.sub(r"0x[0-9a-f]+", "0xA", text)


def same_lines(one, other):
    """Fails with the lines that differ, and only those."""
    lines = list(difflib.unified_diff(one.split("\n"), other.split("\n"), "gdb", "lldb", n=2, lineterm=""))
    assert not lines, "\n" + "\n".join(lines[:60])


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip("%s is not installed" % program)
