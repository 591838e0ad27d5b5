/*
 * stop.c: `gibbon stop`.
 *
 * The trap is the debugger's own: it has a breakpoint on each of two pads here. Where nobody has
 * one, the pads only lead on. Still nobody goes there without a tracer: one that was killed leaves
 * its trap behind, and a forked child may have inherited it.
 *
 * A call that was stopped goes on through its thunk once more, whatever way the thread is resumed,
 * and perhaps after other calls of the same function that the user has made at the prompt. So that
 * it is neither stopped nor counted again, it finds a pass on its stack, in a place that belongs to
 * this one call: the end of the red zone below its return address.
 */
#include "agent.h"

void gib_stop_pad(void);
void gib_stop_return_pad(void);

/* The first instruction is where the breakpoint is; the second, where a debugger that tells of
 * threads by their steps lets them wait for each other. */
__asm__(".pushsection .text\n"
        ".balign 16\n"
        ".globl gib_stop_pad, gib_stop_return_pad\n"
        ".hidden gib_stop_pad, gib_stop_return_pad\n"
        ".type gib_stop_pad, @function\n"
        "gib_stop_pad:\n"
        "    .cfi_startproc\n"
        "    nop\n"
        "    nop\n"
        "    jmp *-8(%rsp)\n" /* GIB_STOP_THUNK */
        "    .cfi_endproc\n"
        ".size gib_stop_pad, . - gib_stop_pad\n"
        ".balign 16\n"
        ".type gib_stop_return_pad, @function\n"
        "gib_stop_return_pad:\n"
        "    .cfi_startproc\n"
        "    nop\n"
        "    nop\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size gib_stop_return_pad, . - gib_stop_return_pad\n"
        ".popsection\n");
_Static_assert(GIB_STOP_THUNK == 8, "gib_stop_pad");
_Static_assert(offsetof(struct gib_frame, caller) - offsetof(struct gib_frame, undecided) == 128,
               "the red zone");
_Static_assert(offsetof(struct gib_frame, caller) - offsetof(struct gib_frame, stop) ==
                   GIB_STOP_WORD,
               "struct gib_frame: the word that the debugger looks at");

static uint64_t pass_of(const struct gib_frame *frame, const struct gib_site *site)
{
    return gib_stop_pass((uint64_t)frame, (uint64_t)site);
}

bool gib_stop_passes(struct gib_frame *frame, const struct gib_site *site)
{
    bool passes = frame->undecided == pass_of(frame, site);
    frame->undecided = frame->stop = 0;
    return passes;
}

/* "TracerPid:\t1234\n" among the lines of the file; false as well when it cannot be read. */
static bool is_traced(void)
{
    enum { AT_FDCWD = -100, O_CLOEXEC = 02000000, EINTR = 4 };
    static const char path[] = "/proc/thread-self/status", name[] = "\nTracerPid:\t";
    char text[512];
    long file, size;
    do
        file = gib_syscall(GIB_SYS_OPENAT, AT_FDCWD, (long)path, O_CLOEXEC, 0);
    while (file == -EINTR);
    if (file < 0)
        return false;
    size = gib_syscall(GIB_SYS_READ, file, (long)text, sizeof text, 0);
    gib_syscall(GIB_SYS_CLOSE, file, 0, 0, 0);
    const long length = sizeof name - 1;
    for (long i = 0; i + length < size; i++) {
        long k = 0;
        while (k < length && text[i + k] == name[k])
            k++;
        if (k == length)
            return text[i + k] != '0';
    }
    return false;
}

bool gib_stop_call(struct gib_frame *frame, const struct gib_site *site, uint32_t actions)
{
    if (gib_likely(!actions) || !is_traced())
        return false;
    frame->stop = gib_stop_word(site->index, actions);
    frame->undecided = pass_of(frame, site);
    return true;
}

void gib_stop_return(struct gib_frame *frame, const struct gib_site *site, uint32_t actions,
                     int32_t code)
{
    frame->position = (uint64_t)code; /* there is no record that has one */
    frame->stop = actions && is_traced() ? gib_stop_word(site->index, actions) : 0;
}
