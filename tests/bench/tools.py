"""uftrace, ltrace and LTTng-UST on the program that table.py patches, each in its best configuration, and what their runs leave is taken away.

A tool is a function of a folder of its own that answers its rows: what was measured, ns added to a call, ns of the floor in the same run (None when
the run was too short for it), and a remark. It raises `Missing` when the tool is not installed, `Failed` when its run says something else."""
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

LIMIT = 300
CALLS, ROUNDS = 2000, 101
FEW_CALLS, FEW_ROUNDS = 20, 21  # for what stops the program


class Missing(Exception):
    pass


class Failed(Exception):
    pass


def needs(program, package):
    if not shutil.which(program):
        raise Missing(package)


def figures(path):
    """What the program measured: ns and calls by row."""
    found = {}
    with open(path) as file:
        for line in file:
            name, ns, calls = line.split()
            found[name] = float(ns), int(calls)
    return found


def end_group(process):
    """Ends what a process of ours has started and left, and itself."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def run(words, output, cpu=None, env=None, **options):
    """Runs a command under which the program runs; answers the program's figures, and what was printed."""
    open(output, "w").close()
    os.chmod(output, 0o666)
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
                               preexec_fn=(lambda: os.sched_setaffinity(0, {cpu})) if cpu is not None else None,
                               env=dict(os.environ if env is None else env, BENCH_OUTPUT=output), **options)
    try:
        text, _ = process.communicate(timeout=LIMIT)
    finally:
        end_group(process)
    return figures(output), text


def best_of_free_and_pinned(words, output):
    """ns of a call, for tools that stop the program: tool and program wait for each other, and on one processor they often wait less. Also the last text."""
    best = None
    for cpu in (None, min(os.sched_getaffinity(0))):
        found, text = run(words, output, cpu)
        if "two_integers" not in found:
            raise Failed(text[-500:])
        if best is None or found["two_integers"][0] < best:
            best = found["two_integers"][0]
    return best, text


def expect(what, found, wanted):
    if found != wanted:
        raise Failed("it recorded %s %s of %d" % (found, what, wanted))


def uftrace(folder, targets):
    needs("uftrace", "uftrace")
    data = os.path.join(folder, "data")
    words = ["uftrace", "record", "-d", data, "-b", "4m", "--no-libcall", "--no-event", "-P", "^two_integers$", "-A", "two_integers@arg1,arg2",
             "-R", "two_integers@retval", targets + "_uftrace", str(CALLS), str(ROUNDS), "floor", "two_integers"]
    found, text = run(words, os.path.join(folder, "figures"))
    if "two_integers" not in found:
        raise Failed(text[-500:])
    report = subprocess.run(["uftrace", "report", "-d", data, "--no-pager"], capture_output=True, text=True, timeout=LIMIT).stdout
    recorded = re.search(r"(\d+) +two_integers$", report, re.M)
    expect("calls", int(recorded.group(1)) if recorded else 0, found["two_integers"][1])
    yield "uftrace -P, arguments and result", found["two_integers"][0], found["floor"][0], ""


def lttng(folder, targets):
    needs("lttng-sessiond", "lttng-tools")
    if not os.path.exists(targets + "_lttng"):
        raise Missing("liblttng-ust-dev")
    # Not as root: its daemon would be the system's. The program is copied to where the other user can read it.
    user = 65534 if os.geteuid() == 0 else os.geteuid()
    target = shutil.copy(targets + "_lttng", folder)
    os.chmod(folder, 0o777)
    environment = {"PATH": os.environ["PATH"], "HOME": folder, "LTTNG_HOME": folder, "LANG": "C.UTF-8", "LTTNG_UST_REGISTER_TIMEOUT": "10000"}
    options = {"env": environment, "cwd": folder}
    if os.geteuid() == 0:
        options.update(user=user, group=user, extra_groups=[])
    there_before = set(glob.glob("/dev/shm/lttng-ust-wait-*"))

    def do(*words):
        done = subprocess.run(["lttng", "--no-sessiond", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=LIMIT, **options)
        if done.returncode:
            raise Failed("lttng %s: %s" % (words[0], done.stdout[-500:]))
        return done.stdout

    def session(*events):
        trace = os.path.join(folder, "trace")
        do("create", "bench", "--output=" + trace)
        do("enable-channel", "--userspace", "--subbuf-size=4M", "--num-subbuf=4", "calls")
        for event in events:
            do("enable-event", "--userspace", "--channel=calls", *event)
        do("start")
        found, text = run([target, str(CALLS), str(ROUNDS), "floor", "two_integers"], os.path.join(folder, "figures"), **options)
        said = do("stop") + do("destroy")
        size = sum(os.path.getsize(os.path.join(place, name)) for place, _, names in os.walk(trace) for name in names if name.startswith("calls_"))
        shutil.rmtree(trace, ignore_errors=True)
        if "two_integers" not in found:
            raise Failed(text[-500:])
        return found, size, said

    daemon = subprocess.Popen(["lttng-sessiond", "--no-kernel"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              start_new_session=True, **options)
    try:
        for _ in range(100):
            time.sleep(0.1)
            if subprocess.run(["lttng", "--no-sessiond", "list"], capture_output=True, timeout=LIMIT, **options).returncode == 0:
                break
        found, size, said = session(["bench:entry"], ["bench:leave"])
        if size < 24 * found["two_integers"][1]:  # three fields of eight bytes
            raise Failed("its trace has %d bytes for %d calls. %s" % (size, found["two_integers"][1], said))
        lost = re.search(r"(\d+) events? (?:were )?(?:discarded|lost)", said)
        yield "LTTng-UST, events at entry and return", found["two_integers"][0], found["floor"][0], "lost %s events" % lost.group(1) if lost else ""
        found, size, said = session(["bench:entry", "--filter", "a == -1"])
        if size > 24 * found["two_integers"][1]:
            raise Failed("its filter let events through")
        yield "LTTng-UST, one event, its filter false", found["two_integers"][0], found["floor"][0], ""
    finally:
        daemon.terminate()
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            pass
        end_group(daemon)  # and its consumer, should it be left
        for path in set(glob.glob("/dev/shm/lttng-ust-wait-*")) - there_before:
            os.unlink(path)


def ltrace(folder, targets):
    needs("ltrace", "ltrace")
    output, config = os.path.join(folder, "calls"), os.path.join(folder, "ltrace.conf")
    with open(config, "w") as file:
        file.write("long two_integers(long, long);\n")
    words = ["ltrace", "-F", config, "-L", "-x", "two_integers", "-o", output, targets, str(FEW_CALLS), str(FEW_ROUNDS), "two_integers"]
    ns, _ = best_of_free_and_pinned(words, os.path.join(folder, "figures"))
    with open(output) as file:
        expect("calls", len(re.findall(r"^two_integers\(\d+, 2\) += \d+$", file.read(), re.M)), FEW_CALLS * FEW_ROUNDS)
    yield "ltrace -x, arguments and result", ns, None, ""


def measure(targets):
    """Rows of all tools; what is missing (packages), and what failed (text)."""
    rows, missing, failed = [], [], []
    for tool in (uftrace, lttng, ltrace):
        folder = tempfile.mkdtemp(prefix="gibbon-bench-")
        try:
            for row in tool(folder, targets):
                rows.append(row)
        except Missing as package:
            missing.append(str(package))
        except (Failed, subprocess.TimeoutExpired, OSError) as error:
            failed.append("%s: %s" % (tool.__name__, " ".join(str(error).split())))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return rows, missing, failed
