/* Requests of LiteX's uartbone protocol, each number with its highest byte first. */
#include "hillock_uart.h"

#include "internal.h"

enum { WRITE = 1, READ = 2, WORD = HILLOCK_WORD_BYTES, HEAD = 2 + WORD };

static void put_word(uint8_t *bytes, uint32_t word)
{
    for (unsigned i = 0u; i < WORD; ++i) {
        bytes[i] = (uint8_t)(word >> (24u - 8u * i) & 0xffu);
    }
}

static uint32_t word_of(const uint8_t *bytes)
{
    uint32_t word = 0u;
    for (unsigned i = 0u; i < WORD; ++i) {
        word = word << 8 | bytes[i];
    }
    return word;
}

static bool request(struct hillock_uart *uart, uint8_t command, uint8_t words, uint32_t address, uint32_t value)
{
    uint8_t bytes[HEAD + WORD];
    const size_t count = command == WRITE ? HEAD + WORD : HEAD;
    bytes[0] = command;
    bytes[1] = words;
    put_word(&bytes[2], address);
    put_word(&bytes[HEAD], value);
    uart->received = hillock_crc_bytes(uart->received, bytes, count);
    return uart->send(uart->context, bytes, count);
}

static bool answer(struct hillock_uart *uart, uint8_t *bytes, size_t count)
{
    if (!uart->receive(uart->context, bytes, count)) {
        return false;
    }
    uart->sent = hillock_crc_bytes(uart->sent, bytes, count);
    return true;
}

bool hillock_uart_begin(struct hillock_uart *uart)
{
    const uint32_t control = HILLOCK_LINK_BASE + HILLOCK_LINK_CONTROL_OFFSET;
    const bool sent = request(uart, WRITE, 1u, control, HILLOCK_LINK_CONTROL_CLEAR_MASK);
    uart->received = 0u;
    uart->sent = 0u;
    return sent;
}

bool hillock_uart_read(void *context, uint32_t address, uint32_t *value)
{
    struct hillock_uart *uart = context;
    uint8_t bytes[2 * WORD];
    if (!request(uart, READ, 1u, address, 0u) || !answer(uart, bytes, WORD)) {
        return false;
    }
    *value = word_of(bytes);
    /* The link answers with the CRCs of what came before this request, and they stand side by side. */
    const uint32_t received = uart->received, sent = uart->sent;
    if (!request(uart, READ, 2u, HILLOCK_LINK_BASE + HILLOCK_LINK_RECEIVED_OFFSET, 0u)
        || !answer(uart, bytes, sizeof bytes)) {
        return false;
    }
    return word_of(bytes) == received && word_of(&bytes[WORD]) == sent;
}

bool hillock_uart_write(void *context, uint32_t address, uint32_t value)
{
    return request(context, WRITE, 1u, address, value);
}
