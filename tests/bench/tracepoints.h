/* LTTng-UST's events around two_integers(); included several times by its headers. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER bench
#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "tracepoints.h"

#if !defined(BENCH_TRACEPOINTS_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define BENCH_TRACEPOINTS_H
#include <lttng/tracepoint.h>

/* clang-format off */
LTTNG_UST_TRACEPOINT_EVENT(bench, entry,
    LTTNG_UST_TP_ARGS(long, a, long, b),
    LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(long, a, a) lttng_ust_field_integer(long, b, b)))
LTTNG_UST_TRACEPOINT_EVENT(bench, leave,
    LTTNG_UST_TP_ARGS(long, result),
    LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(long, result, result)))
/* clang-format on */

#endif
#include <lttng/tracepoint-event.h>
