// Prints what a target's DAC says about its runtime, one record a line, tab-separated:
//
//     dacdump TARGET [CODE-ADDRESS...]
//
// Each record starts with who says it, `dac` or `clr`: where both can read the target, what they say of
// the same thing are two lines that differ in the first column only (tests/e2e/test_dac_facts.py).
//
//     known    free string object object[]
//     domain   address name
//     gc       server|workstation valid|- heaps datas
//     heap     address alloc-allocated ephemeral-segment fill-pointers...
//     segment  start address end committed reserved flags
//     context  pointer limit
//     counts   threads unstarted background pending dead
//     thread   address id os-id state cooperative|- pointer limit last-thrown
//     module   address assembly loader-allocator image-base image-size dynamic|- path
//     loaded   module token mt
//     type     mt module ee-class parent base-size component-size token references|- collectible|-
//     name     mt name
//     field    mt token offset element instance|static|thread type-mt address type-of-what-is-there
//     mine     mt token thread address type-of-what-is-there                    thread statics
//     native   start size kind                                             blocks of loader and code
//     heaps time     what count milliseconds
#include "support/dacdump.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clr/runtime_image.h"
#include "heap/heap.h"
#include "util/error.h"

double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int fail(struct lg_error *err)
{
    fprintf(stderr, "dacdump: %s\n", lg_error_message(err));
    lg_error_free(err);
    return 3;
}

bool told(struct lg_error *err)
{
    if (!err)
        return true;
    if (lg_error_kind(err) != LG_ERR_NOT_FOUND)
        exit(fail(err));
    if (getenv("DACDUMP_WHY"))
        fprintf(stderr, "dacdump: %s\n", lg_error_message(err));
    lg_error_free(err);
    return false;
}

void add_type(struct dump *d, uint64_t mt)
{
    uint32_t index;
    if (lg_map_get(&d->seen, mt, &index))
        return;
    if (!lg_map_put(&d->seen, mt, 0) || !lg_vec_push(&d->types, mt))
        exit(fail(&lg_no_memory));
}

const char *yes(bool is_so, const char *name)
{
    return is_so ? name : "-";
}

static void print_known(struct dump *d)
{
    struct lg_dac_well_known known;
    if (told(lg_dac_well_known_read(d->dac, &known)))
        printf("dac\tknown\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\n", known.free_mt,
               known.string_mt, known.object_mt, known.array_mt);
    if (!d->clr)
        return;
    const struct lg_clr_info *info = lg_clr_info(d->clr);
    printf("clr\tknown\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\n", info->free_mt,
           info->string_mt, info->object_mt, info->object_array_mt);
}

// ---- types ----

static void print_type(const char *who, const struct lg_dac_type *t)
{
    printf("%s\ttype\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%u\t%u\t%08x\t%s\t%s\n", who,
           t->mt, t->module, t->ee_class, t->parent_mt, t->base_size, t->component_size, t->token,
           yes(t->has_references, "references"), yes(t->is_collectible, "collectible"));
}

static void print_types(struct dump *d)
{
    for (size_t i = 0; i < d->types.len; i++) {
        struct lg_dac_type type;
        if (told(lg_dac_type_read(d->dac, d->types.at[i], &type)))
            print_type("dac", &type);
        const struct lg_type *t = d->clr ? lg_clr_type(d->clr, d->types.at[i]) : NULL;
        if (!t)
            continue;
        struct lg_dac_type same = { .mt = t->mt,
                                    .module = t->module,
                                    .ee_class = t->ee_class,
                                    .parent_mt = t->parent_mt,
                                    .base_size = t->base_size,
                                    .component_size = t->component_size,
                                    .token = t->token,
                                    .has_references = t->flags & LG_TYPE_REFERENCES,
                                    .is_collectible = t->flags & LG_TYPE_COLLECTIBLE };
        print_type("clr", &same);
    }
}

static void print_names(struct dump *d)
{
    for (size_t i = 0; i < d->types.len; i++) {
        _cleanup_free_ char *name = NULL;
        if (told(lg_dac_type_name(d->dac, d->types.at[i], &name)))
            printf("dac\tname\t%" PRIx64 "\t%s\n", d->types.at[i], name);
        const struct lg_type *t = d->clr ? lg_clr_type(d->clr, d->types.at[i]) : NULL;
        if (t)
            printf("clr\tname\t%" PRIx64 "\t%s\n", t->mt, lg_clr_type_name(d->clr, t));
    }
}

// ---- fields ----

static bool is_boxed(unsigned element)
{
    return element == LG_ELEM_VALUETYPE || lg_element_is_reference(element);
}

// Of the object that the word at `address` refers to; 0: it refers to none.
static uint64_t type_there(struct dump *d, unsigned element, uint64_t address)
{
    uint64_t object, mt = 0;
    if (address && is_boxed(element) && lg_target_u64(d->target, address, &object) && object)
        lg_target_u64(d->target, object, &mt);
    return mt;
}

