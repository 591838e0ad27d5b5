/* A file that grows with the calls: complete, bounded, and what happens when it cannot be written.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent_fixture.h"

static struct agent a;
static char directory[] = "/tmp/gibbon-test-XXXXXX", path[64];
NOT_INLINED static long work(long n)
{
    __asm__ volatile("" : "+r"(n));
    return n + 1;
}
static __typeof__(&work) thunk, other_thunk;

static int setup(void **state)
{
    agent_open(&a, (struct agent_options){.ring_size = 256 << 10});
    thunk = agent_patch(&a, work, "long work(long n)", (struct patch_options){0});
    other_thunk = agent_patch(&a, work, "long other(long n)", (struct patch_options){0});
    strcpy(directory + sizeof directory - 7, "XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/calls", directory);
    return 0;
}
static int teardown(void **state)
{
    agent_close(&a);
    unlink(path);
    rmdir(directory);
    return 0;
}

static void call(long from, long to)
{
    for (long n = from; n < to; n++)
        if (thunk(n) != n + 1)
            fail();
}
static void start(enum gib_log_format format, int patch)
{
    struct gib_error error;
    assert_int_equal(gib_log_stream(a.log, path, format, patch, &error), 0);
}
static uint64_t end(void)
{
    uint64_t written;
    struct gib_error error;
    assert_int_equal(gib_log_stream_end(a.log, &written, &error), 0);
    return written;
}
static char *content(void)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    struct gib_out out = {0};
    char piece[65536];
    size_t size;
    while ((size = fread(piece, 1, sizeof piece, file)) > 0)
        gib_out_bytes(&out, piece, size);
    fclose(file);
    return gib_out_take(&out);
}

/* The numbers of the calls in a jsonl or trace file must be 0, 1, 2... */
static long check_numbers(const char *text)
{
    long next = 0;
    for (const char *at = text; (at = strchr(at, '\n'));) {
        const char *line = ++at;
        if (!*line)
            break;
        const char *found = memmem(line, strcspn(line, "\n"), "{\"n\":", 5);
        if (!found)
            continue;
        if (atol(found + 5) != next)
            fail_msg("call %ld follows %ld", atol(found + 5), next - 1);
        next++;
    }
    return next;
}

static void test_everything_is_in_the_file(void **state)
{
    call(0, 1000);
    start(GIB_LOG_JSONL, 0); /* begins with what there is */
    call(1000, 50000);
    assert_int_equal(end(), 50000);
    char *text = content(), *first = malloc(strlen(text) + 2);
    first[0] = '\n';
    strcpy(first + 1, text);
    assert_int_equal(check_numbers(first), 50000);
    assert_int_equal(occurrences(text, "\n"), 50000);
    free(first);
    free(text);
    call(0, 10); /* nothing goes there any more */
    assert_false(gib_log_streams(a.log, NULL));
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    off_t size = status.st_size;
    gib_log_drain(a.log);
    usleep(50000);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, size);
}

/* Complete whenever the process ends, and goes on afterwards. */
static void test_trace_is_complete_and_goes_on(void **state)
{
    start(GIB_LOG_TRACE, 0);
    gib_log_ended(a.log);
    char *text = content();
    assert_string_equal(text, "[\n\n]\n");
    free(text);
    for (int round = 1; round <= 3; round++) {
        call((round - 1) * 100, round * 100);
        gib_log_ended(a.log);
        text = content();
        assert_int_equal(check_numbers(text), round * 100);
        assert_string_equal(text + strlen(text) - 5, "}}\n]\n");
        assert_int_equal(occurrences(text, "]\n"), 1);
        assert_int_equal(occurrences(text, "\n"), occurrences(text, ",\n") + 3);
        free(text);
    }
    struct gib_log_stream_state stream;
    assert_true(gib_log_streams(a.log, &stream));
    assert_int_equal(stream.written, 300);
    assert_string_equal(stream.path, path);
    assert_int_equal(end(), 300);
}

static void test_one_patch(void **state)
{
    start(GIB_LOG_TEXT, 2);
    for (long n = 0; n < 100; n++) {
        thunk(n);
        other_thunk(n);
    }
    assert_int_equal(end(), 100);
    char *text = content();
    assert_int_equal(occurrences(text, "other("), 100);
    assert_int_equal(occurrences(text, "\n"), 100);
    free(text);
}

