/*
 * handler.c: one C function for calls of any type.
 *
 *   thunk -> stub -> libffi's closure -> gib_handle -> the user's handler
 *                                                          -> gib_call_original -> ffi_call ->
 * original
 *
 * The stub (code/x86_64/handler.c) makes a frame and calls the closure, so that the saved frame
 * pointer and the return address are the first argument in memory: to libffi they are one more
 * parameter, of 16 bytes. All other values are copied into an area of this function's stack.
 * Nothing is kept elsewhere: handlers may be entered again, on any thread, and left by longjmp or
 * an exception.
 */
#include "agent.h"

#include <ffi.h>
#define GIBBON_NO_FUNCTIONS
#include "gibbon/package.h"

/* What gib_call_original needs of the call. */
struct running {
    const struct gib_handler *handler;
    char *area;
};

void gib_handle(ffi_cif *cif, void *result, void **arguments, void *closure);
void gib_call_original(struct gibbon_call *call);

static int32_t *errno_here(const struct gib_handler *handler)
{
    const struct gib_shared *shared = (const struct gib_shared *)handler->shared;
    int32_t *(*location)(void) = (int32_t * (*)(void)) shared->errno_location;
    return location ? location() : NULL;
}

static const struct gib_handler_argument *arguments_of(const struct gib_handler *handler)
{
    return (const void *)((const char *)handler + handler->argument_table);
}

static void copy_words(void *to, const void *from, uint32_t size)
{
    uint64_t *out = to;
    const uint64_t *in = from;
    for (uint32_t i = 0; i < size / 8; i++)
        out[i] = in[i];
}

static void clear(void *to, uint64_t size)
{
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(0) : "memory");
}

/* The call is another handler's, of what is below it: its frames have no fixed form. */
static __attribute__((noinline)) uint64_t find_handler(struct gib_shared *shared,
                                                       const uint64_t *link)
{
    struct gib_thread nobody = {0};
    struct gib_view view;
    uint64_t caller = 0;
    bool cut;
    gib_view_open(&view, shared, &nobody, (uint64_t)link);
    gib_backtrace(&view,
                  (const struct gib_frame *)((const char *)link - offsetof(struct gib_frame, rbp)),
                  &caller, 1, &cut);
    return caller;
}

/* Where the call comes from; thunks on the way called the stub, or each other. */
static uint64_t find_caller(struct gib_shared *shared, const uint64_t *link)
{
    while (gib_arena_of(shared, link[1])) {
        if (gib_in_agent(shared, link[1]))
            return find_handler(shared, link);
        link = (const uint64_t *)link[0];
    }
    return link[1];
}

static void *area_of_result(const struct gib_handler *handler, char *area, uint64_t memory)
{
    switch (handler->result) {
    case GIB_HANDLER_VALUE:
        return area;
    case GIB_HANDLER_MEMORY:
        return (void *)memory;
    default:
        return NULL;
    }
}

void gib_handle(ffi_cif *cif, void *result, void **arguments, void *closure)
{
    const struct gib_handler *handler = closure;
    const struct gib_handler_argument *argument = arguments_of(handler);
    const struct gib_handler_parameter *parameter =
        (const void *)((const char *)handler + handler->parameter_table);
    char *area = __builtin_alloca_with_align(handler->area, 128);
    void **values = (void **)(area + handler->values);
    for (uint32_t i = 0; i < handler->arguments; i++)
        copy_words(area + argument[i].at, arguments[i + 1], argument[i].size);
    for (uint32_t i = 0; i < handler->parameters; i++) {
        values[i] = area + parameter[i].at;
        if (parameter[i].indirect)
            values[i] = *(void **)values[i];
    }
    uint64_t memory =
        handler->result == GIB_HANDLER_MEMORY ? *(uint64_t *)(area + argument[0].at) : 0;
    clear(area, GIB_HANDLER_RESULT);
    if (memory)
        clear((void *)memory, handler->result_size);
    int32_t *error = errno_here(handler);
    struct running running = {handler, area};
    struct gibbon_call call = {
        .size = sizeof call,
        .version = GIBBON_PACKAGE_VERSION,
        .interface = (const struct gibbon_call_interface *)handler->interface,
        .signature = (const struct gibbon_signature *)handler->signature,
        .values = values,
        .instance = handler->instance ? *(void **)(area + handler->instance) : NULL,
        .caller = (const void *)find_caller((struct gib_shared *)handler->shared, arguments[0]),
        .result = area_of_result(handler, area, memory),
        .error = error ? *error : 0,
        .engine = &running,
    };
    ((void (*)(struct gibbon_call *))handler->code)(&call);
    if (error)
        *errno_here(handler) = call.error;
    if (memory)
        *(uint64_t *)result = memory;
    else if (handler->result == GIB_HANDLER_VALUE)
        copy_words(result, area + handler->result_shift,
                   GIB_HANDLER_RESULT - handler->result_shift);
}

void gib_call_original(struct gibbon_call *call)
{
    const struct running *running = call->engine;
    const struct gib_handler *handler = running->handler;
    uint64_t ignored[GIB_HANDLER_RESULT / 8];
    void *result = handler->result == GIB_HANDLER_VALUE ? running->area + handler->result_shift
                                                        : (void *)ignored;
    void **pointers = (void **)(running->area + handler->pointers);
    for (uint32_t i = 0; i < handler->arguments; i++) /* ffi_call leaves others there */
        pointers[i] = running->area + arguments_of(handler)[i].at;
    int32_t *error = errno_here(handler);
    if (error)
        *error = call->error;
    ffi_call((ffi_cif *)handler->cif, (void (*)(void))handler->original, result, pointers);
    if ((error = errno_here(handler)))
        call->error = *error;
}

/* ---- what libffi's objects call ---- */

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *out = to;
    __asm__ volatile("rep movsb" : "+D"(out), "+S"(from), "+c"(size) : : "memory");
    return to;
}

/* For a damaged call interface or stack only. */
/* clang calls it for what is initialised to zero. */
void *memset(void *to, int value, size_t size);
void *memset(void *to, int value, size_t size)
{
    void *result = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
    return result;
}
void abort(void) __attribute__((noreturn));
void abort(void)
{
    __builtin_trap();
}
void __stack_chk_fail(void) __attribute__((noreturn));
void __stack_chk_fail(void)
{
    __builtin_trap();
}
