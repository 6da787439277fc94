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

#endif
