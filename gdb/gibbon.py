"""Gibbon in GDB: `source gdb/gibbon.py`. It only translates between GDB's Python API and the engine (core/include/gibbon)."""
import ctypes
import os
import struct
import sys

import gdb
import gdb.unwinder


def _binding():
    here = os.path.dirname(os.path.realpath(os.path.expanduser(__file__)))
    for place in ("../core/python", "../python"):  # the source tree, the installed tree
        path = os.path.join(here, place)
        if os.path.exists(os.path.join(path, "gibbon_binding.py")) and path not in sys.path:
            sys.path.insert(0, path)
    import gibbon_api
    import gibbon_binding
    return gibbon_api, gibbon_binding


api, binding = _binding()
import gibbon_gdb  # noqa: E402: behind the path to it


class Watch(gdb.Breakpoint):
    """An internal breakpoint that the engine asked for. Where it stops the program for the user, that is a patch's doing."""

    def __init__(self, front_end, address):
        super().__init__("*0x%x" % address, internal=True)
        self.silent = True
        self.front_end, self.address = front_end, address

    def stop(self):
        self.front_end.in_stop = True
        try:
            self.front_end.event(binding.REACHED, self.address)
            text, commands = self.front_end.engine.stop()
            if self.front_end.moved:  # GDB has not seen what the thread wrote to its stack
                gdb.execute("maintenance flush dcache", to_string=True)
            if text is not None:
                self.front_end.stopped_by = text
                shows = "" if commands.startswith("silent\n") else "python gdb.gibbon_front_end.show_patch()\n"
                self.commands = shows + commands  # the frame cannot be shown before, as any command would begin these
                self.silent = not self.front_end.machine_interface  # GDB would show its own number for this one
        finally:
            self.front_end.in_stop = self.front_end.moved = False
        return text is not None


