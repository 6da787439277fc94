// The object graph in files of others: what is alive, in the shape that their viewers want
// (docs/exports.md).
//
// All are written under a temporary name first (util/new_file.h), and the same heap gives the same
// bytes.
#ifndef LG_EXPORT_EXPORT_H
#define LG_EXPORT_EXPORT_H

#include "collect/retain.h"

struct lg_export_source {
    struct lg_target *target;
    const struct lg_reach *reach;
    const struct lg_roots *roots;
    const struct lg_retention *retention; // of `reach`
    const struct lg_type_stats *stats;    // of everything on the heap; .sqlite only
    bool all;                             // Every object and reference; .sqlite only
    const char *tool;                     // "linger 0.1.0"
};
struct lg_export_figures {
    uint64_t size;           // of the file
    uint64_t objects, bytes; // that are alive
    uint64_t references;     // of those
    uint64_t dead;           // objects that no root reaches
    uint64_t listed;         // objects that have a row; .sqlite only
    uint64_t clamped;        // objects whose size did not fit
};
typedef struct lg_error *lg_export(const struct lg_export_source *source, const char *path,
                                   struct lg_export_figures *ret);
lg_export lg_export_gcdump; // PerfView, Visual Studio
lg_export lg_export_pprof;  // pprof, gzip-compressed
lg_export lg_export_sqlite; // a database, dead objects in it too

#endif
