/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads and processes that take numbers at the same time, and what they leave behind.
 */
#include "bulk.h"
#include <sched.h>

enum { TAKERS = 6, EACH = 48 << 10, MAPPERS = 4 };

static uint32_t words[TAKERS][EACH];

static size_t next_length(size_t done, size_t length)
{
    return length > EACH - done ? EACH - done : length;
}

/* Two threads fill the file's pages, two read and two use RAND. */
static void take(int number)
{
    unsigned int from = number % 2 * (MAX / 2);

    for (size_t done = 0, length; done < EACH; done += length) {
        uint32_t *to = words[number] + done;

        switch (number / 2) {
        case 0:
            length = next_length(done, 1 + done * 31 % (MAX / 8));
            must_fill(fd, from, 4 * length);
            memcpy(to, at + from, 4 * length);
            break;
        case 1:
            length = next_length(done, 1 + done * 29 % 20000);
            ASSERT_EQ(read(node, to, 4 * length), 4 * length);
            break;
        default:
            length = 1;
            *to = node_rand(node);
            break;
        }
    }
}

TEST("threads that use FILL, read and RAND share the stream exactly")
{
    start_threads(TAKERS, take);
    join_threads();
    expect_shared(&stream, words[0], TAKERS, EACH);
}

static unsigned char *mapped[MAPPERS];

static void map(int number)
{
    mapped[number] = map_file(fd, MAX);
}

TEST("threads that map a file first, at the same time, get the same pages")
{
    for (int i = 0; i < 300; i++) {
        fd = open_node();
        start_threads(MAPPERS, map);
        join_threads();
        must_fill(fd, 0, 64);
        expect_numbers(mapped[0], 64);
        for (int j = 1; j < MAPPERS; j++) {
            ASSERT_EQ(memcmp(mapped[0], mapped[j], 64), 0);
        }
        for (int j = 0; j < MAPPERS; j++) {
            ASSERT_EQ(munmap(mapped[j], MAX), 0);
        }
        close(fd);
    }
}

/*
 * Files and mappings of which at least this many kB would be lost, and how many may be used by others
 * meanwhile.
 */
enum { TIMES = 400, SPARE = 16 << 10 };

static long meminfo(const char *name)
{
    const char *value = file_value("/proc/meminfo", name);

    ASSERT(value != NULL);
    return strtol(value, NULL, 10);
}

TEST("pages of closed files are freed, and wiped before others get them")
{
    long used = 0;

    for (int i = -10; i < TIMES; i++) {
        int fd = open_node();
        unsigned char *at = map_file(fd, MAX);

        if (i == 0) {
            used = meminfo("VmallocUsed:");
        }
        /* Nothing of what others had there can be seen. */
        expect_bytes(at, MAX, 0);
        memset(at, 0xa5, MAX);
        must_fill(fd, 0, 64);
        expect_numbers(at, 64);
        close(fd);
        ASSERT_EQ(munmap(at, MAX), 0);
    }
    ASSERT(meminfo("VmallocUsed:") - used < SPARE);
}

TEST("memory that reads wrote to is freed")
{
    long free = 0;

    for (int i = -10; i < TIMES; i++) {
        unsigned char *at = map_memory(MAX);

        if (i == 0) {
            free = meminfo("MemFree:");
        }
        ASSERT_EQ(read(node, at, MAX), MAX);
        expect_numbers(at, MAX);
        ASSERT_EQ(munmap(at, MAX), 0);
    }
    ASSERT(free - meminfo("MemFree:") < 2 * SPARE);
}

static void take_forever(int fd, int way)
{
    static unsigned char buffer[1 << 20];
    volatile unsigned char *at = map_file(fd, MAX);

    for (;;) {
        if (way != 0) {
            must_fill(fd, 0, MAX);
            (void)at[0];
        }
        if (way != 1) {
            ASSERT_EQ(read(fd, buffer, sizeof(buffer)), sizeof(buffer));
        }
    }
}

TEST("processes are killed in a FILL or read, and the device goes on")
{
    for (int i = 0; i < 90; i++) {
        uint64_t before = fdinfo_number(node, "words");
        pid_t child = fork_process();

        if (child == 0) {
            take_forever(i % 2 ? node : open_node(), i % 3);
        }
        while (fdinfo_number(node, "words") == before) {
            sched_yield();
        }
        kill_process(child);
        /* Only the driver knows how far it came. */
        stream.words = fdinfo_number(node, "words");
        restart(i);
        for (int j = 0; j < 5; j++) {
            expect_next();
        }
    }
}
