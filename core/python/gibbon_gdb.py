"""What GDB's front-end gives GDB: its line editor, an unwinder, functions for expressions."""
import ctypes
import os
import re
import sys

import gdb
import gdb.unwinder

import gibbon_binding as binding


def has_machine_interface():
    """Whether GDB was started to be driven by another program, with records for answers. GDB 13 tells nobody."""
    with open("/proc/self/cmdline", "rb") as file:
        words = file.read().split(b"\0")
    options = [word.lstrip(b"-") for word in words if word.startswith(b"-")]
    named = [words[i + 1] for i, word in enumerate(words[:-1]) if word.lstrip(b"-") in (b"i", b"interpreter") and word.startswith(b"-")]
    return any(w.partition(b"=")[2].startswith(b"mi") for w in options if w.partition(b"=")[0] in (b"i", b"interpreter")) or any(w.startswith(b"mi") for w in named)


class Lines:
    """The lines that follow a command, up to its "end", from wherever GDB reads: the terminal, a script. Python's own input() asks for a terminal
    before it asks GDB."""
    OPENING = {"if", "while", "commands", "document", "define", "while-stepping", "stepping", "ws"}

    def __init__(self):
        place = ctypes.c_void_p.in_dll(ctypes.pythonapi, "PyOS_ReadlineFunctionPointer")
        self.read = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(place.value)
        self.free = ctypes.pythonapi.PyMem_RawFree
        self.free.argtypes, self.free.restype = [ctypes.c_void_p], None

    def line(self):
        text = self.read(None, None, b">")
        if not text:
            raise KeyboardInterrupt
        try:
            return ctypes.string_at(text).decode("utf-8", "surrogateescape")
        finally:
            self.free(text)

    def block(self):
        lines, depth = [], 0
        while True:
            line = self.line()
            word = line.split(None, 1)[:1]
            if not line or (word == ["end"] and not depth):  # the end of the file, too
                return lines
            alone = line.strip() in ("python", "py", "python-interactive", "guile", "compile code")
            depth += bool(alone or (word and word[0] in self.OPENING)) - (word == ["end"])
            lines += [line.strip("\n")] if line.strip() else []


class Prompt:
    """GDB's line editor. Lines that come while it waits are written above it: GDB itself would leave them behind what is typed. Nothing happens
    where GDB has a readline library of its own, which cannot be asked."""
    WAITS, ACCEPTED, SEARCHES_OR_LISTS = 0x80000, 0x2000000, 0x80 | 0x100 | 0x4000  # RL_STATE_ values

    def __init__(self):
        self.readline = ctypes.CDLL(None)
        try:
            self.state = ctypes.c_ulong.in_dll(self.readline, "rl_readline_state")
            self.shows = ctypes.c_void_p.in_dll(self.readline, "rl_redisplay_function")
            self.usual = ctypes.cast(self.readline.rl_redisplay, ctypes.c_void_p).value  # the text interface has another
            self.hide, self.again = self.readline.rl_clear_visible_line, self.readline.rl_on_new_line
        except (AttributeError, ValueError):
            self.state = ctypes.c_ulong(0)

    def __enter__(self):
        state = self.state.value
        self.shown = state & self.WAITS and not state & (self.ACCEPTED | self.SEARCHES_OR_LISTS) and self.shows.value == self.usual
        if self.shown:
            self.hide()

    def __exit__(self, *_error):
        if self.shown:
            self.again()
            self.readline.rl_redisplay()


STYLES = "function", "filename", None, "address", "variable", "metadata", "highlight", "title"
COLOURS = "black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"


def styles(front_end):
    """GDB's own styles, where GDB itself would use them."""
    if not gdb.parameter("style enabled") or speaks_mi() or called_by_script(front_end) or is_piped():
        return ()
    return [style(name) if name else "" for name in STYLES]


def style(name):
    numbers = [colour(gdb.parameter("style %s %s" % (name, ground)), base) for ground, base in (("foreground", 30), ("background", 40))]
    numbers.append({"bold": "1", "dim": "2"}.get(gdb.parameter("style %s intensity" % name), ""))
    return ";".join(n for n in numbers if n)


