/*
 * complete.c: what the last word of a command can become.
 *
 * Answers are whole words. A debugger adds its own names of functions where a location is wanted.
 */
#include "command/command.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The word to complete; answers go to `out`, one a line, each behind `prefix` ("-from="). */
struct completion {
    struct gib_engine *engine;
    FILE *out;
    const char *word, *prefix;
    bool functions;
};

static bool offer(struct completion *c, const char *candidate)
{
    if (strncmp(candidate, c->word, strlen(c->word)))
        return false;
    fprintf(c->out, "%s%s\n", c->prefix, candidate);
    return true;
}

static void offer_commands(struct completion *c)
{
    for (const struct gib_command *command = gib_command_table; command->name; command++)
        offer(c, command->name);
}

static void offer_options(struct completion *c, const struct gib_command *command)
{
    const char *dashes = c->word[1] == '-' ? "--" : "-";
    struct completion bare = *c;
    bare.word += strlen(dashes);
    bare.prefix = dashes;
    for (const struct gib_option *o = command->options; o && o->name; o++)
        offer(&bare, o->name);
}

static void offer_modules(struct completion *c, const char *suffix)
{
    struct gib_engine *engine = c->engine;
    struct gib_modules *modules = engine->process ? engine->process->modules : NULL;
    for (size_t i = 0; modules && i < gib_modules_count(modules); i++) {
        struct gib_module *module = gib_modules_get(modules, i);
        if (!module->gone && !strncmp(module->name, c->word, strlen(c->word)))
            fprintf(c->out, "%s%s%s\n", c->prefix, module->name, suffix);
    }
}

/* MODULE!FUNC... */
static void offer_functions(struct completion *c, const char *bang)
{
    enum { ENOUGH = 500 };
    struct gib_modules *modules = c->engine->process ? c->engine->process->modules : NULL;
    size_t written = 0, length = (size_t)(bang - c->word);
    for (size_t i = 0; modules && i < gib_modules_count(modules); i++) {
        struct gib_module *module = gib_modules_get(modules, i);
        if (module->gone || !module->elf || strlen(module->name) != length ||
            strncmp(module->name, c->word, length))
            continue;
        gib_modules_lock(modules);
        const struct gib_elf_symbol *symbols;
        size_t count = gib_elf_functions(module->elf, &symbols);
        for (size_t k = 0; k < count && written < ENOUGH; k++) {
            if (strncmp(symbols[k].name, bang + 1, strlen(bang + 1)))
                continue;
            fprintf(c->out, "%s!%s\n", module->name, symbols[k].name);
            written++;
        }
        gib_modules_unlock(modules);
    }
}

static void offer_location(struct completion *c)
{
    const char *bang = strchr(c->word, '!');
    c->functions = !bang;
    if (bang)
        offer_functions(c, bang);
    else
        offer_modules(c, "!");
}

static void offer_patches(struct completion *c)
{
    char number[16];
    for (size_t i = 0; i < c->engine->patch_count; i++) {
        snprintf(number, sizeof number, "%d", c->engine->patch[i]->number);
        if (c->engine->patch[i]->number)
            offer(c, number);
    }
}

static void offer_threads(struct completion *c)
{
    struct gib_target_thread *threads;
    size_t count;
    char number[16];
    if (!c->engine->process || c->engine->ops.state(c->engine->context) != GIB_TARGET_STOPPED ||
        gib_target_threads(c->engine, &threads, &count, NULL))
        return;
    for (size_t i = 0; i < count; i++) {
        snprintf(number, sizeof number, "%d", threads[i].number);
        offer(c, number);
    }
    free(threads);
}

/* "on|off" */
static void offer_choices(struct completion *c, const char *choices)
{
    char *copy = strdup(choices), *save;
    for (char *one = copy ? strtok_r(copy, "|", &save) : NULL; one;
         one = strtok_r(NULL, "|", &save))
        if (strcmp(one, "BYTES"))
            offer(c, one);
    free(copy);
}

static void offer_settings(struct completion *c)
{
    for (const struct gib_setting *s = gib_setting_table; s->name; s++)
        offer(c, s->name);
}

/* Names that need no quotes. The only match is a directory: what is in it is offered, as the word
 * goes on there. */
static void offer_files(struct completion *c, const char *word)
{
    const char *slash = strrchr(word, '/');
    size_t folder = slash ? (size_t)(slash - word) + 1 : 0, matches = 0;
    char path[4200], only[4200] = "";
    snprintf(path, sizeof path, "%.*s", (int)(folder < 4000 ? folder : 4000), word);
    DIR *directory = opendir(folder ? path : ".");
    struct dirent *entry;
    struct completion here = *c;
    here.word = word;
    while (directory && (entry = readdir(directory))) {
        struct stat status;
        bool hidden = entry->d_name[0] == '.' && word[folder] != '.';
        if (hidden || !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
            strpbrk(entry->d_name, " \t\n()'\"\\") ||
            strncmp(entry->d_name, word + folder, strlen(word + folder)))
            continue;
        snprintf(path, sizeof path, "%.*s%s", (int)(folder < 3900 ? folder : 3900), word,
                 entry->d_name);
        bool is_directory = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
        if (is_directory)
            strcat(path, "/");
        if (++matches == 1) {
            strcpy(only, path);
            continue; /* shown when there is another one, or it is a file */
        }
        if (matches == 2)
            offer(&here, only);
        offer(&here, path);
    }
    if (directory)
        closedir(directory);
    size_t length = strlen(only);
    if (matches == 1 && length && only[length - 1] == '/' && strcmp(only, word)) {
        long before = ftell(c->out);
        offer_files(c, only);
        if (ftell(c->out) == before)
            offer(&here, only);
    } else if (matches == 1) {
        offer(&here, only);
    }
}

