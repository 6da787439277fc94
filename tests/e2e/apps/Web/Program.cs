// An ASP.NET Core service that leaks.  Web [--self-load SECONDS] [--seconds N]
//
// Prints a JSON line with its URL. /order?customer=X leaks a Shop.Order, /login?user=X a Shop.Session, /alloc?n=N makes
// garbage, /load?n=N sends itself N requests of all kinds, /truth says what must be alive now (no other request running).
// With --self-load it sends itself requests for so long and then prints the truth as a second line.
using System;
using System.Diagnostics;
using System.Linq;
using System.Net.Http;
using System.Text.Json.Nodes;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Shop;

static class Program
{
    static readonly HttpClient client = new();
    static string url;

    static string Alloc(int n)
    {
        int sum = 0;
        for (int i = 0; i < n; i++)
            sum += new string('x', 20 + i % 80).Length;
        return sum.ToString();
    }

    static string TruthNow()
    {
        var truth = (JsonObject)Truth.Root.DeepClone();
        truth["url"] = url;
        truth["types"] = new JsonArray(
            Planted("Shop.Order", typeof(Order), OrderCache.Count),
            Planted("Shop.Session", typeof(Session), Notifier.Count));
        truth["roots"] = new JsonArray(Kept("Shop.Order", "Shop.OrderCache.orders"), Kept("Shop.Session", "Shop.Notifier.Changed"));
        return truth.ToJsonString();
    }

    static JsonObject Planted(string name, Type type, int count) =>
        new() { ["type"] = name, ["count"] = count, ["size"] = Truth.Size(type, 0), ["state"] = "live" };

    static JsonObject Kept(string type, string name) =>
        new() { ["type"] = type, ["kinds"] = new JsonArray("static"), ["name"] = name, ["path"] = new JsonArray() };

    static async Task<int> Load(int n)
    {
        for (int i = 0; i < n; i++)
        {
            await client.GetStringAsync($"{url}/order?customer=customer{i % 100}");
            if (i % 10 == 0)
                await client.GetStringAsync($"{url}/login?user=user{i}");
            await client.GetStringAsync($"{url}/alloc?n=200");
        }
        return n;
    }

    static async Task SelfLoad(int seconds)
    {
        var watch = Stopwatch.StartNew();
        async Task Client()
        {
            while (watch.Elapsed.TotalSeconds < seconds)
                await Load(10);
        }
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(Client)));
        Console.WriteLine(TruthNow());
    }

    static async Task Main(string[] args)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        app.MapGet("/order", (string customer) => OrderCache.Create(customer).Id.ToString());
        app.MapGet("/login", (string user) => new Session(user).User);
        app.MapGet("/alloc", (int n) => Alloc(n));
        app.MapGet("/load", (int n) => Load(n));
        app.MapGet("/truth", () => Results.Text(TruthNow(), "application/json"));
        await app.StartAsync();
        url = app.Urls.First();
        Console.WriteLine(TruthNow());
        int load = Truth.Option(args, "--self-load", 0);
        if (load > 0)
            await SelfLoad(load);
        Truth.Block(args);
    }
}
