/* The words of a network image, as gen/firmware_image.py writes them; its docstring says what each is. */
#ifndef HILLOCK_IMAGE_H
#define HILLOCK_IMAGE_H

#define HILLOCK_IMAGE_MAGIC 0x48494d47u
#define HILLOCK_IMAGE_VERSION 1u

/* Words of the header; the CRC covers all behind it */
enum {
    HILLOCK_IMAGE_AT_MAGIC,
    HILLOCK_IMAGE_AT_WORDS,
    HILLOCK_IMAGE_AT_CRC,
    HILLOCK_IMAGE_AT_VERSION,
    HILLOCK_IMAGE_AT_TABLE,
    HILLOCK_IMAGE_AT_LINK_TABLE,
    HILLOCK_IMAGE_AT_DESIGN,
    HILLOCK_IMAGE_AT_CORES,
    HILLOCK_IMAGE_AT_TIMESTEPS,
    HILLOCK_IMAGE_AT_CLASSES,
    HILLOCK_IMAGE_AT_MARKER_BIT,
    HILLOCK_IMAGE_AT_INPUT,
    HILLOCK_IMAGE_HEADER_WORDS
};

/* What a network takes */
#define HILLOCK_IMAGE_INPUT_EVENTS 0u
#define HILLOCK_IMAGE_INPUT_IMAGE 1u
#define HILLOCK_IMAGE_INPUT_STATIC 2u

/* Kinds of sections: a word `kind << HILLOCK_IMAGE_KIND_SHIFT | words of the body`, then the body */
#define HILLOCK_IMAGE_KIND_SHIFT 24u
#define HILLOCK_IMAGE_LENGTH_MASK 0xffffffu
#define HILLOCK_IMAGE_LOAD 1u
#define HILLOCK_IMAGE_CHECK 2u
#define HILLOCK_IMAGE_INPUT 3u
#define HILLOCK_IMAGE_REGISTERS 4u
#define HILLOCK_IMAGE_MEMORY 5u
#define HILLOCK_IMAGE_POTENTIALS 6u

/* The lane of a current word that takes no pixel */
#define HILLOCK_IMAGE_NO_PIXEL 0xffffu

#endif
