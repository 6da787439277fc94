// Holds the truth that a test app printed against what ClrMD sees: counts, sizes, liveness, root kinds, paths.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using Microsoft.Diagnostics.Runtime;

static class Verify
{
    static int failures;

    // Under Server GC with DATAS, ClrMD sees only some of the handle table: what hangs on handles alone is not held against it.
    static bool blind;

    static void Check(bool ok, string what)
    {
        checks++;
        if (ok)
            return;
        failures++;
        Console.WriteLine("WRONG " + what);
    }

    static int checks;

    public static int Run(Target target, string truthFile)
    {
        var truth = JsonNode.Parse(File.ReadLines(truthFile).First());
        var objects = target.Heap.EnumerateObjects().ToLookup(o => o.Type.Name ?? "");
        var live = Liveness.Mark(target);
        int types = 0, paths = 0;
        blind = target.Heap.IsServer && target.Heap.DynamicAdaptationMode == 1;
        var onHandles = truth["roots"].AsArray().Where(r => (string)r["kinds"][0] is "strong" or "pinned").Select(r => (string)r["type"]).ToHashSet();
        // "clrmd": false marks what ClrMD 4.2.750101 cannot name or find.
        foreach (var type in truth["types"].AsArray().Where(t => t["clrmd"] == null))
        {
            types++;
            string name = (string)type["type"], state = (string)type["state"];
            var found = objects[name].ToList();
            int alive = found.Count(o => live.Contains(o.Address));
            int count = (int)type["count"];
            string got = $"{name}: {found.Count} objects, {alive} alive, truth says {count} {state}";
            Check(state == "garbage" || found.Count == count, got);
            Check(blind && onHandles.Contains(name) || alive == (state == "live" ? count : 0), got);
            Check(state == "garbage" || found.All(o => o.Size == (ulong)(int)type["size"]), $"{name}: size {(found.Count == 0 ? 0 : found[0].Size)}, truth says {type["size"]}");
        }
        foreach (var root in truth["roots"].AsArray().Where(r => r["clrmd"] == null))
        {
            paths++;
            string kind = (string)root["kinds"][0], name = (string)root["name"];
            if (kind is "static" or "thread-static" && name != null)
                FollowPath(target, root);
        }
        foreach (var thread in truth["threads"].AsArray())
            Check(target.Runtime.Threads.Any(t => t.ManagedThreadId == (int)thread["managed_id"] && t.OSThreadId == (int)thread["os_id"]), "thread " + thread["name"]);
        VerifyHandles(target, truth["handles"]);
        VerifyQueue(truth["f_reachable"], target.Heap.EnumerateFinalizerRoots().Select(r => r.Object.Type.Name), "f-reachable");
        VerifyQueue(truth["finalizable"], target.Heap.EnumerateFinalizableObjects().Select(o => o.Type.Name), "finalizable");
        VerifyNames(truth["names"], objects);
        VerifyValues(truth["values"], objects);
        VerifyStatics(target, truth["statics"]);
        Console.WriteLine($"{types} types, {paths} roots, {checks} checks, {failures} wrong");
        return failures == 0 ? 0 : 1;
    }

    static void FollowPath(Target target, JsonNode root)
    {
        string type = (string)root["type"], name = (string)root["name"];
        var statics = (string)root["kinds"][0] == "static" ? target.NormalStatics : target.ThreadStatics;
        // The name may go on into a struct: "Statics.Sv.Ref" is the field Ref of the static Statics.Sv.
        var found = statics.Where(s => name == s.Field.ContainingType.Name + "." + s.Field.Name
            || name.StartsWith(s.Field.ContainingType.Name + "." + s.Field.Name + ".")).ToList();
        Check(found.Count > 0, $"{type}: no static {name}");
        if (found.Count == 0 || root["path"].AsArray().Count == 0)
            return;
        var at = target.Heap.GetObject(found[0].Object);
        foreach (var hop in root["path"].AsArray())
        {
            var next = Hop(target, at, hop);
            Check(next.IsValid, $"{type}: from {name}, no hop {hop.ToJsonString()} at {at}");
            if (!next.IsValid)
                return;
            at = next;
        }
        Check(at.Type.Name == type, $"{type}: the path from {name} ends at {at}");
    }