class FrontEnd(api.FrontEnd):
    """struct gib_target_operations for GDB."""
    tells_exit = True
    reads_prologues = True
    knows_statements = True
    symbols_follow_fork = False  # they belong to the parent's program space

    def __init__(self):
        self.watches = {}
        self.stand_ins = {}  # (number of the user's breakpoint, address) -> gdb.Breakpoint
        self.prompt = gibbon_gdb.Prompt()
        self.engine = binding.Engine(self, "gdb")

    # The target.

    def pid(self):
        return gdb.selected_inferior().pid

    def state(self):
        inferior = gdb.selected_inferior()
        if not inferior.pid:
            return binding.CORE if inferior.threads() else binding.NONE
        connection = getattr(inferior, "connection", None)
        if connection is not None and connection.type == "core":
            return binding.CORE
        # Inside an event GDB marks the thread that stopped as running until the user sees it.
        return binding.IS_STOPPED if self.in_event or not any(t.is_running() for t in inferior.threads()) else binding.IS_RUNNING

    in_event, kind = 0, None  # kind: of the event

    def program(self):
        try:
            return gdb.current_progspace().filename or ""
        except UnicodeDecodeError:  # a name that is not UTF-8: every byte is a character of Latin-1
            with gdb.with_parameter("host-charset", "ISO-8859-1"):
                return os.fsdecode(gdb.current_progspace().filename.encode("latin-1"))

    def read(self, address, size):
        return gdb.selected_inferior().read_memory(address, size)

    def write(self, address, data):
        gdb.selected_inferior().write_memory(address, data)
        return True

    def call(self, address):
        settings = ("scheduler-locking", "on"), ("unwindonsignal", "on")
        saved = [(name, gdb.parameter(name)) for name, _ in settings]
        try:
            for name, value in settings:
                gdb.execute("set %s %s" % (name, value), to_string=True)
            return int(gdb.parse_and_eval("((unsigned long (*)(void)) 0x%x)()" % address))
        finally:
            for name, value in saved:
                value = {True: "on", False: "off"}.get(value, value)
                gdb.execute("set %s %s" % (name, value), to_string=True)

    def threads(self):
        selected = gdb.selected_thread()
        threads = sorted(gdb.selected_inferior().threads(), key=lambda t: (t is not selected and t != selected, t.num))
        result = []
        try:
            for thread in threads:
                try:
                    thread.switch()
                    frame = gdb.newest_frame()
                except gdb.error:
                    continue  # while GDB handles an event of one thread, others run
                result.append(binding.Thread(thread.ptid[1] or thread.ptid[0], thread.num, frame.pc(), int(frame.read_register("rsp"))))
        finally:
            if selected is not None and selected.is_valid():
                selected.switch()
        return result

    def set_pc(self, tid, pc):
        selected = gdb.selected_thread()
        try:
            next(t for t in gdb.selected_inferior().threads() if tid == (t.ptid[1] or t.ptid[0])).switch()
            gdb.parse_and_eval("$pc = 0x%x" % pc)  # no command: it may be inside a stop event
        finally:
            selected.switch()

    def get_register(self, name):
        return int(gdb.newest_frame().read_register(name))

    moved = False  # the thread is not where GDB has shown it
    run_to = None  # never asked: the engine traces the target from this very thread

    def set_register(self, name, value):
        self.moved = True
        gdb.newest_frame().select()
        gdb.parse_and_eval("$%s = 0x%x" % (name, value))

    changed = None  # the breakpoint that the event under way is about

    def breakpoints(self, number):
        ours = [b.number for b in self.stand_ins.values() if b.is_valid()]
        result = []
        for breakpoint in (self.changed,) if self.changed is not None and self.changed.number == number else gdb.breakpoints():
            if breakpoint.type == gdb.BP_BREAKPOINT and breakpoint.number > 0 and breakpoint.enabled and not breakpoint.pending and breakpoint.number not in ours:
                exact = (breakpoint.location or "").startswith("*")
                result += [binding.Breakpoint(breakpoint.number, location.address, exact) for location in breakpoint.locations if location.enabled]
        return result

    SHARED = ("enabled", "condition", "thread", "silent", "commands", "ignore_count")  # by a breakpoint and its stand-ins
    stale_locations = False  # GDB took a byte of a detour, 0xcc, for a trap of the program's, over which it steps by leaving it out
    in_stop = False  # inside the stop() of a breakpoint: no other may be made or deleted there

    def move_breakpoint(self, number, old, new):
        if self.in_stop:
            return -1
        breakpoint = next((b for b in gdb.breakpoints() if b.number == number), None)
        for location in breakpoint.locations if breakpoint else ():
            if location.address == old and location.enabled == bool(new):
                location.enabled = not new
        if not new:
            stand_in = self.stand_ins.get((number, old))
            if breakpoint is not None and stand_in is not None and stand_in.is_valid():
                breakpoint.ignore_count = stand_in.ignore_count
            self.delete_stand_in((number, old))
            self.stale_locations = True
            if self.in_event:
                self.post(self.settle_symbols)
            return 0
        if (number, old) not in self.stand_ins:
            self.stand_ins[number, old] = gdb.Breakpoint("*0x%x" % new, temporary=breakpoint.temporary)
            self.share(breakpoint, self.stand_ins[number, old])
        return self.stand_ins[number, old].number

    def share(self, breakpoint, stand_in):
        for name in self.SHARED:
            value = getattr(breakpoint, name)
            try:
                if getattr(stand_in, name) != value:
                    setattr(stand_in, name, value)
            except gdb.error as error:  # a condition on something that is not known there
                gdb.write("gibbon: breakpoint %d cannot have the %s of breakpoint %d: %s\n" % (stand_in.number, name, breakpoint.number, error), gdb.STDERR)

    def delete_stand_in(self, key):
        stand_in = self.stand_ins.pop(key, None)
        if stand_in is not None and stand_in.is_valid():
            stand_in.delete()

    def on_deleted_breakpoint(self, breakpoint):
        # GDB is going through its list: no other may be deleted now.
        for (number, address), stand_in in self.stand_ins.items():
            if number == breakpoint.number:
                self.post(lambda key=(number, address): self.delete_stand_in(key))
            elif stand_in.is_valid() and stand_in.number == breakpoint.number:
                self.post(lambda key=(number, address), met=breakpoint.temporary: self.after_stand_in(key, met))

    def after_stand_in(self, key, met):
        self.stand_ins.pop(key, None)
        if met:  # a temporary one was: so was the one it stood for
            for breakpoint in [b for b in gdb.breakpoints() if b.number == key[0]]:
                breakpoint.delete()

    def evaluate(self, expression):
        return int(gdb.parse_and_eval(expression).cast(gdb.lookup_type("unsigned long")))

    def execute(self, command):
        gdb.execute(command)

    def watch(self, path, address, on):
        if path is not None:
            if not self.in_event:
                self.expect_symbols()
            return 0  # GDB reports modules by itself
        if on and address not in self.watches:
            self.watches[address] = Watch(self, address)
        elif not on and address in self.watches:
            breakpoint = self.watches.pop(address)
            breakpoint.enabled = False
            self.post(lambda: breakpoint.is_valid() and breakpoint.delete())  # not inside its own stop()
        return 0

    # Symbols of our own code. In an event no command may be executed; there a symbol file becomes a "separate debug file" of an empty one that
    # a command has added before. All goes well with that but `info symbol`, so the next command or prompt adds the file properly.

    symbol_base = None  # the empty one
    symbol_files = None  # path to descriptor of all, the empty one first: GDB closes files and opens them again by their names
    unsettled = ()  # paths of those that belong to the empty one
    packages, waiting = (), ()  # paths of files of the user's that were added; with biases, of those that were not yet
    at_load = False  # in an event of a load: commands may be executed, as there is no stop whose breakpoints' commands would be
    loading = 0  # GDB's events are about our own files

    def execute_quietly(self, command):
        self.loading += 1
        try:
            gdb.execute(command, to_string=True)
        finally:
            self.loading -= 1

    def keep_file(self, descriptor):
        path = "/proc/self/fd/%d" % descriptor
        self.symbol_files[path] = descriptor
        return path

    def has_base(self):
        return self.symbol_base is not None and self.symbol_base.is_valid() and self.symbol_base.progspace == gdb.current_progspace()

    def expect_symbols(self):
        if self.has_base():
            return
        self.symbol_files = self.symbol_files or {}
        path = self.keep_file(os.memfd_create("gibbon", os.MFD_CLOEXEC))
        # 64 bits, little-endian, executable, x86-64; no segments, no sections.
        os.write(self.symbol_files[path], struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0, 0, 0, 0, 64, 56, 0, 64, 0, 0))
        self.execute_quietly("add-symbol-file %s -o 0" % path)
        self.symbol_base = next((o for o in gdb.objfiles() if o.filename == path), None)

    def symbols(self, path, bias):
        if path is None:
            self.forget_symbols()
        elif bias:
            self.waiting += ((path, bias),)
            if self.at_load:
                self.add_packages()
            else:
                self.post(self.settle_symbols) if self.in_event else self.settle_symbols()
        elif self.kind == binding.REACHED:  # inside stop(), where GDB wants breakpoints left alone
            return 1
        elif not self.in_event:
            self.expect_symbols()
            self.execute_quietly("add-symbol-file %s -o 0" % self.keep_file(os.open(path, os.O_RDONLY | os.O_CLOEXEC)))
        elif not self.has_base():
            self.post(self.late_symbols)
            return 1
        else:
            kept = self.keep_file(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            self.loading += 1
            try:
                self.symbol_base.add_separate_debug_file(kept)
            finally:
                self.loading -= 1
            self.unsettled += (kept,)
            gdb.invalidate_cached_frames()  # some were looked at without
        return 0

    def late_symbols(self):
        self.expect_symbols()
        if self.state() == binding.IS_STOPPED:
            self.event(binding.STOPPED)

    def settle_symbols(self):
        if not (self.unsettled or self.stale_locations or self.waiting) or self.in_event:
            return
        self.stale_locations = False  # whenever symbols come or go, GDB finds all locations anew
        paths, self.unsettled = self.unsettled, ()
        frame = gibbon_gdb.frames()[1]
        if self.has_base():
            base = self.symbol_base.filename
            self.execute_quietly("remove-symbol-file " + base)
            os.close(self.symbol_files.pop(base))
        self.add_packages()
        for path in paths:
            self.execute_quietly("add-symbol-file %s -o 0" % path)
        self.expect_symbols()
        if frame is not None and frame.is_valid():
            frame.select()

    quoted = staticmethod(lambda path: "".join("\\" + c if c in " \t\"'\\" else c for c in path))

    def add_packages(self):
        added, self.waiting = self.waiting, ()
        for path, bias in added:
            self.packages += (path,)
            self.execute_quietly("add-symbol-file %s -o 0x%x" % (self.quoted(path), bias))

    def forget_symbols(self):
        self.waiting = ()
        if self.leaving or not (self.symbol_files or self.packages):
            return
        files, self.symbol_files = self.symbol_files or {}, None
        packages, self.packages = self.packages, ()
        self.symbol_base, self.unsettled = None, ()

        def forget():
            for objfile in gdb.objfiles():
                if (objfile.filename in files or objfile.filename in packages) and objfile.owner is None:
                    self.execute_quietly("remove-symbol-file " + self.quoted(objfile.filename))
            used = {objfile.filename for space in gdb.progspaces() for objfile in space.objfiles()}  # by the parent, after a fork
            for descriptor in (files[path] for path in files if path not in used):
                os.close(descriptor)
            self.expect_symbols()
        if not self.in_event or self.kind in (binding.EXITED, binding.DETACHING):
            forget()
        else:  # a command would run those of a breakpoint; where the process is gone there are none
            self.post(forget)

    # The user.

    def print(self, text, style):
        if style != binding.LOG:
            gdb.write(text, gdb.STDERR if style == binding.WARNING else gdb.STDOUT)
            gdb.flush()
        elif not gdb.parameter("pagination"):
            with self.prompt:
                gdb.write(text)
                gdb.flush()
        elif self.in_event:
            # Changing a setting executes a command, and that runs the commands of a breakpoint: not inside the stop itself (GDB bug 29831).
            self.post(lambda: self.print(text, style))
        else:
            with gdb.with_parameter("pagination", False):
                self.print(text, style)

    styles = gibbon_gdb.styles

    def query(self, question):
        try:
            return not gdb.parameter("confirm") or int(input(question).strip().lower() in ("y", "yes"))
        except (EOFError, KeyboardInterrupt):
            return 0

    def command(self, text, interactive=False):
        newest, frame = gibbon_gdb.frames()
        self.settle_symbols()
        try:
            self.engine.command(text, interactive)
        finally:
            self.settle_symbols()
            gibbon_gdb.select_again(newest, frame)

    def later(self, function):
        if self.in_event:
            self.post(function)
        else:
            function()

    def wake(self):
        self.post(self.engine.flush)

    posted = 0  # events that GDB has not run yet

    def post(self, function):
        def run():
            self.posted -= 1
            function()
        self.posted += 1
        gdb.post_event(run)

    # What happens in GDB.

    def event(self, kind, value=0):
        outer, self.kind = self.kind, kind
        self.in_event += 1
        try:
            self.engine.event(kind, value)
        finally:
            self.in_event -= 1
            self.kind = outer

    machine_interface = gibbon_gdb.has_machine_interface()
    stopped_by = ""  # what GDB says of a breakpoint before the frame

    def show_patch(self):
        self.settle_symbols()
        text, self.stopped_by = "\n" + self.stopped_by, ""
        if max(t.num for t in gdb.selected_inferior().threads()) > 1:
            text = '\nThread %d "%s" hit %s' % (gdb.selected_thread().num, gdb.selected_thread().name, text[1:])
        self.print(text + gdb.execute("frame", to_string=True).partition("  ")[2], binding.PLAIN)

    def on_stop(self, event):
        self.event(binding.STOPPED)
        moved, self.moved = self.moved, False
        if moved:  # never at a breakpoint of the user's, whose commands this would run
            gdb.execute("frame")

    def on_new_objfile(self, event):
        # Also sent for debug files and for the program while nothing runs.
        if gdb.selected_inferior().pid and event.new_objfile.owner is None and not self.loading:
            self.at_load = not self.in_event
            self.event(binding.LOADED)
            self.at_load = False

    def on_free_objfile(self, event):
        # GDB is in the middle of it (at exec, of everything): nothing may be asked of it now.
        if not gdb.selected_inferior().pid or self.loading:
            return
        self.engine.event(binding.UNMAPPED)
        if not self.unloading:
            self.unloading = True
            self.post(self.after_unload)

    def after_unload(self):
        self.unloading = False
        self.state() == binding.IS_STOPPED and self.event(binding.LOADED)

    def connect(self):
        events = gdb.events
        events.new_objfile.connect(self.on_new_objfile)
        events.free_objfile.connect(self.on_free_objfile)
        events.stop.connect(self.on_stop)
        events.exited.connect(lambda event: self.event(binding.EXITED, event.inferior.pid))
        events.before_prompt.connect(self.settle_symbols)
        events.gdb_exiting.connect(lambda event: self.leave())
        events.breakpoint_created.connect(self.on_breakpoint)
        events.breakpoint_modified.connect(self.on_breakpoint)
        events.breakpoint_deleted.connect(self.on_deleted_breakpoint)

    def on_breakpoint(self, breakpoint):
        if breakpoint.number <= 0:
            return
        for (number, _address), stand_in in self.stand_ins.items():
            if number == breakpoint.number:
                self.share(breakpoint, stand_in)
        outer, self.changed = self.changed, breakpoint
        try:
            self.engine.event(binding.BREAKPOINT, breakpoint.number)
        finally:
            self.changed = outer

    leaving = unloading = False

    def leave(self):
        self.leaving = True
        self.engine.event(binding.DETACHING)
        self.engine.close()
        if self.posted:
            # GDB 13 crashes in a destructor at exit when a posted event was never run (Python is finalised by then). Everything is done at that
            # point but flushing: do that, and leave before the destructors. on_exit(3) gives _exit the status.
            libc = ctypes.CDLL(None)
            libc.on_exit(libc._exit, None)
            getattr(libc, "__cxa_atexit")(libc.fcloseall, None, None)


class Command(gdb.Command):
    """One gibbon command."""

    def __init__(self, front_end, name, kind):
        self.front_end, self.name = front_end, name
        self.__doc__ = front_end.engine.help(name).rstrip("\n")
        super().__init__("gibbon " + name, kind)

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        if self.name == "commands" and not argument.strip("0123456789 \t"):
            if from_tty and sys.stdin.isatty():
                gdb.write("Type commands for when the patch stops, one per line.\nEnd with a line saying just \"end\".\n")
            argument += "".join(" " + api.quoted(line) for line in gibbon_gdb.Lines().block())
        execute(self.front_end, self.name + " " + argument, from_tty)

    def complete(self, text, word):
        if word is None:
            return []  # GDB asks where words break: at its usual characters
        # GDB wants what follows the place where `word` begins; the engine, and GDB for `break`, answer with whole words.
        words, functions = self.front_end.engine.complete("%s %s" % (self.name, text))
        start = len(text) - len(text.rsplit(None, 1)[-1]) if text and not text[-1].isspace() else len(text)
        cut = max(len(text) - len(word) - start, 0)
        result = [w[cut:] for w in words]
        if functions and "!" not in text[start:]:
            # Not GDB's names of PLT entries, versions, parts of functions, and of files alone.
            other = "-@[" if "." in text[start:] else "-@[."
            lines = gdb.execute("complete break " + text[start:], to_string=True).split("\n")
            found = [line[len("break "):] for line in lines if line.startswith("break " + text[start:])]
            result += [w[cut:] for w in found if not any(c in w.split("(")[0] for c in other)][:200]
        return result


class Prefix(gdb.Command):
    def __init__(self, front_end, name, doc, kind):
        self.front_end, self.verb, self.__doc__ = front_end, name[:-len("gibbon")], doc
        super().__init__(name, kind, gdb.COMPLETE_NONE, True)

    def invoke(self, argument, from_tty):
        execute(self.front_end, self.verb + argument, from_tty)


class Info(gdb.Command):
    """List the patches of Gibbon, like "gibbon list".
Usage: info gibbon [N...]"""

    def __init__(self, front_end):
        self.front_end = front_end
        super().__init__("info gibbon", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        execute(self.front_end, "list " + argument, from_tty)

    def complete(self, text, word):
        return self.front_end.engine.complete("list " + text)[0]


class Setting(gdb.Command):
    def __init__(self, front_end, verb, name, summary):
        self.front_end, self.verb, self.name = front_end, verb, name
        self.__doc__ = "%s Gibbon's setting %s: %s." % (verb.capitalize(), name, summary)
        super().__init__("%s gibbon %s" % (verb, name), gdb.COMMAND_SUPPORT)

    def invoke(self, argument, from_tty):
        execute(self.front_end, "%s %s %s" % (self.verb, self.name, argument), from_tty)

    def complete(self, text, word):
        return self.front_end.engine.complete("%s %s %s" % (self.verb, self.name, text))[0]


def execute(front_end, text, from_tty):
    try:
        front_end.command(text, bool(from_tty) and sys.stdin.isatty())
    except binding.GibbonError as error:
        raise gdb.GdbError(str(error))


def install():
    front_end = FrontEnd()
    Prefix(front_end, "gibbon", front_end.engine.help().split("\n")[0], gdb.COMMAND_RUNNING)
    for name, _summary in front_end.engine.commands():
        Command(front_end, name, gdb.COMMAND_RUNNING)
    Info(front_end)
    for verb in ("set", "show"):
        Prefix(front_end, verb + " gibbon", "Settings of Gibbon.", gdb.COMMAND_SUPPORT)
        for name, summary, _value in front_end.engine.settings():
            Setting(front_end, verb, name, summary)
    for function in (gibbon_gdb.Calls, gibbon_gdb.Patched, gibbon_gdb.Original):
        function(front_end)
    gdb.unwinder.register_unwinder(None, gibbon_gdb.Unwinder(front_end), replace=True)
    front_end.connect()
    install_detach_hook()
    front_end.engine.start()
    return front_end


def install_detach_hook():
    """GDB has no event before it detaches; a user-defined hook is the only thing it runs then. One of the user's is kept."""
    gdb.gibbon_before_detach = lambda: gdb.gibbon_front_end.event(binding.DETACHING)
    try:
        body = gdb.execute("show user hook-detach", to_string=True).split("\n")[1:]
    except gdb.error:
        body = []
    lines = [line.strip() for line in body if line.strip()]
    gdb.execute("\n".join(["define hook-detach", "python gdb.gibbon_before_detach()"] + lines + ["end"]))


if not hasattr(gdb, "gibbon_front_end"):  # loading twice is harmless
    try:
        gdb.gibbon_front_end = install()
    except binding.GibbonError as error:
        gdb.write("%s\n" % error, gdb.STDERR)  # an exception would show as a traceback here
if hasattr(gdb, "gibbon_front_end"):
    api.front_end = gdb.gibbon_front_end
    gibbon = sys.modules["gibbon"] = api  # this file is run as __main__
