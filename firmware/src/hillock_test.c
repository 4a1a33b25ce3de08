/* Self-test: registers and memories take patterns and give them back. */
#include "internal.h"

/* Words of the bodies of sections */
enum { MEMORY_CORE, MEMORY_BASE, MEMORY_STEP, MEMORY_WORDS, MEMORY_SLICES, MEMORY_LANES, MEMORY_BITS, MEMORY_KEEPS };
enum {
    POTENTIALS_CORE,
    POTENTIALS_WORDS,
    POTENTIALS_LANES,
    POTENTIALS_STEP,
    POTENTIALS_BITS,
    POTENTIALS_COUNT,
    POTENTIALS_PRELOAD,
    POTENTIALS_WRITES
};

/* A number for each word that is another for the next: two steps of Marsaglia's xorshift, which needs no multiplier. */
static uint32_t pattern(uint32_t index, uint32_t inverted)
{
    uint32_t x = index + 0x9e3779b9u;
    for (unsigned step = 0u; step < 2u; ++step) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
    }
    return x ^ inverted;
}

/* The lowest `bits` bits of `value`, sign-extended. */
static uint32_t extended(uint32_t value, uint32_t bits)
{
    const uint32_t above = bits < 32u ? UINT32_MAX << bits : 0u;
    return (value >> (bits - 1u) & 1u) != 0u ? value | above : value & ~above;
}

static enum hillock_status must_hold(struct hillock *device, uint32_t address, uint32_t expected)
{
    uint32_t found = 0u;
    HILLOCK_TRY(hillock_read(device, address, &found));
    return found == expected ? HILLOCK_OK : hillock_fail(device, HILLOCK_MEMORY, address, expected, found);
}

static enum hillock_status test_registers(struct hillock *device, const uint32_t *body, uint32_t words)
{
    static const uint32_t patterns[] = {UINT32_MAX, 0xaaaaaaaau, 0x55555555u, 0u};
    const uint32_t core = body[0];
    for (size_t i = 0u; i < sizeof patterns / sizeof patterns[0]; ++i) {
        for (uint32_t at = 1u; at < words; at += 2u) {
            const uint32_t address = hillock_at_core(core, body[at]);
            HILLOCK_TRY(hillock_write(device, address, patterns[i]));
        }
        /* All are written before any is read, so that none can stand for another. */
        for (uint32_t at = 1u; at < words; at += 2u) {
            const uint32_t address = hillock_at_core(core, body[at]);
            const uint32_t expected = patterns[i] & body[at + 1u];
            uint32_t found = 0u;
            HILLOCK_TRY(hillock_read(device, address, &found));
            if (found != expected) {
                return hillock_fail(device, HILLOCK_REGISTER, address, expected, found);
            }
        }
    }
    return HILLOCK_OK;
}

/* What the slices of one memory word read: by lanes of `bits` bits, or each slice where there are no lanes. */
static enum hillock_status check_word(
    struct hillock *device, const uint32_t *body, uint32_t word, uint32_t inverted)
{
    const uint32_t slices = body[MEMORY_SLICES], lanes = body[MEMORY_LANES], bits = body[MEMORY_BITS];
    const uint32_t address = body[MEMORY_BASE] + word * body[MEMORY_STEP], first = word * slices;
    if (bits == 0u) {
        for (uint32_t i = 0u; i < slices; ++i) {
            HILLOCK_TRY(must_hold(device, address + i, pattern(first + i, inverted) & body[MEMORY_KEEPS + i]));
        }
        return HILLOCK_OK;
    }
    uint32_t slice = 0u, shift = 0u, low = pattern(first, inverted);
    for (uint32_t lane = 0u; lane < lanes; ++lane) {
        uint32_t value = low >> shift;
        shift += bits;
        if (shift >= 32u) {
            shift -= 32u;
            ++slice;
            low = pattern(first + slice, inverted);
            if (shift != 0u) {
                value |= low << (bits - shift);
            }
        }
        HILLOCK_TRY(must_hold(device, address + lane, extended(value, bits)));
    }
    return HILLOCK_OK;
}

static enum hillock_status test_memory(struct hillock *device, const uint32_t *body)
{
    const uint32_t words = body[MEMORY_WORDS], slices = body[MEMORY_SLICES];
    static const uint32_t inversions[] = {0u, UINT32_MAX};
    for (size_t i = 0u; i < sizeof inversions / sizeof inversions[0]; ++i) {
        /* The whole memory is written before any of it is read, so that no word can stand for another. */
        uint32_t index = 0u, address = body[MEMORY_BASE];
        for (uint32_t word = 0u; word < words; ++word, address += body[MEMORY_STEP]) {
            for (uint32_t slice = 0u; slice < slices; ++slice, ++index) {
                HILLOCK_TRY(hillock_write(device, address + slice, pattern(index, inversions[i])));
            }
        }
        for (uint32_t word = 0u; word < words; ++word) {
            HILLOCK_TRY(check_word(device, body, word, inversions[i]));
        }
    }
    return HILLOCK_OK;
}

