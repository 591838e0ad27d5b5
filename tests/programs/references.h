/* What two modules are compiled with. */
#ifndef REFERENCES_H
#define REFERENCES_H

static inline int scale(int n)
{
    return n * 7 + 1;
}

#endif
