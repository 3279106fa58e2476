/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sleep resets the device: its stream starts again from the default seed, and what is mapped stays.
 */
#include "stress.h"

void sleep_and_wake(void)
{
    void *memory, *numbers = map_memory(MAX);

    node = open_node();
    memory = map_file(node, MAX);
    restart(0x42);
    ASSERT_EQ(fill(node, 0, MAX), 0);
    if (machine_sleeps()) {
        expect_numbers(memory, MAX);
        stream_seed(&stream, RNG_DEFAULT_SEED);
        for (int i = 0; i < 100; i++) {
            expect_next();
        }
        ASSERT_EQ(fill(node, 0, MAX), 0);
        ASSERT_EQ(read(node, numbers, MAX), MAX);
        expect_numbers(memory, MAX);
        expect_numbers(numbers, MAX);
    } else {
        tap_skip("a machine with several processors may not wake up");
    }
    ASSERT_EQ(munmap(memory, MAX), 0);
    ASSERT_EQ(munmap(numbers, MAX), 0);
    close(node);
}
