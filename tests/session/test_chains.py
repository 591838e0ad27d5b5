"""Several patches on one function: the newest outermost, any of them switched off or deleted in any order."""
import os
import re

HERE = os.path.dirname(os.path.realpath(__file__))
IMPORT = "python import sys; sys.path.insert(0, %r); import chains" % HERE


def test_all_orders(debugger, target):
    """Six ways of making three patches times six of deleting them; four patches in the 24 orders of switching them off, on and deleting."""
    result = debugger.session(target("chain"), [IMPORT, "break between", "run", "python chains.all_orders()", "gibbon list"], timeout=300)
    assert "60 orders, all right" in result[3], result.text
    assert result[4] == "No patches.\n"


def test_the_first_original_is_kept(debugger, target):
    """The code is what it was, after any number of patches."""
    inside = "python import inside; inside.text_differences()"
    result = debugger.session(target("chain"), [IMPORT, "break between", "run", inside, "gibbon mock f 3 -quiet", "gibbon wrap f -quiet", "gibbon replace f g",
                                                "gibbon delete 1", "gibbon wrap f -count", "gibbon delete 3", "gibbon delete 2 4", inside])
    assert result[3] == result[11] and "differ" in result[3], result.text


def test_the_same_patch_twice(debugger, target):
    actions = ["gibbon wrap f", "gibbon wrap f", "gibbon wrap f -count", "gibbon mock f 7 -errno EACCES", "gibbon mock f 7 -errno 13", "gibbon mock f 8 -errno 13",
               "gibbon replace f g", "gibbon replace f g", "gibbon replace g abs", "break between", "run", "gibbon wrap f", "gibbon disable 1", "gibbon wrap f", "gibbon delete 1",
               "gibbon wrap f", "gibbon wrap g g", "gibbon wrap -- f", "gibbon list"]
    result = debugger.session(target("chain"), actions, args=["1"])
    same = "Patch %d is the same; nothing was added.\n"
    assert result[1] == same % 1 and result[2].startswith("Patch 2: wrap f")
    assert result[3].startswith("Patch 3: mock f") and result[4] == same % 3 and result[5].startswith("Patch 4: mock f")
    assert result[6].startswith("Patch 5: replace f") and result[7] == same % 5 and result[8].startswith("Patch 6: replace g")
    assert result[11] == same % 1
    assert result[13] == "Patch 1 is the same; nothing was added. It is switched off; \"gibbon enable 1\" switches it on.\n"
    assert result[15].startswith("Patch 7: wrap f at ")
    assert result[16].startswith("Patch 8: wrap g at ") and result[16].endswith(same % 8)
    assert result[17] == same % 7
    assert re.findall(r"^(\d+) ", result[18], re.M) == ["2", "3", "4", "5", "6", "7", "8"]


def test_an_address_may_mean_another_function_later(debugger, target):
    result = debugger.session(target("chain"), ["break between", "run", "gibbon wrap *&f", "gibbon wrap *&f", "gibbon list"])
    assert result[2].startswith("Patch 1: ") and result[3].startswith("Patch 2: "), result.text
