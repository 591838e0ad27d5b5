/* settings.c: the settings and their values. */
#include "command/command.h"

#include <stdlib.h>
#include <string.h>

const struct gib_setting gib_setting_table[] = {
    {"follow", "on|off", "print calls as they come"},
    {"indent", "on|off", "show calls inside other calls indented, between two lines of those"},
    {"on-detach", "remove|keep", "what happens to patches when the debugger lets the program go"},
    {"overflow", "block|overwrite",
     "what a thread does when its ring is full: wait for the reader, or lose the oldest calls"},
    {"pending", "auto|on|off",
     "whether a patch whose function is not found waits for it; auto asks"},
    {"ring-size", "BYTES",
     "memory for the records of one thread, from the next run on: 128K to 64M, a power of two"},
    {"string-limit", "BYTES", "how much of a text argument is kept: 1 to 4096"},
    {NULL, NULL, NULL},
};

const struct gib_setting *gib_setting_find(const char *name, struct gib_error *error)
{
    const void *found = NULL;
    const char *nearest;
    char list[200];
    size_t matches = gib_match_name(gib_setting_table, sizeof *gib_setting_table, name, "", &found,
                                    list, sizeof list);
    if (matches == 1)
        return found;
    if (matches > 1)
        gib_fail(error, GIB_E_AMBIGUOUS, 0, "Setting \"%.40s\" is ambiguous: %s.", name, list);
    else if ((nearest = gib_nearest_name(gib_setting_table, sizeof *gib_setting_table, name)))
        gib_fail(error, GIB_E_NOT_FOUND, 0, "No setting \"%.40s\". Did you mean %s?", name,
                 nearest);
    else
        gib_fail(error, GIB_E_NOT_FOUND, 0, "No setting \"%.40s\"; \"gibbon show\" lists them.",
                 name);
    return NULL;
}

char *gib_setting_value(const struct gib_engine *engine, const char *name)
{
    static const char *const pending[] = {"off", "on", "auto"};
    const struct gib_settings *s = &engine->settings;
    if (!strcmp(name, "follow"))
        return strdup(s->follow ? "on" : "off");
    if (!strcmp(name, "indent"))
        return strdup(s->indent ? "on" : "off");
    if (!strcmp(name, "on-detach"))
        return strdup(s->keep_on_detach ? "keep" : "remove");
    if (!strcmp(name, "overflow"))
        return strdup(s->overwrite ? "overwrite" : "block");
    if (!strcmp(name, "pending"))
        return strdup(pending[s->pending]);
    if (!strcmp(name, "ring-size"))
        return gib_format("%llu", (unsigned long long)s->ring_size);
    return gib_format("%u", s->string_limit);
}

int gib_choose(const char *choices, const char *value)
{
    int index = 0, found = -1, matches = 0;
    for (const char *at = choices; *at; index++) {
        size_t length = strcspn(at, "|");
        if (!strncmp(at, value, strlen(value)) && strlen(value) <= length) {
            if (strlen(value) == length)
                return index;
            found = index;
            matches++;
        }
        at += length + (at[length] == '|');
    }
    return matches == 1 ? found : -1;
}

static int set_number(struct gib_engine *engine, const struct gib_setting *setting,
                      const char *value, struct gib_error *error)
{
    uint64_t number;
    struct gib_error ignored;
    bool bad = gib_parse_number(value, &number, &ignored) != 0;
    if (!strcmp(setting->name, "string-limit")) {
        if (bad || number < 1 || number > GIB_MAX_STRING_LIMIT)
            return gib_fail(error, GIB_E_SYNTAX, 0,
                            "string-limit is a number of bytes from 1 to %d, not \"%.40s\".",
                            GIB_MAX_STRING_LIMIT, value);
        engine->settings.string_limit = (unsigned)number;
        return 0;
    }
    if (bad || number < (128 << 10) || number > (64 << 20) || (number & (number - 1)))
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "ring-size is a number of bytes, a power of two from 128K to 64M, not "
                        "\"%.40s\".",
                        value);
    engine->settings.ring_size = number;
    return 0;
}

/* Records grow with the limit: room for them is made before the agent may use it. */
static void apply_settings(struct gib_engine *engine)
{
    struct gib_process *process = engine->process;
    if (!process || !process->installed)
        return;
    for (size_t i = 0; i < engine->patch_count; i++)
        gib_patch_update(engine, engine->patch[i], NULL);
    process->shared->string_limit = engine->settings.string_limit;
    process->shared->overflow = engine->settings.overwrite;
}

int gib_command_set(struct gib_engine *engine, const struct gib_arguments *arguments,
                    struct gib_error *error)
{
    const struct gib_setting *setting =
        arguments->words ? gib_setting_find(arguments->word[0], error) : NULL;
    if (arguments->words && !setting)
        return error->code;
    if (arguments->words == 1)
        return gib_fail(error, GIB_E_SYNTAX, 0, "%s needs a value: %s.", setting->name,
                        strcmp(setting->values, "BYTES") ? setting->values : "a number of bytes");
    if (arguments->words != 2)
        return gib_fail(
            error, GIB_E_SYNTAX, 0,
            "\"gibbon set\" takes one setting and one value: gibbon set string-limit 64.");
    struct gib_settings *s = &engine->settings;
    const char *value = arguments->word[1];
    if (strstr(setting->values, "BYTES")) {
        int failed = set_number(engine, setting, value, error);
        if (!failed)
            apply_settings(engine);
        return failed;
    }
    if (!strcmp(setting->name, "overflow") && !strcmp(value, "wait"))
        value = "block"; /* its old name */
    int choice = gib_choose(setting->values, value);
    if (choice < 0)
        return gib_fail(error, GIB_E_SYNTAX, 0, "%s is one of %s, not \"%.40s\".", setting->name,
                        setting->values, value);
    if (!strcmp(setting->name, "follow"))
        s->follow = choice == 0;
    else if (!strcmp(setting->name, "indent"))
        gib_log_indent(engine->log, s->indent = choice == 0);
    else if (!strcmp(setting->name, "on-detach"))
        s->keep_on_detach = choice == 1;
    else if (!strcmp(setting->name, "overflow"))
        s->overwrite = choice == 1;
    else
        s->pending = choice == 0 ? 2 : choice == 1 ? 1 : 0;
    apply_settings(engine);
    return 0;
}

int gib_command_show(struct gib_engine *engine, const struct gib_arguments *arguments,
                     struct gib_error *error)
{
    if (arguments->words > 1)
        return gib_fail(error, GIB_E_SYNTAX, 0, "\"gibbon show\" takes one setting.");
    const struct gib_setting *one =
        arguments->words ? gib_setting_find(arguments->word[0], error) : NULL;
    if (arguments->words && !one)
        return error->code;
    for (const struct gib_setting *s = gib_setting_table; s->name; s++) {
        if (one && s != one)
            continue;
        char *value = gib_setting_value(engine, s->name);
        gib_print(engine, "%-14s %-10s %s (%s)\n", s->name, value ? value : "?", s->help,
                  s->values);
        free(value);
    }
    return 0;
}
