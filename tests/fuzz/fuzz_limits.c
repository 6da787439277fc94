// Files of /proc and of apps: any text is read to its end, and what comes of it stays within bounds. The
// text is cut in two at its first NUL: control groups need a cgroup file and a mountinfo.
#include <stdlib.h>
#include <string.h>

#include "limits/limits_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct lg_error *err)
{
    lg_error_free(err);
}

static void try_groups(const char *first, const char *second, struct lg_arena *arena)
{
    for (enum lg_cgroup_controller c = 0; c < LG_CGROUP_CONTROLLERS; c++) {
        struct lg_cgroup group;
        check(lg_cgroup_parse(first, second, c, 0, arena, &group));
        // No path that leads out of the mount.
        if (group.version && (strstr(group.group, "/../") || strlen(group.group) >= 4096))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lg_arena arena = { NULL };
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    size_t len = strlen(text);
    const char *second = len < size ? text + len + 1 : "";
    try_groups(text, second, &arena);
    lg_ulimit_parse(text, "Max open files");
    lg_text_amount(text, "MemTotal");
    lg_runtime_config_path(text, size, "/usr/bin/dotnet", &arena);
    struct lg_environment environment = { text, size };
    const char *value = lg_environment_get(&environment, "A");
    if (value && value + strlen(value) > text + size)
        abort();
    struct lg_properties properties = { .known = false };
    check(lg_runtime_config_parse(text, size, &arena, &properties));
    for (size_t i = 0; i < properties.all.len; i++) {
        if (!properties.all.at[i].name || !properties.all.at[i].value)
            abort();
    }
    lg_vec_free(&properties.all);
    lg_arena_free(&arena);
    free(text);
    return 0;
}
