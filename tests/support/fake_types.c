#include "support/fake_types.h"

#include <string.h>

#include "support/fake_metadata.h"

enum { APP_DOMAIN_VARIABLE = 1 };

// ---- metadata ----

static void add_image(struct lg_target *t, int module, const struct fake_metadata *md)
{
    static uint8_t metadata[1 << 15], image[1 << 16];
    size_t len = fake_md_finish(md, metadata, sizeof(metadata));
    fake_bytes(t, FT_IMAGE(module), image, fake_pe(metadata, len, image, sizeof(image)));
}

static void add_type(struct fake_metadata *md, const char *space, const char *name, uint32_t field)
{
    fake_md_row(md, 0x02, "422222", 1, fake_md_string(md, name), fake_md_string(md, space), 0, field, 1);
}

static void add_field(struct fake_metadata *md, const char *name, const char *signature, uint8_t len)
{
    fake_md_row(md, 0x04, "222", 0, fake_md_string(md, name), fake_md_blob(md, signature, len));
}

static void add_corelib_metadata(struct lg_target *t)
{
    static struct fake_metadata md;
    md = (struct fake_metadata){ 0 };
    fake_md_row(&md, 0x00, "22222", 0, fake_md_string(&md, "System.Private.CoreLib.dll"), 0, 0, 0);
    add_type(&md, "", "<Module>", 1);
    add_type(&md, "System", "Object", 1);
    add_type(&md, "System", "String", 1);
    add_type(&md, "System", "Int32", 1);
    add_type(&md, "System", "__Canon", 1);
    add_image(t, 0, &md);
}

// TypeDef tokens in signatures are rid << 2.
static void add_app_metadata(struct lg_target *t)
{
    static struct fake_metadata md;
    md = (struct fake_metadata){ 0 };
    fake_md_row(&md, 0x00, "22222", 0, fake_md_string(&md, "App.dll"), 0, 0, 0);
    add_type(&md, "", "<Module>", 1);
    add_type(&md, "App", "Node", 1);    // 2
    add_type(&md, "App", "Outer`1", 7); // 3
    add_type(&md, "", "Inner`1", 9);    // 4
    add_type(&md, "App", "Pair`2", 10); // 5
    add_field(&md, "next", "\x06\x12\x08", 3);
    add_field(&md, "count", "\x06\x08", 2);
    add_field(&md, "pair", "\x06\x15\x11\x14\x02\x0e\x08", 7); // Pair<string, int>
    add_field(&md, "s_root", "\x06\x12\x08", 3);
    add_field(&md, "s_number", "\x06\x08", 2);
    add_field(&md, "t_local", "\x06\x1c", 2);
    add_field(&md, "value", "\x06\x13\x00", 3);                        // T
    add_field(&md, "items", "\x06\x1d\x13\x00", 4);                    // T[]
    add_field(&md, "both", "\x06\x15\x11\x14\x02\x13\x00\x13\x01", 9); // Pair<T, U>
    add_field(&md, "left", "\x06\x13\x00", 3);
    add_field(&md, "right", "\x06\x13\x01", 3);
    fake_md_row(&md, 0x29, "22", 4, 3);
    fake_md_row(&md, 0x2a, "2222", 0, 0, 3 << 1, fake_md_string(&md, "T"));
    add_image(t, 1, &md);
}

// ---- modules ----

