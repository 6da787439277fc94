// The two leaks of the service: a cache that never forgets, and an event that nobody unsubscribes from.
using System;
using System.Collections.Concurrent;
using System.Threading;

namespace Shop
{
    public class Order
    {
        public int Id;
        public string Customer;
        public byte[] Document = new byte[256];
    }

    public class OrderCache
    {
        static readonly ConcurrentDictionary<int, Order> orders = new();
        static int next;
        public static int Count => orders.Count;

        public static Order Create(string customer)
        {
            var order = new Order { Id = Interlocked.Increment(ref next), Customer = customer };
            orders[order.Id] = order;
            return order;
        }
    }

    public static class Notifier
    {
        public static event EventHandler Changed;
        public static int Count => Changed?.GetInvocationList().Length ?? 0;
    }

    public class Session
    {
        public string User;
        public byte[] State = new byte[1000];
        public Session(string user) { User = user; Notifier.Changed += OnChanged; }
        void OnChanged(object sender, EventArgs e) => State[0]++;
    }
}
