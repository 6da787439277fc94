// The runtime's facts as tables, each told once for writing and reading.
#include "snapshot/snapshot_priv.h"

// ---- META ----

static void io_info(struct lg_table_io *io, struct lg_clr_info *info)
{
    lg_io_string(io, &info->version);
    lg_io_string(io, &info->image);
    LG_IO(io, info->image_base);
    LG_IO_BOOL(io, info->single_file);
    LG_IO_BOOL(io, info->server);
    LG_IO_BOOL(io, info->regions);
    LG_IO(io, info->heap_count);
    lg_io_signed(io, &info->datas);
    LG_IO_BOOL(io, info->gc_in_progress);
    LG_IO(io, info->free_mt);
    LG_IO(io, info->string_mt);
    LG_IO(io, info->object_mt);
    LG_IO(io, info->object_array_mt);
    LG_IO(io, info->mt_mask);
}

void io_about(struct lg_table_io *io, void *data)
{
    struct about_io *x = data;
    struct lg_snapshot_about *about = &x->about;
    uint64_t seconds = (uint64_t)about->taken.tv_sec, nanoseconds = (uint64_t)about->taken.tv_nsec;
    lg_io_string(io, &about->tool);
    LG_IO_MAX(io, about->kind, LG_TARGET_FAKE);
    lg_io_signed(io, &about->pid);
    lg_io_string(io, &about->path);
    LG_IO_MAX(io, seconds, INT64_MAX);
    LG_IO_MAX(io, nanoseconds, 999999999);
    about->taken = (struct timespec){ (time_t)seconds, (long)nanoseconds };
    LG_IO_BOOL(io, about->has_contents);
    LG_IO(io, about->figures.objects);
    LG_IO(io, about->figures.bytes);
    LG_IO(io, about->figures.references);
    LG_IO(io, about->figures.page_bytes);
    uint64_t ms = x->last_gc > 0 ? (uint64_t)(x->last_gc * 1000) : 0;
    LG_IO_BOOL(io, x->has_last_gc);
    LG_IO(io, ms);
    x->last_gc = (double)ms / 1000;
    io_info(io, &x->info);
    LG_IO_VEC(io, &x->notes, lg_io_sentence, NULL);
}

// ---- SEGM ----

static void io_segment(struct lg_table_io *io, struct lg_segment *s, void *unused)
{
    (void)unused;
    LG_IO(io, s->address);
    LG_IO(io, s->start);
    LG_IO(io, s->end);
    LG_IO(io, s->committed);
    LG_IO(io, s->reserved);
    LG_IO(io, s->flags);
    LG_IO(io, s->heap);
    LG_IO_MAX(io, s->generation, LG_GENERATIONS - 1);
    LG_IO(io, s->gen1_start);
    LG_IO(io, s->gen0_start);
    LG_IO_BOOL(io, s->ephemeral);
    io->failed |= s->start > s->end || s->end > s->committed || s->committed > s->reserved;
}

static void io_gc_heap(struct lg_table_io *io, struct lg_gc_heap *heap, void *unused)
{
    (void)unused;
    LG_IO(io, heap->address);
    LG_IO(io, heap->alloc_allocated);
    LG_IO(io, heap->ephemeral_segment);
    for (int i = 0; i < 5; i++)
        LG_IO(io, heap->allocation_start[i]);
}

static void io_context(struct lg_table_io *io, struct lg_alloc_context *context, void *unused)
{
    (void)unused;
    LG_IO(io, context->ptr);
    LG_IO(io, context->limit);
}

static void io_segments(struct lg_table_io *io, void *data)
{
    struct lg_stored *stored = data;
    LG_IO_VEC(io, &stored->segments, io_segment, NULL);
    LG_IO_VEC(io, &stored->gc_heaps, io_gc_heap, NULL);
    LG_IO_VEC(io, &stored->contexts, io_context, NULL);
    for (size_t i = 1; i < stored->segments.len; i++)
        io->failed |= stored->segments.at[i].start < stored->segments.at[i - 1].end;
}

// ---- TYPE, NAME, FIEL ----

static void io_type(struct lg_table_io *io, struct lg_stored_type *stored, void *types)
{
    struct lg_type *type = &stored->type;
    uint32_t *next = types;
    LG_IO(io, type->mt);
    LG_IO(io, type->base_size);
    LG_IO(io, type->component_size);
    LG_IO(io, type->flags);
    LG_IO(io, type->rank);
    LG_IO(io, type->token);
    LG_IO(io, type->parent_mt);
    LG_IO(io, type->module);
    LG_IO(io, type->ee_class);
    LG_IO(io, type->element_handle);
    LG_IO(io, stored->loader_module);
    LG_IO(io, stored->loader_allocator);
    LG_IO(io, stored->loader_handle);
    type->id = (*next)++;
}

static void io_types(struct lg_table_io *io, void *data)
{
    struct lg_stored *stored = data;
    uint32_t next = 0;
    LG_IO_VEC(io, &stored->types, io_type, &next);
}

