#include "agent_fixture.h"

#include <errno.h>
#include <gnu/libc-version.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>
#include "engine/shape.h"

extern const uint8_t gib_agent_image_start[], gib_agent_image_end[];

enum { ARENA = 1 << 20, PAGE = 4096 };

static uint64_t page_up(uint64_t value)
{
    return (value + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* ---- memory: core/engine/install.c, in one process
 * ------------------------------------------------ */

static void map_arena(struct agent *a)
{
    uint64_t near = (uint64_t)(uintptr_t)&map_arena & ~(uint64_t)(PAGE - 1);
    for (uint64_t distance = 64 << 20; distance < 1u << 30; distance += 16 << 20) {
        a->arena = mmap((void *)(near - distance), ARENA, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (a->arena == (uint8_t *)(near - distance))
            return;
        if (a->arena != MAP_FAILED)
            munmap(a->arena, ARENA);
    }
    fail_msg("no memory near the program");
}

/* The word behind the thread pointer that holds this thread's id, as thread_db would tell. */
static uint32_t find_tid_offset(void)
{
    const int32_t *tcb = __builtin_thread_pointer();
    int32_t tid = (int32_t)syscall(SYS_gettid);
    for (uint32_t i = 0; i < 512; i++)
        if (tcb[i] == tid)
            return i * 4;
    fail_msg("glibc keeps no thread id");
    return 0;
}

static uint64_t main_stack_end(void)
{
    char *line = NULL;
    size_t room = 0;
    uint64_t start, end, found = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (getline(&line, &room, maps) > 0)
        if (strstr(line, "[stack]") && sscanf(line, "%lx-%lx", &start, &end) == 2)
            found = end;
    free(line);
    fclose(maps);
    return found;
}

static void fill_shared(struct agent *a, const struct agent_options *options)
{
    struct gib_shared *s = a->shared;
    uint64_t ring = options->ring_size ? options->ring_size : 1 << 20;
    s->sites = page_up(sizeof *s);
    s->unwind = page_up(s->sites + sizeof(struct gib_site) * (uint64_t)GIB_MAX_SITES);
    s->histograms = page_up(s->unwind + GIB_UNWIND_SIZE);
    s->threads = s->histograms + sizeof(struct gib_histogram) * (uint64_t)GIB_MAX_HISTOGRAMS;
    s->counters_offset = PAGE;
    s->ring_offset = page_up(PAGE + 8ull * GIB_MAX_COUNTERS);
    s->ring_size = ring;
    s->thread_size = s->ring_offset + ring;
    s->size = s->threads + s->thread_size * GIB_MAX_THREADS;
    s->hash = (uint64_t)a->hash;
    s->marks = (uint64_t)a->marks;
    s->tid_offset = options->no_tid ? 0 : find_tid_offset();
    s->string_limit = options->string_limit ? options->string_limit : 64;
    s->overflow = options->overwrite;
    s->main_stack_end = main_stack_end();
    s->errno_location = (uint64_t)(uintptr_t)&__errno_location;
    s->arena[0] = (struct gib_range){(uint64_t)a->arena, (uint64_t)a->arena + ARENA};
    s->arena_low = s->arena[0].start;
    s->arena_high = s->arena[0].end;
    s->arena_count = 1;
    s->agent_start = a->entry;
    s->agent_end = a->entry + (uint64_t)(gib_agent_image_end - gib_agent_image_start);
    s->magic = GIB_SHARED_MAGIC;
}

void agent_open(struct agent *a, struct agent_options options)
{
    memset(a, 0, sizeof *a);
    uint64_t ring = options.ring_size ? options.ring_size : 1 << 20;
    a->size = page_up(sizeof(struct gib_shared)) +
              sizeof(struct gib_site) * (uint64_t)GIB_MAX_SITES + 2 * PAGE + GIB_UNWIND_SIZE +
              sizeof(struct gib_histogram) * (uint64_t)GIB_MAX_HISTOGRAMS +
              (ring + 2 * PAGE + 8ull * GIB_MAX_COUNTERS) * GIB_MAX_THREADS;
    a->fd = memfd_create("gibbon", MFD_CLOEXEC);
    assert_true(a->fd >= 0);
    assert_int_equal(ftruncate(a->fd, (off_t)a->size), 0);
    a->shared = mmap(NULL, a->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, a->fd, 0);
    assert_true(a->shared != MAP_FAILED);
    size_t hash_size = page_up(sizeof(struct gib_hash));
    a->hash = mmap(NULL, hash_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(a->hash != MAP_FAILED);
    assert_int_equal(madvise(a->hash, hash_size, MADV_WIPEONFORK), 0);
    a->marks = mmap(NULL, page_up(sizeof(struct gib_marks)), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(a->marks != MAP_FAILED);
    a->thread_pointer = options.thread_pointer;
    map_arena(a);
    size_t image = (size_t)(gib_agent_image_end - gib_agent_image_start);
    memcpy(a->arena, gib_agent_image_start, image);
    a->entry = (uint64_t)a->arena;
    a->arena_used = (image + 63) & ~(size_t)63;
    fill_shared(a, &options);
    a->counters = GIB_FIRST_COUNTERS;
    if (!options.no_reader)
        agent_attach(a);
}

static void woken(void *context)
{
    __atomic_add_fetch((uint64_t *)context, 1, __ATOMIC_RELAXED);
}

static void ticked(void *context)
{
}

static void show_site(struct agent *a, uint32_t index)
{
    struct gib_log_site *shown = calloc(1, sizeof *shown);
    assert_non_null(shown);
    shown->function = strdup(a->site[index].name);
    shown->module = strdup("test");
    if (a->site[index].prototype)
        shown->prototype = gib_prototype_copy(a->site[index].prototype);
    shown->convention = a->site[index].convention;
    shown->action[0].patch = (int)index + 1;
    gib_log_set_site(a->log, index, shown);
}

void agent_attach(struct agent *a)
{
    struct gib_error error;
    void *view = mmap(NULL, a->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, a->fd, 0);
    assert_true(view != MAP_FAILED);
    if (!a->log) {
        a->log = gib_log_new(woken, ticked, &a->wakes);
        a->modules = gib_modules_new();
        assert_non_null(a->log);
        assert_true(gib_modules_update(a->modules, getpid()) > 0);
    }
    assert_int_equal(gib_log_attach(a->log, view, a->size, a->modules, getpid(), &error), 0);
    for (uint32_t i = 0; i < a->sites; i++)
        show_site(a, i);
}

void agent_close(struct agent *a)
{
    gib_log_free(a->log);
    gib_modules_free(a->modules);
    for (uint32_t i = 0; i < a->sites; i++) {
        gib_prototype_free(a->site[i].prototype);
        free(a->site[i].name);
    }
    munmap(a->shared, a->size);
    munmap(a->hash, page_up(sizeof(struct gib_hash)));
    munmap(a->marks, page_up(sizeof(struct gib_marks)));
    munmap(a->arena, ARENA);
    close(a->fd);
}

/* ---- sites: core/engine/site.c
 * --------------------------------------------------------------------- */

static void fill_action(struct agent *a, struct gib_action *action,
                        const struct patch_options *options)
{
    action->counter = a->counters;
    action->patch = a->patches;
    bool records = !options->count && !options->mark && !options->stop;
    action->flags = GIB_ACTION_ENABLED | (records ? GIB_ACTION_RECORD : 0);
    action->serial = options->mark ? options->mark : options->during;
    action->mark = (uint16_t)(action->serial % GIB_MAX_MARKS);
    if (options->during)
        action->flags |= GIB_ACTION_DURING;
    if (options->backtrace) {
        action->flags |= GIB_ACTION_BACKTRACE;
        action->depth = (uint16_t)options->backtrace;
    }
    if (options->after || options->every || options->times)
        action->flags |= GIB_ACTION_LIMITS;
    a->shared->patch[a->patches].after = options->after;
    a->shared->patch[a->patches].every = options->every;
    a->shared->patch[a->patches].times = options->times;
    if (options->thread) {
        action->flags |= GIB_ACTION_THREAD;
        action->thread = options->thread;
    }
    if (options->from_count) {
        action->flags |= GIB_ACTION_FROM;
        action->from = (uint16_t)a->shared->range_count;
        action->from_count = options->from_count;
        for (uint16_t i = 0; i < options->from_count; i++)
            a->shared->range[a->shared->range_count++] = options->from[i];
    }
    if (options->condition) {
        action->condition = (uint64_t)options->condition;
        action->flags |= options->condition_flags;
        if (!(action->flags & GIB_ACTION_ON_RETURN))
            action->flags |= GIB_ACTION_CONDITION;
    }
    a->patches++;
    a->counters = gib_next_counters(a->counters);
}

static void *make_thunk(struct agent *a, uint32_t index, void *original,
                        const struct patch_options *options)
{
    const struct gib_convention *c = &a->site[index].convention;
    const struct gib_agent_image *image = (const struct gib_agent_image *)a->arena;
    assert_int_equal(image->magic, GIB_AGENT_MAGIC);
    bool filtered = options->after || options->every || options->times || options->thread ||
                    options->from_count || options->during || options->condition;
    bool returns = options->condition_flags & GIB_ACTION_ON_RETURN;
    uint64_t at = ((uint64_t)a->arena + a->arena_used + 63) & ~63ull;
    /*  | active | jmp [rip+0] ; address of the original | thunk ... |  */
    uint8_t *trampoline = (uint8_t *)at + 16;
    memcpy(trampoline, "\xff\x25\0\0\0\0", 6);
    memcpy(trampoline + 6, &original, 8);
    uint32_t counter = a->site[index].counter;
    struct gib_thunk_request request = {
        .kind = options->stop && !returns     ? GIB_THUNK_STOP
                : options->count && !filtered ? GIB_THUNK_COUNT
                : options->entry_only         ? GIB_THUNK_ENTRY_ONLY
                                              : GIB_THUNK_CALL_THROUGH,
        .address = at + 32,
        .trampoline = at + 16,
        .callee = at + 16,
        .active = at,
        .enter = a->entry + (options->mark ? image->mark_enter : image->enter),
        .leave = a->entry + (options->mark ? image->mark_leave : image->leave),
        .count = a->entry + image->count,
        .texts = a->entry + image->texts,
        .site = (uint64_t)agent_site(a, index),
        .shared = (uint64_t)a->shared,
        .stack_copy = c->stack_copy,
        .reads_xmm = c->reads_xmm,
        .result_xmm = gib_result_in_xmm(c->result),
        .result_xmm1 = c->result == GIB_RESULT_XMM0_XMM1,
        .result_x87 = c->result == GIB_RESULT_X87,
        .thread_pointer = a->thread_pointer,
        .keeps_entry = (agent_site(a, index)->flags & GIB_SITE_ON_RETURN) != 0,
        .hash = (uint64_t)a->hash,
        .stop = a->entry + image->stop_pad,
        .stop_return = options->stop && returns ? a->entry + image->stop_return_pad : 0,
        .shape = options->mark || options->stop ? NULL : agent_site(a, index),
        .counter = counter,
        .counter_offset = (uint32_t)(a->shared->counters_offset + 8ull * counter),
    };
    struct gib_error error;
    uint8_t code[GIB_THUNK_MAX];
    size_t size;
    assert_int_equal(gib_thunk_make(&request, code, &size, &error), 0);
    memcpy((void *)request.address, code, size);
    a->site[index].active = (uint32_t *)at;
    *a->site[index].active = gib_site_gate(agent_site(a, index), a->shared);
    a->arena_used = request.address + size - (uint64_t)a->arena;
    assert_true(a->arena_used < ARENA);
    return (void *)request.address;
}

void *agent_patch(struct agent *a, void *original, const char *declaration,
                  struct patch_options options)
{
    struct gib_prototype *prototype = NULL;
    struct gib_error error;
    if (declaration && gib_prototype_parse(NULL, declaration, &prototype, &error))
        fail_msg("%s: %s", declaration, error.message);
    return agent_patch_prototype(a, original, prototype, options);
}

void *agent_patch_debug(struct agent *a, void *original)
{
    struct gib_modules *modules = gib_modules_new();
    assert_true(gib_modules_update(modules, getpid()) > 0);
    struct gib_module *module = gib_modules_at(modules, (uint64_t)original);
    assert_non_null(module);
    assert_non_null(module->elf);
    gib_modules_lock(modules);
    struct gib_prototype *prototype =
        gib_elf_prototype(module->elf, (uint64_t)original - module->bias);
    gib_modules_unlock(modules);
    gib_modules_free(modules);
    assert_non_null(prototype);
    return agent_patch_prototype(a, original, prototype, (struct patch_options){0});
}

void *agent_patch_prototype(struct agent *a, void *original, struct gib_prototype *prototype,
                            struct patch_options options)
{
    uint32_t index = a->sites;
    assert_true(index < sizeof a->site / sizeof *a->site);
    a->site[index].prototype = prototype;
    a->site[index].name = strdup(prototype && prototype->name ? prototype->name : "unknown");
    gib_convention_make(prototype, &a->site[index].convention);
    a->site[index].counter = a->counters;
    struct gib_site *s = agent_site(a, index);
    memset(s, 0, sizeof *s);
    s->index = index;
    s->entry = (uint64_t)original;
    s->thread_pointer = (uint8_t)a->thread_pointer;
    gib_shape_function(s, prototype, &a->site[index].convention);
    s->flags |= options.entry_only ? GIB_SITE_ENTRY_ONLY : 0;
    s->flags |= options.stop ? GIB_SITE_STOP : 0;
    s->flags |= options.condition_flags & GIB_ACTION_ON_RETURN ? GIB_SITE_ON_RETURN : 0;
    fill_action(a, &s->action[0], &options);
    s->actions = 1;
    s->lines = gib_shape_lines(s, a->shared->string_limit);
    void *thunk = make_thunk(a, index, original, &options);
    a->sites++;
    if (a->log)
        show_site(a, index);
    return thunk;
}

void agent_enable(struct agent *a, uint32_t site, bool on)
{
    struct gib_action *action = &agent_site(a, site)->action[0];
    action->flags = on ? action->flags | GIB_ACTION_ENABLED : action->flags & ~GIB_ACTION_ENABLED;
    *a->site[site].active = gib_site_gate(agent_site(a, site), a->shared);
}

struct gib_site *agent_site(struct agent *a, uint32_t site)
{
    return (struct gib_site *)((char *)a->shared + a->shared->sites) + site;
}

struct gib_thread *agent_block(struct agent *a, uint32_t index)
{
    return (struct gib_thread *)((char *)a->shared + a->shared->threads +
                                 index * a->shared->thread_size);
}

static uint64_t sum(struct agent *a, uint32_t counter)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < a->shared->threads_used; i++)
        total += ((uint64_t *)((char *)agent_block(a, i) + a->shared->counters_offset))[counter];
    return total;
}

uint64_t agent_calls(struct agent *a, uint32_t site)
{
    return sum(a, a->site[site].counter);
}

uint64_t agent_failures(struct agent *a, uint32_t site)
{
    return sum(a, a->site[site].counter + GIB_COUNTER_FAILURES);
}

void agent_times(struct agent *a, uint32_t site, struct gib_times *times)
{
    memset(times, 0, sizeof *times);
    for (uint32_t i = 0; i < a->shared->threads_used; i++) {
        const uint64_t *counter =
            (uint64_t *)((char *)agent_block(a, i) + a->shared->counters_offset) +
            a->site[site].counter;
        times->calls += counter[GIB_COUNTER_CALLS];
        times->untimed += counter[GIB_COUNTER_UNTIMED];
        if (counter[GIB_COUNTER_HISTOGRAM])
            gib_times_sum(times, (const struct gib_histogram *)counter[GIB_COUNTER_HISTOGRAM]);
    }
}

uint64_t agent_records(struct agent *a, uint32_t block)
{
    struct gib_thread *thread = agent_block(a, block);
    uint64_t count = 0;
    for (uint64_t at = thread->tail; at < thread->head;) {
        const struct gib_record *record =
            (const struct gib_record *)((char *)thread + a->shared->ring_offset +
                                        (at & (a->shared->ring_size - 1)));
        assert_true(record->lines > 0);
        count += record->kind != GIB_RECORD_PAD && record->kind != GIB_RECORD_THREAD;
        at += (uint64_t)record->lines * GIB_LINE;
        assert_true(at <= thread->head);
    }
    return count;
}

void agent_add_unwind_rows(struct agent *a)
{
    struct gib_modules *modules = gib_modules_new();
    uint64_t used = a->shared->unwind;
    assert_true(gib_modules_update(modules, getpid()) > 0);
    gib_modules_lock(modules);
    for (size_t i = 0; i < gib_modules_count(modules); i++) {
        struct gib_module *module = gib_modules_get(modules, i);
        const struct gib_unwind_row *rows;
        size_t count = module->elf ? gib_elf_unwind_rows(module->elf, &rows) : 0;
        if (!count)
            continue;
        memcpy((char *)a->shared + used, rows, count * sizeof *rows);
        a->shared->unwind_module[a->shared->unwind_count++] =
            (struct gib_unwind_module){module->start, module->end, used, count};
        used += count * sizeof *rows;
    }
    gib_modules_unlock(modules);
    gib_modules_free(modules);
}

/* ---- what was recorded
 * -------------------------------------------------------------------------------- */

static char *render(struct agent *a, enum gib_log_format format)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_true(gib_log_render(a->log, format, 0, 0, out) >= 0);
    fclose(out);
    return text;
}

char *agent_jsonl(struct agent *a)
{
    return render(a, GIB_LOG_JSONL);
}

char *agent_lines(struct agent *a)
{
    char *text = render(a, GIB_LOG_TEXT), *out = text;
    for (char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        char *end = line + length, *from = line;
        int skip = 0, tid;
        char sign, head[64]; /* sscanf of the whole text would measure it for each line */
        double seconds;
        snprintf(head, sizeof head, "%.*s", (int)(length < 63 ? length : 63), line);
        if (sscanf(head, "gibbon: [%d] %n%c", &tid, &skip, &sign) == 2) {
            from += skip;
            int more = 0;
            if ((sign == '+' || sign == '-') && sscanf(head + skip, "%lf%n", &seconds, &more) == 1)
                from += more + 1; /* spaces behind that one are the line's own */
        }
        char *stop = end;
        if (stop > from && stop[-1] == '>') {
            char *angle = stop;
            while (angle > from && *angle != '<')
                angle--;
            if (angle > from && angle[-1] == ' ' && angle[1] >= '0' && angle[1] <= '9')
                stop = angle - 1;
        }
        size_t keep = (size_t)(stop - from);
        bool more = *end != '\0';
        memmove(out, from, keep);
        out += keep;
        *out++ = '\n';
        line = more ? end + 1 : end;
    }
    *out = '\0';
    return text;
}

void agent_expect(struct agent *a, const char *lines)
{
    char *got = agent_lines(a);
    if (strcmp(got, lines))
        fail_msg("log is\n%s--- and not\n%s---", got, lines);
    free(got);
    gib_log_clear(a->log);
}

/* Not with strstr: the sanitizer's measures all of `text` at each call. */
size_t occurrences(const char *text, const char *piece)
{
    size_t count = 0, length = strlen(piece);
    for (const char *at = text; *at;) {
        if (*at == *piece && !strncmp(at, piece, length)) {
            count++;
            at += length;
        } else {
            at++;
        }
    }
    return count;
}

int agent_setup(void **state)
{
    agent_open(*state, (struct agent_options){0});
    return 0;
}

int agent_teardown(void **state)
{
    agent_close(*state);
    return 0;
}
