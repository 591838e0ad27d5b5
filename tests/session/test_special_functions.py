"""Functions that no ordinary wrapper could be put around: setjmp, vfork, clone, contexts, the loader's, signal handlers, the end of a process."""
import re

import pytest
from transparent import COMPILERS, SIGNALS, same

FAMILIES = {
    "setjmp": "_setjmp __sigsetjmp longjmp siglongjmp leap deep",
    "processes": "vfork clone fork posix_spawn posix_spawnp system popen pclose waitpid vforked cloned",
    "ends": "_exit exit quick_exit abort execve execl execlp execvpe raise kill pthread_kill",
    "contexts": "getcontext setcontext swapcontext makecontext coroutine",
    "loader": "dlopen dlmopen dlsym dlvsym dlerror dlclose dladdr dladdr1 dl_iterate_phdr",
    "signals": "patched_by_both handler informed timer hammer signal sigaction sigaltstack setitimer",
    "threads": "thread_start key_destructor pthread_create pthread_join pthread_setspecific pthread_key_create",
    "starts": "main constructor destructor at_exit on_exit_of __libc_start_main _start _init",
    "callbacks": "qsort compare forks impl_one choose others",
    "memory": "malloc free calloc memcpy memset strlen mmap",
}


@pytest.fixture
def special(target):
    def make(**how):
        return target("special", flags=["-rdynamic", "-w"], **how), target("libspecial", shared=True)
    return make


@pytest.mark.parametrize("family", FAMILIES)
def test_family(debugger, special, family):
    program, library = special(opt="-O1")
    same(debugger, program, [FAMILIES[family] + " -quiet -pending"], args=[library], before=["starti", SIGNALS], after=["continue"], called=False)


@pytest.mark.parametrize("cc,opt", COMPILERS)
def test_all_of_the_program(debugger, special, cc, opt):
    program, library = special(cc=cc, opt=opt)
    same(debugger, program, ["special!* -quiet"], args=[library], before=["starti", SIGNALS], after=["continue"])


@pytest.mark.parametrize("what", ["libc.so.6!*", "ld-linux-x86-64.so.2!*", "*!*"])
@pytest.mark.parametrize("option", ["-quiet", "-count", "-backtrace 4 -quiet"])
def test_all_of_libraries(debugger, special, what, option):
    """Every function of libc and of the loader, while they start the program, too."""
    program, library = special(opt="-O1")
    same(debugger, program, ["%s %s -pending" % (what, option)], args=[library], before=["starti", SIGNALS], after=["continue"], timeout=120)


def test_all_of_libraries_later(debugger, special):
    program, library = special(opt="-O1")
    same(debugger, program, ["*!* -quiet"], args=[library], before=["break main", "run", SIGNALS, ("delete", "breakpoint delete -f")], after=["continue"], timeout=120)


@pytest.mark.parametrize("what", ["special!* -quiet", "*!* -count"])
def test_static_program(debugger, target, what):
    program = target("special", static=True, opt="-O1", flags=["-w"])
    same(debugger, program, [what], before=["starti", SIGNALS], after=["continue"], timeout=120)


REFUSED = r"\w+ is at 0x[0-9a-f]+, in no file: in the kernel's vDSO, or in code made while the program runs; only functions of files can be patched\."


def test_functions_in_the_vdso(debugger, special):
    """Their IFUNCs choose code of the kernel's: refused in one sentence."""
    program, library = special(opt="-O1")
    result = same(debugger, program, ["clock_gettime -quiet"], args=[library], before=["break vforked", "run", SIGNALS],
                  after=["!gibbon wrap time", "!gibbon wrap gettimeofday", "!gibbon wrap *vdso", ("delete", "breakpoint delete -f"), "continue"], called=False)
    assert all(re.search("^(error: )?%s$" % REFUSED, result[step], re.M) for step in (4, 5)), result.text
    assert "No file is mapped at 0x" in result[6]
    assert int(re.search(r"^\d +(\d+) +\d+ .*  clock_gettime", result.text, re.M).group(1)) >= 1


def test_asking_an_ifunc_changes_no_register(debugger, target):
    """What it would choose is asked by a call, at any instruction: vector registers are in use there."""
    program = target("vectors", opt="-O1")
    for location in "!gibbon wrap gettimeofday", "!gibbon explain time", "gibbon wrap libc.so.6!mem* libc.so.6!str* -quiet", "!gibbon wrap libc.so.6!*time*":
        result = debugger.session(program, ["break between", "run", location, "continue"])
        assert result.out == "the same, 3.142 1.443\n", (location, result.text)


def test_vdso_ifuncs_at_start(debugger, special):
    """GDB 13 once died of two of them."""
    program, library = special(opt="-O1")
    result = same(debugger, program, ["time gettimeofday -quiet -pending"], args=[library], before=["starti", SIGNALS], after=["continue"], called=False)
    assert len(re.findall(r"^gibbon: patch \d \((?:time|gettimeofday)\): %s$" % REFUSED, result.text, re.M)) == 2, result.text


OPERATORS = ["operator new(unsigned long)", "operator new[](unsigned long)", "operator delete(void*)", "operator delete(void*, unsigned long)", "operator delete[](void*)", "operator new(unsigned long, std::align_val_t)",
             "operator new(unsigned long, std::nothrow_t const&)"]


def test_new_and_delete(debugger, target):
    """All forms of libstdc++; virtual functions, destructors."""
    program = target("exceptions.cc", flags=["-w"])
    same(debugger, program, ["'libstdc++.so.6!%s' -quiet" % name for name in OPERATORS] + ["Shape::area Square::area Guard::~Guard Shape::~Shape -quiet"], called=False)
