#include "mock.h"

#include <string.h>

#include "hillock_image.h"
#include "networks.h"

enum { PER_POLL = 5, TICKS = 3 };

static uint32_t slot_of(const struct mock *mock, uint32_t address)
{
    uint32_t slot = (address ^ address >> 14 ^ address >> 22 << 8) % MOCK_ADDRESSES;
    while (mock->used[slot] && mock->addresses[slot] != address) {
        slot = (slot + 1) % MOCK_ADDRESSES;
    }
    return slot;
}

uint32_t mock_word(const struct mock *mock, uint32_t address)
{
    const uint32_t slot = slot_of(mock, address);
    return mock->used[slot] ? mock->values[slot] : 0;
}

static void set(struct mock *mock, uint32_t address, uint32_t value)
{
    const uint32_t slot = slot_of(mock, address);
    mock->used[slot] = true;
    mock->addresses[slot] = address;
    mock->values[slot] = value;
}

static uint32_t extended(uint32_t value, uint32_t bits)
{
    const uint32_t sign = 1u << (bits - 1);
    return ((value & (sign | (sign - 1))) ^ sign) - sign;
}

/* A lane of a memory word that was written by slices. */
static uint32_t lane_at(const struct mock *mock, uint32_t address, uint32_t bits)
{
    const uint32_t lane = address % (1u << MOCK_PART_BITS), word = address - lane, low = lane * bits;
    const uint64_t first = mock_word(mock, word + low / 32), second = mock_word(mock, word + low / 32 + 1);
    return extended((uint32_t)((first | second << 32) >> low % 32), bits);
}

static uint32_t read_core(struct mock *mock, uint32_t core, uint32_t address)
{
    const uint32_t region = address >> HILLOCK_REGION_SHIFT << HILLOCK_REGION_SHIFT;
    const uint32_t whole = core << HILLOCK_CORE_SHIFT | address;
    if (core >= mock->cores) {
        return 0;
    }
    switch (region) {
    case HILLOCK_REGISTERS_BASE:
        break;
    case HILLOCK_LAYERS_BASE:
        return mock_word(mock, whole) & MOCK_LAYER_KEEPS[address % (1u << MOCK_PART_BITS)];
    case HILLOCK_SYNAPSES_BASE:
        return lane_at(mock, whole, MOCK_WEIGHT_BITS);
    case HILLOCK_CURRENTS_BASE:
        return lane_at(mock, whole, MOCK_CURRENT_BITS);
    case HILLOCK_POTENTIALS_BASE:
        return extended(mock_word(mock, (core << HILLOCK_CORE_SHIFT) + HILLOCK_LAYERS_BASE
                                            + HILLOCK_LAYER_RECORD_PRELOAD_SLICE), MOCK_POTENTIAL_BITS);
    case HILLOCK_COUNTS_BASE:
        return core == mock->cores - 1 ? mock->counts[address % 4] : 0;
    default:
        return 0;
    }
    switch (address) {
    case HILLOCK_IDENTITY_OFFSET:
        return HILLOCK_IDENTITY_VALUE;
    case HILLOCK_TABLE_OFFSET:
        return HILLOCK_TABLE_DIGEST;
    case HILLOCK_STATUS_OFFSET:
        mock->busy -= mock->busy != 0 ? 1 : 0;
        return mock->never_done || mock->busy != 0 ? HILLOCK_STATUS_BUSY_MASK : HILLOCK_STATUS_DONE_MASK;
    case HILLOCK_ERROR_OFFSET:
        return core == 0 ? mock->error_bits : 0;
    case HILLOCK_DECISION_OFFSET:
        return core == mock->cores - 1 ? mock->decision : 0;
    case HILLOCK_CYCLES_OFFSET:
        return core == mock->cores - 1 ? mock->cycles : 0;
    default:
        for (uint32_t i = 0; i < sizeof MOCK_REGISTERS / sizeof MOCK_REGISTERS[0]; i += 2) {
            if (MOCK_REGISTERS[i] == address) {
                return mock_word(mock, whole) & MOCK_REGISTERS[i + 1];
            }
        }
        return 0;
    }
}

