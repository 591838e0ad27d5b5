"""`import gibbon` in the Python of both debuggers."""
import pytest


@pytest.fixture
def script(debugger, target, tmp_path):
    """Runs a piece of Python at a stop in between(); what it printed."""
    def run(text, before=(), program="chain", after=("continue",)):
        file = tmp_path / "script.py"
        file.write_text(text)
        actions = ["break between", *before, "run", "python exec(open(%r).read(), globals())" % str(file), *after]
        return debugger.session(target(program), actions, args=["1"])[len(before) + 2]
    return run


def test_patched(script):
    assert script("""
import gibbon
with gibbon.patched("f", returns=-1, errno=13, times=3, quiet=True) as held:
    print(gibbon.is_patched("f"), [(p.number, p.type, p.state, p.location, p.value, p.options, p.functions, p.calls) for p in gibbon.patches()])
print(gibbon.is_patched("f"), gibbon.patches())
""") == "True [(1, 'mock', 'active', 'f', '-1', '-errno EACCES -times 3 -quiet', 1, 0)]\nFalse []\n"


def test_without_an_import(script):
    """Both debuggers' command lines know the name."""
    assert script("print(gibbon.patches(), gibbon.command('list'), end='')") == "[] No patches.\n"


def test_exceptions_inside(script):
    assert script("""
try:
    with gibbon.patched("f", with_="g"), gibbon.patched("f", count=True, from_="libc.so.6"), gibbon.patched("g", during="f"):
        print([(p.type, p.value, p.options) for p in gibbon.patches()])
        1 / 0
except ZeroDivisionError:
    print(gibbon.patches())
""") == "[('replace', 'g', ''), ('wrap', '', '-count -from libc.so.6'), ('wrap', '', '-during f')]\n[]\n"


def test_deleted_inside_and_the_same_twice(script):
    """A patch that was there before stays; one that is gone already is no error."""
    assert script("""
with gibbon.patched("f", quiet=True):
    gibbon.command("delete 1")
gibbon.command("wrap f -quiet")
with gibbon.patched("f", quiet=True):
    print(len(gibbon.patches()))
print(len(gibbon.patches()))
gibbon.command("delete")
@gibbon.patched("f", quiet=True)
def held():
    return len(gibbon.patches())
print(held(), held(), len(gibbon.patches()))
""") == "1\n1\n1 1 0\n"


def test_values(script):
    assert script("""
for value in None, True, 3, 2.5, "text", 'a "b" \\\\ c\\n', (1, "x"):
    try:
        with gibbon.patched("g", returns=value, pending=True):
            print(gibbon.patches()[0].value)
    except gibbon.Error as error:
        print(type(error).__name__, bool(str(error)))
""").split("\n")[1:3] == ["1", "3"]


def test_errors(script):
    assert script("""
for call in (lambda: gibbon.command("nosuch"), lambda: gibbon.patched("nosuch").__enter__(), lambda: gibbon.patched("f", returns=1, with_="g"), lambda: gibbon.patched("f", wrong=1).__enter__()):
    try:
        call()
    except gibbon.Error as error:
        print(error)
print(gibbon.patches())
""") == ('Undefined gibbon command: "nosuch". Try "gibbon help".\nFunction "nosuch" not found in any loaded module. Use -pending to wait for it.\n'
         'A patch has either "returns" or "with_".\n"gibbon wrap" has no option "-wrong"; "gibbon help wrap" lists them.\n[]\n')


EVENTS = """
import gibbon
def heard(name):
    return lambda patch: print(name, patch.number, patch.type, patch.location, flush=True)
for name in "will_patch", "did_patch", "did_unpatch", "pending_resolved":
    getattr(gibbon.events, name).connect(heard(name))
"""


def test_events(script):
    assert script(EVENTS + """
with gibbon.patched("f", quiet=True):
    print("inside")
gibbon.command("wrap nosuch -pending")
gibbon.command("delete")
""") == "will_patch 1 wrap f\ndid_patch 1 wrap f\ninside\ndid_unpatch 1 wrap f\nwill_patch 2 wrap nosuch\n"


def test_pending_resolved(debugger, target, tmp_path):
    (tmp_path / "events.py").write_text(EVENTS)
    result = debugger.session(target("chain"), ["python exec(open(%r).read(), globals())" % str(tmp_path / "events.py"), "gibbon wrap f -quiet", "break between", "run", "gibbon list", "gibbon delete"],
                              args=["1"])
    assert result[1].startswith("will_patch 1 wrap f\nPatch 1: wrap f <PENDING>.") or "will_patch 1 wrap f\n" in result[1]
    assert "pending_resolved 1 wrap f\ndid_patch 1 wrap f\n" in result[3] + result[4], result.text
    assert "did_unpatch 1 wrap f\n" in result[5]


def test_veto(script):
    assert script("""
def refuse(patch):
    if patch.type == "mock":
        raise ValueError("not " + patch.location)
def meddle(patch):
    gibbon.command("wrap g")
gibbon.events.will_patch.connect(refuse)
for handler in refuse, meddle:
    gibbon.events.will_patch.connect(handler)
    try:
        gibbon.command("mock f 3")
    except gibbon.Error as error:
        print(error)
gibbon.events.will_patch.disconnect(refuse)
gibbon.events.will_patch.disconnect(refuse)
try:
    gibbon.command("wrap f")
except gibbon.Error as error:
    print(error)
gibbon.events.will_patch.disconnect(meddle)
gibbon.command("wrap f -quiet")
print([p.number for p in gibbon.patches()])
""") == ("A will_patch handler refused f: ValueError: not f\n" * 2 +
         "A will_patch handler refused f: GibbonError: No gibbon command can be given while a patch is about to be made.\n[1]\n")


def test_a_handler_that_fails(script):
    text = script("""
def fail(patch):
    raise KeyError("x")
gibbon.events.did_patch.connect(fail)
gibbon.command("wrap f -quiet")
gibbon.events.did_patch.disconnect(fail)
print(len(gibbon.patches()))
""")
    assert "gibbon: a did_patch handler failed: KeyError: 'x'\n" in text and text.endswith("1\n")


def test_loading_twice_keeps_it(debugger, target):
    load = ("source " if debugger.name == "gdb" else "command script import ") + debugger.script
    result = debugger.session(target("chain"), ["gibbon wrap f", load, "python import gibbon; print(len(gibbon.patches()))"])
    assert result[2] == "1\n"
