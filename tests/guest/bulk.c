/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many numbers at once, by the device's bulk engine: a file's own pages, which are mapped and filled, and large
 * reads. Whichever way numbers are taken, each is the next one of the stream, and what was not asked for is
 * left alone. In the end the driver must have counted every one.
 *
 *   bulk GENERATOR    (of the first device, which nobody has used, and which has a seed)
 */
#include "driver.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { MAX = RNG_BULK_MAX_BYTES, NUMBERS = MAX / 4 };

static int node;
static struct stream stream;
static long page;
/* What choices follow from; each is the same in each run. */
static uint32_t choices = 1;

static unsigned int choose(unsigned int limit)
{
    choices = choices * 1664525 + 1013904223;
    return (choices >> 8) % limit;
}

static void check_numbers(const void *at, size_t length, const char *what)
{
    for (size_t i = 0; i < length / 4; i++) {
        uint32_t expected = stream_next(&stream), word;

        memcpy(&word, (const char *)at + 4 * i, 4);
        CHECK(word == expected, "%s: number %zu of %zu is 0x%08x, not 0x%08x", what, i, length / 4, word,
              expected);
    }
}

static void check_all(const unsigned char *at, size_t length, unsigned char byte, const char *what)
{
    for (size_t i = 0; i < length; i++) {
        CHECK(at[i] == byte, "%s: byte %zu of %zu is 0x%02x, not 0x%02x", what, i, length, at[i], byte);
    }
}

static int fill(int fd, unsigned int start, unsigned int length)
{
    unsigned int part[2] = {start, length};

    return ioctl(fd, RNG_IOCTL_FILL, part);
}

static void must_fill(int fd, unsigned int start, unsigned int length, const char *what)
{
    CHECK(fill(fd, start, length) == 0, "FILL of %u bytes from %u on, %s: %m", length, start, what);
}

static unsigned char *try_map(int fd, size_t length, int protection)
{
    return mmap(NULL, length, protection, MAP_SHARED, fd, 0);
}

static unsigned char *map(int fd, size_t length)
{
    unsigned char *at = try_map(fd, length, PROT_READ | PROT_WRITE);

    CHECK(at != MAP_FAILED, "mmap of %zu bytes: %m", length);
    return at;
}

static void unmap(void *at, size_t length)
{
    CHECK(munmap(at, length) == 0, "munmap: %m");
}

static void must_read(int fd, void *at, size_t length, const char *what)
{
    ssize_t got = read(fd, at, length);

    CHECK(got == (ssize_t)length, "%s: %zd of %zu (%m)", what, got, length);
}

/* Each part that is filled has the next numbers, and the rest what it had. */
static void check_parts(void)
{
    static const unsigned int starts[] = {0, 4, 8, 60, 4092, 4096, 4100, 65532, 131072, MAX - 4096};
    static const unsigned int lengths[] = {4, 8, 12, 60, 64, 68, 128, 4092, 4096, 4100, 65536, MAX - 4, MAX};
    int fd = open_node("/dev/" RNG_NODE);
    unsigned char *at = map(fd, MAX);

    restart(&stream, node, 0x42);
    check_all(at, MAX, 0, "pages that nobody has filled");
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        for (size_t j = 0; j < sizeof(lengths) / sizeof(lengths[0]); j++) {
            unsigned int start = starts[i], length = lengths[j];

            if (length > MAX - start) {
                continue;
            }
            memset(at, 0xa5, MAX);
            must_fill(fd, start, length, "within");
            check_all(at, start, 0xa5, "before what was filled");
            check_numbers(at + start, length, "FILL");
            check_all(at + start + length, MAX - start - length, 0xa5, "after what was filled");
            check_next(&stream, node, "FILL");
        }
    }
    memset(at, 0xa5, MAX);
    must_fill(fd, 0, 0, "of nothing");
    must_fill(fd, MAX, 0, "of nothing at the end");
    check_all(at, MAX, 0xa5, "after nothing was filled");
    check_next(&stream, node, "FILL of nothing");
    unmap(at, MAX);
    close(fd);
}

