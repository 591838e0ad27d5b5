/*
 * The shipped data: every line is readable, and what it says of types is what the compiler says
 * when it reads the system's own headers.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "prototypes/internal.h"
#include "prototype_text.h"

static struct gib_prototypes *store;

static int open_store(void **state)
{
    struct gib_error error = {.code = 0};
    store = gib_prototypes_open(DATA_DIRECTORY, &error);
    return !store || error.code;
}

static int close_store(void **state)
{
    gib_prototypes_close(store);
    return 0;
}

static const char *const tag_words[] = {"", "", "struct ", "union ", "enum "};

/* Opaque to programs: the headers never complete them. */
static bool is_opaque(const char *name)
{
    return strcmp(name, "DIR") == 0 || strcmp(name, "Sg_io_vec") == 0 ||
           strcmp(name, "td_thragent_t") == 0;
}

static bool is_set(const char *name, size_t length)
{
    return gib_store_line(store, GIB_ENTRY_FLAGS, name, length) != NULL;
}

/* Words that say nothing would be ignored: a slip in one must not pass. */
static void check_annotations(const char *line, const struct gib_prototype *prototype)
{
    static const char *const known[] = {"errno", "errno?", "printf", "open"};
    const char *at = strstr(line, "; // ");
    at = at ? at + 5 : "";
    while (*at) {
        size_t length = strcspn(at, " "), found = 0;
        const char *equals = memchr(at, '=', length);
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found += strlen(known[i]) == length && !memcmp(at, known[i], length);
        if (!strncmp(at, "manual=", 7)) {
            /* A name for each parameter, and that of the mode behind open's flags. */
            size_t names = 1, more = prototype->variadic == GIB_VARIADIC_OPEN;
            for (const char *comma = at;
                 (comma = memchr(comma, ',', length - (size_t)(comma - at))); comma++)
                names++;
            assert_int_equal(names, prototype->parameter_count + more);
            assert_true(prototype->manual && strlen(prototype->manual) == length - 7);
            found++;
        }
        for (size_t i = 0; equals && i < prototype->parameter_count; i++) {
            const struct gib_parameter *p = &prototype->parameters[i];
            if (!p->name || strlen(p->name) != (size_t)(equals - at) ||
                memcmp(p->name, at, strlen(p->name)))
                continue;
            found += is_set(equals + 1, length - (size_t)(equals - at) - 1);
            assert_int_equal(p->type.notation, GIB_NOTATION_NAMES);
            assert_true(p->type.enumerator_count > 0);
        }
        if (found != 1)
            fail_msg("unknown annotation: %s", line);
        at += length + (at[length] == ' ');
    }
}

static void check_entry(void *context, enum gib_entry_kind kind, const char *name, size_t length,
                        const char *line)
{
    struct gib_error error = {.message = ""};
    struct gib_prototype *prototype = NULL;
    char text[200];
    ++*(size_t *)context;
    if (kind == GIB_ENTRY_FUNCTION) {
        snprintf(text, sizeof text, "%.*s", (int)length, name);
        if (gib_parse_data_line(store, line, &prototype, &error))
            fail_msg("%s: %s", line, error.message);
        assert_string_equal(prototype->name, text);
        check_annotations(line, prototype);
    } else if (kind == GIB_ENTRY_FLAGS) {
        snprintf(text, sizeof text, "void f(int x); // x=%.*s", (int)length, name);
        assert_int_equal(gib_prototype_parse(store, text, &prototype, &error), 0);
        assert_int_equal(prototype->parameters[0].type.notation, GIB_NOTATION_NAMES);
    } else {
        snprintf(text, sizeof text, "void f(%s%.*s *p)", tag_words[kind], (int)length, name);
        if (gib_prototype_parse(store, text, &prototype, &error))
            fail_msg("%s: %s", line, error.message);
    }
    gib_prototype_free(prototype);
}

