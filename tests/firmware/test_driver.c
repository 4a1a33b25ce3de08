/* The driver against a device that is not there: each test is a function, chosen by its name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hillock_image.h"
#include "mock.h"
#include "networks.h"

static struct mock mock;
static struct hillock device;
static struct hillock_port port;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

static void check_status(enum hillock_status found, enum hillock_status wanted, const char *text, int line)
{
    if (found != wanted || strcmp(hillock_text(found), text) != 0) {
        printf(
            "line %d: status %d, %s\n  instead of %d, %s\n", line, (int)found, hillock_text(found), (int)wanted, text);
        exit(1);
    }
}
#define CHECK_STATUS(found, wanted, text) check_status(found, wanted, text, __LINE__)
#define CHECK_OK(found) check_status(found, HILLOCK_OK, "fine", __LINE__)

static void check_fault(uint32_t address, uint32_t expected, uint32_t found, int line)
{
    const struct hillock_fault *fault = &device.fault;
    if (fault->address != address || fault->expected != expected || fault->found != found) {
        printf("line %d: at %#x expected %#x, found %#x\n  instead of %#x, %#x, %#x\n", line, fault->address,
            fault->expected, fault->found, address, expected, found);
        exit(1);
    }
}
#define CHECK_FAULT(address, expected, found) check_fault(address, expected, found, __LINE__)

#define MARKER (1u << IMAGE_NETWORK[HILLOCK_IMAGE_AT_MARKER_BIT])
#define WORDS(array) (sizeof(array) / sizeof(array)[0])

static const uint8_t pixels[6] = {0, 1, 2, 128, 254, 255};
static uint32_t output[64];
static struct hillock_result result;

/* What the mock gives: spikes of some classes, and a marker, with dirt in its other bits, for each timestep. */
static uint32_t given[] = {1, 2, 0, 3, 0, 1, 0, 0, 1, 2, 3, 0, 0, 0, 1, 2, 3, 0, 1, 0};
static uint32_t clean[WORDS(given)];
static const bool is_marker[WORDS(given)] = {[2] = true, [4] = true, [12] = true, [19] = true};

static void set_up(void)
{
    mock_reset(&mock);
    port = mock_port(&mock);
    for (size_t i = 0; i < WORDS(given); ++i) {
        clean[i] = is_marker[i] ? MARKER : given[i];
        given[i] = is_marker[i] ? MARKER | (i & (MARKER - 1)) : given[i];
    }
    mock.tokens = given;
    mock.token_count = WORDS(given);
    mock.decision = 2;
    mock.cycles = 1234;
    mock.counts[0] = 6;
    mock.counts[3] = 3;
    memset(&device, 0xa5, sizeof device); /* nothing is taken for granted */
    memset(&result, 0xa5, sizeof result);
    result.tokens = output;
    result.room = WORDS(output);
}

static void set_up_loaded(void)
{
    set_up();
    CHECK_OK(hillock_open(&device, &port));
    CHECK_OK(hillock_load(&device, IMAGE_NETWORK, WORDS(IMAGE_NETWORK)));
}

#define TEST(name) static void name(void)

TEST(opens)
{
    mock.cores = 2;
    CHECK_OK(hillock_open(&device, &port));
    CHECK(device.cores == 2 && device.clock_hz == 25000000 && device.design == mock.design);
    CHECK(device.output_depth == 16 && device.decision_depth == 4);
    CHECK(mock.writes == 0);
    CHECK_FAULT(0, 0, 0);
}

TEST(every_status_has_a_text)
{
    for (int i = 0; i < HILLOCK_STATUS_COUNT; ++i) {
        CHECK(strlen(hillock_text((enum hillock_status)i)) > 3);
        for (int j = 0; j < i; ++j) {
            CHECK(strcmp(hillock_text((enum hillock_status)i), hillock_text((enum hillock_status)j)) != 0);
        }
    }
    CHECK(strcmp(hillock_text(HILLOCK_STATUS_COUNT), "unknown status") == 0);
    CHECK(hillock_error_text(0) == NULL && hillock_error_text(1u << 31) == NULL);
    CHECK(strcmp(hillock_error_text(HILLOCK_ERROR_START_REFUSED | HILLOCK_ERROR_SLICE_ORDER),
              "a start while another is pending, or where the input is not an image: ignored") == 0);
}

