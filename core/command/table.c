/* table.c: every command, its options and its help. docs/commands.md has a section for each; a test
 * compares the two. */
#include "command/command.h"

#include <stdlib.h>
#include <string.h>

#define BACKTRACE                                                                                  \
    {                                                                                              \
        "backtrace", GIB_TAKES_OPTIONAL_NUMBER, "[DEPTH]",                                         \
            "record the callers too, at most DEPTH of them (default 16); inlined frames are "      \
            "shown as well and do not count"                                                       \
    }
#define FILTERS                                                                                    \
    {"from", GIB_TAKES_TEXT, "MODULE", "only calls made by this module (a name or a glob)"},       \
        {"during", GIB_TAKES_TEXT, "FUNCTION",                                                     \
         "only calls made inside this function, on the same thread"},                              \
        {"thread", GIB_TAKES_NUMBER, "ID",                                                         \
         "only this thread: the debugger's number or the kernel's id"},                            \
        {"after", GIB_TAKES_NUMBER, "N", "skip the first N calls"},                                \
        {"every", GIB_TAKES_NUMBER, "N", "of the calls left, every N-th only"},                    \
        {"times", GIB_TAKES_NUMBER, "N", "N calls, then off"},                                     \
        {"temporary", GIB_TAKES_NOTHING, NULL, "delete the patch after its first call"},           \
    {                                                                                              \
        "if", GIB_TAKES_TEXT, "'EXPR'",                                                            \
            "only calls for which EXPR is true; the same as \"if EXPR\" at the end"                \
    }
#define PROTOTYPE                                                                                  \
    {                                                                                              \
        "prototype", GIB_TAKES_TEXT, "'C DECLARATION'",                                            \
            "the function's parameters and result, when nothing else knows them"                   \
    }
#define PLACING                                                                                    \
    {"pending", GIB_TAKES_NOTHING, NULL, "wait for a library with this function, do not ask"},     \
        {"all-or-none", GIB_TAKES_NOTHING, NULL, "patch no function when one of them is refused"}, \
    {                                                                                              \
        "disabled", GIB_TAKES_NOTHING, NULL, "define the patch, but disabled"                      \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, GIB_TAKES_NOTHING, NULL, NULL                                                        \
    }

static const struct gib_option wrap_options[] = {
    {"handler", GIB_TAKES_TEXT, "SYMBOL", "give each call to this C function of the target"},
    BACKTRACE,
    {"count", GIB_TAKES_NOTHING, NULL, "count calls, make no records"},
    FILTERS,
    PROTOTYPE,
    {"quiet", GIB_TAKES_NOTHING, NULL, "record, do not print"},
    PLACING,
    END,
};
static const struct gib_option replace_options[] = {
    {"count", GIB_TAKES_NOTHING, NULL,
     "count the calls; without it, and without filters, a call "
     "is one more jump"},
    FILTERS,
    PLACING,
    END,
};
static const struct gib_option mock_options[] = {
    {"errno", GIB_TAKES_TEXT, "NAME", "set errno as well: EACCES, or a number"},
    BACKTRACE,
    {"count", GIB_TAKES_NOTHING, NULL, "count the mocked calls, make no records"},
    FILTERS,
    PROTOTYPE,
    {"quiet", GIB_TAKES_NOTHING, NULL, "record, do not print"},
    PLACING,
    END,
};
static const struct gib_option stop_options[] = {
    FILTERS,
    PROTOTYPE,
    PLACING,
    END,
};
static const struct gib_option load_options[] = {
    {"disabled", GIB_TAKES_NOTHING, NULL, "define the patches, but disabled"},
    END,
};
static const struct gib_option log_options[] = {
    {"last", GIB_TAKES_NUMBER, "N", "only the last N calls"},
    {"save", GIB_TAKES_TEXT, "FILE", "write to FILE instead of the terminal"},
    {"format", GIB_TAKES_TEXT, GIB_LOG_FORMATS,
     "text (default), a JSON object a line, a table, trace events"},
    {"clear", GIB_TAKES_NOTHING, NULL, "forget all calls recorded so far"},
    {"follow", GIB_TAKES_TEXT, "on|off",
     "print calls as they come, or only record them; with -save, write them to FILE as they come"},
    {NULL, GIB_TAKES_NOTHING, NULL, NULL},
};
static const struct gib_option stats_options[] = {
    {"by", GIB_TAKES_TEXT, "caller|thread|argument[=NAME]|result",
     "which calls took the time: the ten groups of calls with the most"},
    {NULL, GIB_TAKES_NOTHING, NULL, NULL},
};
static const struct gib_option no_options[] = {{NULL, GIB_TAKES_NOTHING, NULL, NULL}};

