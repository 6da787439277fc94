// The truth a test app prints: one JSON object on one line of stdout. Schema: ../README.md.
using System;
using System.Diagnostics;
using System.IO;
using System.Runtime;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading;

static class Truth
{
    static readonly JsonArray types = new(), roots = new(), threads = new();
    public static readonly JsonObject Root = new()
    {
        ["truth"] = 1,
        ["app"] = AppDomain.CurrentDomain.FriendlyName,
#if NETCOREAPP3_1
        ["pid"] = Process.GetCurrentProcess().Id,
#else
        ["pid"] = Environment.ProcessId,
#endif
        ["runtime"] = Environment.Version.ToString(),
        ["gc"] = GCSettings.IsServerGC ? "server" : "workstation",
        ["types"] = types,
        ["roots"] = roots,
        ["threads"] = threads,
    };

    /// A planted class: so many instances of so many bytes each (as SOS counts: base + n * component, not rounded).
    public static JsonObject Type(Type type, int count, string live = "live", string name = null, int length = 0)
    {
        var entry = new JsonObject
        {
            ["type"] = name ?? type.ToString(),
            ["count"] = count,
            ["size"] = Size(type, length),
            ["state"] = live,
        };
        types.Add(entry);
        return entry;
    }

    public static JsonObject Type<T>(int count, string live = "live") => Type(typeof(T), count, live);

    /// What keeps the instances of a type alive; several kinds are alternatives, the first is the expected one.
    public static JsonObject Keep(string type, string kinds, string name, params JsonObject[] path)
    {
        var kindList = new JsonArray();
        foreach (var kind in kinds.Split('|'))
            kindList.Add(kind);
        var root = new JsonObject { ["type"] = type, ["kinds"] = kindList, ["name"] = name, ["path"] = new JsonArray(path) };
        roots.Add(root);
        return root;
    }

    public static JsonObject Field(string type, string field) => new() { ["link"] = "field", ["type"] = type, ["field"] = field };
    public static JsonObject Element(string type, int index, string field = null)
    {
        var hop = new JsonObject { ["link"] = "element", ["type"] = type, ["index"] = index };
        if (field != null)
            hop["field"] = field;
        return hop;
    }
    public static JsonObject Dependent(string type) => new() { ["link"] = "dependent", ["type"] = type };
    public static JsonObject Loader(string type) => new() { ["link"] = "loader", ["type"] = type };

    public static void CurrentThread()
    {
        var thread = Thread.CurrentThread;
        var entry = new JsonObject { ["name"] = thread.Name, ["managed_id"] = thread.ManagedThreadId, ["os_id"] = gettid() };
        lock (threads)
            threads.Add(entry);
    }

    public static byte[] Line() => Encoding.UTF8.GetBytes(Root.ToJsonString() + "\n");

    /// Allocates next to nothing, so that what was planted last is still there.
    public static unsafe void Print(byte[] line)
    {
        fixed (byte* bytes = line)
        {
            nint done = 0;
            while (done < line.Length)
            {
                nint n = write(1, bytes + done, line.Length - done);
                if (n <= 0)
                    _exit(3);
                done += n;
            }
        }
    }

    public static unsafe int Size(Type type, int length)
    {
        uint* methodTable = (uint*)type.TypeHandle.Value;
        int component = (methodTable[0] & 0x80000000) != 0 ? (ushort)methodTable[0] : 0;
        return (int)methodTable[1] + length * component;
    }

    /// The value of an option such as `--seconds 30`.
    public static int Option(string[] args, string name, int otherwise)
    {
        int at = Array.IndexOf(args, name);
        return at >= 0 && at + 1 < args.Length ? int.Parse(args[at + 1]) : otherwise;
    }

    /// Blocks until the time limit, then ends at once: a blocked finalizer thread must not matter.
    public static void Block(string[] args, int otherwise = 600)
    {
        int seconds = Option(args, "--seconds", otherwise), at = Array.IndexOf(args, "--collect");
        if (at < 0)
            Thread.Sleep(seconds * 1000);
        else
            CollectOnRequest(args[at + 1], seconds);
        _exit(0);
    }

    /// Whenever the file is there it is removed, a full blocking collection is made, and a line says so: the first does not
    /// compact, the second does, and so on. Nothing is allocated meanwhile.
    static unsafe void CollectOnRequest(string file, int seconds)
    {
        byte* path = (byte*)Marshal.StringToHGlobalAnsi(file);
        int made = 0;
        for (int tenths = 0; tenths < 10 * seconds; tenths++)
        {
            if (unlink(path) == 0)
            {
                GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: made++ % 2 == 1);
                fixed (byte* line = "{\"collected\":true}\n"u8)
                    write(1, line, 19);
            }
            usleep(100000);
        }
    }

    [DllImport("libc")] static extern int gettid();
    [DllImport("libc")] static extern unsafe nint write(int fd, byte* bytes, nint size);
    [DllImport("libc")] static extern unsafe int unlink(byte* path);
    [DllImport("libc")] static extern int usleep(uint microseconds);
    [DllImport("libc")] static extern void _exit(int code);
}
