// C++20 coroutines: frames on the heap, exceptions through their bodies and out of resume().
#include <coroutine>
#include <cstdio>
#include <exception>
#include <stdexcept>
#define KEEP __attribute__((noinline))
static int alive;
struct Counted {
    Counted() { alive++; }
    ~Counted() { alive--; }
};
struct Generator {
    struct promise_type {
        int value = 0;
        std::exception_ptr problem;
        Generator get_return_object() { return Generator{std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        std::suspend_always yield_value(int n) { value = n; return {}; }
        void return_void() {}
        void unhandled_exception() { problem = std::current_exception(); }
    };
    std::coroutine_handle<promise_type> handle;
    ~Generator() { handle.destroy(); }
    KEEP bool next()
    {
        handle.resume();
        if (handle.promise().problem)
            std::rethrow_exception(handle.promise().problem);
        return !handle.done();
    }
};
KEEP int checked(int n)
{
    if (n == 13)
        throw std::runtime_error("thirteen");
    return n;
}
KEEP Generator count(int from, int to)
{
    Counted counted;
    for (int i = from; i <= to; i++)
        co_yield checked(i) * 2;
}
KEEP int sum(int from, int to)
{
    int total = 0;
    Generator generator = count(from, to);
    while (generator.next())
        total += generator.handle.promise().value;
    return total;
}
int main()
{
    std::printf("%d, %d alive\n", sum(1, 10), alive);
    try {
        std::printf("%d\n", sum(10, 20));
    } catch (const std::exception &e) {
        std::printf("%s, %d alive\n", e.what(), alive);
    }
    {
        Generator left = count(1, 5);
        left.next();
        left.next();
        std::printf("%d, %d alive\n", left.handle.promise().value, alive);
    }
    std::printf("%d alive\n", alive);
}
