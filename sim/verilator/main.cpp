// Drives a compiled accelerator through whole inferences, with no Python in the loop.
//
// usage: harness STIMULUS RESULT [WAVES.vcd]
//
// Both files are little-endian 32-bit words. `sim/harness.py` writes the one and reads the other; the commands are there.
// cores.h, which it writes too, lists the cores of the accelerator.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <type_traits>
#include <vector>

#include "Vaccelerator.h"
#include "cores.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

// A port `block__name` of the Verilog; Verilator spells the two underscores out.
#define PORT(block, name) accelerator_.block##___05F##name

namespace {

constexpr uint64_t PATIENCE = 10'000'000;  // cycles without anything leaving before we call it a deadlock
constexpr uint32_t START = 1, BANK = 4, PENDING = 4;  // bits of the registers control and status

#define COUNT(number, lanes, bits) +1
constexpr unsigned CORE_COUNT = 0 CORES(COUNT);

enum Command : uint32_t { END = 0, WRITE = 1, READ = 2, STALL = 3, RUN_EVENTS = 4, RUN_IMAGES = 5 };

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
            accelerator_.trace(vcd_.get(), 99);
            vcd_->open(waves);
        }
#else
        if (waves) fail("built without waves");
#endif
        accelerator_.rst = 1;
        tick();
        tick();
        accelerator_.rst = 0;
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
                    const uint32_t inferences = next(), count = next();
                    if (2 * static_cast<uint64_t>(count) > stimulus_.size() - position_) {
                        fail("stimulus ends within an inference");
                    }
                    begin(stimulus_.data() + position_, count);
                    position_ += 2 * count;
                    finish(inferences);
                    break;
                }
                case RUN_IMAGES: {
                    const uint32_t inferences = next(), control = next(), status = next();
                    begin(nullptr, 0);
                    for (uint32_t image = 0; image < inferences; ++image) {
                        while (image && access(status, false, 0) & PENDING) {}
                        for (uint32_t left = next(); left; --left) {
                            const uint32_t address = next();
                            access(address, true, next());
                        }
                        starting_ = image == 0;
                        access(control, true, START | (image & 1 ? BANK : 0));
                    }
                    finish(inferences);
                    break;
                }
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

#if VM_TRACE
    void settle() { accelerator_.clk = 0; accelerator_.eval(); }
    void clock() { dump(); accelerator_.clk = 1; accelerator_.eval(); dump(); ++now_; }
#else
    // Registers take both edges of the clock here (see `build` in sim/harness.py): an evaluation is a cycle, and makes
    // the outputs for the inputs that it had. Where these may differ since, the outputs are evaluated once more.
    void settle() {
        const unsigned given = PORT(bus, cyc) | PORT(inputs, valid) << 1 | PORT(spikes, ready) << 2 |
                               PORT(decision, ready) << 3 | accelerator_.rst << 4;
        if (given != given_ || PORT(bus, cyc) || PORT(inputs, valid)) accelerator_.eval();
        given_ = given;
    }
    void clock() { accelerator_.clk = !accelerator_.clk; accelerator_.eval(); ++now_; }
