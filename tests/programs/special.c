/* Functions that no ordinary wrapper could be put around: each scenario prints one line; patches must not change it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#define KEEP __attribute__((noinline))

extern char **environ;
unsigned long vdso;
static volatile int sink;
static int status_of(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- setjmp ---- */
static jmp_buf plain;
static sigjmp_buf with_mask;
KEEP void leap(int n) { n > 0 ? longjmp(plain, n) : siglongjmp(with_mask, -n); }
KEEP int deep(int levels, int n)
{
    char room[64];
    memset(room, levels, sizeof room);
    if (!levels)
        leap(n);
    return deep(levels - 1, n) + room[3];
}
static void jumps(void)
{
    volatile int sum = 0, turn = 0;
    for (turn = 1; turn <= 5; turn++) {
        int got = setjmp(plain);
        if (!got)
            deep(turn * 3, turn);
        sum += got;
        got = sigsetjmp(with_mask, 1);
        if (!got)
            deep(turn, -turn);
        sum += 100 * got;
        got = _setjmp(plain);
        if (got < 3)
            longjmp(plain, got + 1);
        sum += 10000 * got;
    }
    printf("jumps %d\n", sum);
}

/* ---- vfork, clone, spawn, exec, exit ---- */
KEEP int vforked(const char *program)
{
    volatile int before = 7;
    pid_t child = vfork();
    if (child == 0) {
        execl(program, program, "-c", "exit 3", (char *)NULL);
        _exit(99);
    }
    return status_of(child) * 10 + before;
}
static int cloned(void *number) { syscall(SYS_exit_group, *(int *)number + 1); return 0; }
static void processes(void)
{
    printf("vfork %d\n", vforked("/bin/sh"));
    printf("vfork, no program %d\n", vforked("/nonexistent"));
    int number = 4;
    char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    pid_t child = clone(cloned, stack + 65536, CLONE_VM | CLONE_VFORK | SIGCHLD, &number);
    printf("clone %d\n", status_of(child));
    child = clone(cloned, stack + 65536, SIGCHLD, &number);
    printf("clone, own memory %d\n", status_of(child));
    char *words[] = {"/bin/sh", "-c", "exit $X", NULL}, *environment[] = {"X=6", NULL};
    posix_spawn(&child, words[0], NULL, NULL, words, environment);
    printf("posix_spawn %d\n", status_of(child));
    posix_spawnp(&child, "sh", NULL, NULL, words, environment);
    printf("posix_spawnp %d\n", status_of(child));
    printf("system %d\n", WEXITSTATUS(system("exit 9")));
    FILE *pipe = popen("echo from a pipe", "r");
    char line[64] = "";
    if (!fgets(line, sizeof line, pipe))
        strcpy(line, "nothing\n");
    printf("popen %d %s", pclose(pipe), line);
    fflush(stdout);
    for (int way = 0; way < 8; way++) {
        child = fork();
        if (child == 0) {
            switch (way) {
            case 0: execve(words[0], words, environment); break;
            case 1: execlp("sh", "sh", "-c", "exit 5", (char *)NULL); break;
            case 2: execvpe("sh", words, environment); break;
            case 3: _exit(21);
            case 4: exit(22);
            case 5: quick_exit(23);
            case 6: abort();
            case 7: _Exit(24);
            }
            _exit(98);
        }
        printf("end %d: %d\n", way, status_of(child));
        fflush(stdout);
    }
    for (int n = 0; n < 3; n++) {
        child = fork();
        if (child == 0) {
            signal(SIGTERM, SIG_DFL);
            n == 0 ? raise(SIGTERM) : n == 1 ? kill(getpid(), SIGKILL) : pthread_kill(pthread_self(), SIGTERM);
            _exit(97);
        }
        printf("killed %d: %d\n", n, status_of(child));
        fflush(stdout);
    }
}

/* ---- contexts ---- */
static ucontext_t main_context, other;
static volatile int ping;
static void coroutine(int a, int b, int c, int d, int e, int f, int g, int h)
{
    ping += a + b + c + d + e + f + g * 10 + h * 100;
    for (int i = 0; i < 3; i++) {
        ping *= 2;
        swapcontext(&other, &main_context);
    }
}
static void contexts(void)
{
    static char stack[65536];
    volatile int turns = 0;
    getcontext(&other);
    if (turns++ < 2)
        setcontext(&other);
    other.uc_stack.ss_sp = stack;
    other.uc_stack.ss_size = sizeof stack;
    other.uc_link = &main_context;
    makecontext(&other, (void (*)(void))coroutine, 8, 1, 2, 3, 4, 5, 6, 7, 8);
    for (int i = 0; i < 4; i++)
        swapcontext(&main_context, &other);
    printf("contexts %d %d\n", ping, turns);
}

