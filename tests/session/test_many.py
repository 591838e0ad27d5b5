"""Many functions at once: globs, regular expressions, refusals, previews; and that nobody in the target notices."""
import re
import subprocess

import pytest


def bare(program):
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_stack_arguments_passed_on(debugger, target, cc):
    """Nothing is known of these functions; and what they do not read themselves, the one they jump to does."""
    program = target("passed", cc=cc, opt="-O2", debug=False)
    result = debugger.session(program, ["gibbon wrap take pass pass_indirect pass_to_cold -quiet", "run", "gibbon stats"])
    assert result.out == bare(program)
    assert len(re.findall(r"^\d +[1-9]\d* +0  ", result[2], re.M)) == 4, result[2]
