/* Inferences: input, waiting, and what comes back. */
#include "internal.h"

/* Words of the body of an INPUT section before its pixels */
enum { AT_ADDRESS, AT_BANK_STEP, AT_STEP, AT_BITS, AT_WORDS, AT_LANES, AT_PIXELS };

/* Since when the device has given nothing. */
struct patience {
    uint32_t since;
};

static void begin_patience(const struct hillock *device, struct patience *patience)
{
    patience->since = device->port->clock(device->port->context);
}

static bool patience_ends(const struct hillock *device, const struct patience *patience)
{
    return device->port->clock(device->port->context) - patience->since > device->port->timeout;
}

/* Give up: leave the cores idle, whatever that says, and report `status` with the fault that was noted. */
static enum hillock_status give_up(struct hillock *device, enum hillock_status status)
{
    const struct hillock_fault fault = device->fault;
    (void)hillock_abort(device);
    device->fault = fault;
    return status;
}

static enum hillock_status begin(struct hillock *device, uint32_t kind, struct hillock_result *result)
{
    if (device->image == NULL) {
        return hillock_fail(device, HILLOCK_NOT_LOADED, 0u, 0u, 0u);
    }
    const uint32_t takes = device->image[HILLOCK_IMAGE_AT_INPUT];
    const bool fits = (kind == HILLOCK_IMAGE_INPUT_IMAGE) == (takes == HILLOCK_IMAGE_INPUT_IMAGE);
    if (!fits) {
        return hillock_fail(device, HILLOCK_INPUT, HILLOCK_IMAGE_AT_INPUT, takes, kind);
    }
    result->given = 0u;
    result->spikes = 0u;
    result->decision = 0u;
    result->cycles = 0u;
    result->clock = 0u;
    device->taken = 0u;
    return hillock_write(
        device, hillock_at_link(HILLOCK_LINK_CONTROL_OFFSET), HILLOCK_LINK_CONTROL_RESTART_MASK);
}

/* Take the output tokens that are there; `*progress` where there were any. */
static enum hillock_status take_tokens(struct hillock *device, struct hillock_result *result, bool *progress)
{
    const uint32_t marker = 1u << device->image[HILLOCK_IMAGE_AT_MARKER_BIT];
    const uint32_t given_at = hillock_at_link(HILLOCK_LINK_OUTPUTS_GIVEN_OFFSET);
    uint32_t given = 0u;
    HILLOCK_TRY(hillock_read(device, given_at, &given));
    if (given == device->taken) {
        return HILLOCK_OK;
    }
    /* What a bus that is not there reads as must not keep us here for four thousand million tokens. */
    const uint32_t waiting = given - device->taken;
    if (waiting > device->output_depth) {
        return hillock_fail(device, HILLOCK_OUTPUT, given_at, device->output_depth, waiting);
    }
    *progress = true;
    for (; device->taken != given; ++device->taken) {
        uint32_t token = 0u;
        const uint32_t address = HILLOCK_LINK_OUTPUTS_BASE + (device->taken & (device->output_depth - 1u));
        HILLOCK_TRY(hillock_read(device, address, &token));
        const bool is_marker = (token & marker) != 0u;
        if (result->tokens != NULL) {
            if (result->given == result->room) {
                return hillock_fail(
                    device, HILLOCK_TOO_MANY_SPIKES, address, (uint32_t)result->room, (uint32_t)result->given + 1u);
            }
            result->tokens[result->given] = is_marker ? marker : token;
        }
        ++result->given;
        result->spikes += is_marker ? 0u : 1u;
    }
    return hillock_write(device, hillock_at_link(HILLOCK_LINK_OUTPUTS_TAKEN_OFFSET), given);
}

/* What the last core and the link say of the inference that has just ended. */
static enum hillock_status finish(struct hillock *device, struct hillock_result *result)
{
    const uint32_t last = device->cores - 1u, timesteps = device->image[HILLOCK_IMAGE_AT_TIMESTEPS];
    const size_t markers = result->given - result->spikes;
    if (markers != timesteps) {
        return hillock_fail(device, HILLOCK_SHORT, HILLOCK_LINK_OUTPUTS_BASE, timesteps, (uint32_t)markers);
    }
    uint32_t decision = 0u;
    HILLOCK_TRY(hillock_read(device, HILLOCK_LINK_DECISIONS_BASE, &decision));
    HILLOCK_TRY(hillock_read(device, HILLOCK_LINK_DECISIONS_BASE + 1u, &result->clock));
    HILLOCK_TRY(hillock_write(device, hillock_at_link(HILLOCK_LINK_DECISIONS_TAKEN_OFFSET), 1u));
    HILLOCK_TRY(hillock_get(device, last, HILLOCK_DECISION_OFFSET, &result->decision));
    HILLOCK_TRY(hillock_get(device, last, HILLOCK_CYCLES_OFFSET, &result->cycles));
    if (decision != result->decision) {
        return hillock_fail(
            device, HILLOCK_DECISION, hillock_at_core(last, HILLOCK_DECISION_OFFSET), decision, result->decision);
    }
    return hillock_check_errors(device);
}

/* Until there is a decision. */
static enum hillock_status wait_for_decision(struct hillock *device, struct hillock_result *result)
{
    const uint32_t address = hillock_at_link(HILLOCK_LINK_DECISIONS_GIVEN_OFFSET);
    struct patience patience;
    begin_patience(device, &patience);
    for (;;) {
        uint32_t decisions = 0u;
        bool progress = false;
        /* In this order: what was given before a decision is there when the decision is. */
        HILLOCK_TRY(hillock_read(device, address, &decisions));
        HILLOCK_TRY(take_tokens(device, result, &progress));
        if (decisions != 0u) {
            return finish(device, result);
        }
        if (progress) {
            begin_patience(device, &patience);
        } else if (patience_ends(device, &patience)) {
            return hillock_fail(device, HILLOCK_TIMEOUT, address, 1u, 0u);
        }
    }
}

