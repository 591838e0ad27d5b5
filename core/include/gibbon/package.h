/*
 * gibbon/package.h: what a package is written with.
 *
 * A package is C code (or C++ without constructors and libstdc++) that patches functions of the
 * program being debugged. This header is all it needs: nothing is linked, nothing of it runs
 * before the patched function is called. docs/packages.md is the guide. One line compiles it:
 *
 *     cc -shared -fPIC -I INCLUDE package.c -o package.so
 *
 * Each macro stands at file scope and ends with a semicolon. MODULE is a string, the module's name
 * as debuggers show it: "libc.so.6"; "" is the program itself.
 *
 *     GIBBON_WRAP(module, function, wrapper);      calls of function run wrapper
 *     GIBBON_REPLACE(module, function, with);      the same, for code that does another's work
 *     GIBBON_MOCK(module, function, value);        function is not called; it returns value
 *     GIBBON_HANDLER(module, function, handler);   calls run handler(struct gibbon_call *)
 *     GIBBON_SET("name", function, ...);           these patches are switched on by one name
 *     GIBBON_ON_LOAD(module, function);            void function(void) runs when module is loaded
 *     GIBBON_ORIGINAL(function)                    the function without this patch, to be called
 *
 * GIBBON_WRAP and GIBBON_REPLACE need the function's declaration, and the compiler compares its
 * type with the wrapper's. A function without one, or one whose name is no C identifier, is given
 * as a string to the _NAMED variants.
 *
 * One file has one original for each name: see GIBBON_WRAP_NAMED when it needs more.
 */
#ifndef GIBBON_PACKAGE_H
#define GIBBON_PACKAGE_H

#include <stddef.h>
#include <stdint.h>

/* ---- Registrations: what the macros leave in the section "gibbon" ---- */

/* Of struct gibbon_registration and of struct gibbon_call. Bumped when what is there changes its
 * meaning; new fields come at the end and only make `size` larger. */
#define GIBBON_PACKAGE_VERSION 1

enum gibbon_registration_kind {
    GIBBON_KIND_WRAP = 1,
    GIBBON_KIND_REPLACE,
    GIBBON_KIND_MOCK,
    GIBBON_KIND_HANDLER,
    GIBBON_KIND_SET,
    GIBBON_KIND_ON_LOAD,
    GIBBON_KIND_ORIGINAL, /* only a place for an original, for code that `gibbon replace` names */
};

enum gibbon_value_kind { GIBBON_VALUE_NONE, GIBBON_VALUE_INTEGER, GIBBON_VALUE_FLOATING };

/* Read by the engine from the file, 8-byte aligned, one behind the other. Unused fields are 0. */
struct gibbon_registration {
    uint32_t size, version; /* sizeof of this struct, GIBBON_PACKAGE_VERSION */
    uint32_t kind;          /* enum gibbon_registration_kind */
    uint32_t order;         /* grows with the place in the source */
    const char *unit;       /* the file given to the compiler: `order` counts in it */
    const char *file;       /* where the macro stands */
    uint64_t line;
    const char *module;
    const char *function;   /* its name, or a string literal as written, in quotes; a set's name */
    const char *identifier; /* what GIBBON_ORIGINAL calls it; a set's members, as written */
    const char *code_name;  /* the wrapper, handler... as written */
    void (*code)(void);
    void *original;                  /* address of the pointer that GIBBON_ORIGINAL reads */
    uint32_t value_kind, value_size; /* enum gibbon_value_kind; sizeof of the constant, bytes */
    uint64_t integer;                /* sign-extended when the constant is signed; or a pointer */
    double floating;
    int32_t error; /* a mock's errno, 0: untouched */
    uint32_t reserved;
};

#define GIBBON_PASTE_(a, b) a##b
#define GIBBON_PASTE(a, b)  GIBBON_PASTE_(a, b)

