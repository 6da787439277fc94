// A profile for pprof (github.com/google/pprof proto/profile.proto), gzip-compressed.
//
//     lg_pprof_new → value types → samples, mappings, functions, locations in any order →
//     lg_pprof_finish
//
// Ids are the caller's, from 1 on. Texts are borrowed until the end; equal ones are kept once. Errors
// are remembered, and told by lg_pprof_finish().
#ifndef LG_EXPORT_PPROF_WRITE_H
#define LG_EXPORT_PPROF_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/error.h"

struct lg_pprof;
LG_MUST_CHECK struct lg_error *lg_pprof_new(const char *path, struct lg_pprof **ret);
void lg_pprof_free(struct lg_pprof *pprof); // NULL is allowed; removes what is unfinished
LG_DEFINE_FREEP(lg_pprof)

// Each sample has so many values as there are of these.
void lg_pprof_value_type(struct lg_pprof *pprof, const char *name, const char *unit);

struct lg_pprof_label {
    const char *key, *text; // `text` NULL: there is none
};
struct lg_pprof_sample {
    const uint64_t *locations; // ids, the leaf first
    size_t location_count;
    const uint64_t *values;
    size_t value_count;
    struct lg_pprof_label labels[2];
};
void lg_pprof_sample(struct lg_pprof *pprof, const struct lg_pprof_sample *sample);

void lg_pprof_mapping(struct lg_pprof *pprof, uint64_t id, const char *file);
void lg_pprof_function(struct lg_pprof *pprof, uint64_t id, const char *name, const char *file);
// `mapping` 0: none; `line` 0: not known.
void lg_pprof_location(struct lg_pprof *pprof, uint64_t id, uint64_t mapping, uint64_t function,
                       uint64_t line);
void lg_pprof_comment(struct lg_pprof *pprof, const char *text);
void lg_pprof_duration(struct lg_pprof *pprof, uint64_t nanoseconds);
// `name`: of the value type that viewers show first.
LG_MUST_CHECK struct lg_error *lg_pprof_finish(struct lg_pprof *pprof, const char *name,
                                               uint64_t *size_ret);

#endif
