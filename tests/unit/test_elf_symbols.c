/*
 * test_elf_symbols.c: files, symbols, names, ranges, relocations; against readelf, nm and c++filt.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "elf_test.h"

static const struct gib_elf_symbol *lookup(struct gib_elf *elf, const char *name, uint64_t value)
{
    const struct gib_elf_symbol *symbols;
    size_t count = gib_elf_functions(elf, &symbols);
    for (size_t i = 0; i < count; i++)
        if (symbols[i].value == value && !strcmp(symbols[i].name, name))
            return &symbols[i];
    return NULL;
}

/* Every function that readelf lists in .dynsym is there, with its attributes, and no other is
 * exported. */
static void compare_dynamic_symbols(const char *path, size_t at_least)
{
    struct gib_elf *elf = open_elf(path);
    const struct gib_elf_symbol *symbols;
    size_t count = gib_elf_functions(elf, &symbols), exported = 0, distinct = 0, listed = 0;
    FILE *stream = output_of("readelf -sW --dyn-syms %s", path);
    char line[4096], type[32], binding[32], index[32], name[2048];
    uint64_t value;
    char size_text[32];
    bool dynamic = false, *seen = calloc(count + 1, sizeof *seen);
    while (fgets(line, sizeof line, stream)) {
        if (!strncmp(line, "Symbol table", 12))
            dynamic = strstr(line, "'.dynsym'");
        if (!dynamic || sscanf(line, " %*d: %lx %31s %31s %31s %*s %31s %2047s", &value, size_text,
                               type, binding, index, name) != 6)
            continue;
        if ((strcmp(type, "FUNC") && strcmp(type, "IFUNC")) || !strcmp(index, "UND"))
            continue;
        char *version = strchr(name, '@');
        bool old = version && version[1] != '@';
        if (version)
            *version = 0;
        const struct gib_elf_symbol *symbol = lookup(elf, name, value);
        if (!symbol)
            fail_msg("%s: no %s at %#lx", path, name, value);
        listed++;
        distinct += !seen[symbol - symbols];
        seen[symbol - symbols] = true;
        assert_true(symbol->exported);
        assert_int_equal(symbol->size, strtoull(size_text, NULL, 0));
        assert_int_equal(symbol->ifunc, !strcmp(type, "IFUNC"));
        assert_int_equal(symbol->global, strcmp(binding, "LOCAL") != 0);
        if (!old)
            assert_false(symbol->old_version);
    }
    pclose(stream);
    for (size_t i = 0; i < count; i++) {
        exported += symbols[i].exported;
        if (i)
            assert_true(symbols[i - 1].value < symbols[i].value ||
                        (symbols[i - 1].value == symbols[i].value &&
                         symbols[i - 1].global >= symbols[i].global));
        if (i && symbols[i].value == symbols[i - 1].value)
            assert_string_not_equal(symbols[i].name, symbols[i - 1].name);
    }
    assert_true(listed >= at_least);
    assert_int_equal(exported, distinct);
    free(seen);
    gib_elf_close(elf);
}

static void dynamic_symbols(void **state)
{
    compare_dynamic_symbols(libc_path, 2000);
    for (size_t i = 0; i < COUNT(cxx_programs); i++)
        compare_dynamic_symbols(program(cxx_programs[i]), 20);
}

/* .symtab: all functions that nm lists, local ones with the file they are from. */
static void local_symbols(void **state)
{
    for (size_t i = 0; i < COUNT(c_programs); i++) {
        const char *path = program(c_programs[i]);
        struct gib_elf *elf = open_elf(path);
        FILE *stream = output_of("nm --defined-only %s", path);
        char line[4096], type, name[2048];
        uint64_t value;
        size_t seen = 0;
        while (fgets(line, sizeof line, stream)) {
            if (sscanf(line, "%lx %c %2047s", &value, &type, name) != 3 || strncmp(name, "f_", 2) ||
                !strchr("tTi", type))
                continue;
            const struct gib_elf_symbol *symbol = lookup(elf, name, value);
            assert_non_null(symbol);
            seen++;
            assert_int_equal(symbol->ifunc, type == 'i');
            if (type != 't')
                continue;
            assert_false(symbol->global);
            assert_string_equal(symbol->file, "sample.c");
        }
        pclose(stream);
        assert_true(seen >= 12);
        assert_null(find_one(elf, "f_lines").file);   /* global */
        assert_int_equal(find(elf, "sink").count, 0); /* no function */
        gib_elf_close(elf);
    }
}

