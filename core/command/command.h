/*
 * command.h: the command language. One table (table.c) drives parsing, help and completion; each
 * command is a function.
 */
#ifndef GIBBON_COMMAND_H
#define GIBBON_COMMAND_H

#include <stdio.h>
#include "engine/internal.h"

enum gib_option_argument {
    GIB_TAKES_NOTHING,
    GIB_TAKES_NUMBER,
    GIB_TAKES_TEXT,
    GIB_TAKES_OPTIONAL_NUMBER
};

struct gib_option {
    const char *name; /* without its dash */
    enum gib_option_argument argument;
    const char *argument_name; /* for help: "N" */
    const char *help;          /* one line, no full stop */
};

/* The words of a command after parsing. */
struct gib_arguments {
    char *text;      /* owned copy of the command line; the words point into it */
    char *word[256]; /* what is no option, in order */
    char quote[256]; /* that the word began with, and that is no part of it; or 0 */
    size_t words;
    struct {
        const struct gib_option *option;
        char *text; /* NULL when it has none */
        uint64_t number;
    } option[32];
    size_t options;
    char *condition; /* behind `if`, or NULL */
    char *rest;      /* behind `--` of a command that takes it, or NULL */
    bool interactive;
};

struct gib_command {
    const char *name;
    const char *usage;   /* behind "gibbon NAME" */
    const char *summary; /* one sentence with a full stop, at most 70 columns */
    const char *details; /* paragraphs */
    const char *example;
    const struct gib_option *options; /* ends with a NULL name */
    bool takes_condition;
    bool takes_value; /* -2 is a word, no option */
    bool takes_rest;  /* behind -- there is text that is not looked at */
    int (*run)(struct gib_engine *engine, const struct gib_arguments *arguments,
               struct gib_error *error);
};

extern const struct gib_command gib_command_table[];
/* By name or unique abbreviation; NULL with *error. */
const struct gib_command *gib_command_find(const char *name, struct gib_error *error);

/* parse.c */
/* How many entries of a table are meant by a name or its beginning: *found is the last of them, and
 * `list` names them. Entries begin with their name; one without ends the table. An entry of just
 * this name is the only one meant. */
size_t gib_match_name(const void *table, size_t entry_size, const char *name, const char *prefix,
                      const void **found, char *list, size_t list_size);
/* The name of such a table's entry that `name` is most like; NULL when none is like it. */
const char *gib_nearest_name(const void *table, size_t entry_size, const char *name);
/* By name or unique abbreviation, without dashes; NULL with *error. */
const struct gib_option *gib_option_find(const struct gib_command *command, const char *name,
                                         struct gib_error *error);
int gib_arguments_parse(const struct gib_command *command, const char *text,
                        struct gib_arguments *out, struct gib_error *error);
void gib_arguments_free(struct gib_arguments *arguments);
const char *gib_argument_text(const struct gib_arguments *arguments,
                              const char *option); /* NULL: not given */
bool gib_argument_given(const struct gib_arguments *arguments, const char *option);
uint64_t gib_argument_number(const struct gib_arguments *arguments, const char *option,
                             uint64_t otherwise);
/* A file for output, empty; NULL and *error, also for a pipe that nobody reads. The caller closes
 * it and looks at what that says. */
FILE *gib_open_output(const char *path, struct gib_error *error);
/* Writes a word so that the parser reads it back as it is. */
void gib_write_word(FILE *out, const char *word);
/* The index of `value` among the words of `choices` ("on|off"), unique abbreviations included;
 * -1. */
int gib_choose(const char *choices, const char *value);
/* A whole number, "1048576", "0x10", "64K", "4M". */
int gib_parse_number(const char *text, uint64_t *number, struct gib_error *error);
/* Patch numbers and ranges, "1 3 5-7", into a malloc'ed array of patches; no word: all. Unknown
 * ones are an error. */
