/* The bus of a device at the other end of a UART (docs/link.md), for the port of a `struct hillock`.
 *
 * Bytes are lost and damaged on wires. Every read ends with the CRCs that the link keeps of all bytes that it received
 * and sent, so that neither what was read nor what was written before is believed unproved: where they differ it fails,
 * and the driver says HILLOCK_BUS. Then a write may have gone anywhere. To go on, let the line be silent for 200 ms,
 * drop what has come, and do again what comes first: hillock_uart_begin, hillock_open, hillock_load.
 */
#ifndef HILLOCK_UART_H
#define HILLOCK_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The UART of the caller: 8 data bits, no parity, one stop bit, at the rate of the bitstream. Each function returns
 * whether it was done; `receive` waits for `count` bytes, and gives up when none has come for some time. */
struct hillock_uart {
    void *context;
    bool (*send)(void *context, const uint8_t *bytes, size_t count);
    bool (*receive)(void *context, uint8_t *bytes, size_t count);
    uint32_t received, sent; /* CRCs so far, named as the registers of the link */
};

/* Let the CRCs begin anew, on both sides. */
bool hillock_uart_begin(struct hillock_uart *uart);

/* `read` and `write` of a `struct hillock_port` whose context is the `struct hillock_uart`. */
bool hillock_uart_read(void *context, uint32_t address, uint32_t *value);
bool hillock_uart_write(void *context, uint32_t address, uint32_t value);

#endif