/* Wait until an inference that gives no output has ended. */
static enum hillock_status wait_until_done(struct hillock *device, uint32_t core)
{
    const struct hillock_port *port = device->port;
    const uint32_t since = port->clock(port->context), address = hillock_at_core(core, HILLOCK_STATUS_OFFSET);
    for (;;) {
        uint32_t status = 0u;
        HILLOCK_TRY(hillock_read(device, address, &status));
        if ((status & (HILLOCK_STATUS_DONE_MASK | HILLOCK_STATUS_BUSY_MASK)) == HILLOCK_STATUS_DONE_MASK) {
            return HILLOCK_OK;
        }
        if (port->clock(port->context) - since > port->timeout) {
            return hillock_fail(device, HILLOCK_TIMEOUT, address, HILLOCK_STATUS_DONE_MASK, status);
        }
    }
}

static enum hillock_status test_potentials(struct hillock *device, const uint32_t *body)
{
    static const uint32_t patterns[] = {0xaaaaaaaau, 0x55555555u};
    const uint32_t core = body[POTENTIALS_CORE], bits = body[POTENTIALS_BITS];
    const uint32_t mask = bits < 32u ? ~(UINT32_MAX << bits) : UINT32_MAX;
    for (size_t i = 0u; i < sizeof patterns / sizeof patterns[0]; ++i) {
        HILLOCK_TRY(hillock_abort(device));
        for (uint32_t n = 0u; n < body[POTENTIALS_COUNT]; ++n) {
            const uint32_t *row = &body[POTENTIALS_WRITES + 2u * n];
            const uint32_t value = n == body[POTENTIALS_PRELOAD] ? row[1] | (patterns[i] & mask) : row[1];
            HILLOCK_TRY(hillock_write(device, row[0], value));
        }
        HILLOCK_TRY(hillock_write(device, hillock_at_core(core, HILLOCK_CONTROL_OFFSET), HILLOCK_CONTROL_START_MASK));
        HILLOCK_TRY(wait_until_done(device, core));
        const uint32_t base = core << HILLOCK_CORE_SHIFT | HILLOCK_POTENTIALS_BASE;
        for (uint32_t word = 0u; word < body[POTENTIALS_WORDS]; ++word) {
            for (uint32_t lane = 0u; lane < body[POTENTIALS_LANES]; ++lane) {
                const uint32_t address = base + word * body[POTENTIALS_STEP] + lane;
                HILLOCK_TRY(must_hold(device, address, extended(patterns[i], bits)));
            }
        }
    }
    return hillock_abort(device);
}

static const char *memory_name(uint32_t base)
{
    switch (base & ~(UINT32_MAX << HILLOCK_CORE_SHIFT)) {
    case HILLOCK_LAYERS_BASE:
        return "layers";
    case HILLOCK_SYNAPSES_BASE:
        return "synapses";
    case HILLOCK_CURRENTS_BASE:
        return "currents";
    default:
        return "memory";
    }
}

bool hillock_test_part(const uint32_t *image, size_t number, struct hillock_part *part)
{
    struct hillock_section section;
    uint32_t at = HILLOCK_IMAGE_HEADER_WORDS;
    do {
        if (!hillock_next_section(image, &at, &section)) {
            return false;
        }
    } while (section.kind < HILLOCK_IMAGE_REGISTERS || number-- != 0u);
    part->section = section.body - 1;
    part->core = section.body[0];
    if (section.kind == HILLOCK_IMAGE_REGISTERS) {
        part->name = "registers";
        part->words = (section.words - 1u) / 2u;
    } else if (section.kind == HILLOCK_IMAGE_MEMORY) {
        part->name = memory_name(section.body[MEMORY_BASE]);
        part->words = section.body[MEMORY_WORDS];
    } else {
        part->name = "potentials";
        part->words = section.body[POTENTIALS_WORDS];
    }
    return true;
}

enum hillock_status hillock_test(struct hillock *device, const struct hillock_part *part)
{
    const uint32_t head = part->section[0], *body = &part->section[1];
    device->image = NULL;
    HILLOCK_TRY(hillock_abort(device));
    switch (head >> HILLOCK_IMAGE_KIND_SHIFT) {
    case HILLOCK_IMAGE_REGISTERS:
        HILLOCK_TRY(test_registers(device, body, head & HILLOCK_IMAGE_LENGTH_MASK));
        break;
    case HILLOCK_IMAGE_MEMORY:
        HILLOCK_TRY(test_memory(device, body));
        break;
    default:
        HILLOCK_TRY(test_potentials(device, body));
        break;
    }
    return hillock_check_errors(device);
}
