/* Self-test, then inferences on the inputs behind the program; a line for each step, PASS or FAIL first. */
#include "console.h"
#include "hillock.h"
#include "hillock_image.h"
#include "soc.h"

/* What gen/firmware_data.py puts behind the program: the words of a network image, the image, the number of inferences,
 * and each of them: what it must give, and its input. */
extern const uint32_t program_end[];

enum { DATA_MAGIC = 0x4852554e };
enum { WANTED_DECISION, WANTED_CYCLES, WANTED_GIVEN, WANTED_CRC, INPUTS, WANTED_COUNTS };
enum { MOST_CLASSES = 16, MOST_TOKENS = 256 };

/* Ticks are clock cycles. A whole inference takes far less, and on a board this is still less than a minute. */
#define PATIENCE 100000000u

static uint32_t steps, failures;

static bool read_word(void *context, uint32_t address, uint32_t *value)
{
    (void)context;
    *value = *soc_word(SOC_HILLOCK + HILLOCK_WORD_BYTES * address);
    return true;
}

static bool write_word(void *context, uint32_t address, uint32_t value)
{
    (void)context;
    *soc_word(SOC_HILLOCK + HILLOCK_WORD_BYTES * address) = value;
    return true;
}

static uint32_t cycle(void *context)
{
    uint32_t value = 0u;
    (void)read_word(context, HILLOCK_LINK_BASE + HILLOCK_LINK_CYCLE_OFFSET, &value);
    return value;
}

static void begin_line(bool passed)
{
    ++steps;
    failures += passed ? 0u : 1u;
    console_text(passed ? "PASS  " : "FAIL  ");
}

static void number(const char *before, uint32_t value, const char *behind)
{
    console_text(before);
    console_number(value);
    console_text(behind);
}

/* The rest of a line: what was wrong, if anything. */
static void end_line(const struct hillock *device, enum hillock_status status)
{
    if (status != HILLOCK_OK) {
        console_text(": ");
        console_text(hillock_text(status));
        console_text("; at ");
        console_hex(device->fault.address);
        console_text(" expected ");
        console_hex(device->fault.expected);
        console_text(", found ");
        console_hex(device->fault.found);
        if (status == HILLOCK_CORE_ERROR) {
            const char *text = hillock_error_text(device->fault.found);
            console_text(": ");
            console_text(text == NULL ? "unknown" : text);
        }
    }
    console_text("\n");
}

static bool step(struct hillock *device, const char *name, enum hillock_status status)
{
    begin_line(status == HILLOCK_OK);
    console_text(name);
    end_line(device, status);
    return status == HILLOCK_OK;
}

static void self_test(struct hillock *device, const uint32_t *image)
{
    struct hillock_part part;
    for (size_t i = 0u; hillock_test_part(image, i, &part); ++i) {
        const enum hillock_status status = hillock_test(device, &part);
        begin_line(status == HILLOCK_OK);
        number("core ", part.core, ": ");
        number("", part.words, " ");
        console_text(part.name);
        end_line(device, status);
    }
}

/* One inference, as the data wants it; returns the words that it has there. */
static uint32_t inference(struct hillock *device, const uint32_t *image, const uint32_t *data, uint32_t index)
{
    uint32_t tokens[MOST_TOKENS], counts[MOST_CLASSES];
    struct hillock_result result;
    result.tokens = tokens;
    result.room = MOST_TOKENS;
    const uint32_t classes = image[HILLOCK_IMAGE_AT_CLASSES], inputs = data[INPUTS];
    const uint32_t *wanted_counts = &data[WANTED_COUNTS], *input = &wanted_counts[classes];
    const bool takes_image = image[HILLOCK_IMAGE_AT_INPUT] == HILLOCK_IMAGE_INPUT_IMAGE;

    enum hillock_status status = takes_image
        ? hillock_run_image(device, (const uint8_t *)input, inputs, &result)
        : hillock_run_tokens(device, input, inputs, &result);
    if (status == HILLOCK_OK) {
        status = hillock_counts(device, counts, classes);
    }
    const uint32_t crc = hillock_crc(0u, tokens, result.given);
    bool equal = status == HILLOCK_OK && result.decision == data[WANTED_DECISION]
        && (data[WANTED_CYCLES] == 0u || result.cycles == data[WANTED_CYCLES])
        && result.given == data[WANTED_GIVEN] && crc == data[WANTED_CRC];
    for (uint32_t i = 0u; equal && i < classes; ++i) {
        equal = counts[i] == wanted_counts[i];
    }

    begin_line(equal);
    number("image ", index, "");
    if (status == HILLOCK_OK) {
        number(": class ", result.decision, "");
        number(", ", result.cycles, " cycles");
        number(", ", (uint32_t)result.spikes, " spikes ");
        console_hex(crc);
        console_text(classes == 0u ? "" : ", counts");
        for (uint32_t i = 0u; i < classes; ++i) {
            number(" ", counts[i], "");
        }
        if (!equal) {
            number("; expected class ", data[WANTED_DECISION], "");
            number(", ", data[WANTED_CYCLES], " cycles, spikes ");
            console_hex(data[WANTED_CRC]);
        }
    }
    end_line(device, status);
    return WANTED_COUNTS + classes + (takes_image ? (inputs + 3u) / 4u : inputs);
}

/* A step that failed for a reason of the program's own; returns the inferences that there then are. */
static uint32_t refuse(const char *reason)
{
    begin_line(false);
    console_text(reason);
    console_text("\n");
    return 0u;
}

static uint32_t run_all(struct hillock *device)
{
    const struct hillock_port port = {
        .read = read_word, .write = write_word, .clock = cycle, .timeout = PATIENCE};
    const uint32_t words = program_end[1], *image = &program_end[2], *data = &image[words];
    if (!step(device, "identity", hillock_open(device, &port))) {
        return 0u;
    }
    if (program_end[0] != DATA_MAGIC) {
        return refuse("data: none lies behind the program");
    }
    if (!step(device, "network image", hillock_check_image(device, image, words))) {
        return 0u;
    }
    if (image[HILLOCK_IMAGE_AT_CLASSES] > MOST_CLASSES) {
        return refuse("network image: more classes than this program has room for");
    }
    self_test(device, image);
    if (!step(device, "load and read back", hillock_load(device, image, words))) {
        return 0u;
    }
    const uint32_t inferences = *data++;
    for (uint32_t i = 0u; i < inferences; ++i) {
        data += inference(device, image, data, i);
    }
    return inferences;
}

int main(void)
{
    struct hillock device;
    console_text("hillock on a processor of its own\n");
    const uint32_t inferences = run_all(&device);
    const bool passed = inferences != 0u && failures == 0u;
    console_text(passed ? "PASS  " : "FAIL  ");
    number("", steps, " steps");
    number(", ", failures, " failed");
    number(", ", inferences, " inferences\n");
    return 0;
}
