"""Runs inside a debugger for table.py: makes patches in a program that is stopped in main, lets it run to its end, asks how often each was called.

`inside(JOB)`: JOB is a JSON file with `settings` (commands), `patches` (command by row) and `result`, the file for the answer:
`refused` (why, by row), `called` (by row), `left_out` (by row: what `list` says below the calls) and `stats` (text)."""
import json
import re
import sys


def commands():
    """A function that executes a line and answers whether it worked, and its text; another that runs on until the process ends."""
    if "lldb" not in sys.modules:
        import gdb

        def do(line):
            try:
                return True, gdb.execute(line, to_string=True)
            except gdb.error as error:
                return False, str(error)
        return do, lambda: gdb.execute("continue")
    import lldb
    interpreter = lldb.debugger.GetCommandInterpreter()

    def do(line):
        result = lldb.SBCommandReturnObject()
        interpreter.HandleCommand(line, result)
        return result.Succeeded(), (result.GetOutput() or "") + (result.GetError() or "")
    return do, lambda: do("continue")


def inside(job):
    with open(job) as file:
        job = json.load(file)
    do, run_on = commands()
    answer = {"refused": {}, "called": {}, "left_out": {}}
    numbers = {}
    for line in job["settings"]:
        good, text = do(line)
        if not good:
            raise RuntimeError("%s: %s" % (line, text))
    for row, line in job["patches"].items():
        good, text = do(line)
        number = re.search(r"^Patch (\d+):", text, re.M)
        if good and number and "<PENDING>" not in text:
            numbers[row] = number.group(1)
        else:
            answer["refused"][row] = " ".join(text.split()).removeprefix("error: ")
    run_on()
    for row, number in numbers.items():
        text = do("gibbon list " + number)[1]
        called = re.search(r"^ +(?:called|stopped) (\d+) times?[^\n]*\n?((?: +[^\n]+\n?)*)", text, re.M)
        if called:
            answer["called"][row] = int(called.group(1))
            answer["left_out"][row] = " ".join(called.group(2).split())
    answer["stats"] = do("gibbon stats")[1]
    with open(job["result"], "w") as file:
        json.dump(answer, file)