/* In every order, from every place in the generators' blocks, also across a seed. */
static void check_mixed(void)
{
    int fd = open_node("/dev/" RNG_NODE);
    unsigned char *at = map(fd, MAX), *buffer = malloc(MAX + 4);

    CHECK(buffer != NULL, "no memory");
    restart(&stream, node, 7);
    for (int i = 0; i < 1500; i++) {
        unsigned int length = 4 * choose(1 << choose(14)), start = 4 * choose((MAX - length) / 4 + 1);
        unsigned int odd = choose(4);

        switch (choose(4)) {
        case 0:
            check_next(&stream, node, "anything");
            break;
        case 1:
            must_fill(fd, start, length, "among others");
            check_numbers(at + start, length, "FILL among others");
            break;
        case 2:
            /* What is left of a number is lost. */
            must_read(i % 2 ? fd : node, buffer, length + odd, "a read among others");
            check_numbers(buffer, length, "a read among others");
            if (odd != 0) {
                uint32_t word = stream_next(&stream);

                CHECK(memcmp(buffer + length, &word, odd) == 0, "the last bytes of a read");
            }
            break;
        default:
            /* Into pages that the device fills, too. */
            must_read(node, at + start, length, "a read to a mapping");
            check_numbers(at + start, length, "a read to a mapping");
            break;
        }
        if (i % 100 == 99) {
            restart(&stream, node, i);
        }
    }
    CHECK(ioctl(fd, RNG_IOCTL_RAND, at + 4) == 0, "RAND to a mapping: %m");
    check_numbers(at + 4, 4, "RAND to a mapping");
    free(buffer);
    unmap(at, MAX);
    close(fd);
}

/* Large reads, of which the driver makes several transfers. */
static void check_large_reads(void)
{
    enum { LARGE = 3 << 20 };
    static const int lengths[] = {LARGE, 65536, 65540, 2 * 65536 + 124, 2 * 65536 + 132, 3 * 65536 - 4};
    unsigned char *buffer = malloc(LARGE);

    CHECK(buffer != NULL, "no memory");
    restart(&stream, node, 0xffffffff);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        must_read(node, buffer, lengths[i], "a large read");
        check_numbers(buffer, lengths[i], "a large read");
        check_next(&stream, node, "a large read");
    }
    free(buffer);
}

/*
 * How many bytes' worth of numbers a read takes that can hand over only the first few: the device writes by
 * itself to what there is of the program's memory, where that is much, and the driver hands over the rest.
 */
static size_t taken(size_t length, size_t good, size_t address)
{
    enum { DIRECT_FROM = 32 << 10, PIECE = 64 << 10, BULK_FROM = 32, SMALL = 256 };
    size_t done = 0;

    while (done <= good && done < length) {
        size_t rest = length - done, direct = good - done < MAX ? (good - done) / 4 * 4 : MAX;

        if ((address + done) % 4 == 0 && direct >= DIRECT_FROM) {
            done += direct;
        } else if (rest >= BULK_FROM) {
            done += (rest < PIECE ? rest : PIECE) / 4 * 4;
        } else {
            done += rest < SMALL ? rest : SMALL;
        }
    }
    return done;
}

/* Holds what was read against the stream, of which so many bytes' worth was taken. */
static void check_bytes(const unsigned char *at, size_t length, size_t used, const char *what)
{
    check_numbers(at, length, what);
    if (length % 4 != 0) {
        uint32_t word = stream_next(&stream);

        CHECK(memcmp(at + length / 4 * 4, &word, length % 4) == 0, "%s: the last bytes of %zu", what, length);
    }
    for (size_t words = (length + 3) / 4; words < (used + 3) / 4; words++) {
        stream_next(&stream);
    }
}

