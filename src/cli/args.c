// Command lines: options by table, values, positional words.
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "cli/command.h"
#include "cli/nearest.h"
#include "util/vec.h"

const struct lg_option lg_common_options[] = {
    { "json", LG_OPT_FLAG, NULL, "print JSON (docs/output.md)" },
    { "tsv", LG_OPT_FLAG, NULL, "print the main table as tab-separated values" },
    { "o", LG_OPT_TEXT, "FILE", "print into FILE" },
    { "dac", LG_OPT_TEXT, "FILE",
      "the runtime's libmscordaccore.so, if it is elsewhere; none: without" },
    { "help", LG_OPT_FLAG, NULL, "explain the command" },
    { 0 },
};

const struct lg_option lg_target_options[] = {
    { "max-pause", LG_OPT_NUMBER, "MS", "process: let it stand still for no longer" },
    { "max-cow", LG_OPT_SIZE, "SIZE", "process: give up its copy once that costs more memory" },
    { "gc", LG_OPT_FLAG, NULL, "process: have it make a full collection first" },
    { "sysroot", LG_OPT_TEXT, "DIR", "core: look below DIR for the files that the process had mapped" },
    { 0 },
};

struct value {
    const struct lg_option *option;
    const char *text; // NULL for a flag.
    uint64_t number;
};

struct lg_args {
    const struct lg_command *command;
    LG_VEC(struct value) values;
    LG_VEC(const char *) words;
    size_t taken;
};

static const struct lg_option *find_in(const struct lg_option *options, const char *name, size_t len)
{
    for (; options && options->name; options++) {
        if (strlen(options->name) == len && memcmp(options->name, name, len) == 0)
            return options;
    }
    return NULL;
}

static const struct lg_option *find_option(const struct lg_command *command, const char *name,
                                           size_t len)
{
    const struct lg_option *option = find_in(command->options, name, len);
    if (!option
        && (command->needs == LG_NEEDS_HEAP || command->needs == LG_OPENS_TARGET
            || command->needs == LG_TAKES_TARGET))
        option = find_in(lg_target_options, name, len);
    return option ? option : find_in(lg_common_options, name, len);
}

const struct lg_option *lg_option_find(const struct lg_command *command, const char *word)
{
    if (word[0] != '-')
        return NULL;
    const char *name = word + (word[1] == '-' ? 2 : 1);
    return find_option(command, name, strcspn(name, "="));
}

// ---- values ----

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : UINT8_MAX;
}

// The digits of one word, all of them; false if there is anything else, or too much.
static bool parse_digits(const char *s, const char *end, unsigned base, uint64_t *ret)
{
    uint64_t value = 0;
    if (s == end)
        return false;
    for (; s < end; s++) {
        unsigned digit = digit_value(*s);
        if (digit >= base || __builtin_mul_overflow(value, base, &value)
            || __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *ret = value;
    return true;
}

static bool is_hex(const char *s)
{
    return s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
}

static bool parse_number(const char *s, uint64_t *ret)
{
    return is_hex(s) ? parse_digits(s + 2, s + strlen(s), 16, ret)
                     : parse_digits(s, s + strlen(s), 10, ret);
}

static bool parse_size(const char *s, uint64_t *ret)
{
    size_t len = strlen(s);
    const char *units = "kmgt";
    const char *unit = len > 0 && !is_hex(s) ? strchr(units, s[len - 1] | 0x20) : NULL;
    if (!unit)
        return parse_number(s, ret);
    unsigned shift = 10 * (unsigned)(unit - units + 1);
    if (!parse_digits(s, s + len - 1, 10, ret) || *ret > UINT64_MAX >> shift)
        return false;
    *ret <<= shift;
    return true;
}

// Milliseconds. A number alone is seconds.
static bool parse_duration(const char *s, uint64_t *ret)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "", 1000 } };
    size_t digits = strspn(s, "0123456789");
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        if (strcmp(s + digits, units[i].unit) == 0)
            return parse_digits(s, s + digits, 10, ret)
                   && !__builtin_mul_overflow(*ret, units[i].ms, ret);
    }
    return false;
}

