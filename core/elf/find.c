/*
 * find.c: from a name to its functions.
 *
 * Symbol names are indexed as they are. C++ names are indexed as people write them, once somebody
 * asks for one: each demangled name is normalised and cut into pieces that all find the symbol,
 *
 *     std::vector<int> ns::get<int>(char const*) const
 *                      ^ name      ^ end of name ^ end of parameters
 *
 * the name alone, with its parameters, with everything behind them, and with the result type. ABI
 * tags, get[abi:cxx11], may be left out: what has some is there twice.
 */
#include <ctype.h>
#include <stdlib.h>
#include "elf/file.h"

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (c & 0x80);
}

/* Drops white space except between words ("unsigned int"). Returns the length. */
static size_t normalise(char *to, const char *from)
{
    size_t length = 0;
    bool space = false;
    for (; *from; from++) {
        if (isspace((unsigned char)*from)) {
            space = true;
            continue;
        }
        if (space && length && is_word(to[length - 1]) && is_word(*from))
            to[length++] = ' ';
        space = false;
        to[length++] = *from;
    }
    to[length] = 0;
    return length;
}

/* Length of the type at the start of `text`, up to what its declarator adds or what ends the
 * parameter. */
static size_t base_length(const char *text)
{
    size_t depth = 0, i = 0;
    for (; text[i]; i++) {
        if (text[i] == '<')
            depth++;
        else if (text[i] == '>' && depth)
            depth--;
        else if (!depth && strchr("*&,()>[", text[i]))
            break;
    }
    return i;
}

/* People write "const char*", the demangler "char const*": moves the qualifier behind the type, in
 * place. */
static void move_const(char *text)
{
    static const char word[] = "const ";
    enum { length = sizeof word - 1 };
    for (char *at = text; *at; at++) {
        if (!strchr("(,<", *at) || strncmp(at + 1, word, length))
            continue;
        char *type = at + 1 + length;
        size_t size = base_length(type);
        if (!size)
            continue;
        memmove(at + 1, type, size);
        memcpy(at + 1 + size, " const", length);
    }
}

/* Length of the operator's symbol when `text` is the inside of a name at "operator<<": its < and >
 * do not nest. */
static size_t operator_length(const char *text, size_t at)
{
    static const char *const symbols[] = {"->*", "<=>", "<<=", ">>=", "->", "<<", ">>",
                                          "<=",  ">=",  "()",  "[]",  "<",  ">",  "\"\" "};
    if (strncmp(text + at, "operator", 8) || (at && is_word(text[at - 1])))
        return 0;
    for (size_t i = 0; i < GIB_COUNT(symbols); i++) {
        size_t length = strlen(symbols[i]);
        if (!strncmp(text + at + 8, symbols[i], length))
            return 8 + length;
    }
    return is_word(text[at + 8]) ? 0 : 8;
}

/* Offset behind the result type in a name of `size` bytes. Only templates have one, after which
 * white space is kept by the demangler, so this works on what it wrote, before normalising. */
static size_t result_length(const char *text, size_t size)
{
    size_t depth = 0, result = 0;
    for (size_t i = 0; i < size;) {
        size_t skipped = operator_length(text, i);
        if (skipped) {
            i += skipped;
            if (i < size && text[i] == ' ') /* "operator<< <int>", "operator bool" */
                break;
            continue;
        }
        char c = text[i++];
        if (strchr("<([{", c))
            depth++;
        else if (strchr(">)]}", c) && depth)
            depth--;
        else if (c == ' ' && !depth)
            result = i;
    }
    return result;
}

/* Extent of the parameter list, of the parenthesis that the last ')' closes; empty when there is
 * none. */
static void parameter_list(const char *text, size_t size, size_t *start, size_t *end)
{
    size_t depth = 0;
    for (size_t i = size; i--;) {
        if (text[i] == ')') {
            if (!depth++)
                *end = i + 1;
        } else if (text[i] == '(' && depth && !--depth) {
            *start = i;
            return;
        }
    }
    *start = *end = size;
}

static void add_alias(struct gib_elf *elf, const char *piece, size_t size, uint32_t symbol)
{
    uint32_t number = elf->alias_count++;
    elf->aliases[number] = (struct gib_alias){piece - elf->alias_text, size, symbol};
    gib_hash_add(&elf->alias_names, gib_hash_of(piece, size), number);
}

enum { aliases_per_symbol = 4 };

/* Normalises the demangled name in pieces, to know where they end: appends to alias_text at `used`.
 */
static size_t add_aliases(struct gib_elf *elf, size_t used, char *name, uint32_t symbol)
{
    size_t size = strlen(name), start, end;
    char *text = elf->alias_text + used;
    if (strstr(name, " [clone "))
        return used; /* its symbol name is what people write */
    parameter_list(name, size, &start, &end);
    /* "non-virtual thunk to f()" is another name than f(). */
    char special = elf->symbols[symbol].name[2];
    size_t result = special == 'T' || special == 'G' ? 0 : result_length(name, start);
    size_t length = 0;
    size_t cuts[] = {result, start, end, size}, ends[GIB_COUNT(cuts)];
    for (size_t i = 0, from = 0; i < GIB_COUNT(cuts); from = cuts[i++]) {
        char kept = name[cuts[i]];
        name[cuts[i]] = 0;
        /* "int f": the space between two pieces is between words, too */
        if (i == 1 && length && is_word(text[length - 1]))
            text[length++] = ' ';
        ends[i] = (length += normalise(text + length, name + from));
        name[cuts[i]] = kept;
    }
    size_t begin = ends[0];
    if (begin && text[begin] == ' ')
        begin++;
    for (size_t i = 1; i < GIB_COUNT(cuts); i++)
        if (i == 1 || ends[i] != ends[i - 1])
            add_alias(elf, text + begin, ends[i] - begin, symbol);
    if (begin)
        add_alias(elf, text, length, symbol);
    return used + length + 1;
}

