"""Gibbon in LLDB: `command script import lldb/gibbon.py`. It only translates between LLDB's SB API and the engine (core/include/gibbon)."""
import atexit
import os
import re
import sys
import threading
import tempfile

import lldb


def _binding():
    here = os.path.dirname(os.path.realpath(__file__))
    for place in ("../core/python", "../python"):  # the source tree, the installed tree
        path = os.path.join(here, place)
        if os.path.exists(os.path.join(path, "gibbon_binding.py")) and path not in sys.path:
            sys.path.insert(0, path)
    import gibbon_api
    import gibbon_binding
    return gibbon_api, gibbon_binding


api, binding = _binding()
import gibbon_lldb  # noqa: E402: behind the path to it
from gibbon_api import Error, command, events, is_patched, original, patched, patches  # noqa: E402,F401: for scripts
_front_end = None
NOT_OURS = "gibbon"  # the name of our own breakpoints


class FrontEnd(api.FrontEnd):
    """struct gib_target_operations for LLDB."""
    tells_exit = False
    reads_prologues = False  # the line table says it
    knows_statements = False
    symbols_follow_fork = True

    def __init__(self, debugger):
        self.debugger = debugger
        self.hidden = []
        self.stand_ins = {}  # (number of the user's breakpoint, address) -> SBBreakpoint
        self.shared = {}  # the same key -> what the stand-in was given
        self.closed = False
        self.result = None  # of the command under way
        self.thread = None  # of the event under way
        self.on_their_way = set()  # keys of threads with a PatchStop
        self.stopped = {}  # key of a thread -> what is shown of its stop, which a patch has made; its commands
        self.symbol_modules = []
        self.packages = []  # modules that are files of the user's
        self.engine = binding.Engine(self, "lldb")

    # The target.

    def target(self):
        return self.debugger.GetSelectedTarget()

    def process(self):
        return self.target().GetProcess()

    def alive(self):
        return self.process().IsValid() and self.process().GetState() in (
            lldb.eStateStopped, lldb.eStateRunning, lldb.eStateStepping, lldb.eStateCrashed, lldb.eStateSuspended)

    def pid(self):
        return self.process().GetProcessID() if self.alive() else 0

    def state(self):
        if not self.alive():
            return binding.NONE
        if self.process().GetPluginName() == "elf-core":
            return binding.CORE
        # The state is told by events and can be late; a frame is had only while LLDB itself holds the process.
        # One that is just ending has no threads any more, and does not run.
        held = self.thread or self.process().is_stopped and (self.selected_thread().GetFrameAtIndex(0).IsValid() or not self.process().GetNumThreads())
        return binding.IS_STOPPED if held else binding.IS_RUNNING

    def program(self):
        return self.target().GetExecutable().fullpath or ""

    CACHE = "target.process.disable-memory-cache"

    def read(self, address, size):
        # LLDB keeps what was read in pieces; of two that overlap it forgets only one when memory is written.
        name, error = self.debugger.GetInstanceName(), lldb.SBError()
        before = self.debugger.GetInternalVariableValue(self.CACHE, name).GetStringAtIndex(0)
        self.debugger.SetInternalVariable(self.CACHE, "true", name)
        try:
            data = self.process().ReadMemory(address, size, error)
        finally:
            self.debugger.SetInternalVariable(self.CACHE, before, name)
        return data if error.Success() else b""

    def write(self, address, data):
        # LLDB loses a trap that is written over: take away those in the way for a moment.
        disabled = []
        for breakpoint in self.target().breakpoint_iter():
            for location in breakpoint:
                if address <= location.GetLoadAddress() < address + len(data) and location.IsEnabled() and breakpoint.IsEnabled():
                    location.SetEnabled(False)
                    disabled.append(location)
        error = lldb.SBError()
        written = self.process().WriteMemory(address, data, error)
        for location in disabled:
            location.SetEnabled(True)
        return error.Success() and written == len(data)

    def call(self, address):
        return gibbon_lldb.Borrowed(self.debugger, self.selected_thread()).call(address)

    def selected_thread(self):
        return self.thread or self.process().GetSelectedThread()

    def threads(self):
        selected = self.selected_thread().GetThreadID()
        threads = sorted(self.process().threads, key=lambda t: (t.GetThreadID() != selected, t.GetIndexID()))
        frames = [(t, t.GetFrameAtIndex(0)) for t in threads]
        return [binding.Thread(t.GetThreadID(), t.GetIndexID(), f.GetPC(), f.GetSP()) for t, f in frames]

    def set_pc(self, tid, pc):
        return 0 if self.process().GetThreadByID(tid).GetFrameAtIndex(0).SetPC(pc) else -1

    def get_register(self, name):
        return self.selected_thread().GetFrameAtIndex(0).FindRegister(name).GetValueAsUnsigned()

    def set_register(self, name, value):
        return 0 if self.selected_thread().GetFrameAtIndex(0).FindRegister(name).SetValueFromCString("0x%x" % value) else -1

    def run_to(self, address, sp):
        return gibbon_lldb.Borrowed(self.debugger, self.selected_thread()).run_to(address, sp)

    def breakpoints(self, number=0):
        ours = [b.GetID() for b in self.stand_ins.values()]
        result = []
        for b in self.target().breakpoint_iter():
            if b.MatchesName(NOT_OURS) or b.IsHardware() or b.GetID() in ours:
                continue
            for location in b:
                if location.IsEnabled() and self.is_double(location):
                    location.SetEnabled(False)
                elif location.IsEnabled() and location.GetLoadAddress() != lldb.LLDB_INVALID_ADDRESS:
                    result.append(binding.Breakpoint(b.GetID(), location.GetLoadAddress(), False))
        return result

    def is_double(self, location):
        """LLDB finds the lines of the original instructions in their copies too. The entry's is met at the entry itself, so not there."""
        address = location.GetAddress()
        return any(address.GetModule() == ours for ours in self.symbol_modules) and address.GetSymbol().GetStartAddress() == address

    def move_breakpoint(self, number, old, new):
        breakpoint = self.target().FindBreakpointByID(number)
        key = number, old
        for location in breakpoint:
            if location.GetLoadAddress() == old and location.IsEnabled() == bool(new):
                location.SetEnabled(not new)
        if not new:
            if key in self.stand_ins:
                self.target().BreakpointDelete(self.stand_ins.pop(key).GetID())
            return 0
        if key not in self.stand_ins or not self.stand_ins[key].IsValid():
            self.stand_ins[key] = self.target().BreakpointCreateByAddress(new)
            self.shared.pop(key, None)
        self.share(key, breakpoint)
        return self.stand_ins[key].GetID()

    def tend_breakpoints(self):
        """LLDB has no event for what the user does to a breakpoint that comes at once."""
        for key, stand_in in list(self.stand_ins.items()):
            breakpoint = self.target().FindBreakpointByID(key[0])
            if not breakpoint.IsValid():
                self.target().BreakpointDelete(self.stand_ins.pop(key).GetID())
            elif not stand_in.IsValid():
                if breakpoint.IsOneShot():
                    self.target().BreakpointDelete(key[0])
                del self.stand_ins[key]
            else:
                self.share(key, breakpoint)
        self.event(binding.BREAKPOINT)

    def share(self, key, breakpoint):
        """What the user has changed since the last time; a count is given once, or it would never be used up."""
        stand_in, commands = self.stand_ins[key], lldb.SBStringList()
        breakpoint.GetCommandLineCommands(commands)
        now = {"Enabled": breakpoint.IsEnabled(), "OneShot": breakpoint.IsOneShot()}
        now.update({name: getattr(breakpoint, "Get" + name)() for name in ("Condition", "AutoContinue", "ThreadID", "IgnoreCount")})
        text = [commands.GetStringAtIndex(i) for i in range(commands.GetSize())]
        before = self.shared.get(key, {})
        for name, value in now.items():
            if before.get(name) != value:
                getattr(stand_in, "Set" + name)(value)
        if before.get("commands", []) != text:
            stand_in.SetCommandLineCommands(commands)
        self.shared[key] = dict(now, commands=text)

    def evaluate(self, expression):
        frame = self.selected_thread().GetFrameAtIndex(0)
        value = frame.EvaluateExpression("(unsigned long) (%s)" % expression)
        if not value.GetError().Success():
            first = value.GetError().GetCString().strip().splitlines()[0]
            raise RuntimeError(re.sub(r"^(error: )?(<user expression \d+>:\d+:\d+: )?", "", first))
        return value.GetValueAsUnsigned()

    def execute(self, command):
        """At LLDB's prompt the program runs on when it returns: only so its input and Ctrl-C find their way."""
        outer, self.result = self.result, None
        was, result = self.debugger.GetAsync(), lldb.SBCommandReturnObject()
        self.debugger.SetAsync(self.debugger.GetCommandInterpreter().IsInteractive())
        try:
            self.debugger.GetCommandInterpreter().HandleCommand(command, result)
        finally:
            self.debugger.SetAsync(was)
            self.result = outer
        self.print(result.GetOutput() or "", binding.PLAIN)
        if not result.Succeeded():
            raise RuntimeError(re.sub("^error: ", "", (result.GetError() or "the command failed").strip()))

    def execute_all(self, commands, context, stream):
        """The commands of a patch that has stopped the thread; false: it shall go on."""
        result = lldb.SBCommandReturnObject()
        for command in commands:
            if command.strip() in ("c", "continue", "process continue"):
                return False
            if command.strip() not in ("", "silent"):
                self.debugger.GetCommandInterpreter().HandleCommand(command, context, result)
                stream.Print((result.GetOutput() or "") + (result.GetError() or ""))
                result.Clear()
        return True

    def note_original(self, location, address):
        gibbon_lldb.note_original(self.selected_thread().GetFrameAtIndex(0), location, address)

    def watch(self, path, address, on):
        target = self.target()
        if path == "":
            self.expect_target()
            return 0
        hidden = next((h for h in self.hidden if h.target == target), None)
        if hidden is None:
            if not on:
                return 0
            hidden = Hidden(target)
            self.hidden.append(hidden)
        hidden.watch((path, address), on)
        return 0

    # Symbols of our own code.

    def symbols(self, path, bias):
        target = self.target()
        if path is None:
            for module in self.symbol_modules + self.packages:
                target.RemoveModule(module)
            self.symbol_modules, self.packages = [], []
            return 0
        if bias:
            module = target.AddModule(path, None, None)
            if not module.IsValid() or target.SetModuleLoadAddress(module, bias).Fail():
                return -1
            self.packages.append(module)
            return 0
        # LLDB shows the name of the file in each frame, and keeps the file open.
        try:
            with tempfile.TemporaryDirectory(prefix="gibbon-") as directory:
                name = os.path.join(directory, "gibbon")
                os.symlink(path.replace("self", str(os.getpid()), 1), name)
                module = target.AddModule(name, None, None)
        except OSError:  # nowhere to write
            module = target.AddModule(path, None, None)
        if not module.IsValid() or target.SetModuleLoadAddress(module, 0).Fail():
            return -1
        self.symbol_modules.append(module)
        self.breakpoints()  # those that have just got a location there
        return 0

    # The user.

    def print(self, text, style):
        if self.result is not None and style == binding.PLAIN:
            self.result.Print(text)
            return
        interpreter = self.debugger.GetCommandInterpreter()
        if self.result is None and self.thread is None and not self.closed and self.debugger.GetAsync() and interpreter.IsActive():
            # The user is at the prompt while the program runs: LLDB prints this above it, and then shows again what was typed.
            text += " " * (len(text.encode()) - len(text))  # it is cut to so many bytes as it has characters
            interpreter.GetBroadcaster().BroadcastEvent(lldb.SBEvent(interpreter.eBroadcastBitAsynchronousOutputData, text))
            return
        stream = self.debugger.GetErrorFile() if style == binding.WARNING else self.debugger.GetOutputFile()
        if stream.IsValid():
            stream.Write(text.encode())
            stream.Flush()
        else:
            sys.stdout.write(text)
            sys.stdout.flush()

    styles = gibbon_lldb.styles

    def query(self, question):
        try:  # LLDB's Python has no usable sys.stdin inside a command
            with open("/dev/tty", "r+b", buffering=0) as terminal:
                terminal.write(question.encode())
                return int(terminal.readline().strip().lower() in (b"y", b"yes"))
        except (OSError, KeyboardInterrupt):
            return -1

    def command(self, text, interactive=False):
        self.hook()
        self.tidy()
        self.tend_breakpoints()
        self.engine.command(text, interactive)

    def later(self, function):
        function()

    def wake(self):
        self.engine.flush()  # from the reader's own thread: printing needs no SB call that waits

    # What happens in LLDB.

    def event(self, kind, value=0, thread=None):
        self.thread = thread
        try:
            self.engine.event(kind, value)
        finally:
            self.thread = None

    def arrive(self, thread):
        self.on_their_way.discard(key_of(thread))
        self.event(binding.STOPPING, thread=thread)
        text, commands = self.engine.stop()
        return text, commands or ""

    def hook(self):
        """Once for each target: a stop hook, which LLDB runs before it shows a stop, and the name that our breakpoint gets. The name brings its
        callback along: LLDB 19 loses its place when SetScriptCallbackFunction is called inside another callback."""
        target = self.target()
        if not target.IsValid():
            target = self.debugger.GetDummyTarget()  # what targets to come begin with
        names = lldb.SBStringList()
        target.GetBreakpointNames(names)
        if NOT_OURS in [names.GetStringAtIndex(i) for i in range(names.GetSize())]:
            return
        result = lldb.SBCommandReturnObject()
        self.debugger.GetCommandInterpreter().HandleCommand("target stop-hook add -P %s.StopHook" % __name__, result)
        name = lldb.SBBreakpointName(target, NOT_OURS)
        name.SetScriptCallbackFunction("%s.on_watch" % __name__)
        # Unseen by `breakpoint list`, and kept by `breakpoint delete`.
        name.SetAllowList(False)
        name.SetAllowDelete(False)
        name.SetAllowDisable(False)

    def expect_target(self):
        """A breakpoint that targets to come will have: where the dynamic linker shows that libraries are mapped."""
        dummy = self.debugger.GetDummyTarget()
        if not any(b.MatchesName(NOT_OURS) for b in dummy.breakpoint_iter()):
            self.hook()
            dummy.BreakpointCreateByName("_dl_debug_state", "ld-linux-x86-64.so.2").AddName(NOT_OURS)

    def tidy(self):
        self.hidden = [hidden for hidden in self.hidden if hidden.target.IsValid()]
        for hidden in self.hidden:
            hidden.tidy()

    def close(self):
        if not self.closed:
            self.closed = True
            self.engine.close()


