// Runs a whole board design, clock by clock, with its UART at a TCP port or a pseudo-terminal.
//
// usage: board DIVISOR IDLE_CYCLES PARENT [tcp PORT] [pty]
//
// DIVISOR: clock cycles per bit. IDLE_CYCLES: after so many without a byte the design has nothing left to do by itself,
// unless it is busy. PARENT: the process with whose end this one ends; 0: none. PORT 0: any that is free.
// One line on standard output for each place to connect to, then "ready". A client that leaves makes room for the next.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "Vsystem.h"
#include "uart.h"
#include "verilated.h"

namespace {

constexpr unsigned SLICE = 512;           // cycles between two looks at the clients
constexpr int NAP = 1, SLEEP = 200;       // milliseconds
constexpr size_t MOST_UNREAD = 1 << 20;   // bytes that a client may leave unread: a serial port loses them much earlier

volatile std::sig_atomic_t stopped = 0;

[[noreturn]] void fail(const char* text) {
    std::fprintf(stderr, "board: %s: %s\n", text, std::strerror(errno));
    std::exit(2);
}

void check(bool fine, const char* text) {
    if (!fine) fail(text);
}

// The host's end of the two wires: bytes to bits and back.
class Wires {
  public:
    explicit Wires(unsigned divisor) : divisor_(divisor), from_board_(divisor, "board") {}

    std::deque<uint8_t> to_send;
    std::string received;

    bool active() const { return left_ || !to_send.empty() || from_board_.active(); }

    // What the board's receiver sees in this cycle.
    bool drive() {
        if (!left_) {
            if (to_send.empty()) return true;
            frame_ = to_send.front() << 1 | 1u << (FRAME - 1);  // start bit 0, data, stop bit 1
            to_send.pop_front();
            left_ = FRAME * divisor_;
        }
        const bool bit = frame_ >> (FRAME - (left_ + divisor_ - 1) / divisor_) & 1;
        --left_;
        return bit;
    }

    // What the board's transmitter shows in this cycle.
    void sample(bool bit) {
        const int byte = from_board_.sample(bit);
        if (byte >= 0) received.push_back(static_cast<char>(byte));
    }

  private:
    unsigned divisor_, frame_ = 0, left_ = 0;
    FromWire from_board_;
};

// A place where a client may connect: what it sends, and what waits for it.
class Place {
  public:
    virtual ~Place() = default;
    virtual int descriptor() const = 0;  // to wait for
    virtual void read(std::deque<uint8_t>& bytes) = 0;
    virtual void write(const std::string& bytes) = 0;
};

class Terminal : public Place {
  public:
    Terminal() {
        master_ = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        check(master_ >= 0 && !grantpt(master_) && !unlockpt(master_), "no pseudo-terminal");
        // Held open, so that the master sees no end of file while no client is there.
        slave_ = open(ptsname(master_), O_RDWR | O_NOCTTY | O_CLOEXEC);
        termios settings;
        check(slave_ >= 0 && !tcgetattr(slave_, &settings), "no pseudo-terminal");
        cfmakeraw(&settings);
        check(!tcsetattr(slave_, TCSANOW, &settings), "no pseudo-terminal");
        std::printf("%s\n", ptsname(master_));
    }
    ~Terminal() override { close(slave_); close(master_); }
    int descriptor() const override { return master_; }

    void read(std::deque<uint8_t>& bytes) override {
        uint8_t buffer[4096];
        const ssize_t count = ::read(master_, buffer, sizeof buffer);
        if (count > 0) bytes.insert(bytes.end(), buffer, buffer + count);
    }

    void write(const std::string& bytes) override {
        if (unread_.size() < MOST_UNREAD) unread_ += bytes;
        const ssize_t count = unread_.empty() ? 0 : ::write(master_, unread_.data(), unread_.size());
        if (count > 0) unread_.erase(0, count);
    }

  private:
    int master_, slave_;
    std::string unread_;
};

class Port : public Place {
  public:
    explicit Port(uint16_t port) {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        check(listener_ >= 0, "no socket");
        const int on = 1;
        setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        check(!bind(listener_, generic, size) && !listen(listener_, 1), "cannot listen at this port");
        check(!getsockname(listener_, generic, &size), "cannot listen at this port");
        std::printf("socket://127.0.0.1:%u\n", ntohs(address.sin_port));
    }
    ~Port() override { leave(); close(listener_); }
    int descriptor() const override { return client_ < 0 ? listener_ : client_; }

