/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes numbers in every way and forgets all but the last ones. Then it waits, while somebody outside looks for them in
 * the machine's memory.
 *
 *   forget SEED
 */
#include "driver.h"

enum { LARGE = 20000 };

static unsigned char buffer[LARGE + 1];
static uint32_t kept[8];

static void forget(int fd, size_t length)
{
    CHECK(read(fd, buffer + 1, length) == (ssize_t)length, "a read of %zu: %m", length);
    explicit_bzero(buffer, sizeof(buffer));
}

int main(int argc, char **argv)
{
    int fd = open_node("/dev/" RNG_NODE), other = open_node("/dev/" RNG_NODE);

    CHECK(argc == 2, "usage: forget SEED");
    node_seed(fd, strtoul(argv[1], NULL, 0));
    /* By way of the registers, ... */
    forget(fd, 28);
    /* ... and of the kernel's memory, once of a file that stays open, and once of one that does not. */
    forget(fd, LARGE);
    forget(other, LARGE);
    close(other);
    CHECK(read(fd, kept, sizeof(kept)) == sizeof(kept), "a read: %m");
    puts("taken");
    fflush(stdout);
    pause();
    return 0;
}
