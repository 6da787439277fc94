// Methods where the descriptor does not tell of them: the DAC's names, and stubs that lead to a
// MethodDesc.
//
//     ff 25 disp32       jmp [x]         FixupPrecode of .NET 7 to 9: x { target, MethodDesc }
//     4c 8b 15 disp32    mov r10, [x]    StubPrecode of these:        x { MethodDesc, target }
//     49 ba imm64        mov r10, imm    StubPrecode before:          the MethodDesc
//     e9 disp32          jmp             on to the code
//
// What a stub has is believed if the DAC knows a method table of it.
#include <string.h>

#include "clr/sources.h"
#include "clr/told.h"

enum { JUMPS_MAX = 4, STUB = 16 };

static uint64_t displaced(uint64_t code, const uint8_t *bytes, unsigned at)
{
    int32_t displacement;
    memcpy(&displacement, bytes + at, sizeof(displacement));
    return code + at + 4 + (uint64_t)(int64_t)displacement;
}

// The MethodDesc that a stub has, or 0; `*code` goes on to where a jump leads.
static uint64_t stub_method(struct lg_clr *clr, uint64_t *code)
{
    uint8_t bytes[STUB];
    uint64_t method = 0;
    if (!lg_target_read_all(clr->target, *code, bytes, sizeof(bytes)))
        return 0;
    if (bytes[0] == 0xff && bytes[1] == 0x25)
        lg_target_u64(clr->target, displaced(*code, bytes, 2) + 8, &method);
    else if (bytes[0] == 0x4c && bytes[1] == 0x8b && bytes[2] == 0x15)
        lg_target_u64(clr->target, displaced(*code, bytes, 3), &method);
    else if (bytes[0] == 0x49 && bytes[1] == 0xba)
        memcpy(&method, bytes + 2, sizeof(method));
    else if (bytes[0] == 0xe9)
        *code = displaced(*code, bytes, 1);
    return method;
}

static bool is_method(struct lg_clr *clr, struct lg_dac *dac, uint64_t method)
{
    uint64_t mt = method && !(method & 7) ? lg_dac_method_table(dac, method) : 0;
    struct lg_mt m;
    return mt && lg_mt_read_head(clr, mt, &m);
}

uint64_t lg_told_method_from_code(struct lg_clr *clr, uint64_t code)
{
    struct lg_dac *dac = lg_told_begin(clr);
    uint64_t method = 0;
    for (unsigned i = 0; dac && i < JUMPS_MAX && !method; i++) {
        uint64_t at = code;
        struct lg_error *err = lg_dac_method_from_ip(dac, code, &method);
        if (err)
            method = stub_method(clr, &code);
        lg_error_free(err);
        if (!is_method(clr, dac, method))
            method = 0;
        if (code == at)
            break;
    }
    lg_told_end(clr);
    return method;
}

// "<C, List<E>>" of "[[C, D],[List`1[[E, F]], G]]": without the assemblies. No longer than that.
static void add_arguments(struct lg_text *text, const char *at, const char *end)
{
    while (at < end) {
        if (at[0] == '[' && at + 1 < end && at[1] == '[') {
            lg_text_add(text, "<");
            at += 2;
        } else if (at[0] == '[') { // an array
            const char *close = memchr(at, ']', (size_t)(end - at));
            lg_text_add_len(text, at, close ? (size_t)(close + 1 - at) : 1);
            at = close ? close + 1 : at + 1;
        } else if (at[0] == ',' || at[0] == ']') { // ", Assembly]", and what comes behind
            const char *close = memchr(at, ']', (size_t)(end - at));
            bool has_more = close && close + 2 < end && close[1] == ',';
            lg_text_add(text, has_more ? ", " : ">");
            at = close ? close + (has_more ? 3 : 2) : end;
        } else if (at[0] == '`') {
            for (at++; at < end && *at >= '0' && *at <= '9';)
                at++;
        } else {
            lg_text_add_len(text, at++, 1);
        }
    }
}

// Where the method's own name begins and ends in "Ns.Type`1[[A, B]].Method[[C, D]](Params)", and where
// its arguments do.
static bool own_name(const char *name, const char **ret, size_t *len_ret, const char **args_end_ret)
{
    const char *start = NULL, *end = NULL, *args = NULL;
    unsigned depth = 0;
    for (const char *p = name; *p && !end; p++) {
        if (*p == '[' && depth++ == 0)
            args = p;
        depth -= *p == ']' && depth > 0;
        if (depth > 0)
            continue;
        if (*p == '(')
            end = p;
        else if (*p == '.' && p[1] != '(' && (p == name || p[-1] != '.')) { // Not the dot of ".ctor".
            start = p + 1;
            args = NULL;
        }
    }
    *args_end_ret = end ? end : name + strlen(name);
    end = args ? args : *args_end_ret;
    *ret = start;
    *len_ret = start ? (size_t)(end - start) : 0;
    return *len_ret > 0;
}

const char *lg_told_method_name(struct lg_clr *clr, uint64_t method)
{
    _cleanup_free_ char *name = NULL;
    const char *own, *args_end;
    size_t len;
    struct lg_dac *dac = lg_told_begin(clr);
    struct lg_error *err = dac ? lg_dac_method_name(dac, method, &name) : NULL;
    uint64_t mt = !err && name ? lg_dac_method_table(dac, method) : 0;
    lg_told_end(clr);
    lg_error_free(err);
    if (!mt || !own_name(name, &own, &len, &args_end))
        return NULL;
    struct lg_text text = { 0 };
    lg_text_add(&text, lg_clr_handle_name(clr, mt));
    lg_text_add(&text, ".");
    lg_text_add_len(&text, own, len);
    add_arguments(&text, own + len, args_end);
    const char *ret = text.at ? lg_arena_copy(lg_type_arena(clr), text.at, text.len) : NULL;
    lg_text_deinit(&text);
    return ret;
}