/* `aligned`: without it compilers leave gaps between large objects of a section. */
#define GIBBON_REGISTER_(number, kind, module, function, identifier, code_name, code, original,    \
                         value_kind, value_size, integer, floating, error)                         \
    static struct gibbon_registration GIBBON_PASTE(gibbon_registration_, number) __attribute__((   \
        section("gibbon"), used, aligned(8))) = {sizeof(struct gibbon_registration),               \
                                                 GIBBON_PACKAGE_VERSION,                           \
                                                 kind,                                             \
                                                 number,                                           \
                                                 __BASE_FILE__,                                    \
                                                 __FILE__,                                         \
                                                 __LINE__,                                         \
                                                 module,                                           \
                                                 function,                                         \
                                                 identifier,                                       \
                                                 code_name,                                        \
                                                 code,                                             \
                                                 original,                                         \
                                                 value_kind,                                       \
                                                 value_size,                                       \
                                                 integer,                                          \
                                                 floating,                                         \
                                                 error,                                            \
                                                 0}
#define GIBBON_REGISTER_CODE_(kind, module, function, identifier, code_name, code, original)       \
    GIBBON_REGISTER_(__COUNTER__, kind, module, function, identifier, code_name,                   \
                     (void (*)(void))code, original, GIBBON_VALUE_NONE, 0, 0, 0, 0)

#ifdef __cplusplus
/* C++ has no tentative definitions, so the pointers are members of a template. A function's
 * "noexcept" and attributes are not part of the type that a wrapper must have. */
