// oracle CORE|PID [--dac FILE] [--passive] [--mapped] [--live|--threads] [--out FILE] [--objects FILE [--refs]]
//        [--type-fields FILE] [--retained FILE [--also ROOTS]]
//        [--reach FILE] [--sizes FILE] [--fields TYPE] [--verify TRUTH] [--bench stat|live N] [--bench gcroot ADDRESS]
// oracle --lines PDB|ASSEMBLY
using System;
using System.Globalization;
using System.IO;

static class Program
{
    static string[] args;

    static bool Has(string name) => Array.IndexOf(args, name) >= 0;

    static string Option(string name, int at = 1)
    {
        int i = Array.IndexOf(args, name);
        return i >= 0 && i + at < args.Length ? args[i + at] : null;
    }

    static int Main(string[] arguments)
    {
        args = arguments;
        if (args.Length == 0)
        {
            Console.Error.WriteLine("usage: oracle CORE|PID [options], see README.md");
            return 2;
        }
        if (Has("--lines"))
            return Lines.Write(Option("--lines"));
        if (Has("--bench"))
            return RunBench();
        using var target = new Target(args[0], Option("--dac"), Has("--mapped"), !Has("--passive"));
        if (Has("--verify"))
            return Verify.Run(target, Option("--verify"));
        if (Has("--fields"))
        {
            Fields.Write(target, Option("--fields"));
            return 0;
        }
        if (Has("--objects"))
            Objects.Write(target, Option("--objects"), Has("--refs"));
        if (Has("--retained"))
            Retained.Write(target, Option("--retained"), Option("--also"));
        if (Has("--reach"))
            Reach.Write(target, Option("--reach"));
        if (Has("--type-fields"))
            TypeFields.Write(target, Option("--type-fields"));
        using var output = Has("--out") ? File.Create(Option("--out")) : Console.OpenStandardOutput();
        if (Has("--threads"))
            Report.WriteThreads(target, output);
        else
            Report.Write(target, output, Has("--live"), Option("--sizes"));
        output.Write("\n"u8);
        return 0;
    }

    static int RunBench()
    {
        string what = Option("--bench"), number = Option("--bench", 2);
        foreach (bool mapped in new[] { false, true })
        {
            bool process = int.TryParse(args[0], out _);
            if (process && mapped)
                continue;
            string reader = process ? "live" : mapped ? "mapped" : "default";
            using var target = new Target(args[0], Option("--dac"), mapped, !Has("--passive"));
            if (what == "stat")
                Bench.Stat(target, int.Parse(number), reader);
            else if (what == "live")
                Bench.Live(target, int.Parse(number), reader);
            else
                Bench.Root(target, ulong.Parse(number.Replace("0x", ""), NumberStyles.HexNumber), reader);
        }
        return 0;
    }
}
