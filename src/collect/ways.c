// Where elements lie is that of leak-ranking.md 8.2 and 8.3: dotnet/runtime src/libraries at the
// versions 8 to 10.
#include "collect/ways.h"

#include <string.h>

#define GENERIC "System.Collections.Generic."
#define CONCURRENT "System.Collections.Concurrent."
#define IMMUTABLE "System.Collections.Immutable."
#define TREE "<Left>k__BackingField|<Right>k__BackingField* <Item>k__BackingField"
// Since 8 a bucket is a struct.
#define BUCKETS "_tables _buckets []._node|[] _next* "
#define TIMERS "_shortTimers|_longTimers _next* "
#define MEMORY_CACHE \
    "_coherentState " \
    "_stringEntries|_nonStringEntries|_entries|_stringAltLookup.<Dictionary>k__BackingField " BUCKETS

// `steps`: labels, one behind the other. a|b is one of them; * means any number of times; the last may
// go on (".Ref"). Rows of one owner stand together.
static const struct lg_way table[] = {
    { GENERIC "List", "List", LG_WAY_LIST, "_items []", "items" },
    { GENERIC "Dictionary", "Dictionary", LG_WAY_ENTRIES, "_entries [].value", "values" },
    { GENERIC "Dictionary", "Dictionary", LG_WAY_OTHER, "_entries [].key", "keys" },
    { GENERIC "OrderedDictionary", "OrderedDictionary", LG_WAY_ENTRIES, "_entries [].Value", "values" },
    { GENERIC "OrderedDictionary", "OrderedDictionary", LG_WAY_OTHER, "_entries [].Key", "keys" },
    { GENERIC "HashSet", "HashSet", LG_WAY_OTHER, "_entries [].Value|[].value", "items" },
    { GENERIC "Queue", "Queue", LG_WAY_QUEUE, "_array []", "items" },
    { GENERIC "Stack", "Stack", LG_WAY_LIST, "_array []", "items" },
    { GENERIC "PriorityQueue", "PriorityQueue", LG_WAY_OTHER, "_nodes [].Item1", "items" },
    { GENERIC "PriorityQueue", "PriorityQueue", LG_WAY_OTHER, "_nodes [].Item2", "priorities" },
    { GENERIC "LinkedList", "LinkedList", LG_WAY_OTHER, "head next|prev* item", "items" },
    { GENERIC "SortedList", "SortedList", LG_WAY_OTHER, "values []", "values" },
    { GENERIC "SortedList", "SortedList", LG_WAY_OTHER, "keys []", "keys" },
    { GENERIC "SortedDictionary", "SortedDictionary", LG_WAY_MAP, "_set root " TREE ".value", "values" },
    { GENERIC "SortedDictionary", "SortedDictionary", LG_WAY_OTHER, "_set root " TREE ".key", "keys" },
    { GENERIC "SortedSet", "SortedSet", LG_WAY_OTHER, "root " TREE, "items" },
    { CONCURRENT "ConcurrentDictionary", "ConcurrentDictionary", LG_WAY_MAP, BUCKETS "_value",
      "values" },
    { CONCURRENT "ConcurrentDictionary", "ConcurrentDictionary", LG_WAY_OTHER, BUCKETS "_key", "keys" },
    { CONCURRENT "ConcurrentQueue", "ConcurrentQueue", LG_WAY_OTHER,
      "_head|_tail _nextSegment* _slots [].Item", "items" },
    { CONCURRENT "ConcurrentStack", "ConcurrentStack", LG_WAY_OTHER, "_head _next* _value", "items" },
    { CONCURRENT "ConcurrentBag", "ConcurrentBag", LG_WAY_OTHER,
      "_workStealingQueues _nextQueue* _array []", "items" },
    { "System.Collections.ObjectModel.Collection", "Collection", LG_WAY_LIST, "items _items []",
      "items" },
    { "System.Collections.Hashtable", "Hashtable", LG_WAY_MAP, "_buckets [].val", "values" },
    { "System.Collections.Hashtable", "Hashtable", LG_WAY_OTHER, "_buckets [].key", "keys" },
    { "System.Collections.ArrayList", "ArrayList", LG_WAY_LIST, "_items []", "items" },
    { IMMUTABLE "ImmutableList", "ImmutableList", LG_WAY_OTHER, "_root _left|_right* _key", "items" },
    { IMMUTABLE "ImmutableDictionary", "ImmutableDictionary", LG_WAY_MAP,
      "_root _left|_right* _value._firstValue.value", "values" },
    { IMMUTABLE "ImmutableDictionary", "ImmutableDictionary", LG_WAY_OTHER,
      "_root _left|_right* _value._firstValue.key", "keys" },
    { IMMUTABLE "ImmutableSortedDictionary", "ImmutableSortedDictionary", LG_WAY_MAP,
      "_root _left|_right* _value", "values" },
    { IMMUTABLE "ImmutableSortedDictionary", "ImmutableSortedDictionary", LG_WAY_OTHER,
      "_root _left|_right* _key", "keys" },
    { IMMUTABLE "ImmutableSortedSet", "ImmutableSortedSet", LG_WAY_OTHER, "_root _left|_right* _key",
      "items" },
    { "Microsoft.Extensions.Caching.Memory.MemoryCache", "MemoryCache", LG_WAY_MAP,
      MEMORY_CACHE "_value _value|<Value>k__BackingField", "values" },
    { "Microsoft.Extensions.Caching.Memory.MemoryCache", "MemoryCache", LG_WAY_OTHER,
      MEMORY_CACHE "_key", "keys" },
    { "Microsoft.Extensions.Caching.Memory.MemoryCache", "MemoryCache", LG_WAY_OTHER,
      MEMORY_CACHE "_value <Key>k__BackingField", "keys" },
    { "System.MulticastDelegate", NULL, LG_WAY_DELEGATE, "_target", "targets" },
    { "System.MulticastDelegate", NULL, LG_WAY_DELEGATE, "_invocationList [] _target", "targets" },
    { "System.Threading.Timer", "Timer", LG_WAY_TIMER, "_timer _timer _timerCallback _target",
      "callbacks" },
    { "System.Threading.Timer", "Timer", LG_WAY_TIMER, "_timer _timer _state", "state" },
    { "System.Threading.TimerQueue", "TimerQueue", LG_WAY_TIMER, TIMERS "_timerCallback _target",
      "callbacks" },
    { "System.Threading.TimerQueue", "TimerQueue", LG_WAY_TIMER, TIMERS "_state", "state" },
    { "System.Threading.Tasks.Task", "Task", LG_WAY_OTHER, "m_continuationObject", "continuations" },
    { "System.Threading.Tasks.Task", "Task", LG_WAY_OTHER, "m_continuationObject m_task|m_action",
      "continuations" },
    { "System.Threading.Tasks.Task", "Task", LG_WAY_OTHER, "m_continuationObject _items []",
      "continuations" },
    { "System.Threading.Tasks.Task", "Task", LG_WAY_OTHER,
      "m_continuationObject _items [] m_task|m_action", "continuations" },
    { "System.Threading.CancellationTokenSource", "CancellationTokenSource", LG_WAY_OTHER,
      "_registrations Callbacks Next* CallbackState", "registrations" },
    { "System.Threading.CancellationTokenSource", "CancellationTokenSource", LG_WAY_OTHER,
      "_registrations Callbacks Next* Callback _target", "registrations" },
};
enum { WAYS = sizeof(table) / sizeof(*table), PARENTS_MAX = 16 };

