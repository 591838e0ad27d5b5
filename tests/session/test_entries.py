"""Every shape of a function's first bytes: pads left by compilers, short functions, islands, loops, tables and neighbours."""
import os
import re
import subprocess

import pytest
from harness import INSIDE

LOAD = "python import sys; sys.path.insert(0, %r); import inside" % os.path.dirname(INSIDE)
SAME = "python inside.text_differences()"
NONE = "text: 0 bytes of many differ"

# what a compiler was told
COMPILERS = {
    "gcc-plain": ("gcc", ["-O2"]),
    "gcc-unoptimised": ("gcc", ["-O0"]),
    "gcc-small": ("gcc", ["-Os", "-fno-align-functions"]),
    "gcc-pad": ("gcc", ["-O2", "-fpatchable-function-entry=5"]),
    "gcc-large-pad": ("gcc", ["-O2", "-fpatchable-function-entry=16,8"]),
    "gcc-pad-before": ("gcc", ["-O2", "-fpatchable-function-entry=7,5"]),
    "gcc-pad-before-cet": ("gcc", ["-O2", "-fpatchable-function-entry=7,5", "-fcf-protection=full"]),
    "gcc-small-pad-before": ("gcc", ["-Os", "-fpatchable-function-entry=5,5"]),
    "gcc-cet": ("gcc", ["-O2", "-fcf-protection=full"]),
    "gcc-mcount-nop": ("gcc", ["-O2", "-pg", "-mfentry", "-mnop-mcount", "-fno-pie", "-no-pie"]),
    "gcc-fentry": ("gcc", ["-O2", "-pg", "-mfentry"]),
    "gcc-mcount": ("gcc", ["-O2", "-pg"]),
    "gcc-large-model": ("gcc", ["-O2", "-mcmodel=large", "-fPIE"]),
    "clang-plain": ("clang", ["-O2"]),
    "clang-small": ("clang", ["-Oz"]),
    "clang-pad": ("clang", ["-O2", "-fpatchable-function-entry=5"]),
    "clang-pad-before": ("clang", ["-O2", "-fpatchable-function-entry=7,5"]),
    "clang-xray": ("clang", ["-O2", "-fxray-instrument", "-fxray-instruction-threshold=1"]),
    "clang-cet": ("clang", ["-O2", "-fcf-protection=full"]),
    "clang-fentry": ("clang", ["-O2", "-pg", "-mfentry"]),
}
CALLS = dict(plain=3, reads=4, writes=3, loops=3, nothing=3, calls=3, tail=3, chooses=3, halves=3)
FUNCTIONS = list(CALLS)
# There may be no padding for an island in reach.
SMALL = {"gcc-small": ["nothing", "tail"]}


def counts(text):
    return {name: int(n) for n, name in re.findall(r"^\d+ +(\d+) +(?:\d+|-) .*  (\w+)$", text, re.M)}