TEST(no_link)
{
    mock.wrong_at = HILLOCK_LINK_BASE;
    mock.wrong_value = 0xffffffff;
    CHECK_STATUS(hillock_open(&device, &port), HILLOCK_NO_LINK,
        "there is no hillock link: load a bitstream of hillock, and look at the base address");
    CHECK_FAULT(HILLOCK_LINK_BASE, 0x484c4e4b, 0xffffffff);
}

TEST(wrong_table_of_the_link)
{
    mock.wrong_at = HILLOCK_LINK_BASE + HILLOCK_LINK_TABLE_OFFSET;
    mock.wrong_value = HILLOCK_LINK_TABLE_DIGEST ^ 1;
    CHECK_STATUS(hillock_open(&device, &port), HILLOCK_LINK_TABLE,
        "the link was built from another register table: build the firmware with its header");
    CHECK_FAULT(mock.wrong_at, HILLOCK_LINK_TABLE_DIGEST, mock.wrong_value);
}

TEST(wrong_identity_of_a_core)
{
    mock.cores = 2;
    mock.wrong_at = 1u << HILLOCK_CORE_SHIFT;
    CHECK_STATUS(hillock_open(&device, &port), HILLOCK_NO_CORE,
        "there is no hillock core where the link says: load the bitstream again");
    CHECK_FAULT(mock.wrong_at, 0x48494c4b, 0);
}

TEST(no_cores)
{
    mock.cores = 0;
    CHECK_STATUS(hillock_open(&device, &port), HILLOCK_NO_CORE,
        "there is no hillock core where the link says: load the bitstream again");
    CHECK_FAULT(HILLOCK_LINK_BASE + HILLOCK_LINK_GEOMETRY_OFFSET, 1, 0);
}

TEST(wrong_table_of_a_core)
{
    mock.wrong_at = HILLOCK_TABLE_OFFSET;
    mock.wrong_value = 1;
    CHECK_STATUS(hillock_open(&device, &port), HILLOCK_CORE_TABLE,
        "a core was built from another register table: build the firmware with its header");
    CHECK_FAULT(HILLOCK_TABLE_OFFSET, HILLOCK_TABLE_DIGEST, 1);
}

static enum hillock_status an_image(void)
{
    uint32_t counts[4], value = 0;
    const uint32_t *image = IMAGE_NETWORK;
    enum hillock_status status = hillock_open(&device, &port);
    status = status != HILLOCK_OK ? status : hillock_load(&device, image, WORDS(IMAGE_NETWORK));
    status = status != HILLOCK_OK ? status : hillock_run_image(&device, pixels, WORDS(pixels), &result);
    status = status != HILLOCK_OK ? status : hillock_counts(&device, counts, 4);
    status = status != HILLOCK_OK ? status : hillock_set(&device, 0, HILLOCK_TIMESTEPS_OFFSET, 4);
    return status != HILLOCK_OK ? status : hillock_get(&device, 0, HILLOCK_TIMESTEPS_OFFSET, &value);
}

static const uint32_t events[] = {1, 5, 64, 64, 2, 64, 3, 64};

static enum hillock_status some_events(void)
{
    mock.design = EVENT_NETWORK[HILLOCK_IMAGE_AT_DESIGN];
    enum hillock_status status = hillock_open(&device, &port);
    status = status != HILLOCK_OK ? status : hillock_load(&device, EVENT_NETWORK, WORDS(EVENT_NETWORK));
    return status != HILLOCK_OK ? status : hillock_run_tokens(&device, events, WORDS(events), &result);
}

static enum hillock_status a_self_test(void)
{
    struct hillock_part part;
    enum hillock_status status = hillock_open(&device, &port);
    for (size_t i = 0; status == HILLOCK_OK && hillock_test_part(IMAGE_NETWORK, i, &part); ++i) {
        status = hillock_test(&device, &part);
    }
    return status;
}

