// What a runtime's events call types and methods, in words.
#include "cli/alloc.h"
#include "test.h"

#include <string.h>

struct method {
    const char *type, *name, *signature, *words;
};

static const struct method methods[] = {
    { "App.Shop", "Run", "void ()", "App.Shop.Run" },
    { "App.Shop", ".ctor", "instance void ()", "App.Shop..ctor" },
    { "App.Repo`1[System.Int32]", "get_Prop", "", "App.Repo<System.Int32>.get_Prop" },
    { "Repo`1+Inner`1[System.__Canon,System.Int32]", "Go", "",
      "Repo<System.__Canon>+Inner<System.Int32>.Go" },
    { "App.Svc+<Submit>d__5", "MoveNext", "instance void ()", "async App.Svc.Submit" },
    { "Repo`1+<Load>d__1`1[System.Int32,System.__Canon]", "MoveNext", "instance void ()",
      "async Repo<System.Int32>.Load<System.__Canon>" },
    { "App.Svc+<All>d__2", "MoveNext", "instance bool ()", "iterator App.Svc.All" },
    { "App.Svc+<>c+<<Run>b__5_0>d", "MoveNext", "instance void ()", "async App.Svc.<lambda in Run>" },
    { "App.Svc+<>c", "<Run>b__3_0", "", "App.Svc.<lambda in Run>" },
    { "App.Svc", "<Run>g__Local|3_1", "", "App.Svc.<Local in Run>" },
    // A state machine among the arguments is none itself.
    { "Builder`1+Box`1[System.__Canon,App.Svc+<Submit>d__5]", "MoveNext", "instance void ()",
      "Builder<System.__Canon>+Box<App.Svc+<Submit>>.MoveNext" },
    { "", "IL_STUB_PInvoke", "", "IL_STUB_PInvoke" },
};

static void methods_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
        struct lg_alloc_run run = { 0 };
        const struct lg_code_seen code = { .start = 0x1000,
                                           .size = 0x100,
                                           .until = UINT64_MAX,
                                           .type = methods[i].type,
                                           .name = methods[i].name,
                                           .signature = methods[i].signature };
        const struct lg_alloc_origin origin = { .stack_count = 1, .first = 1, .last = 2 };
        struct lg_alloc_names names = { .run = &run };
        assert_true(lg_vec_push(&run.codes.all, code));
        assert_true(lg_vec_push(&run.samples.ips, UINT64_C(0x1010)));
        uint32_t at = lg_alloc_name(&names, &origin, 0);
        assert_int_equal(at, 0);
        assert_string_equal(names.frames.at[0].method, methods[i].words);
        lg_alloc_names_deinit(&names);
        lg_alloc_run_deinit(&run);
    }
}

static const char *const types[][2] = {
    { "System.String", "System.String" },
    { "System.Byte[]", "System.Byte[]" },
    { "System.Int32[,]", "System.Int32[,]" },
    { "System.Collections.Generic.List`1[System.Object]",
      "System.Collections.Generic.List<System.Object>" },
    { "System.Collections.Generic.List`1[System.Byte[]][]",
      "System.Collections.Generic.List<System.Byte[]>[]" },
    { "Map`2+Entry[System.Int32,List`1[A]]", "Map<System.Int32, List<A>>+Entry" },
    { "<Stream>d__4[System.Int32]", "<Stream>d__4<System.Int32>" },
    { "Inner`1[A,B]", "Inner<A, B>" }, // Of a generic class: the event leaves that out.
    { "Cut`2[A", "Cut<A>" },
    { "Cut`1[", "Cut[" },
    { "`", "" },
};

static void types_are_named(void **state)
{
    (void)state;
    struct lg_alloc_names names = { 0 };
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        assert_string_equal(lg_alloc_type_name(&names, types[i][0]), types[i][1]);
    lg_alloc_names_deinit(&names);
}

static void any_bytes_are_a_name_of_some_kind(void **state)
{
    (void)state;
    static const char letters[] = "`[]1+<>A,2.d_b[]";
    uint32_t seed = 1;
    struct lg_alloc_names names = { 0 };
    for (int turn = 0; turn < 20000; turn++) {
        char raw[64];
        size_t len = (seed = seed * 1664525 + 1013904223) >> 27;
        for (size_t i = 0; i < len; i++)
            raw[i] = letters[(seed = seed * 1664525 + 1013904223) >> 28];
        raw[len] = 0;
        assert_true(strlen(lg_alloc_type_name(&names, raw)) <= 3 * len);
    }
    lg_alloc_names_deinit(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_are_named),
        cmocka_unit_test(types_are_named),
        cmocka_unit_test(any_bytes_are_a_name_of_some_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
