/*
 * handler.c: one function's calls as libffi sees them.
 *
 *   struct gib_handler | tables | ffi_cif of the closure | of the original | ffi_types |
 *   struct gibbon_signature | gibbon_call_interface | texts | stub
 *
 * libffi classifies structures by the types of their members, each on its natural boundary: unions,
 * bit-fields, packed and empty ones are beyond it. Their classes are known here (struct gib_type),
 * so those in registers are given to it as one or two scalars, and those in memory as a structure
 * of their size that it will put there.
 */
#include "code/x86_64/handler.h"

#include <ffi.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/layout.h"
#include "elf/buffer.h"
#include "gibbon/package.h"

enum { FRAME = 16, MOST = 64 << 10 };

/* One argument as libffi takes it. */
struct argument {
    const ffi_type *scalar; /* NULL: in memory */
    uint32_t size, align;   /* of one in memory */
    uint32_t at;            /* in the area */
};

struct plan {
    const struct gib_handler_request *request;
    struct gib_handler handler;
    struct argument *argument;
    struct gib_handler_parameter *parameter;
    struct gib_parameter *shown; /* of the signature; borrowed */
    uint32_t gprs, xmms;         /* taken */
    uint32_t area;
    const ffi_type *result; /* NULL: a pair */
    const ffi_type *pair[2];
};

__attribute__((format(printf, 2, 3))) static int refuse(struct gib_error *error, const char *format,
                                                        ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (error) {
        error->code = GIB_E_CALL;
        error->address = 0;
        vsnprintf(error->message, sizeof error->message, format, arguments);
    }
    va_end(arguments);
    return GIB_E_CALL;
}

static const char *text_of(const struct gib_type *type)
{
    static const char *const texts[] = {
        [GIB_TYPE_VOID] = "void",      [GIB_TYPE_BOOL] = "_Bool",
        [GIB_TYPE_CHAR] = "char",      [GIB_TYPE_INT] = "integer",
        [GIB_TYPE_FLOAT] = "floating", [GIB_TYPE_COMPLEX] = "_Complex",
        [GIB_TYPE_ENUM] = "enum",      [GIB_TYPE_STRING] = "char *",
        [GIB_TYPE_POINTER] = "void *", [GIB_TYPE_RECORD] = "struct",
        [GIB_TYPE_VECTOR] = "vector",
    };
    return type->name ? type->name : texts[type->kind];
}

/* Why a value of this type cannot be passed on, without its end; NULL: it can. */
static const char *obstacle(const struct gib_type *type)
{
    if (type->kind == GIB_TYPE_VOID || type->indirect)
        return type->indirect && !type->size ? "has a size that is not known" : NULL;
    if (type->kind == GIB_TYPE_VECTOR || type->eightbyte[1] == GIB_CLASS_SSEUP ||
        (type->size > 16 && type->eightbyte[0] == GIB_CLASS_SSE))
        return "is in a vector register, which handlers do not support";
    if (!type->known_layout)
        return "has a layout that is not known";
    return type->align > 16 ? "is aligned to more than 16 bytes" : NULL;
}

static bool in_memory(const struct gib_type *type)
{
    return type->eightbyte[0] == GIB_CLASS_MEMORY || type->eightbyte[0] == GIB_CLASS_X87 ||
           type->size > 16;
}

static const ffi_type *integer(uint32_t size, bool is_signed)
{
    switch (size) {
    case 1:
        return is_signed ? &ffi_type_sint8 : &ffi_type_uint8;
    case 2:
        return is_signed ? &ffi_type_sint16 : &ffi_type_uint16;
    case 4:
        return is_signed ? &ffi_type_sint32 : &ffi_type_uint32;
    default:
        return &ffi_type_uint64;
    }
}

/* The type of eightbyte `i`, as of a value alone or of a part of one. */
static const ffi_type *eightbyte(const struct gib_type *type, int i)
{
    bool alone = type->kind != GIB_TYPE_RECORD && type->size <= 8;
    if (type->eightbyte[i] == GIB_CLASS_SSE)
        return alone && type->size == 4 && type->kind == GIB_TYPE_FLOAT ? &ffi_type_float
                                                                        : &ffi_type_double;
    return alone ? integer(type->size, type->is_signed) : &ffi_type_uint64;
}

/* ---- arguments ---- */