/* At whatever access the bus fails, that is said, and never that all is well. */
static void fail_at_each(enum hillock_status (*work)(void), bool for_ever)
{
    uint32_t at = 0;
    do {
        set_up();
        ++at;
        mock.fails_at = for_ever ? 0 : at;
        mock.silent_after = for_ever ? at : 0;
        const enum hillock_status status = work();
        if (mock.accesses > at || (mock.accesses == at && !for_ever)) {
            CHECK_STATUS(status, HILLOCK_BUS,
                "the bus did not answer: look at the port's read and write functions, and at the wires");
        } else {
            CHECK_OK(status);
        }
    } while (mock.accesses >= at);
    CHECK(at > 100);
}

TEST(a_bus_that_dies_at_an_image)
{
    fail_at_each(an_image, true);
}

TEST(a_bus_that_fails_once_at_an_image)
{
    fail_at_each(an_image, false);
}

TEST(a_bus_that_fails_once_at_events)
{
    fail_at_each(some_events, false);
}

TEST(a_bus_that_fails_once_at_a_self_test)
{
    fail_at_each(a_self_test, false);
}

TEST(loads)
{
    set_up_loaded();
    for (size_t i = 0; i < WORDS(IMAGE_WRITES); i += 2) {
        CHECK(mock_word(&mock, IMAGE_WRITES[i]) == IMAGE_WRITES[i + 1]);
    }
}

TEST(the_fault_is_that_of_the_first_failure)
{
    set_up_loaded();
    mock.silent_after = mock.accesses + 1; /* the bus dies at the first pixels, and what is given up finds it dead */
    CHECK_STATUS(hillock_run_image(&device, pixels, WORDS(pixels), &result), HILLOCK_BUS,
        "the bus did not answer: look at the port's read and write functions, and at the wires");
    CHECK_FAULT(IMAGE_PIXELS[0], IMAGE_PIXELS[1], 0);
}

TEST(crc_is_that_of_zlib)
{
    CHECK(hillock_crc(0, IMAGE_NETWORK, WORDS(IMAGE_NETWORK)) == IMAGE_CRC);
    const uint32_t first = hillock_crc(0, IMAGE_NETWORK, 3);
    CHECK(hillock_crc(first, &IMAGE_NETWORK[3], WORDS(IMAGE_NETWORK) - 3) == IMAGE_CRC);
    CHECK(hillock_crc(0, NULL, 0) == 0);
}

static uint32_t changed[WORDS(IMAGE_NETWORK)];

/* The image with one word replaced, and the CRC as it must then be. */
static const uint32_t *with(size_t at, uint32_t value)
{
    memcpy(changed, IMAGE_NETWORK, sizeof changed);
    changed[at] = value;
    if (at > HILLOCK_IMAGE_AT_CRC) {
        changed[HILLOCK_IMAGE_AT_CRC] = hillock_crc(0, &changed[3], WORDS(changed) - 3);
    }
    return changed;
}

static enum hillock_status loading(const uint32_t *image, size_t words)
{
    CHECK_OK(hillock_open(&device, &port));
    const enum hillock_status status = hillock_load(&device, image, words);
    CHECK(mock.writes == 0);
    return status;
}

TEST(an_image_that_is_none)
{
    CHECK_STATUS(loading(with(0, 5), WORDS(changed)), HILLOCK_IMAGE_NONE, "this is no network image: export one");
    CHECK_STATUS(loading(IMAGE_NETWORK, 5), HILLOCK_IMAGE_NONE, "this is no network image: export one");
    CHECK_FAULT(0, HILLOCK_IMAGE_HEADER_WORDS, 5);
}

TEST(a_damaged_image)
{
    static const char *text = "the network image is damaged: its CRC differs; store it again";
    for (size_t bit = 0; bit < 32 * WORDS(changed); bit += 7) {
        memcpy(changed, IMAGE_NETWORK, sizeof changed);
        changed[bit / 32] ^= 1u << bit % 32;
        if (bit / 32 != HILLOCK_IMAGE_AT_MAGIC) {
            CHECK_STATUS(loading(changed, WORDS(changed)), HILLOCK_IMAGE_DAMAGED, text);
        }
    }
    for (size_t words = HILLOCK_IMAGE_HEADER_WORDS; words < WORDS(changed); words += 11) {
        CHECK_STATUS(loading(IMAGE_NETWORK, words), HILLOCK_IMAGE_DAMAGED, text);
    }
}

