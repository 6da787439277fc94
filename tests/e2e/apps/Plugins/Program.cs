// Loads itself once more into AssemblyLoadContexts of its own, as plug-ins, prints the truth, and blocks.
// Plugins [--seconds N]
//
// "leaky" was told to unload, but a static of the host holds an order of its; "alive" was not told, and an order of it
// hangs on its own static only; "fixed" can never unload; "gone" was unloaded and is collected.
using System;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.Loader;
using System.Text.Json.Nodes;
using static Truth;

public class PluginOrder
{
    public byte[] Blob = new byte[100];
}

public class PluginState
{
    public static object Own;
    public static object Make() => new PluginOrder();
    public static void Keep() => Own = new PluginOrder();
}

public class FixedContext : AssemblyLoadContext
{
    public FixedContext() : base("fixed") { }
}

public static class Host
{
    public static object Held;
    public static AssemblyLoadContext Alive;
    static readonly JsonArray contexts = new();

    static Type State(AssemblyLoadContext context) =>
        context.LoadFromAssemblyPath(Assembly.GetExecutingAssembly().Location).GetType("PluginState");

    static void Tell(AssemblyLoadContext context, string state, int assemblies) => contexts.Add(new JsonObject
    {
        ["name"] = context.Name, ["type"] = context.GetType().ToString(), ["collectible"] = context.IsCollectible,
        ["state"] = state, ["assemblies"] = assemblies,
    });

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Plant()
    {
        var leaky = new AssemblyLoadContext("leaky", true);
        Held = State(leaky).GetMethod("Make").Invoke(null, null);
        Tell(leaky, "unloading", 1);
        leaky.Unload();
        Alive = new AssemblyLoadContext("alive", true);
        State(Alive).GetMethod("Keep").Invoke(null, null);
        Tell(Alive, "alive", 1);
        var fix = new FixedContext();
        State(fix);
        Tell(fix, "alive", 1);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static WeakReference Gone()
    {
        var gone = new AssemblyLoadContext("gone", true);
        State(gone).GetMethod("Make").Invoke(null, null);
        var weak = new WeakReference(gone, true);
        gone.Unload();
        return weak;
    }

    static void Main(string[] args)
    {
        Plant();
        var gone = Gone();
        for (int i = 0; gone.IsAlive && i < 100; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        Type<PluginOrder>(2);
        Root["gone"] = !gone.IsAlive;
        Root["contexts"] = contexts;
        Print(Line());
        Block(args);
    }
}
