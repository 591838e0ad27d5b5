/*
 * demangle.c: symbol names as people write them.
 */
#include <ctype.h>
#include <string.h>
#include <stdlib.h>
#include "elf/file.h"

/* libstdc++'s; <cxxabi.h> is for C++ only. */
extern char *__cxa_demangle(const char *name, char *buffer, size_t *size, int *status);

char *gib_elf_demangle(const char *name)
{
    char *demangled = NULL;
    /* Without the prefix __cxa_demangle would take "i" for the type int. */
    if (!strncmp(name, "_Z", 2))
        demangled = __cxa_demangle(name, NULL, NULL, NULL);
    return demangled ? demangled : strdup(name);
}

bool gib_elf_drop_tags(char *name)
{
    char *tag, *end;
    bool any = false;
    while ((tag = strstr(name, "[abi:")) && (end = strchr(tag, ']'))) {
        memmove(tag, end + 1, strlen(end + 1) + 1);
        any = true;
    }
    return any;
}

/* Where the parameter list of a demangled function begins: the first `(` outside of template
 * arguments that is neither `(anonymous namespace)` nor part of `operator()`. */
static size_t parameters_at(const char *text)
{
    int depth = 0;
    for (size_t i = 0; text[i]; i++) {
        if (!strncmp(text + i, "operator", 8) && (i == 0 || !isalnum((unsigned char)text[i - 1]))) {
            i += 8; /* its symbols are no brackets */
            while (text[i] && strchr("<>=!()[]&|+-*/%^~,", text[i]) &&
                   !(text[i] == '(' && text[i + 1] != ')'))
                i += text[i] == '(' ? 2 : 1;
            i--;
            continue;
        }
        if (!strncmp(text + i, "(anonymous namespace)", 21)) {
            i += 20;
            continue;
        }
        depth += text[i] == '<';
        depth -= text[i] == '>' && depth > 0;
        if (text[i] == '(' && depth == 0)
            return i;
    }
    return strlen(text);
}

char *gib_elf_function_name(const char *symbol)
{
    char *text = gib_elf_demangle(symbol);
    if (!text || !strcmp(text, symbol))
        return text;
    size_t end = parameters_at(text), start = 0;
    int depth = 0;
    /* The result's type stands before the name of a template instance. */
    for (size_t i = 0; i < end; i++) {
        if (!strncmp(text + i, "operator", 8))
            break;
        if (!strncmp(text + i, "(anonymous namespace)", 21))
            i += 20;
        depth += text[i] == '<' || text[i] == '(';
        depth -= (text[i] == '>' || text[i] == ')') && depth > 0;
        if (text[i] == ' ' && depth == 0)
            start = i + 1;
    }
    memmove(text, text + start, end - start);
    text[end - start] = '\0';
    return text;
}