#define LOCATIONS                                                                                  \
    "A LOCATION is one of\n"                                                                       \
    "  FUNCTION            in every module: mkdtemp, ns::Class::method, ns::f(int)\n"              \
    "  MODULE!FUNCTION     in one module: libc.so.6!open\n"                                        \
    "  MODULE?!FUNCTION    the same, now or when the module is loaded\n"                           \
    "  FILE:FUNCTION       declared in this source file: build.c:extract\n"                        \
    "  *ADDRESS            the function at an address or expression\n"                             \
    "MODULE and FUNCTION may be globs, FUNCTION a regular expression: libc.so.6!str*, "            \
    "/^str.*cpy$/."

const struct gib_command gib_command_table[] = {
    {"wrap", "LOCATION... [OPTIONS] [if EXPR]",
     "Log every call of a function, with arguments and result.",
     "The original is still called, at native speed, and the program does not stop. A patch made "
     "before the\n"
     "program runs is applied while it starts, before the first constructor; it comes back at "
     "every run.\n\n"
     "With -handler, each call is given to SYMBOL, a function void handler(struct gibbon_call *) "
     "of the program or\n"
     "of a library: it sees and may change the arguments and the result, and may call the original "
     "or not\n"
     "(gibbon/package.h).\n\n" LOCATIONS,
     "gibbon wrap mkdtemp -backtrace", wrap_options, true, false, false, gib_command_wrap},
    {"replace", "LOCATION WITH [OPTIONS] [if EXPR]", "Let other code run in place of a function.",
     "WITH is a function, or a library: then every function of LOCATION is replaced by its "
     "namesake that the\n"
     "library exports. Calls with -from, -thread and their like that do not match go to the "
     "original.\n\n" LOCATIONS,
     "gibbon replace compress my_compress", replace_options, true, false, false,
     gib_command_replace},
    {"mock", "LOCATION VALUE [OPTIONS] [if EXPR]", "Return a value in place of calling a function.",
     "VALUE is of the type of the function's result: a number, NULL, 'c', \"text\", the name of an "
     "enumerator, or\n"
     "the members of a structure, {1, 2.5}. Calls that -after, -every, -from and their like leave "
     "out go to the\n"
     "original. Mocked calls are logged.\n\n" LOCATIONS,
     "gibbon mock open -1 -errno EACCES", mock_options, true, true, false, gib_command_mock},
    {"stop", "LOCATION... [OPTIONS] [if EXPR]", "Stop in the debugger when a function is called.",
     "As a breakpoint, but what decides is machine code in the program: calls that the options and "
     "the condition leave\n"
     "out cost nanoseconds. With $ret or $errno in the condition it stops when the function has "
     "returned, in its caller.\n"
     "Without a debugger nothing stops.\n\n" LOCATIONS,
     "gibbon stop write if fd == 2", stop_options, true, false, false, gib_command_stop},
    {"commands", "[N] [\"COMMAND\"...]",
     "Set the debugger's commands to execute when a stop is met.",
     "Each word is one command. Without N they are those of the stop made last. Without a command "
     "those that were set\n"
     "are removed; GDB then takes others, one a line, up to \"end\".",
     "gibbon commands 2 \"backtrace 3\" continue", no_options, false, false, false,
     gib_command_commands},
    {"load", "PACKAGE [SET|FUNCTION...]", "Load a package: patches that somebody has written.",
     "PACKAGE is a name that \"gibbon packages\" lists, or a file: NAME.so, NAME.c, which is "
     "compiled "
     "now, or\n"
     "NAME.gibbon, a list of gibbon commands. With names of its sets or functions, only those. Its "
     "code comes into the\n"
     "target when the module that it patches is there.",
     "gibbon load tempfiles", load_options, false, false, false, gib_command_load},
    {"packages", "[PACKAGE...]", "List packages: what they patch, and what of it is active.",
     "They are looked for in the directories of GIBBON_PATH, by default in "
     "~/.config/gibbon/packages, "
     "and among those\n"
     "that come with Gibbon. Of a package with many patches only numbers are shown, unless it is "
     "named. GIBBON_PATCHES names some that are loaded when the debugger starts.",
     "gibbon packages", no_options, false, false, false, gib_command_packages},
    {"during", "\"PATCH COMMAND\" -- DEBUGGER COMMAND",
     "Hold a patch for one command of the debugger.",
     "PATCH COMMAND is a wrap, replace, mock or stop, without the word gibbon. The patch is taken "
     "off "
     "when the other command\n"
     "has ended, also when it failed; one that lets the program run has ended at the next stop.",
     "gibbon during \"mock open -1 -errno EACCES\" -- next", no_options, false, false, true,
     gib_command_during},
    {"list", "[N...]", "List patches: where they are, and how often they were called.",
     "An address of <PENDING> means that no module with the function is loaded; <MULTIPLE> that "
     "there are several functions.",
     "gibbon list 1-3", no_options, false, false, false, gib_command_list},
    {"enable", "[N...]", "Enable patches; without a number, all of them.",
     "Enabling and disabling changes a word in the target, no code. A patch that -times had "
     "switched off starts to count anew.",
     "gibbon enable 2", no_options, false, false, false, gib_command_enable},
    {"disable", "[N...]", "Disable patches; without a number, all of them.",
     "A disabled patch costs its function about a nanosecond a call.", "gibbon disable 1 3",
     no_options, false, false, false, gib_command_disable},
    {"delete", "[N...]", "Delete patches; without a number, all of them.",
     "The function's original bytes are restored. Without a number you are asked, if somebody can "
     "be asked.",
     "gibbon delete 1-2", no_options, false, false, false, gib_command_delete},
    {"log", "[N] [OPTIONS]", "Show or save the recorded calls, of all patches or of patch N.",
     "All calls since the debugger started are kept, in a temporary file, until -clear. While they "
     "are written to FILE as\n"
     "they come, only the newest are kept there. csv is for spreadsheets, trace for Perfetto and "
     "chrome://tracing.",
     "gibbon log -save calls.jsonl -format jsonl", log_options, false, false, false,
     gib_command_log},
    {"stats", "[N...] [-by WHAT]", "Show how often patches were called, and how long calls took.",
     "All calls are counted and timed, also those whose records are lost or were cleared. p50, p90 "
     "and p99 are times\n"
     "that half of the calls, 90 and 99 of 100 did not exceed, to 6 percent; the others are exact. "
     "With patches by\n"
     "number, or up to three patches, a histogram of each follows.\n"
     "A call fails when its function says so by convention: -1 or NULL, with errno set. With "
     "-count, and for\n"
     "replacements, calls are counted only.\n"
     "-by is computed from the log: calls whose records were lost are not in it. -by argument is "
     "the first one.",
     "gibbon stats 1 -by caller", stats_options, false, false, false, gib_command_stats},
    {"explain", "LOCATION", "Show what a patch would do to a function; change nothing.",
     "Shows the entry, the instructions that would be displaced, the prototype and where it is "
     "from, and what a\n"
     "patch would not see.\n\n" LOCATIONS,
     "gibbon explain memcpy", no_options, false, false, false, gib_command_explain},
    {"save", "FILE", "Save the patches as commands that recreate them.",
     "Source the file in either debugger: \"source FILE\" in GDB, \"command source FILE\" in LLDB.",
     "gibbon save patches.gibbon", no_options, false, false, false, gib_command_save},
    {"set", "NAME VALUE", "Change a setting.",
     "\"gibbon show\" lists the settings, their values and what they mean.",
     "gibbon set string-limit 64", no_options, false, false, false, gib_command_set},
    {"show", "[NAME]", "Show one setting, or all.", "", "gibbon show ring-size", no_options, false,
     false, false, gib_command_show},
    {"help", "[COMMAND]", "Show help for a command, or list the commands.", "", "gibbon help wrap",
     no_options, false, false, false, gib_command_help},
    {"version", "", "Show the version of Gibbon and of its agent.", "", "gibbon version",
     no_options, false, false, false, gib_command_version},
    {NULL, NULL, NULL, NULL, NULL, NULL, false, false, false, NULL},
};

const struct gib_command *gib_command_find(const char *name, struct gib_error *error)
{
    const void *found = NULL;
    const char *nearest;
    char list[200];
    size_t matches = gib_match_name(gib_command_table, sizeof *gib_command_table, name, "", &found,
                                    list, sizeof list);
    if (matches == 1)
        return found;
    if (matches > 1)
        gib_fail(error, GIB_E_AMBIGUOUS, 0, "Ambiguous command \"gibbon %.40s\": %s.", name, list);
    else if ((nearest = gib_nearest_name(gib_command_table, sizeof *gib_command_table, name)))
        gib_fail(error, GIB_E_SYNTAX, 0,
                 "Undefined gibbon command: \"%.60s\". Did you mean \"gibbon %s\"?", name, nearest);
    else
        gib_fail(error, GIB_E_SYNTAX, 0,
                 "Undefined gibbon command: \"%.60s\". Try \"gibbon help\".", name);
    return NULL;
}
