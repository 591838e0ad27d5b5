#!/usr/bin/env python3
"""Compares the windows and copies that relocate_sweep wrote (-s, -o) as binutils disassembles them.

    relocate_objdump.py PREFIX

Instruction by instruction the copy must be the original with the same operands and the same addresses, or one of the
expansions that the relocator makes where that is impossible. Prints how many instructions were alike; fails if one is not.
"""
import re
import subprocess
import sys

SLOT = 512
LINE = re.compile(r"^\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*\t?(.*)$")
PREFIXES = re.compile(r"^(?:(?:cs|ds|es|ss|bnd|data16|notrack|rex(?:\.[WRXB]+)?|addr32|\{disp8\}|\{disp32\}),?\s+)+")
BRANCH = re.compile(r"^(call|jmp|j[a-z]+|loop[a-z]*|xbegin)(?:,p[nt])?\s+0x([0-9a-f]+)$")
RIP = re.compile(r"-?0x[0-9a-f]+\(%([re])ip\)(.*) # 0x([0-9a-f]+)$")


def disassemble(path):
    """The instructions of each slot: {offset in the slot: (length, text, its place in the file)}."""
    words = ["objdump", "-D", "-z", "-w", "-b", "binary", "-m", "i386:x86-64", path]
    slots = {}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        found = LINE.match(line)
        if found:
            at = int(found.group(1), 16)
            slots.setdefault(at // SLOT, {})[at % SLOT] = (len(found.group(2).split()), found.group(3).strip(), at)
    return slots


def meaning(instruction, slot, address, inside):
    """The text with real addresses; those for which `inside` says so become labels."""
    _, text, _ = instruction
    text = PREFIXES.sub("", re.sub(r"\s+", " ", text))
    moved = lambda printed: (int(printed, 16) - slot * SLOT + address) % 2 ** 64
    found = BRANCH.match(text)
    if found:
        target = moved(found.group(2))
        return "%s %s" % (found.group(1), inside(target) or hex(target))
    found = RIP.search(text)
    if found and "nop" not in text:
        target = moved(found.group(3))
        return text[:found.start()] + "[%s]" % hex(target % 2 ** 32 if found.group(1) == "e" else target) + found.group(2)
    return re.sub(r"\s+# 0x[0-9a-f]+$", "", text)


def pushed(texts):
    """The address that `push low; movl high, 4(%rsp)` pushes."""
    low, high = re.match(r"push \$0x([0-9a-f]+)$", texts[0]), re.match(r"movl \$0x([0-9a-f]+),0x4\(%rsp\)$", texts[1])
    return int(high.group(1), 16) << 32 | int(low.group(1), 16) % 2 ** 32 if low and high else None


def expanded(original, copy, following):
    """Whether several instructions of a copy do what one did."""
    if original.startswith("call"):
        if pushed(copy) != following:
            return False
        target = original[5:]
        return (len(copy) == 2 and target == hex(following)) or (len(copy) == 3 and copy[2] == "jmp " + target)
    if re.match(r"(loop|jrcxz|jecxz)", original):
        name, target = original.split()
        return copy[0].split()[0] == name and copy[1].startswith("jmp") and copy[2] == "jmp " + target
    return False


def compare(number, line, originals, copies):
    source, to, consumed, size, falls = line.split()[:5]
    source, to, consumed, size = int(source, 16), int(to, 16), int(consumed), int(size)
    boundaries = [tuple(map(int, pair.split(":"))) for pair in line.split()[5:]]
    by_original = {source + o: "label %d" % o for o, _ in boundaries[:-1]}
    by_copy = {to + c: "label %d" % o for o, c in boundaries[:-1]}
    alike = 0
    for (o, c), (_, end) in zip(boundaries, boundaries[1:]):
        if o not in originals or c not in copies:
            return alike, "boundary %d:%d is inside an instruction" % (o, c)
        call = originals[o][1].split()[0] in ("call", "bnd") or " call" in originals[o][1]
        old = meaning(originals[o], number, source, by_original.get if not call else lambda target: None)
        texts, at = [], c
        while at < end and at in copies:
            texts.append(meaning(copies[at], number, to, by_copy.get))
            at += copies[at][0]
        if at != end and not (texts and texts[-1].startswith("jmp")):
            return alike, "the copy of byte %d ends inside an instruction" % o
        same = len(texts) == 1 and texts[0] == old
        if not same and not expanded(old, texts, source + o + originals[o][0]):
            return alike, "byte %d: %s is %s" % (o, old, "; ".join(texts))
        alike += 1
    end = boundaries[-1][1]
    if falls == "1":
        back = meaning(copies[end], number, to, lambda target: None) if end in copies else "nothing"
        if back != "jmp " + hex(source + consumed) and "label" not in back:
            return alike, "it goes on with %s" % back
    return alike, None


def main(prefix):
    originals, copies = disassemble(prefix + ".original"), disassemble(prefix + ".copy")
    windows = alike = wrong = 0
    with open(prefix + ".index") as index:
        for number, line in enumerate(index):
            count, trouble = compare(number, line, originals[number], copies[number])
            windows += 1
            alike += count
            if trouble:
                wrong += 1
                print("%s\n    %s" % (line.strip(), trouble))
    print("%d windows, %d instructions alike, %d windows not" % (windows, alike, wrong))
    return wrong != 0 or windows == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
