/* Passes calls on: its own return address is in none of them but the last. */
#include <stdlib.h>

char *relay(const char *name)
{
    return getenv(name); /* with -O2 a jump */
}
char *relay_and_return(const char *name)
{
    char *found = getenv(name);
    return found ? found : "";
}
