"""`if EXPR`: which calls a condition lets through, against the debugger's own evaluation of the same expression on the same calls."""
import json
import re
import subprocess

import pytest

from harness import environment

BUILDS = [("gcc", "-O0"), ("gcc", "-O2"), ("clang", "-O0"), ("clang", "-O2")]
every_build = pytest.mark.parametrize("cc,opt", BUILDS)

# What Gibbon is asked, and what GDB is asked when it is written in another way there.
EXPRESSIONS = {
    "add": ["a == -1", "a > 0", "a < 0u", "a + b > 5000000000", "c > 100", "c == (unsigned char)(c + 256)", "d > 65533", "(short)d < 0", "a & 1", "!(a & 3)",
            "a % 3 == 1 || b % 2 == 0", "a / 2 == -3", "a << 2 == 8", "b >> 20 > 9000", "a ? c > 10 : d > 10", "-a > 5 && ~a > 5", "b == 3000000021", "a == 0x3",
            "a * b < 0", "(char)c < 0", "c - 200 > 0", "c - 200u > 0", "d + 10 > 65535", "(unsigned)a > 10", "sizeof(b) == 8 && a == 2", "a == 'a' - 96",
            "counter > 60", "counter % 2 == 0", "limits[1] == a * 2", "limits[a & 3] > 50", "a > limits[0] && a < limits[1]", "*(limits + 2) == 100 && a == 7",
            "(a > 3) + (a > 5) == 1", "1.5 * a > 4", "a == 1 == 0"],
    "scale": ["x > 0", "x == 0.25", "y > 2.5f", "y > x", "x * y < 1", "(int)x == -1", "x + n < -10", "n", "x < 0 && y > 0", "(float)x == y", "-x > 1", "x != x", "!x",
              "x ? y > 1 : 1", "(long)(y * 10) % 2", "x / y < 0.5", "x >= 1e0 && x <= 2.25"],
    "look": ["p == 0", "p", "!word", "color == BLUE", "color == 5 + 1", "(int)color > 1", "p && p->x > 0", "p->x > 0", "p->y == -2", "p->y < 0 && p->color == GREEN", "p->weight > 0.5",
             "p->next->x == 2", "p->next && p->next->next == 0", "p->box.flag == 7", "p->box.level < 0", "p->box.label[3] == '2'", "p->box.whole == 0x0102030405060709",
             "p->box.part[0] == 0x0a", "p->boxes->label[3] == '0'", "p->boxes[0].level == 1", "p->table[1][2] == 25", "*p->table[1] == 13", "*word == '/'",
             "word[5] == 'c'", "(*p).x == -1", "p->name[6] == '7'", "p->table[1] - p->table[0] == 1", "&p->table[1][1] - &p->table[0][0] == 4", "p->boxes > &p->box",
             "((struct point *)p)->x == 5", "*(int *)p == -4", "(long)p % 16 == 0", "p == 16", "p > 100", "sizeof(*p) > 90 && p", "word && word[5] > 'a' && p && p->x",
             "*(short *)((char *)p + 4) == -1", "p->box.flag + p->box.level == 4", "color == RED ? p == 0 : word == 0"],
    "attempt": ["n % 2", "n > 20"],
    "weigh": ["crate.weight[1] > 20", "crate.weight[n & 3] == 7", "crate.count == 3", "crate.label[4] == 'c'", "tag.kind < 0", "tag.number % 3000 == 0 && n > 3", "*&crate.weight[2] < -9",
              "(&crate)->count && tag.kind > 50", "crate.weight[4] == n % 3", "other->weight[0] == crate.weight[0]", "sizeof crate == 56 && crate.weight[0] > other->count", "other == &crate"],
}
MEMBERS = {
    "zoo::Animal::feed": ["this->id == 3", "id == 8", "kind == zoo::Kind::Dog", "alive", "!alive && grams > 0", "name.length == 3 && by.length == 30", "name.text[0] == 't'", "by.text[0] == 'b'",
                          "grams < 0 || id > 4", "count == 3", "zoo::Animal::count > 8", "(int)kind == 4", "&by != 0", "this->name.length + by.length > 10", "sizeof(*this) > 16"],
    "zoo::Bird::feed": ["span > 1", "span == 0.5 && grams > 50", "id == 5", "this->id == 6", "text[0] == 'b'", "length == 4 && by.length == 3", "name.text[2] == 'l'", "kind == zoo::Kind::Owl",
                        "(double)grams * span > 100", "((zoo::Animal *)this)->id == 5", "zoo::Animal::count % 2"],
    "zoo::Animal::older": ["than && than->id > id", "than->kind == zoo::Kind::Owl", "years > 1.5", "than == this", "than->name.length * years > 3", "!than", "than->alive && alive"],
    "place": ["kind == Kind::Owl", "kind != zoo::Kind::Dog", "visitors > 8", "p::visitors > 8", "Spot::used > 20", "spot.used > 20", "other->used % 3 == 0", "p::Spot::used % 4 == 0",
              "((Spot *)other)->row > 5", "((p::Spot *)&spot)->row % 2", "other && sizeof(Spot) == 4"],
    "zoo::twice<int>": ["value > 10", "value % 2"], "zoo::twice<short>": ["value < -10"],
}
PROGRAMS = {"conditions": EXPRESSIONS, "conditions.cc": MEMBERS}
# GDB's own words for what it writes in another way.
TEXTS = [('word == "/tmp/b7"', '$_streq(word, "/tmp/b7")'), ('word != "/tmp/b7"', '!$_streq(word, "/tmp/b7")'), ('$streq(word, p->name)', '$_streq(word, p->name)'),
         ('$strstr(word, "c1")', '$_regex(word, ".*c1.*")'), ('$startswith(word, "/tmp/d")', '$_regex(word, "^/tmp/d")'), ('p->box.label == "box2"', '$_streq(p->box.label, "box2")'),
         ('$startswith(p->box.label, "box")', 'p->box.label[0] == 98'), ('"/tmp/a0" == word', '$_streq(word, "/tmp/a0")'), ('$strstr(p->name, "/b")', 'p->name[5] == 98')]

