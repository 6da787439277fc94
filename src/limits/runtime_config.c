// runtimeconfig.json: what the app's build says the runtime shall do. It lies beside the app:
//
//     dotnet [exec] [--runtimeconfig FILE] /app/Shop.dll     FILE, or /app/Shop.runtimeconfig.json
//     /app/Shop                                              /app/Shop.runtimeconfig.json
//
// The host hands `configProperties` to the runtime as text (dotnet/runtime
// src/native/corehost/runtime_config.cpp @05284b2): a string as it is, true and false as words, a number
// as written.
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "limits/limits_priv.h"
#include "target/proc.h"
#include "target/processes.h"
#include "util/json_read.h"

enum { PROPERTIES_MAX = 4096, ARGS_MAX = 64 << 10, PATH_LEN = 4096 };

const char *lg_property_get(const struct lg_properties *properties, const char *name)
{
    for (size_t i = 0; i < properties->all.len; i++) {
        if (strcmp(properties->all.at[i].name, name) == 0)
            return properties->all.at[i].value;
    }
    return NULL;
}

// ---- parsing ----

struct collector {
    struct lg_arena *arena;
    struct lg_properties *properties;
    bool full;
};

// The text that the host makes of a value; NULL: of no kind that the GC reads.
static const char *value_text(const struct lg_json *value, struct lg_arena *arena)
{
    const char *string = lg_json_string(value);
    uint64_t number;
    bool truth;
    if (string)
        return lg_arena_copy(arena, string, strlen(string));
    if (lg_json_kind(value) == LG_JSON_NUMBER && lg_json_u64(value, &number))
        return lg_arena_format(arena, "%" PRIu64, number);
    if (lg_json_bool(value, &truth))
        return truth ? "true" : "false";
    return NULL;
}

static bool add_member(const char *key, const struct lg_json *value, void *data)
{
    struct collector *collector = data;
    struct lg_property property = { lg_arena_copy(collector->arena, key, strlen(key)),
                                    value_text(value, collector->arena) };
    if (!property.name)
        return (collector->full = true);
    if (!property.value)
        return false;
    collector->full = !lg_vec_push(&collector->properties->all, property);
    return collector->full || collector->properties->all.len >= PROPERTIES_MAX;
}

struct lg_error *lg_runtime_config_parse(const char *text, size_t len, struct lg_arena *arena,
                                         struct lg_properties *ret)
{
    static const char mark[] = "\xef\xbb\xbf"; // Editors of Windows put one there.
    if (len >= 3 && memcmp(text, mark, 3) == 0) {
        text += 3;
        len -= 3;
    }
    _cleanup_(lg_json_freep) struct lg_json *doc = NULL;
    struct lg_error *err = lg_json_parse(text, len, &doc);
    if (err)
        return err;
    struct collector collector = { arena, ret, false };
    lg_json_members_each(lg_json_member(lg_json_member(doc, "runtimeOptions"), "configProperties"),
                         add_member, &collector);
    ret->known = !collector.full;
    return collector.full ? &lg_no_memory : NULL;
}

// ---- finding ----

static bool ends_with(const char *s, const char *end)
{
    size_t len = strlen(s), end_len = strlen(end);
    return len >= end_len && strcmp(s + len - end_len, end) == 0;
}

static const char *beside(const char *app, size_t extension, struct lg_arena *arena)
{
    return lg_arena_format(arena, "%.*s.runtimeconfig.json", (int)(strlen(app) - extension), app);
}

static const char *next_arg(const char *arg, const char *end)
{
    const char *next = arg + strlen(arg) + 1;
    return next < end ? next : NULL;
}

static const char *config_of_dotnet(const char *args, size_t len, struct lg_arena *arena)
{
    const char *app = lg_dotnet_app(args, len), *end = app ? app : args + len;
    for (const char *arg = next_arg(args, end); arg; arg = next_arg(arg, end)) {
        const char *value = next_arg(arg, end);
        if (value && strcmp(arg, "--runtimeconfig") == 0)
            return lg_arena_copy(arena, value, strlen(value));
    }
    return app ? beside(app, 4, arena) : NULL;
}

const char *lg_runtime_config_path(const char *args, size_t len, const char *exe, struct lg_arena *arena)
{
    const char *name = exe && strrchr(exe, '/') ? strrchr(exe, '/') + 1 : exe;
    bool is_dotnet = name && strcmp(name, "dotnet") == 0;
    if (is_dotnet && len > 0 && args[len - 1] == '\0')
        return config_of_dotnet(args, len, arena);
    return name && !is_dotnet ? beside(exe, 0, arena) : NULL;
}

static ssize_t read_link(int proc, const char *name, char path[PATH_LEN])
{
    static const char deleted[] = " (deleted)";
    ssize_t n = readlinkat(proc, name, path, PATH_LEN - 1);
    path[n > 0 ? n : 0] = '\0';
    if (n > 0 && ends_with(path, deleted))
        path[n - (ssize_t)sizeof(deleted) + 1] = '\0';
    return n;
}

// Paths are those of the process: within its root, and relative ones to where it is now.
static struct lg_error *read_file(const struct lg_limits_place *place, const char *path,
                                  struct lg_arena *arena, struct lg_properties *ret)
{
    char folder[PATH_LEN] = "";
    if (*path != '/')
        read_link(place->proc, "cwd", folder);
    ret->path = *path == '/' ? path : lg_arena_format(arena, "%s/%s", folder, path);
    if (!ret->path)
        return &lg_no_memory;
    _cleanup_close_ int root = openat(place->proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    size_t len = 0;
    _cleanup_free_ char *text = root < 0 ? NULL : lg_file_read(root, ret->path, &len);
    if (!text) {
        ret->problem = lg_arena_format(arena, "%s cannot be read: %m", ret->path);
        return NULL;
    }
    struct lg_error *err = lg_runtime_config_parse(text, len, arena, ret);
    if (!err || lg_error_kind(err) == LG_ERR_NO_MEMORY)
        return err;
    ret->problem = lg_arena_format(arena, "%s: %s", ret->path, lg_error_message(err));
    lg_error_free(err);
    return NULL;
}

struct lg_error *lg_runtime_config_read(const struct lg_limits_place *place, struct lg_arena *arena,
                                        struct lg_properties *ret)
{
    char exe[PATH_LEN];
    _cleanup_free_ char *args = malloc(ARGS_MAX);
    if (!args)
        return &lg_no_memory;
    ssize_t len = lg_proc_read(place->proc, "cmdline", args, ARGS_MAX);
    ssize_t exe_len = read_link(place->proc, "exe", exe);
    const char *path =
        lg_runtime_config_path(args, len > 0 ? (size_t)len : 0, exe_len > 0 ? exe : NULL, arena);
    if (!path) {
        ret->problem = "neither command line nor executable tell where the app's runtimeconfig.json is";
        return NULL;
    }
    return read_file(place, path, arena, ret);
}
