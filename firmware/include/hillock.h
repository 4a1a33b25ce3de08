/* Driver of hillock, the event-driven accelerator of spiking networks.
 *
 * C99, freestanding: it allocates nothing, keeps nothing outside `struct hillock`, and calls nothing but the functions
 * of a `struct hillock_port`, so that it runs on a processor beside the cores as on one at the other end of a wire.
 *
 * Every function returns a status, HILLOCK_OK or what was wrong, and `hillock_text` says it in words; `fault` of the
 * device then has the address, what was expected there, and what was found. Nothing waits for ever: where the device
 * gives nothing for `timeout` ticks of the caller's clock, it is HILLOCK_TIMEOUT.
 */
#ifndef HILLOCK_H
#define HILLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hillock_registers.h"

/* name, text: what was wrong, and the way out */
#define HILLOCK_STATUSES(X) \
    X(HILLOCK_OK, "fine") \
    X(HILLOCK_BUS, "the bus did not answer: look at the port's read and write functions, and at the wires") \
    X(HILLOCK_NO_LINK, "there is no hillock link: load a bitstream of hillock, and look at the base address") \
    X(HILLOCK_LINK_TABLE, "the link was built from another register table: build the firmware with its header") \
    X(HILLOCK_NO_CORE, "there is no hillock core where the link says: load the bitstream again") \
    X(HILLOCK_CORE_TABLE, "a core was built from another register table: build the firmware with its header") \
    X(HILLOCK_IMAGE_NONE, "this is no network image: export one") \
    X(HILLOCK_IMAGE_OLD, "the network image has another version: export it with the hillock of this firmware") \
    X(HILLOCK_IMAGE_DAMAGED, "the network image is damaged: its CRC differs; store it again") \
    X(HILLOCK_IMAGE_TABLE, "the network image was made for another register table: export it again") \
    X(HILLOCK_IMAGE_DESIGN, "the network image was made for other cores: export it for the bitstream that is loaded") \
    X(HILLOCK_IMAGE_SECTION, "the network image has a section that this firmware does not know: update the firmware") \
    X(HILLOCK_READ_BACK, "a memory does not hold what was loaded: its CRC differs; self-test the device") \
    X(HILLOCK_REGISTER, "a register does not hold what was written: the value is too wide, or the core is at work") \
    X(HILLOCK_MEMORY, "a memory does not hold what was written: the clock is too fast, or the memory is bad") \
    X(HILLOCK_CORE_ERROR, "a core has set bits in its register error: see hillock_error_text, and load it again") \
    X(HILLOCK_LINK_ERROR, "the link has set bits in its register error: see docs/link.md") \
    X(HILLOCK_TIMEOUT, "the device gave nothing for too long: the inference was given up; load it again") \
    X(HILLOCK_OUTPUT, "the link counts more output than it keeps: look at the port's read function, and at the wires") \
    X(HILLOCK_NOT_LOADED, "no network is loaded: load one first") \
    X(HILLOCK_INPUT, "the network takes another kind or number of inputs") \
    X(HILLOCK_TOO_MANY_SPIKES, "more output tokens came than there was room for: give a larger buffer") \
    X(HILLOCK_SHORT, "a decision came before the last timestep had ended: load the network again") \
    X(HILLOCK_DECISION, "the core and the link do not name the same decision: load the network again") \
    X(HILLOCK_NO_COUNTS, "the network counts no spikes, or not so many classes")

enum hillock_status {
#define HILLOCK_NAME(name, text) name,
    HILLOCK_STATUSES(HILLOCK_NAME)
#undef HILLOCK_NAME
    HILLOCK_STATUS_COUNT
};

/* How the device is reached. Addresses count 32-bit words, see hillock_registers.h; read and write return whether the
 * access was done. `clock` counts ticks of any length and may wrap. */
struct hillock_port {
    void *context;
    bool (*read)(void *context, uint32_t address, uint32_t *value);
    bool (*write)(void *context, uint32_t address, uint32_t value);
    uint32_t (*clock)(void *context);
    uint32_t timeout;
};

/* Where something was wrong: a bus address, or for network images the number of a word. */
struct hillock_fault {
    uint32_t address, expected, found;
};

