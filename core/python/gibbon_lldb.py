"""What LLDB's front-end needs to call functions of the target, and to show things."""
import ctypes
import re
import signal
import threading

import lldb


def styles(front_end):
    """LLDB has one setting for all colours, and in its formats addresses and lines are yellow, files cyan, reasons to stop red."""
    return ("", "36", "33", "33", "", "", "31", "") if front_end.debugger.GetUseColor() else ()


def hold(thread):
    """The thread, which is about to be stepped, stops as if it had been, without executing anything: SIGTRAP is what a step ends with, and comes
    before whatever else the thread is sent. False where the user has it passed to the program."""
    process, signals = thread.GetProcess(), thread.GetProcess().GetUnixSignals()
    if not signals.GetShouldStop(signal.SIGTRAP):
        return False
    return ctypes.CDLL(None).tgkill(process.GetProcessID(), int(thread.GetThreadID()), signal.SIGTRAP) == 0


def note_original(frame, location, address):
    """LLDB has no functions of a plugin's in expressions. A variable of its own is as near as it gets: `expression $_gibbon_original_f(3)`."""
    function = location.rpartition("!")[2].rpartition(":")[2] if "::" not in location else ""
    options = lldb.SBExpressionOptions()
    if not function.isidentifier() or not frame.IsValid():
        return
    options.SetIgnoreBreakpoints(True)
    name = "$_gibbon_original_" + function
    # Its own type, or one that takes any arguments: in C++, in C.
    for form in "%s = (__typeof__(%s)) %s", "__typeof__(&%s) %s = (__typeof__(&%s)) %s", "int (*%s)(...) = (int (*)(...)) %s", "int (*%s)() = (int (*)()) %s":
        words = [name, name, hex(address)] if form[0] == "%" else [function, name, function, hex(address)] if form[0] == "_" else [name, hex(address)]
        frame.EvaluateExpression(form % tuple(words), options)
        if frame.EvaluateExpression(name, options).GetValueAsUnsigned() == address:
            return


class Borrowed:
    """A thread that calls a function without LLDB's knowing, by packets to lldb-server. An expression would do, but around each LLDB takes its
    handler of the program's input away and puts it back, and in a breakpoint's callback that can go wrong: on a terminal of unknown size the prompt
    comes back while the program runs, and Ctrl-C waits for the next line (so in LLDB alone: `breakpoint set -n main -c '(int)getpid() == 1'`)."""
    TIME = 2  # seconds; LLDB itself gives a packet five
    FAULTS = signal.SIGILL, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV

    def __init__(self, debugger, thread):
        self.interpreter, self.thread = debugger.GetCommandInterpreter(), thread
        self.process = thread.GetProcess()
        self.suffix = ";thread:%x;" % thread.GetThreadID()

    def packet(self, text):
        result = lldb.SBCommandReturnObject()
        self.interpreter.HandleCommand("process plugin packet send " + text, lldb.SBExecutionContext(self.thread), result, False)
        found = re.search(r"^response: (.*)$", result.GetOutput() or "", re.M)
        if not found or re.fullmatch("(E..)?", found.group(1)):
            raise RuntimeError("lldb-server does not answer " + text)
        return found.group(1)

    numbers = {}  # the server's, of registers: the same in every process

    def number(self, name):
        while name not in self.numbers:  # the server answers with an error behind the last
            count = len(self.numbers)
            self.numbers[re.match("name:(.*?);", self.packet("qRegisterInfo%x" % count)).group(1)] = count
        return self.numbers[name]

    def get(self, number):
        return int.from_bytes(bytes.fromhex(self.packet("p%x" % number + self.suffix)), "little")

    def set(self, number, value):
        self.packet("P%x=%s" % (number, value.to_bytes(8, "little").hex()) + self.suffix)

    def call(self, address):
        target = self.process.GetTarget()
        back = target.GetModuleAtIndex(0).GetObjectFileEntryPointAddress().GetLoadAddress(target)  # nothing else runs there meanwhile
        if back == lldb.LLDB_INVALID_ADDRESS:
            raise RuntimeError("the program's entry is not known")
        rax, rsp, rip = map(self.number, ("rax", "rsp", "rip"))
        saved = self.packet("QSaveRegisterState" + self.suffix)
        try:
            stack = ((self.get(rsp) - 256) & ~63) - 8  # below what a leaf function may use
            error = lldb.SBError()
            self.process.WriteMemory(stack, back.to_bytes(8, "little"), error)
            if not error.Success():
                raise RuntimeError(error.GetCString())
            for register, value in (rsp, stack), (rip, address), (rax, 0):  # rax: else an interrupted system call would begin again here
                self.set(register, value)
            self.packet("Z0,%x,1" % back)
            try:
                self.run()
            finally:
                self.packet("z0,%x,1" % back)
            if (self.get(rip), self.get(rsp)) != (back, stack + 8):
                raise RuntimeError("the function did not return")
            return self.get(rax)
        finally:
            self.packet("QRestoreRegisterState:" + saved + self.suffix)

    GENERAL = "rax rbx rcx rdx rsi rdi r8 r9 r10 r11 r12 r13 r14 r15 rflags rbp rsp rip".split()

    def run_to(self, address, sp):
        before = self.get(self.number("rsp"))
        self.packet("Z0,%x,1" % address)
        try:
            self.run()
        finally:
            self.packet("z0,%x,1" % address)
        # LLDB has kept what they were.
        for name in self.GENERAL:
            value = self.get(self.number(name))
            shown = self.thread.GetFrameAtIndex(0).FindRegister(name)
            if shown.GetValueAsUnsigned() != value:
                shown.SetValueFromCString("0x%x" % value)
        self.forget_memory(min(before, self.get(self.number("rsp"))) - 128, max(before, sp))
        frame = self.thread.GetFrameAtIndex(0)
        frame.SetPC(frame.FindRegister("rip").GetValueAsUnsigned())  # the frames are found anew
        frame = self.thread.GetFrameAtIndex(0)
        return 0 if (frame.GetPC(), frame.GetSP()) == (address, sp) else -1

    def forget_memory(self, start, end):
        """LLDB keeps what it has read until the process runs to its knowledge, or it writes there itself."""
        self.process.WriteMemory(start, bytes.fromhex(self.packet("m%x,%x" % (start, end - start))), lldb.SBError())

    def run(self):
        """Until the thread meets a trap. Signals that come meanwhile are sent again afterwards: here they would run the program's handlers."""
        tid, pid = self.thread.GetThreadID(), self.process.GetProcessID()
        kill, late = ctypes.CDLL(None).tgkill, threading.Event()
        signals = []

        def stop():
            late.set()
            kill(pid, tid, signal.SIGSTOP)
        clock = threading.Timer(self.TIME, stop)
        clock.start()
        try:
            while True:
                number = int(re.match("T(..)", self.packet("vCont;c:%x" % tid)).group(1), 16)
                if number == signal.SIGTRAP or number in self.FAULTS or late.is_set():
                    return
                signals.append(number)
        finally:
            clock.cancel()
            for number in signals:
                kill(pid, tid, number)