TEST(an_image_for_another_device)
{
    const char *table = "the network image was made for another register table: export it again";
    const char *design = "the network image was made for other cores: export it for the bitstream that is loaded";
    CHECK_STATUS(loading(with(HILLOCK_IMAGE_AT_VERSION, 7), WORDS(changed)), HILLOCK_IMAGE_OLD,
        "the network image has another version: export it with the hillock of this firmware");
    CHECK_STATUS(loading(with(HILLOCK_IMAGE_AT_TABLE, 7), WORDS(changed)), HILLOCK_IMAGE_TABLE, table);
    CHECK_STATUS(loading(with(HILLOCK_IMAGE_AT_LINK_TABLE, 7), WORDS(changed)), HILLOCK_IMAGE_TABLE, table);
    CHECK_STATUS(loading(with(HILLOCK_IMAGE_AT_CORES, 2), WORDS(changed)), HILLOCK_IMAGE_DESIGN, design);
    CHECK_STATUS(loading(with(HILLOCK_IMAGE_AT_DESIGN, 7), WORDS(changed)), HILLOCK_IMAGE_DESIGN, design);
    CHECK_FAULT(HILLOCK_IMAGE_AT_DESIGN, mock.design, 7);
}

TEST(a_section_that_is_unknown)
{
    const char *text = "the network image has a section that this firmware does not know: update the firmware";
    const size_t at = HILLOCK_IMAGE_HEADER_WORDS;
    CHECK_STATUS(loading(with(at, 9u << HILLOCK_IMAGE_KIND_SHIFT | 1), WORDS(changed)), HILLOCK_IMAGE_SECTION, text);
    CHECK_FAULT(at, HILLOCK_IMAGE_POTENTIALS, 9);
    CHECK_STATUS(loading(with(at, 1), WORDS(changed)), HILLOCK_IMAGE_SECTION, text);
    CHECK_FAULT(at, HILLOCK_IMAGE_POTENTIALS, 0);
    const uint32_t too_long = 1u << HILLOCK_IMAGE_KIND_SHIFT | 0xffffff;
    CHECK_STATUS(loading(with(at, too_long), WORDS(changed)), HILLOCK_IMAGE_SECTION, text);
    CHECK_FAULT(at, HILLOCK_IMAGE_POTENTIALS, 1);
}

TEST(a_memory_that_reads_something_else)
{
    mock.stuck_at = HILLOCK_SYNAPSES_BASE + (2u << MOCK_PART_BITS) + 1;
    mock.stuck_bits = 0x3;
    CHECK_OK(hillock_open(&device, &port));
    CHECK_STATUS(hillock_load(&device, IMAGE_NETWORK, WORDS(IMAGE_NETWORK)), HILLOCK_READ_BACK,
        "a memory does not hold what was loaded: its CRC differs; self-test the device");
    CHECK(device.fault.address >= HILLOCK_SYNAPSES_BASE && device.fault.address < HILLOCK_CURRENTS_BASE);
    CHECK_STATUS(hillock_run_image(&device, pixels, WORDS(pixels), &result), HILLOCK_NOT_LOADED,
        "no network is loaded: load one first");
}

TEST(what_was_loaded_before)
{
    const char *text = "no network is loaded: load one first";
    set_up_loaded();
    CHECK_STATUS(hillock_load(&device, with(HILLOCK_IMAGE_AT_DESIGN, 7), WORDS(changed)), HILLOCK_IMAGE_DESIGN,
        "the network image was made for other cores: export it for the bitstream that is loaded");
    CHECK_STATUS(hillock_run_image(&device, pixels, WORDS(pixels), &result), HILLOCK_NOT_LOADED, text);
    struct hillock_part part;
    set_up_loaded();
    CHECK(hillock_test_part(IMAGE_NETWORK, 0, &part));
    CHECK_OK(hillock_test(&device, &part));
    CHECK_STATUS(hillock_run_image(&device, pixels, WORDS(pixels), &result), HILLOCK_NOT_LOADED, text);
    CHECK_FAULT(0, 0, 0);
}

