"""How a function says that it failed, and what its parameters are called there: facts read from the manual pages, corrected by a reviewed list."""
import glob
import gzip
import re

PAGES = "/usr/share/man/man{}/{}.{}*"


def page_of(name, depth=0):
    """The roff text of a function's page, links followed, or ''."""
    for section in ("2", "3"):
        for path in glob.glob(PAGES.format(section, name, section)):
            if not re.search(rf"/{re.escape(name)}\.{section}(\.gz)?$", path):
                continue
            with (gzip.open if path.endswith(".gz") else open)(path, "rt", errors="replace") as page:
                text = page.read()
            link = re.match(r"\.so man\d/(.*)\.\d", text)
            return page_of(link[1], depth + 1) if link and depth < 4 else text
    return ""


def candidates(name):
    """The function's name and those of the functions it is a variant of: the page may be under any."""
    yield name
    for pattern, plain in ((r"^__isoc99_", ""), (r"^__xpg_", ""), (r"64$", ""), (r"_unlocked$", ""), (r"_l$", ""),
                           (r"^_+", ""), (r"64(_r)$", r"\1"), (r"64v(\d)$", r"v\1")):
        if re.search(pattern, name):
            yield re.sub(pattern, plain, name)


def failure_in_manual(name):
    for candidate in candidates(name):
        text = page_of(candidate)
        if text:
            section = re.search(r'^\.SH "?RETURN VALUE"?\n(.*?)(?=^\.SH )', text, re.M | re.S)
            return "errno" if section and "errno" in section[1] else ""
    return ""


def synopsis(text):
    """The declarations of a page without its fonts: .BI "int open(const char *" pathname ", int " flags );"""
    section = re.search(r'^\.SH "?SYNOPSIS"?\n(.*?)(?=^\.SH )', text, re.M | re.S)
    out = []
    for line in re.sub(r"\\\n", " ", section[1] if section else "").splitlines():
        macro = re.match(r"\.(?:B|I|BI|IB|BR|RB)\s+(.*)", line)
        if macro:
            out.append("".join(quoted or plain for quoted, plain in re.findall(r'"((?:[^"]|"")*)"|(\S+)', macro[1])))
    return re.sub(r"/\*.*?\*/|\\f[BIRP]", "", "\n".join(out), flags=re.S)


def names_of(parameters):
    """["pathname", "flags"] of `const char *pathname, int flags`; None where one has no name. "..." ends them."""
    names, depth, start = [], 0, 0
    for at, char in enumerate(parameters + ","):
        depth += (char in "([") - (char in ")]")
        if char != "," or depth:
            continue
        one = parameters[start:at].strip()
        start = at + 1
        if one in ("", "void", "..."):
            break
        pointer = re.search(r"\(\s*\*\s*(\w+)", one)
        plain = re.search(r"(\w+)\s*(\[[^\]]*\]\s*)*$", one)
        found = pointer or plain
        names.append(found[1] if found else None)
    return names


def names_in_manual(name):
    """A function's parameters as its manual page calls them; [] when the page does not say. The longest form counts: open's mode."""
    for candidate in candidates(name):
        text = page_of(candidate)
        forms = re.findall(rf"\b{re.escape(candidate)}\s*\((.*?)\)\s*(?:\[\[[^;]*)?;", synopsis(text), re.S) if text else []
        if forms:
            return max((names_of(form) for form in forms), key=len)
    return []


class Annotations:
    """annotations.txt: `what: name name ...` lines; they overrule the manual."""

    def __init__(self, path):
        self.by_name = {}
        with open(path, encoding="ascii") as lines:
            for line in lines:
                line = line.split("#")[0]
                if ":" in line:
                    what, names = line.split(":", 1)
                if line.strip():
                    for name in (names if ":" in line else line).split():
                        self.by_name.setdefault(name, set()).add(what.strip())

    def of(self, name, fails, meaning):
        """The annotations of a function; one without a result (`fails` false) cannot say that it failed."""
        reviewed = self.by_name.get(name, set())
        failure = sorted(reviewed & {"errno", "errno?", "nothing"}) or [failure_in_manual(name)]
        assert len(failure) == 1, (name, failure)
        words = [w for w in failure if w not in ("", "nothing") and fails]
        return " ".join(words + sorted(meaning | reviewed - set(failure)))

    def unused(self, functions):
        return sorted(set(self.by_name) - set(functions))
