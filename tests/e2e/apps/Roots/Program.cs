// Plants one class per root kind, prints the truth about them, and blocks.  Roots [--seconds N]
using System;
using System.Runtime.CompilerServices;
using System.Threading;

static class Program
{
    static bool present;

    /// Everything is planted by threads that end, so that no stale stack slot is a second root.
    static void OnThread(ThreadStart work)
    {
        var thread = new Thread(work);
        thread.Start();
        thread.Join();
    }

    static void Plant()
    {
        Statics.Plant();
        Handles.Plant();
        Dynamic.Plant();
        Threads.Start("roots-worker-1");
        Threads.Start("roots-worker-2");
    }

    static byte[] Tell()
    {
        Statics.Tell();
        Handles.Tell();
        Dynamic.Tell();
        Threads.Tell();
        Garbage.Tell();
        return Truth.Line();
    }

    static void Main(string[] args)
    {
        byte[] line = null;
        OnThread(Plant);
        OnThread(Garbage.Plant);
        GC.Collect();
        GC.Collect();
        OnThread(() => line = Tell());
        for (int i = 0; i < 10 && !present; i++)
        {
            GC.Collect(2, GCCollectionMode.Forced, blocking: true);
            int collections = GC.CollectionCount(0);
            OnThread(() => present = Garbage.PlantDead(collections));
        }
        if (!present)
            throw new InvalidOperationException("a collection came each time");
        Truth.Print(line);
        Truth.Block(args);
    }
}
