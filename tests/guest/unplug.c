/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes numbers until the device is unplugged, and then those of another one that is plugged in. The test on
 * the host unplugs and plugs when a line says "unplug" and "plug".
 */
#include "driver.h"
#include <sched.h>

enum way { RAND, FILL, READ_BY_DRIVER, READ_DIRECT, WAYS };

/* What the file is mapped to, and what is read to. */
static unsigned char *memory, *buffer;

/* Takes numbers in this way: whether they have come, all of which must be the stream's. */
static bool take(enum way way)
{
    unsigned int word;
    ssize_t got;

    switch (way) {
    case RAND:
        if (ioctl(node, RNG_IOCTL_RAND, &word) != 0) {
            return false;
        }
        expect_numbers(&word, sizeof(word));
        return true;
    case FILL:
        if (fill(node, 0, MAX) != 0) {
            ASSERT_EQ(errno, ENODEV);
            return false;
        }
        expect_numbers(memory, MAX);
        return true;
    default:
        /* In several transfers, either way. */
        got = read(node, buffer, way == READ_BY_DRIVER ? 20000 : 3 * MAX);
        if (got <= 0) {
            return false;
        }
        expect_numbers(buffer, got / 4 * 4);
        return true;
    }
}

static uint64_t attribute_number(int fd)
{
    char text[32] = "";

    ASSERT(pread(fd, text, sizeof(text) - 1, 0) > 0);
    return strtoull(text, NULL, 10);
}

static void expect_gone(void)
{
    for (enum way way = 0; way < WAYS; way++) {
        tap_context("way %d", way);
        ASSERT(!take(way) && errno == ENODEV);
    }
}

/* Waits for the next device's node: until the old one is gone, open fails with ENODEV or still finds it. */
static uint32_t wait_for_number(void)
{
    unsigned int word;

    for (;; sched_yield()) {
        int other = open(NODE, O_RDWR | O_CLOEXEC);

        if (other < 0) {
            ASSERT(errno == ENOENT || errno == ENODEV);
            continue;
        }
        if (ioctl(other, RNG_IOCTL_RAND, &word) == 0) {
            return word;
        }
        ASSERT_EQ(errno, ENODEV);
        close(other);
    }
}

int main(void)
{
    static unsigned char copy[MAX];
    unsigned int word, way = 0;
    int words;

    tap_step("numbers taken in every way are the stream's");
    node = open_node();
    memory = map_file(node, MAX);
    buffer = map_memory(3 * MAX);
    restart(0x42);
    words = open("/sys/class/misc/" RNG_NODE "/words", O_RDONLY | O_CLOEXEC);
    ASSERT(words >= 0);
    for (int i = 0; i < 200; i++) {
        ASSERT(take(i % WAYS));
    }
    ASSERT_EQ(attribute_number(words), fdinfo_number(node, "words"));

    tap_step("every way ends with ENODEV when the device is unplugged");
    puts("unplug");
    /* The engine goes before the registers do, by which a read goes on. */
    while (take(way) || way == FILL) {
        way = (way + 1) % WAYS;
    }
    ASSERT_EQ(errno, ENODEV);
    expect_gone();
    ASSERT_ERROR(ioctl(node, RNG_IOCTL_SEED, &word), ENODEV);

    tap_step("another device that is plugged in starts with the default seed");
    memcpy(copy, memory, MAX);
    puts("plug");
    word = wait_for_number();
    stream_seed(&stream, RNG_DEFAULT_SEED);
    ASSERT_EQ(word, stream_next(&stream));
    /* The old node's, although the new one has the same name. */
    ASSERT_ERROR(pread(words, &word, 1, 0), ENODEV);

    tap_step("the old file stays dead and keeps its pages");
    expect_gone();
    ASSERT_EQ(memcmp(copy, memory, MAX), 0);
    memset(memory, 0xa5, MAX);
    close(node);
    expect_bytes(memory, MAX, 0xa5);
    ASSERT_EQ(munmap(memory, MAX), 0);
    return tap_finish();
}
