/*
 * fuzz_package.c: any bytes as a package. What to begin with is in corpus/fuzz_package of the
 * build's folder.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "package/package.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t length(const char *text)
{
    return text ? strlen(text) : 0;
}

static void look_at(const struct gib_package *package)
{
    size_t sum = 0;
    for (size_t i = 0; i < package->registration_count; i++) {
        const struct gib_registration *one = &package->registrations[i];
        bool code = one->kind != GIBBON_KIND_MOCK && one->kind != GIBBON_KIND_ORIGINAL;
        if (one->same_original > i || one->kind == GIBBON_KIND_SET || !one->file ||
            code != (one->code.symbol != NULL) ||
            (one->kind != GIBBON_KIND_ON_LOAD && !one->function))
            abort();
        sum += length(one->module) + length(one->function) + length(one->identifier) +
               length(one->file) + length(one->code.symbol);
    }
    for (size_t i = 0; i < package->set_count; i++) {
        const struct gib_package_set *set = &package->sets[i];
        if (!set->member_count || !set->name || sum > (1 << 26))
            abort();
        for (size_t k = 0; k < set->member_count; k++)
            if (set->members[k] >= package->registration_count ||
                (k && set->members[k] <= set->members[k - 1]))
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    char path[64];
    struct gib_error error;
    struct gib_package *package;
    if (fd < 0)
        fd = memfd_create("fuzz", 0);
    if (ftruncate(fd, size) || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (gib_package_read(path, &package, &error))
        return 0;
    look_at(package);
    gib_package_free(package);
    return 0;
}
