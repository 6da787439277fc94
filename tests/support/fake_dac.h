// The threads of a library that looks like a DAC (fake_dac.c): each has another way to misbehave.
#ifndef LG_TESTS_SUPPORT_FAKE_DAC_H
#define LG_TESTS_SUPPORT_FAKE_DAC_H

#define FAKE_DAC_VERSION "@(#)Version 10.0.99.1 @Commit: fake"
#define FAKE_DAC_STACK UINT64_C(0x7e1234560000)

enum fake_dac_thread {
    FAKE_DAC_BEHAVES = 1,
    FAKE_DAC_CRASHES,
    FAKE_DAC_HANGS,
    FAKE_DAC_EATS,
    FAKE_DAC_EXITS,
    FAKE_DAC_HANGS_UP,
    FAKE_DAC_TRIES,
    FAKE_DAC_OFF_STACK,
    FAKE_DAC_ENDLESS,
    FAKE_DAC_ENDLESS_REFS,
    FAKE_DAC_LIES,
    FAKE_DAC_READS, // The target's memory, without end.
};

// What all that is no question about a thread does: one of those numbers at this address of the target,
// or of these.
#define FAKE_DAC_MODE (FAKE_DAC_STACK + 0x200)
enum { FAKE_DAC_SAYS_NOTHING, FAKE_DAC_REFUSES = 100, FAKE_DAC_CALLS_BACK };

// With one of these there from the start, it tells of a small runtime (fake_dac_facts.c).
enum fake_dac_mode {
    FAKE_DAC_RIGHT = 200,
    FAKE_DAC_HUGE,    // Counts and lengths of 2^32 - 1.
    FAKE_DAC_CIRCLE,  // Lists come back to where they were.
    FAKE_DAC_FOREVER, // Lists and names do not end.
    FAKE_DAC_SHORT,   // Lists break off.
    FAKE_DAC_SILENT,  // Nothing is told.
    FAKE_DAC_OLD,     // As RIGHT, by a DAC that has ISOSDacInterface alone.
};
#define FAKE_DAC_MT UINT64_C(0x10000)     // A type; its base type is 0x100 before.
#define FAKE_DAC_STRING UINT64_C(0x20000) // System.String
#define FAKE_DAC_FREE UINT64_C(0x30000)   // Free memory: asked for its fields, the DAC crashes.
#define FAKE_DAC_MODULE UINT64_C(0x40000)
#define FAKE_DAC_FIELDS UINT64_C(0x50000) // FieldDescs, of 16 bytes
#define FAKE_DAC_THREAD UINT64_C(0x60000) // Threads, of 0x100 bytes
#define FAKE_DAC_SEGMENT UINT64_C(0x70000)
#define FAKE_DAC_DOMAIN UINT64_C(0x80000)
#define FAKE_DAC_HEAP UINT64_C(0x90000) // A loader heap

#endif
