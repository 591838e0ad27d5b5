// inlines.cc: members, constructors, templates and lambdas that are inlined and kept.
volatile int number = 3;

class Box {
public:
    explicit Box(int n) : n(n + number) {}
    int get(int k) const { return n * k + number; }
    template <class T> T convert(T t) { return t + n + number; }
    int n;
};

template <class T> T twice(T value)
{
    number = 3;
    return value + value + number;
}

namespace {
int hidden(int n)
{
    return n ^ number;
}
}

int main()
{
    Box box(number); /* BOX */
    int (Box::*volatile get)(int) const = &Box::get;
    int (Box::*volatile convert)(int) = &Box::convert<int>;
    int (*volatile again)(int) = twice<int>, (*volatile hide)(int) = hidden;
    double (*volatile other)(double) = twice<double>;
    int sum = (box.*get)(2) + (box.*convert)(7) + again(5) + hide(6) + (int)other(1.5);
    sum += box.get(number);       /* GET */
    sum += box.convert(sum + 1);  /* CONVERT */
    sum += twice(sum);            /* TWICE */
    sum += hidden(sum);           /* HIDDEN */
    return sum;
}
