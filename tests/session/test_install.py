"""The front-ends work from the build tree, from the installed tree, and from one line in the debugger's own start-up file."""
import glob
import os
import re
import subprocess

import pytest
from harness import ROOT, Gdb, Lldb, environment, need


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    need("cmake")
    prefix = tmp_path_factory.mktemp("prefix")
    build = os.path.join(ROOT, "build")
    if not os.path.exists(os.path.join(build, "cmake_install.cmake")):
        pytest.skip("no build tree to install from")
    subprocess.run(["cmake", "--install", build, "--prefix", str(prefix)], check=True, capture_output=True)
    return prefix


def test_what_is_installed(installed):
    files = [os.path.relpath(path, installed) for path in glob.glob(str(installed) + "/**", recursive=True)]
    for pattern in (r"lib.*/libgibbon\.so(\.\d+)*$", r"include/gibbon/engine\.h$", r"include/gibbon/target\.h$", r"include/gibbon/relocate\.h$", r"gdb/gibbon\.py$", r"lldb/gibbon\.py$",
                    r"gibbon_binding\.py$", r"libc\.proto$", r"guide\.md$", r"commands\.md$"):
        assert any(re.search(pattern, file) for file in files), "%s is not among %s" % (pattern, sorted(files))


def test_installed_front_end(debugger, installed, target):
    script, = glob.glob(str(installed) + "/**/%s/gibbon.py" % debugger.name, recursive=True)
    debugger.script = script
    result = debugger.session(target("calls", debug=False), ["gibbon wrap getenv atoi", "run", "gibbon version", "python import gibbon_binding; print(gibbon_binding.__file__)"], args=["3"])
    assert result.bodies("atoi") == ['atoi(nptr="3") = 3'] and result.out == "3 calls, last 3\n"
    assert str(installed) in result[3], "the binding of another tree was used: " + result[3]


def test_one_line_in_the_start_up_file(debugger, target, tmp_path):
    line = ("source " if debugger.name == "gdb" else "command script import ") + debugger.script
    (tmp_path / (".gdbinit" if debugger.name == "gdb" else ".lldbinit")).write_text(line + "\n")
    if debugger.name == "gdb":
        words = ["gdb", "-q", "-batch", "-ex", "gibbon wrap work", "-ex", "run", "--args", target("calls"), "2"]
    else:
        words = ["lldb-19", "-b", "-o", "gibbon wrap work", "-o", "run", target("calls"), "2"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment(tmp_path), cwd="/", timeout=60, stdin=subprocess.DEVNULL)
    assert "Patch 1: wrap work <PENDING>." in done.stdout, done
    assert len(re.findall(r"^gibbon: \[\d+\] [+-][\d.]+ work\(", done.stdout, re.M)) == 2, done


@pytest.mark.parametrize("script", [Gdb.script, Lldb.script])
def test_front_ends_stay_thin(script):
    with open(script) as file:
        assert len(file.readlines()) < 600