TEST(an_error_while_loading)
{
    mock.error_after = 30;
    CHECK_OK(hillock_open(&device, &port));
    CHECK_STATUS(hillock_load(&device, IMAGE_NETWORK, WORDS(IMAGE_NETWORK)), HILLOCK_CORE_ERROR,
        "a core has set bits in its register error: see hillock_error_text, and load it again");
    CHECK_FAULT(HILLOCK_ERROR_OFFSET, 0, HILLOCK_ERROR_SLICE_ORDER);
    CHECK(strcmp(hillock_error_text(device.fault.found),
              "slices of a memory word that did not come in order, lowest first: word not written") == 0);
    uint32_t bits = 0;
    CHECK_OK(hillock_errors(&device, 0, &bits));
    CHECK(bits == HILLOCK_ERROR_SLICE_ORDER);
    CHECK_OK(hillock_clear_errors(&device));
    CHECK_OK(hillock_errors(&device, 0, &bits));
    CHECK(bits == 0);
}

TEST(runs_an_image)
{
    set_up_loaded();
    CHECK_OK(hillock_run_image(&device, pixels, WORDS(pixels), &result));
    CHECK(result.decision == 2 && result.cycles == 1234 && result.clock == 77);
    CHECK(result.given == WORDS(given) && result.spikes == WORDS(given) - 4);
    CHECK(memcmp(output, clean, sizeof clean) == 0);
    uint32_t counts[4] = {9, 9, 9, 9};
    CHECK_OK(hillock_counts(&device, counts, 4));
    CHECK(counts[0] == 6 && counts[1] == 0 && counts[3] == 3);
    for (size_t i = 0; i < WORDS(IMAGE_PIXELS); i += 2) {
        CHECK(mock_word(&mock, IMAGE_PIXELS[i]) == IMAGE_PIXELS[i + 1]);
    }
    for (size_t i = 0; i < WORDS(IMAGE_WRITES); i += 2) {
        bool is_pixels = false;
        for (size_t j = 0; j < WORDS(IMAGE_PIXELS); j += 2) {
            is_pixels = is_pixels || IMAGE_PIXELS[j] == IMAGE_WRITES[i];
        }
        CHECK(is_pixels || mock_word(&mock, IMAGE_WRITES[i]) == IMAGE_WRITES[i + 1]);
    }
    CHECK(mock_word(&mock, HILLOCK_LINK_BASE + HILLOCK_LINK_OUTPUTS_TAKEN_OFFSET) == WORDS(given));
    CHECK(mock_word(&mock, HILLOCK_LINK_BASE + HILLOCK_LINK_DECISIONS_TAKEN_OFFSET) == 1);
}

TEST(the_last_core_has_the_result)
{
    uint32_t counts[4];
    set_up_loaded();
    mock.cores = device.cores = 2;
    CHECK_OK(hillock_run_image(&device, pixels, WORDS(pixels), &result));
    CHECK(result.decision == 2 && result.cycles == 1234);
    CHECK_OK(hillock_counts(&device, counts, 4));
    CHECK(counts[0] == 6 && counts[1] == 0 && counts[3] == 3);
}

TEST(runs_without_a_buffer_for_tokens)
{
    set_up_loaded();
    result.tokens = NULL;
    result.room = 0;
    CHECK_OK(hillock_run_image(&device, pixels, WORDS(pixels), &result));
    CHECK(result.given == WORDS(given) && result.spikes == WORDS(given) - 4);
    CHECK_OK(hillock_run_image(&device, pixels, WORDS(pixels), &result));
    CHECK(result.given == WORDS(given));
}

TEST(runs_events)
{
    CHECK_OK(some_events());
    CHECK(mock.received_count == WORDS(events) && memcmp(mock.received, events, sizeof events) == 0);
    CHECK(result.decision == 2 && result.given == WORDS(given));
    CHECK_STATUS(hillock_run_image(&device, pixels, WORDS(pixels), &result), HILLOCK_INPUT,
        "the network takes another kind or number of inputs");
    mock.no_space = true;
    CHECK_STATUS(hillock_run_tokens(&device, events, WORDS(events), &result), HILLOCK_TIMEOUT,
        "the device gave nothing for too long: the inference was given up; load it again");
    CHECK_FAULT(HILLOCK_LINK_BASE + HILLOCK_LINK_INPUT_SPACE_OFFSET, 1, 0);
}

