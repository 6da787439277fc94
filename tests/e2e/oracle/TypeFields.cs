// The fields of every type that has an object on the heap, the way ClrMD sees them.
using System.Collections.Generic;
using System.IO;
using Microsoft.Diagnostics.Runtime;

static class TypeFields
{
    /// A line per field: method table, name, declaring type, token, offset, `instance` or `static`, address of a static.
    public static void Write(Target target, string path)
    {
        using var lines = new StreamWriter(path);
        var seen = new HashSet<ulong>();
        var domain = target.Runtime.AppDomains[0];
        foreach (var obj in target.Heap.EnumerateObjects())
        {
            if (obj.Type == null || obj.IsFree || !seen.Add(obj.Type.MethodTable))
                continue;
            foreach (var f in obj.Type.Fields)
                lines.WriteLine($"{obj.Type.MethodTable:x}\t{f.Name}\t{f.ContainingType.Name}\t{f.Token:x8}\t{f.Offset}\tinstance\t0");
            foreach (var f in obj.Type.StaticFields)
                lines.WriteLine($"{obj.Type.MethodTable:x}\t{f.Name}\t{f.ContainingType.Name}\t{f.Token:x8}\t{f.Offset}\tstatic\t{f.GetAddress(domain):x}");
        }
    }
}
