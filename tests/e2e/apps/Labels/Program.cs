// One class per way through a well-known type: what the path to its only instance must be called.  Labels [--seconds N]
using System.Threading.Tasks;

namespace App
{
    static class Program
    {
        static async Task Main(string[] args)
        {
            Collections.Plant();
            Events.Plant();
            await Waiting.Plant();
            Collections.Tell();
            Events.Tell();
            Waiting.Tell();
            Truth.Root["labels"] = Label.All;
            Truth.Print(Truth.Line());
            Truth.Block(args);
        }
    }
}
