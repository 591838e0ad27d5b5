/*
 * shape.h: what the agent is told of a function, from its prototype and the calling convention.
 *
 * Pure: bytes of shared memory from descriptions, no target and no engine.
 */
#ifndef GIBBON_SHAPE_H
#define GIBBON_SHAPE_H

#include "agent/layout.h"
#include "code/x86_64/convention.h"
#include "prototypes/prototype.h"

/* Fills in where arguments and result are, which of them are text, and what failure means. `site`
 * is all zero but for its index and thread pointer; `prototype` may be NULL. */
void gib_shape_function(struct gib_site *site, const struct gib_prototype *prototype,
                        const struct gib_convention *convention);
/* When the actions are filled in, too: the longest record of the site with texts of `limit` bytes,
 * in lines of GIB_LINE bytes. */
uint32_t gib_shape_lines(const struct gib_site *site, uint32_t limit);

#endif
