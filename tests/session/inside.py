"""Runs inside a debugger: asks it what it sees. `text_differences()` reads the target's text through the debugger, which hides its own traps."""


def _pid():
    try:
        import gdb
        return gdb.selected_inferior().pid
    except ImportError:
        import lldb
        return lldb.debugger.GetSelectedTarget().GetProcess().GetProcessID()


def _read(address, size):
    try:
        import gdb
        return bytes(gdb.selected_inferior().read_memory(address, size))
    except ImportError:
        import lldb
        error = lldb.SBError()
        data = lldb.debugger.GetSelectedTarget().GetProcess().ReadMemory(address, size, error)
        if not error.Success():
            raise RuntimeError(error.GetCString())
        return data


def text_differences():
    count = total = 0
    with open("/proc/%d/maps" % _pid()) as maps:
        for line in maps:
            fields = line.split(None, 5)
            if "x" not in fields[1] or len(fields) < 6 or not fields[5].startswith("/") or fields[5].startswith("/memfd:"):
                continue
            start, end = (int(x, 16) for x in fields[0].split("-"))
            with open(fields[5].strip(), "rb") as file:
                file.seek(int(fields[2], 16))
                expected = file.read(end - start)
            found = _read(start, len(expected))
            total += len(expected)
            count += sum(a != b for a, b in zip(found, expected)) if found != expected else 0
    print("text: %d bytes of %s differ" % (count, "many" if total > 100000 else total), flush=True)


def pid():
    print("pid=%d" % _pid(), flush=True)
