// Drives a compiled core through whole inferences, with no Python in the loop.
//
// usage: harness STIMULUS RESULT [WAVES.vcd]
//
// Both files are little-endian 32-bit words. `sim/harness.py` writes the one and reads the other; the commands are there.
// LANES and POTENTIAL_BITS are given on the compiler's command line.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <type_traits>
#include <vector>

#include "Vcore.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

// A port `block__name` of the Verilog; Verilator spells the two underscores out.
#define PORT(block, name) core_.block##___05F##name

namespace {

constexpr unsigned SPIKE_SLICES = (LANES + 31) / 32;
constexpr unsigned POTENTIAL_SLICES = (LANES * POTENTIAL_BITS + 31) / 32;
constexpr uint64_t PATIENCE = 10'000'000;  // cycles without anything leaving before we call it a deadlock

enum Command : uint32_t { END = 0, WRITE = 1, READ = 2, STALL = 3, RUN_EVENTS = 4, RUN_IMAGE = 5 };

template <typename T>
uint32_t slice(const T& value, unsigned index) {
    if constexpr (std::is_integral_v<T>) {
        return static_cast<uint32_t>(static_cast<uint64_t>(value) >> (32 * index));
    } else {
        return value[index];
    }
}

[[noreturn]] void fail(const char* text, const char* detail = "") {
    std::fprintf(stderr, "harness: %s%s\n", text, detail);
    std::exit(2);
}

class Bench {
  public:
    Bench(std::vector<uint32_t> stimulus, const char* waves) : stimulus_(std::move(stimulus)) {
#if VM_TRACE
        if (waves) {
            Verilated::traceEverOn(true);
            vcd_ = std::make_unique<VerilatedVcdC>();
            core_.trace(vcd_.get(), 99);
            vcd_->open(waves);
        }
#else
        if (waves) fail("built without waves");
#endif
        core_.rst = 1;
        tick();
        tick();
        core_.rst = 0;
        PORT(spikes, ready) = 1;
        PORT(decision, ready) = 1;
    }

    ~Bench() {
#if VM_TRACE
        if (vcd_) vcd_->close();
#endif
    }

    std::vector<uint32_t> perform() {
        for (;;) {
            switch (next()) {
                case END:
                    result_.push_back(static_cast<uint32_t>(now_));
                    result_.push_back(static_cast<uint32_t>(now_ >> 32));
                    return std::move(result_);
                case WRITE: {
                    const uint32_t address = next();
                    access(address, true, next());
                    break;
                }
                case READ:
                    result_.push_back(access(next(), false, 0));
                    break;
                case STALL:
                    random_ = next() * 2654435761u | 1;
                    input_stall_ = next();
                    output_stall_ = next();
                    break;
                case RUN_EVENTS: {
                    const uint32_t count = next();
                    if (2 * static_cast<uint64_t>(count) > stimulus_.size() - position_) {
                        fail("stimulus ends within an inference");
                    }
                    run(stimulus_.data() + position_, count, 0);
                    position_ += 2 * count;
                    break;
                }
                case RUN_IMAGE:
                    run(nullptr, 0, next());
                    break;
                default:
                    fail("unknown command in the stimulus");
            }
        }
    }

  private:
    uint32_t next() {
        if (position_ == stimulus_.size()) fail("stimulus ends without END");
        return stimulus_[position_++];
    }

    // One clock cycle: `settle` shows the outputs of the cycle, `clock` ends it.
    void settle() { core_.clk = 0; core_.eval(); }
    void clock() { dump(); core_.clk = 1; core_.eval(); dump(); ++now_; }
    void tick() { settle(); clock(); }

    void dump() {
#if VM_TRACE
        if (vcd_) vcd_->dump(stamp_++);
#endif
    }

    bool stalls(uint32_t chance) {
        random_ ^= random_ << 13; random_ ^= random_ >> 17; random_ ^= random_ << 5;
        return (random_ & 255) < chance;
    }

    uint32_t access(uint32_t address, bool write, uint32_t value) {
        PORT(bus, cyc) = PORT(bus, stb) = 1;
        PORT(bus, we) = write;
        PORT(bus, adr) = address;
        PORT(bus, dat_w) = value;
        for (int patience = 0; patience < 64; ++patience) {
            settle();
            const bool acknowledged = PORT(bus, ack);
            const uint32_t data = PORT(bus, dat_r);
            if (acknowledged && write && starting_) return data;  // the caller ends this cycle
            clock();
            if (acknowledged) {
                PORT(bus, cyc) = PORT(bus, stb) = 0;
                return data;
            }
        }
        fail("the bus does not answer");
    }