    static ClrObject Hop(Target target, ClrObject at, JsonNode hop)
    {
        if (at.Type?.Name != (string)hop["type"])
            return default;
        string field = (string)hop["field"];
        switch ((string)hop["link"])
        {
            case "dependent":
                return target.Runtime.EnumerateHandles().FirstOrDefault(h => h.HandleKind == ClrHandleKind.Dependent && h.Object == at)?.Dependent ?? default;
            case "field":
                return InFields(target, at.Type, at.Address, false, field);
            case "element":
                ulong header = at.Type.StaticSize == 24 ? 16ul : (ulong)at.Type.StaticSize - 8;
                ulong element = at.Address + header + (ulong)(int)hop["index"] * (ulong)at.Type.ComponentSize;
                return field == null
                    ? target.Heap.GetObject(target.Data.DataReader.ReadPointer(element))
                    : InFields(target, at.Type.ComponentType, element, true, field);
            default:
                return default;
        }
    }

    static ClrObject InFields(Target target, ClrType type, ulong address, bool interior, string path)
    {
        string[] names = path.Split('.');
        foreach (string name in names)
        {
            var field = type?.Fields.FirstOrDefault(f => f.Name == name);
            if (field == null)
                return default;
            address = field.GetAddress(address, interior);
            interior = true;
            type = field.Type;
        }
        return target.Heap.GetObject(target.Data.DataReader.ReadPointer(address));
    }

    static void VerifyHandles(Target target, JsonNode truth)
    {
        var seen = target.Runtime.EnumerateHandles()
            .Select(h => (Kind(h.HandleKind), h.Object.Type?.Name, h.HandleKind == ClrHandleKind.Dependent ? h.Dependent.Type?.Name : null)).ToHashSet();
        foreach (var handle in truth?.AsArray() ?? [])
            Check(blind || seen.Contains(((string)handle["kind"], (string)handle["type"], (string)handle["secondary"])), "no handle " + handle.ToJsonString());
    }

    static string Kind(ClrHandleKind kind) => kind switch
    {
        ClrHandleKind.WeakShort => "weak-short",
        ClrHandleKind.WeakLong => "weak-long",
        ClrHandleKind.Strong => "strong",
        ClrHandleKind.Pinned => "pinned",
        ClrHandleKind.Dependent => "dependent",
        _ => kind.ToString(),
    };

    static void VerifyQueue(JsonNode truth, IEnumerable<string> names, string what)
    {
        var counts = names.CountBy(n => n ?? "").ToDictionary();
        foreach (var (name, count) in truth?.AsObject() ?? [])
            Check(counts.GetValueOrDefault(name) == (int)count, $"{what} {name}: {counts.GetValueOrDefault(name)}, truth says {count}");
    }

    static void VerifyNames(JsonNode truth, ILookup<string, ClrObject> objects)
    {
        foreach (var name in truth?.AsArray() ?? [])
            Check(objects[(string)name["type"]].Any(o => o.Size == (ulong)(int)name["size"]), $"no object of type {name["type"]} with {name["size"]} bytes");
    }

    static void VerifyValues(JsonNode truth, ILookup<string, ClrObject> objects)
    {
        foreach (var (type, fields) in truth?.AsObject() ?? [])
        {
            var obj = objects[type].FirstOrDefault();
            Check(obj.IsValid, "no object of type " + type);
            if (!obj.IsValid)
                continue;
            foreach (var field in fields.AsArray())
            {
                string name = (string)field["name"], declaring = (string)field["declared_in"];
                var found = obj.Type.Fields.FirstOrDefault(f => f.Name == name && f.ContainingType.Name == declaring);
                Check(found != null, $"no field {declaring}.{name}");
                if (found != null && (string)field["kind"] is "value" or "string")
                    Same($"{declaring}.{name}", Fields.Value(found, obj.Address), field["value"]);
            }
        }
    }

    static void VerifyStatics(Target target, JsonNode truth)
    {
        if (truth == null)
            return;
        var seen = target.NormalStatics.ToLookup(s => s.Field.ContainingType.Name + "." + s.Field.Name);
        foreach (var (name, field) in truth.AsObject())
        {
            Check(seen.Contains(name), "no static " + name);
            if (seen.Contains(name) && (string)field["kind"] == "string")
                Same(name, target.Heap.GetObject(seen[name].First().Object).AsString(), field["value"]);
        }
    }

    static void Same(string name, string got, JsonNode want)
    {
        string text = want is JsonValue v && v.TryGetValue(out bool b) ? (b ? "true" : "false") : want?.ToString();
        Check(got == text, $"{name} is {got}, truth says {text}");
    }
}
