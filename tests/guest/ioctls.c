/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ioctls with every kind of wrong pointer, and every wrong command of their type.
 */
#include "driver.h"
#include <termios.h>

/* A command of the node's type that does not exist. */
#define UNKNOWN _IO('q', 1)

static void set_up(void)
{
    map_pages();
    node = open_node();
    restart(0x42);
    expect_next();
}

TEST("bad pointers fail with EFAULT, and a SEED that fails changes nothing")
{
    const struct {
        const char *name;
        void *pointer;
    } bad[] = {
        {"NULL", NULL},
        {"address 1", (void *)1},
        {"the last address", (void *)-1},
        {"a word that wraps around", (void *)-3},
        {"the kernel's memory", (void *)0xffff888000000000},
        {"the kernel's text", (void *)0xffffffff81000000},
        {"a non-canonical address", (void *)0x0000800000000000},
        {"a word across the end of user space", (void *)0x00007ffffffffffd},
        {"unmapped memory", hole},
        {"PROT_NONE memory", none},
        {"a word whose last 3 bytes are PROT_NONE", none - 1},
        {"a word whose last byte is PROT_NONE", none - 3},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        tap_context("%s", bad[i].name);
        restart(0x42);
        expect_next();
        ASSERT_ERROR(ioctl(node, RNG_IOCTL_SEED, bad[i].pointer), EFAULT);
        expect_next();
        ASSERT_ERROR(ioctl(node, RNG_IOCTL_RAND, bad[i].pointer), EFAULT);
        /* Does not look at its pointer. */
        ASSERT_ERROR(ioctl(node, UNKNOWN, bad[i].pointer), ENOTTY);
    }
}

TEST("SEED can read read-only memory, RAND cannot write it")
{
    const unsigned int word = 0x42;
    char *const places[] = {read_only + 4, read_only - 2};

    ASSERT_EQ(mprotect(read_only, PAGE, PROT_READ | PROT_WRITE), 0);
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        memcpy(places[i], &word, sizeof(word));
    }
    ASSERT_EQ(mprotect(read_only, PAGE, PROT_READ), 0);
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        tap_context("%s", i == 0 ? "all of it read-only" : "its end read-only");
        ASSERT_EQ(ioctl(node, RNG_IOCTL_SEED, places[i]), 0);
        stream_seed(&stream, word);
        expect_next();
        ASSERT_ERROR(ioctl(node, RNG_IOCTL_RAND, places[i]), EFAULT);
    }
}

TEST("a word across two pages, unaligned, is read and written, and nothing beside it")
{
    const unsigned int word = 0x42;

    ASSERT_EQ(mprotect(read_only, PAGE, PROT_READ | PROT_WRITE), 0);
    memset(pages, 0, 2 * PAGE);
    for (int before = 1; before < 4; before++) {
        char *at = read_only - before;

        memcpy(at, &word, sizeof(word));
        ASSERT_EQ(ioctl(node, RNG_IOCTL_SEED, at), 0);
        stream_seed(&stream, word);
        ASSERT_EQ(ioctl(node, RNG_IOCTL_RAND, at), 0);
        expect_numbers(at, sizeof(word));
        ASSERT(at[-1] == 0 && at[sizeof(word)] == 0);
        memset(at, 0, sizeof(word));
    }
}

TEST("unknown commands fail with ENOTTY, store nothing and take no number")
{
    static const unsigned int sizes[] = {0, 1, 2, 3, 4, 5, 8, 16, 0x3fff};
    const unsigned long other[] = {TCGETS, _IOR('p', 1, unsigned int), _IOW('r', 1, unsigned int), ~0UL};
    unsigned int word = 0;

    for (unsigned int i = 0; i < 4 * ARRAY_SIZE(sizes) * 256; i++) {
        unsigned long command = _IOC(i & 3, 'q', i >> 2 & 0xff, sizes[i >> 10]);

        tap_context("command 0x%lx", command);
        if (command != RNG_IOCTL_RAND && command != RNG_IOCTL_SEED && command != RNG_IOCTL_FILL) {
            ASSERT_ERROR(ioctl(node, command, &word), ENOTTY);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
        tap_context("command 0x%lx", other[i]);
        ASSERT_ERROR(ioctl(node, other[i], &word), ENOTTY);
    }
    ASSERT_EQ(word, 0);
    expect_next();
}

int main(void)
{
    tap.before = set_up;
    return tap_run();
}
