namespace App;

public sealed class LineItem(string product, int quantity, decimal price)
{
    public string Product = product;
    public int Quantity = quantity;
    public decimal Price = price;
}

public sealed class Order
{
    public readonly Guid Id = Guid.NewGuid();
    public readonly string Customer;
    public readonly List<LineItem> Lines = [];
    public readonly byte[] Invoice = new byte[512];

    public Order(string customer, string product, int quantity)
    {
        Customer = customer;
        Lines.Add(new LineItem(product, quantity, PriceFeed.PriceOf(product)));
    }
}

/// <summary>Answers a repeated submission of an order with the order that was made the first time.</summary>
public static class OrderCache
{
    // The first leak: the time in the key has ticks, so no key comes twice, and nothing is ever removed.
    private static readonly Dictionary<string, Order> s_orders = [];

    public static Order GetOrAdd(string customer, string product, DateTime submitted, Func<Order> make)
    {
        string key = $"{customer}/{product}/{submitted:O}";
        lock (s_orders)
        {
            if (!s_orders.TryGetValue(key, out var order))
                s_orders[key] = order = make();
            return order;
        }
    }
}