/* Large reads to memory of every kind and place, good, or bad from some byte on. */
static void check_memory(void)
{
    enum { LARGE = 1 << 20 };
    static const size_t lengths[] = {32764, 32768, 32771, 40000, 65536 + 32768, 65536 + 32772, MAX - 1,
                                     MAX,   MAX + 1, MAX + 32768, 3 * MAX + 5};
    int file = open("/memory", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), status;
    unsigned char *memory[3], *all;
    pid_t child;

    CHECK(file >= 0 && ftruncate(file, LARGE) == 0, "/memory: %m");
    restart(&stream, node, 21);
    /* Of its own, of a file, and what it shares with a process that was forked. */
    memory[0] = mmap(NULL, LARGE + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memory[1] = mmap(NULL, LARGE + page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    memory[2] = mmap(NULL, LARGE + page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int kind = 0; kind < 3; kind++) {
        all = memory[kind];
        CHECK(all != MAP_FAILED, "mmap: %m");
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            for (size_t offset = 0; offset < 6; offset++) {
                unsigned char *at = all + 4093 + offset;

                memset(all, 0xa5, LARGE);
                must_read(node, at, lengths[i], "a large read");
                check_bytes(at, lengths[i], lengths[i], "a large read");
                check_all(all, at - all, 0xa5, "before a large read");
                check_all(at + lengths[i], all + LARGE - at - lengths[i], 0xa5, "after a large read");
                check_next(&stream, node, "a large read");
            }
        }
        /* From a page on there is nothing. */
        CHECK(munmap(all + LARGE, page) == 0, "munmap: %m");
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            for (size_t offset = 0; offset < 3; offset++) {
                size_t good = lengths[i] + offset, length = good + 1 + 40000 * offset;
                unsigned char *at = all + LARGE - good;
                ssize_t bytes = read(node, at, length);

                CHECK(bytes == (ssize_t)good, "a read of %zu bytes that meets bad memory after %zu: %zd (%m)",
                      length, good, bytes);
                check_bytes(at, good, taken(length, good, (size_t)at), "a large read that meets bad memory");
                check_next(&stream, node, "a large read that meets bad memory");
            }
        }
        CHECK(mprotect(all, LARGE, PROT_READ) == 0, "mprotect: %m");
        expect_error(read(node, all, LARGE), EFAULT, "a large read to read-only memory");
        check_bytes(all, 0, taken(LARGE, 0, (size_t)all), "a large read to read-only memory");
        check_next(&stream, node, "a large read to read-only memory");
        CHECK(mprotect(all, LARGE, PROT_READ | PROT_WRITE) == 0, "mprotect: %m");
    }
    expect_error(read(node, (void *)4096, LARGE), EFAULT, "a large read to nowhere");
    check_bytes(NULL, 0, taken(LARGE, 0, 0), "a large read to nowhere");
    expect_error(read(node, (void *)0xffff888000000000, LARGE), EFAULT, "a large read to the kernel's memory");
    check_next(&stream, node, "large reads to bad memory");

    /* Pages that nobody has touched, and pages that were given back. */
    CHECK(madvise(memory[0], LARGE, MADV_DONTNEED) == 0, "madvise: %m");
    must_read(node, memory[0], LARGE, "a read to fresh memory");
    check_numbers(memory[0], LARGE, "a read to fresh memory");

    /* What is in the file is what was read to its mapping. */
    must_read(node, memory[1], MAX, "a read to a file's mapping");
    CHECK(pread(file, memory[0], MAX, 0) == MAX, "/memory: %m");
    check_numbers(memory[0], MAX, "what was read to a file's mapping");

    /* Many vectors, some of which are large. */
    for (int odd = 0; odd < 4; odd++) {
        struct iovec vectors[] = {{memory[0] + 100, 40000},    {memory[0] + 50000, 3 + odd},
                                  {memory[0] + 60000, 100},    {memory[0] + 70000 + odd, 65536},
                                  {memory[0] + 140000, 33001}, {memory[0] + 180000, 40000}};
        ssize_t length = 0, bytes;

        all = memory[2];
        bytes = readv(node, vectors, 6);
        for (int i = 0; i < 6; i++) {
            memcpy(all + length, vectors[i].iov_base, vectors[i].iov_len);
            length += vectors[i].iov_len;
        }
        CHECK(bytes == length, "a large readv: %zd of %zd (%m)", bytes, length);
        check_bytes(all, length, length, "a large readv");
        check_next(&stream, node, "a large readv");
    }

    /* Memory that a process shares with its parent until one of them writes to it. */
    memset(memory[0], 0xa5, LARGE);
    child = fork();
    CHECK(child >= 0, "fork: %m");
    if (child == 0) {
        must_read(node, memory[0], LARGE, "a read of a child's");
        check_numbers(memory[0], LARGE, "a read of a child's");
        must_read(node, memory[2], LARGE, "a read of a child's to shared memory");
        exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0, "a process that was forked: 0x%x", status);
    check_all(memory[0], LARGE, 0xa5, "what is the parent's own");
    for (int i = 0; i < LARGE / 4; i++) {
        stream_next(&stream);
    }
    check_numbers(memory[2], LARGE, "what a child has read to shared memory");
    check_next(&stream, node, "a read of a child's");
    for (int kind = 0; kind < 3; kind++) {
        unmap(memory[kind], LARGE);
    }
    close(file);
    CHECK(unlink("/memory") == 0, "/memory: %m");
}

