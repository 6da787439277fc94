// What must be gone, what is dead but still there, and what waits to be finalized.
using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading;
using static Truth;

public class Garbage
{
    static readonly GCHandle[] weak = new GCHandle[3];

    public static void Plant()
    {
        for (int i = 0; i < 5; i++)
        {
            GC.KeepAlive(new Fin());
            GC.KeepAlive(new B6_Unrooted());
        }
    }

    /// Runs on a thread that ends: no register or stack slot remembers these. False if a collection came between.
    public static bool PlantDead(int collections)
    {
        for (int i = 0; i < 3; i++)
        {
            var dead = new C1_DeadButPresent { Child = new C1_DeadChild() };
            if (weak[i].IsAllocated)
                weak[i].Target = dead;
            else
                weak[i] = GCHandle.Alloc(dead, GCHandleType.Weak);
        }
        return GC.CollectionCount(0) == collections;
    }

    public static void Tell()
    {
        Type<B6_Unrooted>(0, "gone");
        Type<C1_DeadButPresent>(3, "dead");
        Type<C1_DeadChild>(3, "dead");
        Type<Fin>(5);
        Type<F2_OnlyFromFinalizable>(5);
        Keep("Fin", "stack", null)["thread"] = ".NET Finalizer";
        Keep("Fin", "finalizer", null)["instances"] = 4;
        Keep("F2_OnlyFromFinalizable", "finalizer|stack", null, Field("Fin", "Child"));
        Root["f_reachable"] = new System.Text.Json.Nodes.JsonObject { ["Fin"] = 4 };
        Root["finalizable"] = new System.Text.Json.Nodes.JsonObject { ["F1_Finalizable"] = 1 };
    }
}
