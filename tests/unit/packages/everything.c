/* everything.c: every macro, compiled as C and as C++. */
#include <errno.h>
#include <fcntl.h>
#include <gibbon/package.h>
#include <math.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif
int _ZN3geo5Shape4areaEi(void *shape, int scale);
extern int elsewhere(const char *path);
#ifdef __cplusplus
}
#endif

static int open_with_mode(const char *path, int flags, ...);
GIBBON_WRAP("libc.so.6", open, open_with_mode);
static int open_with_mode(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    va_end(list);
    return GIBBON_ORIGINAL(open)(path, flags, mode);
}

/* Two wrappers that use one original, of several modules, twice. */
static void *my_malloc(size_t size);
static void my_free(void *memory);
GIBBON_WRAP("libc.so.6", malloc, my_malloc);
GIBBON_WRAP("libjemalloc.so.2", malloc, my_malloc);
GIBBON_WRAP("libc.so.6", malloc, my_malloc);
GIBBON_WRAP("libc.so.6", free, my_free);
static void *my_malloc(size_t size)
{
    return size > 100 ? NULL : GIBBON_ORIGINAL(malloc)(size);
}
static void my_free(void *memory)
{
    void *(*allocate)(size_t) = GIBBON_ORIGINAL(malloc);
    GIBBON_ORIGINAL(free)(memory);
    GIBBON_ORIGINAL(free)(allocate(1));
}

static void my_abort(void);
GIBBON_WRAP("libc.so.6", abort, my_abort);
static void my_abort(void)
{
    GIBBON_ORIGINAL(abort)();
}

long global_labs(long number);
long global_labs(long number)
{
    return number;
}
GIBBON_REPLACE("libc.so.6", labs, global_labs);
GIBBON_REPLACE("libc.so.6", unlink, elsewhere);

static int area(void *shape, int scale), area_too(void *shape, int scale);
GIBBON_WRAP("libgeo.so", _ZN3geo5Shape4areaEi, area);
GIBBON_WRAP_NAMED("libgeo.so", "geo::Shape::area(int, char const*)", shape_area, area_too);
GIBBON_REPLACE_NAMED("", "geo::operator\"\" _m", metres, area_too);
static int area(void *shape, int scale)
{
    return GIBBON_ORIGINAL(_ZN3geo5Shape4areaEi)(shape, scale) + 1;
}
static int area_too(void *shape, int scale)
{
    return GIBBON_ORIGINAL(shape_area)(shape, scale) + GIBBON_ORIGINAL(metres)(shape, scale);
}

GIBBON_MOCK("libc.so.6", getaddrinfo, -2);
GIBBON_MOCK("libm.so.6", cos, 0.5);
GIBBON_MOCK("libm.so.6", cosf, 0.25f);
GIBBON_MOCK("libc.so.6", fopen, NULL);
GIBBON_MOCK("libc.so.6", getenv, "text");
GIBBON_MOCK("libx.so", huge, 0xffffffffffffffffULL);
GIBBON_MOCK("libx.so", unsigned_one, 4294967295u);
GIBBON_MOCK("libx.so", "x::y(int, int)", 'x');
GIBBON_MOCK_ERRNO("libc.so.6", creat, -1, EACCES);

static void handle(struct gibbon_call *call)
{
    const struct gibbon_type *type = gibbon_argument_type(call, 0);
    for (unsigned i = 0; i < gibbon_argument_count(call); i++)
        printf("%s %s", gibbon_argument_name(call, i), gibbon_argument_type(call, i)->text);
    if (type && type->type_class == GIBBON_TYPE_STRING && gibbon_argument_named(call, "pathname"))
        puts(*(char **)gibbon_argument(call, 0));
    printf("%s %s %p %p\n", gibbon_function(call), gibbon_module(call), gibbon_this(call),
           gibbon_caller(call));
    gibbon_set_argument_int(call, 0, gibbon_argument_int(call, 0) + 1);
    gibbon_set_argument_double(call, 1, gibbon_argument_double(call, 1) + 1);
    gibbon_set_argument_pointer(call, 2, gibbon_argument_pointer(call, 2));
    gibbon_call_original(call);
    gibbon_set_errno(call, gibbon_errno(call) + 1);
    int number = 3;
    if (gibbon_set_result(call, &number, sizeof number))
        gibbon_set_int(call, gibbon_result_int(call));
    gibbon_set_double(call, gibbon_result_double(call));
    gibbon_set_pointer(call, gibbon_result(call));
}
GIBBON_HANDLER("libc.so.6", rename, handle);
GIBBON_HANDLER("libgeo.so", "geo::Shape::move(double, double)", handle);

static void loaded(void)
{
}
GIBBON_ON_LOAD("libssl.so.3", loaded);
GIBBON_USE_ORIGINAL(close);
GIBBON_SET("memory", malloc, free);
GIBBON_SET("shapes", "geo::Shape::area(int, char const*)", _ZN3geo5Shape4areaEi, metres);
