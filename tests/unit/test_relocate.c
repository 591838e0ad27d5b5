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

#include "relocate_unfit.h"
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
    relocate_print_bytes("expected", expected, size);
    relocate_print_bytes("copy    ", copy->code, copy->size);
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
    const struct relocate_vector *vector;
    for (size_t i = 0; (vector = relocate_vector(i)); i++)
        wrong += check_vector(vector);
    assert_int_equal(wrong, 0);
}

static struct gib_relocation_request request_for(const uint8_t *code, size_t size)
{
    return (struct gib_relocation_request){
        .arch = GIB_ARCH_X86_64,
        .code = code,
        .code_size = size,
        .from = VECTOR_FROM,
        .to = VECTOR_NEAR,
        .min_bytes = 5,
    };
}

static void test_arguments(void **state)
{
    static const uint8_t code[] = {0x55, 0x48, 0x89, 0xe5, 0x90};
    struct gib_relocation copy;
    struct gib_error error;
    struct gib_relocation_request good = request_for(code, sizeof code), bad;

    assert_int_equal(gib_relocate(&good, &copy, &error), 0);
    assert_int_equal(gib_relocate(NULL, &copy, &error), GIB_E_ARGUMENT);
    assert_int_equal(gib_relocate(&good, NULL, NULL), GIB_E_ARGUMENT);
    bad = good, bad.code = NULL;
    assert_int_equal(gib_relocate(&bad, &copy, &error), GIB_E_ARGUMENT);
    bad = good, bad.code_size = 0;
    assert_int_equal(gib_relocate(&bad, &copy, &error), GIB_E_ARGUMENT);
    bad = good, bad.min_bytes = 0;
    assert_int_equal(gib_relocate(&bad, &copy, &error), GIB_E_ARGUMENT);
    bad = good, bad.min_bytes = 1025;
    assert_int_equal(gib_relocate(&bad, &copy, &error), GIB_E_ARGUMENT);
    bad = good, bad.arch = (enum gib_arch)7;
    assert_int_equal(gib_relocate(&bad, &copy, &error), GIB_E_ARGUMENT);
    bad = good, bad.from = UINT64_MAX - 3;
    assert_int_equal(gib_relocate(&bad, &copy, &error), GIB_E_ARGUMENT);
    bad = good, bad.to = UINT64_MAX - 3;
    assert_int_equal(gib_relocate(&bad, &copy, &error), GIB_E_ARGUMENT);
    bad = good, bad.arch = GIB_ARCH_AARCH64;
    assert_int_equal(gib_relocate(&bad, &copy, &error), GIB_E_UNSUPPORTED);
    assert_non_null(strstr(error.message, "AArch64"));
}

/* The size of the copy of one instruction and its jump back, or the code of its refusal, negative.
 */
static int copy_size(const uint8_t *code, size_t size, uint64_t to)
{
    struct gib_relocation copy;
    struct gib_relocation_request request = request_for(code, size);
    request.to = to;
    int result = gib_relocate(&request, &copy, NULL);
    return result ? -result : (int)copy.size;
}

/*
 * The last places from which rel32 reaches: a distance of INT32_MAX backwards and INT32_MIN
 * forwards, counted from the end of the instruction in the copy.
 */
