"""gibbon mock: a value in place of a call."""
import re
import subprocess

import pytest

BUILDS = [("gcc", "-O0"), ("gcc", "-O2"), ("clang", "-O0"), ("clang", "-O2")]
every_build = pytest.mark.parametrize("cc,opt", BUILDS)


def bare(program, *args):
    return subprocess.run([program, *args], capture_output=True, text=True, check=True).stdout


def lines(text, word):
    return [line for line in text.split("\n") if line.startswith(word)]


@every_build
def test_every_class_of_result(debugger, target, cc, opt):
    program = target("results", cc=cc, opt=opt)
    mocks = ["add -5", "multiply 0x7fffffff", "sum -1", "tiny 'a'", "yes false", "color GREEN", "half 2.25", "third -1.5", "quarter 1e300", "turn {3, -4}",
             "small {7, 2.5}", "pair {-1, 9}", "floats {1.5, 2.5, 3.5}", "large {1, 2, 3, 4, 5, 'x'}", "name \"it's\"", "nothing 0"]
    result = debugger.session(program, ["gibbon mock %s -quiet" % m for m in mocks] + ["run", "gibbon list"], args=["2"])
    expected = """open worked -
add -5 multiply 2147483647 sum -1
tiny 97 yes 0 color 7
half 2.25 third -1.5 quarter 1e+300
turn 3 -4
small 7 2.5 pair -1 9
floats 1.5 2.5 3.5 large 1 5 120
name it's calls 0
malloc worked
"""
    assert result.out == 2 * expected
    assert result[len(mocks) + 1].count("called 2 times, 0 threads inside") == len(mocks) - 1  # name() is called twice as often


@pytest.mark.parametrize("value,shown", [("NULL", "NULL"), ('"a\\tb"', "a\tb"), ("0", "NULL")])
def test_pointers(debugger, target, value, shown):
    result = debugger.session(target("results"), ["gibbon mock name %s" % value, "run"])
    assert "name %s calls" % shown in result.out
    assert len(result.calls("name")) == (2 if shown != "NULL" else 1) and " (mocked) <" in result.calls("name")[0]


def test_the_log_says_mocked(debugger, target):
    result = debugger.session(target("results"), ["gibbon mock open -1 -errno EACCES", "run", "gibbon log -format jsonl", "gibbon stats"])
    assert result.only("open") == 'open(file="/etc/passwd", oflag=O_RDONLY) = -1 EACCES (Permission denied) (mocked)'
    assert "open failed Permission denied" in result.out
    assert '"mocked":true' in result[2] and '"error":"EACCES"' in result[2]
    assert re.search(r"^1 +1 +1 .*  open$", result[3], re.M), result[3]


@every_build
def test_only_the_result_changes(debugger, target, cc, opt):
    """gcc's -fipa-ra: callers in the same file rely on registers that the original leaves alone; errno is set by a call of libc's."""
    program = target("results", cc=cc, opt=opt)
    plain = bare(program, "3").replace("half 0.5 ", "half 4 ").replace("half 1 ", "half 4 ").replace("half 1.5 ", "half 4 ")
    result = debugger.session(program, ["gibbon mock half 4 -errno EAGAIN", "run"], args=["3"])
    assert result.out == plain


@pytest.mark.parametrize("options,mocked", [("-after 2", [3, 4, 5, 6]), ("-every 3", [3, 6]), ("-times 2", [1, 2]), ("-after 1 -every 2 -times 2", [3, 5]), ("-temporary", [1])])
def test_filters(debugger, target, options, mocked):
    """Calls that the filters leave out go to the original."""
    result = debugger.session(target("results", opt="-O2"), ["gibbon mock add 1000 " + options, "run", "gibbon stats"], args=["6"])
    seen = [int(line.split()[1]) for line in lines(result.out, "add")]
    assert seen == [1000 if i in mocked else i + 10 for i in range(1, 7)]
    assert len(result.calls("add")) == len(mocked)


def test_malloc_fails_now_and_then(debugger, target):
    """Out of memory, the classic: the program's own calls only."""
    program = target("results", opt="-O2")
    result = debugger.session(program, ["gibbon mock libc.so.6!malloc 0 -from results -every 2 -quiet", "run", "gibbon list"], args=["6"])
    assert [line.split()[1] for line in lines(result.out, "malloc")] == ["worked", "failed"] * 3
    assert "called 3 times" in result[2]


