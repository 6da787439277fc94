// A small shop. It works, it passes its tests, and it grows: find out why with `linger`, as ./demo does.
//
// Prints its address and ends by itself after the seconds given (300).
using App;

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls("http://127.0.0.1:0");
var app = builder.Build();

app.MapGet("/price", (string product) => PriceFeed.PriceOf(product));

app.MapPost("/basket", (string product, int quantity) =>
{
    var basket = new Basket();
    basket.Add(product, quantity);
    return basket.Total;
});

app.MapPost("/order", (string customer, string product, int quantity) =>
{
    var order = OrderCache.GetOrAdd(customer, product, DateTime.UtcNow, () => new Order(customer, product, quantity));
    return order.Id.ToString();
});

await app.StartAsync();
Console.WriteLine(app.Urls.First());
var end = Task.Delay(TimeSpan.FromSeconds(args.Length > 0 ? int.Parse(args[0]) : 300));
await Task.WhenAny(end, app.WaitForShutdownAsync());
