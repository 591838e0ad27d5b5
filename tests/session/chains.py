"""Runs inside a debugger, in chain.c: patches on one function, made, switched and deleted in all orders, against a model of ten lines."""
import itertools

import gibbon

try:
    import gdb
except ImportError:
    gdb = None
    import lldb

MOCKED = 7, 8


def go():
    """One more call; the value that its caller got."""
    if gdb:
        gdb.execute("continue", to_string=True)
        return int(gdb.parse_and_eval("last"))
    result = lldb.SBCommandReturnObject()
    lldb.debugger.GetCommandInterpreter().HandleCommand("continue", result)
    return lldb.debugger.GetSelectedTarget().FindFirstGlobalVariable("last").GetValueAsSigned()


KINDS = {"wrap": "wrap f -quiet", "count": "wrap f -count", "mock": "mock f 7 -quiet", "mock again": "mock f 8 -quiet", "replace": "replace f g -count"}
VALUES = {"mock": 7, "mock again": 8, "replace": 1001}


class Model:
    def __init__(self):
        self.chain = []  # [number, kind, enabled, calls], the newest last

    def add(self, kind):
        gibbon.command(KINDS[kind])
        self.chain.append([max(p.number for p in gibbon.patches()), kind, True, 0])

    def switch(self, index, on):
        self.chain[index][2] = on
        gibbon.command("%s %d" % ("enable" if on else "disable", self.chain[index][0]))

    def delete(self, number):
        self.chain = [link for link in self.chain if link[0] != number]
        gibbon.command("delete %d" % number)

    def check(self, what):
        value = 1
        for link in reversed(self.chain):
            if link[2]:
                link[3] += 1
                if link[1] in VALUES:
                    value = VALUES[link[1]]
                    break
        found = go()
        assert found == value, (what, found, value, self.chain)
        calls = {p.number: p.calls for p in gibbon.patches()}
        assert calls == {link[0]: link[3] for link in self.chain}, (what, calls, self.chain)
        assert gibbon.is_patched("f") == bool(self.chain), what


def all_orders():
    count = 0
    for made in itertools.permutations(("wrap", "mock", "replace")):
        for gone in itertools.permutations(range(3)):
            model = Model()
            for kind in made:
                model.add(kind)
            numbers = [link[0] for link in model.chain]
            model.check((made, gone))
            for index in gone:
                model.delete(numbers[index])
                model.check((made, gone, index))
            count += 1
    for gone in itertools.permutations(range(4)):
        model = Model()
        for kind in ("wrap", "mock", "count", "mock again"):
            model.add(kind)
        numbers = [link[0] for link in model.chain]
        for index in gone:
            model.switch(index, False)
            model.check((gone, "off", index))
        for index in gone[1:]:
            model.switch(index, True)
            model.check((gone, "on", index))
        for index in gone:
            model.delete(numbers[index])
            model.check((gone, "deleted", index))
        count += 1
    print("%d orders, all right" % count, flush=True)