/* ---- the loader: who asks decides what is found ---- */
static int visited(struct dl_phdr_info *info, size_t size, void *count)
{
    (void)size;
    *(int *)count += info->dlpi_addr || info->dlpi_phnum > 0;
    return 0;
}
static void loading(const char *library)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    int (*f)(int) = (int (*)(int))dlsym(handle, "plugin_twice");
    printf("dlopen %d\n", f ? f(21) : -1);
    printf("dlerror %s\n", dlsym(handle, "nowhere") || !dlerror() ? "wrong" : "told");
    void *again = dlmopen(LM_ID_NEWLM, library, RTLD_NOW);
    f = again ? (int (*)(int))dlsym(again, "plugin_twice") : NULL;
    printf("dlmopen %d\n", f ? f(4) : -1);
    int (*print)(const char *, ...) = (int (*)(const char *, ...))dlsym(RTLD_NEXT, "printf");
    print("dlsym RTLD_NEXT %d %g\n", 5, 2.5);
    printf("dlsym RTLD_DEFAULT %d\n", dlsym(RTLD_DEFAULT, "special_exported") != NULL);
    printf("dlvsym %d\n", dlvsym(RTLD_DEFAULT, "memcpy", "GLIBC_2.14") != NULL);
    Dl_info info;
    int known = dladdr(dlsym(RTLD_DEFAULT, "special_exported"), &info);
    printf("dladdr %d %s\n", known != 0, info.dli_sname);
    struct link_map *map = NULL;
    known = dladdr1((void *)printf, &info, (void **)&map, RTLD_DL_LINKMAP);
    printf("dladdr1 %d %d\n", known, map != NULL);
    int count = 0;
    dl_iterate_phdr(visited, &count);
    printf("dl_iterate_phdr %d\n", count > 3);
    printf("dlclose %d\n", dlclose(handle));
}
KEEP int special_exported(int n) { return n + (int)(vdso & 1); }

/* ---- signals ---- */
static volatile long handled, hammered;
KEEP int patched_by_both(int n) { hammered++; __asm__ volatile("" : "+r"(n)); return n + 1; }
KEEP void handler(int number) { handled += patched_by_both(number) > 0; }
KEEP void informed(int number, siginfo_t *info, void *context)
{
    sink = info->si_code + (int)((ucontext_t *)context)->uc_flags;
    handled += patched_by_both(number) > 0;
}
static void timer(int on)
{
    struct itimerval often = {{0, on ? 100 : 0}, {0, on ? 100 : 0}};
    setitimer(ITIMER_REAL, &often, NULL);
}
static void hammer(const char *what, long calls)
{
    long bad = 0;
    handled = 0;
    timer(1);
    for (long i = 0; i < calls || handled < 20; i++)
        bad += patched_by_both((int)(i & 0xffff)) != (int)(i & 0xffff) + 1;
    timer(0);
    printf("%s %ld wrong, handled %s\n", what, bad, handled >= 20 ? "yes" : "no");
}
static void signals(void)
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGALRM, &action, NULL);
    hammer("timer", 300000);
    action.sa_sigaction = informed;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGALRM, &action, NULL);
    hammer("timer, nested", 300000);
    stack_t alternate = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&alternate, NULL);
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGALRM, &action, NULL);
    hammer("timer, own stack", 300000);
    signal(SIGUSR1, handler);
    handled = 0;
    for (int i = 0; i < 5; i++)
        raise(SIGUSR1);
    printf("raise %ld\n", handled);
}

/* ---- threads ---- */
static __thread int local = 5;
static pthread_key_t key;
static void key_destructor(void *value) { __atomic_add_fetch(&hammered, (long)value, __ATOMIC_RELAXED); }
KEEP void *thread_start(void *number)
{
    pthread_setspecific(key, number);
    local += (int)(long)number;
    return (void *)(long)(local * 2);
}
static void threads(void)
{
    pthread_t thread[8];
    long sum = 0;
    hammered = 0;
    pthread_key_create(&key, key_destructor);
    for (long i = 0; i < 8; i++)
        pthread_create(&thread[i], NULL, thread_start, (void *)(i + 1));
    for (int i = 0; i < 8; i++) {
        void *result;
        pthread_join(thread[i], &result);
        sum += (long)result;
    }
    printf("threads %ld %ld %d\n", sum, hammered, local);
}

/* ---- callbacks, forks, the clock ---- */
KEEP int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
KEEP int forks(int n)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        return -n; /* returns in the child, too */
    return status_of(child);
}
static int constructed, chosen_calls;
__attribute__((constructor)) static void constructor(void) { constructed = 3; }
__attribute__((destructor)) static void destructor(void) { printf("destructor\n"); fflush(stdout); }
KEEP int impl_one(int n) { chosen_calls++; return n + 1; }
KEEP int impl_two(int n) { return n + 2; }
static int (*choose(void))(int) { return getauxval(AT_PAGESZ) == 4096 ? impl_one : impl_two; }
int chosen(int n) __attribute__((ifunc("choose")));
static void at_exit(void) { printf("atexit\n"); }
static void on_exit_of(int status, void *what) { printf("on_exit %d %s\n", status, (char *)what); }
static void others(void)
{
    int numbers[] = {5, 3, 9, 1, 7, 2, 8};
    qsort(numbers, 7, sizeof *numbers, compare);
    printf("qsort %d%d%d%d%d%d%d\n", numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6]);
    int result = forks(17);
    if (result < 0)
        _exit(-result);
    printf("fork %d\n", result);
    struct timespec ts = {0, 0};
    struct timeval tv = {0, 0};
    printf("clock %d %d %d\n", clock_gettime(CLOCK_MONOTONIC, &ts) == 0 && ts.tv_sec > 0, gettimeofday(&tv, NULL) == 0 && tv.tv_sec > 1000000, time(NULL) > 1000000);
    printf("ifunc %d %d\n", chosen(1), chosen_calls);
    char copy[64];
    memset(copy, 'x', sizeof copy);
    memcpy(copy, "copied", 7);
    printf("%s %zu %d\n", copy, strlen(copy), strcmp(copy, "copied"));
    printf("constructor %d, environ %d\n", constructed, environ != NULL);
}

int main(int argc, char **argv)
{
    vdso = getauxval(AT_SYSINFO_EHDR);
    atexit(at_exit);
    on_exit(on_exit_of, "with a word");
    jumps();
    processes();
    contexts();
    if (argc > 1)
        loading(argv[1]);
    signals();
    threads();
    others();
    fflush(stdout);
    exit(7);
}
