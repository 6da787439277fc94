// A service under full load that allocates about 1 GB a second on each of its threads (--threads N, 1): requests whose answers are
// made of small objects, strings and buffers, of which a few stay for a while. Each line on stdin is answered by the requests and
// bytes so far and the time in seconds.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;
using System.Threading;

class Item
{
    public string Name;
    public int Number;
    public Item Next;
}

class Worker
{
    public long Requests;
    readonly Dictionary<int, byte[]> cache = new();
    uint state = 12345;

    [MethodImpl(MethodImplOptions.NoInlining)]
    Item Parse(ReadOnlySpan<byte> request)
    {
        Item first = null;
        for (int i = 0; i + 16 <= request.Length; i += 16)
            first = new Item { Name = Encoding.ASCII.GetString(request.Slice(i, 16)), Number = request[i], Next = first };
        return first;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static byte[] Answer(Item first)
    {
        var text = new StringBuilder();
        for (var item = first; item != null; item = item.Next)
            text.Append(item.Name).Append('=').Append(item.Number).Append(';');
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    void Serve(byte[] buffer)
    {
        for (int i = 0; i < buffer.Length; i++)
        {
            state = state * 1664525 + 1013904223;
            buffer[i] = (byte)('a' + (state >> 24) % 26);
        }
        var copy = new byte[8192];
        buffer.CopyTo(copy, 0);
        foreach (byte b in copy.AsSpan(0, 3200))
            state = (state ^ b) * 16777619;
        var answer = Answer(Parse(copy.AsSpan(0, buffer.Length)));
        if (Requests % 64 == 0)
            cache[(int)(Requests / 64 % 512)] = answer;
        Requests++;
    }

    public void Run()
    {
        var buffer = new byte[512];
        while (true)
            Serve(buffer);
    }
}

static class Program
{
    static void Main(string[] args)
    {
        int at = Array.IndexOf(args, "--threads"), count = at >= 0 ? int.Parse(args[at + 1]) : 1;
        var workers = new Worker[count];
        for (int i = 0; i < count; i++)
            new Thread((workers[i] = new Worker()).Run) { IsBackground = true }.Start();
        Console.WriteLine($"{{\"pid\": {Environment.ProcessId}}}");
        while (Console.ReadLine() != null)
        {
            long requests = 0;
            foreach (var worker in workers)
                requests += Volatile.Read(ref worker.Requests);
            Console.WriteLine($"{requests} {GC.GetTotalAllocatedBytes(false)} {Stopwatch.GetTimestamp() / (double)Stopwatch.Frequency:R}");
        }
    }
}