/* The file has all, the spool the newest; neither it nor memory grows. */
static void test_spool_is_bounded(void **state)
{
    enum { CALL = sizeof(struct gib_call) + sizeof(struct gib_record) };
    const long many = (long)(GIB_SPOOL_SEGMENT / CALL) * 4;
    start(GIB_LOG_JSONL, 0);
    call(0, many);
    gib_log_ended(a.log);
    gib_log_skip(a.log); /* as a terminal that is not used */
    call(many, many + 20000);
    assert_int_equal(gib_log_lost(a.log), 0);
    FILE *null = fopen("/dev/null", "w");
    int64_t kept = gib_log_render(a.log, GIB_LOG_JSONL, 0, 0, null);
    fclose(null);
    assert_int_equal((uint64_t)kept + gib_log_streamed_away(a.log), many + 20000);
    assert_true(kept >= (int64_t)(GIB_SPOOL_SEGMENT / CALL));
    char *lines = NULL;
    size_t size;
    FILE *last = open_memstream(&lines, &size);
    assert_int_equal(gib_log_render(a.log, GIB_LOG_TEXT, 2, 0, last), 2);
    fclose(last);
    assert_int_equal(occurrences(lines, "work(n="), 2);
    free(lines);
    assert_int_equal(end(), many + 20000);
}

static void test_clear_while_it_streams(void **state)
{
    start(GIB_LOG_JSONL, 0);
    for (int round = 0; round < 20; round++) {
        call(round * 3000, round * 3000 + 3000);
        gib_log_clear(a.log);
    }
    call(60000, 60010);
    char *json = agent_jsonl(&a);
    assert_int_equal(occurrences(json, "\n"), 10);
    free(json);
    assert_int_equal(end(), 60010);
}

/* ---- what cannot be written */

static void expect_problem(const char *wanted)
{
    char *problem = NULL;
    for (int i = 0; !problem && i < 200; i++) {
        problem = gib_log_take_problem(a.log);
        usleep(20000);
    }
    assert_non_null(problem);
    if (!strstr(problem, wanted))
        fail_msg("%s: no %s", problem, wanted);
    free(problem);
}

static void test_full_disk(void **state)
{
    struct gib_error error;
    assert_int_equal(gib_log_stream(a.log, "/dev/full", GIB_LOG_JSONL, 0, &error), 0);
    call(0, 10000);
    expect_problem("No space left on device");
    assert_false(gib_log_streams(a.log, NULL));
    call(10000, 20000);
    char *json = agent_jsonl(&a); /* all calls are there */
    assert_int_equal(occurrences(json, "\n"), 20000);
    assert_int_equal(gib_log_lost(a.log), 0);
    free(json);
    assert_int_equal(end(), 0);
}

