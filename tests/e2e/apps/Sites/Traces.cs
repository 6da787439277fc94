// Where objects of each site are made, by the app's own word: the line by the compiler's, the stack by the runtime's.
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Runtime.CompilerServices;
using System.Text;

static class Traces
{
    public static bool On;
    static readonly Dictionary<Place, string> all = new();

    /// The first object of each site: its line, and the lines of the stack that have one.
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Note(Place site, int line)
    {
        lock (all)
        {
            if (site == 0 || all.ContainsKey(site))
                return;
            all[site] = "";
        }
        var lines = new StringBuilder($"{{\"line\": {line}, \"stack\": [");
        string comma = "";
        foreach (var frame in new StackTrace(1, true).GetFrames())
        {
            var method = frame.GetMethod();
            if (frame.GetFileName() is not string file || method.DeclaringType == typeof(Planted))
                continue;
            lines.Append($"{comma}[\"{Path.GetFileName(file)}\", {frame.GetFileLineNumber()}]");
            comma = ", ";
        }
        lock (all)
            all[site] = lines.Append("]}").ToString();
    }

    public static string Truth()
    {
        var parts = new List<string>();
        lock (all)
        {
            foreach (var (site, text) in all)
                parts.Add($"\"{site}\": {text}");
        }
        return "{" + string.Join(", ", parts) + "}";
    }
}
