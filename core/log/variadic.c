/* variadic.c: the arguments behind the named ones, as far as the function itself says what they
 * are. */
#include <string.h>
#include "agent/format.h"
#include "log/log.h"

static void separate(enum gib_value_form form, size_t *written, struct gib_out *out)
{
    if (form == GIB_VALUE_TEXT)
        gib_out_text(out, ", ");
    else if (*written)
        gib_out_byte(out, ',');
    ++*written;
}

/* What followed the named arguments of a printf, shown as its format says. */
static void write_format_values(const struct gib_log_view *view, enum gib_value_form form,
                                const struct gib_chunk *format, const struct gib_chunk *extra,
                                struct gib_out *out)
{
    static const struct gib_type integer = {.kind = GIB_TYPE_INT, .size = 4, .is_signed = true};
    static const struct gib_type wide = {.kind = GIB_TYPE_INT, .size = 8, .is_signed = true};
    static const struct gib_type number = {.kind = GIB_TYPE_FLOAT, .size = 8};
    static const struct gib_type wide_number = {.kind = GIB_TYPE_FLOAT, .size = 16};
    static const struct gib_type text = {.kind = GIB_TYPE_STRING, .size = 8};
    static const struct gib_type pointer = {.kind = GIB_TYPE_POINTER, .size = 8};
    const char *bytes = gib_log_chunk_bytes(format);
    uint32_t count = extra->size / 8, next = 0;
    uint64_t values[64];
    size_t written = 0;
    if (count > 64)
        count = 64;
    memcpy(values, gib_log_chunk_bytes(extra), count * 8);
    for (uint32_t at = 0; at < format->size && next < count;) {
        if (bytes[at++] != '%')
            continue;
        struct gib_conversion c;
        uint32_t begin = at;
        at = gib_parse_conversion(bytes, format->size, at, &c);
        for (uint32_t i = 0; i < c.stars && next < count; i++, next++) {
            separate(form, &written, out);
            gib_value_write(out, form, &integer, &values[next], 1, NULL);
        }
        if (c.stop || next >= count)
            break;
        if (!c.kind)
            continue;
        separate(form, &written, out);
        char letter = bytes[at - 1];
        bool is_wide =
            memchr(bytes + begin, 'l', at - begin) || memchr(bytes + begin, 'z', at - begin) ||
            memchr(bytes + begin, 'j', at - begin) || memchr(bytes + begin, 't', at - begin);
        struct gib_type type = is_wide ? wide : integer;
        type.is_signed = letter == 'd' || letter == 'i';
        if (c.kind == 'L' && next + 1 < count) {
            gib_value_write(out, form, &wide_number, &values[next], 2, NULL);
            next++;
        } else if (c.kind == 'f') {
            gib_value_write(out, form, &number, &values[next], 1, NULL);
        } else if (c.kind == 's') {
            gib_value_write(out, form, &text, &values[next], 1,
                            gib_log_chunk(view, GIB_CHUNK_EXTRA_STRING, (int)next));
        } else if (letter == 'p' || letter == 'n' || letter == 's' || letter == 'S') {
            gib_value_write(out, form, &pointer, &values[next], 1, NULL);
        } else if (letter == 'c' || letter == 'C') {
            type = (struct gib_type){.kind = GIB_TYPE_CHAR, .size = 1, .is_signed = true};
            gib_value_write(out, form, &type, &values[next], 1, NULL);
        } else {
            gib_value_write(out, form, &type, &values[next], 1, NULL);
        }
        next++;
    }
}

void gib_variadic_write(const struct gib_log_view *view, enum gib_value_form form,
                        struct gib_out *out)
{
    const struct gib_prototype *prototype = view->site->prototype;
    const struct gib_convention *convention = &view->site->convention;
    const struct gib_chunk *extra = gib_log_chunk(view, GIB_CHUNK_EXTRA, -1);
    if (prototype->variadic == GIB_VARIADIC_OPEN && extra && extra->size == 8) {
        uint64_t mode;
        memcpy(&mode, gib_log_chunk_bytes(extra), 8);
        gib_out_printf(out, form == GIB_VALUE_JSON ? ",\"mode\":%u" : ", mode=0%o", (unsigned)mode);
    } else if (prototype->variadic == GIB_VARIADIC_PRINTF && prototype->parameter_count) {
        size_t last = prototype->parameter_count - 1;
        const struct gib_chunk *format =
            last < convention->parameters
                ? gib_log_chunk(view, GIB_CHUNK_STRING, convention->parameter[last].first)
                : NULL;
        if (!format || !extra)
            return;
        gib_out_text(out, form == GIB_VALUE_JSON ? ",\"more\":[" : "");
        write_format_values(view, form, format, extra, out);
        gib_out_text(out, form == GIB_VALUE_JSON ? "]" : "");
    } else if (prototype->variadic == GIB_VARIADIC_UNKNOWN && form == GIB_VALUE_TEXT) {
        gib_out_text(out, prototype->parameter_count ? ", ..." : "...");
    }
}