static void versions(void **state)
{
    struct gib_elf *elf = open_elf(libc_path);
    struct found memcpys = find(elf, "memcpy");
    assert_int_equal(memcpys.count, 2);
    assert_int_equal(memcpys.symbols[0].old_version + memcpys.symbols[1].old_version, 1);
    const struct gib_elf_symbol *current = &memcpys.symbols[memcpys.symbols[0].old_version];
    assert_true(current->ifunc);
    assert_true(current->exported);
    /* Of one address under an old and a new version it is the new one that counts. */
    assert_false(find_one(elf, "pthread_create").old_version);
    gib_elf_close(elf);
}

static void names(void **state)
{
    static const struct {
        const char *name;
        size_t count; /* 0 and more: exactly; constructors have two variants */
        const char *symbol;
    } cases[] = {
        {"ns::Class::method", 2, NULL},
        {"ns::Class::method(int)", 1, "_ZN2ns5Class6methodEi"},
        {" ns::Class :: method ( int ) ", 1, "_ZN2ns5Class6methodEi"},
        {"ns::Class::method(char const*)", 1, "_ZNK2ns5Class6methodEPKc"},
        {"ns::Class::method(const char *)", 1, "_ZNK2ns5Class6methodEPKc"},
        {"ns::Class::method(const char *) const", 1, "_ZNK2ns5Class6methodEPKc"},
        {"ns::Class::method(int) const", 0, NULL},
        {"ns::Class::method()", 0, NULL},
        {"_ZNK2ns5Class6methodEPKc", 1, "_ZNK2ns5Class6methodEPKc"},
        {"ns::Class::Class", 2, NULL},
        {"ns::Class::operator<", 1, "_ZNK2ns5ClassltERKS0_"},
        {"ns::Class::operator <(const ns::Class&)", 1, "_ZNK2ns5ClassltERKS0_"},
        {"ns::Class::operator()", 1, "_ZN2ns5ClassclEii"},
        {"ns::Class::operator()(int, int)", 1, "_ZN2ns5ClassclEii"},
        {"ns::Class::operator bool", 1, "_ZNK2ns5ClasscvbEv"},
        {"ns::Class::convert<int>", 1, "_ZN2ns5Class7convertIiEET_S2_"},
        {"ns::Class::convert<unsigned long>(unsigned long)", 1, "_ZN2ns5Class7convertImEET_S2_"},
        {"unsigned long ns::Class::convert<unsigned long>(unsigned long)", 1,
         "_ZN2ns5Class7convertImEET_S2_"},
        {"ns::Class::shared(unsigned int, ns::Mode)", 1, "_ZN2ns5Class6sharedEjNS_4ModeE"},
        {"ns::Class::shared(unsignedint, ns::Mode)", 0, NULL},
        {"(anonymous namespace)::hidden", 1, "_ZN12_GLOBAL__N_16hiddenEi"},
        {"free_function", 2, NULL},
        {"free_function(unsigned int)", 1, "_Z13free_functionj"},
        {"make<int>(const int)", 0, NULL},
        {"free_function(int, const std::vector<int, std::allocator<int>>)", 0, NULL},
        {"free_function(int, std::vector<int, std::allocator<int>>)", 1, NULL},
        {"make<int>", 1, "_Z4makeIiESt6vectorIT_SaIS1_EES1_"},
        {"operator\"\" _units", 1, "_Zli6_unitsy"},
        {"operator\"\"_units(unsigned long long)", 1, "_Zli6_unitsy"},
        {"c_name", 1, "c_name"},
        {"c_name(char const*)", 0, NULL},
        {"Class::method", 0, NULL},
        {"method", 0, NULL},
        {"", 0, NULL},
        {"(", 0, NULL},
        {"::", 0, NULL},
    };
    for (size_t i = 0; i < COUNT(cxx_programs); i++) {
        struct gib_elf *elf = open_elf(program(cxx_programs[i]));
        for (size_t j = 0; j < COUNT(cases); j++) {
            struct found found = find(elf, cases[j].name);
            if (found.count != cases[j].count)
                fail_msg("%s: %zu functions called '%s', not %zu", cxx_programs[i], found.count,
                         cases[j].name, cases[j].count);
            if (cases[j].symbol)
                assert_string_equal(found.symbols[0].name, cases[j].symbol);
        }
        gib_elf_close(elf);
    }
}