static uint32_t take_room(struct plan *plan, uint32_t size)
{
    uint32_t at = plan->area;
    plan->area += (size + 15) & ~15u;
    return at;
}

static void add_scalar(struct plan *plan, const ffi_type *type, uint32_t at)
{
    plan->argument[plan->handler.arguments++] = (struct argument){.scalar = type, .at = at};
}

static void add_pointer(struct plan *plan, uint32_t at)
{
    add_scalar(plan, &ffi_type_pointer, at);
    plan->gprs++;
}

/* Its value's place in the area is returned. */
static uint32_t add_argument(struct plan *plan, const struct gib_type *type)
{
    uint32_t gprs = 0, xmms = 0;
    if (type->indirect) {
        uint32_t at = take_room(plan, 8);
        add_pointer(plan, at);
        return at;
    }
    uint32_t at = take_room(plan, type->size);
    for (int i = 0; i < 2; i++) {
        gprs += type->eightbyte[i] == GIB_CLASS_INTEGER;
        xmms += type->eightbyte[i] == GIB_CLASS_SSE;
    }
    bool whole = type->kind == GIB_TYPE_RECORD || type->size > 8; /* all in registers, or nothing */
    bool full = (gprs && plan->gprs + gprs > 6) || (xmms && plan->xmms + xmms > 8);
    if (in_memory(type) || (whole && full)) {
        uint32_t align = type->align > 8 ? type->align : 8;
        plan->argument[plan->handler.arguments++] =
            (struct argument){.size = type->size, .align = align, .at = at};
        return at;
    }
    for (int i = 0; i < 2; i++)
        if (type->eightbyte[i] != GIB_CLASS_NONE) /* an empty one takes no place */
            add_scalar(plan, eightbyte(type, i), at + 8 * (uint32_t)i);
    plan->gprs += gprs;
    plan->xmms += xmms;
    return at;
}

/* clang before 18 splits an __int128 between the last register and the stack, and aligns one on the
 * stack to 8 bytes. */
static bool straddles(const struct plan *plan, const struct gib_type *type)
{
    return type->kind == GIB_TYPE_INT && type->size > 8 && plan->gprs > 4;
}

static int plan_arguments(struct plan *plan, struct gib_error *error)
{
    const struct gib_prototype *prototype = plan->request->prototype;
    static const struct gib_type mode = {.kind = GIB_TYPE_INT,
                                         .size = 4,
                                         .align = 4,
                                         .known_layout = true,
                                         .eightbyte = {GIB_CLASS_INTEGER, GIB_CLASS_NONE},
                                         .name = "mode_t"};
    uint64_t total = 0;
    for (size_t i = 0; i < prototype->parameter_count; i++) {
        const struct gib_parameter *parameter = &prototype->parameters[i];
        const char *why = obstacle(&parameter->type);
        total += parameter->type.size;
        if (!why && total > MOST)
            why = "is too large";
        if (!why && straddles(plan, &parameter->type))
            why = "is not in registers, where compilers disagree";
        if (why)
            return refuse(error, "its parameter %zu, %.60s%s%.30s, %s", i + 1,
                          text_of(&parameter->type), parameter->name ? " " : "",
                          parameter->name ? parameter->name : "", why);
        uint32_t at = add_argument(plan, &parameter->type);
        if (i == 0 && plan->request->method) {
            plan->handler.instance = at;
            continue;
        }
        plan->shown[plan->handler.parameters] = *parameter;
        plan->parameter[plan->handler.parameters++] =
            (struct gib_handler_parameter){at, parameter->type.indirect};
    }
    if (prototype->variadic == GIB_VARIADIC_OPEN) {
        plan->shown[plan->handler.parameters] =
            (struct gib_parameter){.name = (char *)"mode", .type = mode};
        plan->parameter[plan->handler.parameters++] =
            (struct gib_handler_parameter){add_argument(plan, &mode), 0};
    } else if (prototype->variadic != GIB_VARIADIC_NO) {
        return refuse(error, "it takes a variable number of arguments; -prototype can give those "
                             "that it is called with");
    }
    return 0;
}

/* ---- the result ---- */

