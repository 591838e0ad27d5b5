/* Handlers for any function: each leaves the program's own output as it would be without them. Compiled into a program that is
 * patched. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "gibbon/package.h"

#ifdef __cplusplus
#define HANDLER extern "C" __attribute__((noinline))
#else
#define HANDLER __attribute__((noinline))
#endif
HANDLER void handle_once(struct gibbon_call *call);
HANDLER void handle_rewrite(struct gibbon_call *call);
HANDLER void handle_wrong(struct gibbon_call *call);

static volatile unsigned char sink[512];

/* Every vector and argument register, and the stack below. */
static void scribble(void)
{
    volatile char below[4096];
    memset((void *)below, 0x5a, sizeof below);
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n movdqa %%xmm0, %%xmm1\n movdqa %%xmm0, %%xmm2\n movdqa %%xmm0, %%xmm3\n"
                     "movdqa %%xmm0, %%xmm4\n movdqa %%xmm0, %%xmm5\n movdqa %%xmm0, %%xmm6\n movdqa %%xmm0, %%xmm7\n"
                     "movdqa %%xmm0, %%xmm8\n movdqa %%xmm0, %%xmm15\n mov $-1, %%r8\n mov $-1, %%r9\n mov $-1, %%r10\n mov $-1, %%r11"
                     :
                     :
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm15", "r8", "r9", "r10", "r11");
}

HANDLER void handle_once(struct gibbon_call *call)
{
    scribble();
    gibbon_call_original(call);
    scribble();
    errno = ENOTTY; /* nobody sees it */
}

/* Each argument is read and written again; the original is called with others in between, and its first result is thrown away. */
HANDLER void handle_rewrite(struct gibbon_call *call)
{
    unsigned count = gibbon_argument_count(call);
    unsigned char *kept[64] = {NULL};
    for (unsigned i = 0; i < count && i < 64; i++) {
        size_t size = gibbon_argument_type(call, i)->size;
        kept[i] = (unsigned char *)malloc(size + 1);
        memcpy(kept[i], gibbon_argument(call, i), size);
    }
    gibbon_call_original(call);
    size_t size = gibbon_result_type(call)->size;
    for (size_t i = 0; i < size && i < sizeof sink; i++)
        sink[i] = ((unsigned char *)gibbon_result(call))[i];
    if (size)
        memset(gibbon_result(call), 0xa5, size);
    for (unsigned i = 0; i < count && i < 64; i++) {
        memcpy(gibbon_argument(call, i), kept[i], gibbon_argument_type(call, i)->size);
        free(kept[i]);
    }
    scribble();
    gibbon_call_original(call);
}

/* To see that the others are looked at: one bit of each argument is wrong. */
HANDLER void handle_wrong(struct gibbon_call *call)
{
    for (unsigned i = 0; i < gibbon_argument_count(call); i++)
        if (gibbon_argument_type(call, i)->size)
            *(unsigned char *)gibbon_argument(call, i) ^= 1;
    gibbon_call_original(call);
}
