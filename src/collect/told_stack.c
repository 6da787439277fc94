// The stack of one thread as the DAC tells it, or why it does not: the others may well have theirs.
#include <string.h>

#include "collect/collect.h"
#include "util/error.h"

void lg_told_stack_deinit(struct lg_told_stack *told)
{
    lg_dac_stack_deinit(&told->stack);
    free(told->missing);
    *told = (struct lg_told_stack){ .missing = NULL };
}

static struct lg_error *be_missing(struct lg_told_stack *told, const char *why)
{
    lg_told_stack_deinit(told);
    told->missing = strdup(why);
    return told->missing ? NULL : &lg_no_memory;
}

struct lg_error *lg_told_stack_read(struct lg_dac *dac, const struct lg_managed_thread *thread,
                                    unsigned wanted, struct lg_told_stack *ret)
{
    *ret = (struct lg_told_stack){ .missing = NULL };
    if (!thread->thread || !thread->stack_high)
        return be_missing(ret, "its registers or its stack are not known");
    struct lg_error *err = lg_dac_stack_read(dac, thread->os_id, thread->stack_low, thread->stack_high,
                                             wanted, &ret->stack);
    enum lg_error_kind kind = err ? lg_error_kind(err) : LG_ERR_OS;
    if (!err || (kind != LG_ERR_CORRUPT && kind != LG_ERR_UNSUPPORTED))
        return err;
    struct lg_error *no_memory = be_missing(ret, lg_error_message(err));
    lg_error_free(err);
    return no_memory;
}

struct lg_error *lg_told_stack_copy(const struct lg_told_stack *from, struct lg_told_stack *ret)
{
    *ret = (struct lg_told_stack){ .missing = NULL };
    bool ok = !from->missing || (ret->missing = strdup(from->missing));
    for (size_t i = 0; i < from->stack.frames.len && ok; i++)
        ok = lg_vec_push(&ret->stack.frames, from->stack.frames.at[i]);
    for (size_t i = 0; i < from->stack.refs.len && ok; i++)
        ok = lg_vec_push(&ret->stack.refs, from->stack.refs.at[i]);
    ret->stack.cut = from->stack.cut;
    if (!ok)
        lg_told_stack_deinit(ret);
    return ok ? NULL : &lg_no_memory;
}
