#include "clr/runtime_image.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "util/error.h"

#define LIBCORECLR "libcoreclr.so"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// Replaced on disk while it runs, as an upgrade of the package does, its name ends in " (deleted)".
static bool is_named(const char *path, const char *name)
{
    const char *base = base_name(path);
    size_t len = strlen(name);
    return strncmp(base, name, len) == 0 && (base[len] == 0 || strcmp(base + len, " (deleted)") == 0);
}

static bool exports(const struct lg_image *image, const char *symbol)
{
    uint64_t address, size;
    return lg_image_symbol(image, symbol, &address, &size);
}

// Only the hosts of single-file apps export it (reference clr.md A.1, measured).
bool lg_runtime_image_is_single_file(const struct lg_image *image)
{
    return exports(image, "DotNetRuntimeInfo");
}

// ---- finding ----

static const struct lg_range *range_named(const struct lg_target *target, const char *name)
{
    for (size_t i = 0; i < target->ranges.len; i++) {
        const struct lg_range *range = &target->ranges.at[i];
        if (range->offset == 0 && is_named(range->path, name))
            return range;
    }
    return NULL;
}

static bool maps_something_like(const struct lg_target *target, const char *part)
{
    for (size_t i = 0; i < target->ranges.len; i++) {
        if (target->ranges.at[i].path[0] && strstr(base_name(target->ranges.at[i].path), part))
            return true;
    }
    return false;
}

struct candidates {
    struct lg_image runtime;
    bool found;
    const char *native_aot;
};

static bool is_runtime(const struct lg_image *image, void *data)
{
    struct candidates *c = data;
    if (exports(image, "g_dacTable")) {
        c->runtime = *image;
        c->found = true;
        return true;
    }
    if (!c->native_aot && exports(image, "DotNetRuntimeDebugHeader"))
        c->native_aot = image->path;
    return false;
}

// Mono has a build that is called libcoreclr.so, too.
static struct lg_error *refuse_mono(const struct lg_image *image)
{
    if (!exports(image, "mono_get_root_domain") && !exports(image, "mono_jit_init"))
        return NULL;
    return lg_error_new(LG_ERR_UNSUPPORTED, "'%s' is the Mono runtime, which linger does not read",
                        image->path);
}

// Wine maps the libraries of Windows as files, by their own names in any case.
static bool maps_dll(const struct lg_target *target, const char *name)
{
    for (size_t i = 0; i < target->ranges.len; i++) {
        if (strcasecmp(base_name(target->ranges.at[i].path), name) == 0)
            return true;
    }
    return false;
}

static struct lg_error *under_wine(const struct lg_target *target)
{
    static const char *const framework[] = { "clr.dll", "mscorwks.dll", "mscorsvr.dll" };
    if (!maps_dll(target, "ntdll.dll"))
        return NULL;
    for (size_t i = 0; i < sizeof(framework) / sizeof(*framework); i++) {
        if (maps_dll(target, framework[i]))
            return lg_error_new(LG_ERR_UNSUPPORTED,
                                "it runs .NET Framework (%s) under Wine, which linger does not read",
                                framework[i]);
    }
    if (maps_dll(target, "coreclr.dll"))
        return lg_error_new(LG_ERR_UNSUPPORTED,
                            "it runs the Windows build of .NET (coreclr.dll) under Wine; linger reads "
                            "the Linux build");
    return NULL;
}