/* An inference gives some tokens whenever somebody looks, as many as there is room for; then its decision. */
static uint32_t outputs_given(struct mock *mock)
{
    const uint32_t taken = mock_word(mock, HILLOCK_LINK_BASE + HILLOCK_LINK_OUTPUTS_TAKEN_OFFSET);
    const uint32_t count = mock->token_count - (mock->loses_tokens ? 1 : 0);
    mock->time += mock->slowness;
    if (mock->slowness != 0 && mock->looks++ % 2 == 0) {
        return mock->given;
    }
    for (uint32_t i = 0; mock->running && i < PER_POLL; ++i) {
        if (mock->given < count && mock->given - taken < MOCK_OUTPUTS) {
            set(mock, HILLOCK_LINK_OUTPUTS_BASE + mock->given % MOCK_OUTPUTS, mock->tokens[mock->given]);
            ++mock->given;
        }
    }
    if (mock->running && mock->given == count) {
        mock->decisions = 1;
        mock->running = false;
    }
    return mock->given;
}

static uint32_t read_link(struct mock *mock, uint32_t offset)
{
    switch (offset) {
    case HILLOCK_LINK_IDENTITY_OFFSET:
        return HILLOCK_LINK_IDENTITY_VALUE;
    case HILLOCK_LINK_TABLE_OFFSET:
        return HILLOCK_LINK_TABLE_DIGEST;
    case HILLOCK_LINK_DESIGN_OFFSET:
        return mock->design;
    case HILLOCK_LINK_CLOCK_OFFSET:
        return 25000000;
    case HILLOCK_LINK_GEOMETRY_OFFSET:
        return mock->cores | 9u << HILLOCK_LINK_GEOMETRY_INPUT_DEPTH_LOG2_SHIFT
            | 4u << HILLOCK_LINK_GEOMETRY_OUTPUT_DEPTH_LOG2_SHIFT
            | 2u << HILLOCK_LINK_GEOMETRY_DECISION_DEPTH_LOG2_SHIFT;
    case HILLOCK_LINK_ERROR_OFFSET:
        return mock->link_error_bits;
    case HILLOCK_LINK_INPUT_SPACE_OFFSET:
        return mock->no_space ? 0 : mock->input_space;
    case HILLOCK_LINK_OUTPUTS_GIVEN_OFFSET:
        return outputs_given(mock);
    case HILLOCK_LINK_DECISIONS_GIVEN_OFFSET:
        return mock->decisions;
    default:
        break;
    }
    const uint32_t address = HILLOCK_LINK_BASE + offset;
    if (address == HILLOCK_LINK_DECISIONS_BASE) {
        return mock->decision;
    }
    return address == HILLOCK_LINK_DECISIONS_BASE + 1 ? 77 : mock_word(mock, address);
}

static bool answers(struct mock *mock)
{
    mock->time += TICKS;
    ++mock->accesses;
    return mock->accesses != mock->fails_at && (mock->silent_after == 0 || mock->accesses <= mock->silent_after);
}

/* An access to a core or to a word of a memory that does not exist is noted, as the device does it. */
static void note(struct mock *mock, uint32_t address)
{
    const uint32_t core = address >> HILLOCK_CORE_SHIFT, own = address - (core << HILLOCK_CORE_SHIFT);
    if (address >> HILLOCK_REGION_SHIFT == HILLOCK_LINK_BASE >> HILLOCK_REGION_SHIFT) {
        return;
    }
    if (core >= mock->cores) {
        mock->link_error_bits |= HILLOCK_LINK_ERROR_ADDRESS_MASK;
    }
    for (size_t i = 0; i < sizeof MOCK_WORDS / sizeof MOCK_WORDS[0]; i += 2) {
        const bool inside = own >> HILLOCK_REGION_SHIFT == MOCK_WORDS[i] >> HILLOCK_REGION_SHIFT;
        if (inside && own - MOCK_WORDS[i] >= MOCK_WORDS[i + 1] << MOCK_PART_BITS) {
            mock->error_bits |= HILLOCK_ERROR_BUS_ADDRESS;
        }
    }
}

