// Prints what its GC goes by, and blocks.  Limits [--refresh BYTES] [--seconds N]
//
// --refresh sets another hard limit while it runs, by GC.RefreshMemoryLimit().
using System;
using System.Collections.Generic;
using System.Runtime;
using System.Text.Json;
using System.Threading;

int seconds = 600;
for (int i = 0; i + 1 < args.Length; i += 2)
{
    if (args[i] == "--seconds")
        seconds = int.Parse(args[i + 1]);
    if (args[i] == "--refresh")
    {
        AppContext.SetData("GCHeapHardLimit", ulong.Parse(args[i + 1]));
        GC.RefreshMemoryLimit();
    }
}
GC.Collect();
var info = GC.GetGCMemoryInfo();
var truth = new Dictionary<string, object>
{
    ["app"] = "Limits",
    ["pid"] = Environment.ProcessId,
    ["runtime"] = Environment.Version.ToString(),
    ["available"] = info.TotalAvailableMemoryBytes,
    ["high"] = info.HighMemoryLoadThresholdBytes,
    ["committed"] = info.TotalCommittedBytes,
    ["server"] = GCSettings.IsServerGC,
    ["latency"] = GCSettings.LatencyMode.ToString(),
    ["processors"] = Environment.ProcessorCount,
    ["variables"] = GC.GetConfigurationVariables(),
};
Console.WriteLine(JsonSerializer.Serialize(truth));
Thread.Sleep(seconds * 1000);
