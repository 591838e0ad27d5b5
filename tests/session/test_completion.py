"""Completion: all words in GDB, commands in LLDB."""
import re

import pytest


def completions(gdb, program, *lines, before=()):
    result = gdb.session(program, list(before) + [("complete " + line, "") for line in lines])
    return [result[len(before) + i].split("\n")[:-1] for i in range(len(lines))]


def test_commands(gdb, target):
    wr, de, all_ = completions(gdb, target("calls"), "gibbon wr", "gibbon de", "gibbon ")
    assert wr == ["gibbon wrap"] and de == ["gibbon delete"] and len(all_) >= 13


def test_options(gdb, target):
    every, ti, dashes, log = completions(gdb, target("calls"), "gibbon wrap work -e", "gibbon wrap -t", "gibbon wrap work --qu", "gibbon log -")
    assert every == ["gibbon wrap work -every"] and sorted(ti) == ["gibbon wrap -temporary", "gibbon wrap -thread", "gibbon wrap -times"]
    assert dashes == ["gibbon wrap work --quiet"]
    assert sorted(log) == ["gibbon log -" + o for o in ("clear", "follow", "format", "last", "save")]


def test_locations(gdb, target):
    work, between, module, inside = completions(gdb, target("calls"), "gibbon wrap wor", "gibbon explain betw", "gibbon wrap libc.so", "gibbon wrap libc.so.6!mkdt", before=["break main", "run"])
    assert "gibbon wrap work" in work and between == ["gibbon explain between"]
    assert all(w.startswith("gibbon wrap wor") for w in work)
    assert module == ["gibbon wrap libc.so.6!"] and inside == ["gibbon wrap libc.so.6!mkdtemp"]


def test_locations_before_run(gdb, target):
    work, = completions(gdb, target("calls"), "gibbon wrap wor")
    assert "gibbon wrap work" in work


def test_locations_of_every_form(gdb, target):
    """GDB begins the word it completes in the middle of these."""
    program = target("cxx.cc")
    file, address, method, nothing = completions(gdb, program, "gibbon wrap -count cxx.cc:mai", "gibbon explain *mai", "gibbon wrap zoo::try_f", "gibbon wrap ")
    assert file == ["gibbon wrap -count cxx.cc:main()"] and "gibbon explain *main" in address
    assert method == ["gibbon wrap zoo::try_fall(int)"] and nothing == []


def test_patch_numbers(gdb, target):
    before = [("gibbon wrap work", ""), ("gibbon wrap between", "")]
    delete, disable, lst = completions(gdb, target("calls"), "gibbon delete ", "gibbon disable 2", "gibbon list 1 ", before=before)
    assert delete == ["gibbon delete 1", "gibbon delete 2"] and disable == ["gibbon disable 2"] and lst == ["gibbon list 1 1", "gibbon list 1 2"]


def test_settings_and_help(gdb, target):
    name, help_, gset, value = completions(gdb, target("calls"), "gibbon set string", "gibbon help wr", "set gibbon str", "gibbon log -format js")
    assert name == ["gibbon set string-limit"] and help_ == ["gibbon help wrap"] and gset == ["set gibbon string-limit"] and value == ["gibbon log -format jsonl"]


def test_commands_in_lldb(lldb):
    code = ("python m = lldb.SBStringList(); lldb.debugger.GetCommandInterpreter().HandleCompletion('%s', %d, 0, -1, m); "
            "print(sorted(m.GetStringAtIndex(i).strip() for i in range(1, m.GetSize())))")
    lines = ["gibbon wr", "gibbon de", "gibbon ", "gibb"]
    result = lldb.session(None, [code % (line, len(line)) for line in lines])
    assert result[0] == "['wrap']\n" or "wrap" in result[0]
    assert "delete" in result[1] and "wrap" not in result[1]
    for name in ("wrap", "list", "enable", "disable", "delete", "log", "stats", "explain", "save", "set", "show", "help", "version"):
        assert name in result[2], result[2]
