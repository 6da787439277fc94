// All objects, one per line, for comparison with `cmp` or a streaming reader.
//
// address <tab> mt <tab> size [<tab> references <tab> hash [<tab> loader allocator]]
//
// The hash is the sum, modulo 2^64, of mix(reference) over all non-null references that the GCDesc names, duplicates
// included: it does not depend on their order. mix is the finaliser of splitmix64:
//   z = r + 0x9e3779b97f4a7c15; z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9; z = (z ^ z >> 27) * 0x94d049bb133111eb; z ^ z >> 31
using System.IO;
using Microsoft.Diagnostics.Runtime;

static class Objects
{
    static ulong Mix(ulong r)
    {
        ulong z = unchecked(r + 0x9e3779b97f4a7c15);
        z = unchecked((z ^ (z >> 30)) * 0xbf58476d1ce4e5b9);
        z = unchecked((z ^ (z >> 27)) * 0x94d049bb133111eb);
        return z ^ (z >> 31);
    }

    public static void Write(Target target, string file, bool references)
    {
        using var output = new StreamWriter(file) { NewLine = "\n" };
        foreach (var obj in target.Heap.EnumerateObjects())
        {
            output.Write($"{obj.Address:x}\t{obj.Type.MethodTable:x}\t{obj.Size}");
            if (references)
                References(target, output, obj);
            output.WriteLine();
        }
    }

    static void References(Target target, StreamWriter output, ClrObject obj)
    {
        ulong loader = obj.Type.IsCollectible ? target.Data.DataReader.ReadPointer(obj.Type.LoaderAllocatorHandle) : 0;
        bool first = true;
        int count = 0;
        ulong hash = 0;
        foreach (ulong reference in obj.EnumerateReferenceAddresses(carefully: false, considerDependantHandles: false))
        {
            // Before what the GCDesc names, ClrMD lists the loader allocator, but not of arrays and generic instantiations.
            if (first && reference == loader)
            {
                first = false;
                continue;
            }
            first = false;
            count++;
            hash = unchecked(hash + Mix(reference));
        }
        output.Write($"\t{count}\t{hash:x}");
        if (loader != 0)
            output.Write($"\t{loader:x}");
    }
}