static void check_errors(void)
{
    static const struct {
        unsigned int start, length;
    } bad[] = {
        {0, 1},   {0, 2},          {0, 3},           {0, 5},           {1, 4},          {2, 4},
        {3, 0},   {0, 6},          {MAX, 4},         {MAX - 4, 8},     {0, MAX + 4},    {4, MAX},
        {MAX, MAX}, {MAX + 4, 0},  {1u << 31, 4},    {4, 1u << 31},    {1u << 31, 1u << 31},
        {UINT32_MAX - 3, 4},       {UINT32_MAX - 3, 8}, {4, UINT32_MAX - 3}, {UINT32_MAX, UINT32_MAX},
        {UINT32_MAX - 3, UINT32_MAX - 3},
    };
    int fd = open_node("/dev/" RNG_NODE);
    unsigned char *none = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *at;
    unsigned int part[2] = {0, 4096}, *across;

    restart(&stream, node, 3);
    CHECK(none != MAP_FAILED && mprotect(none + page, page, PROT_NONE) == 0, "mmap: %m");
    /* Of a file that was never mapped. */
    expect_error(fill(fd, 0, 4), EINVAL, "FILL of what is not mapped");
    expect_error(fill(fd, 0, 0), EINVAL, "FILL of nothing of what is not mapped");
    expect_error(ioctl(fd, RNG_IOCTL_FILL, NULL), EFAULT, "FILL with NULL");

    /* What cannot be mapped makes no pages. */
    expect_error(mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0, EINVAL, "MAP_PRIVATE");
    expect_error(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0, EINVAL,
                 "MAP_PRIVATE");
    expect_error(mmap(NULL, page, PROT_READ, MAP_SHARED, fd, page) == MAP_FAILED ? -1 : 0, EINVAL, "an offset");
    expect_error(mmap(NULL, page, PROT_READ, MAP_SHARED, fd, MAX) == MAP_FAILED ? -1 : 0, EINVAL, "an offset");
    expect_error(mmap(NULL, page, PROT_READ, MAP_SHARED, fd, INT64_C(1) << 62) == MAP_FAILED ? -1 : 0, EINVAL,
                 "a huge offset");
    expect_error(try_map(fd, MAX + 1, PROT_READ) == MAP_FAILED ? -1 : 0, EINVAL, "a byte too many");
    expect_error(try_map(fd, 16 * MAX, PROT_READ) == MAP_FAILED ? -1 : 0, EINVAL, "far too many bytes");
    at = try_map(fd, page, PROT_READ | PROT_EXEC);
    CHECK(at == MAP_FAILED && (errno == EINVAL || errno == EPERM || errno == EACCES), "PROT_EXEC: %m");

    at = map(fd, MAX);
    memset(at, 0xa5, MAX);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(fill(fd, bad[i].start, bad[i].length) == -1 && errno == EINVAL, "FILL of 0x%x from 0x%x on: %m",
              bad[i].length, bad[i].start);
    }
    expect_error(ioctl(fd, RNG_IOCTL_FILL, NULL), EFAULT, "FILL with NULL");
    expect_error(ioctl(fd, RNG_IOCTL_FILL, 1), EFAULT, "FILL with address 1");
    expect_error(ioctl(fd, RNG_IOCTL_FILL, -1), EFAULT, "FILL with the last address");
    expect_error(ioctl(fd, RNG_IOCTL_FILL, 0xffff888000000000), EFAULT, "FILL with the kernel's memory");
    expect_error(ioctl(fd, RNG_IOCTL_FILL, 0x00007ffffffffff9), EFAULT, "FILL across the end of user space");
    expect_error(ioctl(fd, RNG_IOCTL_FILL, none + page), EFAULT, "FILL with PROT_NONE memory");
    for (int before = 1; before < 8; before++) {
        expect_error(ioctl(fd, RNG_IOCTL_FILL, none + page - before), EFAULT, "FILL with half of its argument");
    }
    check_all(at, MAX, 0xa5, "FILL that has failed");
    expect_error(ioctl(fd, _IOR('q', 2, unsigned int[2]), part), ENOTTY, "a command like FILL");
    expect_error(ioctl(fd, _IOW('q', 2, unsigned int), part), ENOTTY, "a command like FILL");
    expect_error(ioctl(fd, _IOW('q', 2, unsigned int[3]), part), ENOTTY, "a command like FILL");
    check_next(&stream, node, "FILL that has failed");

    /* An argument at any address, in memory that may only be read, and in what is filled. */
    across = (unsigned int *)(none + page - sizeof(part));
    memcpy(across, part, sizeof(part));
    CHECK(ioctl(fd, RNG_IOCTL_FILL, across) == 0, "FILL: %m");
    check_numbers(at, part[1], "FILL with an argument at the end of a page");
    memcpy(none + 5, part, sizeof(part));
    CHECK(mprotect(none, page, PROT_READ) == 0, "mprotect: %m");
    CHECK(ioctl(fd, RNG_IOCTL_FILL, none + 5) == 0, "FILL: %m");
    check_numbers(at, part[1], "FILL with an argument in read-only memory");
    memcpy(at, part, sizeof(part));
    CHECK(ioctl(fd, RNG_IOCTL_FILL, at) == 0, "FILL: %m");
    check_numbers(at, part[1], "FILL of its own argument");
    check_next(&stream, node, "FILL with arguments anywhere");
    unmap(at, MAX);
    unmap(none, 2 * page);
    close(fd);

    fd = open("/dev/" RNG_NODE, O_PATH | O_CLOEXEC);
    CHECK(fd >= 0, "opening the path: %m");
    expect_error(fill(fd, 0, 4), EBADF, "FILL of a path");
    close(fd);
}

