"""docs/commands.md against `gibbon help`, and the links of all pages. One GDB, no process."""
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def gibbon(*commands):
    """What the commands print in one GDB, by command."""
    arguments = ["gdb", "-nx", "-q", "-batch", "-ex", "source %s" % (ROOT / "gdb" / "gibbon.py")]
    for command in commands:
        arguments += ["-ex", "echo \\n@@%s@@\\n" % command, "-ex", "gibbon " + command]
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    parts = re.split(r"^@@(.*)@@\n", done.stdout, flags=re.M)
    assert parts[1::2] == list(commands), done.stdout + done.stderr
    return dict(zip(parts[1::2], parts[2::2]))


@pytest.fixture(scope="module")
def helps():
    """The help of each command by its name."""
    names = re.findall(r"^  (\w+) +-- ", gibbon("help")["help"], flags=re.M)
    assert len(names) >= 10
    texts = gibbon(*("help " + name for name in names))
    return {name: texts["help " + name] for name in names}


@pytest.fixture(scope="module")
def settings():
    """Name, value at first and meaning of each setting."""
    found = re.findall(r"^(\S+) +(\S+) +(.+) \((\S+)\)$", gibbon("show")["show"], flags=re.M)
    assert len(found) >= 5
    return found


def without_sessions(text):
    """Text without indented blocks, which are sessions and code."""
    return re.sub(r"^    .*\n?", "", text, flags=re.M)


def sections(page):
    """Text below each heading of the second level, by its title."""
    parts = re.split(r"^## (.+)\n", page.read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


COMMANDS = ROOT / "docs" / "commands.md"


def test_every_command_has_a_section_with_its_summary_and_usage(helps):
    documented = sections(COMMANDS)
    for name, text in helps.items():
        summary, usage = text.split("\n")[:2]
        assert name in documented, "no section ## %s" % name
        assert summary in documented[name]
        assert "    " + usage.replace("Usage: ", "") + "\n" in documented[name]


def test_no_section_for_a_command_that_does_not_exist(helps):
    lower = {title for title in sections(COMMANDS) if title.islower()}
    assert lower == set(helps)


def test_every_option_is_documented_and_none_besides(helps):
    documented = sections(COMMANDS)
    for name, text in helps.items():
        options = re.findall(r"^  (-[\w-]+)", text, flags=re.M)
        rows = re.findall(r"^\| `(-[\w-]+)", documented[name], flags=re.M)
        assert sorted(rows) == sorted(options), name


def test_every_setting_is_documented_with_its_value_at_first(settings):
    rows = {row[0]: row for row in re.findall(r"^\| `([\w-]+)` \| (.+?) \| `?([\w-]+)`? \|", sections(COMMANDS)["Settings"], flags=re.M)}
    assert sorted(rows) == sorted(name for name, *_ in settings)
    for name, value, _meaning, values in settings:
        assert rows[name][2] == value
        for word in values.split("|"):
            assert word.lower() in rows[name][1].lower()


def test_every_jsonl_field_is_documented():
    """The names in the renderer's source are those in the table."""
    source = "".join((ROOT / "core" / "log" / name).read_text() for name in ("jsonl.c", "variadic.c"))
    written = set(re.findall(r'\\"(\w+)\\":', source)) | set(re.findall(r'write_string_field\(out, "(\w+)"', source))
    assert {"type", "arguments", "backtrace"} <= written
    table = set()
    for cell in re.findall(r"^\| (`[^|]+`) \| \w+(?:, \w+)? \|", sections(COMMANDS)["log"], flags=re.M):
        table |= {word.split(".")[-1] for word in re.findall(r"`([\w.]+)`", cell)}
    assert written - {"address", "symbol"} == table
    assert "`address`" in sections(COMMANDS)["log"] and "`symbol`" in sections(COMMANDS)["log"]


def test_readme_names_every_command(helps):
    table = "".join(re.findall(r"^\|.*\n", (ROOT / "README.md").read_text(), flags=re.M))
    for name in helps:
        assert re.search(r"\b%s\b" % name, table), name


def anchors(page):
    """The names that GitHub gives to headings."""
    titles = re.findall(r"^#+ (.+)$", without_sessions(page.read_text()), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.replace("`", "")).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_internal_links_resolve(page):
    links = re.findall(r"\]\(([^)\s]+)\)", without_sessions(page.read_text()))
    internal = [link for link in links if "://" not in link]
    assert internal, "no links to the other pages"
    for link in internal:
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.is_file(), link
        if anchor:
            assert anchor in anchors(target), link


def c_blocks(page):
    """The C programs of a page: indented blocks that begin with an include."""
    blocks = re.findall(r"(?:^    .*\n|^\n)+", (ROOT / "docs" / page).read_text(), flags=re.M)
    programs = [re.sub(r"^    ", "", block, flags=re.M).strip() + "\n" for block in blocks]
    return [program for program in programs if program.startswith("#include")]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_packages_in_the_documents_compile(compiler, tmp_path):
    programs = c_blocks("packages.md")
    assert len(programs) >= 12
    for program in programs:
        assert "<gibbon/package.h>" in program
        source = tmp_path / "package.c"
        source.write_text(program)
        subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-I",
                        str(ROOT / "core" / "include"), str(source), "-o", str(tmp_path / "package.so")],
                       check=True, timeout=60)
