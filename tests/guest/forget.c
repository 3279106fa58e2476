/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tool, which prints no TAP: takes numbers in every way, wipes all but the last ones, and waits while the
 * test on the host looks for them in the machine's memory.
 *
 *   forget SEED
 */
#include "driver.h"

enum { LARGE = 20000 };

static void take_and_wipe(int node, size_t length)
{
    static unsigned char buffer[LARGE + 1];

    ASSERT_EQ(read(node, buffer + 1, length), length);
    explicit_bzero(buffer, sizeof(buffer));
}

int main(int argc, char **argv)
{
    static uint32_t kept[8];
    int node = open_node(), other = open_node();

    ASSERT_MSG(argc == 2, "usage: forget SEED");
    node_seed(node, strtoul(argv[1], NULL, 0));
    /* By way of the kernel's stack: from the register, and by transfers. */
    take_and_wipe(node, 16);
    take_and_wipe(node, 28);
    take_and_wipe(node, 512);
    /* By way of the kernel's buffer: of a file that stays open, and of one that does not. */
    take_and_wipe(node, LARGE);
    take_and_wipe(other, LARGE);
    close(other);
    ASSERT_EQ(read(node, kept, sizeof(kept)), sizeof(kept));
    puts("taken");
    fflush(stdout);
    pause();
    return 0;
}
