"""tests/bench measures what it says: each row's patch is accepted, and sees all calls or, where its condition is false, none. No times."""
import os
import re
import subprocess
import sys

import harness
import pytest

BENCH = os.path.join(harness.ROOT, "tests", "bench")
sys.path.insert(0, BENCH)
import rows  # noqa: E402
import table  # noqa: E402
import tools  # noqa: E402


@pytest.fixture(scope="module")
def bench_target(tmp_path_factory):
    program = str(tmp_path_factory.mktemp("bench") / "bench_target")
    subprocess.run(["gcc", "-O2", "-g", "-pthread", "-o", program, *(os.path.join(BENCH, name) for name in ("target.c", "functions.c"))], check=True)
    return program


@pytest.fixture
def bench(debugger, bench_target, tmp_path):
    library = os.environ.get("GIBBON_LIBRARY") or os.path.join(harness.ROOT, "build", "libgibbon.so")
    return table.Debugger({"gdb": "GDB", "lldb": "LLDB"}[debugger.name], {"gdb": "gdb", "lldb": "lldb-19"}[debugger.name], bench_target, library, str(tmp_path))


def test_each_row_is_measured(bench):
    with open(os.path.join(harness.ROOT, "core", "command", "table.c")) as file:
        commands = set(re.findall(r'^    \{"(\w+)", ', file.read(), re.M))
    assert "wrap" in commands
    patches = {row.key: "gibbon " + row.command.replace("{}", row.key) for row in rows.PATCHES if row.command.split()[0] in commands}
    found, answer, _ = bench.session(patches, "20", "3", "floor", *patches)
    assert {name: calls for name, (_, calls) in found.items()} == dict.fromkeys(["floor", *patches], 60)
    assert table.reasons(found, answer) == {}


def test_a_row_whose_patch_is_refused_or_misses_calls_is_not_shown(bench):
    found, answer, _ = bench.session({"two_integers": "gibbon wrap two_integers if nonsense == 1", "counted": "gibbon wrap counted -count -after 10", "if_false": "gibbon wrap if_false if b == 2"},
                                     "20", "3", "two_integers", "counted", "if_false")
    bad = table.reasons(found, answer)
    assert sorted(bad) == ["counted", "if_false", "two_integers"]
    assert bad["counted"] == "it counted 50 calls instead of 60"
    assert bad["if_false"] == "it counted 60 calls instead of 0"
    assert "nonsense" in bad["two_integers"]


def test_the_debuggers_own_means_are_measured(bench, monkeypatch):
    monkeypatch.setattr(tools, "FEW_CALLS", 2)
    monkeypatch.setattr(tools, "FEW_ROUNDS", 3)
    for own in (bench.own_condition, bench.own_logging):
        assert own() > 0
