#include "relocate_random.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "emulator.h" /* random_next */

/*
 * Hex bytes and these words:
 *   W R    a REX prefix with and without W, R X B drawn; the letter is not written when it is all 0
 *   /r     ModRM (and SIB, displacement) with any memory operand and any register; /rN: register N
 *   /m     the same, rarely relative to rip; /p always relative to rip
 *   /x     ModRM with two registers
 *   +r     the last byte plus any register of 8
 *   +c     the last byte plus any condition
 *   b w d q  an immediate of that size
 *   s l    a short or long distance, often to another instruction of the sequence
 */
static const char *const templates[] = {
    /* integers */
    "W 8b /r",
    "W 89 /r",
    "W 03 /r",
    "W 29 /r",
    "W 3b /r",
    "W 85 /r",
    "W 33 /x",
    "R 88 /r",
    "R 8a /r",
    "66 R 8b /r",
    "66 R 89 /r",
    "W 8d /r",
    "R 8d /p",
    "66 R 8d /r",
    "67 W 8d /p",
    "W 63 /r",
    "W 0f b6 /r",
    "W 0f bf /r",
    "W 0f af /r",
    "W 69 /r d",
    "W 6b /r b",
    "W 83 /r0 b",
    "W 83 /r7 b",
    "W 81 /r5 d",
    "R 80 /r7 b",
    "66 R 81 /r1 w",
    "66 R c7 /r0 w",
    "W c7 /r0 d",
    "R c6 /r0 b",
    "W f7 /r0 d",
    "R f6 /r0 b",
    "W f7 /r2",
    "W f7 /r3",
    "W f7 /r4",
    "W f7 /r6",
    "W ff /r0",
    "W ff /r1",
    "W d3 /r4",
    "W c1 /r5 b",
    "W d1 /r7",
    "W c1 /x b",
    "W 0f a4 /r b",
    "W 0f ad /r",
    "W 0f ba /r4 b",
    "W 0f ab /x",
    "W 0f bc /r",
    "f3 W 0f b8 /r",
    "W 0f 40 +c /r",
    "0f 90 +c /r0",
    "W 87 /r",
    "f0 W 0f b1 /r",
    "f0 W 0f c1 /r",
    "f0 R 0f c7 /r1",
    "f0 W 83 /r0 b",
    "W b8 +r d",
    "48 b8 +r q",
    "W 0f c8 +r",
    "98",
    "48 98",
    "99",
    "48 99",
    "9f",
    "9e",
    "f5",
    "f8",
    "f9",
    "fc",
    "fd",
    "d7",
    "64 W 8b /r",
    "65 R 89 /r",
    "64 48 8b 04 25 28 00 00 00",
    "67 W 8b /m",
    "W 0f 38 f0 /r",
    "f2 R 0f 38 f1 /r",
    "66 W 0f 38 f6 /r",
    "f3 W 0f 38 f6 /r",
    /* the stack */
    "50 +r",
    "41 50 +r",
    "58 +r",
    "41 58 +r",
    "ff /r6",
    "8f /r0",
    "68 d",
    "6a b",
    "66 68 w",
    "9c",
    "c9",
    "c8 10 00 00",
    "48 83 ec 28",
    "48 89 e5",
    "48 89 25 p",
    "48 3b /p",
    "4c 8d 54 24 08",
    /* strings */
    "a4",
    "f3 a4",
    "f3 48 ab",
    "48 a5",
    "ac",
    "f3 a6",
    "f2 ae",
    "66 a5",
    "aa",
    /* branches */
    "70 +c s",
    "0f 80 +c l",
    "eb s",
    "e9 l",
    "e2 s",
    "e1 s",
    "e0 s",
    "e3 s",
    "67 e3 s",
    "67 e2 s",
    "2e 70 +c s",
    "3e 0f 80 +c l",
    "f2 70 +c s",
    "f2 e9 l",
    "e8 l",
    "f2 e8 l",
    "67 e8 l",
    "ff /p2",
    "ff d0 +r",
    "41 ff d0 +r",
    "ff /m2",
    "ff /p4",
    "ff e0 +r",
    "ff /m4",
    "c3",
    "c2 10 00",
    "f3 c3",
    "e8 00 00 00 00 58 +r",
    "66 66 48 e8 l",
    "41 ff /p2",
    /* SSE */
    "R 0f 10 /r",
    "R 0f 11 /r",
    "f3 R 0f 10 /r",
    "f2 R 0f 11 /r",
    "66 R 0f 6f /x",
    "f3 R 0f 6f /r",
    "R 0f 58 /x",
    "f3 R 0f 58 /r",
    "f2 R 0f 59 /r",
    "66 R 0f ef /x",
    "66 R 0f 70 /x b",
    "f3 R 0f 7f /r",
    "66 W 0f 6e /r",
    "66 W 0f 7e /r",
    "f2 W 0f 2a /r",
    "f2 W 0f 2c /r",
    "66 R 0f 2e /x",
    "0f 16 /r",
    "66 R 0f 3a 22 /r b",
    "66 R 0f 3a 14 /r b",
    "66 R 0f 38 00 /x",
    "66 R 0f 3a 0f /x b",
    "0f 18 /r0",
    "0f 18 /r3",
    "0f ae /r7",
    "0f ae /r3",
    "66 R 0f d6 /r",
    "66 0f 3a 63 /x b",
    "f2 R 0f f0 /r",
    "66 R 0f 5b /x",
    /* x87 and MMX */
    "dd /r0",
    "d9 /r0",
    "dd /r3",
    "d9 /r7",
    "dc /r0",
    "d8 /r1",
    "db /r5",
    "db /r7",
    "df /r5",
    "d9 c0 +r",
    "d8 c0 +r",
    "d9 e8",
    "d9 ee",
    "d9 c8 +r",
    "dd /r7",
    "9b",
    "d9 e1",
    "0f 6f /r",
    "0f 7f /r",
    "0f fc /x",
    "0f 77",
    /* VEX, BMI, FMA */
    "c5 f8 10 /r",
    "c5 fc 11 /r",
    "c5 78 28 c0",
    "c5 fc 58 /r",
    "c5 fd ef /x",
    "c5 fa 10 /r",
    "c4 e2 7d 18 /r",
    "c4 e3 fd 00 /r b",
    "c4 e3 7d 19 /r b",
    "c4 e2 f3 f6 /r",
    "c4 e2 70 f2 /r",
    "c4 e2 f0 f7 /r",
    "c4 e3 fb f0 /r b",
    "c4 e2 f0 f3 /r1",
    "c4 e2 7d 98 /r",
    "c4 e2 f9 99 /r",
    "c5 f8 77",
    "c4 e3 7d 0c /r b",
    "c4 e1 f9 6e /r",
    "c5 f8 ae /r3",
    "c4 e2 7d 5a /m",
    "c4 e3 75 46 /r b",
    /* EVEX and masks */
    "62 f1 7c 48 10 /p",
    "62 f1 7c 48 11 /p",
    "62 f1 7c 48 58 /p",
    "62 f1 74 49 58 /x",
    "62 f3 75 48 25 /p b",
    "62 f2 7d 48 58 /p",
    "62 f1 7c 58 58 /p",
    "62 f1 fe 08 6f /p",
    "62 e1 7c 48 10 /p",
    "62 f1 7d c9 6f /p",
    "c5 f8 92 c8",
    "c5 f8 90 /p",
    "c5 f8 91 /p",
    "c5 ec 41 c9",
    "62 f3 fd 48 3b /x b",
    "62 f1 fd 48 72 /p2 b",
    /* what does nothing */
    "90",
    "66 90",
    "0f 1f /r0",
    "f3 0f 1e fa",
    "f3 90",
    "66 2e 0f 1f 84 00 00 00 00 00",
    "3e 66 90",
    "0f 0d /r1",
    "f3 48 0f 1e c8",
    "0f ae e8",
    /* faults */
    "0f 0b",
    "f4",
    "67 0f b9 /m",
};

