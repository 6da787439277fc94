// What System.Reflection.Metadata reads of a portable PDB, or of one that is embedded in an assembly: every sequence
// point, as tests/support/pdbdump.c prints them.
using System;
using System.IO;
using System.Linq;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text;

static class Lines
{
    public static int Write(string file)
    {
        using var stream = File.OpenRead(file);
        bool isImage = stream.ReadByte() == 'M' && stream.ReadByte() == 'Z';
        stream.Position = 0;
        using var image = isImage ? new PEReader(stream) : null;
        using var provider = isImage ? Embedded(image) : MetadataReaderProvider.FromPortablePdbStream(stream);
        var reader = provider.GetMetadataReader();
        using var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false), 1 << 16) { NewLine = "\n" };
        output.WriteLine($"id {Convert.ToHexString(reader.DebugMetadataHeader.Id.ToArray())}");
        foreach (var handle in reader.MethodDebugInformation)
        {
            int token = MetadataToken(handle);
            foreach (var point in reader.GetMethodDebugInformation(handle).GetSequencePoints())
            {
                string name = reader.GetString(reader.GetDocument(point.Document).Name);
                output.WriteLine(point.IsHidden ? $"{token:x8} {point.Offset} hidden {name}"
                                                : $"{token:x8} {point.Offset} {point.StartLine}:{point.StartColumn} {name}");
            }
        }
        return 0;
    }

    static int MetadataToken(MethodDebugInformationHandle handle) =>
        0x06000000 | System.Reflection.Metadata.Ecma335.MetadataTokens.GetRowNumber(handle);

    static MetadataReaderProvider Embedded(PEReader image) =>
        image.ReadEmbeddedPortablePdbDebugDirectoryData(
            image.ReadDebugDirectory().Single(entry => entry.Type == DebugDirectoryEntryType.EmbeddedPortablePdb));
}
