#include "test.h"

#include <inttypes.h>
#include <string.h>

#include "cli/session.h"
#include "collect/holders.h"
#include "support/fake_objects.h"

struct found {
    struct lg_session *session;
    const struct lg_retention *retention;
    struct lg_holders *holders;
};

static void found_deinit(struct found *found)
{
    lg_holders_free(found->holders);
    lg_session_free(found->session);
}

static void find(unsigned flags, struct found *ret)
{
    const struct lg_reach *reach;
    const struct lg_roots *roots;
    ret->session = lg_session_new();
    assert_ok(lg_session_adopt(ret->session, fake_runtime_with_objects(flags)));
    assert_ok(lg_session_retention(ret->session, &ret->retention));
    assert_ok(lg_session_reach(ret->session, &reach));
    assert_ok(lg_session_roots(ret->session, &roots));
    assert_ok(lg_holders_find(reach, roots, ret->retention, &ret->holders));
}

// The route of that line and type that holds anything, or LG_NO_ROUTE.
static uint32_t route_of(const struct found *found, const char *line, const char *type)
{
    struct lg_routes *routes = found->holders->routes;
    for (uint32_t i = 0, text; i < routes->all.len; i++) {
        const struct lg_type *of =
            lg_clr_type_at(lg_session_clr(found->session), routes->all.at[i].type);
        assert_ok(lg_routes_line(routes, i, &text));
        if (found->holders->sums[i].count && strcmp(routes->lines.all.at[text], line) == 0
            && strcmp(lg_clr_type_name(lg_session_clr(found->session), of), type) == 0)
            return i;
    }
    return LG_NO_ROUTE;
}

static void every_live_object_has_one_holder(void **state)
{
    static const unsigned layouts[] = { 0, FAKE_SERVER_GC, FAKE_SEGMENTS_GC };
    for (size_t i = 0; i < sizeof(layouts) / sizeof(*layouts); i++) {
        _cleanup_(found_deinit) struct found found = { 0 };
        find(layouts[i], &found);
        uint64_t count = 0, size = 0;
        for (size_t r = 0; r < found.holders->routes->all.len; r++) {
            count += found.holders->sums[r].count;
            size += found.holders->sums[r].size;
        }
        assert_true(count == found.retention->live_count && size == found.retention->live_size);
        assert_true(count > 2 * FO_TURNS);
    }
}

// Node -> Object[] -> Node -> …: a list of two kinds, however long, is two steps.
static void a_chain_leads_back_to_its_first_steps(void **state)
{
    _cleanup_(found_deinit) struct found found = { 0 };
    find(0, &found);
    const struct lg_routes *routes = found.holders->routes;
    uint32_t root = route_of(&found, "static App.Node.s_root", "App.Node");
    assert_int_not_equal(root, LG_NO_ROUTE);
    assert_int_equal(found.holders->sums[root].count, 1);
    uint32_t below[2] = { 0 }, repeating = 0;
    for (uint32_t i = 0; i < routes->all.len; i++) {
        uint32_t at = i;
        while (routes->all.at[at].before != LG_NO_ROUTE)
            at = routes->all.at[at].before;
        below[at == root] += at == root;
        repeating += at == root && routes->all.at[i].repeats;
    }
    assert_in_range(below[1], 3, FO_TURNS - 1); // Not one for each turn.
    assert_true(repeating > 0);
}

static void the_same_heap_has_the_same_holders(void **state)
{
    _cleanup_(found_deinit) struct found one = { 0 };
    _cleanup_(found_deinit) struct found other = { 0 };
    find(0, &one);
    find(0, &other);
    size_t count = one.holders->routes->all.len;
    assert_int_equal(count, other.holders->routes->all.len);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t a, b;
        assert_ok(lg_routes_line(one.holders->routes, i, &a));
        assert_ok(lg_routes_line(other.holders->routes, i, &b));
        assert_string_equal(one.holders->routes->lines.all.at[a],
                            other.holders->routes->lines.all.at[b]);
        assert_memory_equal(&one.holders->sums[i], &other.holders->sums[i], sizeof(*one.holders->sums));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_live_object_has_one_holder),
        cmocka_unit_test(a_chain_leads_back_to_its_first_steps),
        cmocka_unit_test(the_same_heap_has_the_same_holders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