ORACLE = """
import gdb, json
answers = {}
class At(gdb.Breakpoint):
    def __init__(self, function, expressions):
        super().__init__(function)
        self.silent, self.function, self.expressions = True, function, expressions
        answers[function] = [[] for _ in expressions]
    def stop(self):
        for i, expression in enumerate(self.expressions):
            try:
                value = gdb.parse_and_eval(expression)
                answer = bool(float(value)) if value.type.strip_typedefs().code == gdb.TYPE_CODE_FLT else bool(int(value))
            except gdb.error:
                answer = None
            answers[self.function][i].append(answer)
        return False
for function, expressions in %(expressions)r.items():
    At(function, expressions)
gdb.execute("run > /dev/null")
print("ANSWERS " + json.dumps(answers))
"""


@pytest.fixture(scope="session")
def oracle(tmp_path_factory):
    """What GDB alone says of each expression at each call: True, False, or None where it cannot tell."""
    known = {}

    def ask(program, expressions):
        if program not in known:
            folder = tmp_path_factory.mktemp("oracle")
            asked = {function: list(some) for function, some in expressions.items()}
            if "look" in asked:
                asked["look"] += [theirs for _ours, theirs in TEXTS]
            (folder / "ask.py").write_text(ORACLE % {"expressions": asked})
            text = subprocess.run(["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-x", str(folder / "ask.py"), program], capture_output=True, text=True,
                                  env=environment(str(folder), None), timeout=120).stdout
            answers = json.loads(re.search("^ANSWERS (.*)$", text, re.M).group(1))
            known[program] = {function: dict(zip(asked[function], answers[function])) for function in asked}
        return known[program]
    return ask


