/*
 * describe.h: what the agent is told of a function, from its prototype and the calling convention.
 *
 * Pure: bytes of shared memory from descriptions, no target and no engine.
 */
#ifndef GIBBON_DESCRIBE_H
#define GIBBON_DESCRIBE_H

#include "agent/layout.h"
#include "code/x86_64/convention.h"
#include "prototypes/prototype.h"

/* Fills in where arguments and result are, which of them are text, and what failure means. `site`
 * is all zero but for its index and thread pointer; `prototype` may be NULL. */
void gib_describe_function(struct gib_site *site, const struct gib_prototype *prototype,
                           const struct gib_convention *convention);
/* When the actions are filled in, too: the longest record with texts of `limit` bytes, and whether
 * the agent may take its fast path. An action without flags is none. */
void gib_describe_record(struct gib_site *site, uint32_t limit, const struct gib_shared *shared);

#endif