TEST(an_inference_that_never_ends)
{
    set_up_loaded();
    mock.never_done = true;
    const uint32_t since = mock.time;
    CHECK_STATUS(hillock_run_image(&device, pixels, WORDS(pixels), &result), HILLOCK_TIMEOUT,
        "the device gave nothing for too long: the inference was given up; load it again");
    CHECK_FAULT(HILLOCK_LINK_BASE + HILLOCK_LINK_DECISIONS_GIVEN_OFFSET, 1, 0);
    CHECK(mock.time - since > 1000 && mock.time - since < 1300);
    CHECK(result.given == 0 && result.decision == 0 && result.cycles == 0 && result.clock == 0);
    CHECK(mock_word(&mock, HILLOCK_CONTROL_OFFSET) == HILLOCK_CONTROL_ABORT_MASK);
}

TEST(more_output_than_there_can_be)
{
    set_up_loaded();
    mock.wrong_at = HILLOCK_LINK_BASE + HILLOCK_LINK_OUTPUTS_GIVEN_OFFSET;
    mock.wrong_value = MOCK_OUTPUTS + 1;
    CHECK_STATUS(hillock_run_image(&device, pixels, WORDS(pixels), &result), HILLOCK_OUTPUT,
        "the link counts more output than it keeps: look at the port's read function, and at the wires");
    CHECK_FAULT(mock.wrong_at, MOCK_OUTPUTS, MOCK_OUTPUTS + 1);
    CHECK(result.given == 0);
}

TEST(a_slow_inference)
{
    /* All of it takes longer than the device may give nothing. */
    set_up_loaded();
    mock.slowness = 600;
    const uint32_t since = mock.time;
    CHECK_OK(hillock_run_image(&device, pixels, WORDS(pixels), &result));
    CHECK(mock.time - since > 2000 && result.given == WORDS(given));
}

TEST(another_number_of_pixels)
{
    set_up_loaded();
    CHECK_STATUS(hillock_run_image(&device, pixels, 5, &result), HILLOCK_INPUT,
        "the network takes another kind or number of inputs");
    CHECK_FAULT(HILLOCK_IMAGE_AT_INPUT, 6, 5);
    CHECK_STATUS(hillock_run_tokens(&device, output, 2, &result), HILLOCK_INPUT,
        "the network takes another kind or number of inputs");
}

TEST(too_many_tokens)
{
    set_up_loaded();
    result.room = 7;
    output[7] = 0xdeadbeef;
    CHECK_STATUS(hillock_run_image(&device, pixels, WORDS(pixels), &result), HILLOCK_TOO_MANY_SPIKES,
        "more output tokens came than there was room for: give a larger buffer");
    CHECK(result.given == 7 && output[7] == 0xdeadbeef);
    CHECK(device.fault.expected == 7 && device.fault.found == 8);
}

TEST(a_decision_that_comes_too_early)
{
    set_up_loaded();
    mock.loses_tokens = true;
    CHECK_STATUS(hillock_run_image(&device, pixels, WORDS(pixels), &result), HILLOCK_SHORT,
        "a decision came before the last timestep had ended: load the network again");
    CHECK_FAULT(HILLOCK_LINK_OUTPUTS_BASE, 4, 3);
}

TEST(two_decisions_that_differ)
{
    set_up_loaded();
    mock.wrong_at = HILLOCK_DECISION_OFFSET;
    mock.wrong_value = 1;
    CHECK_STATUS(hillock_run_image(&device, pixels, WORDS(pixels), &result), HILLOCK_DECISION,
        "the core and the link do not name the same decision: load the network again");
    CHECK_FAULT(HILLOCK_DECISION_OFFSET, 2, 1);
}

TEST(an_error_while_running)
{
    set_up_loaded();
    mock.error_bits = HILLOCK_ERROR_INPUT_ADDRESS | HILLOCK_ERROR_BUS_ADDRESS;
    CHECK_STATUS(hillock_run_image(&device, pixels, WORDS(pixels), &result), HILLOCK_CORE_ERROR,
        "a core has set bits in its register error: see hillock_error_text, and load it again");
    CHECK_FAULT(HILLOCK_ERROR_OFFSET, 0, 9);
    mock.error_bits = 0;
    mock.link_error_bits = HILLOCK_LINK_ERROR_INPUT_FULL_MASK;
    CHECK_STATUS(hillock_run_image(&device, pixels, WORDS(pixels), &result), HILLOCK_LINK_ERROR,
        "the link has set bits in its register error: see docs/link.md");
    CHECK_FAULT(HILLOCK_LINK_BASE + HILLOCK_LINK_ERROR_OFFSET, 0, 1);
    CHECK_OK(hillock_run_image(&device, pixels, WORDS(pixels), &result));
}