def colour(value, base):
    """A name; newer GDBs have numbers and "#rrggbb", too."""
    text = str(value)
    if text in COLOURS:
        return str(base + COLOURS.index(text))
    if re.fullmatch("[0-9]+", text):
        return "%d;5;%s" % (base + 8, text)
    if re.fullmatch("#[0-9a-fA-F]{6}", text):
        return "%d;2;%d;%d;%d" % ((base + 8,) + tuple(bytes.fromhex(text[1:])))
    return ""


def speaks_mi():
    with open("/proc/self/cmdline", "rb") as words:
        return re.search(rb"\0--?i(nterpreter)?[=\0]mi", words.read()) is not None


def called_by_script(front_end):
    """The output of gdb.execute may be text for a script; GDB does not say. Ours is the outermost function when no script is at work."""
    frame = sys._getframe()
    while frame.f_back:
        frame = frame.f_back
    return frame.f_code.co_filename != type(front_end).print.__code__.co_filename


def is_piped():
    """Inside the command `pipe`, which GDB does not say either: a child reads from a pipe of ours."""
    def end(process, descriptor):
        try:
            return os.readlink("/proc/%s/fd/%s" % (process, descriptor))
        except OSError:
            return ""
    with open("/proc/self/task/%d/children" % os.getpid()) as file:
        children = file.read().split()
    ours = {end("self", d) for d in os.listdir("/proc/self/fd") if int(d) > 2} if children else ()
    return any(end(child, 0).startswith("pipe:") and end(child, 0) in ours for child in children)


class Unwinder(gdb.unwinder.Unwinder):
    """Shows GDB the way through a thunk: an ordinary frame with a frame pointer, but in memory without tables."""

    class Id:
        def __init__(self, sp, pc):
            self.sp, self.pc = sp, pc

    def __init__(self, front_end):
        super().__init__("gibbon")
        self.front_end = front_end

    def __call__(self, pending):
        pc = int(pending.read_register("rip"))
        thunk = self.front_end.engine.thunk_at(pc)
        if not thunk:
            return None
        frame = pending.read_register("rbp")
        word = gdb.lookup_type("unsigned long").pointer()
        at = (int(frame) if int(frame) >= 0 else int(frame) + (1 << 64))
        slot = gdb.Value(at).cast(word)
        # The same frame as by the symbol file, once that is there.
        info = pending.create_unwind_info(self.Id(gdb.Value(at + 16), gdb.Value(thunk)))
        info.add_saved_register("rip", slot[1])
        info.add_saved_register("rbp", slot[0])
        info.add_saved_register("rsp", gdb.Value(at + 16))
        return info


def frames():
    """The newest one, and the one that the user has selected; or neither."""
    try:
        return gdb.newest_frame(), gdb.selected_frame()
    except gdb.error:
        return None, None


def select_again(newest, frame):
    """What frames() said, if it is still so: threads and memory were looked at, after which GDB has selected the newest."""
    try:
        if frame is not None and frame.is_valid() and newest == gdb.newest_frame():
            frame.select()
    except gdb.error:  # "No registers.": the process has ended
        pass


class Calls(gdb.Function):
    """$_gibbon_calls(N): how often the function of patch N was called."""

    def __init__(self, front_end):
        self.front_end = front_end
        super().__init__("_gibbon_calls")

    def invoke(self, number):
        calls = self.front_end.engine.calls(int(number))
        if calls < 0:
            raise gdb.GdbError("No patch number %d." % int(number))
        return calls


class Patched(gdb.Function):
    """$_gibbon_patched("FUNCTION"): whether a detour is in memory at the function: 1 or 0."""

    def __init__(self, front_end):
        self.front_end = front_end
        super().__init__("_gibbon_patched")

    def invoke(self, location):
        return int(asked(self.front_end.engine.patched, location))


class Original(gdb.Function):
    """$_gibbon_original("FUNCTION"): a pointer that calls the function past all patches, of its own type, or to a function that gives an int."""

    def __init__(self, front_end):
        self.front_end = front_end
        super().__init__("_gibbon_original")

    def invoke(self, location):
        address, entry = asked(self.front_end.engine.original, location)
        try:
            function = gdb.block_for_pc(entry).function
        except (AttributeError, RuntimeError):
            function = None  # no debug information
        if function is None:
            return gdb.parse_and_eval("(int (*)()) 0x%x" % address)
        return gdb.Value(address).cast(function.type.pointer())


def asked(question, location):
    try:
        return question(location.string())
    except binding.GibbonError as error:
        raise gdb.GdbError(str(error))
