// JIT code heaps, out of the map from code addresses to range sections (contract ExecutionManager).
//
//     top level: 256 pointers, by bits 56..49 of the address     bit 0 of a pointer: may be collected
//       -> 256 pointers, by bits 48..41 -> 40..33 -> 32..25 -> 24..17
//            -> fragments: one range section each, the next of the same 128 KiB
//
// A section of the JIT has a node of the list of code heaps, whose end grows as code is written
// (dotnet/runtime docs/design/datacontracts/ExecutionManager.md @006ccbc, vm/codeman.h @0066e2e).
#include "clr/native_heaps.h"
#include "util/map.h"

enum {
    LEVELS = 5,
    ENTRIES = 256,
    MAX_TABLES = 1 << 14,
    MAX_FRAGMENTS = 1 << 18,
    SECTION_CODEHEAP = 2,
    PAGE = 4096
};

struct walk {
    struct lg_clr *clr;
    struct lg_map sections; // Seen: one section has a fragment in every 128 KiB that it touches.
    size_t tables, fragments;
};

static struct lg_error *unreadable(const char *what, uint64_t address)
{
    return lg_error_new(LG_ERR_FAULT, "%s at %#jx: not readable", what, (uintmax_t)address);
}

// CodeHeapListNode.Next is followed by a pointer to the heap itself, which no descriptor names (measured
// on 10.0.12). Behind its vtable, that of ordinary methods has {first block, alloc ptr, end of commit,
// end}; that of dynamic methods points back at the node.
static const char *kind_of(const struct lg_clr *clr, uint64_t node, uint64_t begin, uint64_t end)
{
    uint64_t heap, words[5];
    const struct lg_offsets *off = &clr->off;
    if (off->CodeHeapListNode_StartAddress != off->CodeHeapListNode_Next + 16
        || !lg_target_u64(clr->target, node + off->CodeHeapListNode_Next + 8, &heap)
        || !lg_target_read_all(clr->target, heap, words, sizeof(words)))
        return "CodeHeap";
    if (words[1] == node)
        return "HostCodeHeap";
    bool in_order = begin <= words[2] && words[2] <= words[3] && words[3] <= words[4] && words[4] == end;
    return in_order ? "LoaderCodeHeap" : "CodeHeap";
}

static struct lg_error *add_code_heap(struct lg_clr *clr, uint64_t section, uint64_t node,
                                      uint64_t jit_manager)
{
    const struct lg_offsets *off = &clr->off;
    uint64_t begin, end, used_end;
    if (!lg_target_u64(clr->target, section + off->RangeSection_RangeBegin, &begin)
        || !lg_target_u64(clr->target, section + off->RangeSection_RangeEndOpen, &end))
        return unreadable("RangeSection", section);
    if (!lg_target_u64(clr->target, node + off->CodeHeapListNode_EndAddress, &used_end))
        return unreadable("CodeHeapListNode", node);
    if (begin > used_end || used_end > end)
        return lg_error_new(LG_ERR_CORRUPT,
                            "RangeSection at %#jx: %#jx to %#jx, and its code ends at %#jx",
                            (uintmax_t)section, (uintmax_t)begin, (uintmax_t)end, (uintmax_t)used_end);
    begin -= begin % PAGE; // That of dynamic methods begins behind a small header of its own.
    struct lg_native_heap heap = { .owner = "JIT Manager",
                                   .owner_address = jit_manager,
                                   .kind = kind_of(clr, node, begin, end),
                                   .start = begin,
                                   .reserved = end - begin,
                                   .used = lg_committed_bytes(clr->target, begin, end - begin) };
    return lg_native_heap_add(clr, heap) ? NULL : &lg_no_memory;
}

static struct lg_error *read_section(struct walk *w, uint64_t section)
{
    const struct lg_offsets *off = &w->clr->off;
    uint32_t before, flags;
    uint64_t node, jit_manager;
    if (lg_map_get(&w->sections, section, &before))
        return NULL;
    if (!lg_map_put(&w->sections, section, 1))
        return &lg_no_memory;
    if (!lg_target_u32(w->clr->target, section + off->RangeSection_Flags, &flags)
        || !lg_target_u64(w->clr->target, section + off->RangeSection_HeapList, &node)
        || !lg_target_u64(w->clr->target, section + off->RangeSection_JitManager, &jit_manager))
        return unreadable("RangeSection", section);
    return flags & SECTION_CODEHEAP && node ? add_code_heap(w->clr, section, node, jit_manager) : NULL;
}

static struct lg_error *read_fragments(struct walk *w, uint64_t fragment)
{
    const struct lg_offsets *off = &w->clr->off;
    while (fragment) {
        uint64_t section;
        if (++w->fragments > MAX_FRAGMENTS)
            return lg_error_new(LG_ERR_CORRUPT, "RangeSectionFragment at %#jx: too many of them",
                                (uintmax_t)fragment);
        if (!lg_target_u64(w->clr->target, fragment + off->RangeSectionFragment_RangeSection, &section))
            return unreadable("RangeSectionFragment", fragment);
        struct lg_error *err = section ? read_section(w, section) : NULL;
        if (err)
            return err;
        if (!lg_target_u64(w->clr->target, fragment + off->RangeSectionFragment_Next, &fragment))
            return unreadable("RangeSectionFragment", fragment);
        fragment &= ~UINT64_C(1);
    }
    return NULL;
}

// Recursion is as deep as the map: five levels.
static struct lg_error *read_table(struct walk *w, uint64_t address, unsigned level)
{
    uint64_t entries[ENTRIES];
    if (++w->tables > MAX_TABLES)
        return lg_error_new(LG_ERR_CORRUPT, "RangeSectionMap: too many tables, the last at %#jx",
                            (uintmax_t)address);
    if (!lg_target_read_all(w->clr->target, address, entries, sizeof(entries)))
        return unreadable("RangeSectionMap", address);
    for (unsigned i = 0; i < ENTRIES; i++) {
        uint64_t next = entries[i] & ~UINT64_C(1);
        struct lg_error *err = !next       ? NULL
                               : level > 1 ? read_table(w, next, level - 1)
                                           : read_fragments(w, next);
        if (err)
            return err;
    }
    return NULL;
}

static bool has_offsets(const struct lg_offsets *off)
{
    const uint32_t needed[] = {
        off->RangeSectionMap_TopLevelData, off->RangeSectionFragment_RangeSection,
        off->RangeSectionFragment_Next,    off->RangeSection_RangeBegin,
        off->RangeSection_RangeEndOpen,    off->RangeSection_JitManager,
        off->RangeSection_Flags,           off->RangeSection_HeapList,
        off->CodeHeapListNode_Next,        off->CodeHeapListNode_StartAddress,
        off->CodeHeapListNode_EndAddress
    };
    for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
        if (needed[i] == LG_NO_OFFSET)
            return false;
    }
    return true;
}

struct lg_error *lg_code_heaps_read(struct lg_clr *clr)
{
    uint64_t map;
    if (clr->from.thread_base)
        return lg_told_code_heaps(clr);
    if (!has_offsets(&clr->off)
        || !lg_descriptor_global(clr->descriptor, "ExecutionManagerCodeRangeMapAddress", &map))
        return lg_error_new(LG_ERR_UNSUPPORTED, "the data descriptor has no map of code ranges");
    struct walk w = { .clr = clr };
    struct lg_error *err = read_table(&w, map + clr->off.RangeSectionMap_TopLevelData, LEVELS);
    lg_map_free(&w.sections);
    return err;
}
