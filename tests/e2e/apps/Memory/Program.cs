// Allocates known amounts in known places.  Memory [--go FILE] [--mib N] [--seconds N]
//
// Prints what is there before, allocates data, prints, allocates code and stacks, prints, and blocks. With --go it waits
// before the first until FILE exists, before the second until FILE.code does; without it the first line is left out.
// Everything is touched, so that it is resident. Bytes by place:
//
//   data.small, large, pinned   objects that live, on gen2, LOH and POH
//   data.malloc                 native memory of four threads, in chunks far below the mmap threshold
//   data.anonymous, file        mmap; `anonymous_at`, `file_path` (FILE.mapped) say where
//   code.stacks                 of 30 threads `deepN`: from the deepest byte touched to the top, whole pages
//   code.assembly               all pages of a big assembly; `assembly_path`
//   code.dynamic_methods        their number; DOTNET_PerfMapEnabled=3 makes the runtime write where their code is
//
// `committed` is what GC.GetGCMemoryInfo() says right after a blocking GC, the last thing that is done; `collections` are
// GC.CollectionCount(0), (1), (2) then.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using System.Threading;
using static Truth;

static unsafe class Program
{
    const int MiB = 1 << 20, Page = 4096, Threads = 30, Methods = 2000, StackDepth = 1 * MiB;

    static readonly List<object> kept = new();
    static readonly List<Delegate> methods = new();
    static long stacks;
    static volatile int ready;
    static readonly ManualResetEvent never = new(false);

    // ---- managed ----

    static long Small(int mib)
    {
        int count = mib * MiB / 1024;
        var arrays = new byte[count][];
        for (int i = 0; i < count; i++)
            arrays[i] = new byte[1000]; // 1,024 bytes with header and length.
        kept.Add(arrays); // An object of the LOH.
        return (long)count * 1024;
    }

    static long Large(int mib)
    {
        for (int i = 0; i < mib; i++)
        {
            var array = new byte[MiB - 24];
            Array.Fill(array, (byte)1);
            kept.Add(array);
        }
        return (long)mib * MiB + mib * MiB / 1024 * 8;
    }

    static long Pinned(int mib)
    {
        for (int i = 0; i < 4 * mib; i++)
        {
            byte[] array = GC.AllocateArray<byte>(MiB / 4 - 24, pinned: true);
            Array.Fill(array, (byte)1);
            kept.Add(array);
        }
        return (long)mib * MiB;
    }

    // ---- native ----

    static long Malloc(int mib)
    {
        const int Chunk = 4080; // 4,096 with its header.
        void Allocate()
        {
            for (int i = 0; i < mib * MiB / 4096 / 4; i++)
                NativeMemory.Fill(NativeMemory.Alloc(Chunk), Chunk, 1);
            Interlocked.Increment(ref ready);
            never.WaitOne();
        }
        Start(4, "malloc", Allocate, 0);
        return mib * MiB / 4096 / 4 * 4 * 4096L;
    }

    static nint Map(long size, int fd, int protection)
    {
        nint at = mmap(0, (nuint)size, protection, fd < 0 ? 0x22 : 2, fd, 0);
        if (at == -1)
            throw new IOException("mmap");
        return at;
    }

    static long Touch(nint at, long size)
    {
        long sum = 0;
        for (long i = 0; i < size; i += Page)
            sum += Volatile.Read(ref *(byte*)(at + i));
        GC.KeepAlive(sum);
        return size;
    }

    static nint Anonymous(int mib)
    {
        nint at = Map((long)mib * MiB, -1, 3);
        NativeMemory.Fill((void*)at, (nuint)mib * MiB, 1);
        return at;
    }

    static string MappedFile(int mib, string path)
    {
        using (var file = File.Create(path))
        {
            var block = new byte[MiB];
            Array.Fill(block, (byte)1);
            for (int i = 0; i < mib; i++)
                file.Write(block);
        }
        using (var file = File.OpenRead(path))
            Touch(Map((long)mib * MiB, (int)file.SafeFileHandle.DangerousGetHandle(), 1), (long)mib * MiB);
        return path;
    }

    // ---- stacks ----

    [StructLayout(LayoutKind.Sequential)] struct Attributes { fixed byte bytes[128]; }

