// Static fields with storage, of the types in the modules' tables and of the (generic) types of objects on the heap.
using System.Collections.Generic;
using System.Linq;
using Microsoft.Diagnostics.Runtime;

static class Statics
{
    public readonly record struct Static(ClrField Field, ClrThread Thread, ulong Address, ulong Object);

    public static IEnumerable<ClrType> Types(ClrRuntime runtime)
    {
        var seen = new HashSet<ulong>();
        foreach (var module in runtime.EnumerateModules())
        {
            foreach (var (mt, _) in module.EnumerateTypeDefToMethodTableMap())
            {
                if (mt != 0 && seen.Add(mt) && runtime.GetTypeByMethodTable(mt) is ClrType type)
                    yield return type;
            }
        }
        foreach (var obj in runtime.Heap.EnumerateObjects())
        {
            if (obj.IsFree) // It has no class, and the DAC of 8 crashes when asked for one.
                continue;
            for (var type = obj.Type; type != null && seen.Add(type.MethodTable); type = type.BaseType)
                yield return type;
        }
    }

    public static IEnumerable<Static> Normal(ClrRuntime runtime, List<ClrType> types)
    {
        var domain = runtime.AppDomains[0];
        foreach (var type in types.Where(t => !t.ContainsGenericParameters()))
        {
            foreach (var field in type.StaticFields)
            {
                ulong address = field.GetAddress(domain);
                if (address != 0)
                    yield return new(field, null, address, Reference(runtime, field, address));
            }
        }
    }

    public static IEnumerable<Static> PerThread(ClrRuntime runtime, List<ClrType> types)
    {
        foreach (var type in types.Where(t => !t.ContainsGenericParameters()))
        {
            foreach (var field in type.ThreadStaticFields)
            {
                foreach (var thread in runtime.Threads.Where(t => t.IsAlive))
                {
                    ulong address = field.GetAddress(thread);
                    if (address != 0)
                        yield return new(field, thread, address, Reference(runtime, field, address));
                }
            }
        }
    }

    // A static struct lies boxed behind a reference; ClrMD gives the address of the slot.
    static ulong Reference(ClrRuntime runtime, ClrField field, ulong address) =>
        field.IsObjectReference || field.ElementType == ClrElementType.Struct
            ? runtime.DataTarget.DataReader.ReadPointer(address) : 0;

    static bool ContainsGenericParameters(this ClrType type) => type.ElementType is ClrElementType.Var or ClrElementType.MVar;
}
