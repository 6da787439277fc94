// Events and other delegates: which methods they call. Timers, closures.
using System;
using System.Runtime.CompilerServices;
using System.Threading;
using static App.Label;

namespace App
{
    public class Order { public void OnChanged(object sender, EventArgs e) { } }
    public class Basket { public void OnChanged(object sender, EventArgs e) { } }
    public class Gone { public void OnChanged(object sender, EventArgs e) { } }
    public class Captured { public int Used; }
    public class CapturedWithin { public int Used; }
    public class InCached { public int Used; }
    public class Ticker { public void Tick(object state) { } }
    public class TickerOfNobody { public void Tick(object state) { } }
    public class TimerState { }

    public static class Publisher
    {
        public static event EventHandler Changed;   // one subscriber
        public static event EventHandler Closed;    // several
        public static EventHandler Stale;           // its array holds one more than it calls

        public static void Subscribe()
        {
            Changed += new Order().OnChanged;
            for (int i = 0; i < 3; i++)
                Closed += i == 1 ? new Basket().OnChanged : Nobody;
            for (int i = 0; i < 3; i++)
                Stale += Nobody;
            var shorter = Stale;
            Stale += new Gone().OnChanged; // In the fourth slot of the array, which both share.
            Stale = shorter;
        }

        static void Nobody(object sender, EventArgs e) { }
    }

    static class Events
    {
        static Func<int> closure, within;
        static Timer timer;

        [MethodImpl(MethodImplOptions.NoInlining)]
        static Func<int> Capture(Captured captured) => () => captured.Used;

        [MethodImpl(MethodImplOptions.NoInlining)]
        static Func<int> CaptureWithin(CapturedWithin outer)
        {
            Func<int> last = null;
            for (int i = 0; i < 2; i++)
            {
                int inner = i;
                last = () => outer.Used + inner;
            }
            return last;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        static void StartTimers()
        {
            timer = new Timer(new Ticker().Tick, new TimerState(), 1_000_000_000, 1_000_000_000);
            GC.KeepAlive(timer);
        }

        public static void Plant()
        {
            Publisher.Subscribe();
            closure = Capture(new Captured());
            within = CaptureWithin(new CapturedWithin());
            StartTimers();
        }

        public static void Tell()
        {
            // Both are as short.
            const string queue = "static System.Threading.TimerQueue.Instances -> System.Threading.TimerQueue[] items -> TimerQueue";
            Of<Order>("static App.Publisher.Changed -> System.EventHandler targets", "calls App.Order.OnChanged");
            Of<Basket>("static App.Publisher.Closed -> System.EventHandler targets", "calls App.Basket.OnChanged");
            Of<Gone>("static App.Publisher.Stale -> System.EventHandler targets", "not called any more: App.Gone.OnChanged");
            Of(typeof(Captured), "static App.Events.closure -> System.Func<System.Int32> targets -> App.Events+<closure>.captured",
                new[] { "calls " + Lambda(nameof(Capture)), "closure of App.Events.Capture" }, new[] { "closure in App.Events" });
            Of(typeof(CapturedWithin), "static App.Events.within -> System.Func<System.Int32> targets -> App.Events+<closure>.<closure> -> App.Events+<closure>.outer",
                new[] { "calls " + Lambda(nameof(CaptureWithin)), "closure of App.Events.CaptureWithin", "closure of App.Events.CaptureWithin" },
                new[] { "closure in App.Events", "closure in App.Events" });
            Of<Ticker>("static App.Events.timer -> Timer callbacks|" + queue + " callbacks", "timer calls App.Ticker.Tick", "Timer callback");
            Of<TimerState>("static App.Events.timer -> Timer state|" + queue + " state", "state of the timer that calls App.Ticker.Tick", "Timer state");
        }

        static string Lambda(string method) => $"App.Events.<lambda in {method}>";
    }
}