    void read(std::deque<uint8_t>& bytes) override {
        if (client_ < 0) {
            client_ = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            const int on = 1;
            if (client_ >= 0) setsockopt(client_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            return;
        }
        uint8_t buffer[4096];
        const ssize_t count = recv(client_, buffer, sizeof buffer, 0);
        if (count > 0) {
            bytes.insert(bytes.end(), buffer, buffer + count);
        } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
            leave();
        }
    }

    void write(const std::string& bytes) override {
        if (client_ < 0) return;  // nobody is at the wire
        if (unread_.size() < MOST_UNREAD) unread_ += bytes;
        const ssize_t count = unread_.empty() ? 0 : send(client_, unread_.data(), unread_.size(), MSG_NOSIGNAL);
        if (count > 0) unread_.erase(0, count);
    }

  private:
    void leave() {
        if (client_ >= 0) close(client_);
        client_ = -1;
        unread_.clear();
    }

    int listener_, client_ = -1;
    std::string unread_;
};

class Board {
  public:
    Board(unsigned divisor, uint64_t idle_cycles) : wires_(divisor), idle_cycles_(idle_cycles) {
        design_.rx = 1;
        design_.rst = 1;
        tick();
        tick();
        design_.rst = 0;
    }
    ~Board() { design_.final(); }

    void run(const std::vector<Place*>& places, pid_t parent) {
        uint64_t quiet = 0;
        while (!stopped && (!parent || getppid() == parent)) {
            const bool active = wires_.active() || design_.busy;
            quiet = active ? 0 : quiet + SLICE;
            // A command that stopped half-way waits for its end, in the time of the client. Some cycles after it was
            // dropped, no further one would change anything.
            const bool over = quiet > idle_cycles_ + 4 * SLICE;
            look(places, active ? 0 : over ? SLEEP : NAP);
            const bool rests = over && !wires_.active();
            for (unsigned cycle = 0; cycle < SLICE && !rests; ++cycle) {
                design_.rx = wires_.drive();
                tick();
                wires_.sample(design_.tx);
            }
            // What the board sends is an answer to the client that sent last.
            for (Place* place : places) place->write(place == speaker_ ? wires_.received : "");
            wires_.received.clear();
        }
    }

  private:
    void tick() {
        design_.clk = 1;
        design_.eval();
        design_.clk = 0;
        design_.eval();
    }

    void look(const std::vector<Place*>& places, int milliseconds) {
        std::vector<pollfd> waits;
        for (const Place* place : places) waits.push_back({place->descriptor(), POLLIN, 0});
        if (poll(waits.data(), waits.size(), milliseconds) <= 0) return;
        for (size_t i = 0; i < places.size(); ++i) {
            if (!waits[i].revents) continue;
            const size_t before = wires_.to_send.size();
            places[i]->read(wires_.to_send);
            if (wires_.to_send.size() > before) speaker_ = places[i];
        }
    }

    Vsystem design_;
    Wires wires_;
    uint64_t idle_cycles_;
    const Place* speaker_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.size() < 4) {
        std::fprintf(stderr, "board: usage: board DIVISOR IDLE_CYCLES PARENT [tcp PORT] [pty]\n");
        return 2;
    }
    struct sigaction stop{};
    stop.sa_handler = [](int) { stopped = 1; };
    sigaction(SIGINT, &stop, nullptr);
    sigaction(SIGTERM, &stop, nullptr);

    std::vector<std::unique_ptr<Place>> held;
    for (size_t i = 3; i < arguments.size(); ++i) {
        if (arguments[i] == "pty") held.push_back(std::make_unique<Terminal>());
        if (arguments[i] == "tcp" && i + 1 < arguments.size()) {
            held.push_back(std::make_unique<Port>(static_cast<uint16_t>(std::stoul(arguments[i + 1]))));
        }
    }
    std::vector<Place*> places;
    for (const auto& place : held) places.push_back(place.get());
    Board board(std::stoul(arguments[0]), std::stoull(arguments[1]));
    std::printf("ready\n");
    std::fflush(stdout);
    board.run(places, static_cast<pid_t>(std::stol(arguments[2])));
    return 0;
}
