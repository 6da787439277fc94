// Which method a code address belonged to at a time, by what a runtime told of its code: methods that
// came and went during a session, and all there are at its end (the rundown).
//
//     code address ──────────────►
//     time  │ [ A, loaded … unloaded ]        code that is unloaded makes room for other code:
//           ▼ [ B, loaded …           ]       an address alone does not name a method
//
// Names come from the events; whoever has the process itself may know better ones (`method_desc`).
#ifndef LG_COLLECT_CODE_SEEN_H
#define LG_COLLECT_CODE_SEEN_H

#include "diag/nettrace.h"
#include "util/arena.h"
#include "util/map.h"
#include "util/vec.h"

struct lg_code_seen {
    uint64_t start, size;
    uint64_t from, until; // time; 0 and UINT64_MAX: not seen to come, or to go
    uint64_t method_desc, module;
    uint32_t token;                      // MethodDef; 0 or 0x06000000: made at run time
    const char *type, *name, *signature; // "App.Order", "Submit", "void (int32)"; UTF-8; or all NULL
    uint32_t map, map_count;             // IL offsets: in `maps`
    bool is_at_end;                      // The rundown has it.
};
struct lg_code_module {
    uint64_t id;
    const char *path; // of its IL; UTF-8
    uint8_t pdb[16];  // GUID of its PDB; zeros: not told
};
struct lg_code_map {
    uint32_t native, il; // il >= 0xfffffffd: prolog, epilog, none
};

struct lg_codes {
    LG_VEC(struct lg_code_seen) all;
    LG_VEC(struct lg_code_module) modules;
    LG_VEC(struct lg_code_map) maps;
    struct lg_arena names;
    struct lg_map last_at;           // start -> the last of `all` that was told to be there
    LG_VEC(uint32_t) by_start;       // of `all`
    LG_VEC(uint64_t) reach;          // in that order: the furthest end up to here
    bool is_sorted;                  // both
    uint64_t lost_since, lost_until; // time in which events are not there; 0: none
    // The map that was told last: of the method that its thread tells of next.
    uint64_t map_method, map_thread;
    uint32_t map, map_count;
};

LG_MUST_CHECK struct lg_error *lg_codes_event(struct lg_codes *codes, const struct lg_event *event);
void lg_codes_lost(struct lg_codes *codes, const struct lg_event_loss *loss);
// The code at `ip` all the time from `first` to `last`; NULL: not known, or not one and the same.
const struct lg_code_seen *lg_codes_find(struct lg_codes *codes, uint64_t ip, uint64_t first,
                                         uint64_t last);
// IL offset of the call that returns to `ip`; UINT32_MAX: not known.
uint32_t lg_codes_il(const struct lg_codes *codes, const struct lg_code_seen *code, uint64_t ip);
// NULL: not known.
const struct lg_code_module *lg_codes_module(const struct lg_codes *codes, uint64_t module);
void lg_codes_deinit(struct lg_codes *codes);

#endif
