#include "snapshot/gcdump.h"

// The names of those that dotnet-gcdump and PerfView write are theirs: dotnet/diagnostics
// src/Tools/dotnet-gcdump/DotNetHeapDump/DotNetHeapDumpGraphReader.cs @3c9f99e, microsoft/perfview
// src/HeapDump/GCHeapDumper.cs @f3ec1b3.
const struct lg_gcdump_group lg_gcdump_groups[] = {
    { "[static vars]", .kind = LG_ROOT_STATIC, .child = "[static var " },
    { "[thread static vars]", .kind = LG_ROOT_THREAD_STATIC, .child = "[thread static var " },
    { "[local vars]", .kind = LG_ROOT_STACK, .child = "[local vars of " },
    { "[possible local vars]", .kind = LG_ROOT_STACK, .conservative = true,
      .child = "[possible local vars of " },
    { "[strong Handles]", .is_other = true, .kind = LG_ROOT_STRONG },
    { "[pinning Handles]", .is_other = true, .kind = LG_ROOT_PINNED },
    { "[async pinning Handles]", .is_other = true, .kind = LG_ROOT_ASYNC_PINNED },
    { "[sized reference Handles]", .is_other = true, .kind = LG_ROOT_SIZED_REF },
    { "[COM/WinRT Objects]", .is_other = true, .kind = LG_ROOT_REFCOUNTED },
    { "[finalizer Handles]", .is_other = true, .kind = LG_ROOT_FINALIZER },
    { "[exceptions and frames]", .is_other = true, .kind = LG_ROOT_FRAME },
    { "[frozen objects]", .is_other = true, .is_frozen = true, .kind = LG_ROOT_STRONG },
    // Of others; there everything else is a strong handle too.
    { "[Pinned local vars]", .kind = LG_ROOT_STACK },
    { 0 },
};
