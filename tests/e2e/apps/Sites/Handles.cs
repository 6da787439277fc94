// Handles that are not freed, and others that are, at known sites: what `linger handles-alloc` is to find.
using System;
using System.Collections.Generic;
using System.Runtime;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

class Pinnable
{
    public long Number;
}

static class Handles
{
    static readonly List<GCHandle> kept = new(), older = new();
    static readonly List<DependentHandle> dependents = new();
    static readonly List<WeakReference> references = new();
    static readonly ConditionalWeakTable<object, object> table = new();
    static readonly List<object> alive = new();
    static readonly List<string> truth = new();

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Normal() => Keep("Normal", GCHandle.Alloc(new Pinnable()));

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Weak() => Keep("Weak", GCHandle.Alloc(Living(), GCHandleType.Weak));

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void WeakLong() => Keep("WeakLong", GCHandle.Alloc(Living(), GCHandleType.WeakTrackResurrection));

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Pinned() => Keep("Pinned", GCHandle.Alloc(new byte[100], GCHandleType.Pinned));

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Dependent()
    {
        var handle = new DependentHandle(Living(), new Pinnable());
        dependents.Add(handle);
        truth.Add($"\"{Unsafe.As<DependentHandle, nint>(ref handle):x}\": \"Dependent\"");
    }

    // Made by the class library for us.
    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Reference() => references.Add(new WeakReference(Living()));

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Table() => table.Add(Living(), new Pinnable());

    // Addresses of handles are used again: what these leave, the others get, and these again.
    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Freed()
    {
        var handles = new GCHandle[4];
        for (int i = 0; i < handles.Length; i++)
            handles[i] = GCHandle.Alloc(alive, (GCHandleType)(i % 3));
        foreach (var handle in handles)
            handle.Free();
    }

    // What was made before, and holds something else from now on.
    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Assign(int i)
    {
        var handle = older[i];
        handle.Target = new Pinnable();
    }

    static object Living()
    {
        var living = new Pinnable();
        alive.Add(living);
        return living;
    }

    static void Keep(string site, GCHandle handle)
    {
        kept.Add(handle);
        truth.Add($"\"{(nint)GCHandle.ToIntPtr(handle) & ~(nint)1:x}\": \"{site}\"");
    }

    public static void Before(int count)
    {
        for (int i = 0; i < count; i++)
            older.Add(GCHandle.Alloc(new Pinnable()));
    }

    public static void Leak(int count)
    {
        for (int i = 0; i < count; i++)
        {
            Freed();
            Normal();
            Weak();
            Freed();
            WeakLong();
            Pinned();
            Dependent();
            Freed();
            Reference();
            Table();
            if (i < older.Count)
                Assign(i);
            if (i % 16 == 0)
                GC.Collect(i % 3);
        }
    }

    /// Addresses of the handles that are not freed, and the methods that made them.
    public static string Truth()
    {
        var line = new StringBuilder("{");
        line.AppendJoin(", ", truth);
        return line.Append('}').ToString();
    }
}
