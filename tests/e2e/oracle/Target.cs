// Opens a core or a process with the DAC named and the version repaired.
//
// ClrMD 4.2.750101 looks for the runtime's version string in the first writable segment only, so it believes in 0.0 for
// .NET 10: it does not find the DAC, and silently treats statics and thread statics as no roots (it enumerates those for
// versions 9 and 10 only). So the version is read from the file of libcoreclr.so and given to a ClrInfo of our own.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Microsoft.Diagnostics.Runtime;

sealed class Target : IDisposable
{
    public DataTarget Data { get; }
    public ClrRuntime Runtime { get; }
    public string Dac { get; }
    public ClrHeap Heap => Runtime.Heap;
    readonly Lazy<List<Statics.Static>> normal, perThread; // finding them takes a walk over the heap
    public List<Statics.Static> NormalStatics => normal.Value;
    public List<Statics.Static> ThreadStatics => perThread.Value;

    public Target(string name, string dac, bool mapped, bool suspend)
    {
        var options = new DataTargetOptions { UseLockFreeMemoryMapReader = mapped, SymbolPaths = [], ForceCompleteRuntimeEnumeration = true };
        Data = int.TryParse(name, out int pid)
            ? DataTarget.AttachToProcess(pid, suspend, options)
            : DataTarget.LoadDump(name, options);
        var module = Data.EnumerateModules().FirstOrDefault(m => Path.GetFileName(m.FileName) == "libcoreclr.so")
            ?? throw new InvalidDataException("no libcoreclr.so in " + name);
        string folder = Path.GetDirectoryName(module.FileName);
        Dac = dac ?? Path.Combine(folder, "libmscordaccore.so");
        var info = new ClrInfo(Data, module, RuntimeVersion(Path.Combine(Path.GetDirectoryName(Dac), "libcoreclr.so")))
        {
            Flavor = ClrFlavor.Core,
            DebuggingLibraries = [],
        };
        Runtime = info.CreateRuntime(Dac, ignoreMismatch: true);
        var types = new Lazy<List<ClrType>>(() => Statics.Types(Runtime).ToList());
        normal = new(() => Statics.Normal(Runtime, types.Value).ToList());
        perThread = new(() => Statics.PerThread(Runtime, types.Value).ToList());
    }

    /// "@(#)Version 10.0.1226.42308 @Commit: ..." becomes 10.0.1226.42308.
    static Version RuntimeVersion(string file)
    {
        byte[] bytes = File.ReadAllBytes(file);
        ReadOnlySpan<byte> mark = "@(#)Version "u8;
        int at = bytes.AsSpan().IndexOf(mark);
        if (at < 0)
            throw new InvalidDataException("no version string in " + file);
        var text = bytes.AsSpan(at + mark.Length);
        return Version.Parse(Encoding.ASCII.GetString(text[..text.IndexOf((byte)' ')]));
    }

    public void Dispose()
    {
        Runtime.Dispose();
        Data.Dispose();
    }
}
