// The stacks of threads: of a snapshot as it was told of them, else as the DAC tells now.
#include "cli/session.h"

struct lg_error *lg_session_stacks_by(struct lg_session *session, const char **path_ret)
{
    struct lg_dac *dac;
    struct lg_snapshot *snapshot = (struct lg_snapshot *)lg_session_snapshot(session);
    if (snapshot)
        return lg_snapshot_dac(snapshot, path_ret);
    struct lg_error *err = lg_session_dac(session, &dac);
    if (!err)
        *path_ret = lg_dac_path(dac);
    return err;
}

static struct lg_error *stack_of_snapshot(struct lg_session *session,
                                          const struct lg_managed_thread *thread,
                                          struct lg_told_stack *ret)
{
    const struct lg_managed_thread *threads;
    const struct lg_told_stack *told = NULL;
    const char *ignored;
    size_t count;
    struct lg_error *err = lg_clr_threads(lg_session_clr(session), &threads, &count);
    if (!err)
        err = lg_session_stacks_by(session, &ignored);
    if (!err)
        told = lg_snapshot_stack(lg_session_snapshot(session), (size_t)(thread - threads));
    return err ? err : lg_told_stack_copy(told, ret);
}

struct lg_error *lg_session_stack(struct lg_session *session, const struct lg_managed_thread *thread,
                                  unsigned wanted, struct lg_told_stack *ret)
{
    struct lg_dac *dac;
    if (lg_session_snapshot(session))
        return stack_of_snapshot(session, thread, ret);
    struct lg_error *err = lg_session_dac(session, &dac);
    return err ? err : lg_told_stack_read(dac, thread, wanted, ret);
}
