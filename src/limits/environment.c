// The environment of a process: of a live one /proc has it, of a core the stack.
//
//     first stack, upwards    argc | argv[] 0 | envp[] 0 | auxv (type, value)[] AT_NULL 0 | strings
//
// The kernel lays it out so (torvalds/linux fs/binfmt_elf.c @00c65c8, create_elf_tables); a program may
// have written over it since.
#include <elf.h>
#include <string.h>

#include "limits/limits_priv.h"

enum {
    SCAN_MAX = 4 << 20, // Of a stack, from its end: strings take at most a quarter of it.
    AUXV_MAX = 64,
    STRINGS_MAX = 1 << 16,
    STRING_MAX = 128 << 10, // MAX_ARG_STRLEN
    BLOCK_MAX = 4 << 20,
    PAGE = 4096,
};

const char *lg_environment_get(const struct lg_environment *environment, const char *name)
{
    size_t len = strlen(name);
    const char *at = environment->block, *end = at ? at + environment->len : NULL;
    while (at < end) {
        size_t size = strnlen(at, (size_t)(end - at));
        if (at + size == end)
            return NULL; // Cut off: its end is not known.
        if (size > len && memcmp(at, name, len) == 0 && at[len] == '=')
            return at[len + 1] ? at + len + 1 : NULL; // The first one counts.
        at += size + 1;
    }
    return NULL;
}

// ---- from a stack ----

struct stack {
    struct lg_target *target;
    uint64_t start, end;
    uint64_t *words;
    size_t count;
};

static void stack_deinit(struct stack *stack)
{
    free(stack->words);
}

// Is there an auxiliary vector that ends before word `end`? Returns its first word, or 0.
static size_t find_auxv_start(const struct stack *stack, size_t end)
{
    bool has_page = false, has_headers = false;
    size_t at = end;
    for (unsigned n = 0; n < AUXV_MAX && at >= 2; n++) {
        uint64_t type = stack->words[at - 2], value = stack->words[at - 1];
        if (type == 0 || type > AUXV_MAX)
            break;
        has_page |= type == AT_PAGESZ && value == PAGE;
        has_headers |= type == AT_PHENT && value == sizeof(Elf64_Phdr);
        at -= 2;
    }
    return has_page && has_headers ? at : 0;
}

// The word behind the last pointer of envp[], or 0.
static size_t find_envp_end(const struct stack *stack)
{
    for (size_t i = stack->count; i >= 2; i--) {
        if (stack->words[i - 1] != 0 || stack->words[i - 2] != 0)
            continue;
        size_t start = find_auxv_start(stack, i - 2);
        if (start > 0 && stack->words[start - 1] == 0)
            return start - 1;
    }
    return 0;
}

static struct lg_error *read_stack(struct stack *stack)
{
    uint64_t size = stack->end - stack->start;
    if (size > SCAN_MAX)
        stack->start = stack->end - SCAN_MAX;
    stack->words = malloc((size_t)(stack->end - stack->start));
    if (!stack->words)
        return &lg_no_memory;
    size_t got =
        lg_target_read(stack->target, stack->start, stack->words, (size_t)(stack->end - stack->start));
    stack->count = got / 8;
    return NULL;
}

// The string at `address`, with its NUL, behind the block's end; false: it is none.
static bool add_string(struct stack *stack, uint64_t address, struct lg_environment *block)
{
    const char *bytes = (const char *)stack->words;
    size_t size = stack->count * 8;
    if (address < stack->start || address - stack->start >= size)
        return false;
    const char *s = bytes + (address - stack->start);
    size_t left = size - (size_t)(address - stack->start);
    size_t len = strnlen(s, left < STRING_MAX ? left : STRING_MAX);
    if (len == left || len == STRING_MAX || block->len + len + 1 > BLOCK_MAX)
        return false;
    memcpy(block->block + block->len, s, len + 1);
    block->len += len + 1;
    return true;
}

static size_t find_envp_start(const struct stack *stack, size_t end)
{
    size_t at = end;
    while (at > 0 && end - at < STRINGS_MAX && stack->words[at - 1] >= stack->start
           && stack->words[at - 1] < stack->end)
        at--;
    return at;
}

// The thread whose id is the process's, else the first.
static const struct lg_thread *first_thread(const struct lg_target *target)
{
    for (size_t i = 0; i < target->threads.len; i++) {
        if ((int)target->threads.at[i].tid == target->pid)
            return &target->threads.at[i];
    }
    return target->threads.len ? &target->threads.at[0] : NULL;
}

struct lg_error *lg_environment_from_stack(struct lg_target *target, struct lg_environment *ret)
{
    const struct lg_thread *thread = first_thread(target);
    const struct lg_range *range =
        thread && thread->has_registers ? lg_target_find(target, thread->registers[LG_REG_RSP]) : NULL;
    if (!range)
        return NULL;
    _cleanup_(stack_deinit) struct stack stack = { target, range->start, range->end, NULL, 0 };
    struct lg_error *err = read_stack(&stack);
    size_t end = err ? 0 : find_envp_end(&stack);
    if (err || end == 0)
        return err;
    struct lg_environment found = { .block = malloc(BLOCK_MAX) };
    if (!found.block)
        return &lg_no_memory;
    for (size_t i = find_envp_start(&stack, end); i < end; i++)
        add_string(&stack, stack.words[i], &found);
    *ret = found;
    return NULL;
}
