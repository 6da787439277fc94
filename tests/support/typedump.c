// Prints what linger knows of a target's types, one record a line, tab-separated, for comparison with
// another reader:
//
//     typedump TARGET [data]
//
//     module  address name path dynamic|- collectible|-
//     type    mt name                                                  every type with an object
//     field   mt name declaring-type token offset element type type-mt instance|static|thread|rva
//     address
//     static  slot declaring-mt declaring-type field token element thread object
//     root    slot object thread
//     data    declaring-type field element address bytes     with `data`: statics outside the GC heap,
//     16 bytes there time    what milliseconds
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clr/types_priv.h"

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); // Other work on the machine does not count.
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int fail(struct lg_error *err)
{
    fprintf(stderr, "typedump: %s\n", lg_error_message(err));
    lg_error_free(err);
    return 3;
}

// Where the object at `address` would really begin: behind the unused rest of an allocation context.
static uint64_t skip_contexts(struct lg_clr *clr, uint64_t address)
{
    size_t count;
    const struct lg_alloc_context *contexts = lg_clr_alloc_contexts(clr, &count);
    for (size_t i = 0; i < count; i++) {
        if (contexts[i].ptr == address)
            return contexts[i].limit + 24;
    }
    return address;
}

static uint64_t size_of(struct lg_target *target, const struct lg_type *type, uint64_t object)
{
    uint32_t count = 0;
    if (type->component_size)
        lg_target_u32(target, object + 8, &count);
    return (type->base_size + (uint64_t)count * type->component_size + 7) & ~UINT64_C(7);
}

static void walk(struct lg_clr *clr)
{
    struct lg_target *target = lg_clr_target(clr);
    size_t count;
    const struct lg_segment *segments = lg_clr_segments(clr, &count);
    for (size_t i = 0; i < count; i++) {
        for (uint64_t at = segments[i].start; at + 24 <= segments[i].end;) {
            uint64_t mt, skipped = skip_contexts(clr, at);
            if (skipped != at) {
                at = skipped;
                continue;
            }
            lg_target_u64(target, at, &mt);
            const struct lg_type *type = lg_clr_type(clr, mt & lg_clr_info(clr)->mt_mask);
            uint64_t size = type ? size_of(target, type, at) : 0;
            if (size < 24) {
                printf("bad\t%" PRIx64 "\t%" PRIx64 "\n", at, mt);
                break;
            }
            at += size;
        }
    }
}

static void print_error(const char *what, struct lg_error *err)
{
    printf("error\t%s\t%s\n", what, lg_error_message(err));
    lg_error_free(err);
}

static void print_fields(struct lg_clr *clr, const struct lg_type *type)
{
    const struct lg_field *f;
    size_t count;
    struct lg_error *err = lg_clr_fields(clr, type, &f, &count);
    if (err) {
        print_error(lg_clr_type_name(clr, type), err);
        return;
    }
    for (size_t i = 0; i < count; i++)
        printf("field\t%" PRIx64 "\t%s\t%s\t%08x\t%u\t%u\t%s\t%" PRIx64 "\t%s\t%" PRIx64 "\n", type->mt,
               f[i].name, lg_clr_handle_name(clr, f[i].declaring_mt), f[i].token, f[i].offset,
               f[i].element, f[i].type_name ? f[i].type_name : "-", f[i].type_mt,
               f[i].is_thread_static ? "thread"
               : f[i].is_rva         ? "rva"
               : f[i].is_static      ? "static"
                                     : "instance",
               f[i].address);
}

static void print_types(struct lg_clr *clr)
{
    walk(clr);
    uint32_t n = lg_clr_type_count(clr);
    double start = now_ms();
    for (uint32_t i = 0; i < n; i++)
        lg_clr_type_name(clr, lg_clr_type_at(clr, i));
    printf("time\tnames of %u types\t%.2f\n", n, now_ms() - start);
    for (uint32_t i = 0; i < n; i++) {
        const struct lg_type *type = lg_clr_type_at(clr, i);
        printf("type\t%" PRIx64 "\t%s\n", type->mt, lg_clr_type_name(clr, type));
    }
    start = now_ms();
    for (uint32_t i = 0; i < n; i++) {
        const struct lg_field *fields;
        size_t count;
        lg_error_free(lg_clr_fields(clr, lg_clr_type_at(clr, i), &fields, &count));
    }
    printf("time\tfields of %u types\t%.2f\n", n, now_ms() - start);
    for (uint32_t i = 0; i < n; i++)
        print_fields(clr, lg_clr_type_at(clr, i));
}

