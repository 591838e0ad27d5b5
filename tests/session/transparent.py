"""A patched program does what the bare one does: the same output and the same end."""
import re
import subprocess

COMPILERS = [("gcc", "-O0"), ("gcc", "-O2"), ("clang", "-O0"), ("clang", "-O2")]
# Neither debugger may stop at these; LLDB takes that only while a process is there.
SIGNALS = ("handle SIGUSR1 SIGALRM nostop noprint pass", "process handle -s false -n false -p true SIGUSR1 SIGALRM")


def ended(text):
    """The status with which a session's last program ended, or what else happened to it."""
    found = re.findall(r"exited (normally)|exited with code 0?([0-7]+)|exited with status = (-?\d+)|(terminated with signal \w+)|(received signal \w+)|stop reason = (.*)", text)
    assert found, "no end in\n" + text
    normally, octal, status, *bad = found[-1]
    return 0 if normally else int(octal, 8) if octal else int(status) if status else "".join(bad)


def bare(program, args=(), env=None):
    done = subprocess.run([program, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, env=env)
    return done.stdout, done.returncode


def same(debugger, program, patches, args=(), before=(), after=("run",), preload=None, timeout=60, called=True):
    """Runs it both ways; the Result of the patched one. `before` and `after` are actions around the patches."""
    import os
    env = dict(os.environ, LD_PRELOAD=preload) if preload else None
    wanted, status = bare(program, args, env)
    before = list(before)
    if preload:
        before.insert(0, ("set environment LD_PRELOAD " + preload, "settings set target.env-vars LD_PRELOAD=" + preload))
    actions = before + ["gibbon wrap " + patch for patch in patches] + list(after) + ["gibbon list", "gibbon stats"]
    result = debugger.session(program, actions, args=args, timeout=timeout)
    wrong = ["%s, not %s" % (got, line) for line, got in zip(wanted.split("\n"), result.out.split("\n")) if line != got]
    assert result.out == wanted, "%d lines of %d differ: %s\n%s" % (len(wrong), wanted.count("\n"), "; ".join(wrong[:20]), result.text[-3000:])
    assert ended(result.text) == status, result.text[-3000:]
    if called:
        counts = [int(n) for n in re.findall(r"^\d+ +(\d+) +(?:\d+|-) ", result[len(actions) - 1], re.M)]
        assert counts and all(counts), "a patch saw no call:\n" + result.text[-3000:]
    return result
