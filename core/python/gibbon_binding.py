"""The ctypes binding of libgibbon: core/include/gibbon/engine.h and target.h as declarations, nothing else."""
import ctypes
import os
import signal
from ctypes import (CFUNCTYPE, POINTER, Structure, byref, c_bool, c_char, c_char_p, c_int, c_int32, c_int64, c_size_t,
                    c_uint64, c_void_p)

INTERFACE = 10
LOADED, STOPPED, RESUMED, REACHED, EXITED, DETACHING, BREAKPOINT, STOPPING, UNMAPPED = range(9)  # enum gib_event
NONE, IS_STOPPED, IS_RUNNING, CORE = range(4)  # enum gib_target_state
PLAIN, LOG, WARNING = range(3)  # enum gib_print_style
WILL_PATCH, DID_PATCH, DID_UNPATCH, PENDING_RESOLVED = range(4)  # enum gib_patch_event


class Error(Structure):
    _fields_ = [("code", c_int), ("address", c_uint64), ("message", c_char * 512)]


class Thread(Structure):
    _fields_ = [("tid", c_int32), ("number", c_int32), ("pc", c_uint64), ("sp", c_uint64)]


class Breakpoint(Structure):
    _fields_ = [("number", c_int32), ("address", c_uint64), ("exact", c_bool)]


class Operations(Structure):
    _fields_ = [("size", c_size_t), ("tells_exit", c_bool), ("reads_prologues", c_bool), ("knows_statements", c_bool), ("symbols_follow_fork", c_bool)] + [(name, CFUNCTYPE(result, c_void_p, *arguments)) for name, result, arguments in (
        ("pid", c_int32, ()),
        ("state", c_int, ()),
        ("program", c_void_p, ()),
        ("read", c_int, (c_uint64, c_void_p, c_size_t)),
        ("write", c_int, (c_uint64, c_void_p, c_size_t)),
        ("call", c_int, (c_uint64, POINTER(c_uint64))),
        ("threads", c_size_t, (POINTER(Thread), c_size_t)),
        ("set_pc", c_int, (c_int32, c_uint64)),
        ("get_register", c_int, (c_char_p, POINTER(c_uint64))),
        ("set_register", c_int, (c_char_p, c_uint64)),
        ("run_to", c_int, (c_uint64, c_uint64)),
        ("breakpoints", c_size_t, (c_int32, POINTER(Breakpoint), c_size_t)),
        ("move_breakpoint", c_int32, (c_int32, c_uint64, c_uint64)),
        ("evaluate", c_int, (c_char_p, POINTER(c_uint64), c_void_p)),
        ("execute", c_int, (c_char_p, c_void_p)),
        ("patch_event", c_int, (c_int, c_char_p, c_void_p)),
        ("watch", c_int, (c_char_p, c_uint64, c_bool)),
        ("symbols", c_int, (c_char_p, c_uint64)),
        ("print", None, (c_char_p, c_int)),
        ("styles", c_void_p, ()),
        ("query", c_int, (c_char_p,)),
        ("wake", None, ()),
    )]


def find_library():
    """GIBBON_LIBRARY, else the build tree this file is in, else the installed tree it is in, else where the system looks."""
    chosen = os.environ.get("GIBBON_LIBRARY")
    if chosen:
        return chosen
    here = os.path.dirname(os.path.realpath(__file__))
    places = [os.path.join(here, "..", "..", "build", "libgibbon.so")]
    prefix = os.path.join(here, "..", "..", "..")  # of PREFIX/share/gibbon/python
    places += [os.path.join(prefix, lib, "libgibbon.so.0") for lib in ("lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu")]
    return next((os.path.realpath(place) for place in places if os.path.exists(place)), "libgibbon.so.0")


class GibbonError(Exception):
    """A command failed; the text is the engine's sentence."""


def encoded(text):
    """Names of files need not be UTF-8; the debuggers keep such bytes as surrogates."""
    return text.encode("utf-8", "surrogateescape")


def decoded(text):
    return text.decode("utf-8", "surrogateescape")