enum { TEMPLATES = sizeof templates / sizeof *templates };

struct writer {
    uint8_t *bytes;
    size_t size, used;
    uint64_t *random;
    struct {
        size_t field, width;
    } distance[32]; /* to be filled when all instructions are there */
    size_t distances;
    size_t start[64], starts;
};

const char *random_template(size_t index)
{
    return templates[index];
}

static uint32_t draw(struct writer *w, uint32_t below)
{
    return (uint32_t)(random_next(w->random) >> 16) % below;
}

static void put(struct writer *w, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width && w->used < w->size; i++)
        w->bytes[w->used++] = (uint8_t)(value >> (8 * i));
}

/* A place in the 64 KiB around, as long as the code is near their middle. */
static uint32_t near_displacement(struct writer *w)
{
    return draw(w, 0xc000) - 0x6000;
}

static void put_memory(struct writer *w, uint8_t reg, bool relative)
{
    static const uint8_t bases[] = {0, 1, 2, 3, 6, 7, 5};
    if (relative) {
        put(w, (uint8_t)(reg << 3 | 5), 1);
        put(w, near_displacement(w), 4);
        return;
    }
    switch (draw(w, 4)) {
    case 0: /* [reg] */
        put(w, (uint8_t)(reg << 3 | bases[draw(w, 6)]), 1);
        break;
    case 1: /* [reg+disp8] */
        put(w, (uint8_t)(0x40 | reg << 3 | bases[draw(w, 7)]), 1);
        put(w, draw(w, 256), 1);
        break;
    case 2: /* [reg+disp32] */
        put(w, (uint8_t)(0x80 | reg << 3 | bases[draw(w, 7)]), 1);
        put(w, draw(w, 0x1000), 4);
        break;
    default: /* [rsp+disp8] */
        put(w, (uint8_t)(0x40 | reg << 3 | 4), 1);
        put(w, 0x24, 1);
        put(w, draw(w, 0x70), 1);
        break;
    }
}