def accepted(debugger, program, function, conditions, tmp_path):
    """For each condition which calls were let through; and what `list` says."""
    log = tmp_path / "log.jsonl"
    result = debugger.session(program, ["gibbon wrap %s -quiet" % function] + ["gibbon wrap %s -quiet if %s" % (function, c) for c in conditions] +
                              ["run", "gibbon list", "gibbon log -save %s -format jsonl" % log])
    chosen, calls = [[] for _ in conditions], 0
    for line in log.read_text().splitlines():  # of one call, patch 1 comes first
        patch = json.loads(line)["patch"]
        calls += patch == 1
        if patch > 1:
            chosen[patch - 2].append(calls - 1)
    chosen = [[number in some for number in range(calls)] for some in chosen]
    listed = re.split(r"^(?=\d)", result[len(conditions) + 2], flags=re.M)[1:]
    undecided = [int((re.search(r"(\d+) calls? (was|were) left out as the condition", text) or [0, "0"])[1]) for text in listed[1:]]
    return chosen, undecided


@pytest.mark.parametrize("source,function", [(source, function) for source, functions in PROGRAMS.items() for function in sorted(functions)])
@pytest.mark.parametrize("cc,opt", [("gcc", "-O0"), ("clang", "-O2")])
def test_as_the_debugger_says(debugger, target, oracle, tmp_path, source, function, cc, opt):
    program = target(source, cc=cc, opt=opt)
    asked = [(c, c) for c in PROGRAMS[source][function]] + (TEXTS if function == "look" else [])
    for start in range(0, len(asked), 7):
        some = asked[start:start + 7]
        chosen, undecided = accepted(debugger, program, function, [ours for ours, _theirs in some], tmp_path)
        for (ours, theirs), calls, failed in zip(some, chosen, undecided):
            answers = oracle(program, PROGRAMS[source])[function][theirs]
            assert calls and calls == [answer is True for answer in answers], ours
            assert failed == answers.count(None), ours


@every_build
def test_on_return(debugger, target, cc, opt):
    program = target("conditions", cc=cc, opt=opt)
    result = debugger.session(program, ["gibbon wrap attempt if $ret == -1 && $errno == EACCES && n > 10", "gibbon wrap scale if $ret > 1.0", "gibbon wrap add if $ret < a",
                                        "gibbon wrap first if $ret - a > 7", "run", "gibbon list"], args=["24"])
    assert result.out == subprocess.run([program, "24"], capture_output=True, text=True, check=True).stdout
    assert result.bodies("attempt") == ["attempt(n=%d) = -1" % n for n in (13, 16, 19, 22)], result.text
    values = [(i / 4 - 2, i / 3, i) for i in range(24)]
    assert len(result.calls("scale")) == sum(x * y - i > 1 for x, y, i in values)
    assert len(result.calls("add")) > 5 and all(int(re.search(r"= (-?\d+)$", body).group(1)) < int(re.search(r"a=(-?\d+)", body).group(1)) for body in result.bodies("add"))
    assert not result.calls("first")


def test_memory_is_that_of_the_return(debugger, target):
    """A buffer that the function fills."""
    program = target("conditions")
    result = debugger.session(program, ["gibbon wrap set if buffer == \"n7\" && $errno >= 0", "gibbon wrap set -count if buffer == \"n7\"", "run", "gibbon list"], args=["24"])
    assert [re.search(r"n=(\d+)", body).group(1) for body in result.bodies("set")] == ["7"], result.text
    assert re.findall(r"called (\d+) times?", result[3]) == ["1", "1"], result[3]  # at the entry it is there of the call before


def test_caller_thread_and_number(debugger, target):
    result = debugger.session(target("conditions"), ["gibbon wrap add -quiet if $caller == first", "gibbon wrap add -quiet if $caller != first && $caller != second",
                                                     "gibbon wrap add -quiet if $calls % 10 == 0", "gibbon wrap add -quiet if $tid == 1", "gibbon wrap add -quiet if $arg1 == 5",
                                                     "run", "gibbon list"])
    assert re.findall(r"called (\d+) times?", result[6]) == ["12", "24", "4", "0", "2"], result[6]


