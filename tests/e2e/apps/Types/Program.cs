// Plants objects whose types, fields and values are known, prints the truth, and blocks.  Types [--seconds N]
using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json.Nodes;
using System.Threading;
using App;
using static Truth;

public class Kept
{
    public static List<object> Objects = new();
    public static Arrays Arrays;
    public static Strings Strings;
    public static Delegates Delegates;
}

static class Program
{
    static readonly JsonArray names = new();
    static readonly JsonObject values = new(), statics = new(), threadStatics = new(), arrays = new();

    /// An object whose type linger has to name like this.
    static void Named(object o, string name)
    {
        Kept.Objects.Add(o);
        names.Add(new JsonObject { ["type"] = name, ["size"] = Size(o.GetType(), o is Array array ? array.Length : 0) });
    }

    static void PlantNames()
    {
        const string dictionary = "System.Collections.Generic.Dictionary";
        Named(new Order { Id = 1 }, "App.Order");
        Named(new Dictionary<string, Order>(), dictionary + "<System.String, App.Order>");
        Named(new Dictionary<string, List<Order[]>>(), dictionary + "<System.String, System.Collections.Generic.List<App.Order[]>>");
        Named(new Dictionary<int, Dictionary<Colour, Outer<int>.Inner<string>>>(),
            dictionary + "<System.Int32, " + dictionary + "<App.Colour, App.Outer<System.Int32>+Inner<System.String>>>");
        Named(new Outer<string>(), "App.Outer<System.String>");
        Named(new Outer<int>.Inner<string>(), "App.Outer<System.Int32>+Inner<System.String>");
        Named(new Outer<string>.Inner<Order>.Deep(), "App.Outer<System.String>+Inner<App.Order>+Deep");
        Named(new Outer<long>.Plain(), "App.Outer<System.Int64>+Plain");
        Named(new Outer<string>.Cell(), "App.Outer<System.String>+Cell");
        Named(Outer<int>.State.On, "App.Outer<System.Int32>+State");
        Named(new Outer<Outer<Outer<int>>>(), "App.Outer<App.Outer<App.Outer<System.Int32>>>");
        Named(new Outer<int[,]>(), "App.Outer<System.Int32[,]>");
        Named(new Outer<int?>(), "App.Outer<System.Nullable<System.Int32>>");
        Named(new Outer<(int, string)>(), "App.Outer<System.ValueTuple<System.Int32, System.String>>");
        Named(new Outer<Order>.Inner<Order>[2], "App.Outer<App.Order>+Inner<App.Order>[]");
        Named(new Nest.Middle.Leaf(), "App.Nest+Middle+Leaf");
        Named(new Order[2], "App.Order[]");
        Named(new Order[2, 3], "App.Order[,]");
        Named(new Order[1, 2, 3], "App.Order[,,]");
        Named(new Order[2][], "App.Order[][]");
        // C# reads array suffixes from the left, the runtime from the right.
        Named(new Order[2][,], "App.Order[,][]");
        Named(new Order[2, 2][], "App.Order[][,]");
        Named(new Dictionary<string, Order>[1], dictionary + "<System.String, App.Order>[]");
        Named(Colour.Green, "App.Colour");
        Named((int)5, "System.Int32");
        Named(new Point { X = 1, Y = 2 }, "App.Point");
        Named(new Recursive(), "App.Recursive");
        Named(new @class(), "App.class");
        Named(new Größe(), "App.Größe");
        Named(new InGlobalNamespace { Order = new() }, "InGlobalNamespace");
        Named(new Measure(s => s.Length), "App.Measure");
        Named(new Func<string, int>(s => s.Length), "System.Func<System.String, System.Int32>");
    }

    static JsonValue V(object value) => value switch
    {
        null => null,
        bool b => JsonValue.Create(b),
        char c => JsonValue.Create((int)c),
        float f => JsonValue.Create(f.ToString("R", System.Globalization.CultureInfo.InvariantCulture)),
        double d => JsonValue.Create(d.ToString("R", System.Globalization.CultureInfo.InvariantCulture)),
        decimal m => JsonValue.Create(m.ToString(System.Globalization.CultureInfo.InvariantCulture)),
        Enum e => JsonValue.Create(e.ToString("D")),
        IFormattable n => JsonValue.Create(n.ToString(null, System.Globalization.CultureInfo.InvariantCulture)),
        _ => JsonValue.Create(value.ToString()),
    };

    /// All values are strings but for bool, null, and char (its code): as read by reflection, one class of the chain at a time.
    static void Valued(object o, string name)
    {
        Kept.Objects.Add(o);
        var fields = new JsonArray();
        for (var type = o.GetType(); type != typeof(object); type = type.BaseType)
        {
            const System.Reflection.BindingFlags own = System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.Public
                | System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.DeclaredOnly;
            foreach (var field in type.GetFields(own))
                fields.Add(FieldTruth(field.Name, type.FullName, field.FieldType, field.FieldType.IsPointer || field.FieldType.IsUnmanagedFunctionPointer || field.FieldType.IsFunctionPointer ? null : field.GetValue(o)));
        }
        values[name] = fields;
    }

