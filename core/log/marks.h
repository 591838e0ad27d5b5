/*
 * marks.h: what a piece of a line is, for a debugger that shows it in a style of its own.
 *
 *   "\x10mkdtemp\x0f(\x14template\x0f=...": a byte before the piece and one behind it.
 *
 * All that comes from the target is escaped, so these bytes are never its own. They leave the
 * engine as escape sequences, or not at all (gib_marks_translate).
 */
#ifndef GIBBON_MARKS_H
#define GIBBON_MARKS_H

enum gib_mark {
    GIB_MARK_END = 0x0f,
    /* in the order of gib_target_operations.styles */
    GIB_MARK_FUNCTION = 0x10,
    GIB_MARK_FILE,
    GIB_MARK_LINE,
    GIB_MARK_ADDRESS,
    GIB_MARK_VARIABLE,
    GIB_MARK_METADATA,
    GIB_MARK_HIGHLIGHT,
    GIB_MARK_TITLE,
    GIB_MARK_BEYOND, /* the last one is before it */
};

/* `text` as a terminal is to get it: each mark as the escape sequence for it, or without marks.
 * `styles` as of gib_target_operations.styles. Malloc'ed, NULL out of memory. */
char *gib_marks_translate(const char *text, const char *styles);

#endif
