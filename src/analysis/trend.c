#include "analysis/trend.h"

#include <stdlib.h>

#include "util/cleanup.h"

enum { SLOPE_POINTS = 512, STEPS = 16, LEAST_OBJECTS = 2, LEAST_BYTES = 16 << 10 };
static const double least_share = 0.002, least_up = 0.8, most_confidence = 0.99;

// Every so manieth point of a long series, the last of all among them.
struct thinned {
    size_t first, stride, count;
};

static struct thinned thin(size_t points, size_t most)
{
    struct thinned ret = { .stride = (points - 1 + most - 2) / (most - 1) };
    ret.stride += ret.stride == 0;
    ret.first = (points - 1) % ret.stride;
    ret.count = (points - 1) / ret.stride + 1;
    return ret;
}

static size_t point(const struct thinned *thinned, size_t i)
{
    return thinned->first + i * thinned->stride;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof(*values), ascending);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

// `slopes` has room for all pairs.
static double slope(const double *at, const uint64_t *values, const struct thinned *thinned,
                    double *slopes)
{
    size_t count = 0;
    for (size_t j = 1; j < thinned->count; j++) {
        for (size_t i = 0; i < j; i++) {
            size_t a = point(thinned, i), b = point(thinned, j);
            if (at[b] > at[a])
                slopes[count++] = ((double)values[b] - (double)values[a]) / (at[b] - at[a]);
        }
    }
    return median(slopes, count);
}

static bool is_more(double step, double least, double before)
{
    return step >= least && step >= least_share * before;
}

static bool is_up(const uint64_t *counts, const uint64_t *sizes, size_t from, size_t to)
{
    double count = (double)counts[from], size = (double)sizes[from];
    double objects = (double)counts[to] - count, bytes = (double)sizes[to] - size;
    return is_more(objects, LEAST_OBJECTS, count) || (objects >= 0 && is_more(bytes, LEAST_BYTES, size));
}

// The smallest step over the largest.
static double steadiness(const uint64_t *values, const struct thinned *thinned)
{
    double least = 0, most = 0;
    for (size_t i = 0; i + 1 < thinned->count; i++) {
        double step = (double)values[point(thinned, i + 1)] - (double)values[point(thinned, i)];
        least = i == 0 || step < least ? step : least;
        most = i == 0 || step > most ? step : most;
    }
    return most > 0 && least > 0 ? least / most : 0;
}

static double share_up(const uint64_t *counts, const uint64_t *sizes, const struct thinned *thinned)
{
    size_t up = 0;
    for (size_t i = 0; i + 1 < thinned->count; i++)
        up += is_up(counts, sizes, point(thinned, i), point(thinned, i + 1));
    return (double)up / (double)(thinned->count - 1);
}

static double chance(size_t steps)
{
    return steps < 60 ? 1 - 1 / (double)(UINT64_C(1) << steps) : 1;
}

struct lg_error *lg_trend_find(const double *at, const uint64_t *counts, const uint64_t *sizes,
                               size_t points, struct lg_trend *ret)
{
    *ret = (struct lg_trend){ .grows = false };
    if (points < 2)
        return NULL;
    struct thinned fine = thin(points, SLOPE_POINTS), coarse = thin(points, STEPS + 1);
    _cleanup_free_ double *slopes = calloc(fine.count * fine.count, sizeof(*slopes));
    if (!slopes)
        return &lg_no_memory;
    ret->count_rate = slope(at, counts, &fine, slopes);
    ret->size_rate = slope(at, sizes, &fine, slopes);
    ret->up = share_up(counts, sizes, &coarse);
    double by_count = steadiness(counts, &coarse), by_size = steadiness(sizes, &coarse);
    ret->steady = by_count > by_size ? by_count : by_size;
    ret->grows = points >= LG_TREND_LEAST && ret->up >= (points == LG_TREND_LEAST ? 1 : least_up)
                 && (ret->size_rate > 0 || ret->count_rate > 0);
    double confidence = ret->up * (0.4 + 0.6 * ret->steady) * chance(coarse.count - 1);
    ret->confidence = confidence < most_confidence ? confidence : most_confidence;
    return NULL;
}
