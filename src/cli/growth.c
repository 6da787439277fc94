#include "cli/growth.h"

#include <math.h>
#include <stdlib.h>

#include "util/vec.h"

// One a second for a minute, and the one before.
enum { READINGS = 64, MINUTE = 60 };

struct track {
    int pid;
    int64_t start_ticks;
    unsigned count; // of readings so far; reading i is at i % READINGS
    struct lg_growth_reading readings[READINGS];
};

struct lg_growth {
    LG_VEC(struct track *) tracks;
};

struct lg_growth *lg_growth_new(void)
{
    return calloc(1, sizeof(struct lg_growth));
}

void lg_growth_free(struct lg_growth *growth)
{
    if (!growth)
        return;
    for (size_t i = 0; i < growth->tracks.len; i++)
        free(growth->tracks.at[i]);
    lg_vec_free(&growth->tracks);
    free(growth);
}

static struct track *find(struct lg_growth *growth, int pid, int64_t start_ticks)
{
    for (size_t i = 0; i < growth->tracks.len; i++) {
        struct track *track = growth->tracks.at[i];
        if (track->pid == pid && track->start_ticks == start_ticks)
            return track;
    }
    struct track *track = calloc(1, sizeof(*track));
    if (!track || !lg_vec_push(&growth->tracks, track)) {
        free(track);
        return NULL;
    }
    track->pid = pid;
    track->start_ticks = start_ticks;
    return track;
}

static const struct lg_growth_reading *reading_at(const struct track *track, unsigned i)
{
    return &track->readings[i % READINGS];
}

// Since the oldest reading of the last minute that knows the value, or else the newest before that.
static double growth_of(const struct track *track, int value, const struct lg_growth_reading *now)
{
    const struct lg_growth_reading *from = NULL;
    unsigned first = track->count > READINGS ? track->count - READINGS : 0;
    for (unsigned i = track->count; i-- > first;) {
        const struct lg_growth_reading *reading = reading_at(track, i);
        if (from && now->seconds - reading->seconds > MINUTE)
            break;
        if (reading->values[value] >= 0 && reading->seconds < now->seconds)
            from = reading;
    }
    if (!from || now->values[value] < 0)
        return NAN;
    return (double)(now->values[value] - from->values[value]) / (now->seconds - from->seconds) * MINUTE;
}

void lg_growth_add(struct lg_growth *growth, int pid, int64_t start_ticks,
                   const struct lg_growth_reading *reading, double per_minute_ret[LG_GROWTH_VALUES])
{
    struct track *track = find(growth, pid, start_ticks);
    for (int v = 0; v < LG_GROWTH_VALUES; v++)
        per_minute_ret[v] = track ? growth_of(track, v, reading) : NAN;
    if (track)
        track->readings[track->count++ % READINGS] = *reading;
}

void lg_growth_forget(struct lg_growth *growth, double seconds)
{
    size_t kept = 0;
    for (size_t i = 0; i < growth->tracks.len; i++) {
        struct track *track = growth->tracks.at[i];
        if (reading_at(track, track->count - 1)->seconds >= seconds)
            growth->tracks.at[kept++] = track;
        else
            free(track);
    }
    growth->tracks.len = kept;
}
