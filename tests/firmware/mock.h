/* A device that is not there: the registers and memories that the driver sees, and what can be wrong with them. */
#ifndef MOCK_H
#define MOCK_H

#include "hillock.h"

enum { MOCK_ADDRESSES = 1 << 14, MOCK_OUTPUTS = 16 };

struct mock {
    /* What was written, by address; a hash table with open addressing. */
    uint32_t addresses[MOCK_ADDRESSES], values[MOCK_ADDRESSES];
    bool used[MOCK_ADDRESSES];
    uint32_t cores, design, time, accesses, writes;
    uint32_t slowness, looks; /* each look at the output takes `slowness` ticks more, and every other finds none */
    uint32_t written[16]; /* the first addresses that were written */

    /* The inference: how many of the output tokens and decisions were given, and what they are. */
    bool running;
    uint32_t given, decisions;
    const uint32_t *tokens;
    uint32_t token_count, decision, cycles, counts[4];
    uint32_t received[64], received_count, input_space;

    /* What is wrong. */
    uint32_t fails_at;                        /* access of this number is not answered; 0: all are */
    uint32_t silent_after;                    /* so many accesses are answered, and no more; 0: all are */
    uint32_t wrong_at, wrong_value;           /* this address reads that value; 0: none does */
    uint32_t stuck_at, stuck_bits;            /* these bits of this address read as 0; 0: none do */
    bool stuck_high;                          /* they read as 1 */
    uint32_t line_of, line;                   /* this bit of the addresses of a region is not seen; 0: all are */
    uint32_t error_after;                     /* this write is refused, which core 0 notes; 0: none is */
    uint32_t error_bits, link_error_bits;
    uint32_t busy;                            /* so many looks at the status find a core at work */
    bool never_done, loses_tokens, no_space;
};

void mock_reset(struct mock *mock);
struct hillock_port mock_port(struct mock *mock);

/* The value at an address as it was written; 0 if it never was. */
uint32_t mock_word(const struct mock *mock, uint32_t address);

#endif