static void io_name(struct lg_table_io *io, struct lg_stored_name *name, void *unused)
{
    (void)unused;
    LG_IO(io, name->handle);
    lg_io_string(io, &name->name);
    io->failed |= !name->name;
}

static void io_names(struct lg_table_io *io, void *data)
{
    struct lg_stored *stored = data;
    LG_IO_VEC(io, &stored->names, io_name, NULL);
}

static void io_field(struct lg_table_io *io, struct lg_field *field, void *unused)
{
    (void)unused;
    lg_io_string(io, &field->name);
    lg_io_string(io, &field->type_name);
    LG_IO(io, field->type_mt);
    LG_IO(io, field->declaring_mt);
    LG_IO(io, field->token);
    LG_IO(io, field->offset);
    LG_IO_MAX(io, field->element, LG_ELEM_MVAR);
    LG_IO_BOOL(io, field->is_static);
    LG_IO_BOOL(io, field->is_thread_static);
    LG_IO_BOOL(io, field->is_rva);
    LG_IO_BOOL(io, field->initialized);
    LG_IO(io, field->address);
    io->failed |= !field->name;
}

static void io_fields(struct lg_table_io *io, void *data)
{
    struct lg_stored *stored = data;
    for (size_t i = 0; i < stored->types.len && !io->failed; i++) {
        struct lg_stored_type *type = &stored->types.at[i];
        LG_IO_BOOL(io, type->has_fields);
        if (type->has_fields)
            LG_IO_VEC(io, &type->fields, io_field, NULL);
    }
}

// ---- MODU ----

static void io_module(struct lg_table_io *io, struct lg_stored_module *stored, void *unused)
{
    (void)unused;
    struct lg_module *module = &stored->module;
    LG_IO(io, module->address);
    LG_IO(io, module->assembly);
    LG_IO(io, module->loader_allocator);
    lg_io_string(io, &module->path);
    lg_io_string(io, &module->name);
    LG_IO(io, module->image_base);
    LG_IO(io, module->image_size);
    LG_IO_BOOL(io, module->is_dynamic);
    LG_IO_BOOL(io, module->is_collectible);
    LG_IO_BOOL(io, stored->is_listed);
    LG_IO_BOOL(io, stored->has_context);
    LG_IO(io, stored->context.binder);
    LG_IO(io, stored->context.object);
    io->failed |= !module->path || !module->name;
}

static void io_modules(struct lg_table_io *io, void *data)
{
    struct lg_stored *stored = data;
    LG_IO_VEC(io, &stored->modules, io_module, NULL);
}

// ---- THRD ----

static void io_os_thread(struct lg_table_io *io, struct lg_thread *thread, void *unused)
{
    (void)unused;
    LG_IO(io, thread->tid);
    LG_IO(io, thread->ns_tid);
    LG_IO_BOOL(io, thread->has_registers);
    for (unsigned i = 0; thread->has_registers && i < LG_REGISTERS; i++)
        LG_IO(io, thread->registers[i]);
}

static void io_thread(struct lg_table_io *io, struct lg_managed_thread *thread, void *data)
{
    const struct lg_stored *stored = data;
    uint64_t number = thread->thread ? (uint64_t)(thread->thread - stored->os_threads.at) + 1 : 0;
    LG_IO_MAX(io, number, stored->os_threads.len);
    thread->thread = number ? &stored->os_threads.at[number - 1] : NULL;
    LG_IO(io, thread->address);
    LG_IO(io, thread->id);
    LG_IO(io, thread->os_id);
    LG_IO(io, thread->state);
    LG_IO_BOOL(io, thread->cooperative);
    LG_IO(io, thread->exposed_handle);
    LG_IO(io, thread->last_thrown_handle);
    LG_IO(io, thread->exception_tracker);
    LG_IO(io, thread->tls_array);
    LG_IO(io, thread->stack_low);
    LG_IO(io, thread->stack_high);
    LG_IO_BOOL(io, thread->stack_is_cut);
    LG_IO(io, thread->alloc_ptr);
    LG_IO(io, thread->alloc_limit);
    LG_IO_BOOL(io, thread->is_finalizer);
}

static void io_threads(struct lg_table_io *io, void *data)
{
    struct lg_stored *stored = data;
    LG_IO(io, stored->machine);
    LG_IO_VEC(io, &stored->os_threads, io_os_thread, NULL);
    LG_IO_VEC(io, &stored->threads, io_thread, stored);
    LG_IO(io, stored->counts.all);
    LG_IO(io, stored->counts.unstarted);
    LG_IO(io, stored->counts.background);
    LG_IO(io, stored->counts.pending);
    LG_IO(io, stored->counts.dead);
}

// ---- STAT ----

// By its place in the list; 0: none.
static const struct lg_managed_thread *io_thread_of(struct lg_table_io *io,
                                                    const struct lg_stored *stored,
                                                    const struct lg_managed_thread *thread)
{
    uint64_t number = thread ? (uint64_t)(thread - stored->threads.at) + 1 : 0;
    LG_IO_MAX(io, number, stored->threads.len);
    return number ? &stored->threads.at[number - 1] : NULL;
}