    // One inference; a token is two words, the lower half first. Cycle 0 is the first input word's, or the acknowledgement of the write of `start` to a register.
    void run(const uint32_t* tokens, uint32_t count, uint32_t start_register) {
        trace_.clear();
        output_.clear();
        uint64_t origin = now_;
        uint32_t sent = 0;
        bool begun = false;
        if (!tokens) {
            starting_ = true;
            access(start_register, true, 1);
            starting_ = false;
            origin = now_;
            begun = true;
        }
        PORT(inputs, valid) = 0;
        for (uint64_t idle = 0;; ++idle) {
            if (idle > PATIENCE) fail("nothing has left the core for too long: deadlock");
            // A word that was offered stays until it is taken.
            if (sent < count && !PORT(inputs, valid) && !stalls(input_stall_)) {
                PORT(inputs, valid) = 1;
                PORT(inputs, payload) = tokens[2 * sent] | static_cast<uint64_t>(tokens[2 * sent + 1]) << 32;
            }
            PORT(spikes, ready) = !stalls(output_stall_);
            PORT(decision, ready) = !stalls(output_stall_);
            settle();
            const bool accepted = PORT(inputs, valid) && PORT(inputs, ready);
            if (accepted && !begun) {
                origin = now_;
                begun = true;
            }
            const uint32_t cycle = static_cast<uint32_t>(now_ - origin);
            if (core_.trace_valid) {
                trace_.insert(trace_.end(), {cycle, core_.trace_layer, core_.trace_word});
                for (unsigned i = 0; i < SPIKE_SLICES; ++i) trace_.push_back(slice(core_.trace_spikes, i));
                for (unsigned i = 0; i < POTENTIAL_SLICES; ++i) trace_.push_back(slice(core_.trace_potentials, i));
                idle = 0;
            }
            if (PORT(spikes, valid) && PORT(spikes, ready)) {
                const uint64_t token = PORT(spikes, payload);
                output_.insert(output_.end(), {cycle, static_cast<uint32_t>(token), static_cast<uint32_t>(token >> 32)});
                idle = 0;
            }
            const bool decided = PORT(decision, valid) && PORT(decision, ready);
            const uint32_t decision = PORT(decision, payload);
            clock();
            if (!tokens) PORT(bus, cyc) = PORT(bus, stb) = 0;
            if (accepted) {
                PORT(inputs, valid) = 0;
                ++sent;
            }
            if (decided) {
                result_.insert(result_.end(), {static_cast<uint32_t>(trace_.size()), static_cast<uint32_t>(output_.size()),
                                               decision, cycle, sent});
                result_.insert(result_.end(), trace_.begin(), trace_.end());
                result_.insert(result_.end(), output_.begin(), output_.end());
                return;
            }
        }
    }

    Vcore core_;
#if VM_TRACE
    std::unique_ptr<VerilatedVcdC> vcd_;
    uint64_t stamp_ = 0;
#endif
    std::vector<uint32_t> stimulus_, result_, trace_, output_;
    size_t position_ = 0;
    uint64_t now_ = 0;
    uint32_t random_ = 1, input_stall_ = 0, output_stall_ = 0;
    bool starting_ = false;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3 && argc != 4) fail("usage: harness STIMULUS RESULT [WAVES.vcd]");
    std::FILE* file = std::fopen(argv[1], "rb");
    if (!file) fail("cannot read ", argv[1]);
    std::fseek(file, 0, SEEK_END);
    std::vector<uint32_t> stimulus(static_cast<size_t>(std::ftell(file)) / 4);
    std::rewind(file);
    if (std::fread(stimulus.data(), 4, stimulus.size(), file) != stimulus.size()) fail("cannot read ", argv[1]);
    std::fclose(file);

    const auto result = Bench(std::move(stimulus), argc == 4 ? argv[3] : nullptr).perform();
    file = std::fopen(argv[2], "wb");
    if (!file || std::fwrite(result.data(), 4, result.size(), file) != result.size() || std::fclose(file) != 0) {
        fail("cannot write ", argv[2]);
    }
    return 0;
}
