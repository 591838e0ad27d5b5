// Members, exceptions and objects that cannot be copied by their bytes, and handlers for them.
#include <cstdio>
#include <stdexcept>
#include <string>
#include "gibbon/package.h"
#define APART __attribute__((noinline))

struct Point {
    int x, y;
    Point(int a, int b) : x(a), y(b) {}
    virtual ~Point() {}
    APART int sum(int k) const { return x + y + k; }
    APART static int make(int a) { return a + 1; }
    APART virtual double scaled(double by) { return by * x; }
};
APART int thrower(int n)
{
    if (n > 2)
        throw std::runtime_error("n is " + std::to_string(n));
    return n;
}
APART std::string joined(std::string a, const std::string &b)
{
    return a + b;
}

extern "C" {
void show(gibbon_call *call);
void pass(gibbon_call *call);
void catcher(gibbon_call *call);
void raiser(gibbon_call *call);
void louder(gibbon_call *call);

APART void show(gibbon_call *call)
{
    std::printf("%s: %s, %u arguments\n", gibbon_function(call), gibbon_this(call) ? "a member" : "no member", gibbon_argument_count(call));
    if (gibbon_this(call))
        std::printf("x is %d\n", static_cast<Point *>(gibbon_this(call))->x);
    gibbon_call_original(call);
}
APART void pass(gibbon_call *call)
{
    gibbon_call_original(call);
}
APART void catcher(gibbon_call *call)
{
    try {
        gibbon_call_original(call);
    } catch (const std::exception &e) {
        std::printf("the handler caught: %s\n", e.what());
        gibbon_write_int(gibbon_result_type(call), gibbon_result(call), 77);
    }
}
APART void raiser(gibbon_call *)
{
    throw 5;
}
APART void louder(gibbon_call *call)
{
    static_cast<std::string *>(gibbon_argument(call, 0))->append("very ");
    gibbon_call_original(call);
    static_cast<std::string *>(gibbon_result(call))->append("!");
}
}

int main()
{
    Point point(3, 4);
    std::printf("sum %d\n", point.sum(5));
    std::printf("make %d\n", Point::make(1));
    Point *volatile pointer = &point;
    std::printf("scaled %g\n", pointer->scaled(2.5));
    for (int i = 2; i < 5; i++) {
        try {
            std::printf("thrower %d\n", thrower(i));
        } catch (const std::exception &e) {
            std::printf("main caught: %s\n", e.what());
        } catch (int n) {
            std::printf("main caught %d\n", n);
        }
    }
    std::printf("joined %s\n", joined("left ", "right").c_str());
}