static void demangling(void **state)
{
    struct gib_elf *elf = open_elf("/lib/x86_64-linux-gnu/libstdc++.so.6");
    const struct gib_elf_symbol *symbols;
    size_t count = gib_elf_functions(elf, &symbols), compared = 0;
    char list[] = "/tmp/gibbon-names-XXXXXX", line[65536];
    int fd = mkstemp(list);
    assert_true(fd >= 0 && count > 3000);
    FILE *stream = fdopen(fd, "w");
    for (size_t i = 0; i < count; i++)
        fprintf(stream, "%s\n", symbols[i].name);
    fclose(stream);
    stream = output_of("c++filt < %s", list);
    for (size_t i = 0; i < count; i++) {
        char *demangled = gib_elf_demangle(symbols[i].name);
        assert_non_null(fgets(line, sizeof line, stream));
        line[strcspn(line, "\n")] = 0;
        /* c++filt spells std::string and its like out. */
        if (!strstr(line, "std::basic_")) {
            assert_string_equal(demangled, line);
            compared++;
        }
        free(demangled);
    }
    assert_true(compared > 1000);
    pclose(stream);
    unlink(list);
    char *plain = gib_elf_demangle("i");
    assert_string_equal(plain, "i"); /* not "int" */
    free(plain);
    gib_elf_close(elf);
}

/* Each function that a name without parameters stands for is found by what the demangler calls it.
 */
static void demangled_names_are_found(void **state)
{
    struct gib_elf *elf = open_elf("/lib/x86_64-linux-gnu/libstdc++.so.6");
    const struct gib_elf_symbol *symbols;
    size_t count = gib_elf_functions(elf, &symbols), checked = 0;
    for (size_t i = 0; i < count; i++) {
        char *demangled = gib_elf_demangle(symbols[i].name);
        if (!strncmp(symbols[i].name, "_Z", 2) && !strstr(demangled, "[clone")) {
            struct found found = find(elf, demangled);
            bool itself = false;
            for (size_t j = 0; j < found.count && j < COUNT(found.symbols); j++)
                itself |= found.symbols[j].value == symbols[i].value;
            if (!itself)
                fail_msg("'%s' is not found", demangled);
            checked++;
        }
        free(demangled);
    }
    assert_true(checked > 3000);
    assert_true(find(elf, "std::ostream::flush").count == 1);
    assert_true(find(elf, "std::ostream::operator<<").count > 10);
    assert_true(find(elf, "operator new").count == 4);
    assert_true(find(elf, "std::locale::name").count == 2);
    char tagged[] = "a::b[abi:cxx11]<int[abi:x]>(int)[abi:y]", open[] = "a[abi:cxx11";
    assert_true(gib_elf_drop_tags(tagged));
    assert_string_equal(tagged, "a::b<int>(int)");
    assert_false(gib_elf_drop_tags(open));
    assert_true(find(elf, "operator new(unsigned long)").count == 1);
    gib_elf_close(elf);
}

