/*
 * The relocator against vectors: bytes, boundaries, refusals and their words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relocate_vectors.h"

static void append(uint8_t *bytes, size_t *size, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        bytes[(*size)++] = (uint8_t)(value >> (8 * i));
}

/* Reads a vector's `copy` column; computes distances without the code under test. */
static size_t expected_copy(const struct relocate_vector *vector, size_t consumed, uint8_t *bytes)
{
    char text[1024];
    size_t size = 0;
    uint64_t to = vector_to(vector);
    snprintf(text, sizeof text, "%s", vector->copy);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        char *slash = strchr(word, '/');
        uint64_t behind = slash ? strtoull(slash + 1, NULL, 16) : 0;
        uint64_t number = strtoull(word + 1, NULL, 16);
        uint64_t end = to + size + 4 + behind;
        if (*word == '@') {
            append(bytes, &size, VECTOR_FROM + number - end, 4);
        } else if (*word == '^') {
            append(bytes, &size, to + number - end, 4);
        } else if (*word == '=') {
            append(bytes, &size, VECTOR_FROM + number, 8);
        } else if (!strcmp(word, "back")) {
            append(bytes, &size, 0xe9, 1);
            append(bytes, &size, VECTOR_FROM + consumed - (to + size + 4), 4);
        } else {
            append(bytes, &size, strtoull(word, NULL, 16), 1);
        }
    }
    return size;
}

static void print_bytes(const char *title, const uint8_t *bytes, size_t size)
{
    fprintf(stderr, "%s", title);
    for (size_t i = 0; i < size; i++)
        fprintf(stderr, " %02x", bytes[i]);
    fprintf(stderr, "\n");
}

static int check_map(const struct relocate_vector *vector, const struct gib_relocation *copy)
{
    char map[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < copy->boundaries; i++)
        used += (size_t)snprintf(map + used, sizeof map - used, "%s%x:%x", i ? " " : "",
                                 copy->boundary[i].original, copy->boundary[i].copy);
    if (!vector->map || !strcmp(map, vector->map))
        return 0;
    fprintf(stderr, "%s: boundaries %s, not %s\n", vector->name, map, vector->map);
    return 1;
}

static int check_copy(const struct relocate_vector *vector, const struct gib_relocation *copy)
{
    uint8_t expected[512];
    size_t size = expected_copy(vector, copy->consumed, expected);
    const struct gib_relocation_boundary *end = &copy->boundary[copy->boundaries - 1];
    bool falls_through = copy->size > end->copy;
    if (size == copy->size && !memcmp(expected, copy->code, size) &&
        end->original == copy->consumed && falls_through == copy->falls_through)
        return check_map(vector, copy);
    fprintf(stderr, "%s: consumed %zu, falls through %d\n", vector->name, copy->consumed,
            copy->falls_through);
    print_bytes("  expected", expected, size);
    print_bytes("  copy    ", copy->code, copy->size);
    return 1;
}

static int check_refusal(const struct relocate_vector *vector, int code,
                         const struct gib_error *error)
{
    char address[32];
    snprintf(address, sizeof address, "0x%llx: ", (unsigned long long)error->address);
    if (code == vector->refused && error->code == code && strstr(error->message, vector->says) &&
        !strncmp(error->message, address, strlen(address)))
        return 0;
    fprintf(stderr, "%s: code %d, not %d: %s\n", vector->name, code, vector->refused,
            error->message);
    return 1;
}

static int check_vector(const struct relocate_vector *vector)
{
    uint8_t bytes[64];
    struct gib_relocation copy, untouched;
    struct gib_error error = {0};
    struct gib_relocation_request request = {
        .arch = GIB_ARCH_X86_64,
        .code_size = vector_bytes(vector->original, bytes, sizeof bytes),
        .from = VECTOR_FROM,
        .to = vector_to(vector),
        .min_bytes = vector->min_bytes,
    };
    /* On the heap and exactly as long as the function: the sanitizer sees a byte read too many. */
    uint8_t *code = malloc(request.code_size);
    assert_non_null(code);
    memcpy(code, bytes, request.code_size);
    request.code = code;

    memset(&copy, 0x5a, sizeof copy);
    memset(&untouched, 0x5a, sizeof untouched);
    int result = gib_relocate(&request, &copy, &error);
    int wrong = vector->refused ? check_refusal(vector, result, &error) : 0;
    if (vector->refused && memcmp(&copy, &untouched, sizeof copy)) {
        fprintf(stderr, "%s: refused, but the result was written\n", vector->name);
        wrong = 1;
    } else if (!vector->refused && result) {
        fprintf(stderr, "%s: refused: %s\n", vector->name, error.message);
        wrong = 1;
    } else if (!vector->refused) {
        wrong = check_copy(vector, &copy);
    }
    if (vector->refused && gib_relocate(&request, &copy, NULL) != result) /* NULL is allowed */
        wrong = 1;
    free(code);
    return wrong;
}

static void test_vectors(void **state)
{
    int wrong = 0;
    for (size_t i = 0; i < relocate_vector_count; i++)
        wrong += check_vector(&relocate_vectors[i]);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
