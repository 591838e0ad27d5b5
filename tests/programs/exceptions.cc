// Every way in which C++ leaves a function: what is caught, and which destructors ran, must not depend on patches.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <execinfo.h>
#include <functional>
#include <memory>
#include <new>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>
#include <vector>
#define KEEP __attribute__((noinline))
static int destroyed;
struct Guard {
    int n;
    explicit Guard(int number) : n(number) {}
    ~Guard() { destroyed += n; }
};
struct Other {
    long words[6];
};
KEEP void thrower(int kind)
{
    Guard guard(1);
    switch (kind) {
    case 0: throw std::runtime_error("runtime");
    case 1: throw 42;
    case 2: throw Other{{1, 2, 3, 4, 5, 6}};
    case 3: throw "text";
    case 4: throw std::string("string");
    }
}
KEEP int through(int depth, int kind)
{
    Guard guard(depth);
    if (depth)
        return through(depth - 1, kind) + 1;
    thrower(kind);
    return 0;
}
KEEP int catcher(int kind)
{
    try {
        return through(5, kind);
    } catch (const std::exception &e) {
        return (int)std::strlen(e.what());
    } catch (int n) {
        return n;
    } catch (const Other &o) {
        return (int)(o.words[5] * 100);
    } catch (const char *text) {
        return text[0];
    } catch (...) {
        return -1;
    }
}
KEEP void rethrower(int kind)
{
    try {
        thrower(kind);
    } catch (...) {
        destroyed += 1000;
        throw;
    }
}
KEEP int nested(int kind)
{
    try {
        try {
            rethrower(kind);
        } catch (const std::runtime_error &e) {
            std::throw_with_nested(std::logic_error("outer"));
        }
    } catch (const std::exception &e) {
        try {
            std::rethrow_if_nested(e);
        } catch (const std::exception &inner) {
            return (int)(std::strlen(e.what()) * 10 + std::strlen(inner.what()));
        }
    } catch (int n) {
        return n + 1;
    }
    return 0;
}
struct Member {
    Guard first{10};
    KEEP explicit Member(bool fail) { if (fail) throw 5; }
    Guard second{100};
};
struct Whole {
    Member a;
    Member b;
    KEEP explicit Whole(int when) : a(when == 0), b(when == 1) { if (when == 2) throw 6; }
};
KEEP int constructs(int when)
{
    try {
        std::unique_ptr<Whole> whole(new Whole(when));
        return 1;
    } catch (int n) {
        return n;
    }
}
KEEP int comparing(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    if (x == 7 && y == 8)
        throw std::out_of_range("compared");
    if (y == 7 && x == 8)
        throw std::out_of_range("compared");
    return x - y;
}
KEEP int sorts()
{
    int numbers[] = {8, 7, 6, 5, 4, 3, 2, 1};
    try {
        Guard guard(3);
        qsort(numbers, 8, sizeof *numbers, comparing);
    } catch (const std::out_of_range &e) {
        return (int)std::strlen(e.what());
    }
    return 0;
}
struct Shape {
    virtual ~Shape() {}
    virtual KEEP int area(int n) { if (n < 0) throw std::invalid_argument("negative"); return n; }
};
struct Square : Shape {
    KEEP int area(int n) override { return Shape::area(n) * n; }
};
KEEP int virtually(Shape *shape, int n)
{
    try {
        return shape->area(n);
    } catch (const std::invalid_argument &) {
        return -2;
    }
}
KEEP int through_pointer(const std::function<int(int)> &f, int n)
{
    try {
        return f(n);
    } catch (int caught) {
        return caught * 2;
    }
}
KEEP double many(double a, double b, int c, long d, long e, long f, long g, long h, long i, Other o, long double l)
{
    if (c)
        throw (double)(a + b + d + e + f + g + h + i + o.words[3] + l);
    return a;
}
KEEP void no_throw(int kind) noexcept { thrower(kind); }
KEEP void dies(int how)
{
    if (how == 0)
        thrower(0); // nobody catches it
    else if (how == 1)
        no_throw(1);
    else if (how == 2) {
        struct Late {
            ~Late() noexcept(false) { throw 2; }
        };
        try {
            Late late;
            throw 1;
        } catch (int) {
        }
    } else
        std::terminate();
}
static void last_words()
{
    std::printf("terminate, %s\n", std::current_exception() ? "with an exception" : "without");
    std::fflush(stdout);
    _exit(11);
}
static void terminates(int how)
{
    std::fflush(stdout);
    pid_t child = fork();
    if (!child) {
        std::set_terminate(last_words);
        try {
            dies(how);
        } catch (...) {
            if (how)
                _exit(12);
            throw;
        }
        _exit(13);
    }
    int status;
    waitpid(child, &status, 0);
    std::printf("dies %d: %d %d\n", how, WIFEXITED(status), WEXITSTATUS(status));
}
static void uncaught()
{
    std::fflush(stdout);
    pid_t child = fork();
    if (!child) {
        std::fclose(stderr);
        dies(0);
    }
    int status;
    waitpid(child, &status, 0);
    std::printf("uncaught: signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

// Threads that leave by force: destructors and cleanup handlers run.
static int cleaned;
static void cleanup(void *number) { cleaned += *(int *)number; }
KEEP void waits()
{
    Guard guard(7);
    for (;;)
        usleep(1000);
}
KEEP void leaves(int n)
{
    Guard guard(n);
    pthread_exit((void *)(long)n);
}
KEEP void *cancelled(void *number)
{
    pthread_cleanup_push(cleanup, number);
    waits();
    pthread_cleanup_pop(0);
    return nullptr;
}
KEEP void *exiting(void *number)
{
    pthread_cleanup_push(cleanup, number);
    leaves(5);
    pthread_cleanup_pop(0);
    return nullptr;
}
static void forced()
{
    pthread_t thread;
    void *result;
    int number = 20;
    pthread_create(&thread, nullptr, cancelled, &number);
    usleep(2000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    std::printf("cancelled %d, cleaned %d, destroyed %d\n", result == PTHREAD_CANCELED, cleaned, destroyed);
    pthread_create(&thread, nullptr, exiting, &number);
    pthread_join(thread, &result);
    std::printf("exited %ld, cleaned %d, destroyed %d\n", (long)result, cleaned, destroyed);
}

// The target's own backtraces: the functions of the program, in order.
static std::vector<std::string> seen;
extern "C" KEEP void looks_back(int way);
static _Unwind_Reason_Code step(_Unwind_Context *context, void *)
{
    int before = 0;
    void *pc = (void *)_Unwind_GetIPInfo(context, &before);
    seen.push_back(std::to_string((unsigned long)_Unwind_FindEnclosingFunction(pc)));
    return _URC_NO_REASON;
}
extern "C" KEEP void looks_back(int way)
{
    seen.clear();
    if (way) {
        _Unwind_Backtrace(step, nullptr);
        return;
    }
    void *frames[64];
    int count = backtrace(frames, 64);
    for (int i = 0; i < count; i++)
        seen.push_back(std::to_string((unsigned long)_Unwind_FindEnclosingFunction((char *)frames[i] - 1)));
}
extern "C" KEEP int level_three(int way) { looks_back(way); return (int)seen.size() > 0; }
extern "C" KEEP int level_two(int way) { return level_three(way) + 1; }
extern "C" KEEP int level_one(int way) { return level_two(way) + 1; }
static void backtraces()
{
    for (int way = 0; way < 2; way++) {
        level_one(way);
        const void *wanted[] = {(void *)looks_back, (void *)level_three, (void *)level_two, (void *)level_one};
        size_t at = 0, found = 0;
        for (const void *function : wanted) {
            std::string text = std::to_string((unsigned long)function);
            size_t next = (size_t)(std::find(seen.begin() + (long)at, seen.end(), text) - seen.begin());
            if (next < seen.size()) {
                found++;
                at = next + 1;
            }
        }
        std::printf("backtrace %d: %zu of 4 in order\n", way, found);
    }
}

int main()
{
    for (int kind = 0; kind <= 5; kind++)
        std::printf("catcher %d: %d, destroyed %d\n", kind, catcher(kind), destroyed);
    std::printf("nested %d %d, destroyed %d\n", nested(0), nested(1), destroyed);
    for (int when = 0; when < 4; when++)
        std::printf("constructs %d: %d, destroyed %d\n", when, constructs(when), destroyed);
    std::printf("sorts %d, destroyed %d\n", sorts(), destroyed);
    Square square;
    std::printf("virtual %d %d\n", virtually(&square, 3), virtually(&square, -3));
    std::printf("function %d %d\n", through_pointer([](int n) { if (n > 3) throw n; return n; }, 2), through_pointer([](int n) { if (n > 3) throw n; return n; }, 9));
    try {
        many(1, 2, 1, 3, 4, 5, 6, 7, 8, Other{{1, 2, 3, 4, 5, 6}}, 9.5L);
    } catch (double d) {
        std::printf("many %g\n", d);
    }
    try {
        std::vector<int>().at(3);
    } catch (const std::exception &) {
        std::printf("library\n");
    }
    try {
        char *volatile all = new char[(size_t)-1 / 8];
        all[0] = 0;
    } catch (const std::bad_alloc &) {
        std::printf("bad_alloc\n");
    }
    for (int how = 0; how < 4; how++)
        terminates(how);
    uncaught();
#ifndef NO_THREADS
    forced();
#endif
    backtraces();
    return destroyed % 100;
}