// Hex, always; 0x may lead, and one backtick may part it, as WinDbg prints: 00007f0f`5a400028.
static bool parse_address(const char *s, uint64_t *ret)
{
    char digits[64];
    size_t len = 0;
    bool parted = false;
    for (s += is_hex(s) ? 2 : 0; *s; s++) {
        if (len == sizeof(digits) || (*s == '`' && (parted || len == 0)))
            return false;
        if (*s == '`')
            parted = true;
        else
            digits[len++] = *s;
    }
    return parse_digits(digits, digits + len, 16, ret);
}

static struct lg_error *parse_value(struct value *value)
{
    static const struct {
        bool (*parse)(const char *s, uint64_t *ret);
        const char *what;
    } kinds[] = {
        [LG_OPT_ADDRESS] = { parse_address, "address (hex, as in 7f0f5a4100f8)" },
        [LG_OPT_SIZE] = { parse_size, "size (4096, 0x1000, 4k, 1m, 2g)" },
        [LG_OPT_NUMBER] = { parse_number, "number" },
        [LG_OPT_DURATION] = { parse_duration, "duration (500ms, 30s, 10m, 1h)" },
    };
    enum lg_option_kind kind = value->option->kind;
    if (!value->text || kind == LG_OPT_FLAG || kind == LG_OPT_TEXT
        || kinds[kind].parse(value->text, &value->number))
        return NULL;
    return lg_error_new(LG_ERR_USAGE, "option '-%s': '%s' is no %s", value->option->name, value->text,
                        kinds[kind].what);
}

// ---- parsing ----

static struct lg_error *unknown_option(const struct lg_command *command, const char *word)
{
    size_t dashes = strspn(word, "-"), len = strcspn(word + dashes, "=");
    _cleanup_free_ char *name = strndup(word + dashes, len);
    if (!name)
        return &lg_no_memory;
    struct lg_nearest nearest = lg_nearest(name);
    for (const struct lg_option *o = command->options; o && o->name; o++) {
        if (o->help)
            lg_nearest_offer(&nearest, o->name);
    }
    for (const struct lg_option *o = lg_target_options; o->name; o++)
        lg_nearest_offer(&nearest, o->name);
    for (const struct lg_option *o = lg_common_options; o->name; o++)
        lg_nearest_offer(&nearest, o->name);
    const char *dash = dashes > 1 ? "--" : "-";
    if (nearest.name)
        return lg_error_new(LG_ERR_USAGE, "unknown option '%s%s'; did you mean '%s%s'?", dash, name,
                            dash, nearest.name);
    return lg_error_new(LG_ERR_USAGE, "unknown option '%s%s'; 'help %s' lists them", dash, name,
                        command->name);
}

// A value in brackets may be left out: the next word is it only if it can be.
static bool may_lack_value(const struct lg_option *option, const char *next)
{
    uint64_t number;
    return option->value[0] == '[' && (!next || !parse_number(next, &number));
}

// Takes an option, and its value from `next` if it has not got one after '='; `*took_next_ret` says so.
static struct lg_error *parse_option(struct lg_args *args, const char *word, const char *next,
                                     bool *took_next_ret)
{
    const char *name = word + (word[1] == '-' ? 2 : 1);
    size_t len = strcspn(name, "=");
    struct value value = { .option = find_option(args->command, name, len) };
    *took_next_ret = false;
    if (!value.option)
        return unknown_option(args->command, word);
    if (value.option->kind == LG_OPT_FLAG) {
        if (name[len])
            return lg_error_new(LG_ERR_USAGE, "option '-%s' takes no value", value.option->name);
    } else if (name[len] || !may_lack_value(value.option, next)) {
        value.text = name[len] ? name + len + 1 : next;
        *took_next_ret = !name[len];
        if (!value.text)
            return lg_error_new(LG_ERR_USAGE, "option '-%s' needs a value: -%s %s", value.option->name,
                                value.option->name, value.option->value);
    }
    struct lg_error *err = parse_value(&value);
    if (!err && !lg_vec_push(&args->values, value))
        err = &lg_no_memory;
    return err;
}

