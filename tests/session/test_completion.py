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


def test_values(gdb, target):
    """Behind a setting or an option comes what it can be, and nothing else."""
    lines = {"gibbon set follow ": ["off", "on"], "gibbon set ov w": ["wait"], "set gibbon pending o": ["off", "on"], "gibbon set ring-size ": [], "gibbon set follow on ": [], "gibbon show follow ": [],
             "gibbon wrap work -thread ": ["1"], "gibbon wrap work -after ": [], "gibbon wrap work -prototype ": [], "gibbon wrap work -from libc": ["libc.so.6"], "gibbon wrap -from=libc": ["-from=libc.so.6"],
             "gibbon wrap -fr libc.so.6 betw": ["between"], "gibbon wrap -backtrace betw": ["between"], "gibbon log -follow ": ["off", "on"], "gibbon log --form ": ["jsonl", "text"], "gibbon log -format=t": ["-format=text"],
             "gibbon explain work ": [], "gibbon help wrap ": [], "gibbon version ": [], "gibbon wrap work between -quie": ["-quiet"], "info gibbon ": ["1"], "gibbon log 1 ": [], "gibbon enable ": ["1"]}
    found = completions(gdb, target("calls"), *lines, before=["break main", "run", ("gibbon wrap work -quiet", "")])
    for (line, words), got in zip(lines.items(), found):
        start = line[:len(line) - len(line.rsplit(None, 1)[-1])] if not line.endswith(" ") else line
        assert [w[len(start):] for w in got] == words, (line, got)


def test_files(gdb, target, tmp_path):
    for name in ("calls.jsonl", "carrier/deep/only", ".hidden", "with space"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    save, log, deep, hidden, full = completions(gdb, target("calls"), "gibbon save ca", "gibbon log -save cal", "gibbon save carr", "gibbon save .h", "gibbon log -save %s/w" % tmp_path)
    assert save == ["gibbon save calls.jsonl", "gibbon save carrier/"] and log == ["gibbon log -save calls.jsonl"]
    assert deep == ["gibbon save carrier/deep/only"] and hidden == ["gibbon save .hidden"] and full == []


def test_only_functions_that_can_be_meant(gdb, target):
    """GDB's own list has PLT entries, files, parts and versions of functions; C++ names go on behind their colons."""
    puts, zoo, file = completions(gdb, target("calls"), "gibbon explain put", "gibbon wrap print", "gibbon wrap calls.c:wo", before=["break main", "run"])
    assert "gibbon explain puts" in puts and not [w for w in puts + zoo if "@" in w or "[" in w or "." in w]
    assert file == ["gibbon wrap calls.c:work"]
    names, = completions(gdb, target("cxx.cc"), "gibbon wrap zoo::f")
    assert sorted(names) == ["gibbon wrap zoo::fall(int)", "gibbon wrap zoo::feed(char const*)", "gibbon wrap zoo::feed(int)"]


def test_commands_in_lldb(lldb):
    code = ("python m = lldb.SBStringList(); lldb.debugger.GetCommandInterpreter().HandleCompletion('%s', %d, 0, -1, m); "
            "print(sorted(m.GetStringAtIndex(i).strip() for i in range(1, m.GetSize())))")
    lines = ["gibbon wr", "gibbon de", "gibbon ", "gibb"]
    result = lldb.session(None, [code % (line, len(line)) for line in lines])
    assert result[0] == "['wrap']\n" or "wrap" in result[0]
    assert "delete" in result[1] and "wrap" not in result[1]
    for name in ("wrap", "list", "enable", "disable", "delete", "log", "stats", "explain", "save", "set", "show", "help", "version"):
        assert name in result[2], result[2]


def test_conditions(gdb, target):
    word, color, dollar, joined, member = completions(gdb, target("conditions"), "gibbon wrap look if p && w", "gibbon wrap look if co", "gibbon wrap look if $ca", "gibbon wrap look if p==0||wo",
                                                      "gibbon wrap look if p->", before=["break main", "run"])
    assert "gibbon wrap look if p && word" in word
    assert {"gibbon wrap look if color", "gibbon wrap look if counter"} <= set(color)
    assert dollar == ["gibbon wrap look if $caller", "gibbon wrap look if $calls"]
    assert "gibbon wrap look if p==0||word" in joined and member == []


def test_conditions_before_run(gdb, target):
    dollar, = completions(gdb, target("conditions"), "gibbon mock attempt 3 if $s")
    assert dollar == ["gibbon mock attempt 3 if $startswith", "gibbon mock attempt 3 if $streq", "gibbon mock attempt 3 if $strstr"]