namespace gibbon_package
{
template <typename GibbonR, typename... GibbonA>
GibbonR (*plain(GibbonR (*)(GibbonA...)))(GibbonA...);
template <typename GibbonR, typename... GibbonA>
GibbonR (*plain(GibbonR (*)(GibbonA..., ...)))(GibbonA..., ...);
template <typename GibbonA, typename GibbonB> struct same {
    static constexpr bool value = false;
};
template <typename GibbonA> struct same<GibbonA, GibbonA> {
    static constexpr bool value = true;
};
template <typename GibbonT> struct is_floating {
    static constexpr bool value = false;
};
template <> struct is_floating<float> {
    static constexpr bool value = true;
};
template <> struct is_floating<double> {
    static constexpr bool value = true;
};
template <> struct is_floating<long double> {
    static constexpr bool value = true;
};
template <typename GibbonT> constexpr double floating(GibbonT)
{
    return 0;
}
constexpr double floating(float value)
{
    return value;
}
constexpr double floating(double value)
{
    return value;
}
constexpr double floating(long double value)
{
    return static_cast<double>(value);
}
namespace
{
template <typename GibbonN, typename GibbonF> struct slot {
    static GibbonF volatile pointer;
};
template <typename GibbonN, typename GibbonF> GibbonF volatile slot<GibbonN, GibbonF>::pointer;
} // namespace
} // namespace gibbon_package
#define GIBBON_PLAIN_(function) decltype(gibbon_package::plain(&function))
#define GIBBON_DECLARE_SLOT_(identifier, like)                                                     \
    struct gibbon_name_##identifier;                                                               \
    extern "C++" GIBBON_PLAIN_(like) gibbon_type_of(struct gibbon_name_##identifier *)
#define GIBBON_SLOT_(identifier)                                                                   \
    gibbon_package::slot<struct gibbon_name_##identifier,                                          \
                         decltype(gibbon_type_of(                                                  \
                             static_cast<struct gibbon_name_##identifier *>(nullptr)))>::pointer
#define GIBBON_CHECK_(function, wrapper, message)                                                  \
    static_assert(gibbon_package::same<GIBBON_PLAIN_(function), GIBBON_PLAIN_(wrapper)>::value,    \
                  message)
#define GIBBON_ADDRESS_OF_SLOT_(slot) const_cast<void *>(static_cast<volatile void *>(&(slot)))
#define GIBBON_IS_FLOATING_(constant) gibbon_package::is_floating<decltype(constant)>::value
#define GIBBON_FLOATING_(constant)    gibbon_package::floating(constant)
#else
#define GIBBON_DECLARE_SLOT_(identifier, like)                                                     \
    static __typeof__(&like) volatile gibbon_original_##identifier
#define GIBBON_SLOT_(identifier) gibbon_original_##identifier
#define GIBBON_CHECK_(function, wrapper, message)                                                  \
    _Static_assert(__builtin_types_compatible_p(__typeof__(function), __typeof__(wrapper)), message)
#define GIBBON_ADDRESS_OF_SLOT_(slot) (void *)&slot
#define GIBBON_IS_FLOATING_(constant)                                                              \
    (__builtin_types_compatible_p(__typeof__(constant), double) ||                                 \
     __builtin_types_compatible_p(__typeof__(constant), float) ||                                  \
     __builtin_types_compatible_p(__typeof__(constant), long double))
#define GIBBON_FLOATING_(constant)                                                                 \
    (double)__builtin_choose_expr(GIBBON_IS_FLOATING_(constant), constant, 0)
#endif

/*
 * Calls of `function` in `module` run `wrapper` instead, which has the same type, variadic ones
 * included. The names are not expanded by the preprocessor. The same wrapper may be registered for
 * several modules, and a function several times.
 */
#define GIBBON_WRAP(module, function, wrapper)                                                     \
    GIBBON_CHECK_(function, wrapper, "the wrapper's type differs from that of " #function);        \
    GIBBON_DECLARE_SLOT_(function, function);                                                      \
    GIBBON_REGISTER_CODE_(GIBBON_KIND_WRAP, module, #function, #function, #wrapper, wrapper,       \
                          GIBBON_ADDRESS_OF_SLOT_(GIBBON_SLOT_(function)))

/*
 * The same for a function given by a string: "ns::Class::method(int)", "__isoc99_scanf". Nothing
 * tells the compiler its type: the wrapper must have the right one (a C++ method has `this` as its
 * first parameter). GIBBON_ORIGINAL(identifier) calls it; `identifier` is any name that is not used
 * so yet, so that one file can have several originals of one function: of two modules, or two
 * wrappers on top of each other.
 */
#define GIBBON_WRAP_NAMED(module, name, identifier, wrapper)                                       \
    GIBBON_DECLARE_SLOT_(identifier, wrapper);                                                     \
    GIBBON_REGISTER_CODE_(GIBBON_KIND_WRAP, module, name, #identifier, #wrapper, wrapper,          \
                          GIBBON_ADDRESS_OF_SLOT_(GIBBON_SLOT_(identifier)))

/* Calls run `with`, a function of this package, or of a library that the target has loaded. */
#define GIBBON_REPLACE(module, function, with)                                                     \
    GIBBON_CHECK_(function, with, "the replacement's type differs from that of " #function);       \
    GIBBON_DECLARE_SLOT_(function, function);                                                      \
    GIBBON_REGISTER_CODE_(GIBBON_KIND_REPLACE, module, #function, #function, #with, with,          \
                          GIBBON_ADDRESS_OF_SLOT_(GIBBON_SLOT_(function)))
#define GIBBON_REPLACE_NAMED(module, name, identifier, with)                                       \
    GIBBON_DECLARE_SLOT_(identifier, with);                                                        \
    GIBBON_REGISTER_CODE_(GIBBON_KIND_REPLACE, module, name, #identifier, #with, with,             \
                          GIBBON_ADDRESS_OF_SLOT_(GIBBON_SLOT_(identifier)))

/*
 * `function` (a name, or a string for C++) returns `value`, an integer, a pointer, NULL or a
 * floating-point constant, and is not called. It is converted to the result's type when that is
 * known. With _ERRNO, errno is set too, to a constant like EACCES.
 */
#define GIBBON_MOCK_ERRNO(module, function, value, error)                                          \
    GIBBON_REGISTER_(__COUNTER__, GIBBON_KIND_MOCK, module, #function, NULL, NULL, NULL, NULL,     \
                     GIBBON_IS_FLOATING_(value) ? GIBBON_VALUE_FLOATING : GIBBON_VALUE_INTEGER,    \
                     sizeof(value), (uint64_t)(value), GIBBON_FLOATING_(value), error)
#define GIBBON_MOCK(module, function, value)                                                       \
    GIBBON_REGISTER_(__COUNTER__, GIBBON_KIND_MOCK, module, #function, NULL, NULL, NULL, NULL,     \
                     GIBBON_IS_FLOATING_(value) ? GIBBON_VALUE_FLOATING : GIBBON_VALUE_INTEGER,    \
                     sizeof(value), (uint64_t)(value), GIBBON_FLOATING_(value), 0)

/* Calls of `function` (a name, or a string for C++) run `handler`, a void (struct gibbon_call *).
 * One handler may serve any number of functions. */
#define GIBBON_HANDLER(module, function, handler)                                                  \
    GIBBON_CHECK_(gibbon_handler_type_, handler, "a handler is a void f(struct gibbon_call *)");   \
    GIBBON_REGISTER_CODE_(GIBBON_KIND_HANDLER, module, #function, NULL, #handler, handler, NULL)

/* `function`, a void f(void), is called each time `module` has been loaded, before its constructors
 * run. */
#define GIBBON_ON_LOAD(module, function)                                                           \
    GIBBON_CHECK_(gibbon_hook_type_, function, "a hook is a void f(void)");                        \
    GIBBON_REGISTER_CODE_(GIBBON_KIND_ON_LOAD, module, NULL, NULL, #function, function, NULL)

/* The set `name`, a string: the patches of this package on these functions (names as they were
 * registered: identifiers, or strings). A patch may be in several sets. */
#define GIBBON_SET(name, ...)                                                                      \
    GIBBON_REGISTER_(__COUNTER__, GIBBON_KIND_SET, NULL, name, #__VA_ARGS__, NULL, NULL, NULL,     \
                     GIBBON_VALUE_NONE, 0, 0, 0, 0)

/* Makes GIBBON_ORIGINAL(function) usable from here on: in a file that does not register a patch on
 * it but is named in a command, `gibbon replace FUNCTION FILE.c:WITH`. */
#define GIBBON_USE_ORIGINAL(function)                                                              \
    GIBBON_DECLARE_SLOT_(function, function);                                                      \
    GIBBON_REGISTER_(__COUNTER__, GIBBON_KIND_ORIGINAL, NULL, #function, #function, NULL, NULL,    \
                     GIBBON_ADDRESS_OF_SLOT_(GIBBON_SLOT_(function)), GIBBON_VALUE_NONE, 0, 0, 0,  \
                     0)

/* The function below this patch: the next older patch, or the function itself. Has the function's
 * own type, and may be called or its address kept while the patch exists. Set before any code of
 * the package runs. */
#define GIBBON_ORIGINAL(identifier) (*GIBBON_SLOT_(identifier))

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Handlers ---- */

/* What a value is. Sizes, not names, tell an int from a long. */
enum gibbon_type_class {
    GIBBON_TYPE_VOID,
    GIBBON_TYPE_BOOL,
    GIBBON_TYPE_CHAR,     /* char, signed char, unsigned char */
    GIBBON_TYPE_SIGNED,   /* integers of size 1, 2, 4, 8, 16 */
    GIBBON_TYPE_UNSIGNED, /* the same */
    GIBBON_TYPE_FLOATING, /* float 4, double 8, long double 16 */
    GIBBON_TYPE_COMPLEX,  /* _Complex; size of the whole */
    GIBBON_TYPE_ENUM,
    GIBBON_TYPE_STRING,  /* a pointer to characters */
    GIBBON_TYPE_POINTER, /* any other pointer, and C++ references */
    GIBBON_TYPE_RECORD,  /* a struct, union or class by value */
    GIBBON_TYPE_VECTOR,  /* __m128 and the like */
};

struct gibbon_type {
    uint32_t type_class; /* enum gibbon_type_class */
    uint32_t size;       /* bytes; 0 for void */
    const char *text;    /* as C writes it: "const char *", "size_t"; never NULL */
};

/* What is the same for all calls of one function. Belongs to the engine, lives as long as the
 * patch. */
struct gibbon_parameter {
    const char *name; /* NULL when not known */
    struct gibbon_type type;
};
struct gibbon_signature {
    uint32_t size, version; /* sizeof of this struct, GIBBON_PACKAGE_VERSION */
    const char *function;   /* "mkdtemp", "ns::Class::method(int)" */
    const char *module;     /* "libc.so.6" */
    struct gibbon_type result;
    uint32_t parameter_size;  /* sizeof(struct gibbon_parameter) */
    uint32_t parameter_count; /* without `this` */
    const struct gibbon_parameter *parameters;
};

/*
 * One call of a patched function, for a handler. It belongs to the engine and to the thread that
 * made the call, and is gone when the handler returns. Use the functions below, not the fields.
 */
struct gibbon_call {
    uint32_t size, version; /* sizeof of this struct, GIBBON_PACKAGE_VERSION */
    const struct gibbon_call_interface *interface;
    const struct gibbon_signature *signature;
    void **values;      /* of each parameter, a pointer to its value */
    void *instance;     /* of a C++ method: `this`; else NULL */
    const void *caller; /* the call's return address */
    void *result;       /* signature->result.size bytes, 0 at first; NULL for void */
    int32_t error;      /* see gibbon_errno */
    uint32_t reserved;
    void *engine; /* the engine's own */
};
struct gibbon_call_interface {
    uint32_t size, version;
    void (*call_original)(struct gibbon_call *call);
};

#ifndef GIBBON_NO_FUNCTIONS /* of the agent, which is compiled without floating point */

/* How many arguments there are; `this` is not one, nor are those behind the `...` of a prototype.
 */
static inline unsigned gibbon_argument_count(const struct gibbon_call *call)
{
    return call->signature->parameter_count;
}

/* NULL when there is no such argument. */
static inline const struct gibbon_parameter *gibbon_parameter(const struct gibbon_call *call,
                                                              unsigned index)
{
    const struct gibbon_signature *signature = call->signature;
    return index < signature->parameter_count
               ? (const struct gibbon_parameter *)((const char *)signature->parameters +
                                                   (size_t)index * signature->parameter_size)
               : NULL;
}

/* The value of argument `index`, from 0, of gibbon_argument_type(call, index)->size bytes: for an
 * int, an int *. Writing to it changes what the original gets from then on. NULL when there is no
 * such argument. Valid until the handler returns. */
static inline void *gibbon_argument(struct gibbon_call *call, unsigned index)
{
    return index < gibbon_argument_count(call) ? call->values[index] : NULL;
}

/* The parameter's name; NULL when it is not known (no debug information), or there is none. */
static inline const char *gibbon_argument_name(const struct gibbon_call *call, unsigned index)
{
    const struct gibbon_parameter *parameter = gibbon_parameter(call, index);
    return parameter ? parameter->name : NULL;
}

/* The argument's type; NULL when there is no such argument. */
static inline const struct gibbon_type *gibbon_argument_type(const struct gibbon_call *call,
                                                             unsigned index)
{
    const struct gibbon_parameter *parameter = gibbon_parameter(call, index);
    return parameter ? &parameter->type : NULL;
}

/* The index of the parameter called `name`, without leading underscores; -1 when there is none. */
static inline int gibbon_argument_index(const struct gibbon_call *call, const char *name)
{
    for (unsigned i = 0; i < gibbon_argument_count(call); i++) {
        const char *a = gibbon_argument_name(call, i), *b = name;
        for (; a && *a && *a == *b; a++)
            b++;
        if (a && *a == *b)
            return (int)i;
    }
    return -1;
}

/* gibbon_argument by name; NULL when no parameter is called so. */
static inline void *gibbon_argument_named(struct gibbon_call *call, const char *name)
{
    int index = gibbon_argument_index(call, name);
    return index < 0 ? NULL : gibbon_argument(call, (unsigned)index);
}

/* The patched function's name, and its module's. */
static inline const char *gibbon_function(const struct gibbon_call *call)
{
    return call->signature->function;
}

static inline const char *gibbon_module(const struct gibbon_call *call)
{
    return call->signature->module;
}

/* The object a C++ method was called on; NULL for all other functions. */
static inline void *gibbon_this(const struct gibbon_call *call)
{
    return call->instance;
}

/* The address the call returns to, in the calling function. */
static inline const void *gibbon_caller(const struct gibbon_call *call)
{
    return call->caller;
}

/* Calls the function without this patch, with the arguments as they are now, and sets the result
 * and errno. Any number of times; not at all when the handler does not. An exception or a longjmp
 * passes through the handler. */
static inline void gibbon_call_original(struct gibbon_call *call)
{
    call->interface->call_original(call);
}

/* The result's type; class GIBBON_TYPE_VOID when there is none. */
static inline const struct gibbon_type *gibbon_result_type(const struct gibbon_call *call)
{
    return &call->signature->result;
}

/* What the caller will get, gibbon_result_type(call)->size bytes, to be read and written: all 0
 * until the original is called or something is written. NULL for a void function. */
static inline void *gibbon_result(struct gibbon_call *call)
{
    return call->result;
}

/* Copies a result of `size` bytes. 0; -1, and nothing is done, when the result has another size. */
static inline int gibbon_set_result(struct gibbon_call *call, const void *value, size_t size)
{
    if (!call->result || size != gibbon_result_type(call)->size)
        return -1;
    __builtin_memcpy(call->result, value, size);
    return 0;
}

/* errno as the original and the caller see it: the caller's own until the original has been called,
 * then what that left. What the handler's own calls do to the variable `errno` does not reach the
 * caller. */
static inline int gibbon_errno(const struct gibbon_call *call)
{
    return call->error;
}

static inline void gibbon_set_errno(struct gibbon_call *call, int error)
{
    call->error = error;
}

/* For gibbon_read_* and gibbon_write_*: 1 when a value of this type is an integer to C: also a
 * pointer. */
static inline int gibbon_is_integer(const struct gibbon_type *type)
{
    switch (type->type_class) {
    case GIBBON_TYPE_BOOL:
    case GIBBON_TYPE_CHAR:
    case GIBBON_TYPE_SIGNED:
    case GIBBON_TYPE_UNSIGNED:
    case GIBBON_TYPE_ENUM:
    case GIBBON_TYPE_STRING:
    case GIBBON_TYPE_POINTER:
        return type->size == 1 || type->size == 2 || type->size == 4 || type->size == 8;
    default:
        return 0;
    }
}

/* A number cut to an integer; the nearest one when it is too large, 0 when it is not a number. */
static inline int64_t gibbon_to_int(double number)
{
    if (number >= 9223372036854775808.0)
        return INT64_MAX;
    if (number <= -9223372036854775808.0)
        return INT64_MIN;
    return number < 0 || number >= 0 ? (int64_t)number : 0;
}

/* A floating-point number of `type`, its size; 0 for everything else. */
static inline double gibbon_read_floating(const struct gibbon_type *type, const void *value)
{
    float single;
    double twice;
    long double extended;
    switch (type->type_class == GIBBON_TYPE_FLOATING ? type->size : 0) {
    case sizeof single:
        __builtin_memcpy(&single, value, sizeof single);
        return (double)single;
    case sizeof twice:
        __builtin_memcpy(&twice, value, sizeof twice);
        return twice;
    case sizeof extended:
        __builtin_memcpy(&extended, value, sizeof extended);
        return (double)extended;
    default:
        return 0;
    }
}

/* An integer or pointer of `type` at `value`, sign-extended if it is signed (as char and enums are
 * taken to be); a floating-point one as gibbon_to_int makes it; 0 for everything else, and for
 * NULL. */
static inline int64_t gibbon_read_int(const struct gibbon_type *type, const void *value)
{
    int64_t number = 0;
    if (!type || !value)
        return 0;
    if (type->type_class == GIBBON_TYPE_FLOATING)
        return gibbon_to_int(gibbon_read_floating(type, value));
    if (!gibbon_is_integer(type))
        return 0;
    __builtin_memcpy(&number, value, type->size); /* little-endian: the low bytes come first */
    int is_unsigned =
        type->type_class == GIBBON_TYPE_UNSIGNED || type->type_class == GIBBON_TYPE_BOOL;
    switch (is_unsigned ? 8 : type->size) {
    case 1:
        return (int8_t)number;
    case 2:
        return (int16_t)number;
    case 4:
        return (int32_t)number;
    default:
        return number;
    }
}

/* A floating-point value or an integer of `type` as a double; 0 for everything else. */
static inline double gibbon_read_double(const struct gibbon_type *type, const void *value)
{
    if (!type || !value)
        return 0;
    return type->type_class == GIBBON_TYPE_FLOATING ? gibbon_read_floating(type, value)
                                                    : (double)gibbon_read_int(type, value);
}

/* Stores a number as `type` says, integer or floating. 0; -1, and nothing is stored, for void,
 * structs and the like, and when there is no such value. */
static inline int gibbon_write_double(const struct gibbon_type *type, void *value, double number)
{
    float single = (float)number;
    long double extended = (long double)number;
    if (!type || !value || type->type_class != GIBBON_TYPE_FLOATING)
        return -1;
    switch (type->size) {
    case sizeof single:
        __builtin_memcpy(value, &single, sizeof single);
        return 0;
    case sizeof number:
        __builtin_memcpy(value, &number, sizeof number);
        return 0;
    case sizeof extended:
        __builtin_memcpy(value, &extended, sizeof extended);
        return 0;
    default:
        return -1;
    }
}

static inline int gibbon_write_int(const struct gibbon_type *type, void *value, int64_t number)
{
    if (!type || !value)
        return -1;
    if (type->type_class == GIBBON_TYPE_FLOATING)
        return gibbon_write_double(type, value, (double)number);
    if (!gibbon_is_integer(type))
        return -1;
    if (type->type_class == GIBBON_TYPE_BOOL)
        number = number != 0;
    __builtin_memcpy(value, &number, type->size);
    return 0;
}

/* Arguments by index, as numbers; 0 when there is none, or it is no number. */
static inline int64_t gibbon_argument_int(struct gibbon_call *call, unsigned index)
{
    return gibbon_read_int(gibbon_argument_type(call, index), gibbon_argument(call, index));
}

static inline double gibbon_argument_double(struct gibbon_call *call, unsigned index)
{
    return gibbon_read_double(gibbon_argument_type(call, index), gibbon_argument(call, index));
}

/* The argument as a pointer; NULL when there is none, or it is no pointer. */
static inline void *gibbon_argument_pointer(struct gibbon_call *call, unsigned index)
{
    const struct gibbon_type *type = gibbon_argument_type(call, index);
    return type && type->size == sizeof(void *) &&
                   (type->type_class == GIBBON_TYPE_STRING ||
                    type->type_class == GIBBON_TYPE_POINTER)
               ? *(void **)gibbon_argument(call, index)
               : NULL;
}

/* Change an argument. 0; -1 when there is none, or it is no number. */
static inline int gibbon_set_argument_int(struct gibbon_call *call, unsigned index, int64_t value)
{
    return gibbon_write_int(gibbon_argument_type(call, index), gibbon_argument(call, index), value);
}

static inline int gibbon_set_argument_double(struct gibbon_call *call, unsigned index, double value)
{
    const struct gibbon_type *type = gibbon_argument_type(call, index);
    return type && type->type_class != GIBBON_TYPE_FLOATING
               ? gibbon_write_int(type, gibbon_argument(call, index), gibbon_to_int(value))
               : gibbon_write_double(type, gibbon_argument(call, index), value);
}

static inline int gibbon_set_argument_pointer(struct gibbon_call *call, unsigned index,
                                              const void *value)
{
    return gibbon_set_argument_int(call, index, (int64_t)(intptr_t)value);
}

/* The result as a number, 0 when it is none; set it: 0, or -1 when it is none. */
static inline int64_t gibbon_result_int(struct gibbon_call *call)
{
    return gibbon_read_int(gibbon_result_type(call), call->result);
}

static inline double gibbon_result_double(struct gibbon_call *call)
{
    return gibbon_read_double(gibbon_result_type(call), call->result);
}

static inline int gibbon_set_int(struct gibbon_call *call, int64_t value)
{
    return gibbon_write_int(gibbon_result_type(call), call->result, value);
}

static inline int gibbon_set_double(struct gibbon_call *call, double value)
{
    const struct gibbon_type *type = gibbon_result_type(call);
    return type->type_class == GIBBON_TYPE_FLOATING
               ? gibbon_write_double(type, call->result, value)
               : gibbon_write_int(type, call->result, gibbon_to_int(value));
}

static inline int gibbon_set_pointer(struct gibbon_call *call, const void *value)
{
    return gibbon_set_int(call, (int64_t)(intptr_t)value);
}

#endif

/* Never defined: types to compare with. */
void gibbon_handler_type_(struct gibbon_call *call);
void gibbon_hook_type_(void);

#ifdef __cplusplus
}
#endif
#endif
