// Allocates hard on many threads and checks all the while that what it reads back is what it wrote.
// Churn [--threads N] [--thread-churn 1] [--collect MS] [--seconds N]
//
// Prints its truth when it is under way. On SIGTERM, SIGINT or at the time limit it prints what it did as a second JSON
// line and exits: 0, or 1 if anything was ever wrong. --threads 1 --collect 1 makes some
// 500 collections a second.
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using System.Threading;
using static Truth;

public class Anchor { public Anchor Next; public long Value; public byte[] Bytes; }

public class Block
{
    public int Seed;
    public byte[] Bytes;
    public Block Other;

    public Block(int seed, Block other)
    {
        Seed = seed;
        Other = other;
        Bytes = new byte[16 + seed % 500];
        for (int i = 0; i < Bytes.Length; i++)
            Bytes[i] = (byte)(seed + i * 7);
    }

    public bool IsRight()
    {
        if (Bytes.Length != 16 + Seed % 500)
            return false;
        for (int i = 0; i < Bytes.Length; i++)
        {
            if (Bytes[i] != (byte)(Seed + i * 7))
                return false;
        }
        return true;
    }
}

public static class Shared
{
    public const int Anchors = 10000;
    public static Anchor Head;
}

static class Program
{
    static long checks, wrong, threadsStarted;
    static volatile bool stop;
    [ThreadStatic] static Block last;

    static void PlantAnchors()
    {
        for (int i = 0; i < Shared.Anchors; i++)
            Shared.Head = new Anchor { Next = Shared.Head, Value = i * 3L, Bytes = new byte[i % 64] };
    }

    static void Wrong(string what)
    {
        Interlocked.Increment(ref wrong);
        Console.Error.WriteLine("WRONG: " + what);
    }

    static void CheckAnchors()
    {
        while (!stop)
        {
            long expected = Shared.Anchors - 1, count = 0;
            for (var anchor = Shared.Head; anchor != null; anchor = anchor.Next, expected--, count++)
            {
                if (anchor.Value != expected * 3 || anchor.Bytes.Length != expected % 64)
                    Wrong($"anchor {expected}");
            }
            if (count != Shared.Anchors)
                Wrong($"{count} anchors");
            Interlocked.Increment(ref checks);
            Thread.Sleep(1);
        }
    }

    static void Allocate(int number, long rounds)
    {
        var random = new Random(number);
        var blocks = new Block[500];
        for (long i = 0; i < rounds && !stop; i++)
        {
            ref var slot = ref blocks[random.Next(blocks.Length)];
            if (slot != null && !slot.IsRight() || last != null && !last.IsRight())
                Wrong($"block of thread {number}");
            last = slot = new Block(random.Next(1 << 20), blocks[random.Next(blocks.Length)]);
            if (slot.Other != null)
                slot.Other.Other = null; // no endless chains
            if (i % 100000 == 0)
                GC.KeepAlive(new byte[200000]);
            Interlocked.Increment(ref checks);
        }
    }

    static void ChurnThreads()
    {
        while (!stop)
        {
            var batch = new List<Thread>();
            for (int i = 0; i < 4; i++)
            {
                int number = (int)Interlocked.Increment(ref threadsStarted);
                var thread = new Thread(() => Allocate(number, 2000)) { IsBackground = true };
                thread.Start();
                batch.Add(thread);
            }
            batch.ForEach(t => t.Join());
        }
    }

    static void Collect(int milliseconds)
    {
        for (int i = 0; !stop; i++)
        {
            Thread.Sleep(milliseconds);
            GC.Collect(i % 3);
        }
    }

    static void Run(ThreadStart work) => new Thread(work) { IsBackground = true }.Start();

    static void Finish()
    {
        stop = true;
        var summary = new JsonObject
        {
            ["checks"] = checks,
            ["wrong"] = wrong,
            ["collections"] = new JsonArray(GC.CollectionCount(0), GC.CollectionCount(1), GC.CollectionCount(2)),
            ["allocated"] = GC.GetTotalAllocatedBytes(),
            ["threads_started"] = threadsStarted,
        };
        Console.WriteLine(summary.ToJsonString());
        Environment.Exit(wrong == 0 ? 0 : 1);
    }

    static void Main(string[] args)
    {
        PlantAnchors();
        using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, c => { c.Cancel = true; Finish(); });
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, c => { c.Cancel = true; Finish(); });
        Type<Anchor>(Shared.Anchors);
        Keep("Anchor", "static", "Shared.Head");
        Run(CheckAnchors);
        for (int i = 0; i < Option(args, "--threads", 4); i++)
        {
            int number = i;
            Run(() => Allocate(number, long.MaxValue));
        }
        if (Option(args, "--thread-churn", 0) != 0)
            Run(ChurnThreads);
        int collect = Option(args, "--collect", 0);
        if (collect > 0)
            Run(() => Collect(collect));
        Print(Line());
        Thread.Sleep(Option(args, "--seconds", 600) * 1000);
        Finish();
    }
}