static struct lg_error *print_statics(struct lg_clr *clr)
{
    const struct lg_static *statics;
    const struct lg_thread_root *roots;
    size_t count;
    double start = now_ms();
    struct lg_error *err = lg_clr_statics(clr, &statics, &count);
    if (err)
        return err;
    printf("time\t%zu statics\t%.2f\n", count, now_ms() - start);
    for (size_t i = 0; i < count; i++) {
        uint64_t object = 0;
        lg_target_u64(lg_clr_target(clr), statics[i].slot, &object);
        printf("static\t%" PRIx64 "\t%" PRIx64 "\t%s\t%s\t%08x\t%u\t%u\t%" PRIx64 "\n", statics[i].slot,
               statics[i].mt, lg_clr_handle_name(clr, statics[i].mt), statics[i].field, statics[i].token,
               statics[i].element, statics[i].thread ? statics[i].thread->id : 0, object);
    }
    err = lg_clr_thread_roots(clr, &roots, &count);
    for (size_t i = 0; !err && i < count; i++)
        printf("root\t%" PRIx64 "\t%" PRIx64 "\t%u\n", roots[i].slot, roots[i].object,
               roots[i].thread ? roots[i].thread->id : 0);
    return err;
}

// Statics of primitive types lie outside the GC heap.
static void print_data_of(struct lg_clr *clr, const struct lg_type *type)
{
    const struct lg_field *f;
    size_t count;
    struct lg_error *err = lg_clr_fields(clr, type, &f, &count); // Some types' cannot be told.
    for (size_t i = 0; !err && i < count; i++) {
        uint8_t bytes[16] = { 0 };
        bool is_data = f[i].is_static && !f[i].is_thread_static && lg_element_size(f[i].element)
                       && !lg_element_is_reference(f[i].element);
        if (!is_data || f[i].declaring_mt != type->mt)
            continue;
        lg_target_read(lg_clr_target(clr), f[i].address, bytes, sizeof(bytes));
        printf("data\t%s\t%s\t%u\t%" PRIx64 "\t", lg_clr_type_name(clr, type), f[i].name, f[i].element,
               f[i].address);
        for (size_t b = 0; b < sizeof(bytes); b++)
            printf("%02x", bytes[b]);
        putchar('\n');
    }
    lg_error_free(err);
}

// A method table that was asked for is known from then on.
static void ask_for(void *clr, uint32_t rid, uint64_t handle)
{
    lg_clr_type(clr, handle);
}

static struct lg_error *print_data(struct lg_clr *clr)
{
    const struct lg_module *const *modules;
    size_t count;
    struct lg_error *err = lg_clr_modules(clr, &modules, &count);
    for (size_t i = 0; i < count && !err; i++) {
        lg_module_types(clr, modules[i]->address, ask_for, clr);
        lg_module_instantiations(clr, modules[i]->address, ask_for, clr);
    }
    uint32_t n = lg_clr_type_count(clr);
    for (uint32_t i = 0; i < n && !err; i++)
        print_data_of(clr, lg_clr_type_at(clr, i));
    return err;
}

static struct lg_error *print_modules(struct lg_clr *clr)
{
    const struct lg_module *const *modules;
    size_t count;
    struct lg_error *err = lg_clr_modules(clr, &modules, &count);
    for (size_t i = 0; !err && i < count; i++)
        printf("module\t%" PRIx64 "\t%s\t%s\t%s\t%s\n", modules[i]->address, modules[i]->name,
               modules[i]->path, modules[i]->is_dynamic ? "dynamic" : "-",
               modules[i]->is_collectible ? "collectible" : "-");
    return err;
}

// A delegate's target method: the pairs of System.Delegate._methodPtr and the name found.
static void print_method(struct lg_clr *clr, const char *code)
{
    uint64_t md = lg_clr_method_from_code(clr, strtoull(code, NULL, 16));
    const char *name = md ? lg_clr_method_name(clr, md) : NULL;
    printf("method\t%s\t%" PRIx64 "\t%s\n", code, md, name ? name : "-");
}

static struct lg_error *print_all(struct lg_clr *clr)
{
    struct lg_error *err = print_modules(clr);
    if (err)
        return err;
    print_types(clr);
    return print_statics(clr);
}

int main(int argc, char **argv)
{
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    if (argc < 2)
        return fprintf(stderr, "usage: typedump TARGET [data | CODE-ADDRESS...]\n"), 2;
    bool data = argc == 3 && strcmp(argv[2], "data") == 0;
    struct lg_error *err = lg_target_open(argv[1], &(struct lg_target_options){ 0 }, &target);
    if (!err)
        err = lg_clr_open(
            target,
            &(struct lg_clr_options){ .without_descriptor = getenv("WITHOUT_DESCRIPTOR") != NULL },
            &clr);
    for (int i = 2; !err && !data && i < argc; i++)
        print_method(clr, argv[i]);
    if (!err && (argc == 2 || data))
        err = print_all(clr);
    if (!err && data)
        err = print_data(clr);
    return err ? fail(err) : 0;
}
