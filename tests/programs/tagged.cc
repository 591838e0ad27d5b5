/* Functions with ABI tags, one with a very long name, and one of which only a clone is left. */
#include <cstdio>
#include <string>

__attribute__((noinline)) std::string repeat(int n)
{
    return std::string(n, 'x');
}

namespace ns {
struct Store {
    __attribute__((noinline)) std::string get(int n)
    {
        return std::to_string(n);
    }
};
namespace a_namespace_with_a_name_of_its_own_length_and_a_half {
struct ClassOfWhichTheNameIsNotShortEither {
    int x;
    __attribute__((noinline)) int method_at_the_very_end_of_it(int n)
    {
        return n + x;
    }
};
} // namespace a_namespace_with_a_name_of_its_own_length_and_a_half
} // namespace ns

struct Three {
    int a, b, c;
};
namespace ns {
__attribute__((noinline)) static int shrunk(Three *p, int unused)
{
    return p->a * 3 + std::printf("%d\n", p->a);
}
} // namespace ns

int main()
{
    ns::Store store;
    ns::a_namespace_with_a_name_of_its_own_length_and_a_half::ClassOfWhichTheNameIsNotShortEither
        longest{3};
    Three three = {1, 2, 3};
    int total = 0;
    for (int i = 0; i < 5; i++) {
        three.a = i;
        total += (int)(repeat(i).size() + store.get(i).size());
        total += longest.method_at_the_very_end_of_it(i) + ns::shrunk(&three, i);
    }
    std::printf("%d\n", total);
}
