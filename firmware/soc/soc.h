/* The bus of the system on chip (hw/soc.py): where things are, in bytes. */
#ifndef SOC_H
#define SOC_H

#include <stdint.h>

#define SOC_CONSOLE 0x40000000u /* written: a byte to send; read: bit 0 is set where one would be taken */
#define SOC_HILLOCK 0x80000000u /* word address `a` of the cores and the link is at SOC_HILLOCK + 4 * a */

static inline volatile uint32_t *soc_word(uint32_t address)
{
    return (volatile uint32_t *)(uintptr_t)address;
}

#endif
