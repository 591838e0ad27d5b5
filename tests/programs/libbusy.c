/* Sixty functions, each also the choice of an IFUNC that is asked when it is first called. */
#define TEN(what, n) what(n##0) what(n##1) what(n##2) what(n##3) what(n##4) what(n##5) what(n##6) what(n##7) what(n##8) what(n##9)
#define SIXTY(what) TEN(what, 1) TEN(what, 2) TEN(what, 3) TEN(what, 4) TEN(what, 5) TEN(what, 6)
typedef long function(long);
/* It is mostly behind the first and the second instruction of its first five bytes. */
#define ONE(n) \
    long busy_##n(long); \
    __asm__(".globl busy_" #n "\n.type busy_" #n ",@function\nbusy_" #n ": pause\npause\nnop\nlea " #n "(%rdi,%rdi), %rax\nret\n.size busy_" #n ",.-busy_" #n "\n.p2align 4"); \
    static function *choose_##n(void) { return busy_##n; } \
    __attribute__((ifunc("choose_" #n))) long chosen_##n(long);
SIXTY(ONE)
