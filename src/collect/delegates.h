// Delegates: which methods an invocation calls, on which objects.
//
//     one method      _target, _methodPtr        code to call with _target as `this`
//     static method   _target = itself, _methodPtr a stub, _methodPtrAux the method
//     several         _invocationList an Object[] of delegates, _invocationCount of them in use
#ifndef LG_COLLECT_DELEGATES_H
#define LG_COLLECT_DELEGATES_H

#include "heap/objects.h"

bool lg_is_delegate(struct lg_clr *clr, const struct lg_type *type);

struct lg_call {
    uint64_t target; // the `this`; 0: none, or not known
    uint64_t code;   // lg_clr_method_from_code() tells whose; 0: not known
};
// What a delegate calls that is no list. False where values are not known.
bool lg_delegate_call(struct lg_clr *clr, const struct lg_object *delegate, struct lg_call *ret);

// The Object[] of a delegate that calls several, and how many of its first elements are in use. False:
// it calls one, or the field holds something else (wrappers of other kinds use it too).
bool lg_delegate_list(struct lg_clr *clr, const struct lg_object *delegate, struct lg_object *array_ret,
                      uint64_t *count_ret);
// One of them; 0: not readable.
uint64_t lg_delegate_at(struct lg_clr *clr, const struct lg_object *array, uint64_t i);

#endif
