// Waits, in every form that a .NET program can have: NativeAOT and Mono too, so nothing here is new or needs a library.
using System;
using System.Threading;

static class Program
{
    static void Main(string[] args)
    {
        int seconds = 600;
        for (int i = 0; i + 1 < args.Length; i++)
            if (args[i] == "--seconds")
                seconds = int.Parse(args[i + 1]);
        Console.WriteLine("{\"truth\":1,\"app\":\"Idle\",\"runtime\":\"" + Environment.Version + "\"}");
        Console.Out.Flush();
        Thread.Sleep(seconds * 1000);
    }
}
