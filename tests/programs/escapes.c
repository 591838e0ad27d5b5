/* Text that a terminal would obey, cut, or misread. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
__attribute__((noinline)) size_t say(const char *what) { __asm__ volatile("" : : "r"(what) : "memory"); return 1; }
int main(void)
{
    say("plain");
    say("\033[31mred\033]0;title\007");
    say("\x9b" "2J");
    say("\xc2\x9b" "2J");
    say("tab\tline\nquote\"back\\");
    say("gr\xc3\xbc\xc3\x9f \xe2\x82\xac");
    say("bad \xff\xfe utf \xc3");
    say("\xe2\x80\xae" "reversed");
    say("");
    static char lots[5000];
    memset(lots, 'x', sizeof lots - 1);
    say(lots);
    say(NULL);
    say((const char *)8);
    say((const char *)0x8000000000000000);
    /* Text that ends with its page, and text that runs into a page that cannot be read. */
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(pages + 4096, 4096, PROT_NONE);
    memcpy(pages + 4096 - 4, "end", 4);
    say(pages + 4096 - 4);
    memcpy(pages + 4096 - 3, "cut", 3);
    say(pages + 4096 - 3);
    say("last");
    puts("done");
    return 0;
}
