/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Large reads: the driver makes several transfers of them, to its own memory or right to the program's.
 */
#include "bulk.h"
#include <sys/uio.h>

enum { LARGE = 1 << 20, KINDS = 3 };

static const size_t lengths[] = {32764, 32768, 32771,   40000,       65536 + 32768, 65536 + 32772,
                                 MAX - 1, MAX, MAX + 1, MAX + 32768, 3 * MAX + 5};

/* A process's own memory, a file's, and memory that processes share; then a hole. */
static unsigned char *memory[KINDS];
static int file;

static void make_memory(void)
{
    file = open("/memory", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ASSERT(file >= 0 && ftruncate(file, LARGE) == 0);
    memory[0] = map_memory(LARGE + PAGE);
    memory[1] = map_file(file, LARGE + PAGE);
    memory[2] = mmap(NULL, LARGE + PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT(memory[2] != MAP_FAILED);
    for (int kind = 0; kind < KINDS; kind++) {
        ASSERT_EQ(munmap(memory[kind] + LARGE, PAGE), 0);
    }
    ASSERT_EQ(unlink("/memory"), 0);
}

TEST("large reads of several transfers give the stream")
{
    static const int large[] = {3 << 20, 65536, 65540, 2 * 65536 + 124, 2 * 65536 + 132, 3 * 65536 - 4};
    unsigned char *buffer = map_memory(3 << 20);

    for (size_t i = 0; i < ARRAY_SIZE(large); i++) {
        ASSERT_EQ(read(node, buffer, large[i]), large[i]);
        expect_numbers(buffer, large[i]);
        expect_next();
    }
}

TEST("a large read writes its bytes alone, to memory of any kind, at any address")
{
    make_memory();
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
            for (size_t offset = 0; offset < 6; offset++) {
                unsigned char *at = memory[kind] + 4093 + offset, *end = at + lengths[i];

                tap_context("kind %d, %zu bytes, offset %zu", kind, lengths[i], offset);
                memset(memory[kind], 0xa5, LARGE);
                ASSERT_EQ(read(node, at, lengths[i]), lengths[i]);
                expect_numbers(at, lengths[i]);
                expect_bytes(memory[kind], at - memory[kind], 0xa5);
                expect_bytes(end, memory[kind] + LARGE - end, 0xa5);
                expect_next();
            }
        }
    }
}

TEST("a large read gives the bytes before bad memory")
{
    make_memory();
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
            for (size_t offset = 0; offset < 3; offset++) {
                size_t good = lengths[i] + offset, length = good + 1 + 40000 * offset;
                unsigned char *at = memory[kind] + LARGE - good;

                tap_context("kind %d, %zu bytes of %zu", kind, good, length);
                ASSERT_EQ(read(node, at, length), good);
                expect_numbers(at, good);
                skip_lost(true, length, good, at);
                expect_next();
            }
        }
    }
}

TEST("a large read to bad memory fails with EFAULT")
{
    make_memory();
    for (int kind = 0; kind < KINDS; kind++) {
        tap_context("kind %d", kind);
        ASSERT_EQ(mprotect(memory[kind], LARGE, PROT_READ), 0);
        ASSERT_ERROR(read(node, memory[kind], LARGE), EFAULT);
        skip_lost(true, LARGE, 0, memory[kind]);
        expect_next();
    }
    ASSERT_ERROR(read(node, (void *)4096, LARGE), EFAULT);
    skip_lost(true, LARGE, 0, (void *)4096);
    /* The kernel's memory: the driver is not called. */
    ASSERT_ERROR(read(node, (void *)0xffff888000000000, LARGE), EFAULT);
}

TEST("a large read fills memory that was given back to the kernel")
{
    make_memory();
    memset(memory[0], 0xa5, LARGE);
    ASSERT_EQ(madvise(memory[0], LARGE, MADV_DONTNEED), 0);
    ASSERT_EQ(read(node, memory[0], LARGE), LARGE);
    expect_numbers(memory[0], LARGE);
}

TEST("a large read to a file's mapping reaches the file")
{
    make_memory();
    ASSERT_EQ(read(node, memory[1], MAX), MAX);
    ASSERT_EQ(pread(file, memory[0], MAX, 0), MAX);
    expect_numbers(memory[0], MAX);
}

TEST("a large readv gives the stream across its vectors")
{
    make_memory();
    for (int odd = 0; odd < 4; odd++) {
        struct iovec vectors[] = {{memory[0] + 100, 40000},    {memory[0] + 50000, 3 + odd},
                                  {memory[0] + 60000, 100},    {memory[0] + 70000 + odd, 65536},
                                  {memory[0] + 140000, 33001}, {memory[0] + 180000, 40000}};
        unsigned char *all = memory[2];
        ssize_t length = 0, bytes = readv(node, vectors, ARRAY_SIZE(vectors));

        for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
            memcpy(all + length, vectors[i].iov_base, vectors[i].iov_len);
            length += vectors[i].iov_len;
        }
        ASSERT_EQ(bytes, length);
        expect_numbers(all, length);
        expect_next();
    }
}

TEST("a forked process reads to its own copy of private memory, and to shared memory")
{
    pid_t child;

    make_memory();
    memset(memory[0], 0xa5, LARGE);
    child = fork_process();
    if (child == 0) {
        ASSERT_EQ(read(node, memory[0], LARGE), LARGE);
        expect_numbers(memory[0], LARGE);
        ASSERT_EQ(read(node, memory[2], LARGE), LARGE);
        _exit(0);
    }
    ASSERT_EQ(wait_for_process(child), 0);
    expect_bytes(memory[0], LARGE, 0xa5);
    stream_skip(&stream, LARGE / 4);
    expect_numbers(memory[2], LARGE);
}