@pytest.mark.parametrize("count", ["", " -count"])
def test_enable_and_disable(debugger, target, count):
    program = target("results", opt="-O2")
    actions = ["break nothing", "gibbon mock add 77" + count, "run", "gibbon disable 1", "continue", "gibbon enable 1", "continue", "gibbon delete 1", "continue", "gibbon list"]
    result = debugger.session(program, actions + ["continue"], args=["4"])
    assert [int(line.split()[1]) for line in lines(result.out, "add")] == [77, 12, 77, 14]
    assert result[9] == "No patches.\n"


def test_vfork_can_be_mocked(debugger, tmp_path):
    """It cannot be called through a thunk; a mock does not call it, and calls that it leaves out jump to it."""
    source, program = tmp_path / "forks_twice.c", tmp_path / "forks_twice"
    source.write_text("""#include <errno.h>
#include <stdio.h>
#include <unistd.h>
int main(void)
{
    for (int i = 0; i < 2; i++) {
        errno = 0;
        pid_t pid = vfork();
        if (!pid)
            _exit(0);
        printf("%s %d\\n", pid > 0 ? "forked" : "failed", errno == EAGAIN);
    }
}
""")
    subprocess.run(["gcc", "-O1", "-w", "-o", str(program), str(source)], check=True)
    result = debugger.session(str(program), ["gibbon mock vfork -1 -errno EAGAIN -every 2", "run"])
    assert result.out == "forked 0\nfailed 1\n", result.text


@pytest.mark.parametrize("command,message", [
    ("gibbon mock half", '"gibbon mock" needs a function and the value it returns'),
    ("gibbon mock half 1 2", '"gibbon mock" needs a function and the value it returns'),
    ("gibbon mock half abc", 'half: "abc" is no value of type double; write a number.'),
    ("gibbon mock add abc", 'add: "abc" is no value of type int.'),
    ("gibbon mock add 5000000000", "add: 5000000000 does not fit into int."),
    ("gibbon mock color PINK", 'color: "PINK" is no value of type enum color.'),
    ("gibbon mock small 7", 'small: "7" is no value of type struct small; write its members as {1, 2}.'),
    ("gibbon mock small {1,2,3}", "small: {1,2,3} has more values than struct small has members."),
    ('gibbon mock add "text"', 'add: "text" is text, but the function returns int.'),
    ("gibbon mock add 1 -errno NOSUCH", '-errno takes the name or number of an error, as in -errno EACCES, not "NOSUCH".'),
    ("gibbon mock add 1 -errno 0", "-errno takes the name or number of an error"),
])
def test_mistakes(debugger, target, command, message):
    result = debugger.session(target("results"), ["break main", "run", "!" + command, "gibbon list"])
    assert message in result[2], result[2]
    assert result[3] == "No patches.\n"


def test_save_and_restore(debugger, target, tmp_path):
    saved = str(tmp_path / "saved")
    mocks = ["gibbon mock add -5 -quiet", "gibbon mock small {7, 2.5} -count", 'gibbon mock name "a \\"b\\"" -every 2', "gibbon mock open -1 -errno EACCES -after 1"]
    first = debugger.session(target("results"), mocks + ["gibbon save " + saved, "run", "gibbon list"], args=["3"])
    second = debugger.session(target("results"), ["source " + saved, "run", "gibbon list"], args=["3"])
    assert first.out == second.out and "add -5 " in second.out and 'name a "b" calls' in second.out
    assert first[len(mocks) + 2] == second[2]


def test_the_caller_below_another_layer(debugger, target):
    """Who called is the program, not the thunk of the patch above."""
    commands = ["gibbon wrap add -backtrace 3", "gibbon mock add 5 -every 2", "gibbon wrap add -quiet", "run", "gibbon log -format jsonl"]
    result = debugger.session(target("results"), commands, args=["3"])
    callers = re.findall(r'"caller":\{"address":"0x[0-9a-f]+","symbol":"(\w+)', result[4])
    assert callers == ["main"] * len(callers) and len(callers) == 6, result[4]
    assert re.findall(r"    #0 (\w+)", result.text) and set(re.findall(r"    #0 (\w+)", result.text)) == {"main"}, result.text
