/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FILL of a file's pages: what it writes, and which arguments it takes.
 */
#include "bulk.h"

TEST("pages are 0 at first, and FILL writes the next numbers to its part alone")
{
    static const unsigned int starts[] = {0, 4, 8, 60, 4092, 4096, 4100, 65532, 131072, MAX - 4096};
    static const unsigned int lengths[] = {4, 8, 12, 60, 64, 68, 128, 4092, 4096, 4100, 65536, MAX - 4, MAX};
    int fd = open_node();
    unsigned char *at = map_file(fd, MAX);

    expect_bytes(at, MAX, 0);
    for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(lengths); j++) {
            unsigned int start = starts[i], length = lengths[j];

            if (length > MAX - start) {
                continue;
            }
            tap_context("%u bytes from %u on", length, start);
            memset(at, 0xa5, MAX);
            must_fill(fd, start, length);
            expect_bytes(at, start, 0xa5);
            expect_numbers(at + start, length);
            expect_bytes(at + start + length, MAX - start - length, 0xa5);
            expect_next();
        }
    }
}

TEST("FILL of nothing writes nothing and takes nothing")
{
    must_fill(fd, 0, 0);
    must_fill(fd, MAX, 0);
    expect_bytes(at, MAX, 0xa5);
}

static unsigned int choose(unsigned int limit)
{
    static uint64_t state = 1;

    return splitmix64(&state) % limit;
}

TEST("FILL, RAND and reads in any order give the stream")
{
    unsigned char *buffer = map_memory(MAX + 4);

    for (int i = 0; i < 1500; i++) {
        unsigned int length = 4 * choose(1 << choose(14)), start = 4 * choose((MAX - length) / 4 + 1);
        unsigned int odd = choose(4), way = choose(4);

        tap_context("call %d: way %u, %u bytes from %u on", i, way, length, start);
        switch (way) {
        case 0:
            expect_next();
            break;
        case 1:
            must_fill(fd, start, length);
            expect_numbers(at + start, length);
            break;
        case 2:
            /* The rest of the last number is lost. */
            ASSERT_EQ(read(i % 2 ? fd : node, buffer, length + odd), length + odd);
            expect_numbers(buffer, length + odd);
            break;
        default:
            /* To pages that the device fills, too. */
            ASSERT_EQ(read(node, at + start, length), length);
            expect_numbers(at + start, length);
            break;
        }
        if (i % 100 == 99) {
            restart(i);
        }
    }
    ASSERT_EQ(ioctl(fd, RNG_IOCTL_RAND, at + 4), 0);
    expect_numbers(at + 4, 4);
}

