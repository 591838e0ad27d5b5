"""Runs inside a debugger: steps by instructions, and looks at the whole chain of frames at each of them."""


class Gdb:
    def __init__(self):
        import gdb
        self.gdb = gdb

    def step(self):
        self.gdb.execute("stepi", to_string=True)

    def chain(self):
        frame, names = self.gdb.newest_frame(), []
        while frame is not None and len(names) < 64:
            names.append(frame.name() or "0x%x" % frame.pc())
            frame = frame.older()
        return names

    def line(self):
        return self.gdb.newest_frame().find_sal().line

    def pc(self):
        return self.gdb.newest_frame().pc()

    def arguments(self):
        frame = self.gdb.newest_frame()
        return ["%s=%s" % (s.name, s.value(frame)) for s in frame.block() if s.is_argument]


class Lldb:
    def __init__(self):
        import lldb
        lldb.debugger.SetAsync(False)
        self.thread = lldb.debugger.GetSelectedTarget().GetProcess().GetSelectedThread()

    def step(self):
        self.thread.StepInstruction(False)

    def chain(self):
        return [(frame.GetFunctionName() or "0x%x" % frame.GetPC()).split("(")[0] for frame in self.thread.frames]

    def line(self):
        return self.thread.GetFrameAtIndex(0).GetLineEntry().GetLine()

    def pc(self):
        return self.thread.GetFrameAtIndex(0).GetPC()

    def arguments(self):
        return ["%s=%s" % (v.GetName(), v.GetValue() or v.GetChildAtIndex(0).GetValue()) for v in self.thread.GetFrameAtIndex(0).arguments]


def debugger():
    try:
        import gdb
        gdb.newest_frame  # in LLDB a folder of this name may be found
        return Gdb()
    except (ImportError, AttributeError):
        return Lldb()


def walk(function, caller, limit):
    """From the entry of `function` until `caller` goes on. Prints what was seen: each name of an innermost frame with its callers up to `caller`
    and its lines, once; and every chain without `caller`."""
    seen, order, bad, depth = {}, [], 0, None
    one = debugger()
    depth = len(one.chain()) - one.chain().index(caller)
    for steps in range(limit):
        chain = one.chain()
        if chain[0] == caller:
            break
        if caller not in chain or len(chain) - chain.index(caller) != depth:
            bad += 1
            print("bad chain at 0x%x: %s" % (one.pc(), " < ".join(chain)))
            if bad > 20:
                break
            one.step()
            continue
        key = " < ".join(chain[:chain.index(caller)])
        if key not in seen:
            if chain[0].endswith(".gibbon"):
                print("arguments: %s" % " ".join(one.arguments()))
            seen[key] = set()
            order.append(key)
        seen[key].add(one.line())
        one.step()
    for key in order:
        print("seen: %s: %s" % (key, " ".join(str(line) for line in sorted(seen[key]))))
    print("walked: %d bad, back in %s" % (bad, one.chain()[0]), flush=True)
