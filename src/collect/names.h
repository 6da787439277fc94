// Names that survive a recompilation and a new version: what compilers make up, in words.
//
//     <Foo>k__BackingField                Foo                property
//     App.Svc+<>c__DisplayClass12_3       App.Svc+<closure>  variables that lambdas have captured
//     App.Svc+<>c.<>9__5_0                App.Svc+<static lambda>
//     App.Svc+<Foo>d__7                   App.Svc+<Foo>      state machine of an async method or
//     iterator <x>5__2                             x                  local of one
//     <>u__1 <>s__3 <>7__wrap1            <temp>
//     App.Svc+<>c__DisplayClass3_0.<Foo>b__1                 App.Svc.<lambda in Foo>
//     App.Svc.<Foo>g__Local|3_1           App.Svc.<Local in Foo>
//     Proxy_1842, _Module123              Proxy_#, _Module#
//
// Only names change: arguments of generic types stay, in the same way. (Roslyn's GeneratedNameKind,
// dotnet/roslyn src/Compilers/CSharp/Portable/Symbols/Synthesized/GeneratedNameKind.cs.)
#ifndef LG_COLLECT_NAMES_H
#define LG_COLLECT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

// `raw`: a type, a member, a method, or a label ("[3].<X>k__BackingField._lock"). Cut to `size`.
void lg_name_normalise(const char *raw, char *buf, size_t size);

// The same of a type, and what the runtime makes of an async method is named by that:
// "System.Runtime.CompilerServices.AsyncTaskMethodBuilder<...>+AsyncStateMachineBox<App.Svc+<Foo>d__7>"
// is "async App.Svc.Foo".
void lg_name_type(const char *raw, char *buf, size_t size);
// The state machine in that; NULL: it is no such type. Its length.
const char *lg_name_state_machine(const char *raw, size_t *len_ret);

// The method that a type was made of: of "App.Svc+<Foo>d__7" "App.Svc.Foo", of a lambda's
// "App.Svc.<lambda in Foo>". False: of none.
bool lg_name_method(const char *raw, char *buf, size_t size);

// What stands between `<` and its `>`: "<<Main>$>b__0" has "<Main>$". Returns its length, and where it
// goes on behind; false if `name` is no such name.
bool lg_name_inside(const char *name, size_t *len_ret, const char **behind_ret);

#endif
