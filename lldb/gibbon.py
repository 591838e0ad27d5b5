"""Gibbon in LLDB: `command script import lldb/gibbon.py`. It only translates between LLDB's SB API and the engine (core/include/gibbon)."""
import atexit
import os
import sys
import tempfile

import lldb


def _binding():
    here = os.path.dirname(os.path.realpath(__file__))
    for place in ("../core/python", "../python"):  # the source tree, the installed tree
        path = os.path.join(here, place)
        if os.path.exists(os.path.join(path, "gibbon_binding.py")) and path not in sys.path:
            sys.path.insert(0, path)
    import gibbon_binding
    return gibbon_binding


binding = _binding()
_front_end = None
NOT_OURS = "gibbon"  # the name of our own breakpoints


class FrontEnd:
    """struct gib_target_operations for LLDB."""
    tells_exit = False
    knows_statements = False

    def __init__(self, debugger):
        self.debugger = debugger
        self.watches = {}
        self.result = None  # of the command under way
        self.thread = None  # of the event under way
        self.hooked = set()
        self.symbol_modules = []
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
        return binding.IS_STOPPED if self.process().is_stopped or self.thread else binding.IS_RUNNING

    def program(self):
        return self.target().GetExecutable().fullpath or ""

    def read(self, address, size):
        error = lldb.SBError()
        data = self.process().ReadMemory(address, size, error)
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
        options = lldb.SBExpressionOptions()
        options.SetIgnoreBreakpoints(True)
        options.SetUnwindOnError(True)
        options.SetStopOthers(True)
        options.SetTryAllThreads(False)
        options.SetTimeoutInMicroSeconds(5000000)
        options.SetLanguage(lldb.eLanguageTypeC)
        text = "((unsigned long (*)(void)) 0x%xul)()" % address
        frame = self.selected_thread().GetFrameAtIndex(0)
        value = frame.EvaluateExpression(text, options)
        if not value.GetError().Success():
            raise RuntimeError(value.GetError().GetCString())
        return value.GetValueAsUnsigned()

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

    def breakpoints(self):
        result = []
        for b in self.target().breakpoint_iter():
            if b.MatchesName(NOT_OURS):
                continue
            for location in b:
                if location.IsEnabled() and self.is_double(b, location):
                    location.SetEnabled(False)
                elif location.IsEnabled() and b.IsEnabled() and not b.IsHardware() and location.GetLoadAddress() != lldb.LLDB_INVALID_ADDRESS:
                    result.append(binding.Breakpoint(b.GetID(), location.GetLoadAddress()))
        return result

    def is_double(self, breakpoint, location):
        """LLDB finds the lines of the original instructions in their copies too. A breakpoint belongs to the original, unless it was set on the
        address."""
        module = location.GetAddress().GetModule()
        if not self.symbol_modules or not any(module == ours for ours in self.symbol_modules):
            return False
        data = lldb.SBStream()
        breakpoint.SerializeToStructuredData().GetAsJSON(data)
        return '"Type":"Address"' not in data.GetData()

    def move_breakpoint(self, number, old, new):
        breakpoint = self.target().FindBreakpointByID(number)
        for location in breakpoint:
            if location.GetLoadAddress() == old:
                location.SetEnabled(False)
        moved = self.target().BreakpointCreateByAddress(new)
        moved.SetCondition(breakpoint.GetCondition())
        moved.SetAutoContinue(breakpoint.GetAutoContinue())

    def evaluate(self, expression):
        frame = self.selected_thread().GetFrameAtIndex(0)
        value = frame.EvaluateExpression("(unsigned long) (%s)" % expression)
        if not value.GetError().Success():
            raise RuntimeError(value.GetError().GetCString().strip().splitlines()[0])
        return value.GetValueAsUnsigned()

    def watch(self, path, address, on):
        key = (path, address)
        if not on:
            breakpoint = self.watches.pop(key, None)
            if breakpoint is not None:
                breakpoint.SetEnabled(False)
            return 0
        if key in self.watches and self.watches[key].IsValid() and self.watches[key].IsEnabled():
            return 0
        target = self.target()
        if path is None:
            breakpoint = target.BreakpointCreateByAddress(address)
        else:  # not mapped yet: an address of the file
            module = target.FindModule(lldb.SBFileSpec(os.path.realpath(path))) or target.FindModule(lldb.SBFileSpec(path))
            if not module.IsValid():
                module = target.AddModule(os.path.realpath(path), None, None)
            breakpoint = target.BreakpointCreateBySBAddress(module.ResolveFileAddress(address))
        breakpoint.AddName(NOT_OURS)
        self.watches[key] = breakpoint
        return 0

    # Symbols of our own code.

    def symbols(self, path):
        target = self.target()
        if path is None:
            for module in self.symbol_modules:
                target.RemoveModule(module)
            self.symbol_modules = []
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
        stream = self.debugger.GetErrorFile() if style == binding.WARNING else self.debugger.GetOutputFile()
        if stream.IsValid():
            stream.Write(text.encode())
            stream.Flush()
        else:
            sys.stdout.write(text)
            sys.stdout.flush()

    def query(self, question):
        try:  # LLDB's Python has no usable sys.stdin inside a command
            with open("/dev/tty", "r+b", buffering=0) as terminal:
                terminal.write(question.encode())
                return int(terminal.readline().strip().lower() in (b"y", b"yes"))
        except (OSError, KeyboardInterrupt):
            return -1

    def wake(self):
        self.engine.flush()  # from the reader's own thread: printing needs no SB call that waits

    # What happens in LLDB.

    def event(self, kind, value=0, thread=None):
        self.thread = thread
        try:
            self.engine.event(kind, value)
        finally:
            self.thread = None

    def hook(self):
        """Once for each target: a stop hook, which LLDB runs before it shows a stop, and the name that our breakpoints get. The name brings its
        callback along: LLDB 19 loses its place when SetScriptCallbackFunction is called inside another callback."""
        target = self.target()
        key = self.debugger.GetIndexOfTarget(target) if target.IsValid() else None  # None: what targets to come begin with
        if key in self.hooked:
            return
        self.hooked.add(key)
        if key is None:
            target = self.debugger.GetDummyTarget()
        result = lldb.SBCommandReturnObject()
        self.debugger.GetCommandInterpreter().HandleCommand("target stop-hook add -P %s.StopHook" % __name__, result)
        name = lldb.SBBreakpointName(target, NOT_OURS)
        name.SetScriptCallbackFunction("%s.on_watch" % __name__)
        # Unseen by `breakpoint list`, and kept by `breakpoint delete`.
        name.SetAllowList(False)
        name.SetAllowDelete(False)
        name.SetAllowDisable(False)

    def close(self):
        self.engine.close()


