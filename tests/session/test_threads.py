"""Many threads: every call exactly once."""
import re

import pytest
from harness import jsonl


def totals(out):
    assert re.match(r"total (\d+) wrong 0\n", out), out
    return {int(t): int(n) for t, n in re.findall(r"^thread (\d+): (\d+)$", out, re.M)}


def by_thread(path):
    threads = {}
    for call in jsonl(path):
        assert call["type"] == "call", call
        threads.setdefault(call["arguments"]["thread"], []).append((call["arguments"]["i"], call["result"], call["tid"]))
    return threads


@pytest.mark.parametrize("opt", ["-O0", "-O2"])
def test_patched_before_they_start(debugger, target, tmp_path, opt):
    log = tmp_path / "log"
    result = debugger.session(target("threads", opt=opt), ["gibbon wrap hammer -quiet", "run", "gibbon stats", "gibbon log -save %s -format jsonl" % log], args=["8", "5000", "all"], timeout=120)
    counted = totals(result.out)
    assert len(counted) == 8
    threads = by_thread(log)
    for thread, n in counted.items():
        calls = sorted(threads[thread])
        assert [c[0] for c in calls] == list(range(n)), "thread %d" % thread
        assert all(c[1] == c[0] * 3 + thread for c in calls) and len({c[2] for c in calls}) == 1
    assert re.search(r"^1 +%d +0 .*  hammer$" % sum(counted.values()), result[2], re.M) and "lost" not in result.text


@pytest.mark.parametrize("cc,opt", [("gcc", "-O0"), ("gcc", "-O2"), ("clang", "-O2")])
def test_patched_while_they_hammer(debugger, target, tmp_path, cc, opt):
    """From its first recorded call on, a thread's calls have no gap and no double, up to the last one it made."""
    log = tmp_path / "log"
    result = debugger.session(target("threads", cc=cc, opt=opt), ["break ready", "run", "gibbon wrap hammer -quiet", "continue", "gibbon log -save %s -format jsonl" % log], args=["8", "5000"], timeout=120)
    counted = totals(result.out)
    threads = by_thread(log)
    for thread, n in counted.items():
        numbers = sorted(c[0] for c in threads[thread])
        assert numbers == list(range(n - len(numbers), n)), "thread %d" % thread
        assert len(numbers) >= 4999  # the call under way when the flag was set may have begun before the patch
    assert "lost" not in result.text


def test_patched_and_unpatched_again_and_again(debugger, target):
    """Eight threads inside or on their way while the entry changes under them."""
    actions = ["break ready", "run"]
    for _ in range(5):
        actions += ["gibbon wrap hammer -quiet", ("stepi", "thread step-inst"), "gibbon delete", ("stepi", "thread step-inst")]
    result = debugger.session(target("threads", opt="-O2"), actions + ["continue"], args=["8", "2000"], timeout=120)
    assert len(totals(result.out)) == 8
    assert "SIGSEGV" not in result.text and "SIGILL" not in result.text


def test_delete_while_they_hammer(debugger, target):
    result = debugger.session(target("threads"), ["gibbon wrap hammer -count", "break ready", "run", "gibbon list", "gibbon delete 1", "continue"], args=["8", "2000"])
    assert re.search(r"called \d+ times, \d threads? inside", result[3])
    assert len(totals(result.out)) == 8


def test_count_of_many_threads(debugger, target):
    result = debugger.session(target("threads", opt="-O2"), ["gibbon wrap hammer -count", "run", "gibbon stats"], args=["8", "200000", "all"], timeout=120)
    assert re.search(r"^1 +%d +- .*  hammer$" % sum(totals(result.out).values()), result[2], re.M), result[2]


def test_sixty_threads(debugger, target, tmp_path):
    log = tmp_path / "log"
    result = debugger.session(target("threads", opt="-O2"), ["gibbon wrap hammer -quiet", "run", "gibbon log -save %s -format jsonl" % log], args=["60", "200", "all"], timeout=120)
    counted, threads = totals(result.out), by_thread(log)
    assert {t: len(calls) for t, calls in threads.items()} == counted
    assert len({calls[0][2] for calls in threads.values()}) == 60


def test_locks_of_many_threads(debugger, target):
    result = debugger.session(target("threads"), ["gibbon wrap pthread_mutex_lock pthread_create malloc free -quiet -pending", "run", "gibbon stats"], args=["8", "2000", "all"])
    assert len(totals(result.out)) == 8
    assert re.search(r"^2 +8 +0 .*  pthread_create$", result[2], re.M), result[2]


def test_chosen_while_other_threads_run(debugger, target):
    """GDB stops one thread to see what an IFUNC chooses; the others may be inside just that function."""
    library = target("libbusy.c", shared=True, opt="-O1")
    result = debugger.session(target("busy", opt="-O1"), ["gibbon wrap libbusy.so?!chosen_* -count", "tbreak chosen_them", "run", "gibbon list", "continue", "gibbon list"], args=[library], timeout=120)
    assert "<MULTIPLE>         libbusy.so?!chosen_*, 60 functions" in result[3], result.text
    assert result.out == "4980\n" and int(re.search(r"called (\d+) times", result[5]).group(1)) >= 60, result.text


@pytest.mark.parametrize("cc,opt", [("gcc", "-O0"), ("gcc", "-O2"), ("clang", "-O0"), ("clang", "-O2")])
def test_a_million_calls(debugger, target, cc, opt):
    """Patches are switched off and on, deleted and made again, wherever eight threads are at that moment; one is never touched, and misses no call."""
    wraps = ["gibbon wrap plain many loop -quiet", "gibbon wrap real text deep pairs -count"]
    rounds = [["gibbon disable 2-100"], ["gibbon enable 2-100"], ["gibbon delete 2-%d"], wraps, ["gibbon wrap million!/^(plain|deep|pairs)$/ -backtrace 3 -quiet -every 50"], ["gibbon delete 2-%d"] + wraps,
              ["gibbon disable 2-100", "gibbon enable 2-100"], ["gibbon wrap many -quiet -temporary"]]
    actions, made = ["gibbon wrap counted -count"] + wraps + ["break between", "run"], 8
    for stop in range(39):
        for line in rounds[stop % len(rounds)]:
            actions.append("!" + (line % made if "%d" in line else line))
            made += len(re.sub(r" -.*", "", line).split()) - 2 if " wrap " in line else 0
        actions.append("continue")
    result = debugger.session(target("million", cc=cc, opt=opt), actions + ["continue", "gibbon stats 1"], timeout=200)
    assert result.out == "1000000 calls, 0 wrong\n", result.text[-3000:]
    assert re.search(r"^1 +1000000 +\S+ .*  counted", result.text, re.M), result.text[-3000:]
    assert not re.search("SIGSEGV|SIGILL|SIGTRAP|SIGBUS|Traceback", result.text), result.text[-3000:]