class Resolver:
    """Of a breakpoint that finds nothing by itself; its locations are added."""

    def __init__(self, breakpoint, extra, internal):
        pass

    def __callback__(self, context):
        pass

    def __get_depth__(self):
        return lldb.eSearchDepthTarget

    def get_short_help(self):
        return "where Gibbon stops, unseen"


class Hidden:
    """Where the engine stops a target unseen: one breakpoint, as LLDB gives it a number of the user's. `delete N` and `disable N` work on it all
    the same; it is put right again at once, by a thread that hears of it, and at the latest at the next stop or gibbon command."""

    def __init__(self, target):
        self.target, self.breakpoint, self.locations = target, None, {}
        self.wanted = {}  # (path, address): True
        self.untidy, self.busy = False, threading.Lock()
        self.listener = lldb.SBListener("gibbon")
        self.listener.StartListeningForEvents(target.GetBroadcaster(), lldb.SBTarget.eBroadcastBitBreakpointChanged)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        event = lldb.SBEvent()
        while self.target.IsValid():
            if self.listener.WaitForEvent(10, event) and self.breakpoint is not None and not (self.breakpoint.IsValid() and self.breakpoint.IsEnabled()):
                self.tidy()

    def watch(self, key, on):
        if on:
            self.wanted[key] = True
            self.tidy()
        elif self.wanted.pop(key, None) and key in self.locations:
            self.locations[key].SetEnabled(False)  # this only: when a process ends, others may have lost their module and not yet gone themselves

    def tidy(self):
        # Nobody waits for the other thread here: in a synchronous session it may wait in turn for LLDB's lock until the program stops.
        self.untidy = True
        while self.untidy and self.busy.acquire(blocking=False):
            try:
                while self.untidy:
                    self.untidy = False
                    self.put_right()
            finally:
                self.busy.release()

    def put_right(self):
        if self.breakpoint is None or not self.breakpoint.IsValid():
            if not self.wanted or not self.target.IsValid():
                return
            self.locations = {}
            self.breakpoint = self.target.BreakpointCreateFromScript("%s.Resolver" % __name__, lldb.SBStructuredData(), lldb.SBFileSpecList(), lldb.SBFileSpecList())
            self.breakpoint.AddName(NOT_OURS)
        if not self.breakpoint.IsEnabled():
            self.breakpoint.SetEnabled(True)
        for key in list(self.wanted):
            location = self.locations.get(key)
            if location is None or (key[0] is None and location.GetLoadAddress() != key[1]):  # the module is somewhere else this time
                if location is not None:
                    location.SetEnabled(False)
                place = self.place(*key)
                owner = self.breakpoint
                if place.GetSymbol().GetType() == lldb.eSymbolTypeResolver:  # there a scripted one would ask the function for its answer
                    owner = self.target.BreakpointCreateBySBAddress(place)
                    owner.AddName(NOT_OURS)
                else:
                    owner.AddLocation(place)
                self.locations.update((key, location) for location in owner if location.GetAddress() == place)
        for key, location in list(self.locations.items()):
            if location.IsEnabled() != (key in self.wanted):
                location.SetEnabled(key in self.wanted)

    def place(self, path, address):
        if path is None:
            return lldb.SBAddress(address, self.target)
        # Not mapped yet: an address of the file.
        path = os.path.realpath(path)
        module = next((m for m in self.target.module_iter() if os.path.realpath(m.file.fullpath or "") == path), None)
        return (module or self.target.AddModule(path, None, None)).ResolveFileAddress(address)


