/* inlines.h: a function that both units have a copy of. */
extern volatile int number;

static inline int from_header(int n)
{
    number = n ^ 5; /* a store keeps its line */
    return n * 7;
}
