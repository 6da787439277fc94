// Claims on ranges of addresses: batches of less and less precedence, settled into one order.
#include "picture/picture_priv.h"

bool lg_claims_add(struct lg_claims *claims, uint64_t start, uint64_t end,
                   const struct lg_page_owner *owner)
{
    return start >= end || lg_vec_push(&claims->batch, (struct lg_claim){ start, end, owner });
}

static int by_start(const void *a, const void *b)
{
    const struct lg_claim *x = a, *y = b;
    return x->start != y->start ? (x->start > y->start) - (x->start < y->start)
                                : (x->end < y->end) - (x->end > y->end);
}

// What of `claim` none of those before hold goes to `all`, behind the first `settled` of it. `*next` is
// the first of these that does not end before the claim.
static bool add_rest(struct lg_claims *claims, size_t settled, size_t *next,
                     const struct lg_claim *claim, uint64_t *reached)
{
    uint64_t pos = claim->start > *reached ? claim->start : *reached;
    while (*next < settled && claims->all.at[*next].end <= pos)
        ++*next;
    for (size_t i = *next; pos < claim->end;) {
        const struct lg_claim *held = i < settled ? &claims->all.at[i] : NULL;
        if (held && held->start <= pos) {
            pos = held->end > pos ? held->end : pos;
            i++;
            continue;
        }
        uint64_t stop = held && held->start < claim->end ? held->start : claim->end;
        if (!lg_vec_push(&claims->all, (struct lg_claim){ pos, stop, claim->owner }))
            return false;
        pos = stop;
    }
    *reached = claim->end > *reached ? claim->end : *reached;
    return true;
}

bool lg_claims_settle(struct lg_claims *claims)
{
    size_t settled = claims->all.len, next = 0;
    uint64_t reached = 0;
    if (claims->batch.len > 1)
        qsort(claims->batch.at, claims->batch.len, sizeof(*claims->batch.at), by_start);
    for (size_t i = 0; i < claims->batch.len; i++) {
        if (!add_rest(claims, settled, &next, &claims->batch.at[i], &reached))
            return false;
    }
    claims->batch.len = 0;
    if (claims->all.len > 1)
        qsort(claims->all.at, claims->all.len, sizeof(*claims->all.at), by_start);
    return true;
}

void lg_claims_deinit(struct lg_claims *claims)
{
    lg_vec_free(&claims->all);
    lg_vec_free(&claims->batch);
}
