// Every collection that labels.md names, with what is in it, under which key, at which place.
using System;
using System.Collections;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Collections.ObjectModel;
using System.Reflection;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Caching.Memory;
using static App.Label;

namespace App
{
    public class ByText { }
    public class ByNumber { }
    public class ByLong { }
    public class ByEnum { }
    public class ByChar { }
    public class ByGuid { }
    public class ByObject { }
    public class IsKey { public override int GetHashCode() => 1; }
    public class InStruct { }
    public class InDerived { }
    public class InList { }
    public class InArray { }
    public class BeyondSize { }
    public class InSet { }
    public class InQueue { }
    public class InStack { }
    public class InLinkedList { }
    public class InSortedList { }
    public class InSortedDictionary { }
    public class InSortedSet : IComparable { public int CompareTo(object other) => 1; }
    public class InPriorityQueue { }
    public class InConcurrentDictionary { }
    public class InConcurrentQueue { }
    public class InConcurrentStack { }
    public class InConcurrentBag { }
    public class InCollection { }
    public class InHashtable { }
    public class InArrayList { }
    public class InImmutableList { }
    public class InImmutableDictionary { }
    public class InCache { }
    public class InNested { }
    public class InDamagedList { }
    public class InDamagedQueue { }
    public class InDamagedDictionary { }
    public class InCircle { }
    public class WeakKey { }
    public class WeakValue { }
    public class InTree { }
    public class Leaf { public Leaf Left, Right; public InTree Value; }

    public struct Wrapped { public long A; public InStruct Ref; }
    public class Registry : Dictionary<string, object> { }
    public enum Colour : byte { Red = 3 }

    static class Collections
    {
        static readonly Dictionary<string, ByText> text = new();
        static readonly Dictionary<int, ByNumber> number = new();
        static readonly Dictionary<long, ByLong> big = new();
        static readonly Dictionary<Colour, ByEnum> colour = new();
        static readonly Dictionary<char, ByChar> letter = new();
        static readonly Dictionary<Guid, ByGuid> guid = new();
        static readonly Dictionary<object, ByObject> boxed = new();
        static readonly Dictionary<IsKey, string> keyed = new();
        static readonly Dictionary<int, Wrapped> wrapped = new();
        static readonly Registry derived = new();
        static readonly List<object> list = new();
        static readonly object[] array = new object[8];
        static readonly List<object> beyond = new();
        static readonly HashSet<object> set = new();
        static readonly Queue<object> queue = new();
        static readonly Stack<object> stack = new();
        static readonly LinkedList<object> linked = new();
        static readonly SortedList<string, InSortedList> sortedList = new();
        static readonly SortedDictionary<int, InSortedDictionary> sorted = new();
        static readonly SortedSet<InSortedSet> sortedSet = new();
        static readonly PriorityQueue<object, int> priority = new();
        static readonly ConcurrentDictionary<string, InConcurrentDictionary> concurrent = new();
        static readonly ConcurrentQueue<object> concurrentQueue = new();
        static readonly ConcurrentStack<object> concurrentStack = new();
        static readonly ConcurrentBag<object> bag = new();
        static readonly ObservableCollection<object> collection = new();
        static readonly Hashtable hashtable = new();
        static readonly ArrayList arrayList = new();
        static ImmutableList<object> immutableList = ImmutableList<object>.Empty;
        static ImmutableDictionary<string, InImmutableDictionary> immutable = ImmutableDictionary<string, InImmutableDictionary>.Empty;
        static readonly MemoryCache cache = new(new MemoryCacheOptions());
        static readonly Dictionary<string, Dictionary<int, List<InNested>>> nested = new();
        static readonly ConditionalWeakTable<WeakKey, WeakValue> table = new();
        static readonly WeakKey weakKey = new();
        static readonly List<object> damagedList = new();
        static readonly Queue<object> damagedQueue = new();
        static readonly Dictionary<string, object> damaged = new();
        static readonly ConcurrentDictionary<int, object> circle = new(1, 1); // One bucket.
        static Leaf tree;

