#include "analysis/comparison.h"

#include <string.h>

// How many times more a row may grow than what holds it, and still go with it.
enum { FACTOR = 10 };

// ---- rows ----

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
    return lg_hash64(hash);
}

static bool is_same(const struct lg_row *row, const struct lg_row *names)
{
    bool any = !*row->assembly || !*names->assembly;
    return strcmp(row->type, names->type) == 0 && strcmp(row->held, names->held) == 0
           && (any || strcmp(row->assembly, names->assembly) == 0);
}

static bool add_row(struct lg_comparison *comparison, const struct lg_row *names, uint64_t key)
{
    struct lg_row row = {
        .type = lg_arena_copy(&comparison->arena, names->type, strlen(names->type)),
        .held = lg_arena_copy(&comparison->arena, names->held, strlen(names->held)),
        .assembly = lg_arena_copy(&comparison->arena, names->assembly, strlen(names->assembly)),
        .before = names->before,
        .seen = UINT32_MAX,
    };
    uint32_t number = (uint32_t)comparison->rows.len;
    return row.type && row.held && row.assembly && number < LG_NO_ROW
           && lg_map_put(&comparison->by_key, key, number) && lg_vec_push(&comparison->rows, row);
}

static bool find_row(struct lg_comparison *comparison, const struct lg_row *names, uint32_t *ret)
{
    uint64_t key = hash_text(hash_text(1, names->type), names->held);
    for (; lg_map_get(&comparison->by_key, key, ret); key++) {
        struct lg_row *row = &comparison->rows.at[*ret];
        if (!is_same(row, names))
            continue;
        if (!*row->assembly && *names->assembly)
            row->assembly = lg_arena_copy(&comparison->arena, names->assembly, strlen(names->assembly));
        return row->assembly != NULL;
    }
    *ret = (uint32_t)comparison->rows.len;
    return add_row(comparison, names, key);
}

// ---- points ----

static bool put_point(struct lg_row *row, uint32_t picture, struct lg_amount amount)
{
    return lg_vec_push(&row->points, ((struct lg_row_point){ picture, amount }));
}

bool lg_comparison_add(struct lg_comparison *comparison, const struct lg_row *names,
                       struct lg_amount amount, uint32_t *row_ret)
{
    uint32_t picture = comparison->pictures - 1;
    if (!find_row(comparison, names, row_ret))
        return false;
    struct lg_row *row = &comparison->rows.at[*row_ret];
    if (row->seen != picture) {
        row->seen = picture;
        return put_point(row, picture, amount);
    }
    struct lg_amount *sum = &row->points.at[row->points.len - 1].amount;
    sum->count += amount.count;
    sum->size += amount.size;
    sum->retained += amount.retained;
    return true;
}

static bool is_equal(struct lg_amount a, struct lg_amount b)
{
    return a.count == b.count && a.size == b.size && a.retained == b.retained;
}

bool lg_comparison_end(struct lg_comparison *comparison)
{
    static const struct lg_amount nothing;
    uint32_t picture = comparison->pictures - 1;
    for (size_t i = 0; i < comparison->rows.len; i++) {
        struct lg_row *row = &comparison->rows.at[i];
        if (row->seen != picture && !put_point(row, picture, nothing))
            return false;
        size_t len = row->points.len;
        struct lg_amount before = len > 1 ? row->points.at[len - 2].amount : nothing;
        if (is_equal(before, row->points.at[len - 1].amount))
            row->points.len--;
    }
    return true;
}

struct lg_amount lg_row_at(const struct lg_row *row, uint32_t picture)
{
    for (size_t i = row->points.len; i > 0; i--) {
        if (row->points.at[i - 1].picture <= picture)
            return row->points.at[i - 1].amount;
    }
    return (struct lg_amount){ 0 };
}

struct lg_amount lg_comparison_total(const struct lg_comparison *comparison, uint32_t picture)
{
    struct lg_amount total = { 0 };
    for (size_t i = 0; i < comparison->rows.len; i++) {
        struct lg_amount amount = lg_row_at(&comparison->rows.at[i], picture);
        total.count += amount.count;
        total.size += amount.size;
    }
    return total;
}

void lg_comparison_deinit(struct lg_comparison *comparison)
{
    for (size_t i = 0; i < comparison->rows.len; i++)
        lg_vec_free(&comparison->rows.at[i].points);
    lg_vec_free(&comparison->rows);
    lg_map_free(&comparison->by_key);
    lg_arena_free(&comparison->arena);
}

// ---- what to tell of ----

struct change {
    double from, to; // objects
};

static struct change change_of(const struct lg_comparison *comparison, uint32_t row)
{
    const struct lg_row *r = &comparison->rows.at[row];
    return (struct change){ (double)lg_row_at(r, 0).count,
                            (double)lg_row_at(r, comparison->pictures - 1).count };
}

// Has a row changed as what holds it did?
static bool goes_with(struct change own, struct change above)
{
    double step = own.to - own.from, above_step = above.to - above.from;
    if (step * above_step <= 0)
        return false;
    if (above.from == 0 || above.to == 0) // All of it is new, or gone.
        return true;
    double each = own.from / above.from;
    return step / above_step <= FACTOR * (each > 1 ? each : 1);
}

void lg_comparison_tops(const struct lg_comparison *comparison, uint32_t *top)
{
    uint32_t last = comparison->pictures - 1;
    for (uint32_t i = 0; i < comparison->rows.len; i++) {
        const struct lg_row *row = &comparison->rows.at[i];
        struct change own = change_of(comparison, i);
        bool differs = own.from != own.to;
        uint32_t above = row->before == LG_NO_ROW ? LG_NO_ROW : top[row->before];
        // What only grew in size carries nothing that hangs below.
        bool carries =
            above != LG_NO_ROW && change_of(comparison, above).from != change_of(comparison, above).to;
        if (differs)
            top[i] = carries && goes_with(own, change_of(comparison, row->before)) ? above : i;
        else if (carries)
            top[i] = above;
        else
            top[i] = lg_row_at(row, 0).size != lg_row_at(row, last).size ? i : LG_NO_ROW;
    }
}