/* How a file was opened is what its mapping can be used for; FILL is no writing. */
static void check_modes(void)
{
    int fd = open("/dev/" RNG_NODE, O_RDONLY | O_CLOEXEC);
    unsigned char *at;

    CHECK(fd >= 0, "opening for reading: %m");
    expect_error(try_map(fd, page, PROT_READ | PROT_WRITE) == MAP_FAILED ? -1 : 0, EACCES,
                 "mmap to write, opened for reading");
    at = try_map(fd, MAX, PROT_READ);
    CHECK(at != MAP_FAILED, "mmap, opened for reading: %m");
    must_fill(fd, 0, MAX, "opened for reading");
    check_numbers(at, MAX, "FILL, opened for reading");
    expect_error(mprotect(at, page, PROT_READ | PROT_WRITE), EACCES, "mprotect, opened for reading");
    expect_error(mprotect(at, page, PROT_READ | PROT_EXEC), EACCES, "mprotect for code");
    unmap(at, MAX);
    close(fd);

    fd = open("/dev/" RNG_NODE, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0, "opening for writing: %m");
    expect_error(try_map(fd, page, PROT_WRITE) == MAP_FAILED ? -1 : 0, EACCES, "opened for writing");
    expect_error(fill(fd, 0, 4), EINVAL, "FILL, opened for writing");
    close(fd);
    check_next(&stream, node, "files opened in many ways");
}

/* A part of the pages, several times, and none: the pages are the file's. */
static void check_mappings(void)
{
    int fd = open_node("/dev/" RNG_NODE), other = open_node("/dev/" RNG_NODE);
    unsigned char *first = map(fd, 100), *second, *third, *fourth;

    restart(&stream, node, 11);
    /* Beyond what is mapped it is filled, too. */
    must_fill(fd, 0, MAX, "of which a page is mapped");
    second = map(fd, MAX);
    check_numbers(second, MAX, "what was filled before it was mapped");
    CHECK(memcmp(first, second, page) == 0, "two mappings of a file differ");
    second[5] = 0x5a;
    second[2 * page] = 0xa5;
    first[6] = 0xa5;
    CHECK(first[5] == 0x5a && second[6] == 0xa5, "two mappings of a file have pages of their own");
    third = map(fd, 3 * page);
    CHECK(third[5] == 0x5a && third[6] == 0xa5 && third[2 * page] == 0xa5, "a third mapping differs");
    must_fill(fd, 0, page, "of three mappings");
    CHECK(memcmp(first, second, page) == 0 && memcmp(first, third, page) == 0, "three mappings of a file differ");
    check_numbers(third, page, "FILL of three mappings");

    /* Another file has others, and a copy of the descriptor is no other file. */
    fourth = map(other, MAX);
    check_all(fourth, MAX, 0, "another file's pages");
    must_fill(other, 0, page, "of another file");
    check_numbers(fourth, page, "FILL of another file");
    check_all(fourth + page, MAX - page, 0, "the rest of another file's pages");
    CHECK(memcmp(fourth, first, page) != 0, "two files share a page");
    close(other);
    other = dup(fd);
    CHECK(other >= 0, "dup: %m");
    must_fill(other, 4, page - 4, "of a copy of the descriptor");
    check_numbers(first + 4, page - 4, "FILL of a copy of the descriptor");
    close(other);
    check_all(fourth + page, MAX - page, 0, "the pages of a file that was closed");
    unmap(fourth, MAX);

    /* A hole in the middle of a mapping, and none at all: what is there stays there. */
    unmap(second + page, page);
    must_fill(fd, 0, 3 * page, "with a hole in a mapping");
    check_numbers(third, 3 * page, "FILL with a hole in a mapping");
    CHECK(memcmp(second, third, page) == 0 && memcmp(second + 2 * page, third + 2 * page, page) == 0, "the rest");
    unmap(first, 100);
    unmap(second, page);
    unmap(second + 2 * page, MAX - 2 * page);
    unmap(third, 3 * page);
    must_fill(fd, 8, MAX - 8, "that is not mapped any more");
    first = map(fd, MAX);
    check_numbers(first + 8, MAX - 8, "FILL of what was not mapped any more");
    check_next(&stream, node, "FILL of many mappings");

    /* Without the file, whose last use it is. */
    must_fill(fd, 0, MAX, "of a file that is closed then");
    close(fd);
    check_numbers(first, MAX, "the mapping of a file that was closed");
    memset(first, 0x5a, MAX);
    check_all(first, MAX, 0x5a, "the mapping of a file that was closed");
    unmap(first, MAX);
    check_next(&stream, node, "a file that was closed");
}

