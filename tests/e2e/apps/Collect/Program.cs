// Collects its garbage when it is told to, in every way that a program can, and prints what the runtime then says of each
// collection. `--go FILE`: when FILE is there; `--rounds N` times over. The second line of its output has it all.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Runtime;
using System.Text.Json.Nodes;
using System.Threading;

sealed class Garbage { }

static class Program
{
    static readonly List<byte[]> kept = new();
    static readonly JsonArray collections = new();
    static long seen;

    // Garbage for --gc: dead, and on the heap until somebody collects it.
    static void Litter()
    {
        for (int i = 0; i < 1000; i++)
            GC.KeepAlive(new Garbage());
    }

    sealed class Finalized
    {
        ~Finalized() { }
    }

    static void Main(string[] args)
    {
        int at = Array.IndexOf(args, "--go");
        Truth.Print(Truth.Line());
        while (at >= 0 && !File.Exists(args[at + 1]))
            Thread.Sleep(20);
        long before = GC.CollectionCount(0);
        for (int round = 0; round < Truth.Option(args, "--rounds", 1); round++)
            Round();
        Truth.Root["before"] = before;
        Truth.Root["after"] = new JsonArray(GC.CollectionCount(0), GC.CollectionCount(1), GC.CollectionCount(2));
        Truth.Root["collections"] = collections;
        byte[] line = Truth.Line();
        GC.Collect();
        Litter();
        Truth.Print(line);
        Truth.Block(args);
    }

    static void Round()
    {
        Allocate();
        Collect(() => GC.Collect(0));
        Allocate();
        Collect(() => GC.Collect(1, GCCollectionMode.Forced, blocking: true));
        Allocate();
        Collect(() => GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: false));
        kept.RemoveAll(a => a.Length % 3 == 0);
        Background(); // Needs 4 MiB of gen2 in each heap.
        Collect(() => GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: true));
        kept.RemoveAll(a => a.Length % 2 == 0);
        GCSettings.LargeObjectHeapCompactionMode = GCLargeObjectHeapCompactionMode.CompactOnce;
        Collect(() => GC.Collect());
        Until();
    }

    // One that the runtime finds necessary itself.
    static void Until()
    {
        int gen0 = GC.CollectionCount(0);
        while (GC.CollectionCount(0) == gen0)
            GC.KeepAlive(new byte[1000]);
        Record(GCKind.Any, TimeSpan.Zero);
    }

    static void Allocate()
    {
        for (int i = 0; i < 3000; i++)
        {
            kept.Add(new byte[100 + i]);
            GC.KeepAlive(new byte[500]);
            GC.KeepAlive(new Finalized());
        }
        kept.Add(new byte[200_000]);
        kept.Add(new byte[200_001]);
        kept.Add(GC.AllocateUninitializedArray<byte>(3000, pinned: true));
    }

    static void Collect(Action collect)
    {
        long start = Stopwatch.GetTimestamp();
        collect();
        Record(GCKind.Any, TimeSpan.FromSeconds((Stopwatch.GetTimestamp() - start) / (double)Stopwatch.Frequency));
    }

    // The first ones may become blocking: the thread for it has to be made, and gen2 to be large enough.
    static void Background()
    {
        for (int tries = 0; tries < 3; tries++)
        {
            long last = GC.GetGCMemoryInfo(GCKind.Background).Index, blocking = GC.GetGCMemoryInfo(GCKind.FullBlocking).Index;
            GC.Collect(2, GCCollectionMode.Forced, blocking: false);
            GCMemoryInfo info;
            do
            {
                Thread.Sleep(20);
                info = GC.GetGCMemoryInfo(GCKind.Background);
            } while ((info.Index == last || !info.Concurrent) && GC.GetGCMemoryInfo(GCKind.FullBlocking).Index == blocking);
            bool isBackground = GC.GetGCMemoryInfo(GCKind.FullBlocking).Index == blocking;
            Record(isBackground ? GCKind.Background : GCKind.FullBlocking, TimeSpan.Zero);
            if (isBackground)
                return;
        }
    }

    // `call`: how long the call took that asked for it; zero: none did.
    static void Record(GCKind kind, TimeSpan call)
    {
        GCMemoryInfo info = GC.GetGCMemoryInfo(kind);
        if (info.Index == seen)
            return;
        seen = info.Index;
        var generations = new JsonArray();
        foreach (GCGenerationInfo generation in info.GenerationInfo)
            generations.Add(new JsonArray(generation.SizeBeforeBytes, generation.FragmentationBeforeBytes, generation.SizeAfterBytes, generation.FragmentationAfterBytes));
        var pauses = new JsonArray();
        foreach (TimeSpan pause in info.PauseDurations)
            pauses.Add(pause.TotalMilliseconds);
        collections.Add(new JsonObject
        {
            ["number"] = info.Index,
            ["generation"] = info.Generation,
            ["concurrent"] = info.Concurrent,
            ["compacted"] = info.Compacted,
            ["promoted"] = info.PromotedBytes,
            ["heap_size"] = info.HeapSizeBytes,
            ["fragmented"] = info.FragmentedBytes,
            ["pinned"] = info.PinnedObjectsCount,
            ["finalization"] = info.FinalizationPendingCount,
            ["pauses"] = pauses,
            ["call"] = call.TotalMilliseconds,
            ["generations"] = generations,
        });
    }
}
