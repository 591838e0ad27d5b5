/* Calls getenv itself and by way of libtail.so, with names that say who called. */
#include <stdlib.h>

char *relay(const char *name);
char *relay_and_return(const char *name);

int main(void)
{
    char *(*volatile direct)(const char *) = getenv;
    char *(*volatile indirect)(const char *) = relay;
    for (int i = 0; i < 2; i++) {
        getenv("MAIN");
        relay("TAIL");
        relay_and_return("CALL");
        direct("POINTER");
        indirect("POINTER_TO_TAIL");
    }
    return 0;
}
