#include "util/top.h"

static bool is_below(const struct lg_top_entry *a, const struct lg_top_entry *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->value > b->value;
}

static void swap(struct lg_top *top, size_t i, size_t j)
{
    struct lg_top_entry entry = top->kept.at[i];
    top->kept.at[i] = top->kept.at[j];
    top->kept.at[j] = entry;
}

bool lg_top_offer(struct lg_top *top, uint64_t rank, uint32_t value)
{
    struct lg_top_entry entry = { rank, value };
    top->offered++;
    if (!top->limit || top->kept.len < top->limit) {
        if (!lg_vec_push(&top->kept, entry))
            return false;
        for (size_t i = top->kept.len - 1;
             i > 0 && is_below(&top->kept.at[i], &top->kept.at[(i - 1) / 2]); i = (i - 1) / 2)
            swap(top, i, (i - 1) / 2);
        return true;
    }
    if (!is_below(&top->kept.at[0], &entry))
        return true;
    top->kept.at[0] = entry;
    for (size_t i = 0, child; (child = 2 * i + 1) < top->kept.len; i = child) {
        if (child + 1 < top->kept.len && is_below(&top->kept.at[child + 1], &top->kept.at[child]))
            child++;
        if (!is_below(&top->kept.at[child], &top->kept.at[i]))
            break;
        swap(top, i, child);
    }
    return true;
}

static int biggest_first(const void *a, const void *b)
{
    return is_below(a, b) ? 1 : is_below(b, a) ? -1 : 0;
}

void lg_top_sort(struct lg_top *top)
{
    if (top->kept.len)
        qsort(top->kept.at, top->kept.len, sizeof(*top->kept.at), biggest_first);
}
