/* A signal every so many microseconds (100), until the end. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
static volatile long alarms;
static void on_alarm(int number) { alarms += number != 0; }
int main(int argc, char **argv)
{
    int interval = argc > 1 ? atoi(argv[1]) : 100;
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, interval}, {0, interval}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    while (alarms < 200)
        getenv("ALARM");
    puts("done");
    return 0;
}
