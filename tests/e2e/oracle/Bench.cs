// JIT-warm timings of loops as people write them over ClrMD, without start-up: for ratios in bench/.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using Microsoft.Diagnostics.Runtime;

static class Bench
{
    /// One untimed pass, then N timed ones, each on a heap opened afresh would measure start-up: the caches of types stay warm.
    static void Time(string name, int rounds, Func<long> work)
    {
        var watch = Stopwatch.StartNew();
        long result = work();
        double first = watch.Elapsed.TotalSeconds;
        var seconds = new List<double>();
        for (int i = 0; i < rounds; i++)
        {
            watch.Restart();
            work();
            seconds.Add(watch.Elapsed.TotalSeconds);
        }
        seconds.Sort();
        string list = string.Join(", ", seconds.Select(s => s.ToString("F4", CultureInfo.InvariantCulture)));
        double median = seconds.Count == 0 ? first : seconds[seconds.Count / 2];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{{\"bench\": \"{name}\", \"result\": {result}, \"first_s\": {first:F4}, \"median_s\": {median:F4}, \"seconds\": [{list}], \"peak_rss\": {Process.GetCurrentProcess().PeakWorkingSet64}}}"));
    }

    public static void Stat(Target target, int rounds, string reader) => Time("stat-" + reader, rounds, () =>
    {
        var stat = new Dictionary<ulong, (long Count, ulong Bytes)>();
        long count = 0;
        foreach (var obj in target.Heap.EnumerateObjects())
        {
            stat.TryGetValue(obj.Type.MethodTable, out var sum);
            stat[obj.Type.MethodTable] = (sum.Count + 1, sum.Bytes + obj.Size);
            count++;
        }
        return count;
    });

    public static void Live(Target target, int rounds, string reader) => Time("live-" + reader, rounds, () => Liveness.Mark(target).Count);

    public static void Root(Target target, ulong address, string reader) => Time("gcroot-" + reader, 0, () =>
    {
        int length = 0;
        foreach (var (_, path) in new GCRoot(target.Heap, [address]).EnumerateRootPaths())
        {
            for (var link = path; link != null; link = link.Next)
                length++;
            break;
        }
        return length;
    });
}