/* By brute force: the innermost sized function that covers an address. */
static void symbol_at(void **state)
{
    struct gib_elf *elf = open_elf(libc_path);
    const struct gib_elf_symbol *symbols;
    size_t count = gib_elf_functions(elf, &symbols), inside = 0;
    for (int i = 0; i < 3000; i++) {
        const struct gib_elf_symbol *near = &symbols[random_number() % count];
        uint64_t vaddr = near->value + random_number() % (near->size + 16), start = 0;
        for (size_t j = 0; j < count; j++)
            if (symbols[j].value <= vaddr && vaddr - symbols[j].value < symbols[j].size &&
                symbols[j].value > start)
                start = symbols[j].value;
        const struct gib_elf_symbol *symbol = gib_elf_symbol_at(elf, vaddr);
        if (!start) {
            if (symbol)
                assert_int_equal(symbol->size, 0);
            continue;
        }
        assert_non_null(symbol);
        assert_int_equal(symbol->value, start);
        uint64_t from, to;
        assert_true(gib_elf_function_range(elf, vaddr, &from, &to));
        assert_int_equal(from, start);
        assert_int_equal(to, start + symbol->size);
        inside++;
    }
    assert_true(inside > 1000);
    /* Of many names the one that people use. */
    assert_string_equal(gib_elf_symbol_at(elf, find_one(elf, "__libc_malloc").value)->name,
                        "malloc");
    assert_string_equal(gib_elf_symbol_at(elf, find_one(elf, "_IO_puts").value + 3)->name, "puts");
    struct gib_elf *sample = open_elf(program("c-gcc-O0"));
    assert_string_equal(gib_elf_symbol_at(sample, find_one(sample, "f_a_longer_name").value)->name,
                        "f_lines");
    gib_elf_close(sample);
    assert_null(gib_elf_symbol_at(elf, 0));
    assert_null(gib_elf_symbol_at(elf, UINT64_MAX));
    gib_elf_close(elf);
}

/* A stripped program has no symbols, but its unwind table says where functions begin and end. */
static void ranges_without_symbols(void **state)
{
    struct gib_elf *elf = open_elf(program("c-gcc-O2")),
                   *stripped = open_elf(program("c-stripped"));
    static const char *const functions[] = {"f_strings", "f_lines", "f_static", "main"};
    const struct gib_elf_symbol *symbols;
    assert_int_equal(gib_elf_functions(stripped, &symbols), 0);
    for (size_t i = 0; i < COUNT(functions); i++) {
        struct gib_elf_symbol symbol = find_one(elf, functions[i]);
        uint64_t start, end;
        for (uint64_t at = 0; at < symbol.size; at++) {
            assert_true(gib_elf_function_range(stripped, symbol.value + at, &start, &end));
            assert_int_equal(start, symbol.value);
            assert_int_equal(end, symbol.value + symbol.size);
        }
        assert_null(gib_elf_symbol_at(stripped, symbol.value));
    }
    uint64_t start, end;
    assert_false(gib_elf_function_range(stripped, 0, &start, &end));
    assert_false(gib_elf_function_range(stripped, UINT64_MAX, &start, &end));
    gib_elf_close(elf);
    gib_elf_close(stripped);
}

