"""Writes a C program with N functions fun_0 ... and ten that are too short to be patched, tiny_0 ...: make_many.py N > many.c

`many ROUNDS` calls each of them so often and prints a sum."""
import sys

count = int(sys.argv[1])
print("#include <stdio.h>\n#include <stdlib.h>\ntypedef long function(long);")
for i in range(count):
    body = ("return n * %d + 1;", "return n > %d ? n - 3 : n ^ 5;", "long s = 0; for (long i = 0; i < 3; i++) s += n * i + %d; return s;", "return (n << 3) / %d + sum;")[i % 4] % (i + 1)
    if i % 4 == 3:
        body = body.replace("sum", "(long)(n * 0.5)")
    print("__attribute__((noinline)) long fun_%d(long n) { %s }" % (i, body))
# A hundred bytes in front and behind that are no padding: no island is in reach of any of them.
print('__asm__(".section .text.tiny,\\"ax\\"\\n.fill 200,1,0xc3\\n"')
for i in range(10):
    print('        ".globl tiny_%d\\n.type tiny_%d,@function\\ntiny_%d: ret\\n.size tiny_%d,1\\n"' % ((i,) * 4))
print('        ".fill 200,1,0xc3\\n.previous\\n");')
print("void %s;" % ", ".join("tiny_%d(void)" % i for i in range(10)))
print("static function *const all[] = {%s};" % ", ".join("fun_%d" % i for i in range(count)))
print("static void (*const short_ones[])(void) = {%s};" % ", ".join("tiny_%d" % i for i in range(10)))
print("""
int main(int argc, char **argv)
{
    unsigned long sum = 0;
    long rounds = argc > 1 ? atol(argv[1]) : 1;
    for (long r = 0; r < rounds; r++) {
        for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
            sum = sum * 31 + (unsigned long)all[i]((long)(sum % 1000));
        for (unsigned i = 0; i < 10; i++)
            short_ones[i]();
    }
    printf("%lu\\n", sum);
    return 0;
}""")