/* Makes room for the aliases of one name. */
static bool reserve_text(struct gib_elf *elf, size_t needed, size_t *capacity)
{
    if (needed <= *capacity)
        return true;
    *capacity = *capacity * 2 + needed + (64 << 10);
    char *text = *capacity < UINT32_MAX ? realloc(elf->alias_text, *capacity) : NULL;
    if (text)
        elf->alias_text = text;
    return text;
}

static void read_aliases(struct gib_elf *elf)
{
    size_t names = 0, capacity = 0, used = 0;
    for (size_t i = 0; i < elf->symbol_count; i++)
        if (!strncmp(elf->symbols[i].name, "_Z", 2)) /* a B before each ABI tag */
            names += strchr(elf->symbols[i].name, 'B') ? 2 : 1;
    elf->aliases = malloc((names * aliases_per_symbol + 1) * sizeof *elf->aliases);
    if (!elf->aliases || !gib_hash_create(&elf->alias_names, names * aliases_per_symbol))
        return;
    for (size_t i = 0; i < elf->symbol_count; i++) {
        if (strncmp(elf->symbols[i].name, "_Z", 2))
            continue;
        char *name = gib_elf_demangle(elf->symbols[i].name);
        bool fits = name && reserve_text(elf, used + 2 * (strlen(name) + 3), &capacity);
        if (fits) {
            bool tagged = strchr(elf->symbols[i].name, 'B') && strstr(name, "[abi:");
            used = add_aliases(elf, used, name, i);
            if (tagged && gib_elf_drop_tags(name))
                used = add_aliases(elf, used, name, i);
        }
        free(name);
        if (!fits)
            return;
    }
}

static void read_names(struct gib_elf *elf)
{
    const struct gib_elf_symbol *symbols;
    size_t count = gib_elf_functions(elf, &symbols);
    if (!gib_hash_create(&elf->names, count))
        return;
    for (size_t i = 0; i < count; i++)
        gib_hash_add(&elf->names, gib_hash_of(symbols[i].name, strlen(symbols[i].name)), i);
}

static size_t visit_aliases(struct gib_elf *elf, const char *text, size_t size,
                            void (*visit)(const struct gib_elf_symbol *symbol, void *context),
                            void *context)
{
    size_t found = 0;
    uint32_t key = gib_hash_of(text, size), number;
    for (size_t cursor = key; gib_hash_next(&elf->alias_names, key, &cursor, &number);) {
        const struct gib_alias *alias = &elf->aliases[number];
        if (alias->size != size || memcmp(elf->alias_text + alias->text, text, size))
            continue;
        visit(&elf->symbols[alias->symbol], context);
        found++;
    }
    return found;
}

static size_t find_alias(struct gib_elf *elf, const char *name,
                         void (*visit)(const struct gib_elf_symbol *symbol, void *context),
                         void *context)
{
    char *text = malloc(strlen(name) + 1);
    if (!text)
        return 0;
    if (!elf->aliases_read) {
        elf->aliases_read = true;
        read_aliases(elf);
    }
    size_t size = normalise(text, name), found = visit_aliases(elf, text, size, visit, context);
    if (!found && strstr(text, "const ")) {
        move_const(text);
        found = visit_aliases(elf, text, size, visit, context);
    }
    free(text);
    return found;
}

size_t gib_elf_find(struct gib_elf *elf, const char *name,
                    void (*visit)(const struct gib_elf_symbol *symbol, void *context),
                    void *context)
{
    if (!elf->names_read) {
        elf->names_read = true;
        read_names(elf);
    }
    size_t found = 0;
    uint32_t key = gib_hash_of(name, strlen(name)), number;
    for (size_t cursor = key; gib_hash_next(&elf->names, key, &cursor, &number);) {
        if (strcmp(elf->symbols[number].name, name))
            continue;
        visit(&elf->symbols[number], context);
        found++;
    }
    if (!found && elf->has_cxx)
        found = find_alias(elf, name, visit, context);
    return found;
}

static void read_imports(struct gib_elf *elf)
{
    struct gib_symbol_table table;
    if (!gib_elf_dynamic_symbols(elf, &table))
        return;
    elf->imports = malloc((table.count + 1) * sizeof *elf->imports);
    if (!elf->imports || !gib_hash_create(&elf->import_names, table.count))
        return;
    for (size_t i = 1; i < table.count; i++) {
        Elf64_Sym entry;
        memcpy(&entry, table.symbols + i * sizeof entry, sizeof entry);
        if (entry.st_shndx != SHN_UNDEF || entry.st_name >= table.strings_size)
            continue;
        const char *name = table.strings + entry.st_name;
        elf->imports[elf->import_count] = name;
        gib_hash_add(&elf->import_names, gib_hash_of(name, strlen(name)), elf->import_count++);
    }
}

bool gib_elf_imports(struct gib_elf *elf, const char *name)
{
    uint32_t key = gib_hash_of(name, strlen(name)), number;
    if (!elf->imports_read) {
        elf->imports_read = true;
        read_imports(elf);
    }
    for (size_t cursor = key; gib_hash_next(&elf->import_names, key, &cursor, &number);)
        if (!strcmp(elf->imports[number], name))
            return true;
    return false;
}
