/*
 * agent_cost: what the agent adds to a call, in its own process, without a debugger and without a
 * reader on the other core.
 *
 * For whoever changes the agent: `agent_cost` prints a table, `agent_cost NAME SECONDS` repeats one
 * row for a profiler. tests/bench/run.sh measures the same in a debugger.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "unit/agent_fixture.h"

enum { CALLS = 2000, ROUNDS = 601 };

NOT_INLINED static long work(long a, long b, long c, long d, long e, long f)
{
    __asm__ volatile("" : "+r"(a));
    return a + b;
}
NOT_INLINED static long take(const char *s, long b)
{
    __asm__ volatile("" : "+r"(s));
    return b;
}

/* The floor: the record of a call, as one would write it by hand. */
static struct line {
    uint64_t word[8];
} * buffer;
static uint64_t buffer_at;
static inline uint64_t ticks(void)
{
    return __builtin_ia32_rdtsc();
}
NOT_INLINED static long by_hand(long a, long b, long c, long d, long e, long f)
{
    struct line *line = &buffer[buffer_at & 16383];
    line->word[0] = 1;
    line->word[1] = ticks();
    line->word[4] = (uint64_t)__builtin_return_address(0);
    line->word[5] = (uint64_t)a;
    line->word[6] = (uint64_t)b;
    long result = work(a, b, c, d, e, f);
    line->word[2] = ticks();
    line->word[3] = (uint64_t)result;
    __atomic_store_n(&buffer_at, buffer_at + 1, __ATOMIC_RELEASE);
    return result;
}

static struct agent agent;
static char *heap_text;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* As if a reader had taken everything. */
static void read_all(void)
{
    for (uint32_t i = 0; i < agent.shared->threads_used; i++) {
        struct gib_thread *t = agent_block(&agent, i);
        t->read = t->read_cache = t->head;
    }
}

static double time_numbers(void *function)
{
    __typeof__(&work) volatile f = function;
    double start = now();
    for (long i = 0; i < CALLS; i++)
        f(i, 2, 3, 4, 5, 6);
    return (now() - start) / CALLS;
}
static double time_text(void *function, const char *text)
{
    __typeof__(&take) volatile f = function;
    double start = now();
    for (long i = 0; i < CALLS; i++)
        f(text, i);
    return (now() - start) / CALLS;
}

/* With more than ten callers. */
NOT_INLINED static double time_deep(void *function, int levels)
{
    double result = levels ? time_deep(function, levels - 1) : time_numbers(function);
    __asm__ volatile("" ::: "memory"); /* no tail call */
    return result;
}

enum text { NO_TEXT, CONSTANT, STACK, HEAP };
static struct row {
    const char *name, *declaration;
    struct patch_options options;
    enum text text;
    bool hand, disabled, deep;
    void *thunk;
    double sample[ROUNDS], plain[ROUNDS];
} rows[] = {
    {.name = "floor", .hand = true},
    {.name = "2-integers", .declaration = "long f(long a, long b)"},
    {.name = "4-integers", .declaration = "long f(long a, long b, long c, long d)"},
    {.name = "6-integers", .declaration = "long f(long a, long b, long c, long d, long e, long f)"},
    {.name = "unknown"},
    {.name = "string-constant", .declaration = "long f(const char *s, long b)", .text = CONSTANT},
    {.name = "string-stack", .declaration = "long f(const char *s, long b)", .text = STACK},
    {.name = "string-heap", .declaration = "long f(const char *s, long b)", .text = HEAP},
    {.name = "errno-rule", .declaration = "long f(long a, long b) // errno"},
    {.name = "count", .declaration = "long f(long a, long b)", .options.count = true},
    {.name = "disabled", .declaration = "long f(long a, long b)", .disabled = true},
    {.name = "backtrace-16", .declaration = "long f(long a, long b)", .options.backtrace = 16},
    {.name = "ten-frames",
     .declaration = "long f(long a, long b)",
     .options.backtrace = 10,
     .deep = true},
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

static double once(const struct row *row, bool patched)
{
    char text[32] = "sixteen letters";
    void *function = row->hand ? (void *)by_hand : row->thunk;
    if (!patched)
        function = row->text ? (void *)take : (void *)work;
    read_all();
    if (row->text)
        return time_text(function, row->text == CONSTANT ? "sixteen letters"
                                   : row->text == STACK  ? text
                                                         : heap_text);
    return row->deep ? time_deep(function, 10) : time_numbers(function);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Lower quartile of the patched rounds minus that of the plain ones. Other programs only ever make
 * a round slower, and take the quiet quarter of the rounds of each row alike. */
static double added(struct row *row)
{
    qsort(row->sample, ROUNDS, sizeof(double), by_value);
    qsort(row->plain, ROUNDS, sizeof(double), by_value);
    return row->sample[ROUNDS / 4] - row->plain[ROUNDS / 4];
}

int main(int argc, char **argv)
{
    extern const char __executable_start[], __etext[];
    agent_open(&agent, (struct agent_options){.ring_size = 8 << 20, .no_reader = true});
    agent_add_unwind_rows(&agent);
    agent.shared->stable[0] =
        (struct gib_range){(uint64_t)__executable_start, (uint64_t)__etext + (1 << 20)};
    agent.shared->stable_count = 1;
    buffer = calloc(16384, sizeof *buffer);
    heap_text = strdup("sixteen letters");
    for (int i = 1; i < ROW_COUNT; i++) {
        rows[i].thunk = agent_patch(&agent, rows[i].text ? (void *)take : (void *)work,
                                    rows[i].declaration, rows[i].options);
        if (rows[i].disabled)
            agent_enable(&agent, (uint32_t)i - 1, false);
    }
    if (argc == 3) {
        fprintf(stderr, "agent at 0x%lx\n",
                agent.entry); /* its symbols: core/agent/agent.elf, linked at 0 */
        double end = now() + atof(argv[2]) * 1e9;
        for (int i = 0; i < ROW_COUNT; i++)
            while (!strcmp(rows[i].name, argv[1]) && now() < end)
                once(&rows[i], true);
        return 0;
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < ROW_COUNT; i++) {
            rows[i].sample[round] = once(&rows[i], true);
            rows[i].plain[round] = once(&rows[i], false);
        }
    }
    for (int i = 0; i < ROW_COUNT; i++)
        printf("%-18s %7.1f ns added  %5.2f x floor\n", rows[i].name, added(&rows[i]),
               added(&rows[i]) / added(&rows[0]));
    return 0;
}
