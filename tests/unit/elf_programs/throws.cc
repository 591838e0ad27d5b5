// A target with the C++ library in it.
#include <csignal>

volatile int one = 1;

int main()
{
    try {
        if (one)
            throw 1;
    } catch (int) {
    }
    for (;;)
        raise(SIGSTOP);
}
