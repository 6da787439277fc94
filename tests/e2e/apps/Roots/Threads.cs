// What belongs to a thread: locals, thread statics, ThreadLocal<T>, AsyncLocal<T>.
using System;
using System.Runtime.CompilerServices;
using System.Threading;
using static Truth;

public class Threads
{
    [ThreadStatic] static int number; // a primitive thread static beside the reference
    [ThreadStatic] static A3_ThreadStatic ts;
    static readonly ThreadLocal<B4_ThreadLocal> threadLocal = new(() => new());
    static readonly AsyncLocal<B5_AsyncLocal> asyncLocal = new();
    static readonly ManualResetEventSlim ready = new(false);

    public static void Start(string name)
    {
        ready.Reset();
        new Thread(Work) { IsBackground = true, Name = name }.Start();
        ready.Wait();
    }

    static void Work()
    {
        CurrentThread();
        Plant();
        Wait(new A4_Local());
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Plant()
    {
        number = 3;
        ts = new();
        Gen<string>.Ts = new();
        asyncLocal.Value = new();
        GC.KeepAlive(threadLocal.Value);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Wait(A4_Local local)
    {
        ready.Set();
        Thread.Sleep(Timeout.Infinite);
        GC.KeepAlive(local);
    }

    public static void Tell()
    {
        string[] names = ["roots-worker-1", "roots-worker-2"];
        Type<A3_ThreadStatic>(2);
        Type<A3_GenericThreadStatic>(2)["clrmd"] = false;
        Type<A4_Local>(2);
        Type<B4_ThreadLocal>(2);
        Type<B5_AsyncLocal>(2);
        foreach (string name in names)
        {
            Keep("A3_ThreadStatic", "thread-static", "Threads.ts")["thread"] = name;
            var generic = Keep("A3_GenericThreadStatic", "thread-static", "Gen<System.String>.Ts");
            generic["thread"] = name;
            generic["clrmd"] = false;
            var local = Keep("A4_Local", "stack", null);
            local["thread"] = name;
            local["frame"] = "Threads.Wait";
            Keep("B4_ThreadLocal", "thread-static|static", null)["thread"] = name;
            Keep("B5_AsyncLocal", "thread-static|strong|stack", null)["thread"] = name;
        }
    }
}