static void test_edges_of_rel32(void **state)
{
    static const uint8_t jump[] = {0xe9, 0x10, 0, 0, 0};
    static const uint8_t call[] = {0xe8, 0x10, 0, 0, 0, 0xc3};
    static const uint8_t store[] = {0x89, 0x3d, 0x10, 0, 0, 0};
    static const uint8_t condition[] = {0x74, 0x10, 0xc3, 0xcc, 0xcc};
    const uint64_t end = VECTOR_FROM + 0x15, below = end - INT32_MAX - 5;
    const uint64_t above = end + (1ULL << 31) - 5;

    assert_int_equal(copy_size(jump, sizeof jump, below), 5);
    assert_int_equal(copy_size(jump, sizeof jump, below - 1), 14);
    assert_int_equal(copy_size(jump, sizeof jump, above), 5);
    assert_int_equal(copy_size(jump, sizeof jump, above + 1), 14);
    /* The jump back goes to byte 5, not 0x15: it reaches 0x10 bytes further down, and less up. */
    assert_int_equal(copy_size(call, sizeof call, below), 5 + 5);
    assert_int_equal(copy_size(call, sizeof call, below - 1), 16 + 5);
    assert_int_equal(copy_size(call, sizeof call, above), 5 + 14);
    assert_int_equal(copy_size(call, sizeof call, above + 1), 16 + 14);
    assert_int_equal(copy_size(store, sizeof store, below), 6 + 5);
    assert_int_equal(copy_size(store, sizeof store, below - 1), -GIB_E_RANGE);
    assert_int_equal(copy_size(store, sizeof store, above), 6 + 14);
    assert_int_equal(copy_size(store, sizeof store, above + 1), -GIB_E_RANGE);
    assert_int_equal(copy_size(condition, 5, VECTOR_FROM + 0x12 - INT32_MAX - 6), 6 + 1);
    assert_int_equal(copy_size(condition, 5, VECTOR_FROM + 0x12 - INT32_MAX - 7), 16 + 1);
}

/* Of a program at a fixed address, addresses fit immediates and displacements of 32 bits. */
static int low_result(const uint8_t *code, size_t size)
{
    struct gib_relocation copy;
    struct gib_relocation_request request = request_for(code, size);
    request.from = 0x401000;
    request.to = 0x301000;
    return gib_relocate(&request, &copy, NULL);
}

static void test_absolute_names(void **state)
{
    static const uint8_t label[] = {0x55, 0x48, 0x89, 0xe5, 0x90, 0xbf, 2, 0x10, 0x40, 0, 0xc3};
    static const uint8_t entry[] = {0x55, 0x48, 0x89, 0xe5, 0x90, 0xbf, 0, 0x10, 0x40, 0, 0xc3};
    static const uint8_t behind[] = {0x55, 0x48, 0x89, 0xe5, 0x90, 0xbf, 5, 0x10, 0x40, 0, 0xc3};
    static const uint8_t stored[] = {0x55, 0x48, 0x89, 0xe5, 0x90, 0x48, 0xc7,
                                     0x45, 0xf8, 4,    0x10, 0x40, 0,    0xc3};
    static const uint8_t read[] = {0x55, 0x48, 0x89, 0xe5, 0x90, 0x8b, 0x04,
                                   0x25, 4,    0x10, 0x40, 0,    0xc3};
    static const uint8_t indexed[] = {0x55, 0x48, 0x89, 0xe5, 0x90, 0x8b, 0x04,
                                      0xc5, 4,    0x10, 0x40, 0,    0xc3};
    assert_int_equal(low_result(label, sizeof label), GIB_E_BRANCH);
    assert_int_equal(low_result(entry, sizeof entry), 0);
    assert_int_equal(low_result(behind, sizeof behind), 0);
    assert_int_equal(low_result(stored, sizeof stored), GIB_E_BRANCH);
    assert_int_equal(low_result(read, sizeof read), GIB_E_BRANCH);
    assert_int_equal(low_result(indexed, sizeof indexed), GIB_E_BRANCH);
}

/* Address, bytes, text and reason fit into the message even for the longest instruction. */
static void test_message_is_one_sentence(void **state)
{
    /* Fifteen bytes, out of reach. */
    static const uint8_t code[] = {0x2e, 0x2e, 0x2e, 0x64, 0x48, 0xc7, 0x05, 0x10,
                                   0,    0,    0,    0x78, 0x56, 0x34, 0x12};
    struct gib_relocation copy;
    struct gib_error error;
    struct gib_relocation_request request = request_for(code, sizeof code);
    request.to = VECTOR_FAR;
    assert_int_equal(gib_relocate(&request, &copy, &error), GIB_E_RANGE);
    assert_string_equal(error.message,
                        "0x7f0000401000: 2e 2e 2e 64 48 c7 05 10 00 00 00 78 56 34 12 (movq "
                        "$0x12345678, %fs:0x7f000040101f): its data is more than 2 GiB from "
                        "the copy at 0x800000401000, and no register is free to hold the address");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_edges_of_rel32),
        cmocka_unit_test(test_absolute_names),
        cmocka_unit_test(test_message_is_one_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
