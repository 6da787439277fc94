// Handles of every kind that a program can make on Linux.
using System.Collections.Generic;
using System.Runtime;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static Truth;

public class Handles
{
    public static List<object> KeptWeak = new();
    public static List<object> Keys = new();
    public static ConditionalWeakTable<A8_CwtKey, A9_CwtVal> Cwt = new();
    public static ConditionalWeakTable<A8_CwtRefKey, A9_CwtRefVal> CwtRef = new();
    static DependentHandle dependent;

    public static void Plant()
    {
        GCHandle.Alloc(new A5_Strong());
        GCHandle.Alloc(new A6_Pinned { X = 6 }, GCHandleType.Pinned);
        Weak(new A7_Weak(), GCHandleType.Weak);
        Weak(new A7_WeakTrack(), GCHandleType.WeakTrackResurrection);
        Keys.Add(new A8_CwtKey());
        Keys.Add(new A8_CwtRefKey());
        Keys.Add(new B1_DependentKey());
        Cwt.Add((A8_CwtKey)Keys[0], new());
        CwtRef.Add((A8_CwtRefKey)Keys[1], new());
        dependent = new(Keys[2], new B1_DependentVal());
    }

    static void Weak(object o, GCHandleType kind)
    {
        KeptWeak.Add(o);
        GCHandle.Alloc(o, kind);
    }

    public static void Tell()
    {
        const string list = "System.Collections.Generic.List<System.Object>";
        static void Kept<T>(string field, int index)
        {
            Type<T>(1);
            Keep(typeof(T).ToString(), "static", "Handles." + field, Field(list, "_items"), Element("System.Object[]", index));
        }
        static void Value<T>(string key, int index)
        {
            Type<T>(1);
            Keep(typeof(T).ToString(), "static", "Handles.Keys", Field(list, "_items"), Element("System.Object[]", index), Dependent(key));
        }
        Type<A5_Strong>(1);
        Keep("A5_Strong", "strong", null);
        Type<A6_Pinned>(1);
        Keep("A6_Pinned", "pinned", null);
        Kept<A7_Weak>("KeptWeak", 0);
        Kept<A7_WeakTrack>("KeptWeak", 1);
        Kept<A8_CwtKey>("Keys", 0);
        Kept<A8_CwtRefKey>("Keys", 1);
        Kept<B1_DependentKey>("Keys", 2);
        Value<A9_CwtVal>("A8_CwtKey", 0);
        Value<A9_CwtRefVal>("A8_CwtRefKey", 1);
        Value<B1_DependentVal>("B1_DependentKey", 2);
        Root["handles"] = new System.Text.Json.Nodes.JsonArray(
            Handle("strong", "A5_Strong"), Handle("pinned", "A6_Pinned"), Handle("weak-short", "A7_Weak"),
            Handle("weak-long", "A7_WeakTrack"), Handle("weak-short", "C1_DeadButPresent"),
            Handle("dependent", "A8_CwtKey", "A9_CwtVal"), Handle("dependent", "A8_CwtRefKey", "A9_CwtRefVal"),
            Handle("dependent", "B1_DependentKey", "B1_DependentVal"));
    }

    static System.Text.Json.Nodes.JsonObject Handle(string kind, string type, string secondary = null)
    {
        var handle = new System.Text.Json.Nodes.JsonObject { ["kind"] = kind, ["type"] = type };
        if (secondary != null)
            handle["secondary"] = secondary;
        return handle;
    }
}