// ---- owners ----

// "System.Collections.Generic.List<App.Order>" is a "System.Collections.Generic.List"; what is nested in
// one is none.
static bool is_of(const char *name, const char *owner)
{
    size_t len = strlen(owner);
    if (strncmp(name, owner, len) != 0 || (name[len] != 0 && name[len] != '<'))
        return false;
    int depth = 0;
    for (const char *at = name + len; *at; at++) {
        depth += *at == '<' ? 1 : *at == '>' ? -1 : 0;
        if (depth == 0 && at[1])
            return false;
    }
    return true;
}

static uint32_t first_row(const char *name)
{
    for (uint32_t i = 0; i < WAYS; i++) {
        if (is_of(name, table[i].owner))
            return i + 1;
    }
    return 0;
}

static bool find_owner(struct lg_ways *ways, const struct lg_type *type, uint32_t *ret)
{
    if (lg_map_get(&ways->of_type, type->id, ret))
        return true;
    *ret = 0;
    const struct lg_type *at = type->flags & (LG_TYPE_ARRAY | LG_TYPE_STRING) ? NULL : type;
    for (unsigned i = 0; at && *ret == 0 && i < PARENTS_MAX; i++) {
        *ret = first_row(lg_clr_type_name(ways->clr, at));
        at = at->parent_mt ? lg_clr_type(ways->clr, at->parent_mt) : NULL;
    }
    return lg_map_put(&ways->of_type, type->id, *ret);
}

// ---- steps ----

// Length of `label` that is the text of `step`, where "[]" is any index; 0: it is another.
static size_t alike(const char *step, size_t step_len, const char *label)
{
    size_t at = 0;
    for (size_t i = 0; i < step_len; i++) {
        if (label[at] != step[i])
            return 0;
        at++;
        if (step[i] == '[')
            at += strspn(label + at, "0123456789,-");
    }
    return at;
}

// One of "a|b" is the whole label, or, of the `last` step, the beginning of it.
static bool takes(const char *step, size_t len, bool last, const char *label, const char **rest_ret)
{
    while (len > 0) {
        const char *bar = memchr(step, '|', len);
        size_t one = bar ? (size_t)(bar - step) : len, n = alike(step, one, label);
        if (n > 0 && (label[n] == 0 || (last && (label[n] == '.' || label[n] == '[')))) {
            *rest_ret = label + n;
            return true;
        }
        step += one + (bar != NULL);
        len -= one + (bar != NULL);
    }
    return false;
}

// How many edges the way takes; 0: it is not this one.
static size_t follow(const struct lg_way *way, const struct lg_edge *edges, size_t count,
                     const char **rest_ret)
{
    size_t taken = 0;
    for (const char *step = way->steps; *step;) {
        size_t len = strcspn(step, " ");
        bool last = step[len] == 0, any = step[len - 1] == '*';
        size_t before = taken;
        while (taken < count && (any || taken == before)
               && takes(step, len - any, last, edges[taken].label, rest_ret))
            taken++;
        if (taken == before && !any)
            return 0;
        step += len + !last;
    }
    return taken;
}

bool lg_way_find(struct lg_ways *ways, const struct lg_edge *edges, size_t count, size_t *taken_ret,
                 const struct lg_way **ret, const char **rest_ret)
{
    uint32_t row = 0;
    *taken_ret = 0;
    if (count == 0 || !edges[0].type)
        return true;
    if (!find_owner(ways, edges[0].type, &row))
        return false;
    for (uint32_t i = row - 1; row && i < WAYS && strcmp(table[i].owner, table[row - 1].owner) == 0;
         i++) {
        const char *rest = "";
        size_t taken = follow(&table[i], edges, count, &rest);
        if (taken <= *taken_ret)
            continue;
        *taken_ret = taken;
        *ret = &table[i];
        *rest_ret = rest;
    }
    return true;
}

void lg_ways_deinit(struct lg_ways *ways)
{
    lg_map_free(&ways->of_type);
}
