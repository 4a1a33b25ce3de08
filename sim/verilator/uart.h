// What a transmitter of the design says on its wire.
#pragma once

#include <cstdio>
#include <cstdlib>

constexpr unsigned FRAME = 10;  // bits of a byte on the wire

// Bytes from a wire, each bit sampled in its middle.
class FromWire {
  public:
    FromWire(unsigned divisor, const char* program) : divisor_(divisor), program_(program) {}

    bool active() const { return reading_; }

    // What the wire shows in this cycle; returns the byte that has come to its end with it, or -1.
    int sample(bool bit) {
        if (!reading_) {
            if (bit) return -1;
            reading_ = true;
            age_ = 0;
            bits_ = 0;
        }
        if (age_ % divisor_ == divisor_ / 2) bits_ |= static_cast<unsigned>(bit) << age_ / divisor_;
        if (++age_ != FRAME * divisor_ - divisor_ / 2 + 1) return -1;
        reading_ = false;
        if (!(bits_ >> (FRAME - 1) & 1)) {
            std::fprintf(stderr, "%s: the design sent a byte without a stop bit\n", program_);
            std::exit(2);
        }
        return static_cast<int>(bits_ >> 1 & 0xff);
    }

  private:
    unsigned divisor_, bits_ = 0, age_ = 0;
    bool reading_ = false;
    const char* program_;
};