TEST(counts_that_are_not_there)
{
    uint32_t counts[5];
    CHECK_OK(hillock_open(&device, &port));
    CHECK_STATUS(hillock_counts(&device, counts, 4), HILLOCK_NOT_LOADED, "no network is loaded: load one first");
    set_up_loaded();
    CHECK_STATUS(hillock_counts(&device, counts, 5), HILLOCK_NO_COUNTS,
        "the network counts no spikes, or not so many classes");
    CHECK_FAULT(HILLOCK_IMAGE_AT_CLASSES, 4, 5);
}

TEST(registers)
{
    uint32_t value = 0;
    set_up_loaded();
    CHECK_OK(hillock_set(&device, 0, HILLOCK_TIMESTEPS_OFFSET, 40000));
    CHECK_OK(hillock_get(&device, 0, HILLOCK_TIMESTEPS_OFFSET, &value));
    CHECK(value == 40000);
    CHECK_STATUS(hillock_set(&device, 0, HILLOCK_TIMESTEPS_OFFSET, 70000), HILLOCK_REGISTER,
        "a register does not hold what was written: the value is too wide, or the core is at work");
    CHECK_FAULT(HILLOCK_TIMESTEPS_OFFSET, 70000, 70000 & 0xffff);
}

static struct hillock_part part_named(const char *name)
{
    struct hillock_part part;
    size_t i = 0;
    do {
        CHECK(hillock_test_part(IMAGE_NETWORK, i++, &part));
    } while (strcmp(part.name, name) != 0);
    CHECK(part.core == 0 && part.words > 0);
    return part;
}

static enum hillock_status test_part(const char *name)
{
    const struct hillock_part part = part_named(name);
    CHECK_OK(hillock_open(&device, &port));
    CHECK_OK(hillock_check_image(&device, IMAGE_NETWORK, WORDS(IMAGE_NETWORK)));
    return hillock_test(&device, &part);
}

TEST(the_self_test_passes)
{
    static const char *const names[] = {"registers", "layers", "synapses", "currents", "potentials"};
    struct hillock_part part;
    for (size_t i = 0; i < WORDS(names); ++i) {
        CHECK_OK(test_part(names[i]));
        CHECK(hillock_test_part(IMAGE_NETWORK, i, &part) && strcmp(part.name, names[i]) == 0);
    }
    CHECK(!hillock_test_part(IMAGE_NETWORK, WORDS(names), &part));
    CHECK(part_named("registers").words == WORDS(MOCK_REGISTERS) / 2);
    for (size_t i = 1; i < WORDS(names); ++i) {
        CHECK(part_named(names[i]).words == MOCK_WORDS[2 * (i - 1) + 1]);
    }
}