static void add_module(struct lg_target *t, int i, const char *path)
{
    uint64_t module = FT_MODULE(i);
    fake_zeros(t, module, 0x400);
    fake_u64(t, module + 176, FT_MODULE(2)); // LoaderAllocator
    fake_u64(t, module + 200, module + 0x2500);
    fake_u64(t, module + 216, module + 0x2200);
    fake_u64(t, module + 248, FT_ASSEMBLY(i));
    fake_u64(t, module + 416 + 8, module + 0x1000); // TypeDefToMethodTableMap: table, count, flags
    fake_u64(t, module + 416 + 16, 8);
    fake_u64(t, module + 416 + 24, 3);
    fake_zeros(t, module + 0x1000, 64);
    fake_u64(t, module + 600, module + 0x3000); // AvailableTypeParams
    fake_u64(t, module + 0x3010, module + 0x3100);
    fake_u64(t, module + 0x3100, 1); // one bucket, no next table, sentinel
    fake_u64(t, module + 0x3108, 0);
    fake_u64(t, module + 0x3110, 1);
    fake_u64(t, module + 0x3118, 1);
    fake_zeros(t, FT_ASSEMBLY(i), 0x40);
    fake_u64(t, FT_ASSEMBLY(i) + 16, module);
    fake_u64(t, module + 0x2100, FT_ASSEMBLY(i)); // DomainAssembly
    fake_u64(t, module + 0x2208, module + 0x2300);
    fake_u64(t, module + 0x2380, module + 0x2400);
    fake_u64(t, module + 0x2408, FT_IMAGE(i));
    fake_u32(t, module + 0x2410, 0x4000);
    fake_u32(t, module + 0x2414, 0); // flat
    for (size_t k = 0; k <= strlen(path); k++)
        fake_u16(t, module + 0x2500 + 2 * k, (uint8_t)path[k]);
}

static void add_app_domain(struct lg_target *t)
{
    uint64_t list = FT_APP_DOMAIN + 576;
    fake_u64(t, FR_VARIABLES + 8 * APP_DOMAIN_VARIABLE, FT_APP_DOMAIN);
    fake_zeros(t, list, 64);
    fake_u32(t, list, 2);
    fake_u32(t, list + 8 + 8, 5); // The first block has room for five.
    fake_u64(t, list + 8 + 16, FT_MODULE(0) + 0x2100);
    fake_u64(t, list + 8 + 24, FT_MODULE(1) + 0x2100);
}

// Puts a handle into a module's table of instantiations.
static void add_instantiation(struct lg_target *t, int module, uint64_t n, uint64_t handle)
{
    uint64_t entry = FT_MODULE(module) + 0x3200 + 0x20 * n, head = FT_MODULE(module) + 0x3118, next;
    lg_target_u64(t, head, &next);
    fake_u64(t, entry, handle);
    fake_u64(t, entry + 8, next);
    fake_u64(t, head, entry);
}

// ---- method tables ----

struct mt {
    uint64_t at;
    uint32_t flags, base_size, rid;
    int module;
    uint64_t parent;
    const uint64_t *args;
    uint16_t arg_count;
    uint64_t element;
};

static uint64_t class_of(uint64_t mt)
{
    return mt >= FT_START && mt < FT_END ? mt + 0x100 : FT_DESC(0x20) + 2 * (mt - FR_METHOD_TABLES);
}

static void add_mt(struct lg_target *t, const struct mt *m)
{
    uint64_t class = class_of(m->at), aux = m->at + 0x400;
    fake_zeros(t, m->at, 64);
    fake_u32(t, m->at, m->flags);
    fake_u32(t, m->at + 4, m->base_size);
    fake_u32(t, m->at + 8, m->rid << 8);
    fake_u64(t, m->at + 16, m->parent);
    fake_u64(t, m->at + 24, FT_MODULE(m->module));
    fake_u64(t, m->at + 40, class);
    fake_zeros(t, class, 0x60);
    fake_u64(t, class + 16, m->at);
    if (m->rid && m->at >= FT_START && !m->arg_count)
        fake_u64(t, FT_MODULE(m->module) + 0x1000 + 8 * m->rid, m->at | 1); // with a flag
    if (m->element)
        fake_u64(t, m->at + 48, m->element);
    if (m->at < FT_END) {
        fake_zeros(t, aux - 40, 64);
        fake_u64(t, m->at + 32, aux);
        fake_u64(t, aux + 8, FT_MODULE(m->module));
    }
    if (!m->arg_count)
        return;
    fake_u64(t, m->at + 48, m->at + 0x508);
    fake_u64(t, m->at + 0x500, 0);
    fake_u16(t, m->at + 0x504, 1);
    fake_u16(t, m->at + 0x506, m->arg_count);
    fake_u64(t, m->at + 0x508, m->at + 0x540);
    fake_bytes(t, m->at + 0x540, m->args, 8u * m->arg_count);
}

