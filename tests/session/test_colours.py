"""Log lines and lists in the debugger's own styles: on a terminal that shows colours, and nowhere else."""
import re

import pytest

COLOUR = {"gdb": "set style enabled on", "lldb": "settings set use-color true"}
TERM = {"TERM": "xterm-256color"}
STYLED = re.compile(r"\x1b\[[\d;]+m")


@pytest.fixture
def nested(target):
    return target("nested", name="nested")


class Session:
    def __init__(self, interactive, program, env=TERM):
        self.one = interactive(program, env=env)
        self.name = self.one.debugger.name

    def do(self, line):
        """What a command showed, with escape sequences, without its echo."""
        before = len(self.one.raw)
        self.one.do(line)
        text = self.one.raw[before:]
        return text[text.index(line[-20:]) + len(line[-20:]):]

    def shows(self):
        """The lines of a log and of a list, coloured if they are to be."""
        self.do("gibbon wrap nested!outer -backtrace 1")
        run = self.do("run")
        if "outer" not in run:  # LLDB tells of the end before
            self.one.expect(r"outer\(n=2\)")
        return self.do("gibbon log -last 1"), self.do("gibbon list")


def test_styles(interactive, nested):
    session = Session(interactive, nested)
    session.do(COLOUR[session.name])
    log, table = session.shows()
    if session.name == "gdb":
        assert "\x1b[33mouter\x1b[m(\x1b[36mn\x1b[m=2) = 7 \x1b[2m<" in log
        assert re.search(r"    #0 \x1b\[33mmain\x1b\[m\+0x[0-9a-f]+ \(\x1b\[32mnested.c\x1b\[m:\d+\)\n", log)
        assert "\x1b[1mNum  Type     Disp Enb Address            What\x1b[m\n" in table
    else:
        assert re.search(r" outer\(n=2\) = 7 <", log)
        assert re.search(r"    #0 main\+0x[0-9a-f]+ \(\x1b\[36mnested.c\x1b\[m:\x1b\[33m\d+\x1b\[m\)\n", log)
        assert "Num  Type     Disp Enb Address            What\n" in table


def test_live_lines(interactive, nested):
    session = Session(interactive, nested)
    session.do(COLOUR[session.name])
    session.do("gibbon wrap nested!inner -backtrace 1")
    session.one.send("run")
    session.one.expect(r"inner\(n=2\) = 2 <.*\n.*#0 outer")
    assert "\x1b[%snested.c\x1b[m:" % ("32m" if session.name == "gdb" else "36m") in session.one.raw
    assert ("\x1b[33minner\x1b[m(" in session.one.raw) == (session.name == "gdb")


def test_addresses_and_errors(interactive, target):
    session = Session(interactive, target("errors"))
    session.do(COLOUR[session.name])
    session.do(session.one.debugger.words("break main"))
    session.one.send("run")
    session.one.expect(r"at (\S*/)?errors\.c:\d+")
    session.one.prompt()
    session.do("gibbon wrap open")
    address = re.compile(r"\x1b\[%dm0x[0-9a-f]{16}\x1b\[m " % (34 if session.name == "gdb" else 33))
    assert address.search(session.do("gibbon list"))
    session.one.send("continue")
    session.one.expect(r"ENOENT")
    session.one.prompt()
    assert "= -1 \x1b[31mENOENT (No such file or directory)\x1b[m" in session.do("gibbon log")


def test_nothing_where_the_debugger_shows_none(interactive, nested):
    """The harness has switched colours off."""
    session = Session(interactive, nested)
    log, table = session.shows()
    assert "outer(n=2) = 7" in log and not STYLED.search(log.split("<")[0]) and "\x1b[33m" not in log + table and "\x1b[36m" not in log + table


@pytest.mark.parametrize("env", [{"TERM": "xterm-256color", "NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_people_who_want_none(interactive, nested, env):
    session = Session(interactive, nested, env)
    session.do(COLOUR[session.name])
    log, table = session.shows()
    assert "\x1b[33m" not in log + table and "\x1b[36m" not in log + table and "\x1b[1mNum" not in table


def test_pipes_and_files(debugger, nested, tmp_path):
    """Output of the debugger that is no terminal, and files, even when the debugger would show colours."""
    result = debugger.session(nested, [(COLOUR["gdb"], COLOUR["lldb"]), "gibbon wrap nested!outer -backtrace 1", "run", "gibbon list", "gibbon log", "gibbon log -save %s" % (tmp_path / "log")],
                              env=TERM)
    assert "outer(n=2) = 7 <" in result[4] and "outer(n=2)" in (tmp_path / "log").read_text()
    assert "\x1b" not in "".join(result[step] for step in (2, 3, 4, 5)).split("exited")[0] and "\x1b" not in (tmp_path / "log").read_text()


def test_a_saved_file_from_a_terminal(interactive, nested, tmp_path):
    session = Session(interactive, nested)
    session.do(COLOUR[session.name])
    session.shows()
    session.do("gibbon log -save %s" % (tmp_path / "log"))
    text = (tmp_path / "log").read_text()
    assert "outer(n=2) = 7" in text and "\x1b" not in text and not re.search("[\x0f-\x18]", text)


def test_settings_of_gdb(request, target, tmp_path):
    import harness
    harness.need("gdb")
    one = harness.Interactive(harness.Gdb(tmp_path), target("nested", name="nested"), TERM)
    request.addfinalizer(one.close)
    session = Session(lambda program, env: one, None)
    for line in (COLOUR["gdb"], "set style function foreground red", "set style function background blue", "set style function intensity bold", "set style variable foreground none"):
        session.do(line)
    log, _ = session.shows()
    assert "\x1b[31;44;1mouter\x1b[m(n=2) = 7" in log
    session.do("set style enabled off")
    assert "\x1b[31" not in session.do("gibbon log")
    session.do("set style enabled on")
    # Where GDB's own output would be plain text.
    assert "^[" not in session.do("pipe gibbon log | cat -v") and "\x1b[31" not in session.do("pipe gibbon log | cat")
    session.do("python text = gdb.execute('gibbon log', to_string=True)")
    assert "False True" in session.do("python print(chr(27) in text, 'outer(n=2)' in text)")
    session.do("python import gibbon; text = gibbon.command('log')")
    assert "False True" in session.do("python print(chr(27) in text, 'outer(n=2)' in text)")
    session.do("set logging file %s" % (tmp_path / "gdb.log"))
    session.do("set logging enabled on")
    assert "\x1b[31;44;1mouter" in session.do("gibbon log")
    session.do("set logging enabled off")
    assert "outer(n=2)" in (tmp_path / "gdb.log").read_text() and "\x1b" not in (tmp_path / "gdb.log").read_text()


def test_what_the_target_sends_is_no_colour(interactive, target):
    """Escapes of the target's own, and the bytes with which Gibbon marks pieces of its lines."""
    session = Session(interactive, target("escapes"))
    session.do(COLOUR[session.name])
    session.do("gibbon wrap getenv")
    session.do("run")
    shown = session.do("gibbon log")
    for sequence in STYLED.findall(shown):
        assert sequence in ("\x1b[33m", "\x1b[36m", "\x1b[2m", "\x1b[31m", "\x1b[0m", "\x1b[1m", "\x1b[22m"), repr(sequence)
    assert not re.search("[\x0e-\x1a]", shown)