static int plan_result(struct plan *plan, struct gib_error *error)
{
    const struct gib_type *type = &plan->request->prototype->result;
    struct gib_handler *handler = &plan->handler;
    const char *why = obstacle(type);
    if (why)
        return refuse(error, "its result, %.60s, %s", text_of(type), why);
    handler->result_size = type->kind == GIB_TYPE_VOID ? 0 : type->size;
    plan->area = GIB_HANDLER_RESULT;
    plan->result = &ffi_type_void;
    if (!handler->result_size) {
        handler->result = GIB_HANDLER_VOID;
        return 0;
    }
    if (type->indirect || type->eightbyte[0] == GIB_CLASS_MEMORY) {
        handler->result = GIB_HANDLER_MEMORY;
        plan->result = &ffi_type_pointer;
        add_pointer(plan, take_room(plan, 8));
        return 0;
    }
    handler->result = GIB_HANDLER_VALUE;
    if (type->eightbyte[0] == GIB_CLASS_X87) {
        plan->result = type->eightbyte[1] == GIB_CLASS_X87 ? &ffi_type_complex_longdouble
                                                           : &ffi_type_longdouble;
    } else if (type->eightbyte[0] == GIB_CLASS_NONE && type->eightbyte[1] != GIB_CLASS_NONE) {
        handler->result_shift = 8;
        plan->result = eightbyte(type, 1);
    } else if (type->eightbyte[1] != GIB_CLASS_NONE) {
        plan->result = NULL;
        plan->pair[0] = eightbyte(type, 0);
        plan->pair[1] = eightbyte(type, 1);
    } else if (type->eightbyte[0] != GIB_CLASS_NONE) {
        plan->result = eightbyte(type, 0);
    }
    return 0;
}

/* ---- for libffi ---- */

/*
 * All types that one function's calls need, once with addresses of this process, for ffi_prep_cif,
 * and once with those of the target. The first argument of the closure is the stub's frame.
 */
struct types {
    ffi_cif closure, original;
    ffi_type wide; /* long double: a structure with one is passed in memory */
    ffi_type parts[2], result;
    ffi_type *in_memory[2], *in_parts[3];
};
static size_t types_size(const struct plan *plan)
{
    return sizeof(struct types) +
           (plan->handler.arguments + 1) * (sizeof(ffi_type) + sizeof(ffi_type *));
}

/* The structure at `here` for use at `there`; the same, or in the target. */
static void fill_types(const struct plan *plan, struct types *here, uint64_t there)
{
    uint32_t count = plan->handler.arguments + 1;
    ffi_type *type = (ffi_type *)(here + 1);
    ffi_type **list = (ffi_type **)(type + count);
#define THERE(place) ((void *)(there + (uint64_t)((char *)(place) - (char *)here)))
    here->wide = ffi_type_longdouble;
    here->in_memory[0] = THERE(&here->wide);
    here->in_parts[0] = THERE(&here->parts[0]);
    here->in_parts[1] = THERE(&here->parts[1]);
    if (!plan->result) {
        here->parts[0] = *plan->pair[0];
        here->parts[1] = *plan->pair[1];
        here->result = (ffi_type){16, 8, FFI_TYPE_STRUCT, THERE(here->in_parts)};
    } else {
        here->result = *plan->result;
        if (here->result.type == FFI_TYPE_COMPLEX)
            here->result.elements = THERE(here->in_memory);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct argument *a = &plan->argument[i - (i > 0)];
        if (i && a->scalar)
            type[i] = *a->scalar;
        else
            type[i] = (ffi_type){i ? a->size : FRAME, (unsigned short)(i ? a->align : FRAME),
                                 FFI_TYPE_STRUCT, THERE(here->in_memory)};
        list[i] = THERE(&type[i]);
    }
    here->closure.rtype = here->original.rtype = THERE(&here->result);
    here->closure.arg_types = THERE(list);
    here->original.arg_types = THERE(list + 1);
#undef THERE
}

static int prepare(const struct plan *plan, struct types *types)
{
    uint32_t count = plan->handler.arguments;
    fill_types(plan, types, (uint64_t)types);
    if (ffi_prep_cif(&types->closure, FFI_UNIX64, count + 1, types->closure.rtype,
                     types->closure.arg_types) != FFI_OK ||
        ffi_prep_cif(&types->original, FFI_UNIX64, count, types->original.rtype,
                     types->original.arg_types) != FFI_OK)
        return GIB_E_CALL;
    return 0;
}

/* ---- for the handler ---- */

