"""What the target passes may not be there, or go away while it is read: it never faults, and every call is in the log."""
import pytest

from harness import jsonl


@pytest.mark.parametrize("cc,opt", [("gcc", "-O0"), ("clang", "-O2")])
def test_text_that_another_thread_unmaps(debugger, target, tmp_path, cc, opt):
    """The page is unmapped, forbidden and mapped anew, and the file under another one shrinks, while the agent copies text from them."""
    log = tmp_path / "log.jsonl"
    result = debugger.session(target("unmapped", cc=cc, opt=opt), ["gibbon wrap echo -quiet", "gibbon log -save %s -format jsonl -follow on" % log, "run", "gibbon log -follow off", "gibbon list"], args=["changing", "60000"])
    assert result.out == "59999\n" and "SIG" not in result.text, result.text
    calls = jsonl(log)
    assert [c["arguments"]["n"] for c in calls] == list(range(60000))
    texts = {c["arguments"]["t"] for c in calls}
    # Both were met: the page with its text, and the page that cannot be read.
    assert "ggggg" in texts and any(str(t).startswith("0x") for t in texts), sorted(map(str, texts))[:20]
    for text in (c["arguments"]["s"] for c in calls):
        assert text.startswith("0x") or set(text) <= set("g"), text


def test_a_million_bad_pointers(debugger, target, tmp_path):
    log = tmp_path / "log.jsonl"
    result = debugger.session(target("unmapped", opt="-O2"), ["gibbon wrap echo -quiet", "gibbon log -save %s -format jsonl -follow on" % log, "run", "gibbon log -follow off"], args=["bad", "1000000"], timeout=180)
    assert result.out == "999999\n" and "SIG" not in result.text and "lost" not in result.text, result.text
    count = 0
    seen = set()
    for count, call in enumerate(jsonl(log), 1):
        assert call["arguments"]["n"] == call["result"] == count - 1
        seen.add(call["arguments"]["s"])
    assert count == 1000000 and None in seen and "p" in seen and "0xffffffffffffffff" in seen and "0x800000000000" in seen, seen