/* One device. What `hillock_open` sets may be read; the rest is the driver's. */
struct hillock {
    const struct hillock_port *port;
    uint32_t design, cores, clock_hz, output_depth, decision_depth;
    struct hillock_fault fault;
    const uint32_t *image, *input;
    uint32_t taken;
};

/* One inference. The caller gives `tokens`, where output tokens go, and how many there is room for; with a null
 * pointer they are counted only. One that is just the marker bit (HILLOCK_IMAGE_AT_MARKER_BIT) ends a timestep. */
struct hillock_result {
    uint32_t *tokens;
    size_t room;
    size_t given;              /* output tokens, markers included */
    size_t spikes;             /* those that are no markers */
    uint32_t decision, cycles; /* as the registers of the last core say */
    uint32_t clock;            /* the register `cycle` of the link when the decision came */
};

/* In words; of a number that is no status: "unknown status". */
const char *hillock_text(enum hillock_status status);

/* What the lowest bit that is set in a register `error` of a core means; a null pointer for 0 or unknown bits. */
const char *hillock_error_text(uint32_t bits);

/* Find the link and all cores, and see that they were built from the tables of this header. Changes nothing. */
enum hillock_status hillock_open(struct hillock *device, const struct hillock_port *port);

/* One word of the bus. */
enum hillock_status hillock_read(struct hillock *device, uint32_t address, uint32_t *value);
enum hillock_status hillock_write(struct hillock *device, uint32_t address, uint32_t value);

/* A register of a core: HILLOCK_<REGISTER>_OFFSET. `set` reads it back; HILLOCK_REGISTER where it differs. */
enum hillock_status hillock_get(struct hillock *device, uint32_t core, uint32_t offset, uint32_t *value);
enum hillock_status hillock_set(struct hillock *device, uint32_t core, uint32_t offset, uint32_t value);

/* The register `error` of a core; and clear those of all cores and of the link. */
enum hillock_status hillock_errors(struct hillock *device, uint32_t core, uint32_t *bits);
enum hillock_status hillock_clear_errors(struct hillock *device);

/* HILLOCK_CORE_ERROR or HILLOCK_LINK_ERROR when any of them is not 0: `fault` has which, and the bits. */
enum hillock_status hillock_check_errors(struct hillock *device);

/* Give up what is under way on all cores, forget waiting input and output, and clear all errors. */
enum hillock_status hillock_abort(struct hillock *device);

/* Whether `image` (gen/firmware_image.py) is whole and made for this device; changes nothing. */
enum hillock_status hillock_check_image(struct hillock *device, const uint32_t *image, size_t words);

/* Load a network into all cores, read back what can be read, and see that no error was set. The words must stay where
 * they are: the driver takes the layout of the input from them. */
enum hillock_status hillock_load(struct hillock *device, const uint32_t *image, size_t words);

/* Inferences one at a time: of pixels from 0 to 255, or of input tokens (docs/registers.md), markers included. */
enum hillock_status hillock_run_image(
    struct hillock *device, const uint8_t *pixels, size_t count, struct hillock_result *result);
enum hillock_status hillock_run_tokens(
    struct hillock *device, const uint32_t *tokens, size_t count, struct hillock_result *result);

/* Output spikes of each class, until the next inference begins. */
enum hillock_status hillock_counts(struct hillock *device, uint32_t *counts, size_t classes);

/* One thing that a self-test can try: a name such as "registers" or "synapses", the core, and how many words. */
struct hillock_part {
    const char *name;
    uint32_t core, words;
    const uint32_t *section;
};

/* Part `number` of what a network image says that there is to try, from 0; false behind the last. The image is one that
 * hillock_check_image accepted. */
bool hillock_test_part(const uint32_t *image, size_t number, struct hillock_part *part);

/* Self-test: registers, and each memory that can be read, take patterns and give them back. What is loaded is lost. */
enum hillock_status hillock_test(struct hillock *device, const struct hillock_part *part);

/* CRC-32 (that of zlib) of words, each as four bytes from the lowest: of `crc`, 0 at first, and what follows. */
uint32_t hillock_crc(uint32_t crc, const uint32_t *words, size_t count);

#endif
