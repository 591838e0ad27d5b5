"""What scripts use: `import gibbon` in the Python of GDB and of LLDB. All is decided by the engine; here it gets the form of Python."""
import contextlib
import types

import gibbon_binding as binding

Error = binding.GibbonError
front_end = None  # of the debugger; set when it is loaded
_FIELDS = (("number", int), ("type", str), ("state", str), ("calls", int), ("functions", int), ("address", lambda text: int(text, 16)),
           ("location", str), ("value", str), ("options", str))


def _patch(line):
    return types.SimpleNamespace(**{name: kind(text) for (name, kind), text in zip(_FIELDS, line.split("\t"))})


def command(text):
    """Runs a gibbon command, the text behind the word "gibbon", and gives its output. Raises gibbon.Error when it fails."""
    engine = front_end.engine
    outer, engine.captured = engine.captured, []
    try:
        front_end.command(text)
        return "".join(engine.captured)
    finally:
        engine.captured = outer


def patches():
    """All patches: objects with number, type, state ("active", "pending", "disabled"), calls, functions (how many), address (of the first),
    location, value (or what runs instead), options."""
    return [_patch(line) for line in front_end.engine.patches()]


def is_patched(location):
    """Whether a detour is in memory at the function now."""
    return front_end.engine.patched(location)


def original(location):
    """The address that calls the function past all patches. In LLDB expressions it is $_gibbon_original_FUNCTION from then on."""
    address = front_end.engine.original(location)[0]
    front_end.note_original(location, address)
    return address


def quoted(text):
    """A word that the engine reads back as it is."""
    if not text.endswith("\\") and "\\\"" not in text:
        return '"%s"' % text.replace('"', '\\"')
    if "'" not in text:
        return "'%s'" % text
    raise Error("%r cannot be written as a word of a command." % text)


def _literal(value):
    """A value as C has it."""
    if value is None:
        return "NULL"
    if isinstance(value, (tuple, list)):
        return "{%s}" % ", ".join(_literal(v) for v in value)
    if isinstance(value, str):
        return '"%s"' % "".join(c if c.isprintable() and c not in '"\\' else "".join("\\%03o" % b for b in c.encode()) for c in value)
    return repr(int(value)) if isinstance(value, (bool, int)) else repr(value)


_nothing = object()


class patched(contextlib.ContextDecorator):
    """A patch for a while: `with gibbon.patched("open", returns=-1, errno=13): ...`. With `returns` the function is mocked, with `with_` replaced,
    with neither its calls are logged. Other names are options of the commands: from_="libx.so", during="handle", times=3, quiet=True."""

    def __init__(self, location, returns=_nothing, with_=None, **options):
        if returns is not _nothing and with_ is not None:
            raise Error("A patch has either \"returns\" or \"with_\".")
        words = ["mock" if returns is not _nothing else "wrap" if with_ is None else "replace"]
        for name, value in options.items():
            option = "-" + name.rstrip("_").replace("_", "-")
            if value is True:
                words.append(option)
            elif value is not False and value is not None:
                words.append("%s=%s" % (option, quoted(str(value))))
        words += ["--", quoted(location)] if location.startswith("-") else [quoted(location)]
        words += [_literal(returns)] if returns is not _nothing else [] if with_ is None else [quoted(with_)]
        self.text, self.made = " ".join(words), []

    def __enter__(self):
        before = {patch.number for patch in patches()}
        command(self.text)
        self.made.append([patch.number for patch in patches() if patch.number not in before])
        return self

    def __exit__(self, *_exception):
        for number in reversed(self.made.pop()):
            front_end.engine.drop(number)
        return False


class _Event:
    def __init__(self, name):
        self.name, self.handlers = name, []

    def connect(self, handler):
        """Calls handler(patch) from now on."""
        self.handlers.append(handler)

    def disconnect(self, handler):
        self.handlers.remove(handler)


class _Events:
    """will_patch: an exception of a handler keeps the patch from being made. did_patch, did_unpatch: it is on functions of the process now, or no
    longer. pending_resolved: it waited for its functions; did_patch follows."""

    def __init__(self):
        self.by_kind = {binding.WILL_PATCH: _Event("will_patch"), binding.DID_PATCH: _Event("did_patch"),
                        binding.DID_UNPATCH: _Event("did_unpatch"), binding.PENDING_RESOLVED: _Event("pending_resolved")}
        for event in self.by_kind.values():
            setattr(self, event.name, event)


events = _Events()


def _sentence(error):
    return "%s: %s" % (type(error).__name__, error) if str(error) else type(error).__name__


class FrontEnd:
    """What both front-ends share."""

    def note_original(self, location, address):
        pass

    def patch_event(self, kind, line):
        event, patch = events.by_kind[kind], _patch(line)
        for handler in list(event.handlers):
            if kind == binding.WILL_PATCH:
                try:
                    handler(patch)
                except Exception as error:
                    raise RuntimeError(_sentence(error)) from error
            else:
                self.later(lambda handler=handler: self.tell(event, handler, patch))

    def tell(self, event, handler, patch):
        try:
            handler(patch)
        except Exception as error:
            self.print("gibbon: a %s handler failed: %s\n" % (event.name, _sentence(error)), binding.WARNING)