int gib_parse_patches(struct gib_engine *engine, const struct gib_arguments *arguments,
                      size_t first_word, struct gib_patch ***patches, size_t *count,
                      struct gib_error *error);

/* patch.c */
/* Fills in what is special of a type of patch, before the common options. */
typedef int gib_fill_patch(struct gib_engine *engine, const struct gib_arguments *arguments,
                           struct gib_patch *patch, struct gib_error *error);
/* One patch for each of the first `locations` words, all of them or none; `fill` may be NULL. */
int gib_define_patches(struct gib_engine *engine, const struct gib_arguments *arguments,
                       size_t locations, gib_fill_patch *fill, struct gib_error *error);
/* Puts a new patch on the functions that are there. 0; -1: there are none yet; or a GIB_E_ code. */
int gib_patch_place(struct gib_engine *engine, struct gib_patch *patch, struct gib_error *error);
/* "Patch 1: wrap f at 0x... in m." and what else is to be said of a new patch. */
void gib_patch_announce(struct gib_engine *engine, const struct gib_patch *patch);
/* coherence.c: a line for each patch from index `first` on without functions that belong to its
 * own: open without openat, malloc without free. */
void gib_warn_incoherent(struct gib_engine *engine, size_t first);
/* load.c: the word of `gibbon load PACKAGE` that chooses this one registration; malloc'ed. */
char *gib_registration_word(const struct gib_package *content, const struct gib_registration *r);
/* Whether a patch of the list is of this registration. */
bool gib_registration_used(struct gib_engine *engine, const struct gib_registration *r);
/* wrap.c: "replace", and " with my_compress"; the second is malloc'ed. */
const char *gib_patch_verb(const struct gib_patch *patch);
char *gib_patch_effect(const struct gib_patch *patch);

/* patch.c: "Function "f" not found in any loaded module. Did you mean g?" Malloc'ed; a process is
 * there. */
char *gib_not_found(struct gib_engine *engine, const struct gib_location *location);

/* refused.c */
/* Each function with its reason, the reasons one after the other; at most so many of each. */
void gib_show_refusals(struct gib_engine *engine, const struct gib_refusals *list,
                       const char *indent, size_t most);
/* A line: how many of each reason; nothing when none was refused. */
void gib_summarize_refusals(struct gib_engine *engine, const struct gib_patch *patch,
                            const char *indent);

/* A line: how many wait, and what for; nothing when none does. */
void gib_show_delay(struct gib_engine *engine, const struct gib_patch *patch, const char *indent);

/* references.c */
/* After a patch was made, in its command's output: what refers to its functions and is not patched.
 * Says nothing of a patch that is on no function. */
void gib_note_references(struct gib_engine *engine, struct gib_patch *patch);
/* All that a patch on the site would not see; `found`: the functions that it would be on. */
void gib_explain_references(struct gib_engine *engine, const struct gib_site_state *site,
                            const struct gib_found_list *found);

/* preview.c: what a patch on the functions found would do, without a line for each. */
int gib_preview(struct gib_engine *engine, const struct gib_patch *patch,
                const struct gib_found_list *found, struct gib_error *error);

/* The commands. */
int gib_command_wrap(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_replace(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_mock(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_stop(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_commands(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_load(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_packages(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_during(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_list(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_enable(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_disable(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_delete(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_log(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_stats(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_explain(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_save(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_set(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_show(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_help(struct gib_engine *, const struct gib_arguments *, struct gib_error *);
int gib_command_version(struct gib_engine *, const struct gib_arguments *, struct gib_error *);

/* settings.c */
struct gib_setting {
    const char *name, *values, *help;
};
extern const struct gib_setting gib_setting_table[];
/* By name or unique abbreviation; NULL with *error. */
const struct gib_setting *gib_setting_find(const char *name, struct gib_error *error);
char *gib_setting_value(const struct gib_engine *engine, const char *name); /* malloc'ed */

#endif
