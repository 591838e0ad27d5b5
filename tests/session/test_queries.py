"""Whether a function is patched and where its original is, answered from the target's memory."""
import re

import pytest

PATCHED = ('print $_gibbon_patched("work")', 'script print("$1 = %d" % gibbon.is_patched("work"))')


def test_patched(debugger, target):
    result = debugger.session(target("calls"), [PATCHED, "break between", "run", PATCHED, "gibbon wrap work -quiet", PATCHED, "gibbon disable", PATCHED, "gibbon delete", PATCHED])
    assert [result[n].strip()[-1] for n in (0, 3, 5, 7, 9)] == ["0", "0", "1", "1", "0"], result.text


OVERWRITE = """python
import gibbon
try:
    import gdb
    read, write = (lambda a: bytes(gdb.selected_inferior().read_memory(a, 16))), (lambda a, b: gdb.selected_inferior().write_memory(a, b))
except ImportError:
    import lldb
    process = lldb.debugger.GetSelectedTarget().GetProcess()
    read, write = (lambda a: process.ReadMemory(a, 16, lldb.SBError())), (lambda a, b: process.WriteMemory(a, b, lldb.SBError()))
address = gibbon.original("work")
before = read(address)
gibbon.command("wrap work -quiet")
ours = read(address)
print(gibbon.is_patched("work"), gibbon.original("work") != address)
write(address, before)
print(gibbon.is_patched("work"), gibbon.original("work") == address)
write(address, ours)
print(gibbon.is_patched("work"), gibbon.original("work") != address, gibbon.patches()[0].address == address)
"""


def test_from_memory(debugger, target, tmp_path):
    """What somebody has written over the detour counts, not what Gibbon remembers."""
    script = tmp_path / "overwrite.py"
    script.write_text(OVERWRITE.partition("\n")[2])
    result = debugger.session(target("calls"), ["break between", "run", "python exec(open(%r).read())" % str(script), "continue"])
    assert result[2] == "True True\nFalse True\nTrue True True\n", result.text


def test_errors(debugger, target):
    ask = 'python exec(\'try:\\n  import gibbon; print(gibbon.%s)\\nexcept gibbon.Error as error: print(error)\')'
    result = debugger.session(target("calls"), [ask % "is_patched(\"nosuch\")", ask % "original(\"work\")", "break between", "run", ask % "is_patched(\"nosuch\")", ask % "original(\"nosuch\")",
                                                ask % "original(\"*e*\")", ask % "is_patched(\"*e*\")"])
    assert result[0] == "False\n" and result[1] == "The program is not being run.\n"
    assert "Function \"nosuch\" not found in any loaded module." in result[4] and "Function \"nosuch\" not found" in result[5]
    assert re.search(r"^\"\*e\*\" means \d+ functions; one is needed: MODULE!FUNCTION.$", result[6], re.M) and result[7] == "False\n"


@pytest.mark.parametrize("debug", [True, False])
def test_original_in_gdb(gdb, target, debug):
    result = gdb.session(target("calls", debug=debug), ["break between", "run", 'print $_gibbon_original("work")', "gibbon mock work 3 -quiet", 'print $_gibbon_original("work")',
                                                        'print *$_gibbon_original("work")', "!print $_gibbon_original(\"nosuch\")", "!print $_gibbon_patched(\"nosuch\")"])
    kind = r"\(long \(\*\)\(int, unsigned long\)\)" if debug else r"\(int \(\*\)\((void)?\)\)"
    assert re.search(r"= %s 0x\w+ <work>" % kind, result[2]) and re.search(r"= %s 0x\w+" % kind, result[4]), result.text
    assert result[2] != result[4].replace("$2", "$1")
    assert "Function \"nosuch\" not found in any loaded module." in result[6] and "Function \"nosuch\" not found" in result[7]


def test_original_in_lldb(lldb, target):
    """Persistent variables: there are no functions of a plugin's in LLDB's expressions."""
    result = lldb.session(target("chain"), ["break between", "run", "gibbon mock f 7 -quiet", "expression f(3)", 'script gibbon.original("f")', "expression $_gibbon_original_f(3)",
                                            'script gibbon.original("libc.so.6!atoi")', 'expression $_gibbon_original_atoi("34")', "gibbon delete", 'script gibbon.original("f")',
                                            "expression $_gibbon_original_f(4)"])
    assert "= 7" in result[3] and "= 3" in result[5] and "= 34" in result[7] and "= 4" in result[10], result.text
