/* Exceptions that pass through functions which call with their very first instructions; what each of them did is printed. */
#include <cstdio>
#include <pthread.h>
#include <stdexcept>
#define KEEP __attribute__((noinline))
static volatile int zero;
struct note {
    const char *text;
    ~note() { std::printf("%s ", text); }
};
struct shape {
    virtual int area(int n) = 0;
    virtual ~shape() {}
};
struct square : shape {
    KEEP int area(int n) override
    {
        if (n > 2)
            throw n;
        return n * n;
    }
};
extern "C" {
KEEP void throws() { throw 42 + zero; }
KEEP void returns() { zero = 0; }
KEEP int catches(void (*f)()) { try { f(); } catch (...) { return 1; } return 0; }
KEEP int catches_number(void (*f)()) { try { f(); } catch (int n) { return n; } return 0; }
KEEP void cleans(void (*f)()) { note n{"cleaned"}; f(); }
KEEP void cleans_twice(void (*f)()) { note n{"inner"}; f(); f(); }
KEEP int passes(void (*f)()) { f(); return 3; }
KEEP int through_object(shape *s, int n) { return s->area(n) + 1; }
KEEP int object_caught(shape *s, int n) { try { return s->area(n); } catch (int m) { return -m; } }
KEEP void given_up(void *) { std::printf("given up "); }
KEEP void ends(void (*f)()) { note n{"ended"}; f(); }
KEEP void leaves() { pthread_exit(nullptr); }
KEEP void *thread(void *) { ends(leaves); return nullptr; }
}
int main()
{
    square s;
    void (*calls[])() = {returns, throws};
    for (int turn = 0; turn < 3; turn++)
        for (void (*f)() : calls) {
            long kept[4] = {turn, 11, 12, 13};
            __asm__ volatile("" : "+r"(kept[0]), "+r"(kept[1]), "+r"(kept[2]), "+r"(kept[3]));
            try {
                std::printf("%d ", catches(f));
                std::printf("%d ", catches_number(f));
                cleans(f);
            } catch (int n) {
                std::printf("main %d ", n);
            }
            try {
                cleans_twice(f);
            } catch (int n) {
                std::printf("main again %d ", n);
            }
            try {
                std::printf("%d ", passes(f));
            } catch (int n) {
                std::printf("passed %d ", n);
            }
            __asm__ volatile("" : "+r"(kept[0]), "+r"(kept[1]), "+r"(kept[2]), "+r"(kept[3]));
            std::printf("%ld\n", kept[0] + kept[1] + kept[2] + kept[3]);
        }
    for (int n = 1; n < 5; n++) {
        try {
            std::printf("object %d ", object_caught(&s, n));
            std::printf("%d\n", through_object(&s, n));
        } catch (int m) {
            std::printf("thrown %d\n", m);
        }
    }
    pthread_t other;
    pthread_create(&other, nullptr, thread, nullptr);
    pthread_join(other, nullptr);
    std::printf("\n");
    return 0;
}