@pytest.mark.parametrize("calls,threads", [(200000, 1), (40000, 4)])
def test_pointers_of_every_kind_are_followed(debugger, target, calls, threads):
    """Good and bad ones, and one into a file that shrinks meanwhile: the program goes on, and each call is counted as what it is, or as one that could not be decided."""
    program, conditions = target("followed", opt="-O2"), ["p->next->x == 3", "p && p->next && p->next->x == 3", '$streq(s, "x")', '$startswith(s, "xy")', '$strstr(s, "yz")', "a[i] > 0 && p->next->x == 3"]
    result = debugger.session(program, ["gibbon wrap follow -count if " + c for c in conditions] + ["run", "gibbon list"], args=[str(calls), str(threads)])
    assert "SIG" not in result.text, result.text
    known = [[int(number) for number in line.split()] for line in result.out.splitlines()]
    listed = re.split(r"^(?=\d)", result[7], flags=re.M)[1:]
    assert len(known) == len(listed) == len(conditions), result.text
    for condition, (true, false, bad, unknown), text in zip(conditions, known, listed):
        assert true + false + bad + unknown == calls and min(true, false, bad) > calls / 100 and (threads > 1 or not unknown)
        counted, undecided = int(re.search(r"called (\d+) time", text).group(1)), int(re.search(r"(\d+) calls? (was|were) left out as the condition", text).group(1))
        assert true <= counted <= true + unknown and bad <= undecided <= bad + unknown, (condition, text, known)
        assert counted + undecided <= calls - false, (condition, text, known)


def test_a_mock_with_a_condition(debugger, target):
    program = target("conditions")
    result = debugger.session(program, ["gibbon mock attempt -7 -errno EPERM if n == 3 || n == 5", "run", "gibbon list"], args=["8"])
    assert result.bodies("attempt") == ["attempt(n=3) = -7 (mocked)", "attempt(n=5) = -7 (mocked)"], result.text


def test_filters_come_before_limits_behind(debugger, target):
    result = debugger.session(target("conditions"), ["gibbon wrap attempt -after 2 -every 3 if n % 2 == 0", "run"], args=["24"])
    assert [int(re.search(r"n=(\d+)", body).group(1)) for body in result.bodies("attempt")] == [8, 14, 20]


