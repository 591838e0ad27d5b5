// Inlined members and templates.
#include <cstdio>

class Box {
public:
    explicit Box(int n) : n(n) {}
    int get(int k) const { return n * k; }
    template <class T> T convert(T t) { return t + n; }
    int n;
};

inline int outside(int n)
{
    return n * 5 + 1;
}

volatile int number = 3;

extern "C" __attribute__((noinline)) void stop_here()
{
    number = 4;
}

int main()
{
    Box box(number);
    int (Box::*volatile get)(int) const = &Box::get;
    int (Box::*volatile convert)(int) = &Box::convert<int>;
    int (*volatile out)(int) = outside;
    stop_here();
    int sum = box.get(number) + box.convert(static_cast<int>(number)) + outside(number); /* COPY */
    printf("%d\n", sum + (box.*get)(2) + (box.*convert)(7) + out(5));
}
