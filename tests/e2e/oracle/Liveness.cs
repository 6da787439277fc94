// Marks from all roots, dependent handles as ephemerons. ClrMD's handles are incomplete under Server GC with DATAS and
// its thread statics lack generic types, so what is marked is alive, but what is not may be alive too in those cases.
using System.Collections.Generic;
using System.Linq;
using Microsoft.Diagnostics.Runtime;

static class Liveness
{
    const int weakInterior = 10; // slots of a collectible type's statics: ClrMD takes them for strong

    /// What is alive whatever refers to it. ClrMD's own roots of statics are what the table of a thread refers to, not the table, and arrays
    /// that statics of collectible types lie in: the same for what is alive, but not for what keeps it so. Without them, name the tables.
    public static IEnumerable<ClrObject> Roots(Target target, bool withStatics = true)
    {
        foreach (var root in target.Heap.EnumerateRoots())
        {
            if (root is not ClrHandle { HandleKind: ClrHandleKind.Dependent or (ClrHandleKind)weakInterior }
                && (withStatics || root.RootKind is not (ClrRootKind.StaticVar or ClrRootKind.ThreadStaticVar)))
                yield return root.Object;
        }
        // Statics of a collectible type live as long as its loader allocator does, which refers to them.
        foreach (var s in target.NormalStatics.Concat(target.ThreadStatics).Where(s => !s.Field.ContainingType.IsCollectible))
            yield return target.Heap.GetObject(s.Object);
    }

    public static HashSet<ulong> Mark(Target target)
    {
        return Reach.Mark(target, Roots(target).Select(root => root.Address));
    }
}
