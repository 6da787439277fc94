// What reading and writing of .gcdump files have in common (docs/exports.md): the words by which roots
// are told.
//
// A .gcdump has one tree of nodes that stand for no object, whose leaves refer to what is rooted.
// Viewers know its nodes by their names:
//
//     [.NET Roots] ─┬─ [static vars] ── [static var App.Cache.s_orders] ── an object
//                   ├─ [local vars] ── [local vars of App.Program.Main] ── objects
//                   └─ [other roots] ─┬─ [strong Handles] ── objects
//                                     └─ [frozen objects] ── objects
#ifndef LG_SNAPSHOT_GCDUMP_H
#define LG_SNAPSHOT_GCDUMP_H

#include "collect/collect.h"

#define LG_GCDUMP_MAGIC "\x14\0\0\0!FastSerialization.1"
#define LG_GCDUMP_ROOT "[.NET Roots]"
#define LG_GCDUMP_OTHER "[other roots]"

enum { // Tags of FastSerialization.
    LG_FAST_NULL = 1,
    LG_FAST_REFERENCE = 2,
    LG_FAST_BEGIN = 4,
    LG_FAST_BEGIN_PRIVATE = 5,
    LG_FAST_END = 6,
    LG_FAST_BYTE = 8,
    LG_FAST_SKIP = 12,
    LG_FAST_STRING = 13,
};

struct lg_gcdump_group {
    const char *name;
    bool is_other; // Below "[other roots]".
    bool is_frozen;
    enum lg_root_kind kind;
    bool conservative;
    const char *child; // How the names of its children begin, which have a name of their own; or NULL.
};
extern const struct lg_gcdump_group lg_gcdump_groups[]; // Ends with one without a name.
enum { LG_GCDUMP_GROUPS = 12 };                         // Those that are written; others are only known.

#endif
