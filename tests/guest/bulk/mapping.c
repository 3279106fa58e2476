/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mappings of a file, all of which show the same pages.
 */
#include "bulk.h"
#include <sys/uio.h>

TEST("all mappings of a file show the same pages")
{
    int fd = open_node();
    unsigned char *first = map_file(fd, 100), *second, *third;

    /* What is not mapped is filled, too. */
    must_fill(fd, 0, MAX);
    second = map_file(fd, MAX);
    expect_numbers(second, MAX);
    ASSERT_EQ(memcmp(first, second, PAGE), 0);
    second[5] = 0x5a;
    second[2 * PAGE] = 0xa5;
    first[6] = 0xa5;
    ASSERT(first[5] == 0x5a && second[6] == 0xa5);
    third = map_file(fd, 3 * PAGE);
    ASSERT(third[5] == 0x5a && third[6] == 0xa5 && third[2 * PAGE] == 0xa5);
    must_fill(fd, 0, PAGE);
    ASSERT_EQ(memcmp(first, second, PAGE), 0);
    ASSERT_EQ(memcmp(first, third, PAGE), 0);
    expect_numbers(third, PAGE);
}

TEST("another file has other pages, a copy of a descriptor the same")
{
    int other = open_node(), copy = dup(fd);
    unsigned char *others = map_file(other, MAX);

    must_fill(fd, 0, PAGE);
    expect_numbers(at, PAGE);
    expect_bytes(others, MAX, 0);
    must_fill(other, 0, PAGE);
    expect_numbers(others, PAGE);
    expect_bytes(others + PAGE, MAX - PAGE, 0);
    ASSERT(memcmp(others, at, PAGE) != 0);
    close(other);
    must_fill(copy, 4, PAGE - 4);
    expect_numbers(at + 4, PAGE - 4);
    close(copy);
    expect_bytes(others + PAGE, MAX - PAGE, 0);
}

TEST("pages that are not mapped now are filled and kept")
{
    unsigned char *part = map_file(fd, 3 * PAGE);

    ASSERT_EQ(munmap(at + PAGE, PAGE), 0);
    must_fill(fd, 0, 3 * PAGE);
    expect_numbers(part, 3 * PAGE);
    ASSERT_EQ(memcmp(at, part, PAGE), 0);
    ASSERT_EQ(memcmp(at + 2 * PAGE, part + 2 * PAGE, PAGE), 0);
    ASSERT_EQ(munmap(at, PAGE), 0);
    ASSERT_EQ(munmap(at + 2 * PAGE, MAX - 2 * PAGE), 0);
    ASSERT_EQ(munmap(part, 3 * PAGE), 0);
    must_fill(fd, 8, MAX - 8);
    at = map_file(fd, MAX);
    expect_numbers(at + 8, MAX - 8);
}

TEST("a mapping outlives its file")
{
    must_fill(fd, 0, MAX);
    close(fd);
    expect_numbers(at, MAX);
    memset(at, 0x5a, MAX);
    expect_bytes(at, MAX, 0x5a);
    ASSERT_EQ(munmap(at, MAX), 0);
}

TEST("a mapping can be moved and cut, not enlarged")
{
    int fd = open_node();
    unsigned char *at = map_file(fd, 4 * PAGE), *place = map_memory(4 * PAGE);

    must_fill(fd, 0, MAX);
    ASSERT_ERROR(mremap(at, 4 * PAGE, 5 * PAGE, 0), EFAULT);
    ASSERT_ERROR(mremap(at, 4 * PAGE, 5 * PAGE, MREMAP_MAYMOVE), EFAULT);
    ASSERT_ERROR(mremap(at, 0, PAGE, MREMAP_MAYMOVE), EFAULT);
    ASSERT(mremap(at, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
    expect_numbers(place, 4 * PAGE);
    stream_skip(&stream, (MAX - 4 * PAGE) / 4);
    ASSERT(mremap(place, 4 * PAGE, PAGE, 0) == place);
    must_fill(fd, 0, 2 * PAGE);
    expect_numbers(place, PAGE);
    stream_skip(&stream, PAGE / 4);
}

TEST("a file can be filled after a process threw its page away")
{
    pid_t child = fork_process();
    int status;

    if (child == 0) {
        if (madvise(at, PAGE, MADV_DONTNEED) == 0) {
            *(volatile unsigned char *)at = 1;
        }
        _exit(0);
    }
    /* Access to a page that was thrown away may end with SIGBUS. */
    status = wait_for_process(child);
    ASSERT_MSG(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS), "status 0x%x", status);
    must_fill(fd, 0, PAGE);
    expect_numbers(at, PAGE);
}

TEST("a forked process shares the pages and can fill them")
{
    unsigned char byte;
    int ready[2];
    pid_t child;

    must_fill(fd, 0, MAX);
    ASSERT_EQ(pipe(ready), 0);
    child = fork_process();
    if (child == 0) {
        /* The parent fills them anew. */
        ASSERT_EQ(read(ready[0], &byte, 1), 1);
        stream_seed(&stream, 0x13);
        expect_numbers(at, MAX);
        must_fill(fd, PAGE, PAGE);
        ASSERT_EQ(munmap(at, PAGE), 0);
        at[PAGE] ^= 0xff;
        _exit(0);
    }
    expect_numbers(at, MAX);
    restart(0x13);
    must_fill(fd, 0, MAX);
    ASSERT_EQ(write(ready[1], "", 1), 1);
    ASSERT_EQ(wait_for_process(child), 0);
    expect_numbers(at, PAGE);
    stream_skip(&stream, (MAX - PAGE) / 4);
    at[PAGE] ^= 0xff;
    expect_numbers(at + PAGE, PAGE);
}

TEST("pages can be written to files and read from files")
{
    int file = open("/numbers", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    unsigned char *buffer = map_memory(MAX);

    ASSERT(file >= 0 && unlink("/numbers") == 0);
    must_fill(fd, 0, MAX);
    ASSERT_EQ(write(file, at, MAX), MAX);
    ASSERT_EQ(pread(file, buffer, MAX, 0), MAX);
    expect_numbers(buffer, MAX);
    memset(at, 0, MAX);
    ASSERT_EQ(pread(file, at, MAX, 0), MAX);
    ASSERT_EQ(memcmp(at, buffer, MAX), 0);
}

static void drain(int fd, unsigned char *to, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t got = read(fd, to + done, length - done);

        ASSERT(got > 0);
        done += got;
    }
}

TEST("pages can be written and spliced to pipes, and outlive their mapping there")
{
    enum { PIPE = 64 << 10 };
    unsigned char *buffer = map_memory(PIPE);
    struct iovec vector = {at, PIPE};
    int pipes[2];

    ASSERT(pipe(pipes) == 0 && fcntl(pipes[1], F_SETPIPE_SZ, PIPE) >= PIPE);
    must_fill(fd, 0, MAX);
    ASSERT_EQ(write(pipes[1], at, PIPE), PIPE);
    drain(pipes[0], buffer, PIPE);
    expect_numbers(buffer, PIPE);
    stream_skip(&stream, (MAX - PIPE) / 4);

    /* The pages themselves, which outlive the mapping and the file. */
    must_fill(fd, 0, PIPE);
    ASSERT_EQ(vmsplice(pipes[1], &vector, 1, 0), PIPE);
    ASSERT_EQ(munmap(at, MAX), 0);
    close(fd);
    memset(map_file(open_node(), MAX), 0xa5, MAX);
    drain(pipes[0], buffer, PIPE);
    expect_numbers(buffer, PIPE);
}
