/* realigned.c: a frame that gcc realigns, with arguments on the stack (DW_OP_breg6; DW_OP_deref). */
typedef double wide __attribute__((vector_size(32)));
extern void use(wide *, int, ...);
int realigned(int a, int b, int c, int d, int e, int f, int g, int h)
{
    wide local[4] = {{a, b, c, d}};
    use(local, g, __builtin_alloca(h));
    return local[0][1] + g + h;
}
