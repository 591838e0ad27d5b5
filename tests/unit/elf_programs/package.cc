// A package that throws and catches: its frames must be known to the unwinder.
#include <dlfcn.h>

__attribute__((noinline)) static void thrower(int n)
{
    if (n)
        throw n;
}

struct Guard {
    int *count;
    ~Guard()
    {
        ++*count;
    }
};

__attribute__((noinline)) static void between(int n, int *count)
{
    Guard guard = {count};
    thrower(n);
}

// 0, or what is wrong.
extern "C" long package_test()
{
    int count = 0;
    between(0, &count);
    try {
        between(3, &count);
    } catch (int n) {
        return n == 3 && count == 2 ? 0 : 2;
    }
    return 1;
}

// The .eh_frame_hdr by glibc's own lookup, 0: not found.
extern "C" long package_frames()
{
    dl_find_object found = {};
    return _dl_find_object((void *)package_test, &found) ? 0 : (long)found.dlfo_eh_frame;
}
