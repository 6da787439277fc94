// Types with names and fields that are easy to get wrong.
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;

namespace App
{
    public class Order { public int Id; }

    public enum Colour : byte { Red, Green = 7, Blue = 200 }
    [Flags] public enum Wide : long { None, Big = 1L << 40 }

    public class Outer<T>
    {
        public T Value;
        public class Inner<U> { public T First; public U Second; public class Deep { public T T1; } }
        public class Plain { public T Value; }
        public struct Cell { public T Value; public int Count; }
        public enum State { Off, On }
    }

    public class Nest { public class Middle { public class Leaf { public int X; } } }

    public class Base
    {
        private int hidden = 1;
        protected string name = "base";
        private object shared = new Order { Id = 11 };
    }
    public class Derived : Base
    {
        private int hidden = 2;     // shadows Base.hidden
        private new string name = "derived";
    }
    public class Last : Derived { private int hidden = 3; }

    public class Primitives
    {
        public bool True = true, False;
        public char Letter = 'ß', Lone = '\ud83d', Nul = '\0';
        public sbyte I8 = sbyte.MinValue;
        public byte U8 = 255;
        public short I16 = short.MinValue;
        public ushort U16 = ushort.MaxValue;
        public int I32 = int.MinValue;
        public uint U32 = uint.MaxValue;
        public long I64 = long.MinValue;
        public ulong U64 = ulong.MaxValue;
        public nint Native = -5;
        public nuint UNative = 5;
        public float F32 = 1.5f, F32NaN = float.NaN, F32Inf = float.PositiveInfinity, F32Tiny = float.Epsilon;
        public double F64 = -0.1, F64NaN = double.NaN, F64Inf = double.NegativeInfinity, F64NegZero = -0.0;
        public string Text = "text", Empty = "", Null;
        public object Nothing;
        public Colour Colour = Colour.Green;
        public Wide Wide = Wide.Big;
    }

    public struct Point { public int X, Y; }
    public struct Line { public Point From, To; public string Label; }
    public struct Deep { public long Id; public Line Line; public Point? Maybe; }

    public class Structs
    {
        public Point Point = new() { X = 3, Y = -4 };
        public Line Line = new() { From = new() { X = 1, Y = 2 }, To = new() { X = 3, Y = 4 }, Label = "line" };
        public Deep Deep = new() { Id = 99, Line = new() { Label = "deep" }, Maybe = new() { X = 5, Y = 6 } };
        public int? Seven = 7, None;
        public Colour? NullableColour = Colour.Blue;
        public decimal Money = 12345.6789m, Negative = -0.01m;
        public DateTime When = new(2024, 2, 29, 12, 34, 56, DateTimeKind.Utc);
        public DateTimeOffset Offset = new(2024, 2, 29, 12, 34, 56, TimeSpan.FromHours(2));
        public TimeSpan Span = TimeSpan.FromMilliseconds(1500);
        public Guid Guid = new("00112233-4455-6677-8899-aabbccddeeff");
        public Int128 Big = Int128.MinValue;
        public Half Half = (Half)0.5;
        public KeyValuePair<string, int> Pair = new("key", 42);
        public (int Number, string Text) Tuple = (8, "eight");
        public ArraySegment<byte> Segment = new(new byte[10], 2, 5);
        public Outer<string>.Cell Cell = new() { Value = "cell", Count = 4 };
        public CancellationToken Token;
    }

    [StructLayout(LayoutKind.Explicit)]
    public class Overlapped
    {
        [FieldOffset(0)] public object Reference = "overlap";
        [FieldOffset(8)] public int Number = 0x01020304;
        [FieldOffset(8)] public byte Low;
        [FieldOffset(12)] public float Single = 2;
    }

    [System.Runtime.CompilerServices.InlineArray(4)]
    public struct FourObjects { public object Item; }
    public class Inline { public int Before = 1; public FourObjects Four; public int After = 2; }

    public unsafe class Pointers
    {
        public int* Int = (int*)0x1234;
        public void* Void;
        public char** CharPointers = (char**)0x5678;
        public delegate*<int, string, void> Function;
        public delegate* unmanaged<int> Unmanaged = (delegate* unmanaged<int>)0x9abc;
    }

    public unsafe struct Fixed { public fixed int Numbers[4]; }
    public class HasFixed { public Fixed Buffer; }

    public class Self<T> where T : Self<T> { public T Me; }
    public class Recursive : Self<Recursive> { public int X = 1; }
    public class @class { public int @int = 1; } // names that are keywords
    public class Größe { public int Länge = 17; public string 名前 = "name"; }

    public class Statics
    {
        public const int Constant = 42;             // no storage
        public const string ConstantText = "const"; // none either
        public static bool Bool = true;
        public static byte Byte = 0xAB;
        public static short Short = -2;
        public static int Int = 123456;
        public static long Long = -9876543210;
        public static float Float = 0.25f;
        public static double Double = Math.PI;
        public static char Char = 'Z';
        public static nint Native = 77;
        public static Colour Colour = Colour.Blue;
        public static string Text = "static text";
        public static Point Point = new() { X = 21, Y = 22 };
        public static Line Line = new() { Label = "static line" };
        public static int? Maybe = 9;
        public static decimal Money = 1.5m;
        public static DateTime When = new(2000, 1, 1, 0, 0, 0, DateTimeKind.Utc);
        public static Order Order = new() { Id = 5 };
        public static Order NoOrder;
        public static int[] Numbers = [1, 2, 3];
        public static readonly object Lock = new();
        [ThreadStatic] public static int ThreadInt;
        [ThreadStatic] public static Order ThreadOrder;
        [ThreadStatic] public static Point ThreadPoint;
    }

    public class GenericStatics<T>
    {
        public static int Count;
        public static T Value;
    }

    public class NeverTouched { public static Order Order = new(); static NeverTouched() { Order.Id = 1; } }
}

public class InGlobalNamespace { public App.Order Order; }
