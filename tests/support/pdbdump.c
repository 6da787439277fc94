// Every sequence point of a portable PDB, or of the one that is embedded in an assembly:
//
//     id HEX
//     TOKEN IL LINE:COLUMN FILE     or "hidden" in place of line and column
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "linger/error.h"
#include "pdb/pdb.h"

static bool read_fd(void *data, uint64_t offset, void *buf, size_t len)
{
    return pread(*(int *)data, buf, len, (off_t)offset) == (ssize_t)len;
}

static struct lg_error *open_pdb(int fd, struct lg_pdb **ret)
{
    struct stat st;
    struct lg_pe_debug debug;
    const struct lg_pe_source source = { read_fd, &fd };
    if (lg_pe_debug(&source, false, &debug))
        return lg_pdb_embedded(&source, &debug, ret);
    uint8_t *bytes = fstat(fd, &st) == 0 ? malloc((size_t)st.st_size + 1) : NULL;
    if (!bytes || !read_fd(&fd, 0, bytes, (size_t)st.st_size))
        abort();
    return lg_pdb_new(bytes, (size_t)st.st_size, ret);
}

struct method {
    const struct lg_pdb *pdb;
    uint32_t token;
};

static void print(void *data, const struct lg_pdb_point *point)
{
    const struct method *method = data;
    char file[4096];
    const char *name = lg_pdb_file(method->pdb, point->document, file, sizeof(file));
    struct lg_pdb_point found;
    printf("%08x %u ", method->token, point->il);
    if (point->line == LG_PDB_HIDDEN)
        printf("hidden");
    else if (!lg_pdb_find(method->pdb, method->token, point->il, &found) || found.line != point->line)
        printf("not found");
    else
        printf("%u:%u", point->line, point->column);
    printf(" %s\n", name ? name : "?");
}

int main(int argc, char **argv)
{
    int fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    _cleanup_(lg_pdb_freep) struct lg_pdb *pdb = NULL;
    if (fd < 0)
        return fprintf(stderr, "usage: pdbdump PDB|ASSEMBLY\n"), 2;
    struct lg_error *err = open_pdb(fd, &pdb);
    close(fd);
    if (err) {
        fprintf(stderr, "%s\n", lg_error_message(err));
        lg_error_free(err);
        return 3;
    }
    printf("id ");
    for (int i = 0; i < LG_PDB_ID; i++)
        printf("%02X", lg_pdb_id(pdb)[i]);
    puts("");
    for (uint32_t rid = 1; rid <= lg_pdb_methods(pdb); rid++) {
        struct method method = { pdb, 0x06000000 | rid };
        if (!lg_pdb_points(pdb, method.token, print, &method))
            printf("%08x damaged\n", method.token);
    }
    return 0;
}
