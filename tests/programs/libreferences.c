#include "references.h"

volatile int other = 4;

int library(int n)
{
    return scale(other) + n; /* COPY */
}
