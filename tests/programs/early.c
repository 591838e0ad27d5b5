/* Its library's constructor calls getenv before main; main calls it again. */
#include <stdio.h>
#include <stdlib.h>
extern int early_calls;
int main(void)
{
    printf("%d early, %s\n", early_calls, getenv("FROM_MAIN") ? "set" : "not set");
    return 0;
}