static uint32_t class_of(const struct gib_type *type)
{
    switch (type->kind) {
    case GIB_TYPE_VOID:
        return GIBBON_TYPE_VOID;
    case GIB_TYPE_BOOL:
        return GIBBON_TYPE_BOOL;
    case GIB_TYPE_CHAR:
        return GIBBON_TYPE_CHAR;
    case GIB_TYPE_INT:
        return type->is_signed ? GIBBON_TYPE_SIGNED : GIBBON_TYPE_UNSIGNED;
    case GIB_TYPE_FLOAT:
        return GIBBON_TYPE_FLOATING;
    case GIB_TYPE_COMPLEX:
        return GIBBON_TYPE_COMPLEX;
    case GIB_TYPE_ENUM:
        return GIBBON_TYPE_ENUM;
    case GIB_TYPE_STRING:
        return GIBBON_TYPE_STRING;
    case GIB_TYPE_POINTER:
        return GIBBON_TYPE_POINTER;
    case GIB_TYPE_RECORD:
        return GIBBON_TYPE_RECORD;
    default:
        return GIBBON_TYPE_VECTOR;
    }
}

/* A blob that grows; addresses are those it will have. */
struct blob {
    struct gib_buffer buffer;
    uint64_t address;
};
static uint64_t here(const struct blob *blob)
{
    return blob->address + blob->buffer.size;
}
static void align(struct blob *blob, size_t to)
{
    while (blob->buffer.size % to && !blob->buffer.failed)
        gib_put_fixed(&blob->buffer, 0, 1);
}
static const void *put_text(struct blob *blob, const char *text)
{
    uint64_t at = text ? here(blob) : 0;
    if (text)
        gib_put_text(&blob->buffer, text);
    return (const void *)at;
}
static uint64_t put_block(struct blob *blob, const void *bytes, size_t size)
{
    align(blob, 16);
    uint64_t at = here(blob);
    gib_put(&blob->buffer, bytes, size);
    return at;
}

static struct gibbon_type put_type(struct blob *blob, const struct gib_type *type)
{
    return (struct gibbon_type){class_of(type), type->kind == GIB_TYPE_VOID ? 0 : type->size,
                                put_text(blob, text_of(type))};
}

static uint64_t put_signature(struct blob *blob, const struct plan *plan)
{
    struct gibbon_parameter *parameter = calloc(plan->handler.parameters + 1, sizeof *parameter);
    if (!parameter) {
        blob->buffer.failed = true;
        return 0;
    }
    for (uint32_t i = 0; i < plan->handler.parameters; i++) {
        parameter[i].name = put_text(blob, plan->shown[i].name);
        parameter[i].type = put_type(blob, &plan->shown[i].type);
    }
    struct gibbon_signature signature = {
        .size = sizeof signature,
        .version = GIBBON_PACKAGE_VERSION,
        .function = put_text(blob, plan->request->function),
        .module = put_text(blob, plan->request->module),
        .result = put_type(blob, &plan->request->prototype->result),
        .parameter_size = sizeof *parameter,
        .parameter_count = plan->handler.parameters,
    };
    signature.parameters = (const struct gibbon_parameter *)put_block(
        blob, parameter, plan->handler.parameters * sizeof *parameter);
    free(parameter);
    return put_block(blob, &signature, sizeof signature);
}

/* ---- all of it ---- */

/*
 *  55                     push rbp
 *  48 89 e5               mov rbp, rsp
 *  49 ba imm64            mov r10, closure        libffi's static chain
 *  49 bb imm64            mov r11, code
 *  41 ff d3               call r11
 *  5d                     pop rbp
 *  c3                     ret
 *
 * What was pushed, and the return address above it, is the closure's first argument in memory.
 */
static void put_stub(struct blob *blob, uint64_t closure, uint64_t code)
{
    static const uint8_t frame[] = {0x55, 0x48, 0x89, 0xe5},
                         call[] = {0x41, 0xff, 0xd3, 0x5d, 0xc3};
    static const uint8_t r10[] = {0x49, 0xba}, r11[] = {0x49, 0xbb};
    gib_put(&blob->buffer, frame, sizeof frame);
    gib_put(&blob->buffer, r10, sizeof r10);
    gib_put_fixed(&blob->buffer, closure, 8);
    gib_put(&blob->buffer, r11, sizeof r11);
    gib_put_fixed(&blob->buffer, code, 8);
    gib_put(&blob->buffer, call, sizeof call);
}

static uint32_t words_of(const struct argument *a)
{
    return (uint32_t)((a->scalar ? a->scalar->size : a->size) + 7) & ~7u;
}