TEST("a file opened for reading can be mapped for reading, and filled")
{
    int fd = open(NODE, O_RDONLY | O_CLOEXEC);
    void *at;

    ASSERT(fd >= 0);
    ASSERT_ERROR(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
    at = mmap(NULL, MAX, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT(at != MAP_FAILED);
    must_fill(fd, 0, MAX);
    expect_numbers(at, MAX);
    ASSERT_ERROR(mprotect(at, PAGE, PROT_READ | PROT_WRITE), EACCES);
    ASSERT_ERROR(mprotect(at, PAGE, PROT_READ | PROT_EXEC), EACCES);
}

TEST("a file opened for writing can be neither mapped nor filled")
{
    int fd = open(NODE, O_WRONLY | O_CLOEXEC);

    ASSERT(fd >= 0);
    ASSERT_ERROR(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
    ASSERT_ERROR(fill(fd, 0, 4), EINVAL);
}

TEST("FILL of a file that is not mapped fails")
{
    int fd = open_node();

    ASSERT_ERROR(fill(fd, 0, 4), EINVAL);
    ASSERT_ERROR(fill(fd, 0, 0), EINVAL);
    ASSERT_ERROR(ioctl(fd, RNG_IOCTL_FILL, NULL), EFAULT);
}

TEST("private, shifted, too large and executable mappings are refused")
{
    ASSERT_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL);
    ASSERT_ERROR(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), EINVAL);
    ASSERT_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE), EINVAL);
    ASSERT_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, MAX), EINVAL);
    ASSERT_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, INT64_C(1) << 62), EINVAL);
    ASSERT_ERROR(mmap(NULL, MAX + 1, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
    ASSERT_ERROR(mmap(NULL, 16 * MAX, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
    ASSERT(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0) == MAP_FAILED &&
           (errno == EINVAL || errno == EPERM || errno == EACCES));
}

TEST("FILL of a part beyond the pages, or not of whole numbers, changes nothing")
{
    static const unsigned int bad[][2] = {
        {0, 1}, {0, 2}, {0, 3}, {0, 5}, {0, 6}, {1, 4}, {2, 4}, {3, 0},
        {MAX, 4}, {MAX - 4, 8}, {0, MAX + 4}, {4, MAX}, {MAX, MAX}, {MAX + 4, 0},
        {1u << 31, 4}, {4, 1u << 31}, {1u << 31, 1u << 31},
        {UINT32_MAX - 3, 4}, {UINT32_MAX - 3, 8}, {4, UINT32_MAX - 3},
        {UINT32_MAX, UINT32_MAX}, {UINT32_MAX - 3, UINT32_MAX - 3},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        tap_context("0x%x bytes from 0x%x on", bad[i][1], bad[i][0]);
        ASSERT_ERROR(fill(fd, bad[i][0], bad[i][1]), EINVAL);
    }
    expect_bytes(at, MAX, 0xa5);
}

TEST("FILL with a bad pointer fails with EFAULT and changes nothing")
{
    char *none = (char *)map_memory(2 * PAGE) + PAGE;

    ASSERT_EQ(mprotect(none, PAGE, PROT_NONE), 0);
    ASSERT_ERROR(ioctl(fd, RNG_IOCTL_FILL, NULL), EFAULT);
    ASSERT_ERROR(ioctl(fd, RNG_IOCTL_FILL, 1), EFAULT);
    ASSERT_ERROR(ioctl(fd, RNG_IOCTL_FILL, -1), EFAULT);
    /* The kernel's memory, and the end of user space. */
    ASSERT_ERROR(ioctl(fd, RNG_IOCTL_FILL, 0xffff888000000000), EFAULT);
    ASSERT_ERROR(ioctl(fd, RNG_IOCTL_FILL, 0x00007ffffffffff9), EFAULT);
    ASSERT_ERROR(ioctl(fd, RNG_IOCTL_FILL, none), EFAULT);
    for (int before = 1; before < 8; before++) {
        tap_context("%d bytes can be read", before);
        ASSERT_ERROR(ioctl(fd, RNG_IOCTL_FILL, none - before), EFAULT);
    }
    expect_bytes(at, MAX, 0xa5);
}

TEST("commands similar to FILL fail with ENOTTY and change nothing")
{
    unsigned int part[2] = {0, 4096};

    ASSERT_ERROR(ioctl(fd, _IOR('q', 2, unsigned int[2]), part), ENOTTY);
    ASSERT_ERROR(ioctl(fd, _IOW('q', 2, unsigned int), part), ENOTTY);
    ASSERT_ERROR(ioctl(fd, _IOW('q', 2, unsigned int[3]), part), ENOTTY);
    expect_bytes(at, MAX, 0xa5);
}

TEST("FILL's argument can be anywhere in memory that can be read")
{
    unsigned int part[2] = {0, 4096};
    char *memory = map_memory(2 * PAGE), *none = memory + PAGE;

    ASSERT_EQ(mprotect(none, PAGE, PROT_NONE), 0);
    memcpy(none - sizeof(part), part, sizeof(part));
    memcpy(memory + 5, part, sizeof(part));
    ASSERT_EQ(ioctl(fd, RNG_IOCTL_FILL, none - sizeof(part)), 0);
    expect_numbers(at, part[1]);
    ASSERT_EQ(mprotect(memory, PAGE, PROT_READ), 0);
    ASSERT_EQ(ioctl(fd, RNG_IOCTL_FILL, memory + 5), 0);
    expect_numbers(at, part[1]);
    /* In the part that is filled. */
    memcpy(at, part, sizeof(part));
    ASSERT_EQ(ioctl(fd, RNG_IOCTL_FILL, at), 0);
    expect_numbers(at, part[1]);
}

TEST("FILL of a file opened with O_PATH fails")
{
    int fd = open(NODE, O_PATH | O_CLOEXEC);

    ASSERT(fd >= 0);
    ASSERT_ERROR(fill(fd, 0, 4), EBADF);
}