static void print_field(struct dump *d, const char *who, uint64_t mt, const struct lg_dac_field *f,
                        const char *kind, uint64_t address)
{
    printf("%s\tfield\t%" PRIx64 "\t%08x\t%x\t%u\t%s\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\n", who, mt,
           f->token, f->offset, f->element, kind, f->type_mt, address,
           type_there(d, f->element, address));
}

static void print_mine(struct dump *d, const char *who, uint64_t mt, uint32_t token, unsigned element,
                       uint64_t thread, uint64_t address)
{
    printf("%s\tmine\t%" PRIx64 "\t%08x\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\n", who, mt, token,
           thread, address, type_there(d, element, address));
}

static uint64_t address_of(const struct lg_dac_field *f, const struct lg_dac_statics *statics)
{
    uint64_t base = is_boxed(f->element) ? statics->gc : statics->non_gc;
    return base ? base + f->offset : 0;
}

static void print_thread_statics(struct dump *d, const struct lg_dac_type *type,
                                 const struct lg_dac_fields *fields)
{
    for (size_t t = 0; t < d->threads.list.len; t++) {
        uint64_t thread = d->threads.list.at[t].address;
        struct lg_dac_statics statics;
        if (!told(lg_dac_thread_statics_read(d->dac, type, thread, &statics)))
            continue;
        for (size_t i = 0; i < fields->len; i++) {
            const struct lg_dac_field *f = &fields->at[i];
            if (f->is_thread_static && address_of(f, &statics) && is_boxed(f->element))
                print_mine(d, "dac", type->mt, f->token, f->element, thread, address_of(f, &statics));
        }
    }
}

static void print_dac_fields(struct dump *d, uint64_t mt)
{
    _cleanup_(lg_dac_fields_deinit) struct lg_dac_fields fields = { .at = NULL };
    struct lg_dac_type type;
    if (!told(lg_dac_type_read(d->dac, mt, &type)) || !told(lg_dac_fields_read(d->dac, &type, &fields)))
        return;
    struct lg_dac_statics statics = { 0 };
    bool has = type.static_fields > 0 && told(lg_dac_statics_read(d->dac, &type, &statics));
    for (size_t i = 0; i < fields.len; i++) {
        const struct lg_dac_field *f = &fields.at[i];
        const char *kind = f->is_thread_static ? "thread" : f->is_static ? "static" : "instance";
        bool is_there = has && f->is_static && !f->is_thread_static;
        print_field(d, "dac", mt, f, kind, is_there ? address_of(f, &statics) : 0);
    }
    if (type.thread_static_fields > 0)
        print_thread_statics(d, &type, &fields);
}

static void print_clr_fields(struct dump *d, uint64_t mt)
{
    const struct lg_type *type = lg_clr_type(d->clr, mt);
    const struct lg_field *f;
    size_t count = 0;
    struct lg_error *err = type ? lg_clr_fields(d->clr, type, &f, &count) : NULL;
    for (size_t i = 0; !err && i < count; i++) {
        struct lg_dac_field same = {
            .token = f[i].token, .offset = f[i].offset, .element = f[i].element, .type_mt = f[i].type_mt
        };
        const char *kind = f[i].is_thread_static ? "thread"
                           : f[i].is_rva         ? "rva"
                           : f[i].is_static      ? "static"
                                                 : "instance";
        if (f[i].declaring_mt == mt)
            print_field(d, "clr", mt, &same, kind, f[i].address);
    }
    lg_error_free(err);
}

static void print_clr_thread_statics(struct dump *d)
{
    const struct lg_static *s;
    size_t count;
    if (!told(lg_clr_statics(d->clr, &s, &count)))
        return;
    for (size_t i = 0; i < count; i++) {
        if (s[i].thread)
            print_mine(d, "clr", s[i].mt, s[i].token, s[i].element, s[i].thread->address, s[i].slot);
    }
}

static void print_fields(struct dump *d)
{
    for (size_t i = 0; i < d->types.len; i++) {
        print_dac_fields(d, d->types.at[i]);
        if (d->clr)
            print_clr_fields(d, d->types.at[i]);
    }
    if (d->clr)
        print_clr_thread_statics(d);
}

static void print_code(struct dump *d, const char *text)
{
    uint64_t ip = strtoull(text, NULL, 16), method = 0;
    _cleanup_free_ char *name = NULL;
    bool is_code = told(lg_dac_method_from_ip(d->dac, ip, &method));
    printf("dac\tcode\t%" PRIx64 "\t%" PRIx64 "\t%s\n", ip, is_code ? method : 0,
           told(lg_dac_code_name(d->dac, ip, &name)) ? name : "-");
}

// ---- how long it takes ----

