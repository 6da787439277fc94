// Threads that stand where an exception is on its way, each held by nothing else.  Throws [--seconds N] [--crash N]
//
// Thread "filter" is in the first pass, "finally" in the second, "nested" in a filter for one that was thrown while
// another was handled, "fault" in a filter for a null reference. Each exception has a Cargo. Caught is dead: its
// thread has caught another since. With --crash 1 an exception that nobody catches ends it after the truth is told;
// with --load 1 it stands where compiled code calls what lies in an assembly that is being loaded.
using System;
using System.Runtime.CompilerServices;
using System.Threading;
using static Truth;

public class Cargo { public long Number; }
public class InFilter : Exception { public FilterCargo Cargo = new(); }
public class InFinally : Exception { public FinallyCargo Cargo = new(); }
public class Outer : Exception { public OuterCargo Cargo = new(); }
public class Inner : Exception { public InnerCargo Cargo = new(); }
public class Caught : Exception { public CaughtCargo Cargo = new(); }
public class Fatal : Exception { public FatalCargo Cargo = new(); }
public class FilterCargo : Cargo { }
public class FinallyCargo : Cargo { }
public class OuterCargo : Cargo { }
public class InnerCargo : Cargo { }
public class CaughtCargo : Cargo { }
public class FatalCargo : Cargo { }

static class Program
{
    static readonly CountdownEvent inPlace = new(4);
    static readonly ManualResetEventSlim told = new(false);

    [MethodImpl(MethodImplOptions.NoInlining)]
    static bool Stay()
    {
        inPlace.Signal();
        Thread.Sleep(Timeout.Infinite);
        return false;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Throw<T>() where T : Exception, new() => throw new T();

    static void Filter()
    {
        try { Throw<InFilter>(); }
        catch (InFilter) when (Stay()) { }
    }

    static void Finally()
    {
        try
        {
            try { Throw<InFinally>(); }
            finally { Stay(); }
        }
        catch (InFinally) { }
    }

    static void Nested()
    {
        try { Throw<Outer>(); }
        catch (Outer)
        {
            try { Throw<Inner>(); }
            catch (Inner) when (Stay()) { }
            throw;
        }
    }

    static void Fault(Cargo cargo)
    {
        try { cargo.Number++; }
        catch (NullReferenceException) when (Stay()) { }
    }

    static void Catch<T>() where T : Exception, new()
    {
        try { Throw<T>(); }
        catch (T) { }
    }

    static void Run(string name, ThreadStart work)
    {
        new Thread(() => { CurrentThread(); work(); }) { Name = name, IsBackground = true }.Start();
    }

    static void Tell()
    {
        Type<InFilter>(1); Type<FilterCargo>(1);
        Type<InFinally>(1); Type<FinallyCargo>(1);
        Type<Outer>(1); Type<OuterCargo>(1);
        Type<Inner>(1); Type<InnerCargo>(1);
        foreach (var (type, thread) in new[] { ("InFilter", "filter"), ("InFinally", "finally"), ("Outer", "nested"), ("Inner", "nested") })
            Keep(type, "frame", "in-flight exception")["thread"] = thread;
    }

    static void Main(string[] args)
    {
        byte[] line = null;
        Run("filter", Filter);
        Run("finally", Finally);
        Run("nested", Nested);
        Run("fault", () => Fault(null));
        inPlace.Wait();
        var teller = new Thread(() => { Tell(); line = Line(); });
        teller.Start();
        teller.Join();
        Catch<Caught>();
        Catch<InvalidOperationException>();
        GC.Collect();
        if (Option(args, "--load", 0) == 1)
        {
            AppDomain.CurrentDomain.AssemblyLoad += (_, _) => { Print(line); Block(args); };
            Console.WriteLine();
        }
        Print(line);
        if (Option(args, "--crash", 0) == 1)
            Throw<Fatal>();
        Block(args);
    }
}
