"""Programs of Debian: wrapped, their output does not change by a byte."""
import os
import re
import subprocess

import pytest
from harness import environment, need

WRAPPED = "getenv malloc free write open openat fopen qsort printf memcpy mmap pthread_mutex_lock"


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A database script, a repository."""
    root = tmp_path_factory.mktemp("data")
    (root / "script.sql").write_text("create table t(a, b);\nwith recursive c(n) as (select 1 union all select n+1 from c where n < 500) "
                                     "insert into t select n, hex(n*n) from c;\nselect count(*), sum(a), max(b) from t;\nselect * from t order by b limit 9;\n")
    repository = root / "repository"
    repository.mkdir()
    env = environment(root, {"GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "n", "GIT_AUTHOR_EMAIL": "e@e", "GIT_COMMITTER_NAME": "n", "GIT_COMMITTER_EMAIL": "e@e"})
    if subprocess.run(["git", "init", "-q", "-b", "main", "."], cwd=repository, env=env).returncode == 0:
        for i in range(3):
            (repository / "file").write_text("line %d\n" % i * 20)
            subprocess.run(["git", "add", "file"], cwd=repository, env=env, check=True)
            subprocess.run(["git", "commit", "-q", "-m", "commit %d" % i], cwd=repository, env=env, check=True)
    return root


PYTHON = "import json,sys; print(json.dumps({str(i): i**3 for i in range(50)})); print(sorted(str(i) for i in range(300))[:20]); print(open('/etc/hostname').read() and len(sys.argv))"
PROGRAMS = {
    "sqlite3": ("/usr/bin/sqlite3", lambda data: [":memory:", ".read %s/script.sql" % data]),
    "git": ("/usr/bin/git", lambda data: ["-C", "%s/repository" % data, "log", "--stat", "--format=%H %s"]),
    "python3": ("/usr/bin/python3", lambda data: ["-I", "-c", PYTHON]),
    "bash": ("/bin/bash", lambda data: ["-c", "for i in 1 2 3; do printf '%s-%s\\n' $i \"$HOME\"; done; x=$(echo sub); echo $x | cat; ls -d /; type cd; [[ abc =~ b ]] && echo yes"]),
    "dpkg": ("/usr/bin/dpkg-query", lambda data: ["-W", "-f", "${Package} ${Version}\\n", "libc6", "bash"]),
    "sort": ("/usr/bin/sort", lambda data: ["%s/script.sql" % data]),
}


@pytest.mark.parametrize("options", ["-quiet", "-quiet -backtrace", "-count"])
@pytest.mark.parametrize("name", ["sqlite3", "git", "python3", "bash"])
def test_output_is_unchanged(debugger, data, name, options):
    program, arguments = PROGRAMS[name]
    need(program)
    if options != "-quiet" and name in ("git", "bash"):
        pytest.skip("one of two is enough for %s" % options)
    arguments = arguments(data)
    bare = subprocess.run([program] + arguments, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=debugger.directory, env=environment(debugger.directory))
    result = debugger.session(program, ["gibbon wrap %s %s" % (WRAPPED, options), "run", ("", "continue") if name == "never" else "python pass", "gibbon stats"], args=arguments, timeout=150)
    assert result.out == bare.stdout and bare.stdout, result.text[-3000:]
    assert result.err == bare.stderr
    counts = {what: int(n) for n, what in re.findall(r"^\d+ +(\d+) +(?:\d+|-) .*  (\w+)$", result[3], re.M)}
    for function in ("malloc", "free", "memcpy", "getenv"):
        assert counts[function] > 0, counts
    assert set(counts) == set(WRAPPED.split()), counts
    assert "refused" not in result[0] + result[3], result.text


@pytest.mark.parametrize("function", WRAPPED.split())
def test_each_function_alone_in_sqlite3(debugger, data, function):
    program, arguments = PROGRAMS["sqlite3"]
    need(program)
    bare = subprocess.run([program] + arguments(data), capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment(debugger.directory))
    result = debugger.session(program, ["gibbon wrap %s -quiet" % function, "run", "gibbon stats"], args=arguments(data))
    assert result.out == bare.stdout, result.text[-2000:]
    assert re.search(r"^1 +\d+ +\d+ .*  %s$" % function, result[2], re.M)


def test_what_python_opens(debugger, data):
    """An answer nobody has to guess: the calls with their arguments."""
    program, arguments = PROGRAMS["python3"]
    result = debugger.session(program, ["gibbon wrap libc.so.6?!open64 libc.so.6?!open", "run"], args=arguments(data))
    assert [line for line in result.log if re.search(r'open\w*\(\w+="/etc/hostname", .*\) = \d+ (\(patch \d\) )?<', line)], result.text[-2000:]


def test_tools_that_run_others(debugger, data):
    """bash forks: parent and children log with their own ids."""
    program, arguments = PROGRAMS["bash"]
    result = debugger.session(program, ["gibbon wrap write", "run"], args=arguments(data))
    assert 'write(fd=1, ' in result.text
    writes = [line for line in result.calls("write")]
    assert len({re.match(r"gibbon: \[(\d+)\]", line).group(1) for line in writes}) >= 2, writes


@pytest.mark.parametrize("name", ["dpkg", "sort"])
def test_other_programs(debugger, data, name):
    program, arguments = PROGRAMS[name]
    need(program)
    bare = subprocess.run([program] + arguments(data), capture_output=True, text=True, env=environment(debugger.directory))
    result = debugger.session(program, ["gibbon wrap %s -quiet" % WRAPPED, "run", "gibbon stats"], args=arguments(data))
    assert result.out == bare.stdout and bare.stdout, result.text[-2000:]
