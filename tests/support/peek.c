// peek TARGET [ADDR LEN]...: bytes of a target in hex, one line a pair; `-` stands for what is not
// there. Without pairs, reads them from stdin. With `-r`: ranges; `-t`: threads; notes go to stderr.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/target.h"
#include "util/error.h"

static void peek(struct lg_target *target, uint64_t address, size_t len)
{
    _cleanup_free_ uint8_t *buf = malloc(len ? len : 1);
    size_t got = buf ? lg_target_read(target, address, buf, len) : 0;
    for (size_t i = 0; i < got; i++)
        printf("%02x", buf[i]);
    puts(got < len ? "-" : "");
}

static void print_ranges(struct lg_target *target)
{
    for (size_t i = 0; i < target->ranges.len; i++) {
        const struct lg_range *r = &target->ranges.at[i];
        printf("%012" PRIx64 "-%012" PRIx64 " %c%c%c %10" PRIu64 " %8" PRIx64 " %s\n", r->start, r->end,
               r->access & LG_READ ? 'r' : '-', r->access & LG_WRITE ? 'w' : '-',
               r->access & LG_EXECUTE ? 'x' : '-', r->saved, r->offset, r->path);
    }
}

static void print_threads(struct lg_target *target)
{
    printf("pid %d\n", target->pid);
    for (size_t i = 0; i < target->threads.len; i++) {
        const struct lg_thread *t = &target->threads.at[i];
        printf("%u %u rip %" PRIx64 " rsp %" PRIx64 " %s\n", t->tid, t->ns_tid, t->registers[LG_REG_RIP],
               t->registers[LG_REG_RSP], t->name);
    }
}

int main(int argc, char **argv)
{
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    struct lg_error *err =
        argc > 1 ? lg_target_open(argv[1], &(struct lg_target_options){ 0 }, &target) : NULL;
    if (!target) {
        fprintf(stderr, "%s\n",
                err ? lg_error_message(err) : "usage: peek TARGET [-r | -t | ADDR LEN]...");
        lg_error_free(err);
        return 3;
    }
    for (size_t i = 0; i < target->notes.len; i++)
        fprintf(stderr, "note: %s\n", target->notes.at[i]);
    if (argc == 3 && strcmp(argv[2], "-r") == 0)
        return print_ranges(target), 0;
    if (argc == 3 && strcmp(argv[2], "-t") == 0)
        return print_threads(target), 0;
    for (int i = 2; i + 1 < argc; i += 2)
        peek(target, strtoull(argv[i], NULL, 0), strtoull(argv[i + 1], NULL, 0));
    uint64_t address, len;
    while (argc == 2 && scanf("%" SCNi64 " %" SCNi64, (int64_t *)&address, (int64_t *)&len) == 2)
        peek(target, address, len);
    return 0;
}
