// Types made at run time: a collectible assembly with a static, a list and an array, and one that stays.
using System;
using System.Collections;
using System.Reflection;
using System.Reflection.Emit;
using static Truth;

public class Dynamic
{
    public static object Instance;      // the one thing that keeps the collectible assembly alive, with the two below
    public static IList List;
    public static Array Array;
    static Type staying;

    static Type Make(string assembly, string name, AssemblyBuilderAccess access, object value)
    {
        var module = AssemblyBuilder.DefineDynamicAssembly(new(assembly), access).DefineDynamicModule(assembly);
        var builder = module.DefineType(name, TypeAttributes.Public | TypeAttributes.Class);
        builder.DefineField("S", typeof(object), FieldAttributes.Public | FieldAttributes.Static);
        builder.DefineField("Number", typeof(int), FieldAttributes.Public);
        var type = builder.CreateType();
        type.GetField("S").SetValue(null, value);
        return type;
    }

    public static void Plant()
    {
        staying = Make("StayingAssembly", "Dyn.Staying", AssemblyBuilderAccess.Run, new G2_InDynamicStatic());
        var type = Make("CollectibleAssembly", "Dyn.Collectible", AssemblyBuilderAccess.RunAndCollect, new G1_InCollectibleStatic());
        Instance = Activator.CreateInstance(type);
        List = (IList)Activator.CreateInstance(typeof(System.Collections.Generic.List<>).MakeGenericType(type));
        List.Add(Activator.CreateInstance(type));
        Array = Array.CreateInstance(type, 3);
        Array.SetValue(Activator.CreateInstance(type), 2);
    }

    public static void Tell()
    {
        Type<G2_InDynamicStatic>(1);
        Keep("G2_InDynamicStatic", "static", "Dyn.Staying.S");
        Type<G1_InCollectibleStatic>(1);
        // Not a root: objects of its type keep the LoaderAllocator, and that keeps it.
        Keep("G1_InCollectibleStatic", "static", "Dynamic.Instance")["clrmd"] = false;
        Type(Instance.GetType(), 3);
        Keep("Dyn.Collectible", "static", "Dynamic.Instance");
        Keep("Dyn.Collectible", "static", "Dynamic.List", Field("System.Collections.Generic.List<Dyn.Collectible>", "_items"),
            Element("Dyn.Collectible[]", 0))["clrmd"] = false;
        Keep("Dyn.Collectible", "static", "Dynamic.Array", Element("Dyn.Collectible[]", 2))["clrmd"] = false;
        Type(Array.GetType(), 1, name: "Dyn.Collectible[]", length: 3)["clrmd"] = false;
        Type(List.GetType(), 1, name: "System.Collections.Generic.List<Dyn.Collectible>")["clrmd"] = false;
    }
}
