// What the steps of a path to one object mean, beside the names of their fields (ways.h): which key,
// which place, which method is called, at which await an async method stands.
//
//     Dictionary [_entries] -> Entry[] [[3].value] -> Order       Dictionary["abc"]
//     List [_items] -> Object[] [[17]] -> Order                   List[17]
//     EventHandler [_target] -> Basket                            calls App.Basket.OnChanged
//     AsyncStateMachineBox<App.Svc+<Foo>d__7> [StateMachine.x]    async App.Svc.Foo, at await 2
//     App.Svc+<>c__DisplayClass3_0 [x]                            closure of App.Svc.Foo
//
// Contents of the target are taken where they agree with each other (a place within a count, an entry
// that is in use); where they do not, or are not there (a snapshot of shapes), names alone tell:
// "Dictionary value". Nothing here walks a collection: what is read is what the path goes through.
#ifndef LG_COLLECT_MEANINGS_H
#define LG_COLLECT_MEANINGS_H

#include "collect/collect.h"
#include "collect/ways.h"
#include "util/arena.h"

struct lg_meanings {
    const struct lg_heap_graph *graph; // borrowed; all that has to be set
    struct lg_clr *clr;                // set by lg_meanings_init()
    struct lg_ways ways;
    struct lg_arena arena;
    struct lg_map by_code;        // code address -> index into `methods`
    struct lg_map by_closure;     // lg_type.id -> index into `methods`
    LG_VEC(const char *) methods; // normalised; NULL: not known
    struct lg_map weak_handles;   // of ConditionalWeakTables
    bool has_weak_handles;        // looked for
};
void lg_meanings_init(struct lg_meanings *meanings, const struct lg_heap_graph *graph);
void lg_meanings_deinit(struct lg_meanings *meanings);

// An object on a path, and how it refers to the next.
struct lg_path_step {
    struct lg_object object; // `type` NULL: not known
    const char *label;       // lg_edge_label(); NULL: of the last, or not known, or the next is not what
                             // follows on the path
    enum lg_link link;
};
// `texts`: for each step what it means, NULL where it says nothing more; kept by `meanings`. False when
// out of memory.
bool lg_meanings_of_path(struct lg_meanings *meanings, const struct lg_path_step *steps, size_t count,
                         const char **texts);
// What all objects of a type are; "": its name says it all. False when out of memory.
bool lg_meaning_of_type(struct lg_meanings *meanings, const struct lg_type *type, char *buf,
                        size_t size);
// What an object is, wherever it is held: "closure of App.Svc.Foo"; "" if its type says it all. False
// when out of memory.
bool lg_meaning_of_object(struct lg_meanings *meanings, const struct lg_object *object, char *buf,
                          size_t size);

// ---- for the files of meanings ----

// Copies a text; "" is NULL. False when out of memory.
bool lg_meaning_keep(struct lg_meanings *meanings, const char *text, const char **ret);
// What a delegate that is no list calls: "App.Basket.OnChanged". `*ret` NULL: not known. False when out
// of memory.
bool lg_meaning_of_call(struct lg_meanings *meanings, const struct lg_object *delegate,
                        const char **ret);

// Where in an object a label of lg_label_at() points. False: it has no such field, or the array no such
// element.
struct lg_place {
    uint64_t address, mt; // mt: of the field's type, 0: not known
    unsigned element;     // enum lg_element
};
bool lg_place_find(struct lg_clr *clr, const struct lg_object *object, const char *label,
                   struct lg_place *ret);
// A key as C# would write it: "\"abc\"", "17", "'x'"; false: it is neither text nor a whole number, or
// not readable.
bool lg_key_text(struct lg_clr *clr, const struct lg_place *place, char *buf, size_t size);
// The key that belongs to the value at `label` (without what follows into the value) of an object.
bool lg_key_of_value(struct lg_clr *clr, const struct lg_object *holder, const char *label, char *buf,
                     size_t size);

#endif