static void file_information(void **state)
{
    struct gib_elf *elf = open_elf(libc_path);
    const struct gib_elf_info *info = gib_elf_info(elf);
    assert_int_equal(info->machine, 62);
    assert_true(info->is_dynamic_object);
    assert_string_equal(info->soname, "libc.so.6");
    char text[64], line[4096], hex[128] = "";
    for (size_t i = 0; i < info->build_id_size; i++)
        sprintf(hex + 2 * i, "%02x", info->build_id[i]);
    FILE *stream = output_of("readelf -nW %s", libc_path);
    bool same = false;
    while (fgets(line, sizeof line, stream))
        same |= hex[0] && strstr(line, hex);
    pclose(stream);
    assert_true(same);
    stream = output_of("readelf -lW %s", libc_path);
    size_t loads = 0;
    while (fgets(line, sizeof line, stream)) {
        uint64_t offset, vaddr, file_size, memory_size;
        if (sscanf(line, " LOAD %lx %lx %*x %lx %lx %63[RWE ]", &offset, &vaddr, &file_size,
                   &memory_size, text) != 5)
            continue;
        const struct gib_elf_segment *segment = &info->segments[loads++];
        assert_int_equal(segment->vaddr, vaddr);
        assert_int_equal(segment->file_offset, offset);
        assert_int_equal(segment->file_size, file_size);
        assert_int_equal(segment->memory_size, memory_size);
        assert_int_equal(segment->readable, strchr(text, 'R') != NULL);
        assert_int_equal(segment->writable, strchr(text, 'W') != NULL);
        assert_int_equal(segment->executable, strchr(text, 'E') != NULL);
    }
    pclose(stream);
    assert_true(loads > 2);
    assert_int_equal(loads, info->segment_count);
    gib_elf_close(elf);

    elf = open_elf(program("c-gcc-O0"));
    assert_true(gib_elf_info(elf)->has_interpreter);
    assert_null(gib_elf_info(elf)->soname);
    assert_int_equal(gib_elf_info(elf)->entry, find_one(elf, "_start").value);
    gib_elf_close(elf);
    elf = open_elf(program("c-gcc-static"));
    assert_false(gib_elf_info(elf)->has_interpreter);
    assert_false(gib_elf_info(elf)->is_dynamic_object);
    gib_elf_close(elf);
    elf = open_elf(program(cxx_programs[0]));
    assert_string_equal(gib_elf_info(elf)->soname, "libsample.so.1");
    gib_elf_close(elf);
}

static void reading(void **state)
{
    struct gib_elf *elf = open_elf(libc_path);
    const struct gib_elf_info *info = gib_elf_info(elf);
    int fd = open(libc_path, O_RDONLY);
    uint8_t ours[64], theirs[64];
    for (size_t i = 0; i < info->segment_count; i++) {
        const struct gib_elf_segment *segment = &info->segments[i];
        uint64_t last = segment->file_size - 20;
        assert_int_equal(gib_elf_read(elf, segment->vaddr, ours, 64), 64);
        assert_int_equal(pread(fd, theirs, 64, segment->file_offset), 64);
        assert_memory_equal(ours, theirs, 64);
        assert_int_equal(gib_elf_read(elf, segment->vaddr + last, ours, 64), 20);
        assert_int_equal(pread(fd, theirs, 20, segment->file_offset + last), 20);
        assert_memory_equal(ours, theirs, 20);
        assert_int_equal(gib_elf_read(elf, segment->vaddr + segment->file_size, ours, 64) > 0 &&
                             segment->writable,
                         0); /* .bss is not in the file */
    }
    assert_int_equal(gib_elf_read(elf, UINT64_MAX, ours, 64), 0);
    close(fd);
    gib_elf_close(elf);
}

static void imports(void **state)
{
    struct gib_elf *elf = open_elf(program("c-gcc-O0"));
    assert_true(gib_elf_imports(elf, "printf"));
    assert_false(gib_elf_imports(elf, "f_lines"));
    assert_false(gib_elf_imports(elf, "print"));
    assert_false(gib_elf_imports(elf, "mkdtemp"));
    gib_elf_close(elf);
    elf = open_elf(program("c-gcc-static"));
    assert_false(gib_elf_imports(elf, "printf"));
    gib_elf_close(elf);
}

struct slots {
    uint64_t found[64];
    size_t count;
};

static void add_slot(uint64_t slot, void *context)
{
    struct slots *slots = context;
    if (slots->count < COUNT(slots->found))
        slots->found[slots->count] = slot;
    slots->count++;
}