static void put_operands(struct writer *w, const char *word)
{
    uint8_t reg = (uint8_t)(word[2] ? word[2] - '0' : (char)draw(w, 8));
    if (word[1] == 'x')
        put(w, 0xc0 | draw(w, 64), 1);
    else
        put_memory(w, reg, word[1] == 'p' || draw(w, word[1] == 'm' ? 8 : 2) == 0);
}

static void put_word(struct writer *w, const char *word)
{
    if (word[0] == '/') {
        put_operands(w, word);
    } else if (word[0] == '+') {
        w->bytes[w->used - 1] = (uint8_t)(w->bytes[w->used - 1] + draw(w, word[1] == 'c' ? 16 : 8));
    } else if (word[0] == 'W' || word[0] == 'R') {
        uint8_t rex = (uint8_t)draw(w, word[0] == 'W' ? 16 : 8);
        if (rex)
            put(w, 0x40 | rex, 1);
    } else if (!word[1]) {
        static const char widths[] = "bwdqslp";
        static const size_t bytes[] = {1, 2, 4, 8, 1, 4, 4};
        size_t kind = (size_t)(strchr(widths, word[0]) - widths);
        if (kind == 4 || kind == 5) {
            w->distance[w->distances].field = w->used;
            w->distance[w->distances++].width = bytes[kind];
        }
        put(w, kind == 6 ? near_displacement(w) : random_next(w->random), bytes[kind]);
    } else {
        put(w, strtoul(word, NULL, 16), 1);
    }
}

/* Half of them to another instruction, or back to this one; the others not far away. */
static void fill_distances(struct writer *w)
{
    for (size_t i = 0; i < w->distances; i++) {
        size_t field = w->distance[i].field, width = w->distance[i].width;
        uint32_t distance = draw(w, 80) + 24;
        if (draw(w, 2))
            distance = (uint32_t)(w->start[draw(w, (uint32_t)w->starts)] - (field + width));
        else if (width == 4)
            distance = near_displacement(w);
        for (size_t k = 0; k < width; k++)
            w->bytes[field + k] = (uint8_t)(distance >> (8 * k));
    }
}

size_t random_instructions(uint8_t *bytes, size_t size, uint64_t *random, uint8_t *used)
{
    enum { LONGEST = 16 };
    struct writer w = {.bytes = bytes, .size = size, .random = random};
    while (w.used + LONGEST <= size && w.starts < 32) {
        char text[64];
        uint32_t index = draw(&w, TEMPLATES);
        used[index] = 1;
        strcpy(text, templates[index]);
        w.start[w.starts++] = w.used;
        for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
            put_word(&w, word);
    }
    memset(bytes + w.used, 0x90, size - w.used);
    fill_distances(&w);
    return TEMPLATES;
}
