/* Text on the UART of the system on chip. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdint.h>

void console_text(const char *text);
void console_number(uint32_t value);
void console_hex(uint32_t value);

#endif