class StopHook:
    def __init__(self, target, extra, internal):
        pass

    def handle_stop(self, context, stream):
        thread = context.GetThread()
        _front_end.event(binding.STOPPED, thread=thread)
        _front_end.tidy()  # behind it: the process may have executed another program, which has other places
        _front_end.tend_breakpoints()
        text, commands = _front_end.stopped.pop(key_of(thread), (None, ""))
        if key_of(thread) in _front_end.on_their_way:  # another thread has stopped before this one was resumed
            discard_plans(thread)
            text, commands = _front_end.arrive(thread)
            context = lldb.SBExecutionContext(thread.GetFrameAtIndex(0))  # it has another now
        if text is not None:  # a breakpoint of the user's is there, too
            stream.Print("%s: stops thread #%d, too\n" % (text.rstrip(", \n"), thread.GetIndexID()))
        return _front_end.execute_all(commands.split("\n"), context, stream)


def on_detach(*words):
    """LLDB runs this before its own `process detach`, also where that will fail, as only one with options does; of other ways to let a process
    go the engine hears afterwards."""
    if len(words) == 2:
        _front_end.event(binding.DETACHING)
    return False


def on_watch(frame, location, extra, internal):
    """A breakpoint of the engine's was reached. The user sees it where a patch stops."""
    thread = frame.GetThread()
    address = frame.GetPC()
    _front_end.event(binding.REACHED, address, thread)
    text, commands = _front_end.engine.stop()
    if text is None:
        return False
    if commands is None:  # it is not there yet
        discard_plans(thread)  # as at a breakpoint, a step or `finish` under way is over: it would have the last word
        _front_end.on_their_way.add(key_of(thread))
        thread.StepUsingScriptedThreadPlan("%s.PatchStop" % __name__, lldb.SBStructuredData(), False)
        return False
    _front_end.stopped[key_of(thread)] = text, commands
    return True