    static JsonObject FieldTruth(string name, string declaredIn, Type type, object value)
    {
        var truth = new JsonObject { ["name"] = name, ["declared_in"] = declaredIn, ["kind"] = Kind(type) };
        if (truth["kind"].GetValue<string>() is "value" or "string")
            truth["value"] = V(value);
        else if (type.IsValueType && value != null)
            truth["fields"] = Inner(value);
        else
            truth["null"] = value == null;
        return truth;
    }

    static string Kind(Type type) =>
        type.IsPointer || type.IsFunctionPointer ? "pointer"
        : type.IsPrimitive || type.IsEnum || type == typeof(nint) || type == typeof(nuint) ? "value"
        : type == typeof(string) ? "string"
        : type.IsValueType ? "struct" : "reference";

    static JsonArray Inner(object value)
    {
        var fields = new JsonArray();
        foreach (var field in value.GetType().GetFields(System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.Public | System.Reflection.BindingFlags.NonPublic))
        {
            if (field.FieldType != value.GetType() && !field.FieldType.IsPointer)
                fields.Add(FieldTruth(field.Name, value.GetType().ToString(), field.FieldType, field.GetValue(value)));
        }
        return fields;
    }

    static void PlantValues()
    {
        Valued(new Primitives(), "App.Primitives");
        Valued(new Structs(), "App.Structs");
        Valued(new Last(), "App.Last");
        Valued(new App.Overlapped(), "App.Overlapped");
        Valued(new Inline { Four = Four() }, "App.Inline");
        Valued(new HasFixed(), "App.HasFixed");
        Valued(new Größe(), "App.Größe");
        Valued(new Pointers(), "App.Pointers");
        Root["pointers"] = new JsonObject { ["Int"] = "0x1234", ["Void"] = "0x0", ["CharPointers"] = "0x5678", ["Function"] = "0x0", ["Unmanaged"] = "0x9abc" };
        Kept.Strings = new();
        Root["strings"] = Kept.Strings.Truth();
        Kept.Arrays = new();
        foreach (var field in typeof(Arrays).GetFields())
        {
            var array = (Array)field.GetValue(Kept.Arrays);
            var lengths = new JsonArray(Enumerable.Range(0, array.Rank).Select(i => (JsonNode)array.GetLength(i)).ToArray());
            arrays[field.Name] = new JsonObject { ["lengths"] = lengths, ["length"] = array.Length, ["size"] = Size(array.GetType(), array.Length) };
        }
        Kept.Delegates = new();
        Root["delegates"] = Delegates.Truth();
    }

    static FourObjects Four()
    {
        var four = new FourObjects();
        four[0] = "inline zero";
        four[3] = new Order { Id = 33 };
        return four;
    }

    static void PlantStatics()
    {
        GenericStatics<string>.Count = 10;
        GenericStatics<string>.Value = "generic static";
        GenericStatics<int>.Count = 20;
        GenericStatics<int>.Value = 30;
        GenericStatics<Order>.Value = new() { Id = 40 };
        foreach (var field in typeof(App.Statics).GetFields())
        {
            var value = field.GetValue(null);
            bool perThread = field.IsDefined(typeof(ThreadStaticAttribute), false);
            if (!field.IsLiteral && !perThread)
                statics["App.Statics." + field.Name] = FieldTruth(field.Name, "App.Statics", field.FieldType, value);
        }
        Root["not_static_storage"] = new JsonArray("App.Statics.Constant", "App.Statics.ConstantText");
        Root["generic_statics"] = new JsonObject
        {
            ["App.GenericStatics<System.String>.Count"] = "10",
            ["App.GenericStatics<System.String>.Value"] = "generic static",
            ["App.GenericStatics<System.Int32>.Count"] = "20",
            ["App.GenericStatics<System.Int32>.Value"] = "30",
        };
        Root["never_initialised"] = "App.NeverTouched";
    }

    static void StartThread(string name, int number)
    {
        var ready = new ManualResetEventSlim();
        new Thread(() =>
        {
            CurrentThread();
            App.Statics.ThreadInt = number;
            App.Statics.ThreadOrder = new() { Id = number + 1 };
            App.Statics.ThreadPoint = new() { X = number + 2, Y = number + 3 };
            ready.Set();
            Thread.Sleep(Timeout.Infinite);
        }) { IsBackground = true, Name = name }.Start();
        ready.Wait();
        threadStatics[name] = new JsonObject
        {
            ["App.Statics.ThreadInt"] = number,
            ["App.Statics.ThreadOrder.Id"] = number + 1,
            ["App.Statics.ThreadPoint.X"] = number + 2,
            ["App.Statics.ThreadPoint.Y"] = number + 3,
        };
    }

    static void Main(string[] args)
    {
        var planter = new Thread(() =>
        {
            PlantNames();
            PlantValues();
            PlantStatics();
            StartThread("types-worker-1", 100);
            StartThread("types-worker-2", 200);
            Root["names"] = names;
            Root["values"] = values;
            Root["statics"] = statics;
            Root["thread_statics"] = threadStatics;
            Root["arrays"] = arrays;
            Print(Line());
        });
        planter.Start();
        planter.Join();
        Block(args);
    }
}
