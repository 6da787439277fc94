// Leaks a known number of objects, prints the truth about them, and blocks.  Leak [--objects N] [--rate N] [--seconds N]
//
// Order objects stay in the static OrderCache.orders; each has a string and a 200-byte array. One Session for every
// 200 orders stays subscribed to the static event Bus.Tick. Churn() makes garbage only. With --rate N, N orders a
// second; the truth comes first then, with the count that will be reached. With --commands FIFO it does what the lines
// say that are written there, and prints each when it is done: "orders N" (so many more in OrderCache), "tickets N" (a
// new kind, in the static Desk.open), "close" (none of these any more), "garbage N" (tickets that nothing holds).
using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Threading;
using static Truth;

public class Order
{
    public int Id;
    public string Note;
    public byte[] Blob;
    public Order(int id) { Id = id; Note = "order " + id.ToString("D8"); Blob = new byte[200]; }
}

public class Session
{
    public Order Last;
    public event EventHandler Changed;
    public void OnBus(object sender, EventArgs e) => Changed?.Invoke(sender, e);
}

public class Churned { public byte[] Bytes; }

public static class Bus
{
    public static event EventHandler Tick;
}

public static class OrderCache
{
    static readonly Dictionary<int, Order> orders = new();

    public static void Add(int id) => orders[id] = Make(id);

    [MethodImpl(MethodImplOptions.NoInlining)]
    static Order Make(int id) => new(id);
}

public class Ticket { public long Number; }

public static class Desk
{
    public static List<Ticket> open;
}

static class Program
{
    public static object Sink;

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Obey(string word, int count, ref int orders)
    {
        if (word == "orders")
            for (int i = 0; i < count; i++)
                OrderCache.Add(orders++);
        else if (word == "close")
            Desk.open = null;
        else
        {
            Desk.open = word == "tickets" ? Desk.open ?? new List<Ticket>() : Desk.open;
            for (int i = 0; i < count; i++)
            {
                var ticket = new Ticket { Number = i };
                if (word == "tickets")
                    Desk.open.Add(ticket);
                else
                    Sink = ticket;
            }
            Sink = null;
        }
    }

    // On threads of their own: nothing of it stays on the stack of one that lives.
    static void Obey(string fifo, int orders)
    {
        using var lines = new System.IO.StreamReader(new System.IO.FileStream(fifo, System.IO.FileMode.Open, System.IO.FileAccess.Read));
        for (string line; (line = lines.ReadLine()) != null;)
        {
            string[] words = line.Split(' ');
            int count = words.Length > 1 ? int.Parse(words[1]) : 0;
            var worker = new Thread(() => Obey(words[0], count, ref orders));
            worker.Start();
            worker.Join();
            Print(System.Text.Encoding.UTF8.GetBytes(line + "\n"));
        }
    }

    static void Churn()
    {
        for (int i = 0; i < 100; i++)
            Sink = new Churned { Bytes = new byte[100 + i % 400] };
        Sink = null;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Subscribe() => Bus.Tick += new Session { Last = new Order(0) }.OnBus;

    static void Leak(int objects, int rate)
    {
        for (int i = 0; i < objects; i++)
        {
            OrderCache.Add(i);
            if (i % 200 == 0)
                Subscribe();
            if (i % 10 == 0)
                Churn();
            if (rate > 0 && i % Math.Max(rate / 50, 1) == 0)
                Thread.Sleep(20);
        }
    }

    static void Tell(int objects)
    {
        int sessions = (objects + 199) / 200;
        Type<Order>(objects + sessions);
        Type<Session>(sessions);
        Type<Churned>(0, "garbage");
        Keep("Order", "static", "OrderCache.orders",
            Field("System.Collections.Generic.Dictionary<System.Int32, Order>", "_entries"),
            Element("System.Collections.Generic.Dictionary<System.Int32, Order>+Entry[]", 0, "value"))["instances"] = objects;
        Keep("Session", "static", "Bus.Tick", Field("System.EventHandler", "_invocationList"),
            Element("System.Object[]", 0), Field("System.EventHandler", "_target"))["instances"] = sessions;
        Keep("Order", "static", "Bus.Tick", Field("System.EventHandler", "_invocationList"),
            Element("System.Object[]", 0), Field("System.EventHandler", "_target"), Field("Session", "Last"))["instances"] = sessions;
        Root["allocated_at"] = "OrderCache.Make";
        Root["note_size"] = Size(typeof(string), "order 00000000".Length);
        Root["blob_size"] = Size(typeof(byte[]), 200);
    }

    static void Main(string[] args)
    {
        int objects = Option(args, "--objects", 20000), rate = Option(args, "--rate", 0);
        byte[] line = null;
        var teller = new Thread(() => { Tell(objects); line = Line(); });
        teller.Start();
        teller.Join();
        if (rate > 0)
            Print(line);
        var leaker = new Thread(() => Leak(objects, rate)) { Name = "leaker" };
        leaker.Start();
        leaker.Join();
        GC.Collect();
        if (rate == 0)
            Print(line);
        int commands = Array.IndexOf(args, "--commands");
        if (commands >= 0)
            Obey(args[commands + 1], objects);
        Block(args);
    }
}