/* Each relocation that readelf shows is found. Returns their number. */
static size_t compare_relocations(const char *path)
{
    struct gib_elf *elf = open_elf(path);
    uint64_t slot = 0, value = 0, offset, addend;
    bool has = gib_elf_relative_slot(elf, &slot, &value), relative = false;
    char line[4096], type[64];
    size_t seen = 0, relatives = 0;
    FILE *stream = output_of("readelf -rW %s", path);
    while (fgets(line, sizeof line, stream)) {
        if (sscanf(line, "%lx %*x %63s %lx", &offset, type, &addend) != 3)
            continue;
        if (!strcmp(type, "R_X86_64_RELATIVE")) {
            relatives++;
            relative |= offset == slot && addend == value;
        }
        if (strncmp(type, "R_X86_64_IRELATIV", 17))
            continue;
        struct slots slots = {.count = 0};
        assert_int_equal(gib_elf_ifunc_slots(elf, addend, add_slot, &slots) > 0, 1);
        bool there = false;
        for (size_t i = 0; i < slots.count; i++)
            there |= slots.found[i] == offset;
        assert_true(there);
        seen++;
    }
    pclose(stream);
    if (relatives)
        assert_true(has && relative);
    struct slots none = {.count = 0};
    assert_int_equal(gib_elf_ifunc_slots(elf, 12345, add_slot, &none), 0);
    gib_elf_close(elf);
    return seen;
}

static void relocations(void **state)
{
    assert_true(compare_relocations(libc_path) > 20);
    assert_true(compare_relocations(program("c-gcc-static")) > 10);
    assert_int_equal(compare_relocations(program(cxx_programs[0])), 0);
    assert_true(compare_relocations(program("c-gcc-O0")) > 0);
    /* The word that a RELR table speaks of holds its value in the file. */
    struct gib_elf *elf = open_elf(libc_path);
    uint64_t slot, value;
    assert_true(gib_elf_relative_slot(elf, &slot, &value));
    assert_non_null(gib_elf_info(elf)->segments);
    assert_true(slot % 8 == 0);
    gib_elf_close(elf);
}

/* Symbols come from a separate debug file, by link or by build id, and only from the right one. */
static void separate_debug_files(void **state)
{
    struct gib_elf *full = open_elf(program("c-gcc-O2")), *elf = open_elf(program("c-linked"));
    struct gib_elf_symbol wanted = find_one(full, "f_static");
    assert_int_equal(find_one(elf, "f_static").value, wanted.value);
    gib_elf_close(elf);

    const struct gib_elf_info *info = gib_elf_info(full);
    char directory[] = "/tmp/gibbon-debug-XXXXXX", command[8192], list[256], hex[128] = "";
    assert_non_null(mkdtemp(directory));
    for (size_t i = 1; i < info->build_id_size; i++)
        sprintf(hex + 2 * (i - 1), "%02x", info->build_id[i]);
    snprintf(command, sizeof command,
             "mkdir -p %s/.build-id/%02x && cp %s %s/.build-id/%02x/%s.debug && cp %s %s/stripped",
             directory, info->build_id[0], program("c-linked.debug"), directory, info->build_id[0],
             hex, program("c-stripped"), directory);
    assert_int_equal(system(command), 0);
    snprintf(list, sizeof list, "/nonexistent::%s", directory);
    snprintf(command, sizeof command, "%s/stripped", directory);
    struct gib_error error;
    elf = gib_elf_open(command, NULL, &error);
    assert_non_null(elf);
    assert_int_equal(find(elf, "f_static").count, 0);
    gib_elf_close(elf);
    elf = gib_elf_open(command, list, &error);
    assert_int_equal(find_one(elf, "f_static").value, wanted.value);
    gib_elf_close(elf);

    /* One with another build id is not taken. */
    snprintf(command, sizeof command, "cp %s %s/.build-id/%02x/%s.debug", program("c-gcc-O0"),
             directory, info->build_id[0], hex);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "%s/stripped", directory);
    elf = gib_elf_open(command, list, &error);
    assert_int_equal(find(elf, "f_static").count, 0);
    gib_elf_close(elf);
    snprintf(command, sizeof command, "rm -r %s", directory);
    assert_int_equal(system(command), 0);
    gib_elf_close(full);
}