static void time_types(struct dump *d)
{
    double start = now_ms();
    size_t fields_told = 0;
    for (size_t i = 0; i < d->types.len; i++) {
        struct lg_dac_type type;
        told(lg_dac_type_read(d->dac, d->types.at[i], &type));
    }
    double types = now_ms();
    printf("dac\ttime\ttypes\t%zu\t%.2f\n", d->types.len, types - start);
    for (size_t i = 0; i < d->types.len; i++) {
        _cleanup_free_ char *name = NULL;
        told(lg_dac_type_name(d->dac, d->types.at[i], &name));
    }
    double names = now_ms();
    printf("dac\ttime\tnames\t%zu\t%.2f\n", d->types.len, names - types);
    for (size_t i = 0; i < d->types.len; i++) {
        _cleanup_(lg_dac_fields_deinit) struct lg_dac_fields fields = { .at = NULL };
        struct lg_dac_type type;
        if (told(lg_dac_type_read(d->dac, d->types.at[i], &type))
            && told(lg_dac_fields_read(d->dac, &type, &fields)))
            fields_told += fields.len;
    }
    printf("dac\ttime\tfields (types again)\t%zu\t%.2f\n", fields_told, now_ms() - names);
}

// ---- all of it ----

static struct lg_error *collect_types(struct dump *d)
{
    _cleanup_(lg_heap_freep) struct lg_heap *heap = NULL;
    struct lg_type_stats stats = { .counts = NULL };
    struct lg_walk_result walked;
    struct lg_error *err = d->clr ? lg_heap_open(d->clr, &heap) : NULL;
    if (!err && d->clr)
        err = lg_heap_stats(heap, &(struct lg_walk_filter){ 0 }, &stats, &walked);
    lg_type_stats_deinit(&stats);
    const struct lg_static *statics; // Finds instantiations without an object.
    size_t static_count;
    if (!err && d->clr)
        err = lg_clr_statics(d->clr, &statics, &static_count);
    for (size_t i = 0; !err && d->clr && i < static_count; i++)
        add_type(d, statics[i].mt);
    uint32_t count = d->clr ? lg_clr_type_count(d->clr) : 0;
    for (uint32_t i = 0; i < count && !err; i++)
        add_type(d, lg_clr_type_at(d->clr, i)->mt);
    return err;
}

// Where linger itself refuses a runtime, libcoreclr.so is found by its name.
static struct lg_error *find_runtime(struct lg_target *target, struct lg_image *ret)
{
    struct lg_error *err = lg_runtime_image_find(target, ret);
    for (size_t i = 0; err && i < target->ranges.len; i++) {
        const struct lg_range *range = &target->ranges.at[i];
        const char *name = strrchr(range->path, '/');
        if (!name || strcmp(name, "/libcoreclr.so") != 0 || range->offset != 0)
            continue;
        lg_error_free(err);
        return lg_image_open(target, range->path, range->start, ret);
    }
    return err;
}

static struct lg_error *open_all(struct dump *d, const char *target)
{
    struct lg_image image;
    char version[64] = "";
    struct lg_error *err = lg_target_open(target, &(struct lg_target_options){ 0 }, &d->target);
    if (!err)
        err = find_runtime(d->target, &image);
    if (err)
        return err;
    bool known = lg_runtime_image_version(&image, version, sizeof(version));
    struct lg_dac_options options = { .version = known ? version : NULL };
    struct lg_error *clr_err = lg_clr_open(d->target, NULL, &d->clr);
    if (clr_err)
        fprintf(stderr, "dacdump: only the DAC: %s\n", lg_error_message(clr_err));
    lg_error_free(clr_err);
    const int tells_all = 10; // The descriptors of older runtimes tell some.
    if (d->clr && known && atoi(version) < tells_all) {
        lg_clr_free(d->clr);
        d->clr = NULL;
    }
    return lg_dac_open(d->target, image.path, image.base, &options, &d->dac);
}

static void print_all(struct dump *d)
{
    print_known(d);
    print_runtime(d);
    print_types(d);
    print_names(d);
    print_fields(d);
    print_native_memory(d);
    time_types(d);
}

int main(int argc, char **argv)
{
    struct dump d = { .target = NULL };
    if (argc < 2)
        return fprintf(stderr, "usage: dacdump TARGET [CODE-ADDRESS...]\n"), 2;
    struct lg_error *err = open_all(&d, argv[1]);
    for (int i = 2; !err && i < argc; i++)
        print_code(&d, argv[i]);
    if (argc > 2)
        return err ? fail(err) : 0;
    if (!err)
        err = collect_types(&d);
    if (!err)
        print_all(&d);
    int status = err ? fail(err) : 0;
    lg_vec_free(&d.types);
    lg_map_free(&d.seen);
    lg_dac_threads_deinit(&d.threads);
    lg_dac_free(d.dac);
    lg_clr_free(d.clr);
    lg_target_free(d.target);
    return status;
}
