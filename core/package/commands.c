/*
 * commands.c: packages that are files of commands, and sentences for the user.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "package/internal.h"

enum { LARGEST = 1 << 20 };

int gib_package_fail(struct gib_error *error, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    error->code = code;
    error->address = 0;
    return code;
}

static char *without_blanks(char *text)
{
    text += strspn(text, " \t\v\f\r");
    for (size_t size = strlen(text); size && strchr(" \t\v\f\r", text[size - 1]);)
        text[--size] = '\0';
    return text;
}

/* `gibbon save` writes lines that debuggers understand too. */
static const char *without_word(const char *text)
{
    size_t word = strlen("gibbon");
    if (!strncmp(text, "gibbon", word) && (text[word] == ' ' || text[word] == '\t'))
        text += word + strspn(text + word, " \t");
    return text;
}

static int add(struct gib_command_list *list, const char *text, unsigned line)
{
    if (!(list->count & (list->count - 1))) { /* room doubles: 1, 2, 4... */
        size_t room = list->count ? list->count * 2 : 1;
        void *grown = realloc(list->commands, room * sizeof *list->commands);
        if (!grown)
            return GIB_E_MEMORY;
        list->commands = grown;
    }
    char *copy = strdup(text);
    if (!copy)
        return GIB_E_MEMORY;
    list->commands[list->count++] = (struct gib_command_line){copy, line};
    return 0;
}

static int split(char *text, struct gib_command_list *list)
{
    unsigned number = 0;
    int failed = 0;
    for (char *next = text; next && !failed;) {
        char *line = next;
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        line = without_blanks(line);
        number++;
        if (*line == '#') {
            char *words = without_blanks(line + strspn(line, "#"));
            if (number == 1 && *words && !(list->description = strdup(words)))
                failed = GIB_E_MEMORY;
        } else if (*line) {
            failed = add(list, without_word(line), number);
        }
    }
    return failed;
}

int gib_commands_read(const char *path, struct gib_command_list *list, struct gib_error *error)
{
    memset(list, 0, sizeof *list);
    FILE *file = fopen(path, "re");
    char *text = file ? malloc(LARGEST + 2) : NULL;
    if (!text) {
        int cause = errno;
        if (file)
            fclose(file);
        return gib_package_fail(error, file ? GIB_E_MEMORY : GIB_E_FILE, "%s cannot be read: %s.",
                                gib_shown_path(path), strerror(cause));
    }
    size_t size = fread(text, 1, LARGEST + 1, file);
    int failed = 0;
    if (ferror(file))
        failed = gib_package_fail(error, GIB_E_FILE, "%s cannot be read: %s.", gib_shown_path(path),
                                  strerror(errno));
    else if (size > LARGEST)
        failed = gib_package_fail(error, GIB_E_FILE, "%s is too large for a file of commands.",
                                  gib_shown_path(path));
    else if (memchr(text, '\0', size))
        failed =
            gib_package_fail(error, GIB_E_FILE, "%s is not a file of commands: it is not text.",
                             gib_shown_path(path));
    fclose(file);
    text[size] = '\0';
    if (!failed && split(text, list))
        failed = gib_package_fail(error, GIB_E_MEMORY, "Out of memory.");
    free(text);
    if (failed)
        gib_commands_free(list);
    return failed;
}

void gib_commands_free(struct gib_command_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->commands[i].text);
    free(list->commands);
    free(list->description);
    memset(list, 0, sizeof *list);
}
