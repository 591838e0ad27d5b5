/* bare.c: a shared object without registrations. */
int bare(void);
int bare(void)
{
    return 1;
}