    static void Start(int count, string name, Action body, int stack)
    {
        int before = ready;
        for (int i = 0; i < count; i++)
        {
            var thread = new Thread(() => body(), stack) { IsBackground = true, Name = $"{name}{i}" };
            thread.Start();
        }
        while (ready < before + count)
            Thread.Sleep(5);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Deep()
    {
        byte* block = stackalloc byte[StackDepth];
        for (int i = StackDepth - Page; i >= 0; i -= Page)
            block[i] = 1;
        Attributes attributes;
        nint low;
        nuint size;
        pthread_getattr_np(pthread_self(), &attributes);
        pthread_attr_getstack(&attributes, &low, &size);
        long top = low + (long)size;
        Interlocked.Add(ref stacks, (top + Page - 1) / Page * Page - (long)block / Page * Page);
        pthread_attr_destroy(&attributes);
        Interlocked.Increment(ref ready);
        never.WaitOne();
        GC.KeepAlive(block[0]);
    }

    // ---- code ----

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static int Opaque(int value, int with) => value ^ with;

    static void DynamicMethods()
    {
        MethodInfo call = typeof(Program).GetMethod(nameof(Opaque));
        for (int m = 0; m < Methods; m++)
        {
            var method = new DynamicMethod($"Planted{m}", typeof(int), new[] { typeof(int) }, typeof(Program).Module);
            ILGenerator il = method.GetILGenerator();
            il.Emit(OpCodes.Ldarg_0);
            for (int i = 0; i < 100; i++)
            {
                il.Emit(OpCodes.Ldc_I4, 1000000 + m + i);
                il.Emit(OpCodes.Call, call);
            }
            il.Emit(OpCodes.Ret);
            var code = method.CreateDelegate<Func<int, int>>();
            code(m);
            methods.Add(code);
        }
    }

    static (string, long) BigAssembly()
    {
        string path = Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "System.Private.Xml.dll");
        Assembly.Load("System.Private.Xml").GetTypes();
        long size = 0;
        foreach (string line in File.ReadAllLines("/proc/self/maps"))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 6 || words[5] != path || words[1][0] != 'r')
                continue;
            string[] ends = words[0].Split('-');
            nint start = nint.Parse(ends[0], NumberStyles.HexNumber);
            size += Touch(start, nint.Parse(ends[1], NumberStyles.HexNumber) - start);
        }
        return (path, size);
    }

    // ---- the order of things ----

    static JsonObject PlantData(int mib, string file) => new()
    {
        ["small"] = Small(mib),
        ["large"] = Large(mib),
        ["pinned"] = Pinned(mib),
        ["malloc"] = Malloc(4 * mib), // The runtime takes some for itself meanwhile.
        ["anonymous"] = (long)mib * MiB,
        ["anonymous_at"] = $"0x{Anonymous(mib):x}",
        ["file"] = (long)mib * MiB,
        ["file_path"] = MappedFile(mib, file),
    };

    static JsonObject PlantCode()
    {
        Start(Threads, "deep", Deep, 4 * MiB);
        DynamicMethods();
        (string path, long size) = BigAssembly();
        return new()
        {
            ["threads"] = Threads,
            ["stacks"] = stacks,
            ["dynamic_methods"] = Methods,
            ["assembly_path"] = path,
            ["assembly"] = size,
        };
    }

    static byte[] Settled()
    {
        // The number is written over digits that are there, so that nothing is allocated behind the last GC.
        Root["committed"] = 100000000000000000;
        Root["collections"] = new JsonArray(GC.CollectionCount(0) + 3, GC.CollectionCount(1) + 3, GC.CollectionCount(2) + 3);
        byte[] line = Line();
        int at = line.AsSpan().IndexOf("100000000000000000"u8);
        for (int i = 0; i < 3; i++)
            GC.Collect(2, GCCollectionMode.Forced, blocking: true);
        long committed = GC.GetGCMemoryInfo(GCKind.Any).TotalCommittedBytes;
        line.AsSpan(at, 18).Fill((byte)' ');
        for (int i = 17; committed > 0; i--, committed /= 10)
            line[at + i] = (byte)('0' + committed % 10);
        return line;
    }

    static void WaitFor(string file)
    {
        while (file != null && !File.Exists(file))
            Thread.Sleep(20);
    }

    static void Main(string[] args)
    {
        int at = Array.IndexOf(args, "--go"), mib = Option(args, "--mib", 16);
        string go = at >= 0 ? args[at + 1] : null;
        if (go != null)
            Print(Settled());
        WaitFor(go);
        Root["data"] = PlantData(mib, go != null ? go + ".mapped" : Path.GetTempFileName());
        Print(Settled());
        if (go != null)
            WaitFor(go + ".code");
        Root["code"] = PlantCode();
        Print(Settled());
        Block(args);
    }

    [DllImport("libc")] static extern nint mmap(nint at, nuint size, int protection, int flags, int fd, nint offset);
    [DllImport("libc")] static extern nint pthread_self();
    [DllImport("libc")] static extern int pthread_getattr_np(nint thread, Attributes* attributes);
    [DllImport("libc")] static extern int pthread_attr_getstack(Attributes* attributes, nint* low, nuint* size);
    [DllImport("libc")] static extern int pthread_attr_destroy(Attributes* attributes);
}
