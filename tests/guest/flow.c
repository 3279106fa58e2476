/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes numbers in every way, most of them many at once, and holds each against the stream, until it is
 * interrupted; then prints how many those were. Meanwhile the machine may be moved or go back in time.
 *
 *   flow GENERATOR SEED
 */
#include "driver.h"
#include <signal.h>
#include <sys/mman.h>

enum { MAX = RNG_BULK_MAX_BYTES };

static struct stream stream;
static volatile sig_atomic_t is_over;

static void on_signal(int signal)
{
    (void)signal;
    is_over = 1;
}

static void check(const unsigned char *at, size_t length, const char *what)
{
    for (size_t i = 0; i < length; i += 4) {
        uint64_t place = stream.words;
        uint32_t expected = stream_next(&stream), word;

        memcpy(&word, at + i, 4);
        CHECK(word == expected, "number %llu, byte %zu of %s of %zu bytes, is 0x%08x, not 0x%08x",
              (unsigned long long)place, i, what, length, word, expected);
    }
}

int main(int argc, char **argv)
{
    static unsigned char buffer[3 * MAX];
    struct sigaction action = {.sa_handler = on_signal};
    unsigned char *memory;
    uint32_t choices = 1, word;
    int node;

    CHECK(argc == 3, "usage: flow GENERATOR SEED");
    CHECK(sigaction(SIGINT, &action, NULL) == 0, "sigaction: %m");
    node = open_node("/dev/" RNG_NODE);
    memory = mmap(NULL, MAX, PROT_READ, MAP_SHARED, node, 0);
    CHECK(memory != MAP_FAILED, "mmap: %m");
    stream_choose(&stream, argv[1]);
    stream_seed(&stream, strtoul(argv[2], NULL, 0));
    node_seed(node, strtoul(argv[2], NULL, 0));
    while (!is_over) {
        unsigned int length = 4 + (choices >> 14) % MAX / 4 * 4, part[2] = {(MAX - length) / 8 * 4, length};
        ssize_t got;

        switch (choices >> 8 & 3) {
        case 0:
            CHECK(ioctl(node, RNG_IOCTL_FILL, part) == 0, "FILL: %m");
            check(memory + part[0], length, "FILL");
            break;
        case 1:
            word = node_rand(node);
            check((unsigned char *)&word, 4, "RAND");
            break;
        default:
            /* To the program's own memory, or by way of the driver's. */
            length = choices & 1u << 30 ? 3 * length : length % 30000 / 4 * 4;
            got = read(node, buffer, length);
            /* A signal may cut it, between two numbers. */
            CHECK(got == (ssize_t)length || (got > 0 && got % 4 == 0), "a read of %u: %zd (%m)", length, got);
            check(buffer, got, "a read");
            break;
        }
        choices = choices * 1664525 + 1013904223;
    }
    printf("numbers: %llu\n", (unsigned long long)stream.words);
    return 0;
}
