// The parts of `dumpobj` and `dumparray`: one object, its fields, elements, or what it delegates to.
#ifndef LG_CLI_DUMPOBJ_H
#define LG_CLI_DUMPOBJ_H

#include "cli/support.h"

struct lg_object_view {
    struct lg_report *report;
    struct lg_heap *heap;
    struct lg_clr *clr;
    struct lg_target *target;
    int indent;     // Of every line.
    bool is_nested; // Within another: text only, no facts or tables.
    bool no_fields;
};

// A line of a view. `view` is named twice.
#define LG_VIEW_LINE(view, format, ...) \
    lg_report_line((view)->report, "%*s" format, (view)->indent, "", __VA_ARGS__)

struct lg_object_view lg_object_view(struct lg_session *session, struct lg_report *report);
// Of the assembly that defines a type; NULL if it is not known.
const char *lg_module_path(struct lg_clr *clr, const struct lg_type *type);

// Name, MethodTable, Size, File or Array, String, fields, delegate rows: the whole of `dumpobj`.
LG_MUST_CHECK struct lg_error *lg_view_object(const struct lg_object_view *view,
                                              const struct lg_object *object);

// "Fields:" and its rows; the table `fields`.
LG_MUST_CHECK struct lg_error *lg_view_fields(const struct lg_object_view *view,
                                              const struct lg_object *object);

// The same of a value type that lies at `address` in something else.
LG_MUST_CHECK struct lg_error *lg_view_struct(const struct lg_object_view *view,
                                              const struct lg_type *type, uint64_t address);
// A cell of kind table: the fields of a struct.
void lg_cell_struct(const struct lg_object_view *view, struct lg_table *table,
                    const struct lg_type *type, uint64_t address);

// One row per delegate that an invocation calls, in that order; the table `delegates`.
LG_MUST_CHECK struct lg_error *lg_view_delegate(const struct lg_object_view *view,
                                                const struct lg_object *object);

// ---- arrays ----

enum { LG_RANK_MAX = 32 }; // of the runtime
struct lg_array {
    struct lg_object object;
    uint32_t rank, count;          // count: elements in all dimensions together
    uint32_t lengths[LG_RANK_MAX]; // of each dimension
    uint64_t data;                 // address of the first element
    uint32_t element_size;
    unsigned element;    // enum lg_element
    uint64_t element_mt; // 0: a pointer type
    const char *element_name;
};
// False when its length or bounds cannot be read.
bool lg_array_read(struct lg_clr *clr, const struct lg_object *object, struct lg_array *ret);
const char *lg_element_label(unsigned element); // as SOS spells it: "CLASS", "Int32"

// The line "Array: …", and of bytes and chars "Content: …".
void lg_view_array_line(const struct lg_object_view *view, const struct lg_array *array, bool content);
// The table `elements`: rows from `start` on, `length` at most.
void lg_view_elements(const struct lg_object_view *view, const struct lg_array *array, uint64_t start,
                      uint64_t length);
// "[2]", "[0][2]"
void lg_array_index(const struct lg_array *array, uint64_t i, char *buf, size_t size);
// The bits of a primitive or reference element; false of structs.
bool lg_array_element(const struct lg_object_view *view, const struct lg_array *array, uint64_t i,
                      uint64_t *ret);

#endif
