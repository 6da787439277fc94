#include "util/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

// Unfinished ones. A fact of the process, and so a global: whoever ends it, from whatever thread, has to
// know of them.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct lg_new_file *unfinished;

static void forget(struct lg_new_file *file)
{
    struct lg_new_file **at = &unfinished;
    while (*at && *at != file)
        at = &(*at)->next;
    if (*at)
        *at = file->next;
}

void lg_new_files_remove(void)
{
    pthread_mutex_lock(&lock);
    for (const struct lg_new_file *file = unfinished; file; file = file->next)
        unlink(file->temporary);
}

static struct lg_error *open_temporary(struct lg_new_file *file)
{
    if (asprintf(&file->temporary, "%s.XXXXXX", file->path) < 0) {
        file->temporary = NULL;
        return &lg_no_memory;
    }
    pthread_mutex_lock(&lock);
    int fd = mkostemp(file->temporary, O_CLOEXEC); // Mode 0600: what is in a heap is nobody else's.
    if (fd >= 0) {
        file->next = unfinished;
        unfinished = file;
    }
    pthread_mutex_unlock(&lock);
    if (fd < 0) {
        free(lg_steal(file->temporary));
        return lg_error_os(errno, "create '%s'", file->path);
    }
    file->file = fdopen(fd, "w");
    if (file->file)
        return NULL;
    close(fd);
    return lg_error_os(errno, "create '%s'", file->path);
}

struct lg_error *lg_new_file_create(const char *path, struct lg_new_file **ret)
{
    _cleanup_(lg_new_file_freep) struct lg_new_file *file = calloc(1, sizeof(*file));
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) // As root, /dev/null would be gone.
        return lg_error_new(LG_ERR_USAGE, "'%s' is no regular file, so none can take its place", path);
    char *real = realpath(path, NULL); // A link stays one.
    if (file)
        file->path = real ? real : strdup(path);
    if (!file || !file->path)
        return &lg_no_memory;
    struct lg_error *err = open_temporary(file);
    if (!err)
        *ret = lg_steal(file);
    return err;
}

struct lg_error *lg_new_file_put(struct lg_new_file *file, const void *bytes, size_t len)
{
    if (len > 0 && fwrite(bytes, 1, len, file->file) != len)
        return lg_error_os(errno, "writing '%s'", file->path);
    file->size += len;
    return NULL;
}

struct lg_error *lg_new_file_finish(struct lg_new_file *file)
{
    FILE *stream = lg_steal(file->file);
    if (fclose(stream) != 0)
        return lg_error_os(errno, "writing '%s'", file->path);
    pthread_mutex_lock(&lock);
    bool is_there = rename(file->temporary, file->path) == 0;
    int number = errno;
    if (is_there) {
        forget(file);
        free(lg_steal(file->temporary));
    }
    pthread_mutex_unlock(&lock);
    return is_there ? NULL : lg_error_os(number, "writing '%s'", file->path);
}

void lg_new_file_free(struct lg_new_file *file)
{
    if (!file)
        return;
    if (file->file)
        fclose(file->file);
    pthread_mutex_lock(&lock);
    forget(file);
    if (file->temporary)
        unlink(file->temporary);
    pthread_mutex_unlock(&lock);
    free(file->temporary);
    free(file->path);
    free(file);
}
