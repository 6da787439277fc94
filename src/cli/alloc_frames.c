// Code addresses in words: what the compiler made of a method is called by the method's own name.
//
//     App.OrderService+<Submit>d__5.MoveNext     async App.OrderService.Submit
//     App.Orders+<All>d__2.MoveNext              iterator App.Orders.All
//     App.Shop+<>c.<Run>b__3_0                   App.Shop.<lambda in Run>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/alloc.h"
#include "collect/names.h"

enum { LABEL_MAX = 1024 };

// "+<Method>d__5" of a type of its own, not of one in its arguments; the last of several.
static const char *find_state_machine(const char *full)
{
    const char *found = NULL, *behind;
    size_t inside;
    int depth = 0;
    for (const char *at = full; *at; at++) {
        bool is_made_up = *at == '<' && at > full && (at[-1] == '+' || at[-1] == '.');
        if (is_made_up && lg_name_inside(at, &inside, &behind)) {
            found = depth == 0 && at[-1] == '+' ? at - 1 : found;
            at = behind - 1;
            continue;
        }
        depth += (*at == '<') - (*at == '>');
    }
    return found;
}

// "Outer+<Method>d__5.MoveNext", of a lambda "+<<Method>b__3_0>d.MoveNext"; the state machine of an
// iterator says whether there is more. Arguments of a generic method are the state machine's.
static bool name_state_machine(const char *full, const char *signature, char *buf, size_t size)
{
    static const char end[] = ".MoveNext";
    size_t len = strlen(full), inside;
    const char *behind, *start = find_state_machine(full);
    if (len < sizeof(end) || strcmp(full + len - sizeof(end) + 1, end) != 0)
        return false;
    if (!start || !lg_name_inside(start + 1, &inside, &behind) || *behind != 'd')
        return false;
    const char *args = behind + 1 + strspn(behind + 1, "_0123456789");
    size_t args_len = (size_t)(full + len - sizeof(end) + 1 - args);
    char raw[2 * LABEL_MAX], method[LABEL_MAX - 16];
    snprintf(raw, sizeof(raw), "%.*s.%.*s%.*s", (int)(start - full), full, (int)inside, start + 2,
             *args == '<' ? (int)args_len : 0, args);
    lg_name_normalise(raw, method, sizeof(method));
    snprintf(buf, size, "%s %s", strstr(signature, "bool") ? "iterator" : "async", method);
    return true;
}

// ---- names in events ----

// Text that is cut to its room.
struct text {
    char *at;
    size_t len, size;
};

static void add(struct text *text, const char *from, size_t len)
{
    size_t room = text->size - text->len - 1;
    len = len < room ? len : room;
    memcpy(text->at + text->len, from, len);
    text->at[text->len += len] = 0;
}

// The next of "A,B[C,D],E]": its length.
static size_t argument_length(const char *at, const char *end)
{
    size_t n = 0;
    for (int depth = 0; at + n < end && (depth > 0 || (at[n] != ',' && at[n] != ']')); n++)
        depth += (at[n] == '[') - (at[n] == ']');
    return n;
}

// Where the arguments of "Ns.Type`1+Inner`2[A,B,C]" begin, past the bracket; `end`: it has none. The
// brackets of arrays have nothing in them.
static const char *find_arguments(const char *name, const char *end)
{
    while (name < end && !(name[0] == '[' && name + 1 < end && !strchr("],*", name[1])))
        name++;
    return name < end ? name + 1 : end;
}

static void add_type(struct text *text, const char *name, size_t len, unsigned depth);

// As many as there are of `count`; `*next` goes on past them.
static void add_arguments(struct text *text, const char **next, const char *end, unsigned count,
                          unsigned depth)
{
    unsigned i = 0;
    for (; i < count && *next < end && **next != ']'; i++) {
        size_t n = argument_length(*next, end);
        add(text, i ? ", " : "<", i ? 2 : 1);
        add_type(text, *next, n, depth + 1);
        *next += n + (*next + n < end && (*next)[n] == ',');
    }
    if (i)
        add(text, ">", 1);
}

// The runtime's own name of a type in words: "Map`2+Entry[System.Int32,X]" is "Map<System.Int32,
// X>+Entry". Each class takes as many of the arguments as it is declared with, the last one all that are
// left: of some nested types the name is without the outer ones.
static void add_type(struct text *text, const char *name, size_t len, unsigned depth)
{
    enum { DEPTH_MAX = 16 };
    const char *end = name + len, *next = depth < DEPTH_MAX ? find_arguments(name, end) : end;
    const char *head_end = next < end ? next - 1 : end,
               *last = memrchr(name, '`', (size_t)(head_end - name));
    for (const char *at = name; at < head_end;) {
        unsigned count = 0;
        bool is_last = at == last;
        if (*at != '`') {
            add(text, at++, 1);
            continue;
        }
        for (at++; at < head_end && *at >= '0' && *at <= '9' && count < 1000; at++)
            count = 10 * count + (unsigned)(*at - '0');
        add_arguments(text, &next, end, is_last ? UINT_MAX : count, depth);
    }
    add_arguments(text, &next, end, UINT_MAX, depth);
    if (next < end) // Brackets of an array of it.
        add(text, next + 1, (size_t)(end - next) - 1);
}

