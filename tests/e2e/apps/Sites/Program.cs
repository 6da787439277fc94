// Leaks at known sites, on command: what `linger alloc` is to find. One command a line on stdin, answered by one line:
//
//     leak ROUNDS   every site makes its objects, among garbage, collections of every kind in between; "leaked"
//     truth         where what is alive was made, as one JSON object
//     older COUNT   makes handles; "made"
//     handles COUNT makes handles at every site, and frees others; then their addresses and sites, as one JSON object
//     exit STATUS
//     trace         from now on the first object of each site notes its line and its stack; "traced"
//     traces        what they noted, as one JSON object
//     quit
//
// Between commands nothing is allocated and nothing moves: every object of a site says in `Site` which it is, so that
// a reader of memory can hold linger's answer against it.
using System;
using System.Collections.Generic;
using System.Runtime;
using System.Runtime.CompilerServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

enum Place { Constructor = 1, Factory, Async, Generic, GenericOther, Lambda, StaticInitialiser, Threads, Local, Iterator }

/// 200 bytes, the same for every site: a wrong address is not told by its type.
[InlineArray(21)]
struct Room
{
    long first;
}

class Planted
{
    public long Site;
    Room room;
    public Planted(Place site, [CallerLineNumber] int line = 0)
    {
        Site = (long)site;
        if (Traces.On)
            Traces.Note(site, line);
    }
}

class Holder
{
    public Planted Item;
    [MethodImpl(MethodImplOptions.NoInlining)]
    public Holder() => Item = new Planted(Place.Constructor);
}

static class OrderFactory
{
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Planted Create() => new(Place.Factory);
}

class Generic<T>
{
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Planted Make<U>(Place site) => new(site);
}

static class Initialised
{
    public static readonly Planted[] Items = Fill();

    [MethodImpl(MethodImplOptions.NoInlining)]
    static Planted[] Fill()
    {
        var items = new Planted[20000];
        for (int i = 0; i < items.Length; i++)
            items[i] = new Planted(Place.StaticInitialiser);
        return items;
    }
}

static class OrderService
{
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static async Task<Planted> Submit(Task before)
    {
        await before.ConfigureAwait(false);
        return new Planted(Place.Async);
    }
}

static class Program
{
    static readonly List<object> kept = new();
    static readonly long[] counts = new long[16];
    static readonly List<byte[]> arrays = new();
    static readonly List<int[]> large = new();
    static string text = "";
    static long[] grown = new long[16];

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Keep(Planted planted)
    {
        lock (kept)
            kept.Add(planted);
        Interlocked.Increment(ref counts[planted.Site]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Garbage()
    {
        for (int i = 0; i < 200; i++)
            GC.KeepAlive(new byte[400 + i]);
        for (int i = 0; i < 40; i++)
            GC.KeepAlive(new Planted(0)); // Dies where the living ones lie.
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void GrowArray()
    {
        Array.Resize(ref grown, grown.Length * 2);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void GrowText()
    {
        text = string.Concat(text, new string('x', 40000));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void LargeObject() => large.Add(new int[50000]);

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void SmallArray() => arrays.Add(new byte[2000]);

    [MethodImpl(MethodImplOptions.NoInlining)]
    static IEnumerable<Planted> Several(int count)
    {
        for (int i = 0; i < count; i++)
            yield return new Planted(Place.Iterator);
    }

    static void Worker()
    {
        for (int i = 0; i < 4000; i++)
            Keep(new Planted(Place.Threads));
    }

    static void Round(Func<Planted> lambda)
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        static Planted Local() => new(Place.Local);
        for (int i = 0; i < 800; i++)
        {
            var gate = new TaskCompletionSource();
            var submitted = OrderService.Submit(gate.Task);
            Keep(new Holder().Item);
            Keep(OrderFactory.Create());
            Keep(Generic<string>.Make<int>(Place.Generic));
            Keep(Generic<int>.Make<Place>(Place.GenericOther));
            Keep(lambda());
            Keep(Local());
            gate.SetResult();
            Keep(submitted.Result);
            SmallArray();
            Garbage();
        }
        foreach (var planted in Several(800))
            Keep(planted);
    }

    static void Collect(int round)
    {
        if (round % 4 == 0)
            GC.Collect(0);
        else if (round % 4 == 1)
            GC.Collect(2, GCCollectionMode.Optimized, blocking: false); // in the background
        else if (round % 4 == 2)
            GC.Collect(1);
        else
        {
            GCSettings.LargeObjectHeapCompactionMode = GCLargeObjectHeapCompactionMode.CompactOnce;
            GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: true);
        }
        // Half of what was kept dies, so that what lives has to move.
        if (round % 4 == 3)
        {
            lock (kept)
            {
                var half = new List<object>();
                for (int i = 0; i < kept.Count; i++)
                {
                    if (i % 8 < 6)
                        half.Add(kept[i]);
                    else if (kept[i] is Planted dead)
                        counts[dead.Site]--;
                }
                kept.Clear();
                kept.AddRange(half);
            }
        }
    }

    static void Leak(int rounds)
    {
        if (GCSettings.LatencyMode == GCLatencyMode.NoGCRegion)
            GC.EndNoGCRegion();
        var threads = new Thread[3];
        for (int i = 0; i < threads.Length; i++)
            (threads[i] = new Thread(Worker) { Name = "Worker" }).Start();
        for (int round = 0; round < rounds; round++)
        {
            Round(() => new Planted(Place.Lambda));
            if (round < 16)
                GrowArray();
            GrowText();
            LargeObject();
            Collect(round);
        }
        foreach (var thread in threads)
            thread.Join();
        counts[(int)Place.StaticInitialiser] = Initialised.Items.Length;
        GC.TryStartNoGCRegion(8 << 20); // From now on nothing moves.
    }

    static string Truth()
    {
        var line = new StringBuilder("{");
        foreach (var place in Enum.GetValues<Place>())
            line.Append($"\"{place}\": {counts[(int)place]}, ");
        return line.Append($"\"arrays\": {arrays.Count}, \"large\": {large.Count}, \"text\": {text.Length}, \"grown\": {grown.Length}}}").ToString();
    }

    static void Main()
    {
        Console.WriteLine($"ready {Environment.ProcessId}");
        while (Console.ReadLine() is string line && line != "quit")
        {
            if (line == "trace")
            {
                Traces.On = true;
                Console.WriteLine("traced");
            }
            else if (line == "traces")
                Console.WriteLine(Traces.Truth());
            else if (line.StartsWith("leak "))
            {
                Leak(int.Parse(line[5..]));
                Console.WriteLine("leaked");
            }
            else if (line == "truth")
                Console.WriteLine(Truth());
            else if (line.StartsWith("older "))
            {
                Handles.Before(int.Parse(line[6..]));
                Console.WriteLine("made");
            }
            else if (line.StartsWith("handles "))
            {
                Handles.Leak(int.Parse(line[8..]));
                Console.WriteLine(Handles.Truth());
            }
            else if (line.StartsWith("exit "))
                Environment.Exit(int.Parse(line[5..]));
        }
    }
}
