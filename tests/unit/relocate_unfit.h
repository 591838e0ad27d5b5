/* relocate_unfit.h: windows that no two runs can be compared of. */
#ifndef GIBBON_TESTS_RELOCATE_UNFIT_H
#define GIBBON_TESTS_RELOCATE_UNFIT_H

#include "gibbon/relocate.h"

#include <Zydis/Zydis.h>

/* Whether an instruction that the copy displaces has an effect that two runs of the same code need
 * not repeat (clocks, random numbers), stores its own address by design (fnstenv, fxsave: the last
 * x87 instruction's), or reaches outside; or is one of those for which `also` says so. */
bool relocate_window_is_unfit(const struct gib_relocation_request *request,
                              const struct gib_relocation *copy,
                              bool (*also)(const ZydisDecodedInstruction *instruction));
/* "TITLE 55 48 ...", for a person. */
void relocate_print_bytes(const char *title, const uint8_t *bytes, size_t size);

#endif