// NOT_FOUND is for what may be there in a moment, UNSUPPORTED for what never will be.
static struct lg_error *nothing_found(struct lg_target *target, const struct candidates *c)
{
    if (c->native_aot)
        return lg_error_new(
            LG_ERR_UNSUPPORTED,
            "'%s' is a NativeAOT program: its runtime tells nothing that linger could read",
            c->native_aot);
    struct lg_error *err = under_wine(target);
    if (err)
        return err;
    if (maps_something_like(target, "libmonosgen") || maps_something_like(target, "libmono-"))
        return lg_error_new(LG_ERR_UNSUPPORTED, "it runs on Mono, which linger does not read");
    if (range_named(target, "libhostfxr.so") || range_named(target, "libhostpolicy.so")
        || range_named(target, "dotnet"))
        return lg_error_new(LG_ERR_NOT_FOUND,
                            "the .NET host has not loaded the runtime yet; try again in a moment");
    if (target->kind == LG_TARGET_CORE && !maps_something_like(target, ""))
        return lg_error_new(
            LG_ERR_UNSUPPORTED,
            "the core does not tell which files were mapped, so no runtime can be found");
    return lg_error_new(LG_ERR_UNSUPPORTED, "no .NET runtime is loaded in it");
}

struct lg_error *lg_runtime_image_find(struct lg_target *target, struct lg_image *ret)
{
    const struct lg_range *named = range_named(target, LIBCORECLR);
    struct lg_image image;
    if (named) {
        struct lg_error *err = lg_image_open(target, named->path, named->start, &image);
        if (err)
            return err;
    } else {
        struct candidates c = { 0 };
        lg_images_each(target, is_runtime, &c);
        if (!c.found)
            return nothing_found(target, &c);
        image = c.runtime;
    }
    *ret = image;
    return refuse_mono(&image);
}

// ---- version ----

// The folder that libcoreclr.so lies in, when it is called as versions are: "10.0.12",
// "10.0.0-rc.2.25502.107".
static bool version_from_path(const char *path, char *ret, size_t size)
{
    const char *end = strrchr(path, '/');
    const char *start = end;
    while (start && start > path && start[-1] != '/')
        start--;
    if (!start || !isdigit((unsigned char)*start) || !memchr(start, '.', (size_t)(end - start)))
        return false;
    for (const char *p = start; p < end; p++) {
        if (!isalnum((unsigned char)*p) && !strchr(".-+", *p))
            return false;
    }
    int len = snprintf(ret, size, "%.*s", (int)(end - start), start);
    return len > 0 && (size_t)len < size;
}

// File versions have the patch in their third part: 10.0.1226.42308 is patch 12, built in the year 26.
static bool write_version(const uint32_t parts[3], char *ret, size_t size)
{
    if (parts[0] == 0 || parts[0] > 99 || parts[1] > 99)
        return false;
    snprintf(ret, size, "%u.%u.%u", parts[0], parts[1], parts[2] / 100);
    return true;
}

// DotNetRuntimeInfo: signature, version @20, three build-ids, and from version 2 on int[4] @96
// (reference clr.md A.7).
static bool version_from_info(const struct lg_image *image, char *ret, size_t size)
{
    uint64_t address, len;
    uint32_t version, parts[4];
    char signature[18];
    if (!lg_image_symbol(image, "DotNetRuntimeInfo", &address, &len)
        || !lg_target_read_all(image->target, address, signature, sizeof(signature))
        || memcmp(signature, "DotNetRuntimeInfo", sizeof(signature)) != 0
        || !lg_target_u32(image->target, address + 20, &version) || version < 2
        || !lg_target_read_all(image->target, address + 96, parts, sizeof(parts)))
        return false;
    return write_version(parts, ret, size);
}

// It is among the variables (measured on 8.0.33, 10.0.12).
static bool version_from_text(const struct lg_image *image, char *ret, size_t size)
{
    char text[64];
    uint32_t parts[3];
    return lg_image_text(image, "@(#)Version ", text, sizeof(text))
           && sscanf(text, "@(#)Version %2u.%2u.%9u", &parts[0], &parts[1], &parts[2]) == 3
           && write_version(parts, ret, size);
}

bool lg_runtime_image_version(const struct lg_image *image, char *ret, size_t size)
{
    if (lg_runtime_image_is_single_file(image))
        return version_from_info(image, ret, size) || version_from_text(image, ret, size);
    return version_from_path(image->path, ret, size) || version_from_text(image, ret, size);
}
