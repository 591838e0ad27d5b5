/* Traces as readers want them: what is nested stays so when times are the same, and no text that a
 * reader refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "agent_fixture.h"
#include "log/internal.h"
#include "log/render.h"

struct trace {
    struct gib_renderer *renderer;
    struct gib_modules *modules;
    struct gib_log_site site;
};

static int setup(void **state)
{
    struct trace *t = calloc(1, sizeof *t);
    t->renderer = gib_renderer_new(GIB_LOG_TRACE);
    t->modules = gib_modules_new();
    t->site = (struct gib_log_site){
        .function = "f", .module = "m", .serial = 1, .action = {{.patch = 1}}};
    *state = t;
    return 0;
}
static int teardown(void **state)
{
    struct trace *t = *state;
    gib_renderer_free(t->renderer);
    gib_modules_free(t->modules);
    free(t);
    return 0;
}

/* One call of a thread, in nanoseconds: where the trace has its begin and its end. */
static void is_shown(struct trace *t, int tid, int64_t began, int64_t ended, int64_t shown_began,
                     int64_t shown_ended)
{
    struct {
        struct gib_call call;
        struct gib_record record;
    } entry = {{sizeof entry, 1, 7, tid, GIB_CALL_DONE, 0}, {.accepted = 1, .entered = 1}};
    struct gib_log_view view = {.call = &entry.call,
                                .record = &entry.record,
                                .site = &t->site,
                                .modules = t->modules,
                                .began = began,
                                .lasted = ended - began,
                                .nanoseconds = 1,
                                .first = 1};
    struct gib_out *out = gib_renderer_out(t->renderer);
    uint64_t none = 0;
    assert_int_equal(gib_render(t->renderer, &view, 0, false, &none), 1);
    char *text = gib_out_take(out);
    double ts, dur;
    assert_int_equal(sscanf(strstr(text, "\"ts\":"), "\"ts\":%lf,\"dur\":%lf", &ts, &dur), 2);
    assert_int_equal((int64_t)(ts * 1000 + .5), shown_began);
    assert_int_equal((int64_t)(dur * 1000 + .5), shown_ended - shown_began);
    free(text);
}

static void test_calls_that_end_together(void **state)
{
    struct trace *t = *state;
    is_shown(t, 1, 30, 30, 30, 30); /* the innermost of three, without a duration */
    is_shown(t, 2, 0, 40, 0, 40);   /* another thread has nothing to do with them */
    is_shown(t, 1, 20, 30, 20, 31);
    is_shown(t, 1, 10, 30, 10, 32);
    is_shown(t, 2, 40, 40, 40, 40);
    is_shown(t, 1, 30, 31, 32, 32); /* behind them */
    is_shown(t, 1, 40, 50, 40, 50);
    is_shown(t, 1, 50, 60, 50, 60);
    is_shown(t, 1, 0, 100, 0, 100);
}

static void is_json(const char *bytes, size_t size, const char *loose, const char *strict)
{
    for (int i = 0; i < 2; i++) {
        struct gib_out out = {.strict = i};
        gib_escape_json(&out, bytes, size);
        char *text = gib_out_take(&out);
        assert_string_equal(text, i ? strict : loose);
        free(text);
    }
}
static void test_texts(void **state)
{
    is_json("caf\351", 4, "\"caf\\udce9\"", "\"caf\\ufffd\"");
    is_json("\xed\xa0\x80", 3, "\"\\udced\\udca0\\udc80\"", "\"\\ufffd\\ufffd\\ufffd\"");
    is_json("a\\", 2, "\"a\\\\\"", "\"a\\u005c\"");
    is_json("\\\\", 2, "\"\\\\\\\\\"", "\"\\\\\\u005c\"");
    is_json("\\\"", 2, "\"\\\\\\\"\"", "\"\\\\\\\"\"");
    is_json("\\n", 2, "\"\\\\n\"", "\"\\\\n\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_calls_that_end_together, setup, teardown),
        cmocka_unit_test(test_texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
