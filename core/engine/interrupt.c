/*
 * interrupt.c: Ctrl-C while the engine works.
 *
 * A debugger turns Ctrl-C into an exception of its script language, which would end a callback in
 * its middle, or into a flag that nobody here sees. So while the engine works, the signal only sets
 * a flag of ours: a long command looks at it and gives up in good order. A signal that nobody took
 * is sent again at the end, for the debugger. Whatever waits for the user (a question, a pager)
 * runs with the debugger's own handler.
 */
#include "engine/internal.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* never taken by the handler */
static int holders;
static bool lent;
static struct sigaction debuggers;

static void on_interrupt(int number)
{
    interrupted = 1;
}

static void take_signal(void)
{
    struct sigaction ours, before;
    memset(&ours, 0, sizeof ours);
    ours.sa_handler = on_interrupt;
    ours.sa_flags = SA_RESTART;
    sigemptyset(&ours.sa_mask);
    sigaction(SIGINT, &ours, &before);
    if (before.sa_handler != on_interrupt)
        debuggers = before;
}

void gib_hold_interrupts(void)
{
    pthread_mutex_lock(&lock);
    if (holders++ == 0)
        take_signal();
    pthread_mutex_unlock(&lock);
}

void gib_let_interrupts(void)
{
    pthread_mutex_lock(&lock);
    bool last = --holders == 0, again = last && interrupted;
    if (last) {
        interrupted = 0;
        sigaction(SIGINT, &debuggers, NULL);
    }
    pthread_mutex_unlock(&lock);
    if (again)
        kill(getpid(), SIGINT);
}

void gib_lend_interrupts(bool lend)
{
    pthread_mutex_lock(&lock);
    lent = lend;
    if (holders && lend)
        sigaction(SIGINT, &debuggers, NULL);
    else if (holders)
        take_signal();
    pthread_mutex_unlock(&lock);
}

bool gib_take_interrupt(const struct gib_engine *engine)
{
    if (!engine->interruptible)
        return false;
    bool was = interrupted;
    if (was)
        interrupted = 0;
    else
        take_signal();
    return was;
}

bool gib_engine_interrupt(void)
{
    pthread_mutex_lock(&lock);
    bool ours = holders && !lent;
    if (ours)
        interrupted = 1;
    pthread_mutex_unlock(&lock);
    return ours;
}