def key_of(thread):
    """Nothing later has the same: what is kept of a thread that was killed is not met again."""
    return thread.GetProcess().GetUniqueID(), thread.GetIndexID()


def discard_plans(thread):
    discard = "thread plan discard 1", lldb.SBExecutionContext(thread), lldb.SBCommandReturnObject(), False
    _front_end.debugger.GetCommandInterpreter().HandleCommand(*discard)


class PatchStop:
    """Takes a thread from where a patch stops it to where the user shall see it, and says why it has stopped, which a breakpoint cannot."""

    def __init__(self, plan, internal):
        self.plan, self.text, self.held = plan, "", False

    def explains_stop(self, event):
        return self.plan.GetThread().GetStopReason() in (lldb.eStopReasonTrace, lldb.eStopReasonNone)

    def should_step(self):
        """LLDB is about to resume it, and others that a patch stops now. A step is told only of those that come to its end before the first has
        ended; of the signal that a step ends with, each of them, and at once."""
        if not self.held:
            self.held = gibbon_lldb.hold(self.plan.GetThread())
        return True

    def is_stale(self):
        return False

    def should_stop(self, event):
        thread, self.held = self.plan.GetThread(), False
        text, commands = _front_end.arrive(thread)
        self.plan.SetPlanComplete(True)
        if text is None:
            return False
        self.text = text[0].lower() + text[1:].rstrip(", \n")
        _front_end.stopped[key_of(thread)] = None, commands
        return True

    def stop_description(self, stream):
        stream.Print(self.text)


