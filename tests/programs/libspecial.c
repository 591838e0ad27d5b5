/* A plugin with a constructor, thread-local storage and a destructor. */
static __thread int factor = 2;
static int ready;
__attribute__((constructor)) static void begin(void) { ready = 1; }
__attribute__((destructor)) static void end(void) { ready = 0; }
int plugin_twice(int n) { return ready ? n * factor : -1; }
