/* Calls with arguments of all kinds, for conditions. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_INLINED __attribute__((noinline))

enum color { RED, GREEN = 5, BLUE };
typedef unsigned short small;
struct box {
    unsigned flag : 3;
    int level : 5;
    char label[8];
    union {
        long whole;
        unsigned char part[8];
    };
};
struct point {
    int x;
    short y;
    enum color color;
    double weight;
    struct point *next;
    struct box box, *boxes;
    const char *name;
    small table[2][3];
};
static long counter = 40;
int limits[4] = {1, 10, 100, 1000};

NOT_INLINED int add(int a, long b, unsigned char c, small d)
{
    __asm__ volatile("" : : "r"(a), "r"(b) : "memory");
    counter++;
    return (int)(a + b + c + d);
}
NOT_INLINED double scale(double x, float y, int n)
{
    __asm__ volatile("" : "+x"(x), "+x"(y));
    return x * y + n;
}
NOT_INLINED long look(struct point *p, const char *word, enum color color)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p ? p->x + (word ? word[0] : 0) + (long)color : -1;
}
NOT_INLINED int attempt(int n)
{
    __asm__ volatile("" : "+r"(n));
    errno = n % 3 == 1 ? EACCES : n % 3 == 2 ? ENOENT : 0;
    return n % 3 ? -1 : n;
}
struct crate {
    long weight[5];
    char label[12];
    int count;
};
struct __attribute__((packed)) tag {
    char kind;
    long number;
};
NOT_INLINED long weigh(struct crate crate, int n, struct tag tag, struct crate *other)
{
    __asm__ volatile("" : : "r"(&crate), "r"(&tag), "r"(other) : "memory");
    return crate.weight[n & 3] + tag.number;
}
NOT_INLINED void set(char *buffer, int n)
{
    snprintf(buffer, 8, "n%d", n);
}
NOT_INLINED int first(int a) { return add(a, 1, 2, 3) + 1; }
NOT_INLINED int second(int a) { return add(a, 4, 5, 6) + 2; }

int main(int argc, char **argv)
{
    int calls = argc > 1 ? atoi(argv[1]) : 24;
    struct point point[4];
    char text[4][16], buffer[8];
    long sum = 0;
    double total = 0;
    memset(point, 0, sizeof point);
    for (int i = 0; i < 4; i++) {
        struct point *p = &point[i];
        snprintf(text[i], sizeof text[i], "/tmp/%c%d", 'a' + i, i * 7);
        *p = (struct point){.x = 3 * i - 4, .y = (short)(-i), .color = i % 2 ? BLUE : GREEN, .weight = i / 2.0, .name = text[i]};
        p->next = i < 3 ? &point[i + 1] : NULL;
        p->boxes = &point[3 - i].box;
        p->box.flag = (unsigned)(i + 5) & 7;
        p->box.level = i - 2;
        p->box.whole = 0x0102030405060708 + i;
        snprintf(p->box.label, sizeof p->box.label, "box%d", i);
        for (int k = 0; k < 6; k++)
            p->table[k / 3][k % 3] = (small)(i * 10 + k);
    }
    for (int i = 0; i < calls; i++) {
        struct point *p = i % 7 == 6 ? NULL : i % 7 == 5 ? (struct point *)16 : &point[i % 4];
        sum += add(i - 12, i * 1000000007l, (unsigned char)(i * 37), (small)(65530 + i));
        total += scale(i / 4.0 - 2, (float)i / 3, -i);
        sum += i % 7 == 5 ? 0 : look(p, i % 5 == 4 ? NULL : text[(i + 1) % 4], i % 3 ? RED : BLUE);
        sum += attempt(i);
        set(buffer, i);
        struct crate crate = {{i, i * 2, -i, 7, i % 3}, "crate", i % 4};
        crate.label[4] = (char)('a' + i % 5);
        sum += weigh(crate, i, (struct tag){(char)(i * 11), i * 1000}, i % 6 ? &crate : NULL);
        sum += i % 2 ? first(i) : second(i);
    }
    if (calls > 5) /* a pointer that leads nowhere, to a function that does not follow it */
        sum += look(NULL, NULL, RED);
    printf("%ld %.3f %ld\n", sum, total, counter);
    return 0;
}
