/*
 * The relocator's front door: checks the caller's side of the contract, then hands over to the
 * instruction set.
 */
#include "gibbon/relocate.h"
#include "code/x86_64/relocator.h"

#include <stdio.h>

static int bad_argument(struct gib_error *error, int code, uint64_t address, const char *message)
{
    if (error) {
        error->code = code;
        error->address = address;
        snprintf(error->message, sizeof error->message, "%s", message);
    }
    return code;
}

int gib_relocate(const struct gib_relocation_request *request, struct gib_relocation *out,
                 struct gib_error *error)
{
    if (!request || !out || !request->code)
        return bad_argument(error, GIB_E_ARGUMENT, 0,
                            "relocation needs a request, its code and a place for the result");
    if (request->code_size == 0 || request->min_bytes == 0 ||
        request->min_bytes > X86_MAX_MIN_BYTES)
        return bad_argument(error, GIB_E_ARGUMENT, request->from,
                            "relocation needs code of at least one byte, and 1 to 1024 bytes to "
                            "displace");
    /* Offsets are compared as addresses: a function may not wrap around the address space. */
    if (request->from + request->code_size < request->from ||
        request->to + sizeof out->code < request->to)
        return bad_argument(error, GIB_E_ARGUMENT, request->from,
                            "the code or its copy would wrap around the end of the address space");

    switch (request->arch) {
    case GIB_ARCH_X86_64:
        return gib_x86_64_relocate(request, out, error);
    case GIB_ARCH_AARCH64:
        return bad_argument(error, GIB_E_UNSUPPORTED, request->from,
                            "relocating AArch64 code is not supported yet");
    }
    return bad_argument(error, GIB_E_ARGUMENT, request->from,
                        "relocation knows no such instruction set");
}
