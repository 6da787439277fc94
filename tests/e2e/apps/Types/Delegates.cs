// Delegates of each form, and the classes that the compiler makes for closures, iterators and async methods.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json.Nodes;
using System.Threading.Tasks;

namespace App
{
    public delegate int Measure(string text);

    public class Delegates
    {
        public Measure Static = Length;             // closed over null or a closure class, method App.Delegates.Length
        public Measure Instance;                    // target: this
        public Measure Multicast;
        public Func<int, int> Closure;
        public Func<int> NoCapture = () => 5;
        public Action<List<string>> Generic = GenericTarget<string>;
        public IEnumerator<int> Iterator;
        public Task Async;
        public object Anonymous = new { Name = "anonymous", Count = 3 };
        public Record Record = new("record", 4);
        readonly int offset = 10;

        public Delegates()
        {
            Instance = Offset;
            Multicast = Length;
            Multicast += Offset;
            Multicast += Offset;
            int captured = 77;
            Closure = x => x + captured;
            Iterator = Numbers(3);
            Iterator.MoveNext();
            Async = Wait("async argument");
        }

        /// Per delegate its methods in order; target null for a static method (the delegate then refers to itself).
        public static JsonObject Truth() => new()
        {
            ["Static"] = Methods(("App.Delegates.Length", null)),
            ["Instance"] = Methods(("App.Delegates.Offset", "App.Delegates")),
            ["Multicast"] = Methods(("App.Delegates.Length", null), ("App.Delegates.Offset", "App.Delegates"), ("App.Delegates.Offset", "App.Delegates")),
            ["Closure"] = Methods(("*", "App.Delegates+<>c__DisplayClass*")),
            ["NoCapture"] = Methods(("*", "App.Delegates+<>c")),
            ["Generic"] = Methods(("App.Delegates.GenericTarget", null)),
        };

        static JsonArray Methods(params (string Method, string Target)[] methods) =>
            new(methods.Select(m => (JsonNode)new JsonObject { ["method"] = m.Method, ["target"] = m.Target }).ToArray());

        static int Length(string text) => text.Length;
        int Offset(string text) => text.Length + offset;
        static void GenericTarget<T>(List<T> list) { }

        static IEnumerator<int> Numbers(int count)
        {
            for (int i = 0; i < count; i++)
                yield return i * 100;
        }

        static async Task Wait(string argument)
        {
            await new TaskCompletionSource().Task;
            GC.KeepAlive(argument);
        }
    }

    public record Record(string Name, int Count);
}