static void without_section_headers(void **state)
{
    struct gib_elf *elf = open_elf(program("c-gcc-O2")),
                   *other = open_elf(program("c-sectionless"));
    assert_true(gib_elf_imports(other, "printf"));
    const struct gib_elf_symbol *symbols, *others;
    size_t exported = 0, count = gib_elf_functions(elf, &symbols);
    for (size_t i = 0; i < count; i++)
        exported += symbols[i].exported;
    assert_int_equal(gib_elf_functions(other, &others), exported);
    assert_int_equal(gib_elf_info(other)->build_id_size, 20);
    struct slots slots = {.count = 0}, other_slots = {.count = 0};
    uint64_t resolver = find_one(elf, "resolve_chosen").value;
    gib_elf_ifunc_slots(elf, resolver, add_slot, &slots);
    gib_elf_ifunc_slots(other, resolver, add_slot, &other_slots);
    assert_true(slots.count > 0);
    assert_memory_equal(&slots, &other_slots, sizeof slots);
    gib_elf_close(elf);
    gib_elf_close(other);
}

static void bad_files(void **state)
{
    static const struct {
        const char *path, *says;
    } cases[] = {
        {"/nonexistent", "No such file"},
        {"/", "not an ELF file"},
        {"/etc/passwd", "not an ELF file"},
        {"/dev/null", "not an ELF file"},
    };
    struct gib_error error;
    for (size_t i = 0; i < COUNT(cases); i++) {
        memset(&error, 0, sizeof error);
        assert_null(gib_elf_open(cases[i].path, NULL, &error));
        assert_int_equal(error.code, GIB_E_FILE);
        assert_non_null(strstr(error.message, cases[i].says));
        assert_non_null(strstr(error.message, cases[i].path));
    }
    assert_null(gib_elf_open("/nonexistent", NULL, NULL));
    gib_elf_close(NULL);
}

static void ignore_symbol(const struct gib_elf_symbol *symbol, void *context)
{
}

static void ignore_slot(uint64_t slot, void *context)
{
}

/* Any prefix of a file gives an error or answers, never a crash. */
static void truncated_files(void **state)
{
    const char *original = program("c-gcc-O2");
    char copy[] = "/tmp/gibbon-truncated-XXXXXX", command[8192];
    int fd = mkstemp(copy);
    struct stat status;
    assert_true(fd >= 0 && !stat(original, &status));
    snprintf(command, sizeof command, "cp %s %s", original, copy);
    assert_int_equal(system(command), 0);
    size_t opened = 0;
    for (off_t size = status.st_size - 1; size > 0; size -= 1 + random_number() % 200) {
        assert_int_equal(ftruncate(fd, size), 0);
        struct gib_elf *elf = gib_elf_open(copy, NULL, NULL);
        if (!elf)
            continue;
        opened++;
        const struct gib_elf_symbol *symbols;
        const struct gib_unwind_row *rows;
        const char *file;
        unsigned line;
        uint64_t from, to;
        gib_elf_functions(elf, &symbols);
        gib_elf_unwind_rows(elf, &rows);
        gib_elf_find(elf, "ns::f", ignore_symbol, NULL);
        gib_elf_imports(elf, "printf");
        gib_elf_line(elf, gib_elf_info(elf)->entry, &file, &line);
        gib_elf_function_range(elf, gib_elf_info(elf)->entry, &from, &to);
        gib_elf_ifunc_slots(elf, 0, ignore_slot, NULL);
        gib_elf_relative_slot(elf, &from, &to);
        gib_elf_close(elf);
    }
    assert_true(opened > 100);
    close(fd);
    unlink(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dynamic_symbols),
        cmocka_unit_test(local_symbols),
        cmocka_unit_test(versions),
        cmocka_unit_test(names),
        cmocka_unit_test(demangling),
        cmocka_unit_test(demangled_names_are_found),
        cmocka_unit_test(symbol_at),
        cmocka_unit_test(ranges_without_symbols),
        cmocka_unit_test(file_information),
        cmocka_unit_test(reading),
        cmocka_unit_test(imports),
        cmocka_unit_test(relocations),
        cmocka_unit_test(separate_debug_files),
        cmocka_unit_test(without_section_headers),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(truncated_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
