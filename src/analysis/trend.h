// Does a series of numbers grow, how fast, and how sure is that?
//
// Each point is a count of objects and their bytes, at a time, or at a step of 1. A step up is one by
// enough objects, or by enough bytes of no fewer objects, to be no noise: 2 objects or 16 KiB at least,
// and 0.2 % of what was there. A long series is judged by 16 steps at most, so that what is slow is no
// noise only because it was looked at often. It grows if every step of three points is one up, and of
// more four in five. The rate is the median of the slopes between all pairs of points (Theil 1950, Sen
// 1968), which a few wild points do not move.
//
//     confidence = up * (0.4 + 0.6 * steady) * (1 - 1 / 2^steps)
//
// with `up` the share of steps up, `steady` the smallest step over the largest, and the last factor for
// what chance would do: a number that goes either way goes up k times in a row once in 2^k.
#ifndef LG_ANALYSIS_TREND_H
#define LG_ANALYSIS_TREND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

struct lg_trend {
    bool grows;
    double up;                    // 0 to 1
    double steady;                // 0 to 1
    double confidence;            // 0 to 0.99
    double count_rate, size_rate; // per unit of `at`
};
enum { LG_TREND_LEAST = 3 }; // Points; of fewer nothing grows.
// `at` ascends. Of very many points some are passed over.
LG_MUST_CHECK struct lg_error *lg_trend_find(const double *at, const uint64_t *counts,
                                             const uint64_t *sizes, size_t points, struct lg_trend *ret);

#endif
