/* The driver on this machine, at a device behind a TCP port.
 *
 * usage: client PORT IMAGE INPUTS COUNT PIXELS ATTEMPTS ANSWER
 *
 * IMAGE: a file of the words of a network image. INPUTS: a file of COUNT images of PIXELS bytes. A line for each image:
 * decision, cycles, spikes, CRC of the output tokens. After a loss everything is done again, ATTEMPTS times at most for
 * one image; the number of losses is the last line. ANSWER: milliseconds until an answer is given up. */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "hillock.h"
#include "hillock_uart.h"

enum { SILENCE = 600 /* ms */, MOST_TOKENS = 512, MOST_CLASSES = 16 };

static int answer_ms;

static bool send_bytes(void *context, const uint8_t *bytes, size_t count)
{
    return write(*(int *)context, bytes, count) == (ssize_t)count;
}

static ssize_t some(int wire, void *bytes, size_t count, int milliseconds)
{
    struct pollfd waits = {.fd = wire, .events = POLLIN};
    return poll(&waits, 1, milliseconds) > 0 ? read(wire, bytes, count) : 0;
}

static bool receive_bytes(void *context, uint8_t *bytes, size_t count)
{
    while (count != 0) {
        const ssize_t got = some(*(int *)context, bytes, count, answer_ms);
        if (got <= 0) {
            return false;
        }
        bytes += got;
        count -= (size_t)got;
    }
    return true;
}

static uint32_t milliseconds(void *context)
{
    struct timespec now;
    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)now.tv_sec * 1000 + (uint32_t)(now.tv_nsec / 1000000);
}

static size_t contents(const char *path, void *bytes, size_t room)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        exit(3);
    }
    const size_t size = fread(bytes, 1, room, file);
    fclose(file);
    return size;
}

static enum hillock_status restart(struct hillock *device, struct hillock_uart *uart,
    const struct hillock_port *port, const uint32_t *image, size_t words)
{
    char dropped[256];
    while (some(*(int *)uart->context, dropped, sizeof dropped, SILENCE) > 0) {
    }
    (void)hillock_uart_begin(uart);
    const enum hillock_status status = hillock_open(device, port);
    return status == HILLOCK_OK ? hillock_load(device, image, words) : status;
}

int main(int argc, char **argv)
{
    static uint32_t image[1 << 16];
    static uint8_t inputs[1 << 16];
    if (argc != 8) {
        return 2;
    }
    int wire = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(wire, (struct sockaddr *)&address, sizeof address) != 0) {
        return 3;
    }
    const size_t image_size = contents(argv[2], image, sizeof image);
    (void)contents(argv[3], inputs, sizeof inputs);
    const int count = atoi(argv[4]), attempts = atoi(argv[6]);
    answer_ms = atoi(argv[7]);
    const size_t pixels = (size_t)atoi(argv[5]);
    struct hillock_uart uart = {.context = &wire, .send = send_bytes, .receive = receive_bytes};
    const struct hillock_port port = {.context = &uart,
        .read = hillock_uart_read,
        .write = hillock_uart_write,
        .clock = milliseconds,
        .timeout = 60000};
    static uint32_t tokens[MOST_TOKENS];
    struct hillock device;
    int losses = 0;
    bool ready = false;
    for (int i = 0, failures = 0; i < count;) {
        struct hillock_result result = {.tokens = tokens, .room = MOST_TOKENS};
        enum hillock_status status = ready ? HILLOCK_OK : restart(&device, &uart, &port, image, image_size / 4);
        uint32_t counts[MOST_CLASSES];
        const uint32_t classes = image[9];
        if (status == HILLOCK_OK) {
            status = hillock_run_image(&device, inputs + (size_t)i * pixels, pixels, &result);
        }
        if (status == HILLOCK_OK) {
            status = hillock_counts(&device, counts, classes);
        }
        ready = status == HILLOCK_OK;
        if (ready) {
            printf("%u %u %zu %u", result.decision, result.cycles, result.spikes, hillock_crc(0, tokens, result.given));
            for (uint32_t class = 0; class < classes; ++class) {
                printf(" %u", counts[class]);
            }
            printf("\n");
            failures = 0;
            ++i;
            continue;
        }
        ++losses;
        fprintf(stderr, "image %d: %s; at %#x expected %#x, found %#x\n", i, hillock_text(status), device.fault.address,
            device.fault.expected, device.fault.found);
        if (++failures == attempts) {
            printf("%s\n", hillock_text(status));
            return 1;
        }
    }
    printf("%d losses\n", losses);
    return 0;
}
