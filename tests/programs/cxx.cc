// Names, overloads, methods, templates and exceptions of C++.
#include <cstdio>
#include <stdexcept>
#include <string>
#define KEEP __attribute__((noinline))
namespace zoo {
KEEP int feed(int n) { __asm__ volatile("" : "+r"(n)); return n + 1; }
KEEP int feed(const char *what) { __asm__ volatile("" : "+r"(what)); return *what; }
class Ape {
public:
    explicit Ape(int age) : age_(age) {}
    KEEP int climb(int metres) const { __asm__ volatile("" : "+r"(metres)); return metres * age_; }
    KEEP static double weigh(double kilos) { __asm__ volatile("" : "+x"(kilos)); return kilos / 2; }
    virtual KEEP int swing(unsigned char times) { __asm__ volatile("" : "+r"(times)); return times; }
    virtual ~Ape() = default;

private:
    int age_;
};
template <class T> KEEP T largest(T a, T b) { return a > b ? a : b; }
KEEP void fall(int height)
{
    __asm__ volatile("" : "+r"(height));
    if (height > 2)
        throw std::runtime_error("too high");
}
KEEP int try_fall(int height)
{
    try {
        fall(height);
    } catch (const std::exception &) {
        return -height;
    }
    return height;
}
}
int main()
{
    zoo::Ape ape(7);
    std::printf("%d %d %d %g %d\n", zoo::feed(41), zoo::feed("A"), ape.climb(3), zoo::Ape::weigh(5), ape.swing(9));
    std::printf("%d %g\n", zoo::largest(3, 4), zoo::largest(1.5, 0.5));
    for (int i = 1; i <= 4; i++)
        std::printf("%d ", zoo::try_fall(i));
    std::puts("");
}