/* Moved, cut, but never made larger; and what is thrown away does not come back. */
static void check_remapping(void)
{
    int fd = open_node("/dev/" RNG_NODE), status;
    unsigned char *at = map(fd, 4 * page), *place, *moved;
    pid_t child;

    restart(&stream, node, 12);
    must_fill(fd, 0, MAX, "before it is moved");
    expect_error(mremap(at, 4 * page, 5 * page, 0) == MAP_FAILED ? -1 : 0, EFAULT, "mremap to more");
    expect_error(mremap(at, 4 * page, 5 * page, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0, EFAULT, "mremap to more");
    expect_error(mremap(at, 0, page, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0, EFAULT, "mremap of nothing");
    place = mmap(NULL, 4 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(place != MAP_FAILED, "mmap: %m");
    moved = mremap(at, 4 * page, 4 * page, MREMAP_MAYMOVE | MREMAP_FIXED, place);
    CHECK(moved == place, "mremap to another place: %m");
    check_numbers(moved, 4 * page, "a mapping that was moved");
    /* What was filled and not mapped. */
    for (int i = 0; i < NUMBERS - 4 * page / 4; i++) {
        stream_next(&stream);
    }
    CHECK(mremap(moved, 4 * page, page, 0) == moved, "mremap to less: %m");
    must_fill(fd, 0, 2 * page, "after it was cut");
    check_numbers(moved, page, "a mapping that was cut");
    for (int i = 0; i < page / 4; i++) {
        stream_next(&stream);
    }
    check_next(&stream, node, "mremap");

    child = fork();
    CHECK(child >= 0, "fork: %m");
    if (child == 0) {
        if (madvise(moved, page, MADV_DONTNEED) == 0) {
            *(volatile unsigned char *)moved = 1;
        }
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child, "waitpid: %m");
    CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS : WEXITSTATUS(status) == 0,
          "a page that was thrown away: 0x%x", status);
    must_fill(fd, 0, page, "after a process has thrown its page away");
    check_numbers(moved, page, "FILL after a process has thrown its page away");
    unmap(moved, page);
    close(fd);
}

/* A process that is forked has the same pages; and what it fills is the stream's next, too. */
static void check_fork(void)
{
    int fd = open_node("/dev/" RNG_NODE), ready[2], status;
    unsigned char *at = map(fd, MAX), byte;
    pid_t child;

    restart(&stream, node, 13);
    must_fill(fd, 0, MAX, "before fork");
    CHECK(pipe(ready) == 0, "pipe: %m");
    child = fork();
    CHECK(child >= 0, "fork: %m");
    if (child == 0) {
        /* The parent fills them anew. */
        CHECK(read(ready[0], &byte, 1) == 1, "a pipe: %m");
        stream_seed(&stream, 0x13);
        check_numbers(at, MAX, "what was filled after fork");
        must_fill(fd, page, page, "in a process that was forked");
        unmap(at, page);
        at[page] ^= 0xff;
        exit(0);
    }
    check_numbers(at, MAX, "what was filled before fork");
    restart(&stream, node, 0x13);
    must_fill(fd, 0, MAX, "after fork");
    CHECK(write(ready[1], "", 1) == 1, "a pipe: %m");
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0,
          "a process that was forked: 0x%x", status);
    check_numbers(at, page, "what was filled after fork");
    for (int i = 0; i < NUMBERS - page / 4; i++) {
        stream_next(&stream);
    }
    at[page] ^= 0xff;
    check_numbers(at + page, page, "what a process that was forked has filled");
    check_next(&stream, node, "a process that was forked");
    close(ready[0]);
    close(ready[1]);
    unmap(at, MAX);
    close(fd);
}

static void drain(int fd, unsigned char *to, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t got = read(fd, to + done, length - done);

        CHECK(got > 0, "a pipe: %zd (%m)", got);
        done += got;
    }
}

