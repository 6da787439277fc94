// The instance fields of a type, the way ClrMD sees them, and the values of its first instance.
using System;
using System.Globalization;
using System.Linq;
using System.Text.Json.Nodes;
using Microsoft.Diagnostics.Runtime;

static class Fields
{
    public static void Write(Target target, string typeName)
    {
        var obj = target.Heap.EnumerateObjects().FirstOrDefault(o => o.Type.Name == typeName);
        if (!obj.IsValid)
            throw new ArgumentException("no object of type " + typeName);
        var fields = new JsonArray();
        foreach (var field in obj.Type.Fields.OrderBy(f => f.Offset))
        {
            fields.Add(new JsonObject
            {
                ["name"] = field.Name,
                ["type"] = field.Type?.Name,
                ["element_type"] = field.ElementType.ToString(),
                ["offset"] = field.Offset,
                ["size"] = field.Size,
                ["declared_in"] = field.ContainingType.Name,
                ["value"] = Value(field, obj.Address),
            });
        }
        Console.WriteLine(new JsonObject
        {
            ["type"] = typeName,
            ["mt"] = Report.Hex(obj.Type.MethodTable),
            ["address"] = Report.Hex(obj.Address),
            ["size"] = obj.Size,
            ["fields"] = fields,
        }.ToJsonString());
    }

    public static string Value(ClrInstanceField field, ulong at)
    {
        return field.ElementType switch
        {
            ClrElementType.Boolean => field.Read<bool>(at, false) ? "true" : "false",
            ClrElementType.Char => ((int)field.Read<char>(at, false)).ToString(),
            ClrElementType.Int8 => field.Read<sbyte>(at, false).ToString(),
            ClrElementType.UInt8 => field.Read<byte>(at, false).ToString(),
            ClrElementType.Int16 => field.Read<short>(at, false).ToString(),
            ClrElementType.UInt16 => field.Read<ushort>(at, false).ToString(),
            ClrElementType.Int32 => field.Read<int>(at, false).ToString(),
            ClrElementType.UInt32 => field.Read<uint>(at, false).ToString(),
            ClrElementType.Int64 => field.Read<long>(at, false).ToString(),
            ClrElementType.UInt64 => field.Read<ulong>(at, false).ToString(),
            ClrElementType.NativeInt or ClrElementType.Pointer => field.Read<long>(at, false).ToString(),
            ClrElementType.NativeUInt or ClrElementType.FunctionPointer => field.Read<ulong>(at, false).ToString(),
            ClrElementType.Float => field.Read<float>(at, false).ToString("R", CultureInfo.InvariantCulture),
            ClrElementType.Double => field.Read<double>(at, false).ToString("R", CultureInfo.InvariantCulture),
            ClrElementType.String => field.ReadString(at, false),
            ClrElementType.Struct => null,
            _ => Report.Hex(field.Read<ulong>(at, false)),
        };
    }
}
