// The JSON report. Schema: README.md.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using Microsoft.Diagnostics.Runtime;

static class Report
{
    public static void Write(Target target, Stream output, bool live, string sizes)
    {
        using var json = new Utf8JsonWriter(output, new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        var heap = target.Heap;
        json.WriteStartObject();
        json.WriteNumber("oracle", 1);
        json.WriteString("runtime", target.Runtime.ClrInfo.Version.ToString());
        json.WriteBoolean("server", heap.IsServer);
        json.WriteNumber("heaps", heap.SubHeaps.Length);
        if (heap.DynamicAdaptationMode is int mode)
            json.WriteNumber("dynamic_adaptation_mode", mode);
        json.WriteBoolean("regions", heap.SubHeaps.All(h => h.HasRegions));
        json.WriteBoolean("can_walk", heap.CanWalkHeap);
        Segments(json, heap);
        Types(json, heap, live ? Liveness.Mark(target) : null);
        Handles(json, target.Runtime);
        Addresses(json, "finalizable", heap.EnumerateFinalizableObjects().Select(o => o.Address));
        Addresses(json, "f_reachable", heap.EnumerateFinalizerRoots().Select(r => r.Object.Address));
        Threads(json, target.Runtime);
        StaticFields(json, target);
        if (sizes != null)
            Sizes(json, target, sizes);
        json.WriteEndObject();
    }

    /// How many objects, and how many bytes, each object in a file of addresses reaches, itself included.
    static void Sizes(Utf8JsonWriter json, Target target, string file)
    {
        Array(json, "sizes", File.ReadLines(file), line =>
        {
            ulong address = System.Convert.ToUInt64(line, 16);
            var reached = Reach.Mark(target, [address]);
            json.WriteString("address", Hex(address));
            json.WriteNumber("count", reached.Count);
            json.WriteNumber("bytes", reached.Sum(a => (long)target.Heap.GetObject(a).Size));
        });
    }

    /// The threads alone: of a core whose heap cannot be walked.
    public static void WriteThreads(Target target, Stream output)
    {
        using var json = new Utf8JsonWriter(output);
        json.WriteStartObject();
        Threads(json, target.Runtime);
        json.WriteEndObject();
    }

    public static string Hex(ulong address) => "0x" + address.ToString("x");

    static void Array<T>(Utf8JsonWriter json, string name, IEnumerable<T> items, Action<T> write)
    {
        json.WriteStartArray(name);
        foreach (var item in items)
        {
            json.WriteStartObject();
            write(item);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    static void Range(Utf8JsonWriter json, string name, MemoryRange range)
    {
        json.WriteStartArray(name);
        json.WriteStringValue(Hex(range.Start));
        json.WriteStringValue(Hex(range.End));
        json.WriteEndArray();
    }

    static void Segments(Utf8JsonWriter json, ClrHeap heap)
    {
        Array(json, "segments", heap.Segments.OrderBy(s => s.Start), s =>
        {
            json.WriteNumber("heap", s.SubHeap.Index);
            json.WriteString("kind", Kind(s.Kind));
            json.WriteString("segment", Hex(s.Address));
            json.WriteString("start", Hex(s.Start));
            json.WriteString("end", Hex(s.End));
            Range(json, "committed", s.CommittedMemory);
            Range(json, "reserved", s.ReservedMemory);
            if (s.Kind == GCSegmentKind.Ephemeral)
            {
                Range(json, "gen0", s.Generation0);
                Range(json, "gen1", s.Generation1);
                Range(json, "gen2", s.Generation2);
            }
        });
        Array(json, "allocation_contexts", heap.EnumerateAllocationContexts(), c =>
        {
            json.WriteString("start", Hex(c.Start));
            json.WriteString("end", Hex(c.End));
        });
    }

    static string Kind(GCSegmentKind kind) => kind switch
    {
        GCSegmentKind.Generation0 => "gen0",
        GCSegmentKind.Generation1 => "gen1",
        GCSegmentKind.Generation2 => "gen2",
        GCSegmentKind.Large => "loh",
        GCSegmentKind.Pinned => "poh",
        GCSegmentKind.Frozen => "foh",
        _ => "ephemeral",
    };

    sealed class Sum { public long Count, Bytes, LiveCount, LiveBytes; public string Name; }

    static void Types(Utf8JsonWriter json, ClrHeap heap, HashSet<ulong> marked)
    {
        var sums = new Dictionary<ulong, Sum>();
        long count = 0, bytes = 0;
        foreach (var obj in heap.EnumerateObjects())
        {
            if (!sums.TryGetValue(obj.Type.MethodTable, out var sum))
                sums.Add(obj.Type.MethodTable, sum = new() { Name = obj.Type.Name });
            long size = (long)obj.Size;
            sum.Count++;
            sum.Bytes += size;
            count++;
            bytes += size;
            if (marked != null && marked.Contains(obj.Address))
            {
                sum.LiveCount++;
                sum.LiveBytes += size;
            }
        }
        json.WriteNumber("total_count", count);
        json.WriteNumber("total_bytes", bytes);
        Array(json, "types", sums.OrderByDescending(s => s.Value.Bytes), s =>
        {
            json.WriteString("mt", Hex(s.Key));
            json.WriteString("name", s.Value.Name);
            json.WriteNumber("count", s.Value.Count);
            json.WriteNumber("bytes", s.Value.Bytes);
            if (marked != null)
            {
                json.WriteNumber("live_count", s.Value.LiveCount);
                json.WriteNumber("live_bytes", s.Value.LiveBytes);
            }
        });
    }

    static void Handles(Utf8JsonWriter json, ClrRuntime runtime) => Array(json, "handles", runtime.EnumerateHandles(), h =>
    {
        json.WriteString("address", Hex(h.Address));
        json.WriteString("kind", h.HandleKind.ToString());
        json.WriteNumber("kind_number", (int)h.HandleKind);
        json.WriteString("object", Hex(h.Object.Address));
        if (h.HandleKind == ClrHandleKind.Dependent)
            json.WriteString("dependent", Hex(h.Dependent.Address));
        if (h.HandleKind == ClrHandleKind.RefCounted)
            json.WriteNumber("ref_count", h.ReferenceCount);
    });

    static void Addresses(Utf8JsonWriter json, string name, IEnumerable<ulong> addresses)
    {
        json.WriteStartArray(name);
        foreach (ulong address in addresses)
            json.WriteStringValue(Hex(address));
        json.WriteEndArray();
    }

    static void Threads(Utf8JsonWriter json, ClrRuntime runtime) => Array(json, "threads", runtime.Threads, t =>
    {
        json.WriteString("address", Hex(t.Address));
        json.WriteNumber("managed_id", t.ManagedThreadId);
        json.WriteNumber("os_id", t.OSThreadId);
        json.WriteBoolean("alive", t.IsAlive);
        json.WriteBoolean("finalizer", t.IsFinalizer);
        json.WriteStartArray("stack_roots");
        if (t.IsAlive)
        {
            foreach (var root in t.EnumerateStackRoots())
            {
                json.WriteStartArray();
                json.WriteStringValue(Hex(root.Address));
                json.WriteStringValue(Hex(root.Object.Address));
                json.WriteStringValue(root.IsInterior ? "interior" : "object");
                json.WriteStringValue(root.StackFrame?.Method?.Signature ?? root.StackFrame?.FrameName);
                json.WriteEndArray();
            }
        }
        json.WriteEndArray();
    });

    static void StaticFields(Utf8JsonWriter json, Target target)
    {
        Array(json, "statics", target.NormalStatics, s =>
        {
            json.WriteString("type", s.Field.ContainingType.Name);
            json.WriteString("field", s.Field.Name);
            json.WriteString("element_type", s.Field.ElementType.ToString());
            json.WriteString("address", Hex(s.Address));
            if (s.Object != 0)
                json.WriteString("object", Hex(s.Object));
        });
        Array(json, "thread_statics", target.ThreadStatics, s =>
        {
            json.WriteString("type", s.Field.ContainingType.Name);
            json.WriteString("field", s.Field.Name);
            json.WriteNumber("managed_id", s.Thread.ManagedThreadId);
            json.WriteString("element_type", s.Field.ElementType.ToString());
            json.WriteString("address", Hex(s.Address));
            if (s.Object != 0)
                json.WriteString("object", Hex(s.Object));
        });
    }
}
