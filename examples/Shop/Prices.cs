namespace App;

public delegate void PriceChangedHandler(string product, decimal price);

/// <summary>Knows the prices and tells whoever wants to hear that one has changed.</summary>
public static class PriceFeed
{
    public static event PriceChangedHandler? PriceChanged;

    public static decimal PriceOf(string product) => 10 + product.Length;

    public static void Change(string product, decimal price) => PriceChanged?.Invoke(product, price);
}

/// <summary>What a visitor has picked; one per request.</summary>
public sealed class Basket
{
    private readonly List<LineItem> _lines = [];
    private readonly byte[] _rendered = new byte[1024];

    // The second leak: nobody unsubscribes, so the feed keeps every basket that ever was.
    public Basket() => PriceFeed.PriceChanged += OnPriceChanged;

    public decimal Total => _lines.Sum(line => line.Price * line.Quantity);

    public void Add(string product, int quantity) => _lines.Add(new LineItem(product, quantity, PriceFeed.PriceOf(product)));

    private void OnPriceChanged(string product, decimal price)
    {
        foreach (var line in _lines.Where(line => line.Product == product))
            line.Price = price;
        _rendered[0] = 0;
    }
}
