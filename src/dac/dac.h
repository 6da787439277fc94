// The runtime's own debugging library, libmscordaccore.so ("the DAC"), asked through a helper process.
//
// It knows what linger does not: how to unwind managed frames of every runtime from 3.1 on, and where in
// them references are. It is foreign code that was never written for damaged targets, so it runs in a
// process of its own that can do nothing but compute (jail.h), asks linger for each page of the target
// that it wants, and is ended when it takes too long. What it answers is checked like everything that
// comes from a target.
//
// A helper that crashes, hangs or runs out of memory is an error that says so; the next request starts
// another, a few times. Belongs to one thread, the one that opened it.
#ifndef LG_DAC_DAC_H
#define LG_DAC_DAC_H

#include "target/target.h"

struct lg_dac;

struct lg_dac_options {
    const char *file;    // The user's choice; NULL: the runtime's own, where it lies.
    const char *version; // Of the runtime, as far as it is known: "10.0.12", or NULL.
    unsigned timeout_ms; // Of one request; 0: half a minute.
    uint64_t memory;     // That the helper may have; 0: 2 GiB.
};

// `path` and `base`: of the image with the runtime in it. Errors: there is no DAC, it is not to be
// trusted (find.h), or it does not start; each says what would help.
LG_MUST_CHECK struct lg_error *lg_dac_open(struct lg_target *target, const char *path, uint64_t base,
                                           const struct lg_dac_options *options, struct lg_dac **ret);
void lg_dac_free(struct lg_dac *dac); // NULL is allowed
LG_DEFINE_FREEP(lg_dac)

// The file that was loaded.
const char *lg_dac_path(const struct lg_dac *dac);

// ---- stacks ----

struct lg_dac_frame {
    uint64_t ip, sp;
    uint64_t frame;   // Address of one of the runtime's own Frames; 0: a managed method's.
    const char *kind; // Of such a Frame: "InlinedCallFrame"; NULL otherwise, or unknown.
    uint64_t method;  // MethodDesc, 0 if there is none.
    const char *name; // "System.Threading.Monitor.Wait(System.Object, Int32)", or NULL.
};

// Where a frame keeps a reference. Words that are null are told too.
struct lg_dac_ref {
    uint64_t slot;   // Address of the word; 0: it is in a register.
    uint64_t object; // What is there. Interior: any address in the object.
    char place[24];  // "rbp-28", "rsi"; "" if the DAC does not tell.
    bool is_interior, is_pinned;
    size_t frame; // Index; SIZE_MAX: of none that the walk has.
};

struct lg_dac_stack {
    LG_VEC(struct lg_dac_frame) frames; // The innermost first. Names live as long as the DAC.
    LG_VEC(struct lg_dac_ref) refs;
    const char *cut; // Why it is not all of it; NULL: it is. Lives as long as the DAC.
};
static inline void lg_dac_stack_deinit(struct lg_dac_stack *stack)
{
    lg_vec_free(&stack->frames);
    lg_vec_free(&stack->refs);
}

enum lg_dac_wanted { LG_DAC_FRAMES = 1, LG_DAC_REFS = 2 };
// Of the thread that the runtime calls `os_id`, whose stack reaches from `low` to `high`.
LG_MUST_CHECK struct lg_error *lg_dac_stack_read(struct lg_dac *dac, uint32_t os_id, uint64_t low,
                                                 uint64_t high, unsigned wanted,
                                                 struct lg_dac_stack *ret);

// What an instruction of a method was compiled from; ReadyToRun code too.
struct lg_dac_origin {
    uint64_t module; // 0: not known, or made at run time
    uint32_t token;
    uint32_t il; // UINT32_MAX: not known
};
LG_MUST_CHECK struct lg_error *lg_dac_origin(struct lg_dac *dac, uint64_t method, uint64_t ip,
                                             struct lg_dac_origin *ret);

// The method table that a MethodDesc belongs to, 0 if the DAC does not tell.
uint64_t lg_dac_method_table(struct lg_dac *dac, uint64_t method);

#endif