TEST(the_self_test_finds_every_bit)
{
    static const char *text = "a memory does not hold what was written: the clock is too fast, or the memory is bad";
    static const struct {
        const char *name;
        uint32_t base, bits;
    } memories[] = {
        {"layers", HILLOCK_LAYERS_BASE + HILLOCK_LAYER_RECORD_THRESHOLD_SLICE, 8},
        {"synapses", HILLOCK_SYNAPSES_BASE + (3u << MOCK_PART_BITS), MOCK_WEIGHT_BITS},
        {"currents", HILLOCK_CURRENTS_BASE + 1, MOCK_CURRENT_BITS},
        {"potentials", HILLOCK_POTENTIALS_BASE + 2, MOCK_POTENTIAL_BITS},
    };
    for (size_t i = 0; i < WORDS(memories); ++i) {
        for (uint32_t bit = 0; bit < 2 * memories[i].bits; ++bit) {
            mock_reset(&mock);
            mock.stuck_at = memories[i].base;
            mock.stuck_bits = 1u << bit / 2;
            mock.stuck_high = bit % 2 != 0;
            CHECK_STATUS(test_part(memories[i].name), HILLOCK_MEMORY, text);
            CHECK_FAULT(mock.stuck_at, device.fault.expected, device.fault.expected ^ mock.stuck_bits);
        }
    }
    /* The lowest bit of each part of each word. */
    for (size_t i = 0; i < WORDS(memories); ++i) {
        const uint32_t base = memories[i].base >> HILLOCK_REGION_SHIFT << HILLOCK_REGION_SHIFT;
        const bool is_layers = base == HILLOCK_LAYERS_BASE;
        const uint32_t parts = is_layers ? WORDS(MOCK_LAYER_KEEPS) : MOCK_LANES;
        for (uint32_t at = 0; at < parts * part_named(memories[i].name).words; ++at) {
            const uint32_t kept = is_layers ? MOCK_LAYER_KEEPS[at % parts] : 1;
            mock_reset(&mock);
            mock.stuck_at = base + (at / parts << MOCK_PART_BITS) + at % parts;
            mock.stuck_bits = kept & (0 - kept);
            const bool found = kept != 0;
            CHECK_STATUS(test_part(memories[i].name), found ? HILLOCK_MEMORY : HILLOCK_OK, found ? text : "fine");
        }
    }
    mock_reset(&mock);
    mock.stuck_at = HILLOCK_DELAY_OFFSET;
    mock.stuck_bits = 1u << 15;
    CHECK_STATUS(test_part("registers"), HILLOCK_REGISTER,
        "a register does not hold what was written: the value is too wide, or the core is at work");
    CHECK_FAULT(HILLOCK_DELAY_OFFSET, 0xffff, 0x7fff);
}

TEST(the_self_test_finds_every_address_line)
{
    static const struct {
        const char *name;
        uint32_t base;
    } memories[] = {
        {"layers", HILLOCK_LAYERS_BASE}, {"synapses", HILLOCK_SYNAPSES_BASE}, {"currents", HILLOCK_CURRENTS_BASE}};
    for (size_t i = 0; i < WORDS(memories); ++i) {
        struct hillock_part part = part_named(memories[i].name);
        for (uint32_t line = 0; 1u << line < part.words; ++line) {
            mock_reset(&mock);
            mock.line_of = memories[i].base;
            mock.line = 1u << MOCK_PART_BITS << line;
            CHECK_STATUS(test_part(memories[i].name), HILLOCK_MEMORY,
                "a memory does not hold what was written: the clock is too fast, or the memory is bad");
        }
    }
}

TEST(the_self_test_does_not_wait_for_ever)
{
    mock.never_done = true;
    CHECK_STATUS(test_part("potentials"), HILLOCK_TIMEOUT,
        "the device gave nothing for too long: the inference was given up; load it again");
    CHECK_FAULT(HILLOCK_STATUS_OFFSET, HILLOCK_STATUS_DONE_MASK, HILLOCK_STATUS_BUSY_MASK);
    mock_reset(&mock);
    mock.busy = 100;
    CHECK_OK(test_part("potentials"));
}

TEST(abort_stops_all_cores)
{
    mock.cores = 2;
    CHECK_OK(hillock_open(&device, &port));
    CHECK_OK(hillock_abort(&device));
    for (uint32_t core = 0; core < 2; ++core) {
        CHECK(mock_word(&mock, core << HILLOCK_CORE_SHIFT | HILLOCK_CONTROL_OFFSET) == HILLOCK_CONTROL_ABORT_MASK);
    }
    /* The input is emptied first, so that no core begins anew, and the output last. */
    const uint32_t link = HILLOCK_LINK_BASE + HILLOCK_LINK_CONTROL_OFFSET;
    const uint32_t order[] = {
        link, HILLOCK_CONTROL_OFFSET, 1u << HILLOCK_CORE_SHIFT | HILLOCK_CONTROL_OFFSET, link};
    CHECK(memcmp(mock.written, order, sizeof order) == 0);
    CHECK(mock_word(&mock, link) == HILLOCK_LINK_CONTROL_RESTART_MASK);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
#define ENTRY(name) {#name, name},
#include "tests.h"
#undef ENTRY
    };
    for (size_t i = 0; argc == 2 && i < WORDS(tests); ++i) {
        if (strcmp(argv[1], tests[i].name) == 0) {
            set_up();
            tests[i].run();
            printf("passed\n");
            return 0;
        }
    }
    printf("there is no such test\n");
    return 2;
}
