// The same in C++: members, templates, namespaces with and without a name.
#include <cstdio>

static volatile int sum;

extern "C" __attribute__((noinline)) void leaf(int n)
{
    sum = sum + n;
}

#define INLINE inline __attribute__((always_inline))

namespace zoo {
struct Cage {
    int n;
    INLINE void feed()
    {
        leaf(n);
        sum = sum + 1;
    }
    template <typename T> INLINE void visit(T times)
    {
        for (T i = 0; i < times; i++) {
            feed();
            sum = sum + 2;
        }
    }
};
} // namespace zoo

namespace {
INLINE void hidden(zoo::Cage &cage)
{
    cage.visit<long>(sum % 2 + 1);
    sum = sum + 1;
}
} // namespace

namespace park {
static INLINE void opened(zoo::Cage &cage)
{
    hidden(cage);
    sum = sum + 1;
}
} // namespace park

int main(int argc, char **argv)
{
    zoo::Cage cage{argc};
    park::opened(cage);
    std::printf("sum %d\n", sum);
    return 0;
}