class Engine:
    """The engine with a front-end's operations: an object with a method for each field of Operations, which takes and
    returns Python values. An exception in one of them is the operation's failure."""

    def __init__(self, front_end, debugger):
        path = find_library()
        try:
            self.library = library = ctypes.CDLL(path)
        except OSError as error:
            raise GibbonError("libgibbon.so was not found (%s). Build Gibbon (cmake -S . -B build; cmake --build build), "
                              "install it, or set GIBBON_LIBRARY." % error)
        library.gib_engine_interface.restype = c_int
        if library.gib_engine_interface() != INTERFACE:
            raise GibbonError("%s is of another version than %s." % (path, __file__))
        for name, result, arguments in (
                ("new", c_void_p, [POINTER(Operations), c_void_p, c_char_p]), ("free", None, [c_void_p]),
                ("command", c_int, [c_void_p, c_char_p, c_bool, POINTER(Error)]),
                ("complete", c_char_p, [c_void_p, c_char_p, POINTER(c_bool)]),
                ("commands", c_char_p, [c_void_p]), ("help", c_char_p, [c_void_p, c_char_p]), ("settings", c_char_p, [c_void_p]),
                ("patches", c_char_p, [c_void_p]), ("drop", None, [c_void_p, c_int]), ("patched", c_int, [c_void_p, c_char_p, POINTER(Error)]),
                ("original", c_uint64, [c_void_p, c_char_p, POINTER(c_uint64), POINTER(Error)]),
                ("thunk_at", c_uint64, [c_void_p, c_uint64]), ("calls", c_int64, [c_void_p, c_int]), ("event", None, [c_void_p, c_int, c_uint64]), ("flush", None, [c_void_p]),
                ("start", None, [c_void_p]), ("stop", c_char_p, [c_void_p, POINTER(c_char_p)])):
            function = getattr(library, "gib_engine_" + name)
            function.restype, function.argtypes = result, arguments
        library.gib_engine_interrupt.restype = c_bool
        self.keep_interrupts()
        self.front_end = front_end
        self.operations = Operations(ctypes.sizeof(Operations), front_end.tells_exit, front_end.reads_prologues, front_end.knows_statements, front_end.symbols_follow_fork)
        for name, kind in Operations._fields_[5:]:
            setattr(self.operations, name, kind(self._adapter(name, kind)))
        self.handle = library.gib_engine_new(byref(self.operations), None, debugger.encode())
        if not self.handle:
            raise GibbonError("libgibbon could not start an engine.")

    def _adapter(self, name, kind):
        method = getattr(self.front_end, name)
        adapters = {"program": self._program, "styles": self._styles, "read": self._read, "write": self._write, "threads": self._fill,
                    "breakpoints": lambda method, number, array, room: self._fill(lambda: method(number), array, room), "evaluate": self._evaluate, "execute": self._execute, "patch_event": self._execute, "call": self._value, "get_register": self._value,
                    "print": self._show, "query": self._show}
        adapter = adapters.get(name, self._plain)
        failure = None if kind._restype_ is None else 0 if name in ("pid", "state", "threads", "breakpoints") else -1
        if name in ("program", "styles"):
            failure = ctypes.addressof(self._empty)

        def operation(_context, *arguments):
            try:
                return adapter(method, *arguments)
            except KeyboardInterrupt:
                if not self.library.gib_engine_interrupt():  # it ends a question or a pager, and what they are for
                    self.quit = True
                    return failure
                return adapter(method, *arguments)  # the engine ends its work itself, where it can
            except Exception as error:  # the engine reports it; a traceback would end in the debugger
                if os.environ.get("GIBBON_DEBUG"):
                    import traceback
                    traceback.print_exc()
                if name in ("evaluate", "execute", "patch_event"):  # the last argument is room for a sentence
                    sentence = encoded(str(error))[:255]
                    ctypes.memmove(arguments[-1], sentence + b"\0", len(sentence) + 1)
                return failure
        return operation

    def keep_interrupts(self):
        """Ctrl-C must not end a callback before its first line, as an exception could. Python's handler changes, the process's does not."""
        saved = ctypes.create_string_buffer(1024)  # more than a struct sigaction
        libc, before = ctypes.CDLL(None), signal.getsignal(signal.SIGINT)
        if not callable(before):
            return
        libc.sigaction(signal.SIGINT, None, saved)
        try:
            signal.signal(signal.SIGINT, lambda number, frame: None if self.library.gib_engine_interrupt() else before(number, frame))
        except ValueError:
            return  # not the main thread
        libc.sigaction(signal.SIGINT, saved, None)

    quit = False  # the user has had enough of the command under way
    _empty = ctypes.create_string_buffer(b"")

    def _program(self, method):
        self._path = ctypes.create_string_buffer(encoded(method()))
        return ctypes.addressof(self._path)

    def _styles(self, method):
        """Only for a terminal: scripts and files get plain text, and people who do not want colours."""
        plain = self.captured is not None or os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb" or not os.isatty(1)
        self._styled = ctypes.create_string_buffer(encoded("" if plain else "\t".join(method())))
        return ctypes.addressof(self._styled)

    @staticmethod
    def _read(method, address, buffer, size):
        data = bytes(method(address, size))
        if len(data) != size:
            return -1
        ctypes.memmove(buffer, data, size)
        return 0

    @staticmethod
    def _write(method, address, buffer, size):
        return 0 if method(address, ctypes.string_at(buffer, size)) else -1

    @staticmethod
    def _fill(method, array, room):
        items = method()
        for index, item in enumerate(items[:room]):
            array[index] = item
        return len(items)

    @staticmethod
    def _evaluate(method, expression, value, _error):
        value[0] = method(decoded(expression)) & 0xffffffffffffffff
        return 0

    @staticmethod
    def _execute(method, *arguments):
        method(*(decoded(a) if isinstance(a, bytes) else a for a in arguments[:-1]))
        return 0

    @staticmethod
    def _value(method, argument, value):
        value[0] = method(decoded(argument) if isinstance(argument, bytes) else argument) & 0xffffffffffffffff
        return 0

    @staticmethod
    def _plain(method, *arguments):
        result = method(*(decoded(a) if isinstance(a, bytes) else a for a in arguments))
        return 0 if result is None else int(result)

    def _show(self, method, text, *style):
        if self.quit:
            return 0
        if style == (PLAIN,) and self.captured is not None:
            self.captured.append(text.decode("utf-8", "replace"))
            return 0
        result = method(text.decode("utf-8", "replace"), *style)  # a terminal may take other bytes for commands
        return 0 if result is None else int(result)

    def command(self, text, interactive):
        error = Error()
        self.quit = False
        failed = self.library.gib_engine_command(self.handle, encoded(text), interactive, byref(error))
        if self.quit:
            self.quit = False
            raise KeyboardInterrupt
        if failed:
            raise GibbonError(error.message.decode("utf-8", "replace"))

    captured = None  # output of commands, for a script that wants it

    def patches(self):
        lines = self.library.gib_engine_patches(self.handle).decode("utf-8", "replace")
        return lines.split("\n") if lines else []

    def drop(self, number):
        if self.handle:
            self.library.gib_engine_drop(self.handle, number)

    def patched(self, location):
        error = Error()
        answer = self.library.gib_engine_patched(self.handle, encoded(location), byref(error))
        if answer < 0:
            raise GibbonError(error.message.decode("utf-8", "replace"))
        return bool(answer)

    def original(self, location):
        """Addresses: of the original, and of the function."""
        error, entry = Error(), c_uint64(0)
        address = self.library.gib_engine_original(self.handle, encoded(location), byref(entry), byref(error))
        if not address:
            raise GibbonError(error.message.decode("utf-8", "replace"))
        return address, entry.value

    def complete(self, text):
        functions = c_bool(False)
        words = self.library.gib_engine_complete(self.handle, encoded(text), byref(functions)).decode("utf-8", "replace")
        return words.split("\n") if words else [], functions.value

    def commands(self):
        return [line.split("\t") for line in self.library.gib_engine_commands(self.handle).decode().split("\n")]

    def settings(self):
        return [line.split("\t") for line in self.library.gib_engine_settings(self.handle).decode().split("\n")]

    def help(self, command=""):
        return (self.library.gib_engine_help(self.handle, encoded(command)) or b"").decode()

    def thunk_at(self, pc):
        return self.library.gib_engine_thunk_at(self.handle, pc) if self.handle else 0

    def start(self):
        self.library.gib_engine_start(self.handle)

    def calls(self, number):
        return self.library.gib_engine_calls(self.handle, number)

    def event(self, event, value=0):
        if self.handle:  # the debugger still sends events while it exits
            self.library.gib_engine_event(self.handle, event, value)

    def stop(self):
        """Behind REACHED: what the user reads of a stop there, None when the thread goes on; and the commands of the stop, a line each."""
        commands = c_char_p()
        text = self.library.gib_engine_stop(self.handle, byref(commands)) if self.handle else None
        return (None, "") if text is None else (text.decode("utf-8", "replace"), None if commands.value is None else decoded(commands.value))

    def flush(self):
        if self.handle:
            self.library.gib_engine_flush(self.handle)

    def close(self):
        handle, self.handle = self.handle, None
        if handle:
            self.library.gib_engine_free(handle)