/* A limit on the size of files is a full disk, and no signal. What is there are whole lines. */
static void test_file_too_large(void **state)
{
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 300000;
    start(GIB_LOG_JSONL, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    call(0, 5000);
    expect_problem("File too large");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    char *text = content();
    size_t size = strlen(text);
    assert_true(size <= 300000 && (!size || text[size - 1] == '\n'));
    uint64_t written = occurrences(text, "\n");
    free(text);
    assert_int_equal(end(), written);
}

/* The spool itself: what it cannot take is counted, the log says where, and it goes on later. */
static void test_no_room_for_the_spool(void **state)
{
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 2 << 20;
    call(0, 1000);
    gib_log_drain(a.log);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    call(1000, 100000);
    gib_log_drain(a.log);
    expect_problem("cannot be written: File too large");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    call(100000, 150000);
    char *json = agent_jsonl(&a);
    uint64_t calls = occurrences(json, "\"type\":\"call\""), lost = 0;
    for (char *at = json; (at = strstr(at, "\"lost\":"));)
        lost += strtoull(at += 7, NULL, 10);
    assert_true(lost > 0);
    assert_int_equal(lost, gib_log_lost(a.log));
    assert_int_equal(calls + lost, 150000);
    assert_non_null(strstr(json, "{\"n\":149999}"));
    free(json);
    char *lines = agent_lines(&a);
    assert_non_null(strstr(lines, "temporary file could not be written"));
    free(lines);
}

static void *read_pipe(void *argument)
{
    struct gib_out *out = argument;
    char piece[65536];
    ssize_t size;
    int fd = open(path, O_RDONLY);
    while ((size = read(fd, piece, sizeof piece)) > 0)
        gib_out_bytes(out, piece, (size_t)size);
    close(fd);
    return NULL;
}

/* The spool fails again and again while a stream reads what could not be written: no call is there
 * twice or torn, and those that are neither there nor in the stream are counted, once. */
static void test_no_room_for_the_spool_of_a_stream(void **state)
{
    enum { ROUNDS = 6, EACH = 40000 };
    struct gib_out out = {0};
    struct rlimit before, small;
    pthread_t reader;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_pipe, &out), 0);
    struct gib_error error;
    while (gib_log_stream(a.log, path, GIB_LOG_JSONL, 0, &error))
        usleep(1000); /* nobody reads yet */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 1 << 20;
    for (long round = 0; round < ROUNDS; round++) {
        assert_int_equal(setrlimit(RLIMIT_FSIZE, round % 2 ? &small : &before), 0);
        for (long n = round * EACH; n < (round + 1) * EACH; n += 1000) {
            call(n, n + 1000);
            gib_log_drain(a.log);
            if (n / 1000 % 16 < 8) /* else the stream is behind */
                gib_log_stream_complete(a.log);
        }
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    call(ROUNDS * EACH, ROUNDS * EACH + 40000); /* the log can tell of what is lost */
    end();
    pthread_join(reader, NULL);
    char *text = gib_out_take(&out);
    long calls = 0, lost = 0, next = 0;
    for (char *line = text, *behind; (behind = strchr(line, '\n')); line = behind + 1) {
        *behind = '\0';
        assert_true(*line == '{' && behind[-1] == '}');
        char *found = strstr(line, "\"lost\":"), *number = strstr(line, "{\"n\":");
        long n = atol(found ? found + 7 : number + 5);
        if (!found && n != next)
            fail_msg("call %ld where %ld is due", n, next);
        lost += found ? n : 0;
        calls += !found;
        next = found ? next + n : n + 1;
    }
    free(text);
    assert_true(gib_log_streamed_away(a.log) > 0);
    assert_int_equal(calls + lost, ROUNDS * EACH + 40000);
    assert_int_equal(lost, gib_log_lost(a.log));
}

static void test_removed_directory(void **state)
{
    start(GIB_LOG_JSONL, 0);
    call(0, 10);
    usleep(20000);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
    call(10, 20);
    expect_problem("it was removed");
    assert_false(gib_log_streams(a.log, NULL));
    call(20, 30);
    char *json = agent_jsonl(&a);
    assert_int_equal(occurrences(json, "\n"), 30);
    free(json);
    end();
}

static void test_what_cannot_be_opened(void **state)
{
    struct gib_error error;
    assert_int_equal(gib_log_stream(a.log, "/nowhere/calls", GIB_LOG_TEXT, 0, &error), GIB_E_FILE);
    assert_non_null(strstr(error.message, "/nowhere/calls cannot be written"));
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody reads: no wait */
    assert_int_equal(gib_log_stream(a.log, path, GIB_LOG_TEXT, 0, &error), GIB_E_FILE);
    assert_false(gib_log_streams(a.log, NULL));
}

/* ---- a pipe whose reader is slow, or goes away */

static long got;
static void *read_slowly(void *argument)
{
    int fd = *(int *)argument;
    char piece[65536];
    ssize_t size;
    usleep(300000);
    while ((size = read(fd, piece, sizeof piece)) > 0)
        for (ssize_t i = 0; i < size; i++)
            got += piece[i] == '\n';
    return NULL;
}
static void test_slow_pipe(void **state)
{
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    start(GIB_LOG_TEXT, 0);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    got = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &fd), 0);
    call(0, 100000);
    assert_int_equal(end(), 100000);
    pthread_join(thread, NULL);
    close(fd);
    assert_int_equal(got, 100000);
    assert_int_equal(gib_log_lost(a.log), 0);
}

static void test_pipe_without_a_reader(void **state)
{
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    start(GIB_LOG_TEXT, 0);
    call(0, 10);
    close(fd);
    call(10, 5000);
    expect_problem("Broken pipe");
    assert_int_equal(gib_log_lost(a.log), 0);
    end();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_everything_is_in_the_file),
        TEST(test_trace_is_complete_and_goes_on),
        TEST(test_one_patch),
        TEST(test_spool_is_bounded),
        TEST(test_clear_while_it_streams),
        TEST(test_full_disk),
        TEST(test_file_too_large),
        TEST(test_no_room_for_the_spool),
        TEST(test_no_room_for_the_spool_of_a_stream),
        TEST(test_removed_directory),
        TEST(test_what_cannot_be_opened),
        TEST(test_slow_pipe),
        TEST(test_pipe_without_a_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
