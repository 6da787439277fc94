// What compilers make up, in words that survive a recompilation.
#include "collect/names.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

struct pair {
    const char *raw, *normalised;
};

static const struct pair names[] = {
    // members
    { "<Foo>k__BackingField", "Foo" },
    { "<x>5__2", "x" },
    { "<>u__1", "<temp>" },
    { "<>s__3", "<temp>" },
    { "<>7__wrap1", "<temp>" },
    { "<>1__state", "<state>" },
    { "<>4__this", "this" },
    { "<>3__count", "count" },
    { "CS$<>8__locals1", "<closure>" },
    { "<name>P", "name" },
    { "[3].<X>k__BackingField._lock", "[3].X._lock" },
    { "StateMachine.<order>5__2", "StateMachine.order" },
    { "_entries", "_entries" },
    // types
    { "App.Svc+<>c__DisplayClass12_3", "App.Svc+<closure>" },
    { "App.Svc+<>c__DisplayClass12_3<System.Int32>", "App.Svc+<closure><System.Int32>" },
    { "App.Svc+<Foo>d__7", "App.Svc+<Foo>" },
    { "App.Svc+<>c", "App.Svc+<static lambda>" },
    { "App.Svc+<>c.<>9__5_0", "App.Svc+<static lambda>" },
    { "App.Svc+<>c.<>9", "App.Svc+<static lambda>" },
    { "App.Svc+<>O.<0>__Run", "App.Svc+<static lambda>.Run" },
    { "App.Svc+<>c__DisplayClass0_0+<<Run>b__0>d", "App.Svc+<lambda in Run>" },
    { "System.Func<App.Svc+<Foo>d__7, System.Int32>", "System.Func<App.Svc+<Foo>, System.Int32>" },
    { "<>f__AnonymousType0<System.String>", "<anonymous type><System.String>" },
    { "System.Collections.Generic.Dictionary<System.String, App.Order>+Entry[]",
      "System.Collections.Generic.Dictionary<System.String, App.Order>+Entry[]" },
    { "<Module>", "<Module>" },
    // methods
    { "App.Svc+<>c__DisplayClass3_0.<Foo>b__1", "App.Svc.<lambda in Foo>" },
    { "App.Svc+<>c.<Foo>b__3_1", "App.Svc.<lambda in Foo>" },
    { "App.Svc.<Foo>b__3_1", "App.Svc.<lambda in Foo>" },
    { "App.Svc.<Foo>g__Local|3_1", "App.Svc.<Local in Foo>" },
    { "Program.<Main>$", "Program.Main" },
    { "Program.<<Main>$>g__Work|0_0", "Program.<Work in Main>" },
    // counted
    { "Castle.Proxies.Proxy_1842", "Castle.Proxies.Proxy_#" },
    { "_Module123", "_Module#" },
    { "System.Runtime.Intrinsics.Vector128", "System.Runtime.Intrinsics.Vector128" },
    { "App.Order_2", "App.Order_2" },
    { "_sha256", "_sha256" },
    // none
    { "", "" },
    { "<", "<" },
    { "<<<", "<<<" },
    { "+<>", "+<>" },
    { "a.<b", "a.<b" },
    { "CS$<", "CS$<" },
};

static void names_are_normalised(void **state)
{
    (void)state;
    char buf[256];
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        lg_name_normalise(names[i].raw, buf, sizeof(buf));
        assert_string_equal(buf, names[i].normalised);
        lg_name_normalise(names[i].normalised, buf, sizeof(buf)); // Words stay what they are.
        if (!strchr(names[i].normalised, '<'))
            assert_string_equal(buf, names[i].normalised);
    }
}

static void async_methods_are_named(void **state)
{
    (void)state;
    static const struct pair types[] = {
        { "System.Runtime.CompilerServices.AsyncTaskMethodBuilder<System.Int32>+AsyncStateMachineBox<"
          "App.Svc+<Foo>d__7>",
          "async App.Svc.Foo" },
        { "X+AsyncStateMachineBox<App.Svc+<>c__DisplayClass0_0+<<Run>b__0>d>",
          "async App.Svc.<lambda in Run>" },
        { "X+AsyncStateMachineBox<App.Machine>", "async App.Machine" },
        { "X+AsyncStateMachineBox<App.Svc<System.Int32>+<Foo>d__7<System.String>>",
          "async App.Svc<System.Int32>.Foo<System.String>" },
        { "App.StateMachineBox", "App.StateMachineBox" },
        { "StateMachineBox<", "StateMachineBox<" },
        { "StateMachineBox<>", "StateMachineBox<>" },
        { "App.Order", "App.Order" },
    };
    char buf[256];
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        lg_name_type(types[i].raw, buf, sizeof(buf));
        assert_string_equal(buf, types[i].normalised);
    }
}

// Whatever bytes there are: within the buffer, with an end.
static void any_bytes_end_within_the_buffer(void **state)
{
    (void)state;
    static const char letters[] = "<>ac_9.+$|[] b5k";
    uint32_t seed = 1;
    for (int turn = 0; turn < 20000; turn++) {
        char raw[64], buf[48];
        memset(buf, 'x', sizeof(buf));
        size_t len = (seed = seed * 1664525 + 1013904223) >> 27;
        for (size_t i = 0; i < len; i++)
            raw[i] = letters[(seed = seed * 1664525 + 1013904223) >> 28];
        raw[len] = 0;
        size_t size = 1 + (size_t)turn % 40;
        lg_name_normalise(raw, buf, size);
        assert_true(strlen(buf) < size);
        assert_int_equal(buf[size], 'x');
        lg_name_type(raw, buf, size);
        assert_true(strlen(buf) < size);
        assert_int_equal(buf[size], 'x');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_normalised),
        cmocka_unit_test(async_methods_are_named),
        cmocka_unit_test(any_bytes_end_within_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
