/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tool, which prints no TAP: writes so many bytes to stdout and as many others to stderr, in turns of odd
 * lengths, and exits with 42. Every byte value occurs. The test computes the same bytes
 * (tests/tests/e2e/vm_run.rs).
 *
 *   noise COUNT
 */
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state;
}

static void put(int fd, uint32_t *state, size_t count)
{
    unsigned char buffer[8192];

    for (size_t i = 0; i < count; i++) {
        buffer[i] = next(state) >> 24;
    }
    for (size_t done = 0; done < count;) {
        ssize_t written = write(fd, buffer + done, count - done);

        if (written <= 0) {
            _exit(1);
        }
        done += written;
    }
}

int main(int argc, char **argv)
{
    size_t count = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    uint32_t out = 1, err = 2, length = 3;

    for (size_t done = 0; done < count;) {
        size_t turn = 1 + next(&length) % 8192;

        if (turn > count - done) {
            turn = count - done;
        }
        put(STDOUT_FILENO, &out, turn);
        put(STDERR_FILENO, &err, turn);
        done += turn;
    }
    return 42;
}