static struct lg_error *parse_words(struct lg_args *args, int count, char *const *words)
{
    bool options = true;
    for (int i = 0; i < count; i++) {
        const char *word = words[i];
        if (options && strcmp(word, "--") == 0) {
            options = false;
        } else if (!options || word[0] != '-' || !word[1]) {
            if (!lg_vec_push(&args->words, word))
                return &lg_no_memory;
            options &= args->command->needs != LG_NEEDS_SHELL; // Those that follow are not ours.
        } else {
            bool took_next;
            struct lg_error *err =
                parse_option(args, word, i + 1 < count ? words[i + 1] : NULL, &took_next);
            if (err)
                return err;
            i += took_next;
        }
    }
    return NULL;
}

struct lg_error *lg_args_parse(const struct lg_command *command, int count, char *const *words,
                               struct lg_args **ret)
{
    _cleanup_(lg_args_freep) struct lg_args *args = calloc(1, sizeof(*args));
    if (!args)
        return &lg_no_memory;
    args->command = command;
    struct lg_error *err = parse_words(args, count, words);
    if (!err)
        *ret = lg_steal(args);
    return err;
}

void lg_args_free(struct lg_args *args)
{
    if (!args)
        return;
    lg_vec_free(&args->values);
    lg_vec_free(&args->words);
    free(args);
}

// ---- asking ----

static const struct value *last_value(const struct lg_args *args, const char *name)
{
    const struct lg_option *option = find_option(args->command, name, strlen(name));
    assert(option);
    for (size_t i = args->values.len; i-- > 0;) {
        if (args->values.at[i].option == option)
            return &args->values.at[i];
    }
    return NULL;
}

bool lg_args_has(const struct lg_args *args, const char *option)
{
    return last_value(args, option) != NULL;
}

bool lg_args_has_target_option(const struct lg_args *args, const char *option)
{
    const struct lg_option *of_target = find_in(lg_target_options, option, strlen(option));
    assert(of_target);
    return find_option(args->command, option, strlen(option)) == of_target && lg_args_has(args, option);
}

const char *lg_args_text(const struct lg_args *args, const char *option)
{
    const struct value *value = last_value(args, option);
    return value ? value->text : NULL;
}

const char *lg_args_text_at(const struct lg_args *args, const char *option, size_t i)
{
    for (size_t v = 0; v < args->values.len; v++) {
        if (strcmp(args->values.at[v].option->name, option) == 0 && i-- == 0)
            return args->values.at[v].text;
    }
    return NULL;
}

uint64_t lg_args_number(const struct lg_args *args, const char *option, uint64_t otherwise)
{
    const struct value *value = last_value(args, option);
    assert(!value || value->option->kind >= LG_OPT_ADDRESS);
    return value ? value->number : otherwise;
}

size_t lg_args_count(const struct lg_args *args)
{
    return args->words.len - args->taken;
}

const char *lg_args_at(const struct lg_args *args, size_t i)
{
    assert(i < lg_args_count(args));
    return args->words.at[args->taken + i];
}

const char *lg_args_take(struct lg_args *args)
{
    return lg_args_count(args) > 0 ? args->words.at[args->taken++] : NULL;
}

struct lg_error *lg_args_address(const struct lg_args *args, size_t i, uint64_t *ret)
{
    if (i >= lg_args_count(args))
        return lg_error_new(LG_ERR_USAGE, "expected an address: %s %s", args->command->name,
                            args->command->usage);
    if (!parse_address(lg_args_at(args, i), ret))
        return lg_error_new(LG_ERR_USAGE, "'%s' is no address", lg_args_at(args, i));
    return NULL;
}

struct lg_error *lg_args_expect(const struct lg_args *args, size_t least, size_t most)
{
    size_t count = lg_args_count(args);
    const char *gap = *args->command->usage ? " " : "";
    if (count < least)
        return lg_error_new(LG_ERR_USAGE, "too few arguments; expected %s%s%s", args->command->name, gap,
                            args->command->usage);
    if (count > most)
        return lg_error_new(LG_ERR_USAGE, "'%s' is one argument too many; expected %s%s%s",
                            lg_args_at(args, most), args->command->name, gap, args->command->usage);
    return NULL;
}