        public static void Plant()
        {
            for (int i = 0; i < 40; i++)
            {
                text["customer " + i] = i == 17 ? new ByText() : null;
                number[i * 100] = i == 17 ? new ByNumber() : null;
                concurrent["session " + i] = i == 17 ? new InConcurrentDictionary() : null;
                sorted[i] = i == 17 ? new InSortedDictionary() : null;
                list.Add(i == 17 ? new InList() : null);
                arrayList.Add(i == 17 ? new InArrayList() : null);
                linked.AddLast(i == 17 ? new InLinkedList() : null);
                queue.Enqueue(i == 17 ? new InQueue() : null);
                stack.Push(i == 17 ? new InStack() : null);
                concurrentQueue.Enqueue(i == 17 ? new InConcurrentQueue() : null);
                concurrentStack.Push(i == 17 ? new InConcurrentStack() : null);
                immutableList = immutableList.Add(i == 17 ? new InImmutableList() : null);
                set.Add(i == 17 ? new InSet() : i);
                priority.Enqueue(i == 17 ? new InPriorityQueue() : null, i);
            }
            for (int i = 0; i < 15; i++)
                queue.Dequeue();
            for (int i = 0; i < 30; i++)
                queue.Enqueue(null); // Around the end of its array.
            text.Remove("customer 3");
            big[-5_000_000_000] = new();
            colour[Colour.Red] = new();
            letter['x'] = new();
            guid[Guid.Empty] = new();
            boxed[4711] = new();
            keyed[new IsKey()] = "value";
            wrapped[9] = new Wrapped { Ref = new InStruct() };
            derived["a \"quoted\"\nline"] = new InDerived();
            array[5] = new InArray();
            sortedList["only"] = new();
            sortedSet.Add(new());
            bag.Add(new InConcurrentBag());
            collection.Add(new InCollection());
            hashtable["in a hashtable"] = new InHashtable();
            immutable = immutable.Add("immutable", new());
            cache.Set("user:42", new InCache());
            nested["outer"] = new() { [7] = new() { null, new InNested() } };
            table.Add(weakKey, new WeakValue());
            for (int i = 0; i < 3; i++)
                beyond.Add(null);
            beyond.Add(new BeyondSize());
            Set(beyond, "_size", 3);
            tree = Grow(6);
            Damage();
        }

        const BindingFlags Any = BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.Instance;

        static object Get(object from, string field) => from.GetType().GetField(field, Any).GetValue(from);

        /// Without its knowledge, as a race would.
        static void Set(object collection, string field, object value) => collection.GetType().GetField(field, Any).SetValue(collection, value);

        /// Counts beyond the array, or below what is there; a bucket that leads back to itself.
        static void Damage()
        {
            damagedList.Add(new InDamagedList());
            Set(damagedList, "_size", int.MaxValue);
            damagedQueue.Enqueue(new InDamagedQueue());
            Set(damagedQueue, "_head", int.MaxValue);
            Set(damagedQueue, "_size", -5);
            damaged["first"] = null;
            damaged["second"] = new InDamagedDictionary();
            Set(damaged, "_count", 1);
            circle[1] = null;
            circle[2] = new InCircle();
            var buckets = (Array)Get(Get(circle, "_tables"), "_buckets");
            foreach (object bucket in buckets)
            {
                object node = Get(bucket, "_node");
                if (node != null && Get(node, "_next") is object last)
                    Set(last, "_next", node);
            }
        }

        static Leaf Grow(int depth) => depth == 0 ? new Leaf { Value = new InTree() } : new Leaf { Left = Grow(depth - 1), Right = Grow(depth - 1) };