static void io_static(struct lg_table_io *io, struct lg_static *field, void *stored)
{
    LG_IO(io, field->slot);
    LG_IO(io, field->mt);
    lg_io_string(io, &field->field);
    LG_IO(io, field->token);
    LG_IO_MAX(io, field->element, LG_ELEM_MVAR);
    field->thread = io_thread_of(io, stored, field->thread);
    io->failed |= !field->field;
}

static void io_thread_root(struct lg_table_io *io, struct lg_thread_root *root, void *stored)
{
    LG_IO(io, root->slot);
    LG_IO(io, root->object);
    root->thread = io_thread_of(io, stored, root->thread);
}

static void io_statics(struct lg_table_io *io, void *data)
{
    struct lg_stored *stored = data;
    LG_IO_VEC(io, &stored->statics, io_static, stored);
    LG_IO_BOOL(io, stored->statics_are_whole);
    LG_IO_VEC(io, &stored->thread_roots, io_thread_root, stored);
}

// ---- FINQ, DOMA ----

static void io_finalizer_queue(struct lg_table_io *io, struct lg_finalizer_queue *queue, void *unused)
{
    (void)unused;
    LG_IO(io, queue->array);
    for (size_t i = 0; i < sizeof(queue->fill) / sizeof(*queue->fill); i++)
        LG_IO(io, queue->fill[i]);
}

static void io_finalizers(struct lg_table_io *io, void *data)
{
    struct lg_stored *stored = data;
    LG_IO_VEC(io, &stored->finalizers, io_finalizer_queue, NULL);
    lg_io_string(io, &stored->no_finalizers);
}

static void io_domain(struct lg_table_io *io, void *data)
{
    struct lg_stored *stored = data;
    struct lg_domain *domain = &stored->domain;
    LG_IO(io, domain->address);
    lg_io_string(io, &domain->name);
    LG_IO(io, domain->system_domain);
    LG_IO(io, domain->loader_allocator);
    LG_IO(io, domain->low_frequency_heap);
    LG_IO(io, domain->high_frequency_heap);
    LG_IO(io, domain->stub_heap);
}

// ---- HNDL, NHEA ----

static void io_handle(struct lg_table_io *io, struct lg_handle *handle, void *unused)
{
    (void)unused;
    LG_IO(io, handle->address);
    LG_IO(io, handle->object);
    LG_IO(io, handle->secondary);
    LG_IO_MAX(io, handle->kind, LG_HANDLE_KINDS - 1);
    LG_IO(io, handle->slot);
}

static void io_handles(struct lg_table_io *io, void *data)
{
    struct lg_stored *stored = data;
    LG_IO_VEC(io, &stored->handles, io_handle, NULL);
}

static void io_native_heap(struct lg_table_io *io, struct lg_native_heap *heap, void *unused)
{
    (void)unused;
    lg_io_string(io, &heap->owner);
    LG_IO(io, heap->owner_address);
    lg_io_string(io, &heap->kind);
    LG_IO(io, heap->start);
    LG_IO(io, heap->reserved);
    LG_IO(io, heap->used);
    io->failed |= !heap->owner || !heap->kind;
}

static void io_native(struct lg_table_io *io, void *data)
{
    struct lg_stored *stored = data;
    LG_IO_VEC(io, &stored->native_heaps, io_native_heap, NULL);
    lg_io_string(io, &stored->no_committed);
    LG_IO(io, stored->committed.in_use);
    LG_IO(io, stored->committed.free);
    LG_IO(io, stored->committed.frozen);
}

// ---- all of them ----

// In this order: fields are by type, statics by thread.
static const struct {
    uint32_t id;
    lg_table_function *table;
} tables[] = {
    { CHUNK_SEGM, io_segments },   { CHUNK_TYPE, io_types },   { CHUNK_NAME, io_names },
    { CHUNK_FIEL, io_fields },     { CHUNK_MODU, io_modules }, { CHUNK_THRD, io_threads },
    { CHUNK_STAT, io_statics },    { CHUNK_HNDL, io_handles }, { CHUNK_NHEA, io_native },
    { CHUNK_FINQ, io_finalizers }, { CHUNK_DOMA, io_domain },
};

struct lg_error *facts_write(struct lg_chunk_writer *writer, struct lg_stored *stored)
{
    struct lg_error *err = NULL;
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables) && !err; i++)
        err = lg_table_write(writer, tables[i].id, tables[i].table, stored);
    return err;
}

struct lg_error *facts_read(struct lg_chunk_file *file, struct lg_arena *arena, uint64_t *budget,
                            struct lg_stored *ret)
{
    struct lg_error *err = NULL;
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables) && !err; i++)
        err = lg_table_read(file, tables[i].id, arena, budget, tables[i].table, ret);
    return err;
}
