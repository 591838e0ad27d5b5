"""Loading the plugin: silent, quick, harmless twice."""
import subprocess
import time

import pytest
from harness import Gdb, Lldb, environment


def test_loading_prints_nothing(debugger, target):
    result = debugger.session(target("calls"), [])
    text = result.start
    assert "ibbon" not in text and "atch" not in text, text
    if debugger.name == "gdb":
        assert text == ""


def test_loading_twice_is_harmless(debugger, target):
    again = ("source " + Gdb.script, "command script import " + Lldb.script)
    reload = ("source " + Gdb.script, "command script import -r " + Lldb.script)
    result = debugger.session(target("calls"), ["gibbon wrap work", again, "gibbon list", "run", reload, "gibbon list", "gibbon wrap between", "run"], args=["4"])
    assert result[1] == "" and result[4] == "", result.text
    assert "<PENDING>          work" in result[2]
    assert len(result.calls("work")) == 8 and len(result.calls("between")) == 1
    assert "Patch 2" in result[6]


def test_without_a_program(debugger):
    result = debugger.session(None, ["gibbon list", "gibbon wrap work", "gibbon list", "gibbon log", "gibbon stats", "gibbon show", "!gibbon explain work", "gibbon delete"])
    assert result[0] == "No patches.\n" and result[1] == "Patch 1: wrap work <PENDING>.\n"
    assert "<PENDING>          work" in result[2] and result[3] == "No calls recorded.\n"
    assert "not being run" in result[6]


def test_start_is_quick(debugger, target):
    """A patch may cost a start half a second, not seconds."""
    program = target("calls")
    started = time.monotonic()
    debugger.session(program, ["run"])
    bare = time.monotonic() - started
    started = time.monotonic()
    debugger.session(program, ["gibbon wrap work -quiet", "run"])
    assert time.monotonic() - started - bare < 1.2


def test_missing_library_is_one_sentence(debugger, target, tmp_path):
    import os
    import shutil
    for part in ("gdb", "lldb", "core/python"):
        (tmp_path / "tree" / part).mkdir(parents=True)
    root = os.path.dirname(os.path.dirname(debugger.script))
    for file in ("gdb/gibbon.py", "lldb/gibbon.py", "core/python/gibbon_binding.py", "core/python/gibbon_api.py", "core/python/gibbon_gdb.py", "core/python/gibbon_lldb.py"):
        shutil.copy(os.path.join(root, file), tmp_path / "tree" / file)
    line = ("source " if debugger.name == "gdb" else "command script import ") + str(tmp_path / "tree" / debugger.name / "gibbon.py")
    words = debugger.command_line(target("calls"), False) + ["-ex" if debugger.name == "gdb" else "-o", line]
    done = subprocess.run(words, capture_output=True, text=True, env=environment(tmp_path), cwd=tmp_path, timeout=30)
    text = done.stdout + done.stderr
    assert "Traceback" not in text and "File \"" not in text, text
    assert "libgibbon.so was not found" in text, text


def test_gdb_abbreviations_still_work(gdb):
    """A new command must not make abbreviations of GDB's own ambiguous."""
    result = gdb.session(None, [("complete g", ""), ("complete gi", ""), ("show gibbon", ""), ("python print(gdb.execute('complete mon', to_string=True))", "")])
    assert "gibbon" in result[0] and result[1] == "gibbon\n"
    assert "monitor" in result[3]
