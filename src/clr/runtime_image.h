// Which of a target's images is the runtime, and which runtime it is.
#ifndef LG_CLR_RUNTIME_IMAGE_H
#define LG_CLR_RUNTIME_IMAGE_H

#include "target/image.h"

// libcoreclr.so by its name, else the image that exports g_dacTable: a single-file app, which has the
// runtime linked in. Errors name what is there instead (clr.h).
LG_MUST_CHECK struct lg_error *lg_runtime_image_find(struct lg_target *target, struct lg_image *ret);

bool lg_runtime_image_is_single_file(const struct lg_image *image);

// "10.0.12": from the path of a shared framework, from DotNetRuntimeInfo (single-file), or from the
// version string that every build has inside. False if nothing tells.
bool lg_runtime_image_version(const struct lg_image *image, char *ret, size_t size);

#endif
