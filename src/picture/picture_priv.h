// For the files of src/picture: what was seen of the stopped process, and who claims what.
#ifndef LG_PICTURE_PRIV_H
#define LG_PICTURE_PRIV_H

#include "picture/picture.h"
#include "target/proc.h"

// Entries of pagemap for all pages of one mapping, as of the stop.
struct lg_page_words {
    uint32_t mapping;
    uint64_t *words;
};

struct lg_page_run {
    uint64_t start, end;
    bool swapped; // Else resident.
};

struct lg_sight {
    bool has_seen;
    char *smaps; // Text; the buffer stays for the next look.
    size_t smaps_len, smaps_size;
    char status[LG_PROC_TEXT];
    struct lg_mappings mappings;
    LG_VEC(struct lg_page_words) words; // By `mapping`.
    LG_VEC(struct lg_page_run) runs;    // By `start`: of anonymous mappings, if
    bool has_runs;                      // the kernel could tell.
    int refused;                        // errno of what could not be read of pagemap; 0: none
    struct lg_error *err;
};
// The first run that does not end before `address`.
size_t lg_sight_run(const struct lg_sight *sight, uint64_t address);
const uint64_t *lg_sight_words(const struct lg_sight *sight, uint32_t mapping); // NULL: not looked at

// [start, end) is `owner`'s. Of claims that overlap, the one of the earlier batch holds.
struct lg_claim {
    uint64_t start, end;
    const struct lg_page_owner *owner;
};
struct lg_claims {
    LG_VEC(struct lg_claim) all;   // By `start`; none overlap.
    LG_VEC(struct lg_claim) batch; // Those that lg_claims_settle() will add, in any order.
};
bool lg_claims_add(struct lg_claims *claims, uint64_t start, uint64_t end,
                   const struct lg_page_owner *owner);
bool lg_claims_settle(struct lg_claims *claims);
void lg_claims_deinit(struct lg_claims *claims);

// What a picture is made with.
struct lg_making {
    struct lg_picture *picture;
    struct lg_target *target;
    struct lg_clr *clr; // NULL: none
    struct lg_sight *sight;
    bool detail, nameless;
    int pagemap; // Of what is read; -1: none
    struct lg_claims claims;
    uint64_t difference; // Bytes, and mappings: between what pagemap and what smaps says of them.
    size_t differences;
    bool out_of_memory;
};

// An owner that lives as long as the picture; names are copied. NULL: no memory, and noted in `making`.
const struct lg_page_owner *lg_owner_new(struct lg_making *making, const struct lg_page_owner *owner);
const char *lg_making_format(struct lg_making *making, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));
void lg_making_claim(struct lg_making *making, uint64_t start, uint64_t end,
                     const struct lg_page_owner *owner);
void lg_making_settle(struct lg_making *making);
void lg_picture_note(struct lg_picture *picture, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

// lg_target_read_all() of memory that may not be resident: then false, as reading would make it so in a
// process that is read itself.
bool lg_making_read(const struct lg_making *making, uint64_t address, void *buf, size_t len);

// The mapping that `address` is in, or NULL.
const struct lg_mapping *lg_mapping_find(const struct lg_picture *picture, uint64_t address);
bool lg_mapping_is_anonymous(const struct lg_mapping *mapping); // Private, without a file; also [heap].
const char *lg_base_name(const char *path);

// lg_images_each(), of files whose first page is resident.
struct lg_image;
void lg_making_images(const struct lg_making *making,
                      bool (*each)(const struct lg_image *image, void *data), void *data);

// Each a batch of claims, in this order of precedence.
void lg_claim_runtime(struct lg_making *making);
void lg_claim_stacks(struct lg_making *making);
void lg_claim_malloc(struct lg_making *making);
void lg_claim_modules(struct lg_making *making); // Their memory without a file: bss.

// Whose a mapping is when nobody claims it: told by its file.
const struct lg_page_owner *lg_owner_of_mapping(struct lg_making *making,
                                                const struct lg_mapping *mapping);

// Cuts mappings into parts by claims, and finds out what of each is resident.
void lg_parts_make(struct lg_making *making);

// Fills picture.arenas' use: reads them.
void lg_arenas_measure(struct lg_making *making);

#endif