class Command:
    """One gibbon command."""
    name = ""

    def __init__(self, debugger, internal):
        pass

    def get_short_help(self):
        return _front_end.engine.help(self.name).split("\n")[0]

    def get_long_help(self):
        return _front_end.engine.help(self.name).partition("\n")[2]  # LLDB puts the short help before it

    def __call__(self, debugger, arguments, context, result):
        outer, thread = _front_end.result, context.GetThread()
        frames = gibbon_lldb.frames(thread)
        _front_end.debugger, _front_end.result = debugger, result
        try:
            _front_end.command("%s %s" % (self.name, arguments), os.isatty(0) and debugger.GetCommandInterpreter().IsInteractive())
            result.SetStatus(lldb.eReturnStatusSuccessFinishResult)
        except binding.GibbonError as error:
            result.SetError(str(error))
        finally:
            _front_end.result = outer
            if frames and frames == gibbon_lldb.frames(thread, frames[0]):
                thread.SetSelectedFrame(frames[0])  # code was written, after which LLDB has selected the newest


def __lldb_init_module(debugger, internal):
    global _front_end
    kept = sys.modules.get("_gibbon_lldb")  # importing twice is harmless
    if kept is not None:
        _front_end = kept.front_end
    else:
        try:
            _front_end = FrontEnd(debugger)
        except binding.GibbonError as error:
            print("error: %s" % error)
            return
        import types
        keep = types.ModuleType("_gibbon_lldb")
        keep.front_end = _front_end
        sys.modules["_gibbon_lldb"] = keep
        debugger.SetDestroyCallback(lambda _id: _front_end.close())  # while output still has somewhere to go
        atexit.register(_front_end.close)
    api.front_end = _front_end
    _front_end.hook()
    debugger.GetCommandInterpreter().SetCommandOverrideCallback("process detach", on_detach)
    if kept is None:
        _front_end.engine.start()
    summary, *_commands, hint = _front_end.engine.help().rstrip().split("\n\n")
    # LLDB 19 shows a container's long help as its syntax.
    debugger.HandleCommand("command container add -o -h '%s' -H 'gibbon COMMAND ...\n\n%s' gibbon" % (summary, hint))
    for name, _summary in _front_end.engine.commands():
        globals()["Command_" + name] = type("Command_" + name, (Command,), {"name": name})
        debugger.HandleCommand("command script add -o -c %s.Command_%s gibbon %s" % (__name__, name, name))
