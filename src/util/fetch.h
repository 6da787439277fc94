// For functions that do nothing but __builtin_prefetch.
//
// gcc finds that such a function has no effect and returns nothing, and takes calls of it away, unless
// it is inlined before that: seen with gcc 12 at -O2; dominators of a random graph took twice the time.
#ifndef LG_UTIL_FETCH_H
#define LG_UTIL_FETCH_H

#define LG_FETCHES static inline __attribute__((__always_inline__))

#endif
