"""Runs inside a debugger, for every_export.py: patches come and go while the program works. Every few hundredths of a second it is stopped wherever
it is, by a signal it does not see, and all patches are disabled, enabled, deleted or made again."""
import itertools
import os
import random
import signal
import subprocess

try:
    import gdb
except ImportError:
    gdb = None
    import lldb


def do(line):
    if gdb:
        try:
            gdb.execute(line)
        except gdb.error as error:
            print("error: %s" % error, flush=True)
            return False
        return True
    result = lldb.SBCommandReturnObject()
    target = lldb.debugger.GetSelectedTarget()
    thread = target.GetProcess().GetSelectedThread()
    lldb.debugger.GetCommandInterpreter().HandleCommand(line, lldb.SBExecutionContext(thread if thread.IsValid() else target), result)
    print((result.GetOutput() or "") + (result.GetError() or ""), end="", flush=True)
    return result.Succeeded()


def pid():
    if gdb:
        return gdb.selected_inferior().pid
    process = lldb.debugger.GetSelectedTarget().GetProcess()
    return process.GetProcessID() if process.GetState() == lldb.eStateStopped else 0


# A process of its own: while LLDB waits for a stop, no Python runs in it. `+` begins and `-` ends the sending. A signal that a debugger loses, in a
# stop of its own, is followed by another one.
SIGNALS = """
import os, random, select, signal, sys
sending = False
while True:
    if select.select([0], [], [], random.uniform(.01, .06) if sending else None)[0]:
        word = os.read(0, 100)
        if not word:
            break
        sending = word.endswith(b"+")
    elif sending:
        os.kill(%d, signal.SIGINT)
"""


def stopped_by_us():
    if gdb:
        return True
    process = lldb.debugger.GetSelectedTarget().GetProcess()
    return any(thread.GetStopReason() == lldb.eStopReasonSignal and thread.GetStopReasonDataAtIndex(0) == signal.SIGINT for thread in process)


def send(signals, word):
    try:
        os.write(signals.stdin.fileno(), word)
    except BrokenPipeError:
        pass


def switch(launch, wraps, seed, most=400):
    random.seed(seed)
    rounds = 0
    if gdb:
        do("handle SIGINT stop nopass print")
        do("starti " + launch)
    else:
        do("process launch -s " + launch)
        do("process handle SIGINT -s true -p false -n false")
    number = pid()
    signals = subprocess.Popen(["/usr/bin/python3", "-c", SIGNALS % number], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if gdb:
        trouble = []
        gdb.events.stop.connect(lambda event: trouble.append(event.stop_signal) if getattr(event, "stop_signal", "SIGINT") != "SIGINT" else None)
    steps = itertools.cycle([["gibbon disable"], ["gibbon enable"], ["gibbon delete"], wraps, ["gibbon disable", "gibbon enable"], ["gibbon delete"] + wraps])
    for line in wraps:
        do(line)
    while pid():
        send(signals, b"+")
        went = do("continue")
        send(signals, b"-")
        if not went:
            # GDB 13 resumes thread after thread; when the first ends the program meanwhile, it loses its way. It does without Gibbon, too.
            with open("/proc/%d/stat" % number) as status:
                print("ended unseen" if status.read().rsplit(")", 1)[1].split()[0] == "Z" else "cannot continue", flush=True)
            break
        if not pid() or (gdb and trouble) or (not gdb and not stopped_by_us()):
            break
        rounds += 1
        if rounds < most:
            for line in next(steps):
                do(line)
    signals.kill()
    print("switched %d times" % rounds, flush=True)
    if pid():
        for line in ("bt 12", "x/6i $pc", "info threads") if gdb else ("bt 12", "x/6i $pc", "thread list"):
            do(line)
