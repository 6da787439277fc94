// What several pictures hold, in words and numbers that outlive them: each target is opened, counted and
// let go of before the next, so that there is never more than one heap in memory.
//
// Counted are live objects, where it is known which are: by type, with what they retain, and by what
// holds them (collect/holders.h). Without the graph it is all objects, by type alone: cheap.
#ifndef LG_CLI_PICTURES_H
#define LG_CLI_PICTURES_H

#include "analysis/comparison.h"
#include "cli/session.h"

struct lg_picture_about {
    struct lg_report_target target; // Texts are the pictures'.
    struct lg_gc_asked
        collected;          // A full collection that was made before; `count` 0: none was asked for.
    double at;              // Minutes since the first, or its index: what rates are by.
    struct lg_amount total; // Objects and bytes that were counted.
    bool counts_dead;       // Dead ones, too.
    bool has_fields;        // Names of fields: not in a .gcdump.
};

// Something that could not be known of some of them.
struct lg_picture_note {
    const char *sentence;
    LG_VEC(uint32_t) of; // pictures
};

struct lg_pictures {
    bool graph;         // With what retains, and what holds,
    bool types_only;    // but for that.
    bool all;           // Dead objects count, too.
    bool by_time;       // `at` is told in minutes.
    bool is_collection; // Two, before a collection and after it: what it freed is told.
    bool is_watch;      // Told again and again: without what each picture had.
    struct lg_comparison types, holders;
    LG_VEC(struct lg_picture_about) taken;
    LG_VEC(struct lg_picture_note) notes;
    struct lg_arena arena;
};
void lg_pictures_deinit(struct lg_pictures *pictures);

// Counts what is open in a session. `hint` is for lg_session_judge(). After an error there is no such
// picture; if it is set all the same, there is half of one, and nothing is to be asked any more.
LG_MUST_CHECK struct lg_error *lg_pictures_take(struct lg_pictures *pictures, struct lg_session *session,
                                                const char *hint, bool *is_taken_ret);

// Its parts, for whoever counts otherwise: between lg_comparison_begin() and _end() of `types`, and
// then.
bool lg_pictures_add_type(struct lg_pictures *pictures, struct lg_clr *clr, uint32_t type_id,
                          struct lg_amount amount);
bool lg_pictures_add_about(struct lg_pictures *pictures, const struct lg_session *session,
                           bool counts_dead);

// ---- what is told of them ----

enum lg_changes_by { LG_CHANGES_BOTH, LG_CHANGES_TYPES, LG_CHANGES_HOLDERS };

struct lg_changes_query {
    enum lg_changes_by by;
    bool growing;         // Only what grows steadily.
    const char *contains; // Part of a type's name, or NULL.
    uint64_t top;         // Rows at most; 0: all.
    uint64_t min;         // Bytes of change at least, up or down.
};

// A row that changed between the first and the last picture.
struct lg_change {
    const struct lg_row *row;
    const uint64_t *counts; // [points] of its own
    const uint64_t *sizes;  // [points] with what went along below it
    bool grows;
    double confidence, count_rate, size_rate; // of three pictures and more
};
struct lg_changes {
    size_t points;                // Pictures; of very many not all, but the first and the last.
    LG_VEC(struct lg_change) all; // That grow steadily and fastest, or that changed most, first.
    uint64_t *numbers;            // What the series are made of.
};
LG_MUST_CHECK struct lg_error *lg_changes_find(const struct lg_pictures *pictures,
                                               const struct lg_comparison *comparison,
                                               const struct lg_changes_query *query,
                                               struct lg_changes *ret);
void lg_changes_deinit(struct lg_changes *changes);

// The targets, a table each of holders and types, and notes.
LG_MUST_CHECK struct lg_error *lg_changes_report(const struct lg_pictures *pictures,
                                                 const struct lg_changes_query *query,
                                                 struct lg_report *report);

#endif