static void offer_name(void *context, const char *name)
{
    offer(context, name);
}

/* The name that the word ends with, in a condition of the function at `location`. */
static void offer_condition(struct completion *c, const char *location)
{
    size_t start = strlen(c->word);
    while (start && (isalnum((unsigned char)c->word[start - 1]) || c->word[start - 1] == '_' ||
                     c->word[start - 1] == '$'))
        start--;
    char *before = strndup(c->word, start);
    struct completion name = *c;
    name.word += start;
    name.prefix = before;
    bool member = start && (c->word[start - 1] == '.' || c->word[start - 1] == '>');
    if (before && !member)
        gib_condition_words(c->engine, location, offer_name, &name);
    free(before);
}

/* ---- what is wanted here ---- */

static void offer_value(struct completion *c, const struct gib_option *option)
{
    if (!strcmp(option->name, "from"))
        offer_modules(c, "");
    else if (!strcmp(option->name, "thread"))
        offer_threads(c);
    else if (!strcmp(option->name, "save"))
        offer_files(c, c->word);
    else if (option->argument_name && strchr(option->argument_name, '|'))
        offer_choices(c, option->argument_name);
}

/* The option that a word names, if it takes a value. */
static const struct gib_option *option_with_value(const struct gib_command *command,
                                                  const char *word)
{
    struct gib_error ignored;
    if (word[0] != '-' || strchr(word, '='))
        return NULL;
    const struct gib_option *option =
        gib_option_find(command, word + 1 + (word[1] == '-'), &ignored);
    bool takes =
        option && (option->argument == GIB_TAKES_NUMBER || option->argument == GIB_TAKES_TEXT);
    return takes ? option : NULL;
}

/* What is no option, the `number`-th such word of the command, from 0. */
static void offer_word(struct completion *c, const struct gib_command *command, size_t number,
                       const char *first)
{
    struct gib_error ignored;
    if (!strcmp(command->name, "wrap") || !strcmp(command->name, "stop") ||
        (!strcmp(command->name, "explain") && number == 0)) {
        offer_location(c);
    } else if (!strcmp(command->name, "help") && number == 0) {
        offer_commands(c);
    } else if (!strcmp(command->name, "set") && number == 1) {
        const struct gib_setting *setting = gib_setting_find(first, &ignored);
        if (setting)
            offer_choices(c, setting->values);
    } else if ((!strcmp(command->name, "set") || !strcmp(command->name, "show")) && number == 0) {
        offer_settings(c);
    } else if (!strcmp(command->name, "save") && number == 0) {
        offer_files(c, c->word);
    } else if (strstr(command->usage, "[N...]") || (!strcmp(command->name, "log") && number == 0)) {
        offer_patches(c);
    }
}

static void complete(struct completion *c, const struct gib_command *command, char *const word[],
                     size_t words)
{
    const struct gib_option *option = NULL;
    size_t plain = 0;
    const char *first = "";
    bool condition = false;
    for (size_t i = 0; i < words && !condition; i++) {
        condition = command->takes_condition && !option && !strcmp(word[i], "if");
        if (option) {
            option = NULL; /* its value */
        } else if (word[i][0] == '-' && word[i][1]) {
            option = option_with_value(command, word[i]);
        } else if (plain++ == 0) {
            first = word[i];
        }
    }
    const char *equals = strchr(c->word, '=');
    if (condition) {
        offer_condition(c, first);
    } else if (option) {
        offer_value(c, option);
    } else if (c->word[0] == '-' && equals) {
        char *name = strndup(c->word, (size_t)(equals - c->word)),
             *prefix = strndup(c->word, (size_t)(equals - c->word) + 1);
        option = name ? option_with_value(command, name) : NULL;
        if (option && prefix) {
            c->word = equals + 1;
            c->prefix = prefix;
            offer_value(c, option);
        }
        free(name);
        free(prefix);
    } else if (c->word[0] == '-') {
        offer_options(c, command);
    } else {
        offer_word(c, command, plain, first);
    }
}

const char *gib_engine_complete(struct gib_engine *engine, const char *text, bool *functions)
{
    char *result = NULL, *copy = strdup(text), *save;
    size_t size;
    FILE *out = open_memstream(&result, &size);
    pthread_mutex_lock(&engine->lock);
    bool fresh = !*text || isspace((unsigned char)text[strlen(text) - 1]);
    char *word[66] = {NULL};
    size_t words = 0;
    for (char *w = copy ? strtok_r(copy, " \t", &save) : NULL; w && words < 64;
         w = strtok_r(NULL, " \t", &save))
        word[words++] = w;
    struct completion c = {engine, out, fresh || !words ? "" : word[words - 1], "", false};
    size_t before = fresh ? words : words ? words - 1 : 0; /* complete words */
    struct gib_error ignored;
    const struct gib_command *command = before ? gib_command_find(word[0], &ignored) : NULL;
    if (out && before == 0)
        offer_commands(&c);
    else if (out && command)
        complete(&c, command, word + 1, before - 1);
    *functions = c.functions;
    if (out)
        fclose(out);
    if (result && size)
        result[size - 1] = '\0';
    pthread_mutex_unlock(&engine->lock);
    free(copy);
    free(engine->reply);
    engine->reply = result;
    return result;
}
