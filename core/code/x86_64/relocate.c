/*
 * gib_relocate for x86-64.
 */
#include "code/x86_64/relocator.h"

int gib_x86_64_relocate(const struct gib_relocation_request *request, struct gib_relocation *out,
                        struct gib_error *error)
{
    struct x86_function function = {
        .bytes = request->code,
        .size = request->code_size,
        .address = request->from,
        .copy_address = request->to,
        .error = error,
    };
    struct x86_window window;
    struct gib_relocation copy = {0};

    if (!ZYAN_SUCCESS(
            ZydisDecoderInit(&function.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
        return gib_x86_refuse(&function, 0, GIB_E_UNSUPPORTED,
                              "this Zydis library cannot decode x86-64");
    int code = gib_x86_choose_window(&function, request->min_bytes, &window);
    if (!code)
        code = gib_x86_emit_copy(&function, &window, &copy);
    if (!code)
        *out = copy;
    return code;
}