const char *lg_alloc_type_name(struct lg_alloc_names *names, const char *told)
{
    char buf[LABEL_MAX];
    struct text text = { .at = buf, .size = sizeof(buf) };
    buf[0] = 0;
    add_type(&text, told, strlen(told), 0);
    return lg_arena_copy(&names->arena, text.at, text.len);
}

static void name_of_event(const struct lg_code_seen *code, char *buf, size_t size)
{
    struct text text = { .at = buf, .size = size };
    buf[0] = 0;
    add_type(&text, code->type, strlen(code->type), 0);
    if (text.len)
        add(&text, ".", 1);
    add(&text, code->name, strlen(code->name));
}

static const char *method_label(struct lg_alloc_names *names, const struct lg_code_seen *code)
{
    char full[LABEL_MAX], label[LABEL_MAX];
    const char *known = names->clr && code->until == UINT64_MAX
                            ? lg_clr_method_name(names->clr, code->method_desc)
                            : NULL;
    if (known)
        snprintf(full, sizeof(full), "%s", known);
    else
        name_of_event(code, full, sizeof(full));
    if (!name_state_machine(full, code->signature, label, sizeof(label)))
        lg_name_normalise(full, label, sizeof(label));
    return lg_arena_copy(&names->arena, label, strlen(label));
}

static const char *module_label(struct lg_alloc_names *names, const struct lg_code_seen *code)
{
    const struct lg_code_module *module = lg_codes_module(&names->run->codes, code->module);
    const char *path = module ? module->path : NULL;
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path && *path ? path : NULL;
}

// System.Private.CoreLib.dll, System.Linq.dll, Microsoft.AspNetCore.Http.dll
bool lg_alloc_is_system(const char *module)
{
    return module
           && (strncmp(module, "System.", 7) == 0 || strncmp(module, "Microsoft.", 10) == 0
               || strcmp(module, "mscorlib.dll") == 0);
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

// Code of several versions of a method has one name: it is one frame.
static uint32_t find_frame(struct lg_alloc_names *names, const struct lg_alloc_frame *frame)
{
    uint32_t found;
    uint64_t key = lg_hash64(frame->il);
    for (const char *c = frame->method ? frame->method : ""; *c; c++)
        key = lg_hash64(key ^ (uint8_t)*c);
    while (lg_map_get(&names->by_name, key, &found)) {
        const struct lg_alloc_frame *have = &names->frames.at[found];
        if (have->il == frame->il && same_text(have->method, frame->method)
            && same_text(have->module, frame->module) && same_text(have->source.file, frame->source.file)
            && have->source.line == frame->source.line)
            return found;
        key++;
    }
    found = (uint32_t)names->frames.len;
    return lg_vec_push(&names->frames, *frame) && lg_map_put(&names->by_name, key, found) ? found
                                                                                          : UINT32_MAX;
}

static struct lg_source_line find_line(struct lg_alloc_names *names, const struct lg_code_seen *code,
                                       uint32_t il)
{
    const struct lg_code_module *module = lg_codes_module(&names->run->codes, code->module);
    const struct lg_source_module where = { .address = code->until == UINT64_MAX ? code->module : 0,
                                            .path = module ? module->path : NULL,
                                            .guid = module ? module->pdb : NULL };
    if (il == UINT32_MAX)
        return (struct lg_source_line){ .why_not = "the runtime tells no IL offset of it" };
    names->lines.clr = names->clr;
    names->lines.pid = names->run->pid;
    return lg_source_line(&names->lines, &where, code->token, il);
}

const char *lg_alloc_place(const struct lg_alloc_frame *frame, char *buf, size_t size)
{
    buf[0] = '\0';
    if (frame->source.file)
        snprintf(buf, size, "%s:%u", lg_source_file_name(frame->source.file), frame->source.line);
    else if (frame->il != UINT32_MAX)
        snprintf(buf, size, "+IL%u", frame->il);
    return buf;
}

uint32_t lg_alloc_name(struct lg_alloc_names *names, const struct lg_alloc_origin *origin, uint32_t i)
{
    uint64_t ip = names->run->samples.ips.at[origin->stack + i];
    struct lg_codes *codes = &names->run->codes;
    const struct lg_code_seen *code = lg_codes_find(codes, ip, origin->first, origin->last);
    uint32_t il = code ? lg_codes_il(codes, code, ip) : UINT32_MAX, found;
    uint64_t place = code ? lg_hash64(code->start ^ lg_hash64(code->from)) ^ il : 0;
    if (lg_map_get(&names->by_place, place, &found))
        return found;
    struct lg_alloc_frame frame = { .il = il };
    if (code) {
        frame.method = method_label(names, code);
        frame.module = module_label(names, code);
        frame.is_system = lg_alloc_is_system(frame.module);
        frame.source = find_line(names, code, il);
        if (!frame.method)
            return UINT32_MAX;
    }
    found = find_frame(names, &frame);
    return found != UINT32_MAX && lg_map_put(&names->by_place, place, found) ? found : UINT32_MAX;
}

void lg_alloc_names_deinit(struct lg_alloc_names *names)
{
    lg_arena_free(&names->arena);
    lg_source_lines_deinit(&names->lines);
    lg_map_free(&names->by_place);
    lg_map_free(&names->by_name);
    lg_vec_free(&names->frames);
}
