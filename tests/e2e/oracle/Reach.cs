// What roots of each kind reach: a line per object, tab-separated: address, kinds (as tests/support/reachdump.c has them).
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Microsoft.Diagnostics.Runtime;

static class Reach
{
    const int handles = 1, threadStatics = 2, finalizer = 4, stacks = 8;
    const int weakInterior = 10; // as in Liveness.cs

    public static void Write(Target target, string file)
    {
        var from = new Dictionary<int, List<ulong>>();
        void Add(int kind, ulong address)
        {
            if (!from.TryGetValue(kind, out var list))
                from[kind] = list = [];
            list.Add(address);
        }
        foreach (var root in target.Heap.EnumerateRoots())
        {
            if (root is ClrHandle { HandleKind: ClrHandleKind.Dependent or (ClrHandleKind)weakInterior })
                continue;
            Add(root.RootKind switch
            {
                ClrRootKind.Stack => stacks,
                ClrRootKind.FinalizerQueue => finalizer,
                ClrRootKind.ThreadStaticVar => threadStatics,
                _ => handles,
            }, root.Object.Address);
        }
        foreach (var s in target.NormalStatics)
            Add(handles, s.Object);
        foreach (var s in target.ThreadStatics)
            Add(threadStatics, s.Object);
        var reached = new SortedDictionary<ulong, int>();
        foreach (var (kind, addresses) in from)
        {
            foreach (ulong address in Mark(target, addresses))
                reached[address] = reached.GetValueOrDefault(address) | kind;
        }
        using var output = new StreamWriter(file);
        foreach (var (address, kinds) in reached)
            output.Write($"{address:x}\t{kinds}\n");
    }

    public static HashSet<ulong> Mark(Target target, IEnumerable<ulong> from)
    {
        var marked = new HashSet<ulong>();
        var todo = new Stack<ClrObject>();
        void Push(ClrObject obj)
        {
            if (obj.IsValid && marked.Add(obj.Address))
                todo.Push(obj);
        }
        foreach (ulong address in from)
            Push(target.Heap.GetObject(address));
        var dependent = target.Runtime.EnumerateHandles().Where(h => h.HandleKind == ClrHandleKind.Dependent).ToList();
        for (int before = -1; before != marked.Count;)
        {
            while (todo.TryPop(out var obj))
            {
                foreach (var child in obj.EnumerateReferences(carefully: false, considerDependantHandles: false))
                    Push(child);
            }
            before = marked.Count;
            foreach (var handle in dependent.Where(h => marked.Contains(h.Object.Address)))
                Push(handle.Dependent);
        }
        return marked;
    }
}