def test_counted_ones(debugger, target):
    program = target("conditions")
    result = debugger.session(program, ["gibbon wrap attempt -count if n > 20", "gibbon wrap add -count if a == 5", "gibbon wrap attempt -count if $ret == -1", "run", "gibbon list"], args=["24"])
    assert re.findall(r"called (\d+) times?", result[4]) == ["3", "2", "16"], result[4]
    assert result.out == subprocess.run([program, "24"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("condition,said", [
    ("n = 3", "column 3"), ("n == ", "column"), ("nn == 3", "column 1"), ("n == (3", "column"), ("n->x", "column 2"), ("*n", "column 1"), ("f(n)", "column"), ("n ==== 3", "column"),
    ("n == 'ab", "column"), ('n == "a', "column"), ("n++ > 3", "column"), ("$what", "column 1"), ("((struct nosuch *)n)->x", "column"), ("n == 99999999999999999999", "column 6"),
    ("", "missing")])
def test_mistakes_name_the_column(debugger, target, condition, said):
    result = debugger.session(target("conditions"), ["break main", "run", "!gibbon wrap attempt if %s" % condition, "gibbon list"])
    assert said in result[2], result[2]
    assert result[3] == "No patches.\n", result[3]


@pytest.mark.parametrize("command,said", [
    ("mock attempt 3 if $ret == 1", "decides before it is called"), ("wrap setjmp if $ret == 1", "its return, which is not seen"), ("wrap add if $ret == 1 -if 'a'", "column"),
    ("wrap add -if 'a' if b", "two conditions"), ("wrap add -if a == 3", '"==" is no location; a condition stands at the end, behind "if", or in quotes behind -if.'),
    ("wrap add -if ''", "missing behind -if"), ("wrap add if", 'missing behind "if"'), ("wrap set if $ret == 1", "column 1")])
def test_refusals(debugger, target, command, said):
    result = debugger.session(target("conditions"), ["break main", "run", "!gibbon " + command, "gibbon list"])
    assert said in result[2], result[2]
    assert result[3] == "No patches.\n", result[3]


def test_as_an_option(debugger, target):
    result = debugger.session(target("conditions"), ["gibbon wrap -if 'n == 3 && n < 4' attempt", "run", "gibbon list"])
    assert result.bodies("attempt") == ["attempt(n=3) = 3"] and "attempt if n == 3 && n < 4" in result[2], result[2]


def test_if_needs_no_blank(debugger, target):
    result = debugger.session(target("conditions"), ["gibbon wrap attempt if(n == 3) && n < 4", "run", "gibbon list"])
    assert result.bodies("attempt") == ["attempt(n=3) = 3"] and "attempt if (n == 3) && n < 4" in result[2], result[2]


@every_build
def test_addresses_and_casts_of_arguments(debugger, target, cc, opt):
    """Those of what is in a register, where a debugger at the entry of optimised code has none."""
    result = debugger.session(target("conditions", cc=cc, opt=opt), ["gibbon wrap attempt -count if *&n == 3 && (unsigned char &)n == 3 && ((char *)&n)[1] == 0", "gibbon wrap scale -count if (long &)x < 0",
                                                                     "gibbon wrap scale -count if x < 0 || 1 / x < 0", "run", "gibbon list"], args=["24"])
    counts = re.findall(r"called (\d+) times?", result[4])
    assert counts[0] == "1" and int(counts[1]) > 5 and counts[1] == counts[2], result[4]


@every_build
def test_a_variable_that_the_compiler_kept_none_of(debugger, target, cc, opt):
    """Nothing else of its name is taken for it, as libc's function glob()."""
    result = debugger.session(target("variables", cc=cc, opt=opt), ["break main", "run", "gibbon wrap step -count if kept > 20",
                                                                   ("!" if opt == "-O2" else "") + "gibbon wrap step -count if glob == 5", "gibbon list", "continue", "gibbon list"])
    counts = re.findall(r"called (\d+) times?", result[6])
    assert counts == (["3"] if opt == "-O2" else ["3", "10"]), result.text
    if opt == "-O2":
        assert 'column 1: debug information does not say where "glob" is' in result[3], result[3]


def test_a_function_that_is_not_there_yet_is_waited_for(debugger, target):
    result = debugger.session(target("conditions"), ["break main", "run", "gibbon wrap add if $caller == nosuch", "gibbon list", "continue"])
    assert 'has a function "nosuch"' in result[2] and "1 waiting" in result[2], result[2]
    assert "<PENDING>" in result[3]


def test_saved_and_sourced_in_the_other(both, target, tmp_path):
    program, saved = target("conditions"), tmp_path / "saved"
    for one, other in (both, both[::-1]):
        one.session(program, ["gibbon wrap look -quiet if word == \"/tmp/b7\" || (p && p->x > 4)", "gibbon wrap add -count if a == 'a'", "gibbon mock attempt 1 if n == 2", "gibbon save %s" % saved])
        result = other.session(program, [("source %s" % saved, "command source -s true %s" % saved), "run", "gibbon list"])
        assert 'if word == "/tmp/b7" || (p && p->x > 4)' in result[2] and "if a == 'a'" in result[2] and "returns 1 if n == 2" in result[2], result[2]
        assert "called 1 time" in result[2]


def test_quotes_and_backslashes_are_saved(both, target, tmp_path):
    """What the two debuggers would take for their own words, too: LLDB computes what is between backquotes."""
    program, saved = target("conditions"), tmp_path / "saved"
    some = [r"""word != "a\"b" && '\'' == 39""", r"""word[0] == '\\' || word[5] == 'b'""", r"""word == "/tmp/" "b7" && "#x\\" != word""", r"""word != "$(x) %s; quit # `p 1`\\" """.strip(),
            r"""$streq(word, "\\\\") || word == "\x2ftmp\57c14" """.strip(), r"""word && word != "-if \"x\" if y" && word[5] > '`'"""]
    one, other = both
    plain = one.session(program, ["gibbon wrap look -count if " + condition for condition in some] + ["gibbon mock getenv \"a `b` c\"", "gibbon save %s" % saved, "run", "gibbon list"])
    counts = re.findall(r"look .*\n +called (\d+) times?", plain[9])
    assert len(counts) == len(some) and "0" not in counts, plain.text
    for debugger in (other, one):
        result = debugger.session(program, [("source %s" % saved, "command source -s true %s" % saved), "run", "gibbon list"])
        listed = re.findall(r"look -count if (.*)\n +called (\d+) times?", result[2])
        assert [condition.replace("`", r"\140") for condition in some] == [text for text, _count in listed] and counts == [count for _text, count in listed], result.text
        assert r'returns "a \140b\140 c"' in result[2], result[2]


def test_switched_and_joined(debugger, target):
    """A second patch comes, the first goes: each keeps its own condition."""
    result = debugger.session(target("conditions"), ["break first", "run", "gibbon wrap attempt -quiet if n % 2 == 0", "gibbon wrap attempt -quiet", "continue", "gibbon list",
                                                     "gibbon delete 2", "continue", "gibbon list", "gibbon delete 1", "gibbon wrap attempt -quiet if n % 2", "continue", "continue", "gibbon list"])
    # first() is called for odd i, before attempt() of the next.
    assert re.findall(r"called (\d+) times?", result[5]) == ["1", "2"], result.text
    assert re.findall(r"called (\d+) times?", result[8]) == ["2"], result.text
    assert re.findall(r"called (\d+) times?", result[13]) == ["2"], result.text


def test_backtrace_from_a_condition(debugger, target):
    """A stop in what a condition calls: the condition's code, the agent, the thunk, and the program."""
    where = ("break *'gibbon:gib_condition_read'", "script t = lldb.debugger.GetSelectedTarget(); t.BreakpointCreateByAddress(t.FindSymbols('gibbon:gib_condition_read')[0].GetSymbol().GetStartAddress().GetLoadAddress(t))")
    result = debugger.session(target("conditions"), ["break main", "run", "gibbon wrap look if p->x == 5", where, "continue", "bt", ("delete", "breakpoint delete -f"), "continue"])
    names = [name for name in re.findall(r"gibbon:\w+|main", result[5])]
    assert names[0] == "gibbon:gib_condition_read" and names[1] == "gibbon:look" and "gibbon:gib_enter" in names and names[-1] == "main", result[5]
    assert names.count("gibbon:look") == 2, result[5]  # the code of the condition, and the thunk
    assert len(result.calls("look")) > 0


def test_names_of_the_manual_page(debugger, target):
    """libc's debug information, where it is installed, has names of its own; void * is a text when it is asked for."""
    result = debugger.session(target("conditions"), ["break main", "run", "gibbon wrap malloc -count if size > 1", "gibbon wrap write -quiet if $startswith(buf, \"54\") && nbytes > 3 || fd < 0",
                                                     "!gibbon wrap write if nosuch", "continue", "gibbon list"])
    assert re.search(r'"nosuch" is no argument of write \(fd, buf, n(bytes)?\)', result[4]), result[4]
    assert re.search(r"malloc -count if size > 1\s+called [1-9]", result[6]) and re.search(r"fd < 0\s+called 1 time", result[6]), result[6]


def test_both_names_of_an_argument(debugger, target):
    """That of libc's header or debug information, and that of the manual page; a mode that is behind `...`."""
    result = debugger.session(target("errors"), ["break main", "run", "gibbon wrap open -count if file == pathname && oflag == flags && $arg1 == pathname", "gibbon wrap open -count if flags & O_CREAT && mode == 0640",
                                                 "gibbon wrap write -count if count == 3 && count == $arg3", "!gibbon wrap write if $errno == EBAFD", "!gibbon wrap write if errno == EBADF",
                                                 "gibbon mock open -1 -errno EACCES if $streq(pathname, \"/nonexistent/file\")", "continue", "gibbon list"])
    assert "column 11: " in result[5] and "Did you mean EBADF?" in result[5], result[5]
    assert "column 1: " in result[6] and ("$errno is that of the return" in result[6] or "no argument of write" in result[6]), result[6]
    assert re.findall(r"called (\d+) times?", result[9]) == ["2", "1", "1", "1"] and "open -1 13" in result.out, result.text