/* The number of the pixel that a lane takes, or HILLOCK_IMAGE_NO_PIXEL. */
static uint32_t number_of(const uint32_t *input, uint32_t lane)
{
    return input[AT_PIXELS + (lane >> 1)] >> (16u * (lane & 1u)) & 0xffffu;
}

/* The pixels as current words: `bits` to a lane, the first lane in the lowest bits, in slices of 32. */
static enum hillock_status write_image(struct hillock *device, const uint8_t *pixels)
{
    const uint32_t *input = device->input;
    const uint32_t bits = input[AT_BITS], lanes = input[AT_LANES];
    for (uint32_t word = 0u; word < input[AT_WORDS]; ++word) {
        uint32_t address = input[AT_ADDRESS] + word * input[AT_STEP];
        uint32_t slice = 0u, filled = 0u;
        for (uint32_t lane = 0u; lane < lanes; ++lane) {
            const uint32_t number = number_of(input, word * lanes + lane);
            const uint32_t pixel = number == HILLOCK_IMAGE_NO_PIXEL ? 0u : pixels[number];
            slice |= pixel << filled;
            filled += bits;
            if (filled >= 32u) {
                HILLOCK_TRY(hillock_write(device, address, slice));
                ++address;
                filled -= 32u;
                /* A shift by all 32 bits is none in C. */
                slice = filled == 0u ? 0u : pixel >> (bits - filled);
            }
        }
        if (filled != 0u) {
            HILLOCK_TRY(hillock_write(device, address, slice));
        }
    }
    return HILLOCK_OK;
}

/* How many pixels the INPUT section names. */
static uint32_t pixels_of(const uint32_t *input)
{
    uint32_t count = 0u;
    for (uint32_t lane = 0u; lane < input[AT_WORDS] * input[AT_LANES]; ++lane) {
        count += number_of(input, lane) != HILLOCK_IMAGE_NO_PIXEL ? 1u : 0u;
    }
    return count;
}

static enum hillock_status run_image(
    struct hillock *device, const uint8_t *pixels, size_t count, struct hillock_result *result)
{
    HILLOCK_TRY(begin(device, HILLOCK_IMAGE_INPUT_IMAGE, result));
    if (device->input == NULL || pixels_of(device->input) != count) {
        const uint32_t takes = device->input == NULL ? 0u : pixels_of(device->input);
        return hillock_fail(device, HILLOCK_INPUT, HILLOCK_IMAGE_AT_INPUT, takes, (uint32_t)count);
    }
    HILLOCK_TRY(write_image(device, pixels));
    HILLOCK_TRY(hillock_write(device, hillock_at_core(0u, HILLOCK_CONTROL_OFFSET), HILLOCK_CONTROL_START_MASK));
    return wait_for_decision(device, result);
}

static enum hillock_status run_tokens(
    struct hillock *device, const uint32_t *tokens, size_t count, struct hillock_result *result)
{
    const uint32_t space_at = hillock_at_link(HILLOCK_LINK_INPUT_SPACE_OFFSET);
    HILLOCK_TRY(begin(device, HILLOCK_IMAGE_INPUT_EVENTS, result));
    struct patience patience;
    begin_patience(device, &patience);
    size_t sent = 0u;
    while (sent < count) {
        uint32_t space = 0u;
        bool progress = false;
        HILLOCK_TRY(hillock_read(device, space_at, &space));
        for (; space != 0u && sent < count; --space, ++sent) {
            HILLOCK_TRY(hillock_write(device, HILLOCK_LINK_INPUTS_BASE, tokens[sent]));
            progress = true;
        }
        HILLOCK_TRY(take_tokens(device, result, &progress));
        if (progress) {
            begin_patience(device, &patience);
        } else if (patience_ends(device, &patience)) {
            return hillock_fail(device, HILLOCK_TIMEOUT, space_at, 1u, 0u);
        }
    }
    return wait_for_decision(device, result);
}

enum hillock_status hillock_run_image(
    struct hillock *device, const uint8_t *pixels, size_t count, struct hillock_result *result)
{
    const enum hillock_status status = run_image(device, pixels, count, result);
    return status == HILLOCK_OK ? HILLOCK_OK : give_up(device, status);
}

enum hillock_status hillock_run_tokens(
    struct hillock *device, const uint32_t *tokens, size_t count, struct hillock_result *result)
{
    const enum hillock_status status = run_tokens(device, tokens, count, result);
    return status == HILLOCK_OK ? HILLOCK_OK : give_up(device, status);
}

enum hillock_status hillock_counts(struct hillock *device, uint32_t *counts, size_t classes)
{
    if (device->image == NULL) {
        return hillock_fail(device, HILLOCK_NOT_LOADED, 0u, 0u, 0u);
    }
    const uint32_t counted = device->image[HILLOCK_IMAGE_AT_CLASSES];
    if (classes > counted) {
        return hillock_fail(device, HILLOCK_NO_COUNTS, HILLOCK_IMAGE_AT_CLASSES, counted, (uint32_t)classes);
    }
    const uint32_t base = (device->cores - 1u) << HILLOCK_CORE_SHIFT | HILLOCK_COUNTS_BASE;
    for (uint32_t i = 0u; i < classes; ++i) {
        HILLOCK_TRY(hillock_read(device, base + i, &counts[i]));
    }
    return HILLOCK_OK;
}