static size_t lines_of(const char *name)
{
    char path[512], line[16384];
    snprintf(path, sizeof path, "%s/%s", DATA_DIRECTORY, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t count = 0;
    while (fgets(line, sizeof line, file)) {
        assert_non_null(strchr(line, '\n'));
        if (strncmp(line, "//", 2) == 0)
            continue;
        count++;
        char *end = strstr(line, " //");
        end = end ? end : strchr(line, '\n');
        if (end[-1] != ';')
            fail_msg("%s: no semicolon: %s", name, line);
    }
    fclose(file);
    return count;
}

/* No line is lost: each is an entry, so no name is declared twice either. */
static void every_line_is_readable(void **state)
{
    size_t entries = 0;
    gib_store_visit(store, check_entry, &entries);
    size_t lines = lines_of("libc.proto") + lines_of("types.proto") + lines_of("extra.proto");
    assert_int_equal(entries, lines);
    assert_true(gib_prototypes_count(store) > 3000);
}

/* What the program may assert of a type that is spelled as T. */
static void write_type(FILE *out, const char *what, const struct gib_type *type)
{
    const char *name = type->name;
    if (type->kind == GIB_TYPE_VOID || type->kind == GIB_TYPE_POINTER ||
        type->kind == GIB_TYPE_STRING)
        return; /* void has no size, and pointers are compared with the whole function */
    fprintf(out, "_Static_assert(sizeof(%s) == %u && _Alignof(%s) == %u, \"%s\");\n", name,
            type->size, name, type->align, what);
    if (type->kind == GIB_TYPE_VECTOR)
        return;
    if (type->kind == GIB_TYPE_RECORD)
        fprintf(out, "_Static_assert(CLASS(*(%s *)0) >= 12, \"%s\");\n", name, what);
    else if (type->kind == GIB_TYPE_FLOAT || type->kind == GIB_TYPE_COMPLEX)
        fprintf(out, "_Static_assert(CLASS((%s)0) == %d, \"%s\");\n", name,
                type->kind == GIB_TYPE_FLOAT ? 8 : 9, what);
    else
        fprintf(out, "_Static_assert(CLASS((%s)0) < 8 && ((%s)-1 < (%s)1) == %d, \"%s\");\n", name,
                name, name, type->is_signed, what);
    for (size_t i = 0; i < type->enumerator_count; i++)
        fprintf(out, "_Static_assert(%s == %lldLL, \"%s\");\n", type->enumerators[i].name,
                (long long)type->enumerators[i].value, what);
}

/* A second declaration of a function must agree with the header's in every type. */
static void write_function(void *context, enum gib_entry_kind kind, const char *name, size_t length,
                           const char *line)
{
    FILE *out = context;
    char word[120];
    if (kind != GIB_ENTRY_FUNCTION)
        return;
    snprintf(word, sizeof word, "%.*s", (int)length, name);
    const struct gib_prototype *prototype = gib_prototypes_find(store, word);
    assert_non_null(prototype);
    fprintf(out, "#undef %s\nextern __typeof__(__typeof__(%s) (", word, prototype->result.name);
    for (size_t i = 0; i < prototype->parameter_count; i++)
        fprintf(out, "%s__typeof__(%s)", i ? ", " : "", prototype->parameters[i].type.name);
    if (prototype->variadic)
        fputs(", ...", out);
    else if (!prototype->parameter_count)
        fputs("void", out);
    fprintf(out, ")) %s;\n", word);
}

static void write_types(void *context, enum gib_entry_kind kind, const char *name, size_t length,
                        const char *line)
{
    FILE *out = context;
    char text[200], word[120];
    snprintf(word, sizeof word, "%.*s", (int)length, name);
    if (kind == GIB_ENTRY_FUNCTION) {
        const struct gib_prototype *known = gib_prototypes_find(store, word);
        assert_non_null(known);
        write_type(out, word, &known->result);
        for (size_t i = 0; i < known->parameter_count; i++)
            write_type(out, word, &known->parameters[i].type);
        return;
    }
    struct gib_prototype *prototype = NULL;
    if (is_opaque(word))
        return;
    if (kind == GIB_ENTRY_FLAGS)
        snprintf(text, sizeof text, "void f(int x); // x=%s", word);
    else
        snprintf(text, sizeof text, "void f(%s%s x)", tag_words[kind], word);
    assert_int_equal(gib_prototype_parse(store, text, &prototype, NULL), 0);
    write_type(out, word, &prototype->parameters[0].type);
    gib_prototype_free(prototype);
}

/* The headers the data came from. */
static void write_includes(FILE *out)
{
    FILE *headers = fopen(DATA_DIRECTORY "/headers.txt", "re");
    char name[256];
    assert_non_null(headers);
    while (fgets(name, sizeof name, headers)) {
        name[strcspn(name, "\n")] = '\0';
        fprintf(out, "#include <%s>\n", name);
    }
    fclose(headers);
}

/* Compiles what `visit` writes of every entry; returns the compiler's status. */
static int compile(const char *prologue,
                   void (*visit)(void *, enum gib_entry_kind, const char *, size_t, const char *))
{
    char folder[] = "/tmp/gibbon-prototypes-XXXXXX", path[128], command[1024];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/check.c", folder);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    fputs(prologue, out);
    write_includes(out);
    gib_store_visit(store, visit, out);
    fclose(out);
    snprintf(command, sizeof command, "%s -D_GNU_SOURCE -std=gnu11 -w -fsyntax-only %s", GIBBON_CC,
             path);
    int status = system(command);
    unlink(path);
    rmdir(folder);
    return status;
}

static void the_compiler_agrees_on_functions(void **state)
{
    /* With __USE_GNU the addresses of socket functions are transparent unions, which are no
     * pointers to the type checker. */
    assert_int_equal(compile("#include <features.h>\n#undef __USE_GNU\n#include <sys/socket.h>\n"
                             "#define __USE_GNU 1\n",
                             write_function),
                     0);
}

static void the_compiler_agrees_on_sizes_and_signs(void **state)
{
    assert_int_equal(compile("#define CLASS(x) __builtin_classify_type(x)\n", write_types), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_readable),
        cmocka_unit_test(the_compiler_agrees_on_functions),
        cmocka_unit_test(the_compiler_agrees_on_sizes_and_signs),
    };
    return cmocka_run_group_tests(tests, open_store, close_store);
}