/* The address that the memories see. */
static uint32_t seen(const struct mock *mock, uint32_t address)
{
    const bool broken = mock->line != 0 && address >> HILLOCK_REGION_SHIFT == mock->line_of >> HILLOCK_REGION_SHIFT;
    return broken ? address & ~mock->line : address;
}

static bool read_word(void *context, uint32_t asked, uint32_t *value)
{
    struct mock *mock = context;
    const uint32_t address = seen(mock, asked);
    if (!answers(mock)) {
        return false;
    }
    note(mock, address);
    const bool is_link = address >> HILLOCK_REGION_SHIFT == HILLOCK_LINK_BASE >> HILLOCK_REGION_SHIFT;
    const uint32_t core = address >> HILLOCK_CORE_SHIFT;
    *value = is_link ? read_link(mock, address - HILLOCK_LINK_BASE)
                     : read_core(mock, core, address - (core << HILLOCK_CORE_SHIFT));
    if (mock->wrong_at != 0 && address == mock->wrong_at) {
        *value = mock->wrong_value;
    }
    if (mock->stuck_at != 0 && address == mock->stuck_at) {
        *value = mock->stuck_high ? *value | mock->stuck_bits : *value & ~mock->stuck_bits;
    }
    return true;
}

static void write_link(struct mock *mock, uint32_t offset, uint32_t value)
{
    if (offset == HILLOCK_LINK_CONTROL_OFFSET && (value & HILLOCK_LINK_CONTROL_RESTART_MASK) != 0) {
        mock->given = mock->decisions = mock->received_count = 0;
        set(mock, HILLOCK_LINK_BASE + HILLOCK_LINK_OUTPUTS_TAKEN_OFFSET, 0);
    } else if (offset == HILLOCK_LINK_ERROR_OFFSET) {
        mock->link_error_bits &= ~value;
    } else if (HILLOCK_LINK_BASE + offset == HILLOCK_LINK_INPUTS_BASE) {
        mock->received[mock->received_count++] = value;
        mock->running = !mock->never_done;
    }
}

static bool write_word(void *context, uint32_t asked, uint32_t value)
{
    struct mock *mock = context;
    const uint32_t address = seen(mock, asked);
    if (!answers(mock)) {
        return false;
    }
    note(mock, address);
    if (mock->writes < sizeof mock->written / sizeof mock->written[0]) {
        mock->written[mock->writes] = address;
    }
    ++mock->writes;
    if (mock->error_after != 0 && mock->writes == mock->error_after) {
        mock->error_bits |= HILLOCK_ERROR_SLICE_ORDER;
        return true;
    }
    set(mock, address, value);
    if (address >> HILLOCK_REGION_SHIFT == HILLOCK_LINK_BASE >> HILLOCK_REGION_SHIFT) {
        write_link(mock, address - HILLOCK_LINK_BASE, value);
    } else if (address == HILLOCK_CONTROL_OFFSET) {
        mock->running = (value & HILLOCK_CONTROL_START_MASK) != 0 && !mock->never_done;
    } else if (address == HILLOCK_ERROR_OFFSET) {
        mock->error_bits &= ~value;
    }
    return true;
}

static uint32_t clock_of(void *context)
{
    struct mock *mock = context;
    return mock->time;
}

void mock_reset(struct mock *mock)
{
    memset(mock, 0, sizeof *mock);
    mock->cores = 1;
    mock->design = IMAGE_NETWORK[HILLOCK_IMAGE_AT_DESIGN];
    mock->input_space = 3;
    mock->time = UINT32_MAX - 500; /* soon it wraps */
}

struct hillock_port mock_port(struct mock *mock)
{
    const struct hillock_port port = {
        .context = mock, .read = read_word, .write = write_word, .clock = clock_of, .timeout = 1000};
    return port;
}