/* The kernel takes the pages' bytes, and the pages, as those of any memory. */
static void check_output(void)
{
    enum { PIPE = 64 << 10 };
    int fd = open_node("/dev/" RNG_NODE), file = open("/numbers", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    unsigned char *at = map(fd, MAX), *buffer = malloc(MAX);
    struct iovec vector = {at, PIPE};
    ssize_t taken;
    int pipes[2];

    restart(&stream, node, 14);
    CHECK(buffer != NULL && file >= 0, "/numbers: %m");
    must_fill(fd, 0, MAX, "to be written");
    CHECK(write(file, at, MAX) == MAX, "write to a file: %m");
    CHECK(pread(file, buffer, MAX, 0) == MAX, "read from a file: %m");
    check_numbers(buffer, MAX, "what was written to a file");
    /* And from a file into them. */
    memset(at, 0, MAX);
    CHECK(pread(file, at, MAX, 0) == MAX, "read from a file: %m");
    CHECK(memcmp(at, buffer, MAX) == 0, "what was read from a file differs");

    CHECK(pipe(pipes) == 0 && fcntl(pipes[1], F_SETPIPE_SZ, PIPE) >= PIPE, "pipe: %m");
    must_fill(fd, 0, MAX, "to be written");
    CHECK(write(pipes[1], at, PIPE) == PIPE, "write to a pipe: %m");
    drain(pipes[0], buffer, PIPE);
    check_numbers(buffer, PIPE, "what was written to a pipe");
    for (int i = 0; i < (MAX - PIPE) / 4; i++) {
        stream_next(&stream);
    }

    /* The pages themselves, in the pipe: they outlive the mapping and the file. */
    must_fill(fd, 0, PIPE, "for a pipe");
    taken = vmsplice(pipes[1], &vector, 1, 0);
    CHECK(taken == PIPE, "vmsplice: %zd (%m)", taken);
    unmap(at, MAX);
    close(fd);
    fd = open_node("/dev/" RNG_NODE);
    at = map(fd, MAX);
    memset(at, 0xa5, MAX);
    drain(pipes[0], buffer, PIPE);
    check_numbers(buffer, PIPE, "what was spliced to a pipe");
    check_next(&stream, node, "output");
    close(pipes[0]);
    close(pipes[1]);
    close(file);
    CHECK(unlink("/numbers") == 0, "/numbers: %m");
    free(buffer);
    unmap(at, MAX);
    close(fd);
}

/* ---- at the same time ---- */

enum { TAKERS = 6, EACH = 48 << 10 };
static uint32_t got[TAKERS][EACH];
static uint32_t expected[TAKERS * EACH];
static pthread_barrier_t start;
static int shared;
static unsigned char *shared_at;

/* Fills a part of the shared file's pages again and again, and takes what is there. */
static void *filler(void *argument)
{
    int number = ((uint32_t *)argument - got[0]) / EACH;
    unsigned int from = number % 2 * (MAX / 2);
    size_t length = 1;

    pthread_barrier_wait(&start);
    for (size_t done = 0; done < EACH; done += length) {
        length = 1 + done * 31 % (MAX / 8);
        length = length > EACH - done ? EACH - done : length;
        must_fill(shared, from, 4 * length, "among others");
        memcpy(got[number] + done, shared_at + from, 4 * length);
    }
    return NULL;
}

static void *reader(void *argument)
{
    uint32_t *words = argument;
    size_t length = 1;

    pthread_barrier_wait(&start);
    for (size_t done = 0; done < EACH; done += length) {
        length = 1 + done * 29 % 20000;
        length = length > EACH - done ? EACH - done : length;
        must_read(node, words + done, 4 * length, "a read among others");
    }
    return NULL;
}

static void *taker(void *argument)
{
    uint32_t *words = argument;

    pthread_barrier_wait(&start);
    for (size_t i = 0; i < EACH; i++) {
        words[i] = node_rand(node);
    }
    return NULL;
}

/* In every way at once: each number goes to one of them, and to each in its order. */
static void check_concurrent(void)
{
    static void *(*const all[TAKERS])(void *) = {filler, filler, reader, reader, taker, taker};
    pthread_t threads[TAKERS];

    shared = open_node("/dev/" RNG_NODE);
    shared_at = map(shared, MAX);
    restart(&stream, node, 0x1234567);
    CHECK(pthread_barrier_init(&start, NULL, TAKERS) == 0, "barrier");
    for (int i = 0; i < TAKERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, all[i], got[i]) == 0, "thread");
    }
    for (int i = 0; i < TAKERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0, "join");
    }
    CHECK(pthread_barrier_destroy(&start) == 0, "barrier");
    for (int i = 0; i < TAKERS * EACH; i++) {
        expected[i] = stream_next(&stream);
    }
    check_next(&stream, node, "many at once");
    check_shared(got[0], TAKERS, EACH, expected);
    unmap(shared_at, MAX);
    close(shared);
}

enum { MAPPERS = 4, RACES = 300 };

static void *mapper(void *argument)
{
    unsigned char **at = argument;

    for (int i = 0; i < RACES; i++) {
        /* The first one opens the file in between. */
        pthread_barrier_wait(&start);
        *at = map(shared, MAX);
        pthread_barrier_wait(&start);
        pthread_barrier_wait(&start);
        unmap(*at, MAX);
        pthread_barrier_wait(&start);
    }
    return NULL;
}

/* Who is first to map a file makes its pages; all have the same ones. */
static void check_first_mapping(void)
{
    unsigned char *at[MAPPERS];
    pthread_t threads[MAPPERS];

    CHECK(pthread_barrier_init(&start, NULL, MAPPERS + 1) == 0, "barrier");
    for (int i = 0; i < MAPPERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, mapper, &at[i]) == 0, "thread");
    }
    for (int i = 0; i < RACES; i++) {
        shared = open_node("/dev/" RNG_NODE);
        pthread_barrier_wait(&start);
        pthread_barrier_wait(&start);
        must_fill(shared, 0, 64, "that many map");
        check_numbers(at[0], 64, "FILL of what many have mapped");
        for (int j = 1; j < MAPPERS; j++) {
            CHECK(memcmp(at[0], at[j], 64) == 0, "two mappings of a file have pages of their own");
        }
        pthread_barrier_wait(&start);
        pthread_barrier_wait(&start);
        close(shared);
    }
    for (int i = 0; i < MAPPERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0, "join");
    }
    CHECK(pthread_barrier_destroy(&start) == 0, "barrier");
}

