// Binary search, once.
//
//     size_t i = lg_first_not(n, i, ranges[i].end <= address);    // the first range that ends behind it
//
// The first index below `count` for which `condition` is false, or `count`; wherever it is true has to
// come before wherever it is false. `condition` names the index as `index`, and may be asked of any.
#ifndef LG_UTIL_SEARCH_H
#define LG_UTIL_SEARCH_H

#include <stddef.h>

#define lg_first_not(count, index, condition) \
    __extension__({ \
        size_t low_ = 0, high_ = (count); \
        while (low_ < high_) { \
            size_t index = low_ + (high_ - low_) / 2; \
            if (condition) \
                low_ = index + 1; \
            else \
                high_ = index; \
        } \
        low_; \
    })

#endif
