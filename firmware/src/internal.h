/* What the files of the driver share. */
#ifndef HILLOCK_INTERNAL_H
#define HILLOCK_INTERNAL_H

#include "hillock.h"
#include "hillock_image.h"

/* Leave the function with the status of a step that went wrong. */
#define HILLOCK_TRY(step) \
    do { \
        const enum hillock_status hillock_status_ = (step); \
        if (hillock_status_ != HILLOCK_OK) { \
            return hillock_status_; \
        } \
    } while (0)

/* Bus addresses of registers. */
uint32_t hillock_at_core(uint32_t core, uint32_t offset);
uint32_t hillock_at_link(uint32_t offset);

/* Note what was wrong where, and return `status`. */
enum hillock_status hillock_fail(
    struct hillock *device, enum hillock_status status, uint32_t address, uint32_t expected, uint32_t found);

/* The next section from word `at` on: its kind and body, and where the one behind it begins; false at the end.
 * The image is one that hillock_check_image accepted. */
struct hillock_section {
    uint32_t kind, words;
    const uint32_t *body;
};
bool hillock_next_section(const uint32_t *image, uint32_t *at, struct hillock_section *section);

/* CRC-32 of bytes: of `crc`, 0 at first, and what follows. */
uint32_t hillock_crc_bytes(uint32_t crc, const uint8_t *bytes, size_t count);

/* CRC-32 of `words` words that are read from `address` on. */
enum hillock_status hillock_read_crc(struct hillock *device, uint32_t address, uint32_t words, uint32_t *crc);

#endif
