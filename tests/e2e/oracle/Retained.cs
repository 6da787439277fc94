// What each object that is alive retains: dominators by iteration (Cooper, Harvey, Kennedy 2001, "A simple, fast dominance
// algorithm") over ClrMD's own objects, references and roots. Number 0 is a node in front of all roots.
//
// address <tab> retained <tab> immediate dominator (0: none), in no particular order. Addresses in the file `also` are roots, too.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Microsoft.Diagnostics.Runtime;

sealed class Retained
{
    readonly Target target;
    readonly List<ClrObject> nodes = [default];
    readonly Dictionary<ulong, int> numbers = [];
    readonly List<List<int>> next = [[]], before = [[]];
    readonly ILookup<ulong, ClrObject> dependents;

    Retained(Target target, string also)
    {
        this.target = target;
        dependents = target.Runtime.EnumerateHandles().Where(h => h.HandleKind == ClrHandleKind.Dependent)
            .ToLookup(h => h.Object.Address, h => h.Dependent);
        foreach (var root in Liveness.Roots(target, withStatics: false).Concat(Frozen()))
            Link(0, root);
        foreach (string line in also == null ? [] : File.ReadLines(also))
            Link(0, target.Heap.GetObject(ulong.Parse(line, NumberStyles.HexNumber)));
        for (int i = 1; i < nodes.Count; i++) // Those that it leads to are added behind.
        {
            foreach (var child in nodes[i].EnumerateReferences(carefully: false, considerDependantHandles: false))
                Link(i, child);
            foreach (var child in dependents[nodes[i].Address])
                Link(i, child);
            // ClrMD does not list it of arrays and generic instantiations.
            if (nodes[i].Type.IsCollectible)
                Link(i, target.Heap.GetObject(target.Data.DataReader.ReadPointer(nodes[i].Type.LoaderAllocatorHandle)));
        }
    }

    /// Objects of the frozen heap are never collected.
    IEnumerable<ClrObject> Frozen() => target.Heap.Segments.Where(s => s.Kind == GCSegmentKind.Frozen).SelectMany(s => s.EnumerateObjects());

    void Link(int from, ClrObject to)
    {
        if (!to.IsValid)
            return;
        if (!numbers.TryGetValue(to.Address, out int number))
        {
            numbers[to.Address] = number = nodes.Count;
            nodes.Add(to);
            next.Add([]);
            before.Add([]);
        }
        next[from].Add(number);
        before[number].Add(from);
    }

    /// Nodes in the order in which a depth-first search leaves them, the last first.
    int[] Order()
    {
        var order = new int[nodes.Count];
        var met = new bool[nodes.Count];
        var way = new Stack<(int Node, int Edge)>();
        int left = nodes.Count;
        met[0] = true;
        way.Push((0, 0));
        while (way.TryPop(out var at))
        {
            if (at.Edge == next[at.Node].Count)
            {
                order[--left] = at.Node;
                continue;
            }
            way.Push((at.Node, at.Edge + 1));
            int child = next[at.Node][at.Edge];
            if (!met[child])
            {
                met[child] = true;
                way.Push((child, 0));
            }
        }
        return order;
    }

    /// By place in the order: the place of the immediate dominator.
    int[] Dominators(int[] order)
    {
        var place = new int[order.Length];
        for (int i = 0; i < order.Length; i++)
            place[order[i]] = i;
        var dominator = new int[order.Length];
        Array.Fill(dominator, -1);
        dominator[0] = 0;
        for (bool changed = true; changed;)
        {
            changed = false;
            for (int i = 1; i < order.Length; i++)
            {
                int found = -1;
                foreach (int from in before[order[i]].Select(b => place[b]).Where(b => dominator[b] >= 0))
                    found = found < 0 ? from : Meet(dominator, found, from);
                changed |= dominator[i] != found;
                dominator[i] = found;
            }
        }
        return dominator;
    }

    static int Meet(int[] dominator, int a, int b)
    {
        while (a != b)
        {
            if (a > b)
                a = dominator[a];
            else
                b = dominator[b];
        }
        return a;
    }

    public static void Write(Target target, string file, string also)
    {
        var graph = new Retained(target, also);
        int[] order = graph.Order(), dominator = graph.Dominators(order);
        var size = order.Select(node => node == 0 ? 0 : graph.nodes[node].Size).ToArray();
        for (int i = order.Length - 1; i > 0; i--)
            size[dominator[i]] += size[i];
        using var output = new StreamWriter(file) { NewLine = "\n" };
        for (int i = 1; i < order.Length; i++)
            output.WriteLine($"{graph.nodes[order[i]].Address:x}\t{size[i]}\t{graph.nodes[order[dominator[i]]].Address:x}");
    }
}
