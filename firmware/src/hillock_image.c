/* Network images: are they whole, do they belong to this device; into the memories, and proved to be there. */
#include "internal.h"

/* The CRC goes on by four bits at a time: the remainders of all that four bits can be. */
static const uint32_t remainders[16] = {
    0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u, 0x4db26158u, 0x5005713cu,
    0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu, 0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu,
};

static uint32_t crc_of_word(uint32_t crc, uint32_t word)
{
    crc ^= word;
    for (unsigned nibble = 0u; nibble < 8u; ++nibble) {
        crc = crc >> 4 ^ remainders[crc & 15u];
    }
    return crc;
}

uint32_t hillock_crc_bytes(uint32_t crc, const uint8_t *bytes, size_t count)
{
    crc = ~crc;
    for (size_t i = 0u; i < count; ++i) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ remainders[crc & 15u];
        crc = crc >> 4 ^ remainders[crc & 15u];
    }
    return ~crc;
}

uint32_t hillock_crc(uint32_t crc, const uint32_t *words, size_t count)
{
    crc = ~crc;
    for (size_t i = 0u; i < count; ++i) {
        crc = crc_of_word(crc, words[i]);
    }
    return ~crc;
}

enum hillock_status hillock_read_crc(struct hillock *device, uint32_t address, uint32_t words, uint32_t *crc)
{
    uint32_t sum = UINT32_MAX;
    for (uint32_t i = 0u; i < words; ++i) {
        uint32_t value = 0u;
        HILLOCK_TRY(hillock_read(device, address + i, &value));
        sum = crc_of_word(sum, value);
    }
    *crc = ~sum;
    return HILLOCK_OK;
}

bool hillock_next_section(const uint32_t *image, uint32_t *at, struct hillock_section *section)
{
    if (*at >= image[HILLOCK_IMAGE_AT_WORDS]) {
        return false;
    }
    section->kind = image[*at] >> HILLOCK_IMAGE_KIND_SHIFT;
    section->words = image[*at] & HILLOCK_IMAGE_LENGTH_MASK;
    section->body = &image[*at + 1u];
    *at += 1u + section->words;
    return true;
}

/* Word `at` of an image must be `expected`. */
static enum hillock_status must_say(
    struct hillock *device, const uint32_t *image, uint32_t at, uint32_t expected, enum hillock_status status)
{
    return image[at] == expected ? HILLOCK_OK : hillock_fail(device, status, at, expected, image[at]);
}

enum hillock_status hillock_check_image(struct hillock *device, const uint32_t *image, size_t words)
{
    if (words < HILLOCK_IMAGE_HEADER_WORDS) {
        return hillock_fail(device, HILLOCK_IMAGE_NONE, 0u, HILLOCK_IMAGE_HEADER_WORDS, (uint32_t)words);
    }
    HILLOCK_TRY(must_say(device, image, HILLOCK_IMAGE_AT_MAGIC, HILLOCK_IMAGE_MAGIC, HILLOCK_IMAGE_NONE));
    const uint32_t length = image[HILLOCK_IMAGE_AT_WORDS];
    if (length > words || length < HILLOCK_IMAGE_HEADER_WORDS) {
        return hillock_fail(device, HILLOCK_IMAGE_DAMAGED, HILLOCK_IMAGE_AT_WORDS, (uint32_t)words, length);
    }
    const uint32_t covered = HILLOCK_IMAGE_AT_CRC + 1u;
    const uint32_t crc = hillock_crc(0u, &image[covered], length - covered);
    HILLOCK_TRY(must_say(device, image, HILLOCK_IMAGE_AT_CRC, crc, HILLOCK_IMAGE_DAMAGED));
    HILLOCK_TRY(must_say(device, image, HILLOCK_IMAGE_AT_VERSION, HILLOCK_IMAGE_VERSION, HILLOCK_IMAGE_OLD));
    HILLOCK_TRY(must_say(device, image, HILLOCK_IMAGE_AT_TABLE, HILLOCK_TABLE_DIGEST, HILLOCK_IMAGE_TABLE));
    HILLOCK_TRY(must_say(device, image, HILLOCK_IMAGE_AT_LINK_TABLE, HILLOCK_LINK_TABLE_DIGEST, HILLOCK_IMAGE_TABLE));
    HILLOCK_TRY(must_say(device, image, HILLOCK_IMAGE_AT_DESIGN, device->design, HILLOCK_IMAGE_DESIGN));
    HILLOCK_TRY(must_say(device, image, HILLOCK_IMAGE_AT_CORES, device->cores, HILLOCK_IMAGE_DESIGN));

    uint32_t at = HILLOCK_IMAGE_HEADER_WORDS;
    for (uint32_t begins = at; begins < length; begins = at) {
        struct hillock_section section;
        (void)hillock_next_section(image, &at, &section);
        if (section.kind < HILLOCK_IMAGE_LOAD || section.kind > HILLOCK_IMAGE_POTENTIALS || at > length) {
            return hillock_fail(device, HILLOCK_IMAGE_SECTION, begins, HILLOCK_IMAGE_POTENTIALS, section.kind);
        }
    }
    return HILLOCK_OK;
}

static enum hillock_status load_section(struct hillock *device, const uint32_t *body)
{
    const uint32_t address = body[0], run = body[1], step = body[2], runs = body[3];
    const uint32_t *data = &body[4];
    for (uint32_t i = 0u; i < runs; ++i) {
        for (uint32_t j = 0u; j < run; ++j) {
            HILLOCK_TRY(hillock_write(device, address + i * step + j, *data));
            ++data;
        }
    }
    return HILLOCK_OK;
}

static enum hillock_status check_section(struct hillock *device, const uint32_t *body)
{
    uint32_t crc = 0u;
    HILLOCK_TRY(hillock_read_crc(device, body[0], body[1], &crc));
    return crc == body[2] ? HILLOCK_OK : hillock_fail(device, HILLOCK_READ_BACK, body[0], body[2], crc);
}

enum hillock_status hillock_load(struct hillock *device, const uint32_t *image, size_t words)
{
    struct hillock_section section;
    device->image = NULL;
    device->input = NULL;
    HILLOCK_TRY(hillock_check_image(device, image, words));
    HILLOCK_TRY(hillock_abort(device));
    for (uint32_t at = HILLOCK_IMAGE_HEADER_WORDS; hillock_next_section(image, &at, &section);) {
        if (section.kind == HILLOCK_IMAGE_LOAD) {
            HILLOCK_TRY(load_section(device, section.body));
        }
    }
    HILLOCK_TRY(hillock_check_errors(device));
    for (uint32_t at = HILLOCK_IMAGE_HEADER_WORDS; hillock_next_section(image, &at, &section);) {
        if (section.kind == HILLOCK_IMAGE_CHECK) {
            HILLOCK_TRY(check_section(device, section.body));
        } else if (section.kind == HILLOCK_IMAGE_INPUT) {
            device->input = section.body;
        }
    }
    HILLOCK_TRY(hillock_check_errors(device));
    device->image = image;
    return HILLOCK_OK;
}
