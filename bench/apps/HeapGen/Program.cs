// Builds a heap of a known shape, prints the truth about it, and blocks.  HeapGen [--shape seq|web] [--nodes N] [--seconds N] [--ticks]
//
// seq: nodes allocated in order, each referring to its neighbours: good locality. A binary tree (node i refers to 2i+1 and
//      2i+2) whose nodes also form a list, like a large collection that was filled once.
// web: one random graph; each node refers to three others, chosen so that all are reachable from the first: no locality.
// With --ticks a thread looks at the clock without a break: for every line that is read, the longest time in ms in which it could not is
// printed, since the last such line.
// The far object hangs on the node that a breadth-first search from the root reaches last.
using System;
using System.Diagnostics;
using System.Globalization;
using System.Runtime;
using System.Threading;
using static Truth;

public class Node // 48 bytes: header, method table, three references, two numbers
{
    public Node A, B, C;
    public int Id, Weight;
}

public class FarNode : Node { public FarObject Far; }
public class FarObject { public long Mark = 0x0FA2; }

public class Heap
{
    public static Node Root;
}

static class Program
{
    static Node[] nodes; // dropped before the heap is shown

    static Node New(int i, int count)
    {
        var node = i == count - 1 ? new FarNode { Far = new() } : new Node();
        node.Id = i;
        return node;
    }

    static void Sequential(int count)
    {
        for (int i = 0; i < count; i++)
        {
            var node = nodes[i] = New(i, count);
            if (i == 0)
                continue;
            var parent = nodes[(i - 1) / 2];
            if (i % 2 == 1)
                parent.A = node;
            else
                parent.B = node;
            node.C = nodes[i - 1]; // backwards, so that the tree's way to the end is the only short one
        }
    }

    /// Node i in the order of a random permutation is referred to by one that came before it, so all are reachable.
    static void Web(int count)
    {
        var random = new Random(4711);
        for (int i = 0; i < count; i++)
            nodes[i] = New(i, count);
        var last = nodes[count - 1];
        random.Shuffle(nodes.AsSpan(1, count - 2)); // first and last stay where they are
        for (int i = 1; i < count - 1; i++)
            Link(random, nodes[i], i);
        for (int i = 0; i < count - 1; i++)
        {
            nodes[i].B ??= nodes[random.Next(count - 1)];
            nodes[i].C ??= nodes[random.Next(count - 1)];
        }
        nodes[Last(count)].C = last;
    }

    static void Link(Random random, Node node, int i)
    {
        for (int tries = 0; ; tries++)
        {
            var parent = nodes[tries < 20 ? random.Next(i) : i - 1];
            if (parent.A == null)
                parent.A = node;
            else if (parent.B == null)
                parent.B = node;
            else
                continue;
            return;
        }
    }

    /// The index of a node that a breadth-first search reaches last; Id is used as the mark.
    static int Last(int count)
    {
        var queue = new Node[count];
        var index = new int[count];
        for (int i = 0; i < count; i++)
            index[nodes[i].Id] = i;
        int head = 0, tail = 0;
        void Reach(Node node)
        {
            if (node == null || node.Weight != 0)
                return;
            node.Weight = 1;
            queue[tail++] = node;
        }
        for (Reach(nodes[0]); head < tail; head++)
        {
            Reach(queue[head].A);
            Reach(queue[head].B);
            Reach(queue[head].C);
        }
        if (tail < count - 1)
            throw new InvalidOperationException($"only {tail} nodes of {count} are reachable");
        int last = index[queue[tail - 1].Id];
        for (int i = 0; i < count; i++)
            nodes[i].Weight = 0;
        return last;
    }

    static void Build(string shape, int count)
    {
        nodes = new Node[count];
        if (shape == "web")
            Web(count);
        else
            Sequential(count);
        Heap.Root = nodes[0];
        nodes = null;
    }

    static double longest;

    static void Tick()
    {
        for (long last = Stopwatch.GetTimestamp(); ;)
        {
            long now = Stopwatch.GetTimestamp();
            double gap = (now - last) * 1e3 / Stopwatch.Frequency;
            if (gap > Volatile.Read(ref longest))
                Volatile.Write(ref longest, gap);
            last = now;
        }
    }

    static void TellGaps()
    {
        new Thread(Tick) { IsBackground = true }.Start();
        while (Console.ReadLine() != null)
            Console.WriteLine(Interlocked.Exchange(ref longest, 0).ToString("F3", CultureInfo.InvariantCulture));
    }

    static void Main(string[] args)
    {
        int count = Math.Max(Option(args, "--nodes", 1000000), 10);
        string shape = Array.IndexOf(args, "web") >= 0 ? "web" : "seq";
        var builder = new Thread(() => Build(shape, count));
        builder.Start();
        builder.Join();
        GCSettings.LargeObjectHeapCompactionMode = GCLargeObjectHeapCompactionMode.CompactOnce;
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        var teller = new Thread(() =>
        {
            Root["shape"] = shape;
            Type<Node>(count - 1);
            Type<FarNode>(1);
            Type<FarObject>(1);
            Keep("Node", "static", "Heap.Root");
            Keep("FarObject", "static", "Heap.Root");
            Root["far"] = new System.Text.Json.Nodes.JsonObject { ["type"] = "FarObject", ["holder"] = "FarNode", ["field"] = "Far" };
            Print(Line());
        });
        teller.Start();
        teller.Join();
        if (Array.IndexOf(args, "--ticks") >= 0)
            TellGaps();
        Block(args, 1800);
    }
}
