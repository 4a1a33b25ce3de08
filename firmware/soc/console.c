#include "console.h"

#include "soc.h"

static void put(char byte)
{
    while ((*soc_word(SOC_CONSOLE) & 1u) == 0u) {
    }
    *soc_word(SOC_CONSOLE) = (uint8_t)byte;
}

void console_text(const char *text)
{
    for (; *text != '\0'; ++text) {
        put(*text);
    }
}

void console_number(uint32_t value)
{
    /* By subtracting, since the processor has no divider. */
    static const uint32_t powers[] = {1000000000u, 100000000u, 10000000u, 1000000u, 100000u,
                                      10000u,      1000u,      100u,      10u,      1u};
    int begun = 0;
    for (unsigned i = 0u; i < sizeof powers / sizeof powers[0]; ++i) {
        char digit = '0';
        for (; value >= powers[i]; value -= powers[i]) {
            ++digit;
        }
        begun |= digit != '0' || powers[i] == 1u;
        if (begun != 0) {
            put(digit);
        }
    }
}

void console_hex(uint32_t value)
{
    console_text("0x");
    for (unsigned shift = 32u; shift != 0u; shift -= 4u) {
        put("0123456789abcdef"[value >> (shift - 4u) & 15u]);
    }
}
