// Statics of every kind.
using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;
using static Truth;

public class Gen<T>
{
    public static A2_GenericStatic F = new();
    [ThreadStatic] public static A3_GenericThreadStatic Ts;
}

public class Statics
{
    public static int Before = 7; // a primitive first: statics of both kinds have their own storage
    public static A1_Static F1 = new();
    public static SV Sv;
    public static object Boxed = new B1_BoxedValue { X = 42 };
    public static event EventHandler Happened;
    public static Dictionary<string, C3_InDictionary> Dictionary = new();
    public static List<C4_InList> List = new();
    public static C5_InArray[] Array = new C5_InArray[5];
    public static C6_InMultiDim[,] MultiDim = new C6_InMultiDim[3, 4];
    public static C7_InJagged[][] Jagged = [new C7_InJagged[1], null, new C7_InJagged[3]];
    public static Pair[] Pairs = new Pair[4];
    public static Mixed[] MixedArray = new Mixed[3];
    public static NestedHolder Nested = new();
    public static D1_Poh[] Poh = GC.AllocateArray<D1_Poh>(16, pinned: true);
    public static D2_Loh[] Loh = new D2_Loh[20000];
    public static D3_LiteralHolder Literal = new() { Text = "linger: only the literal holder says this" };
    public static E1_Node Head;
    public static E2_CycleA Cycle = new() { B = new() };
    public static TaskCompletionSource Never = new();
    public static object Waiting;
    public static E4_Many[] Many = new E4_Many[1000];
    public static F1_Finalizable Finalizable = new();
    public static Timer HeldTimer;

    public static void Plant()
    {
        Gen<string>.F.ToString();
        Gen<int>.F.ToString();
        Sv.Ref = new();
        Happened += new C2_EventTarget().On;
        Happened += new C2_EventTarget().On;
        Dictionary["one"] = null;
        Dictionary["two"] = new();
        for (int i = 0; i < 3; i++)
            List.Add(new());
        Array[3] = new();
        MultiDim[2, 1] = new();
        Jagged[2][1] = new();
        Pairs[2].Ref = new();
        MixedArray[1].A = new();
        MixedArray[2].C = new();
        Nested.Out.In.Ref = new();
        Poh[9] = new();
        Loh[12345] = new();
        for (int i = 0; i < 50000; i++)
            Head = new() { Next = Head, Index = i };
        Cycle.B.A = Cycle;
        for (int i = 0; i < Many.Length; i++)
            Many[i] = new() { Id = i, Payload = Many };
        HeldTimer = new(_ => { }, new B3_TimerState(), 1000000000, 1000000000);
        Start(new());
        Waiting = Wait(new());
    }

    /// Nobody holds this timer: it is its own state, and the queue keeps it once it is started.
    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Start(B3_TimerTarget target) => new Timer(target.Tick).Change(1000000000, Timeout.Infinite);

    static async Task Wait(E3_InAsyncMethod local)
    {
        await Never.Task;
        GC.KeepAlive(local);
    }

    public static void Tell()
    {
        static void Static<T>(int count, string field, params System.Text.Json.Nodes.JsonObject[] path)
        {
            Type<T>(count);
            Keep(typeof(T).ToString(), "static", "Statics." + field, path);
        }
        Static<A1_Static>(1, "F1");
        Type<A2_GenericStatic>(2);
        Keep("A2_GenericStatic", "static", "Gen<System.String>.F")["clrmd"] = false;
        Keep("A2_GenericStatic", "static", "Gen<System.Int32>.F")["clrmd"] = false;
        Static<B1_BoxedValue>(1, "Boxed");
        Static<B2_StructStatic>(1, "Sv.Ref");
        Static<C2_EventTarget>(2, "Happened",
            Field("System.EventHandler", "_invocationList"), Element("System.Object[]", 0), Field("System.EventHandler", "_target"));
        Static<C3_InDictionary>(1, "Dictionary",
            Field("System.Collections.Generic.Dictionary<System.String, C3_InDictionary>", "_entries"),
            Element("System.Collections.Generic.Dictionary<System.String, C3_InDictionary>+Entry[]", 1, "value"));
        Static<C4_InList>(3, "List", Field("System.Collections.Generic.List<C4_InList>", "_items"), Element("C4_InList[]", 0));
        Static<C5_InArray>(1, "Array", Element("C5_InArray[]", 3));
        Static<C6_InMultiDim>(1, "MultiDim", Element("C6_InMultiDim[,]", 9));
        Static<C7_InJagged>(1, "Jagged", Element("C7_InJagged[][]", 2), Element("C7_InJagged[]", 1));
        Static<C8_InStructArray>(1, "Pairs", Element("Pair[]", 2, "Ref"));
        Static<C8_InMixedArray>(2, "MixedArray", Element("Mixed[]", 1, "A"));
        Keep("C8_InMixedArray", "static", "Statics.MixedArray", Element("Mixed[]", 2, "C"));
        Static<C9_InNestedStruct>(1, "Nested", Field("NestedHolder", "Out.In.Ref"));
        Static<D1_Poh>(1, "Poh", Element("D1_Poh[]", 9));
        Static<D2_Loh>(1, "Loh", Element("D2_Loh[]", 12345));
        Static<D3_LiteralHolder>(1, "Literal");
        Static<E1_Node>(50000, "Head");
        Static<E2_CycleA>(1, "Cycle");
        Static<E2_CycleB>(1, "Cycle", Field("E2_CycleA", "B"));
        Static<E4_Many>(1000, "Many"); // Which of them is asked about is the test's choice.
        Static<F1_Finalizable>(1, "Finalizable");
        Static<B3_TimerState>(1, "HeldTimer", Field("System.Threading.Timer", "_timer"),
            Field("System.Threading.TimerHolder", "_timer"), Field("System.Threading.TimerQueueTimer", "_state"));
        Type<E3_InAsyncMethod>(1);
        string box =
            "System.Runtime.CompilerServices.AsyncTaskMethodBuilder<System.Threading.Tasks.VoidTaskResult>+AsyncStateMachineBox<" + Waiting.GetType().GetGenericArguments()[^1] + ">";
        Keep("E3_InAsyncMethod", "static", "Statics.Waiting", Field(box, "StateMachine.local"));
        Type<B3_TimerTarget>(1);
        Keep("B3_TimerTarget", "static", "System.Threading.TimerQueue.<Instances>k__BackingField");
        Type(typeof(D1_Poh[]), 1, length: Poh.Length);
        Type(typeof(D2_Loh[]), 1, length: Loh.Length);
        Type(typeof(C6_InMultiDim[,]), 1, length: MultiDim.Length);
        Type(typeof(Pair[]), 1, length: Pairs.Length);
        Type(typeof(Mixed[]), 1, length: MixedArray.Length);
        Type<NestedHolder>(1);
        Root["literal"] = new System.Text.Json.Nodes.JsonObject { ["text"] = Literal.Text, ["holder"] = "D3_LiteralHolder", ["field"] = "Text" };
        Root["list"] = new System.Text.Json.Nodes.JsonObject { ["head"] = "Statics.Head", ["type"] = "E1_Node", ["next"] = "Next", ["length"] = 50000, ["last_index"] = 0 };
    }
}
