"""How a function says that it failed: facts read from the manual pages, corrected by a reviewed list."""
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
