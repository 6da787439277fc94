// Strings and arrays with contents that are easy to print wrongly.
using System;
using System.Linq;
using System.Text.Json.Nodes;

namespace App
{
    public class Strings
    {
        public string Ascii = "plain";
        public string Empty = new string('x', 0);
        public string Latin = "Grüße, naïve café";
        public string Cjk = "日本語";
        public string Emoji = "smile \U0001F600 and family \U0001F468\u200D\U0001F469";
        public string LoneHigh = "lone \ud83d high";
        public string LoneLow = "lone \ude00 low";
        public string Controls = "tab\t newline\n return\r escape\u001b[31m bell\a nul\0 del\u007f c1\u0085 end";
        public string Quotes = "\"double\" 'single' \\back";
        public string Combining = "e\u0301 a\u0308";
        public string RightToLeft = "\u202Eoverride \u05E9\u05DC\u05D5\u05DD";
        public string Separators = "line\u2028para\u2029bom\uFEFF";
        public string Long = string.Concat(Enumerable.Range(0, 20000).Select(i => (char)('a' + i % 26)));

        /// The first 64 UTF-16 units as hexadecimal: JSON cannot carry a lone surrogate.
        public JsonObject Truth()
        {
            var truth = new JsonObject();
            foreach (var field in typeof(Strings).GetFields())
            {
                string text = (string)field.GetValue(this);
                string units = string.Concat(text.Take(64).Select(c => ((int)c).ToString("X4")));
                truth[field.Name] = new JsonObject { ["length"] = text.Length, ["utf16"] = units };
            }
            return truth;
        }
    }

    public class Arrays
    {
        public int[] Empty = [];
        public int[] One = [7];
        public object[] Mixed = ["text", 5, null, new Order { Id = 1 }];
        public int[,] Rank2 = { { 1, 2, 3 }, { 4, 5, 6 } };
        public string[,,] Rank3 = new string[2, 3, 4];
        public long[,] EmptyRank2 = new long[0, 5];
        public int[][] Jagged = [[1], [2, 3], null];
        public Order[][,] JaggedRank2 = [new Order[1, 2]];
        public Order[,][] Rank2Jagged = new Order[1, 2][];
        public Point[] Structs = [new() { X = 1, Y = 2 }, new() { X = 3, Y = 4 }];
        public Line[] Lines = [new() { Label = "first" }];
        public byte[] Bytes = [1, 2, 255];
        public bool[] Bools = [true, false];
        public char[] Chars = ['a', 'ß'];
        public double[] Doubles = [1.5, double.NaN];
        public decimal[] Decimals = [1.5m];
        public Colour[] Colours = [Colour.Green];
        public int?[] Nullables = [1, null];
        public Outer<int>.Cell[] Cells = [new() { Value = 3, Count = 1 }];
        public Array LowerBound = Array.CreateInstance(typeof(int), [3], [5]); // System.Int32[*]
        public unsafe int*[] Pointers = new int*[2];

        public Arrays() => Rank3[1, 2, 3] = "corner";
    }
}