@pytest.mark.parametrize("form", COMPILERS)
def test_entries_of_compilers(debugger, target, tmp_path, form):
    """Wrapped one by one while stopped in main; the calls; deleted; the text is the file's."""
    cc, flags = COMPILERS[form]
    program = target("entries.c", cc=cc, opt=flags[0], flags=flags[1:], pie="-no-pie" not in flags)
    bare = subprocess.run([program], check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    actions = ["break main", "run"] + ["%sgibbon wrap %s -quiet" % ("!" if f in SMALL.get(form, []) else "", f) for f in FUNCTIONS]
    actions += [("delete", "breakpoint delete -f"), "break finished", "continue", "gibbon stats"]
    actions += [("delete", "breakpoint delete -f"), LOAD, "gibbon delete", SAME, "continue"]
    result = debugger.session(program, actions)
    patched = {}
    for step, function in enumerate(FUNCTIONS, 2):
        if function in SMALL.get(form, []) and "cannot be patched" in result[step]:
            assert re.search(r"^(?:error: )?%s cannot be patched: .*: the function ends here, after \d bytes; a patch needs 5\.?$" % function, result[step], re.M), result[step]
            continue
        assert re.search(r"^Patch \d+: wrap %s at 0x[0-9a-f]{16} in entries\.$" % function, result[step], re.M), result[step]
        patched[function] = CALLS[function]
    seen = counts(result[len(FUNCTIONS) + 5])
    assert seen == patched, result.text
    assert NONE in result[len(actions) - 2], result[len(actions) - 2]
    assert result.out == bare


# Those of forms.S that cannot be patched, and why.
REFUSED = {
    "one_byte": r"one_byte cannot be patched: 0x[0-9a-f]+: c3 \(ret\): the function ends here, after 1 byte; a patch needs 5",
    "loop_to_entry": r"loop_to_entry cannot be patched: 0x[0-9a-f]+: [0-9a-f ]+ \(jmp 0x[0-9a-f]+\): it branches back to byte 0 of the function",
    "cold_loop": r"cold_loop cannot be patched: its cold part jumps back to its beginning\.",
    "cold_loop.cold": r"cold_loop\.cold cannot be patched: it is a part of a function, entered by jumps from the rest of it\.",
    "rest_of_it": r"rest_of_it cannot be patched: it is a part of a function, entered by jumps from the rest of it\.",
}
FORMS = ("only_jump short_jump identity three_bytes neighbour behind_one_byte loop_enclosed loop_with_call switch_back goto_back entered enters_near "
         "entered_from_far enters_far outer inner local_label where_am_i asks_a_thunk has_part calls_early calls_register counts stack_through_memory lock_skip before_zeros reads_zeros "
         "pad_is_whole only_ret two_bytes before_pad").split()
NEVER = ["only_ud2", "only_hlt"]
# These are reached from others too.
CALLED = dict(identity=3 + 3 + 3 + 6 + 3 + 3, inner=3 + 3)


def forms(target, **how):
    return target("forms.c", "forms.S", flags=["-rdynamic"], **how)


def check_forms(result, step, bare):
    seen = counts(result[step])
    expected = {name: CALLED.get(name, 3) for name in FORMS}
    expected.update({name: 0 for name in NEVER})
    assert {name: seen.get(name) for name in expected} == expected, result.text
    assert result.out == bare


@pytest.mark.parametrize("how", [dict(cc="gcc"), dict(cc="clang"), dict(pie=False), dict(debug=False, strip=True)], ids=["gcc", "clang", "fixed", "stripped"])
def test_forms_one_by_one(debugger, target, how):
    program = forms(target, **how)
    bare = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    names = FORMS + NEVER
    actions = ["break main", "run"] + ["gibbon wrap %s -count" % f for f in names]
    refused = len(actions)
    actions += ["!gibbon wrap %s" % name for name in REFUSED]
    actions += [("delete", "breakpoint delete -f"), "break finished", "continue", "gibbon stats", LOAD, "gibbon delete", SAME, "continue"]
    result = debugger.session(program, actions)
    for step, name in enumerate(names, 2):
        assert re.search(r"^Patch \d+: wrap %s at 0x[0-9a-f]{16} in forms\.$" % name, result[step], re.M), result[step]
    for step, name in enumerate(REFUSED, refused):
        assert re.search(REFUSED[name], result[step]), result[step]
    check_forms(result, refused + len(REFUSED) + 3, bare)
    assert NONE in result[len(actions) - 2], result[len(actions) - 2]


def test_forms_in_one_command_before_run(debugger, target):
    """Planned together: no two of them may take one island. What is refused is said, and the others stand."""
    program = forms(target)
    bare = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    result = debugger.session(program, ["gibbon wrap " + " ".join(FORMS + NEVER) + " -count", "break finished", "run", "gibbon stats", LOAD, "gibbon delete",
                                        SAME, "continue"])
    check_forms(result, 3, bare)
    assert NONE in result[6], result[6]
