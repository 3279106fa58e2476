/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many threads take numbers of one device by RAND, half of them from a file that they share.
 */
#include "driver.h"
#include "tasks.h"

enum { READERS = 8, WORDS = 20000, SEEDERS = 2, SEEDINGS = 2000 };

static const uint32_t seeds[SEEDERS] = {0x42, 0xffffffff};
static uint32_t words[READERS][WORDS];

static void read_or_seed(int number)
{
    int fd = number % 2 ? open_node() : node;

    if (number < READERS) {
        for (int i = 0; i < WORDS; i++) {
            words[number][i] = node_rand(fd);
        }
        return;
    }
    for (int i = 0; i < SEEDINGS; i++) {
        node_seed(node, seeds[number - READERS]);
    }
}

TEST("readers at the same time get exactly the stream, each in order")
{
    restart(0x42);
    start_threads(READERS, read_or_seed);
    join_threads();
    expect_shared(&stream, words[0], READERS, WORDS);
}

TEST("while two threads seed, each number is from one of their streams")
{
    node_seed(node, seeds[0]);
    start_threads(READERS + SEEDERS, read_or_seed);
    join_threads();
    expect_either(&stream, seeds, words[0], READERS * WORDS);
}

int main(void)
{
    node = open_node();
    return tap_run();
}