        public static void Tell()
        {
            Of<ByText>("static App.Collections.text -> Dictionary values", "Dictionary[\"customer 17\"]", "Dictionary value");
            Of<ByNumber>("static App.Collections.number -> Dictionary values", "Dictionary[1700]", "Dictionary value");
            Of<ByLong>("static App.Collections.big -> Dictionary values", "Dictionary[-5000000000]", "Dictionary value");
            Of<ByEnum>("static App.Collections.colour -> Dictionary values", "Dictionary[3]", "Dictionary value");
            Of<ByChar>("static App.Collections.letter -> Dictionary values", "Dictionary['x']", "Dictionary value");
            Of<ByGuid>("static App.Collections.guid -> Dictionary values", "Dictionary value", "Dictionary value");
            Of<ByObject>("static App.Collections.boxed -> Dictionary values", "Dictionary[4711]", "Dictionary value");
            Of<IsKey>("static App.Collections.keyed -> Dictionary keys", "Dictionary key", "Dictionary key");
            Of<InStruct>("static App.Collections.wrapped -> Dictionary values.Ref", "Dictionary[9].Ref", "Dictionary value.Ref");
            Of<InDerived>("static App.Collections.derived -> Dictionary values", "Dictionary[\"a \\\"quoted\\\"\\nline\"]", "Dictionary value");
            Of<InList>("static App.Collections.list -> List items", "List[17]", "List[17]");
            Of<InArray>("static App.Collections.array -> System.Object[] items", null);
            Of<BeyondSize>("static App.Collections.beyond -> List items", "List, behind its end", "List[3]");
            Of<InDamagedList>("static App.Collections.damagedList -> List items", "List[0]", "List[0]");
            Of<InDamagedQueue>("static App.Collections.damagedQueue -> Queue items", "Queue item", "Queue item");
            Of<InDamagedDictionary>("static App.Collections.damaged -> Dictionary values", "Dictionary, behind its end", "Dictionary value");
            Of<InCircle>("static App.Collections.circle -> ConcurrentDictionary values", "ConcurrentDictionary[2]", "ConcurrentDictionary value");
            Of<InSet>("static App.Collections.set -> HashSet items", "HashSet item", "HashSet item");
            Of<InQueue>("static App.Collections.queue -> Queue items", "Queue[2]", "Queue item");
            Of<InStack>("static App.Collections.stack -> Stack items", "Stack[17]", "Stack[17]");
            Of<InLinkedList>("static App.Collections.linked -> LinkedList items", "LinkedList item", "LinkedList item");
            Of<InSortedList>("static App.Collections.sortedList -> SortedList values", "SortedList value", "SortedList value");
            Of<InSortedDictionary>("static App.Collections.sorted -> SortedDictionary values", "SortedDictionary[17]", "SortedDictionary value");
            Of<InSortedSet>("static App.Collections.sortedSet -> SortedSet items", "SortedSet item", "SortedSet item");
            Of<InPriorityQueue>("static App.Collections.priority -> PriorityQueue items", "PriorityQueue item", "PriorityQueue item");
            Of<InConcurrentDictionary>("static App.Collections.concurrent -> ConcurrentDictionary values", "ConcurrentDictionary[\"session 17\"]",
                "ConcurrentDictionary value");
            Of<InConcurrentQueue>("static App.Collections.concurrentQueue -> ConcurrentQueue items", "ConcurrentQueue item", "ConcurrentQueue item");
            Of<InConcurrentStack>("static App.Collections.concurrentStack -> ConcurrentStack items", "ConcurrentStack item", "ConcurrentStack item");
            Of<InConcurrentBag>("static App.Collections.bag -> ConcurrentBag items", "ConcurrentBag item", "ConcurrentBag item");
            Of<InCollection>("static App.Collections.collection -> Collection items", "Collection[0]", "Collection[0]");
            Of<InHashtable>("static App.Collections.hashtable -> Hashtable values", "Hashtable[\"in a hashtable\"]", "Hashtable value");
            Of<InArrayList>("static App.Collections.arrayList -> ArrayList items", "ArrayList[17]", "ArrayList[17]");
            Of<InImmutableList>("static App.Collections.immutableList -> ImmutableList items", "ImmutableList item", "ImmutableList item");
            Of<InImmutableDictionary>("static App.Collections.immutable -> ImmutableDictionary values", "ImmutableDictionary[\"immutable\"]",
                "ImmutableDictionary value");
            Of<InCache>("static App.Collections.cache -> MemoryCache values", "MemoryCache[\"user:42\"]", "MemoryCache value");
            Of(typeof(InNested), "static App.Collections.nested -> Dictionary values -> Dictionary values -> List items",
                new[] { "Dictionary[\"outer\"]", "Dictionary[7]", "List[1]" }, new[] { "Dictionary value", "Dictionary value", "List[1]" });
            Of<WeakValue>("static App.Collections.weakKey -> App.WeakKey (dependent handle)", "ConditionalWeakTable value"); // Whose handle it is, is a value.
        }
    }
}
