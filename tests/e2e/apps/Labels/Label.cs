using System;
using System.Reflection;
using System.Text.Json.Nodes;

namespace App
{
    static class Label
    {
        public static readonly JsonArray All = new();

        /// `holder`: the way to the instances in one line, or lines, a|b. `meanings`: what its steps mean, where they mean more than their fields, in order.
        /// `nameless`: the same where nothing is known but names (a snapshot of shapes).
        public static void Of(Type type, string holder, string[] meanings, string[] nameless)
        {
            All.Add(new JsonObject { ["type"] = type.ToString(), ["holder"] = holder, ["meanings"] = Array(meanings), ["nameless"] = Array(nameless) });
        }

        public static void Of<T>(string holder, string meaning, string nameless = null) =>
            Of(typeof(T), holder, meaning == null ? new string[0] : new[] { meaning }, nameless == null ? new string[0] : new[] { nameless });

        static JsonArray Array(string[] texts)
        {
            var array = new JsonArray();
            foreach (string text in texts)
                array.Add(text);
            return array;
        }

        /// As the runtime names it: "App.Order.OnChanged".
        public static string Name(Delegate d) => Name(d.Method);
        public static string Name(MethodInfo m) => m.DeclaringType + "." + m.Name;
    }
}