#endif
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
            cycle();
            if (acknowledged_) {
                PORT(bus, cyc) = PORT(bus, stb) = 0;
                return read_;
            }
        }
        fail("the bus does not answer");
    }

    // Inferences begin: cycle 0 is that of the first token, or the acknowledgement of the first start. A token is two
    // words, the lower half first.
    void begin(const uint32_t* tokens, uint32_t count) {
        for (auto& trace : traces_) trace.clear();
        output_.clear();
        decisions_.clear();
        tokens_ = tokens;
        tokens_left_ = count;
        begun_ = false;
        running_ = true;
        origin_ = now_;
        last_sign_ = now_;
    }

    // Until so many inferences have ended.
    void finish(uint32_t inferences) {
        while (decisions_.size() < 2 * static_cast<size_t>(inferences)) {
            if (now_ - last_sign_ > PATIENCE) fail("nothing has left the gateware for too long: deadlock");
            cycle();
        }
        running_ = false;
        PORT(inputs, valid) = 0;
        size_t size = CORE_COUNT + 2 + output_.size() + decisions_.size();
        for (const auto& trace : traces_) size += trace.size();
        result_.push_back(static_cast<uint32_t>(size));
        for (const auto& trace : traces_) result_.push_back(static_cast<uint32_t>(trace.size()));
        result_.push_back(static_cast<uint32_t>(output_.size()));
        result_.push_back(inferences);
        for (const auto& trace : traces_) result_.insert(result_.end(), trace.begin(), trace.end());
        result_.insert(result_.end(), output_.begin(), output_.end());
        result_.insert(result_.end(), decisions_.begin(), decisions_.end());
    }

    // One clock cycle; while inferences run, tokens go in, and what comes out is taken down.
    void cycle() {
        if (running_) {
            // A word that was offered stays until it is taken.
            if (tokens_left_ && !PORT(inputs, valid) && !stalls(input_stall_)) {
                PORT(inputs, valid) = 1;
                PORT(inputs, payload) = tokens_[0] | static_cast<uint64_t>(tokens_[1]) << 32;
            }
            PORT(spikes, ready) = !stalls(output_stall_);
            PORT(decision, ready) = !stalls(output_stall_);
        }
        settle();
        acknowledged_ = PORT(bus, ack);
        read_ = PORT(bus, dat_r);
        taken_ = false;
        if (running_) observe();
        clock();
        if (taken_) PORT(inputs, valid) = 0;
    }

    void observe() {
        const bool accepted = PORT(inputs, valid) && PORT(inputs, ready);
        if (!begun_ && (accepted || (starting_ && acknowledged_))) {
            origin_ = now_;
            begun_ = true;
            starting_ = false;
        }
        const uint32_t cycle = static_cast<uint32_t>(now_ - origin_);
#define TRACE(number, lanes, bits)                                                                       \
        if (accelerator_.trace##number##_valid) {                                                        \
            auto& trace = traces_[number];                                                               \
            trace.insert(trace.end(), {cycle, accelerator_.trace##number##_layer, accelerator_.trace##number##_word}); \
            for (unsigned i = 0; i < (lanes + 31) / 32; ++i) {                                           \
                trace.push_back(slice(accelerator_.trace##number##_spikes, i));                          \
            }                                                                                            \
            for (unsigned i = 0; i < (lanes * bits + 31) / 32; ++i) {                                    \
                trace.push_back(slice(accelerator_.trace##number##_potentials, i));                      \
            }                                                                                            \
            last_sign_ = now_;                                                                           \
        }
        CORES(TRACE)
        if (PORT(spikes, valid) && PORT(spikes, ready)) {
            const uint64_t token = PORT(spikes, payload);
            output_.insert(output_.end(), {cycle, static_cast<uint32_t>(token), static_cast<uint32_t>(token >> 32)});
            last_sign_ = now_;
        }
        if (PORT(decision, valid) && PORT(decision, ready)) {
            decisions_.insert(decisions_.end(), {PORT(decision, payload), cycle});
            last_sign_ = now_;
        }
        if (accepted) {
            taken_ = true;
            tokens_ += 2;
            --tokens_left_;
        }
    }

    Vaccelerator accelerator_;
    unsigned given_ = ~0u;  // the inputs of the last evaluation, as `settle` sees them
#if VM_TRACE
    std::unique_ptr<VerilatedVcdC> vcd_;
    uint64_t stamp_ = 0;
#endif
    std::vector<uint32_t> stimulus_, result_, output_, decisions_;
    std::vector<uint32_t> traces_[CORE_COUNT];
    const uint32_t* tokens_ = nullptr;
    uint32_t tokens_left_ = 0, read_ = 0;
    size_t position_ = 0;
    uint64_t now_ = 0, origin_ = 0, last_sign_ = 0;
    uint32_t random_ = 1, input_stall_ = 0, output_stall_ = 0;
    bool acknowledged_ = false, running_ = false, begun_ = false, starting_ = false, taken_ = false;
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
