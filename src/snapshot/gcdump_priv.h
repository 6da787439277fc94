// A .gcdump that is read: its parts as they lie in the file, and the heap that is made of them.
//
// Nodes know their children, and nothing of where in an object a reference lies. So objects are laid out
// anew, at their own addresses and of their own sizes: behind the method table (and a length, where the
// objects of a type differ in size) come the references, one after the other, then zeros. Between
// objects lies free space, as in any heap. What reads heaps reads this one, and finds the same graph.
//
//     address      +8                                      +size - 8
//     | type number | first child | second child | 0 … 0   |           all of one size
//     | type number | length, 0   | first child  | 0 … 0   |           others
//
// Nothing is read of the file twice as big as it: the children of an object are decoded when its memory
// is read.
#ifndef LG_SNAPSHOT_GCDUMP_PRIV_H
#define LG_SNAPSHOT_GCDUMP_PRIV_H

#include <pthread.h>

#include "clr/stored.h"
#include "snapshot/gcdump.h"
#include "snapshot/snapshot.h"
#include "util/reader.h"

struct dump_text { // In the file.
    uint64_t at;   // 0: there is none
    uint32_t len;  // in bytes
};
struct dump_type {
    struct dump_text name, module;
    int32_t size;
    uint32_t id;    // lg_type.id + 1; 0: no object has it
    bool is_pseudo; // Of nodes that stand for no object.
};

struct dump_segment {
    uint64_t start, end, ends[5]; // ends: of what there is of each generation
};

// How the objects of a type lie in memory; by lg_type.id.
struct dump_shape {
    uint32_t least, most;  // sizes
    uint32_t children_max; // of any one object
    uint32_t odd;          // Some bits of the sizes, or-ed.
    uint32_t base, first;  // lg_type.base_size; offset of the first reference
    uint16_t component;
};

enum { RESUMES = 16 };
struct dump_resume { // Where the children of a long object go on.
    pthread_mutex_t lock;
    uint64_t node; // + 1
    uint64_t slot;
    const uint8_t *at;
    uint32_t left;
};

struct gcdump {
    const char *path; // for errors; owned
    struct lg_reader file;
    void *owned; // the bytes of the file, to be freed; or NULL
    // The file's parts.
    uint64_t total_size;
    uint32_t root, node_count, blob_len;
    const uint8_t *offsets, *blob, *addresses;
    LG_VEC(struct dump_type) types;
    LG_VEC(struct dump_segment) segments; // by start
    float count_multiplier, size_multiplier;
    bool is_sampled; // by type
    struct dump_text process, tool, log;
    uint64_t ticks;
    int pid;
    // What is made of them.
    uint64_t *is_object; // a bit per node
    uint64_t *is_frozen;
    lg_node *order; // objects by address
    uint32_t count;
    uint64_t bytes, references, undefined, dropped;
    bool has_generations, has_dependents;
    LG_VEC(struct dump_shape) shapes;
    LG_VEC(struct lg_segment) heap;
    struct dump_resume resumes[RESUMES];
};

struct dump_node {
    uint32_t type, size, children;
    const uint8_t *at; // its first child
};

static inline uint64_t dump_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}
static inline uint64_t dump_address(const struct gcdump *dump, lg_node node)
{
    return dump_u64(dump->addresses + 8 * (uint64_t)node);
}
static inline bool dump_bit(const uint64_t *bits, lg_node node)
{
    return bits[node >> 6] >> (node & 63) & 1;
}
static inline uint64_t dump_method_table(uint32_t id)
{
    return 64 * ((uint64_t)id + 1); // What describes references lies below it.
}
struct lg_error *dump_damaged(const struct gcdump *dump, const char *format, ...) LG_PRINTF(2, 3)
    __attribute__((__returns_nonnull__));

// ---- gcdump_file.c ----

// Finds the parts in `dump->file`.
LG_MUST_CHECK struct lg_error *dump_parse(struct gcdump *dump);
// UTF-8; NULL when out of memory.
const char *dump_text(const struct gcdump *dump, struct lg_arena *arena, struct dump_text text);
// Is it that word, or does it begin so?
bool dump_text_is(const struct gcdump *dump, struct dump_text text, const char *word);
bool dump_text_begins(const struct gcdump *dump, struct dump_text text, const char *word);
// Signed: groups of 7 bits, high ones first. False past `end`.
bool dump_int(const uint8_t **at, const uint8_t *end, int32_t *ret);
// The record of a node; false if it makes no sense.
bool dump_node(const struct gcdump *dump, lg_node node, struct dump_node *ret);
// The next child of `from`; false if it makes no sense.
bool dump_child(const struct gcdump *dump, lg_node from, const uint8_t **at, lg_node *ret);

// ---- gcdump_roots.c ----

LG_MUST_CHECK struct lg_error *dump_find_frozen(struct gcdump *dump);
LG_MUST_CHECK struct lg_error *dump_roots(struct gcdump *dump, struct lg_roots **ret);

// ---- gcdump_types.c ----

// Checks every node, finds objects and types, and how they are laid out.
LG_MUST_CHECK struct lg_error *dump_look(struct gcdump *dump, struct lg_arena *arena,
                                         struct lg_stored *ret);

// ---- gcdump_heap.c ----

// Objects in order, segments of them; references for which an object has no room become handles.
LG_MUST_CHECK struct lg_error *dump_lay_out(struct gcdump *dump, struct lg_stored *stored);
size_t dump_read(struct gcdump *dump, uint64_t address, void *buf, size_t len);
void dump_free(struct gcdump *dump);

#endif
