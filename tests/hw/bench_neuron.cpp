// Puts every pair of potential and operand through one of the combinational neurons, under every setting.
//
// usage: bench_neuron WIDTH SETTINGS PAIRS RESULTS
//
// SETTINGS and PAIRS are little-endian 32-bit words: `kind` and four words of the port `neuron`; potential and operand.
// RESULTS is `spike << WIDTH | result` of each pair for each setting, in 8 bits for the 4-bit neuron and else in 64.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <vector>

#include "Vneurons.h"
#include "verilated.h"

// A port `bits<WIDTH>__name` of the Verilog; Verilator spells the two underscores out.
#define PORT(width, name) top.bits##width##___05F##name

#define RUN(width, Word)                                                                                     \
    for (size_t setting = 0; setting < settings.size(); setting += 5) {                                     \
        PORT(width, kind) = settings[setting];                                                              \
        assign(PORT(width, neuron), &settings[setting + 1]);                                                \
        for (size_t pair = 0; pair < pairs.size(); pair += 2) {                                             \
            PORT(width, potential) = pairs[pair];                                                           \
            PORT(width, operand) = pairs[pair + 1];                                                         \
            top.eval();                                                                                     \
            const Word result = static_cast<Word>(PORT(width, spike)) << width | PORT(width, result);       \
            std::fwrite(&result, sizeof result, 1, file);                                                   \
        }                                                                                                   \
    }

namespace {

std::vector<uint32_t> read(const char* path) {
    std::FILE* file = std::fopen(path, "rb");
    if (!file) std::exit(2);
    std::fseek(file, 0, SEEK_END);
    std::vector<uint32_t> words(static_cast<size_t>(std::ftell(file)) / 4);
    std::rewind(file);
    if (std::fread(words.data(), 4, words.size(), file) != words.size()) std::exit(2);
    std::fclose(file);
    return words;
}

template <typename Port>
void assign(Port& port, const uint32_t* words) {
    if constexpr (std::is_integral_v<Port>) {
        port = static_cast<Port>(words[0] | static_cast<uint64_t>(words[1]) << 32);
    } else {
        for (size_t i = 0; i < sizeof(Port) / 4; ++i) port[i] = words[i];
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) return 2;
    const auto settings = read(argv[2]), pairs = read(argv[3]);
    std::FILE* file = std::fopen(argv[4], "wb");
    if (!file) return 2;
    Vneurons top;
    switch (std::atoi(argv[1])) {
        case 4: RUN(4, uint8_t) break;
        case 16: RUN(16, uint64_t) break;
        case 32: RUN(32, uint64_t) break;
        default: return 2;
    }
    return std::fclose(file) ? 2 : 0;
}
