/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tool, which prints no TAP: takes numbers in every way, most of them many at once, and compares each with
 * the stream, until it is interrupted; then prints how many those were. Meanwhile the machine may be migrated
 * or restored from a snapshot.
 *
 *   flow GENERATOR SEED
 */
#include "driver.h"

static volatile sig_atomic_t is_over;

static void on_signal(int signal)
{
    (void)signal;
    is_over = 1;
}

int main(int argc, char **argv)
{
    static unsigned char buffer[3 * MAX];
    struct sigaction action = {.sa_handler = on_signal};
    unsigned char *memory;
    uint32_t choices = 1;

    ASSERT_MSG(argc == 3, "usage: flow GENERATOR SEED");
    ASSERT_EQ(sigaction(SIGINT, &action, NULL), 0);
    node = open_node();
    memory = map_file(node, MAX);
    stream_choose(&stream, argv[1]);
    restart(strtoul(argv[2], NULL, 0));
    while (!is_over) {
        unsigned int length = 4 + (choices >> 14) % MAX / 4 * 4, start = (MAX - length) / 8 * 4;
        ssize_t got;

        switch (choices >> 8 & 3) {
        case 0:
            ASSERT_EQ(fill(node, start, length), 0);
            expect_numbers(memory + start, length);
            break;
        case 1:
            expect_next();
            break;
        default:
            /* Right to the program's memory, or by way of the driver's. */
            length = choices & 1u << 30 ? 3 * length : length % 30000 / 4 * 4;
            got = read(node, buffer, length);
            /* A signal may cut it, between two numbers. */
            ASSERT_MSG(got == (ssize_t)length || (got > 0 && got % 4 == 0), "read of %u gave %zd (%m)", length, got);
            expect_numbers(buffer, got);
            break;
        }
        choices = choices * 1664525 + 1013904223;
    }
    printf("numbers: %llu\n", (unsigned long long)stream.words);
    return 0;
}
