// Runs the system on chip until its processor stops, and prints what the console says.
//
// usage: soc DIVISOR MOST_CYCLES PROGRAM
//
// DIVISOR: clock cycles per bit. PROGRAM: a file of what its memory holds at first, little-endian words. Exit status 0:
// the processor has stopped; 3: it had not after MOST_CYCLES. The last line on standard error is the number of clock
// cycles.

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "Vsoc.h"
#include "uart.h"
#include "verilated.h"

namespace {

void tick(Vsoc& design) {
    design.clk = 1;
    design.eval();
    design.clk = 0;
    design.eval();
}

// Write the words of a file into the memory, from address 0 on, while the processor waits.
void load(Vsoc& design, const char* path) {
    std::FILE* const file = std::fopen(path, "rb");
    if (!file) {
        std::fprintf(stderr, "soc: cannot read %s\n", path);
        std::exit(2);
    }
    uint8_t bytes[4];
    design.load_en = 1;
    for (design.load_address = 0; std::fread(bytes, 1, 4, file) == 4; ++design.load_address) {
        design.load_data = bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<uint32_t>(bytes[3]) << 24;
        tick(design);
    }
    design.load_en = 0;
    std::fclose(file);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "soc: usage: soc DIVISOR MOST_CYCLES PROGRAM\n");
        return 2;
    }
    const unsigned divisor = static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10));
    const uint64_t most = std::strtoull(argv[2], nullptr, 10);
    Vsoc design;
    FromWire console(divisor, "soc");
    design.link_rx = 1;
    design.rst = 1;
    tick(design);
    tick(design);
    design.rst = 0;
    load(design, argv[3]);
    uint64_t cycles = 0;
    for (; cycles < most && !design.halted; ++cycles) {
        tick(design);
        const int byte = console.sample(design.tx);
        if (byte < 0) continue;
        std::putchar(byte);
        if (byte == '\n') std::fflush(stdout);
    }
    std::fflush(stdout);
    std::fprintf(stderr, "%" PRIu64 "\n", cycles);
    const int status = design.halted ? 0 : 3;
    design.final();
    return status;
}