struct desc {
    uint32_t rid, kind, offset; // kind: 1 static, 3 thread static
    uint8_t element;
};

static void add_fields(struct lg_target *t, uint64_t mt, uint16_t instance, uint16_t statics,
                       uint16_t thread_statics, const struct desc *fields)
{
    uint64_t class = class_of(mt);
    fake_u64(t, class + 24, mt + 0x180);
    fake_u16(t, class + 50, instance);
    fake_u16(t, class + 54, statics);
    fake_u16(t, class + 58, thread_statics);
    for (uint64_t i = 0; i < (uint64_t)instance + statics; i++) {
        fake_u64(t, mt + 0x180 + 16 * i, mt);
        fake_u32(t, mt + 0x180 + 16 * i + 8, fields[i].rid | fields[i].kind << 24);
        fake_u32(t, mt + 0x180 + 16 * i + 12, fields[i].offset | (uint32_t)fields[i].element << 27);
    }
}

static void add_corelib(struct lg_target *t)
{
    const struct mt known[] = {
        { .at = FT_OBJECT, .base_size = 24, .rid = 2 },
        { .at = FT_STRING, .flags = 0x80000002, .base_size = 22, .rid = 3, .parent = FT_OBJECT },
        { .at = FT_OBJECT_ARRAY, .flags = 0x810a0008, .base_size = 24, .element = FT_OBJECT },
        { .at = FT_MT(FT_INT32), .flags = 0x70000, .base_size = 24, .rid = 4, .parent = FT_OBJECT },
        { .at = FT_MT(FT_CANON), .base_size = 24, .rid = 5, .parent = FT_OBJECT },
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        add_mt(t, &known[i]);
}

static void add_node(struct lg_target *t)
{
    static const struct desc fields[] = {
        { 1, 0, 0, 18 },  { 2, 0, 24, 8 }, { 3, 0, 8, 17 },
        { 4, 1, 16, 18 }, { 5, 1, 4, 8 },  { 6, 3, 24, 28 },
    };
    uint64_t mt = FT_MT(FT_NODE), aux = mt + 0x400;
    const struct mt node = {
        .at = mt, .flags = 0x01000000, .base_size = 48, .rid = 2, .module = 1, .parent = FT_OBJECT
    };
    add_mt(t, &node);
    add_fields(t, mt, 3, 3, 1, fields);
    fake_u32(t, mt + 8, 2 << 8 | 2); // HasDynamicStatics
    fake_u64(t, aux - 24, FT_STATICS | 1);
    fake_u64(t, aux - 16, FT_NON_GC | 1);
    fake_u32(t, aux - 40 + 4, 3); // GCTlsIndex: non-collectible, 3
}

static void add_generics(struct lg_target *t)
{
    const uint64_t string[] = { FT_STRING }, both[] = { FT_MT(FT_INT32), FT_STRING };
    const uint64_t shared[] = { FT_MT(FT_CANON), FT_MT(FT_INT32) };
    static const struct desc outer[] = { { 7, 0, 0, 18 }, { 8, 0, 8, 29 } };
    static const struct desc inner[] = { { 9, 0, 0, 17 } };
    static const struct desc pair[] = { { 10, 0, 0, 18 }, { 11, 0, 8, 8 } };
    const struct mt known[] = {
        { FT_MT(FT_OUTER_STRING), 0x01000010, 32, 3, 1, FT_OBJECT, string, 1, 0 },
        { FT_MT(FT_INNER), 0x01000010, 32, 4, 1, FT_OBJECT, both, 2, 0 },
        { FT_MT(FT_PAIR_CANON), 0x01040020, 32, 5, 1, FT_OBJECT, shared, 2, 0 },
        { FT_MT(FT_OUTER_STRING_ARRAY), 0x810a0008, 24, 0, 1, FT_OBJECT, NULL, 0,
          FT_MT(FT_OUTER_STRING) },
        { FT_MT(FT_NODE_MATRIX), 0x81080008, 32, 0, 1, FT_OBJECT, NULL, 0, FT_MT(FT_NODE) },
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        add_mt(t, &known[i]);
        add_instantiation(t, 1, i, known[i].at);
    }
    add_fields(t, FT_MT(FT_OUTER_STRING), 2, 0, 0, outer);
    add_fields(t, FT_MT(FT_INNER), 1, 0, 0, inner);
    add_fields(t, FT_MT(FT_PAIR_CANON), 2, 0, 0, pair);
    fake_u8(t, class_of(FT_MT(FT_NODE_MATRIX)) + 72, 2); // ArrayClass.Rank
    // The definition of Pair<,>: what a signature's token leads to.
    fake_u64(t, FT_MODULE(1) + 0x1000 + 8 * 5, FT_MT(FT_PAIR_CANON));
}

static void add_type_descs(struct lg_target *t)
{
    static const uint32_t kinds[] = { 0x0f, 0x10, 0x1b, 0x13 };
    for (uint64_t i = 0; i < 4; i++) {
        fake_zeros(t, FT_DESC(i), 64);
        fake_u32(t, FT_DESC(i), kinds[i]);
    }
    fake_u64(t, FT_DESC(FT_POINTER) + 16, FT_MT(FT_INT32));
    fake_u64(t, FT_DESC(FT_BYREF) + 16, FT_DESC(FT_POINTER) | 2);
    fake_u32(t, FT_DESC(FT_FUNCTION) + 24, 2);
    fake_u64(t, FT_DESC(FT_FUNCTION) + 32, FT_MT(FT_INT32));
    fake_u64(t, FT_DESC(FT_FUNCTION) + 40, FT_STRING);
    fake_u64(t, FT_DESC(FT_FUNCTION) + 48, FT_DESC(FT_POINTER) | 2);
    fake_u64(t, FT_DESC(FT_VARIABLE) + 16, FT_MODULE(1));
    fake_u32(t, FT_DESC(FT_VARIABLE) + 40, 0x2a000001);
}

// Thread 1: index 3 of the non-collectible array, which has no room for 0 and 1, is its element 1.
static void add_thread_statics(struct lg_target *t)
{
    uint64_t array = FT_TLS + 0x100, entry = FT_TLS + 0x200;
    fake_u64(t, FR_THREAD(1) + 568, FT_TLS);
    fake_zeros(t, FT_TLS, 40);
    fake_u32(t, FT_TLS, 4);
    fake_u64(t, FT_TLS + 8, array);
    const uint64_t objects[] = { FT_OBJECT_ARRAY, 2, 0, entry };
    fake_bytes(t, array, objects, sizeof(objects));
    const uint64_t statics[] = { FT_OBJECT_ARRAY, 2, 0, FR_MEMORY(0, 2) };
    fake_bytes(t, entry, statics, sizeof(statics));
}

void fake_types_add(struct lg_target *t)
{
    add_module(t, 0, "/usr/share/dotnet/System.Private.CoreLib.dll");
    add_module(t, 1, "/app/App.dll");
    add_app_domain(t);
    add_corelib_metadata(t);
    add_app_metadata(t);
    add_corelib(t);
    add_node(t);
    add_generics(t);
    add_type_descs(t);
    add_thread_statics(t);
    fake_zeros(t, FT_STATICS, 64);
    fake_zeros(t, FT_NON_GC, 64);
}

struct lg_target *fake_types(void)
{
    struct lg_target *t = fake_runtime(0);
    fake_types_add(t);
    return t;
}