/* libffi knows which of its two entries a closure needs. */
static bool uses_sse(const ffi_cif *cif)
{
    ffi_go_closure with = {NULL, NULL, NULL}, without = {NULL, NULL, NULL};
    ffi_cif none;
    if (ffi_prep_cif(&none, FFI_UNIX64, 0, &ffi_type_void, NULL) != FFI_OK)
        return true;
    ffi_prep_go_closure(&with, (ffi_cif *)(uintptr_t)cif, NULL);
    ffi_prep_go_closure(&without, &none, NULL);
    return with.tramp != without.tramp;
}

static void write_blob(struct blob *blob, struct plan *plan, struct types *types)
{
    const struct gib_handler_request *r = plan->request;
    struct gib_handler *handler = &plan->handler;
    uint64_t code = uses_sse(&types->closure) ? r->go_closure_sse : r->go_closure;
    gib_put(&blob->buffer, handler, sizeof *handler); /* again when it is complete */
    handler->argument_table = (uint32_t)blob->buffer.size;
    for (uint32_t i = 0; i < handler->arguments; i++) {
        struct gib_handler_argument a = {plan->argument[i].at, words_of(&plan->argument[i])};
        gib_put(&blob->buffer, &a, sizeof a);
    }
    handler->parameter_table = (uint32_t)blob->buffer.size;
    gib_put(&blob->buffer, plan->parameter, handler->parameters * sizeof *plan->parameter);
    align(blob, 16);
    uint64_t at = here(blob);
    fill_types(plan, types, at);
    put_block(blob, types, types_size(plan));
    handler->cif = at + offsetof(struct types, original);
    handler->closure[0] = code;
    handler->closure[1] = at + offsetof(struct types, closure);
    handler->closure[2] = r->handle;
    handler->signature = put_signature(blob, plan);
    struct gibbon_call_interface interface = {sizeof interface, GIBBON_PACKAGE_VERSION,
                                              (void (*)(struct gibbon_call *))r->call_original};
    handler->interface = put_block(blob, &interface, sizeof interface);
    align(blob, 16);
    if (!blob->buffer.failed)
        memcpy(blob->buffer.bytes, handler, sizeof *handler);
    put_stub(blob, blob->address, code);
}

static int make(struct plan *plan, struct gib_handler_code *out, struct gib_error *error)
{
    int failed = plan_result(plan, error);
    if (failed || (failed = plan_arguments(plan, error)))
        return failed;
    struct gib_handler *handler = &plan->handler;
    const struct gib_handler_request *r = plan->request;
    handler->values = plan->area;
    handler->pointers = handler->values + 8 * handler->parameters;
    handler->area = (handler->pointers + 8 * handler->arguments + 15) & ~15u;
    handler->shared = r->shared;
    handler->original = r->original;
    handler->code = r->handler;
    struct types *types = calloc(1, types_size(plan));
    struct blob blob = {.address = r->address};
    if (types && prepare(plan, types)) {
        free(types);
        return refuse(error, "libffi does not support a parameter or its result");
    }
    if (types)
        write_blob(&blob, plan, types);
    if (!types || blob.buffer.failed) {
        free(types);
        gib_buffer_free(&blob.buffer);
        if (error)
            *error = (struct gib_error){.code = GIB_E_MEMORY};
        return GIB_E_MEMORY;
    }
    free(types);
    out->bytes = blob.buffer.bytes;
    out->size = blob.buffer.size;
    out->stub_size = 4 + 10 + 10 + 5;
    out->stub = out->size - out->stub_size;
    return 0;
}

int gib_handler_make(const struct gib_handler_request *request, struct gib_handler_code *out,
                     struct gib_error *error)
{
    size_t parameters = request->prototype->parameter_count + 1; /* an open's mode */
    struct plan plan = {
        .request = request,
        .argument = calloc(2 * parameters + 1, sizeof *plan.argument),
        .parameter = calloc(parameters, sizeof *plan.parameter),
        .shown = calloc(parameters, sizeof *plan.shown),
    };
    int failed;
    if (plan.argument && plan.parameter && plan.shown) {
        failed = make(&plan, out, error);
    } else {
        failed = GIB_E_MEMORY;
        if (error)
            *error = (struct gib_error){.code = GIB_E_MEMORY};
    }
    free(plan.argument);
    free(plan.parameter);
    free(plan.shown);
    return failed;
}