class StopHook:
    def __init__(self, target, extra, internal):
        pass

    def handle_stop(self, context, stream):
        _front_end.event(binding.STOPPED, thread=context.GetThread())
        _front_end.event(binding.BREAKPOINT)  # LLDB tells of new ones only asynchronously
        return True


def on_watch(frame, location, extra, internal):
    """A breakpoint of the engine's was reached; the user never sees it."""
    _front_end.event(binding.REACHED, frame.GetPC(), frame.GetThread())
    return False


class Command:
    """One gibbon command."""
    name = ""

    def __init__(self, debugger, internal):
        pass

    def get_short_help(self):
        return _front_end.engine.help(self.name).split("\n")[0]

    def get_long_help(self):
        return _front_end.engine.help(self.name)

    def __call__(self, debugger, arguments, context, result):
        _front_end.debugger, _front_end.result = debugger, result
        _front_end.hook()
        try:
            _front_end.event(binding.BREAKPOINT)
            _front_end.engine.command("%s %s" % (self.name, arguments), os.isatty(0) and debugger.GetCommandInterpreter().IsInteractive())
            result.SetStatus(lldb.eReturnStatusSuccessFinishResult)
        except binding.GibbonError as error:
            result.SetError(str(error))
        finally:
            _front_end.result = None


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
        atexit.register(_front_end.close)
    _front_end.hook()
    debugger.HandleCommand('command container add -o -h "Monkey patching for native code." gibbon')
    for name, _summary in _front_end.engine.commands():
        globals()["Command_" + name] = type("Command_" + name, (Command,), {"name": name})
        debugger.HandleCommand("command script add -o -c %s.Command_%s gibbon %s" % (__name__, name, name))