/* ---- what is left ---- */

/* A number of kB that the kernel says of its memory. */
static long memory(const char *name)
{
    char text[4096], *value = file_value("/proc/meminfo", name, text, sizeof(text));

    CHECK(value != NULL, "/proc/meminfo has no %s", name);
    return strtol(value, NULL, 10);
}

/* Files, mappings and processes that go leave no memory behind. */
static void check_leaks(void)
{
    enum { TIMES = 400, SPARE = 16 << 10 };
    long lost = 0, free = 0;

    restart(&stream, node, 15);
    for (int i = -10; i < TIMES; i++) {
        int fd = open_node("/dev/" RNG_NODE);
        unsigned char *at = map(fd, MAX);

        if (i == 0) {
            lost = memory("VmallocUsed:");
        }
        /* Nothing is seen of what others had there. */
        check_all(at, MAX, 0, "pages of a new file");
        memset(at, 0xa5, MAX);
        must_fill(fd, 0, 64, "of many files");
        check_numbers(at, 64, "FILL of many files");
        close(fd);
        unmap(at, MAX);
    }
    lost = memory("VmallocUsed:") - lost;
    /* All of them had many times what others may have taken meanwhile. */
    CHECK(lost < SPARE, "%ld kB of memory are lost after %d files", lost, TIMES);
    check_next(&stream, node, "many files");

    /* The same of memory that was read to, which the device has written to by itself. */
    for (int i = -10; i < TIMES; i++) {
        unsigned char *at = mmap(NULL, MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (i == 0) {
            free = memory("MemFree:");
        }
        CHECK(at != MAP_FAILED, "mmap: %m");
        must_read(node, at, MAX, "a read to memory that goes");
        check_numbers(at, MAX, "a read to memory that goes");
        unmap(at, MAX);
    }
    lost = free - memory("MemFree:");
    CHECK(lost < 2 * SPARE, "%ld kB of memory are lost after %d reads", lost, TIMES);
    check_next(&stream, node, "many reads");
}

/* Takes numbers until it is killed. */
static void take(int fd, int way)
{
    static unsigned char buffer[1 << 20];
    unsigned char *at = map(fd, MAX);

    for (;;) {
        if (way != 0) {
            must_fill(fd, 0, MAX, "of a process that is to be killed");
            (void)*(volatile unsigned char *)at;
        }
        if (way != 1) {
            must_read(fd, buffer, sizeof(buffer), "a read of a process that is to be killed");
        }
    }
}

/* A process that is killed in the middle ends, and takes its numbers with it; the device goes on. */
static void check_killing(void)
{
    enum { TIMES = 90 };

    for (int i = 0; i < TIMES; i++) {
        uint64_t before = fdinfo_number(node, "words");
        pid_t child = fork();
        int status;

        CHECK(child >= 0, "fork: %m");
        if (child == 0) {
            /* Of its own, or the one that others use. */
            take(i % 2 ? node : open_node("/dev/" RNG_NODE), i % 3);
        }
        while (fdinfo_number(node, "words") == before) {
            sched_yield();
        }
        CHECK(kill(child, SIGKILL) == 0, "kill: %m");
        CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
              "waitpid: 0x%x (%m)", status);
        /* How far it has come, only the driver knows. */
        stream.words = fdinfo_number(node, "words");
        restart(&stream, node, i);
        for (int j = 0; j < 5; j++) {
            check_next(&stream, node, "a process that was killed");
        }
    }
}

int main(int argc, char **argv)
{
    char text[1024], *value;

    CHECK(argc == 2, "usage: bulk GENERATOR");
    page = sysconf(_SC_PAGESIZE);
    node = open_node("/dev/" RNG_NODE);
    value = fdinfo(node, "generator", text, sizeof(text));
    CHECK(value != NULL && strcmp(value, argv[1]) == 0, "fdinfo says generator %s", value);
    value = fdinfo(node, "bulk", text, sizeof(text));
    CHECK(value != NULL && strcmp(value, "yes") == 0, "fdinfo says bulk %s", value);
    stream_choose(&stream, argv[1]);

    check_parts();
    check_mixed();
    check_large_reads();
    check_memory();
    check_errors();
    check_modes();
    check_mappings();
    check_remapping();
    check_fork();
    check_output();
    check_concurrent();
    check_first_mapping();
    check_leaks();
    CHECK(fdinfo_number(node, "words") == stream.words, "the driver has counted %llu words, not %llu",
          (unsigned long long)fdinfo_number(node, "words"), (unsigned long long)stream.words);
    check_killing();
    CHECK(fdinfo_number(node, "seeds") == stream.seeds, "the driver has counted %llu seeds, not %llu",
          (unsigned long long)fdinfo_number(node, "seeds"), (unsigned long long)stream.seeds);
    puts("done");
    return 0;
}
