/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * read() and its like on the node: every length, every kind of memory, interrupted, concurrent; and calls
 * that the node does not support. After each call the stream must go on with the right number.
 *
 *   read GENERATOR yes|no    (of the first device, which nobody has used; whether it has a bulk engine)
 */
#include "driver.h"
#include "tasks.h"
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

static bool has_bulk;

TEST("a read of any length, to any address, gives the stream and writes nothing else")
{
    enum { ALL_TO = 1100, ROOM = (1 << 20) + 64 };
    static const size_t larger[] = {4095,       4096,       4097,   65535,        65536,   65537,         65539,
                                    65536 + 31, 65536 + 32, 131072, 131072 + 131, 1 << 20, (1 << 20) + 1};
    unsigned char *buffer = map_memory(ROOM);

    for (size_t i = 0; i <= ALL_TO + ARRAY_SIZE(larger); i++) {
        size_t length = i <= ALL_TO ? i : larger[i - ALL_TO - 1];
        unsigned char *at = buffer + 16 + i % 8;

        tap_context("%zu bytes", length);
        memset(buffer, 0xa5, length + 64);
        ASSERT_EQ(read(node, at, length), length);
        expect_numbers(at, length);
        ASSERT(at[-1] == 0xa5 && at[length] == 0xa5);
        expect_next();
    }
    ASSERT_EQ(read(node, NULL, 0), 0);
}

TEST("small reads to every alignment, among RAND and another file's reads, give the stream and write nothing else")
{
    enum { LONGEST = 300, AROUND = 16 };
    unsigned char buffer[AROUND + LONGEST + AROUND];
    int other = open_node();

    for (size_t length = 1; length <= LONGEST; length++) {
        for (size_t offset = 0; offset < 8; offset++) {
            unsigned char *at = buffer + AROUND / 2 + offset;

            tap_context("%zu bytes at offset %zu", length, offset);
            memset(buffer, 0xa5, sizeof(buffer));
            ASSERT_EQ(read(offset % 2 ? other : node, at, length), length);
            expect_numbers(at, length);
            ASSERT(at[-1] == 0xa5 && at[length] == 0xa5);
            if (offset % 3 == 0) {
                ASSERT_EQ(node_rand(offset ? other : node), stream_next(&stream));
            }
        }
    }
}

/* The end of a file, up to which its mapping can be written to. */
static char *file_end;

static void make_memory(void)
{
    int file = open("/short", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    ASSERT(file >= 0 && ftruncate(file, PAGE) == 0);
    file_end = (char *)map_file(file, 2 * PAGE) + PAGE;
    map_pages();
}

TEST("a read to bad memory fails with EFAULT")
{
    static const size_t lengths[] = {1, 3, 4, 5, 255, 256, 257, 1000};

    make_memory();
    const struct {
        const char *name;
        void *at;
        /* In the kernel's part of the address space: the driver is not called. */
        bool is_kernel;
    } bad[] = {
        {"NULL", NULL, false},
        {"address 1", (void *)1, false},
        {"the last address", (void *)-1, true},
        {"an address that wraps around", (void *)-3, true},
        {"the kernel's memory", (void *)0xffff888000000000, true},
        {"the kernel's text", (void *)0xffffffff81000000, true},
        {"a non-canonical address", (void *)0x0100000000000000, true},
        {"unmapped memory", hole, false},
        {"PROT_NONE memory", none, false},
        {"read-only memory", read_only, false},
        {"memory beyond a file's end", file_end, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(lengths); j++) {
            tap_context("%zu bytes to %s", lengths[j], bad[i].name);
            ASSERT_ERROR(read(node, bad[i].at, lengths[j]), EFAULT);
            if (!bad[i].is_kernel) {
                skip_lost(has_bulk, lengths[j], 0, bad[i].at);
            }
            expect_next();
        }
    }
}

/* Linux on RISC-V copies blocks of 64 bytes, and gives up the whole block that ends in bad memory. */
#ifdef __riscv
enum { GIVEN_UP = 63 };
#else
enum { GIVEN_UP = 0 };
#endif

/* What a read gave, to memory of which only so many bytes are good. */
static void expect_good(ssize_t got, const void *at, size_t good)
{
    size_t given = got > 0 ? got : 0;

    ASSERT_MSG(given == (size_t)got || errno == EFAULT, "read: %m");
    ASSERT_MSG(given <= good && good - given <= GIVEN_UP, "read gave %zd bytes", got);
    expect_numbers(at, given);
    stream_skip(&stream, (good + 3) / 4 - (given + 3) / 4);
}

TEST("a read to partly bad memory gives the bytes before it")
{
    static const size_t good[] = {1,   2,   3,   4,   5,    8,    255,  256,  257,
                                  511, 512, 513, 768, 1000, 1023, 1024, 4095, 4096};
    static const size_t beyond[] = {1, 2, 3, 4, 7, 255, 256, 257, 4000};

    make_memory();
    char *const ends[] = {read_only, hole, file_end};

    for (size_t i = 0; i < ARRAY_SIZE(ends) * ARRAY_SIZE(good) * ARRAY_SIZE(beyond); i++) {
        size_t length = good[i / 3 % ARRAY_SIZE(good)], all = length + beyond[i / 3 / ARRAY_SIZE(good)];
        char *at = ends[i % 3] - length;

        tap_context("memory %zu, of which %zu bytes of %zu are good", i % 3, length, all);
        memset(at, 0, length);
        expect_good(read(node, at, all), at, length);
        skip_lost(has_bulk, all, length, at);
        expect_next();
    }
}

TEST("a small read to memory that is bad from any byte on gives the bytes before it")
{
    enum { LONGEST = 72 };

    make_memory();
    for (size_t length = 1; length <= LONGEST; length++) {
        for (size_t good = 0; good < length; good++) {
            char *at = hole - good;

            tap_context("%zu bytes, of which %zu are good", length, good);
            if (good == 0) {
                ASSERT_ERROR(read(node, at, length), EFAULT);
            } else {
                expect_good(read(node, at, length), at, good);
            }
            skip_lost(has_bulk, length, good, at);
            expect_next();
        }
    }
}

TEST("readv, preadv, preadv2 and pread give the stream across vectors, at any offset")
{
    unsigned char one[1000], two[1000], all[2000];

    make_memory();
    for (size_t first = 0; first <= 10; first++) {
        struct iovec vectors[] = {{one, first}, {none, 0}, {two, 500}, {one + first, 300 - first}};

        tap_context("%zu bytes in the first vector", first);
        switch (first % 4) {
        case 0:
            ASSERT_EQ(readv(node, vectors, 4), 800);
            break;
        case 1:
            ASSERT_EQ(preadv(node, vectors, 4, 0), 800);
            break;
        case 2:
            /* A stream has no offset: the node ignores it. */
            ASSERT_EQ(preadv(node, vectors, 4, 4096 + first), 800);
            break;
        default:
            ASSERT_EQ(preadv2(node, vectors, 4, -1, 0), 800);
            break;
        }
        memcpy(all, one, first);
        memcpy(all + first, two, 500);
        memcpy(all + first + 500, one + first, 300 - first);
        expect_numbers(all, 800);
        expect_next();

        vectors[1].iov_len = 1;
        if (first == 0) {
            ASSERT_ERROR(readv(node, vectors, 4), EFAULT);
        } else {
            ASSERT_EQ(readv(node, vectors, 4), first);
        }
        expect_numbers(one, first);
        skip_lost(has_bulk, 801, first, one);
        expect_next();
    }
    ASSERT_EQ(pread(node, one, 6, 1234567), 6);
    expect_numbers(one, 6);
}

TEST("bad vectors, offsets and flags are refused and take nothing")
{
    unsigned char buffer[4];
    struct iovec vector = {buffer, 4};

    make_memory();
    ASSERT_ERROR(pread(node, buffer, 4, -1), EINVAL);
    ASSERT_ERROR(readv(node, (struct iovec *)none, 1), EFAULT);
    ASSERT_ERROR(preadv2(node, &vector, 1, -1, RWF_NOWAIT), EOPNOTSUPP);
    ASSERT_ERROR(preadv2(node, &vector, 1, -1, 1 << 30), EOPNOTSUPP);
}

static long long aio_read(aio_context_t context, const void *at)
{
    struct iocb request = {
        .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = node, .aio_nbytes = 599, .aio_buf = (uintptr_t)at};
    struct iocb *requests[] = {&request};
    struct io_event event;

    ASSERT_EQ(syscall(SYS_io_submit, context, 1, requests), 1);
    ASSERT_EQ(syscall(SYS_io_getevents, context, 1, 1, &event, NULL), 1);
    return event.res;
}

TEST("asynchronous reads give the stream, or EFAULT")
{
    unsigned char buffer[600];
    aio_context_t context = 0;

    ASSERT_EQ(syscall(SYS_io_setup, 4, &context), 0);
    ASSERT_EQ(aio_read(context, buffer), 599);
    expect_numbers(buffer, 599);
    ASSERT_EQ(aio_read(context, (void *)1), -EFAULT);
    skip_lost(has_bulk, 599, 0, (void *)1);
    ASSERT_EQ(syscall(SYS_io_destroy, context), 0);
}

static int open_with(int flags)
{
    int fd = open(NODE, flags | O_CLOEXEC);

    ASSERT_MSG(fd >= 0, "open with flags 0x%x: %m", flags);
    return fd;
}

TEST("read, RAND and SEED follow the mode in which the file was opened")
{
    unsigned char buffer[8];
    unsigned int word;
    int fd = open_with(O_RDONLY | O_NONBLOCK);

    ASSERT_EQ(read(fd, buffer, 7), 7);
    expect_numbers(buffer, 7);
    ASSERT_EQ(node_rand(fd), stream_next(&stream));
    ASSERT_ERROR(ioctl(fd, RNG_IOCTL_SEED, &word), EBADF);
    ASSERT_ERROR(ioctl(fd, RNG_IOCTL_SEED, NULL), EBADF);
    ASSERT_ERROR(write(fd, buffer, 4), EBADF);

    fd = open_with(O_WRONLY | O_APPEND);
    ASSERT_ERROR(read(fd, buffer, 4), EBADF);
    ASSERT_EQ(node_rand(fd), stream_next(&stream));
    node_seed(fd, 5);
    stream_seed(&stream, 5);
    stream.seeds++;

    /* Neither for reading nor for writing, although it takes permission for both. */
    fd = open_with(O_ACCMODE);
    ASSERT_ERROR(read(fd, buffer, 4), EBADF);
    ASSERT_EQ(node_rand(fd), stream_next(&stream));
    ASSERT_ERROR(ioctl(fd, RNG_IOCTL_SEED, &word), EBADF);

    fd = open_with(O_PATH);
    ASSERT_ERROR(read(fd, buffer, 4), EBADF);
    ASSERT_ERROR(ioctl(fd, RNG_IOCTL_RAND, &word), EBADF);

    ASSERT_ERROR(open(NODE, O_RDWR | O_DIRECTORY), ENOTDIR);
    ASSERT_ERROR(open(NODE, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    ASSERT_ERROR(open(NODE, O_RDWR | O_DIRECT), EINVAL);
}

TEST("calls that the node does not support fail and take nothing")
{
    unsigned char buffer[8] = {0};
    int pipes[2];

    ASSERT_ERROR(write(node, buffer, sizeof(buffer)), EINVAL);
    ASSERT_ERROR(pwrite(node, buffer, sizeof(buffer), 0), EINVAL);
    for (int whence = SEEK_SET; whence <= SEEK_HOLE; whence++) {
        ASSERT_ERROR(lseek(node, 0, whence), ESPIPE);
    }
    ASSERT_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, node, 0), has_bulk ? EINVAL : ENODEV);
    if (has_bulk) {
        ASSERT(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, node, 0) != MAP_FAILED);
    } else {
        ASSERT_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, node, 0), ENODEV);
    }
    ASSERT_ERROR(ftruncate(node, 0), EINVAL);
    ASSERT_ERROR(fallocate(node, 0, 0, 4), ENODEV);
    ASSERT_ERROR(fsync(node), EINVAL);
    ASSERT_EQ(pipe2(pipes, O_CLOEXEC), 0);
    ASSERT_ERROR(splice(node, NULL, pipes[1], NULL, 4, 0), EINVAL);
    ASSERT_ERROR(sendfile(pipes[1], node, NULL, 4), EINVAL);
}

TEST("the node can always be read: poll and select say so, epoll refuses it")
{
    struct pollfd ready = {.fd = node, .events = POLLIN | POLLRDNORM};
    struct epoll_event event = {.events = EPOLLIN};
    fd_set set;

    ASSERT_EQ(poll(&ready, 1, -1), 1);
    ASSERT_EQ(ready.revents, POLLIN | POLLRDNORM);
    FD_ZERO(&set);
    FD_SET(node, &set);
    ASSERT(select(node + 1, &set, NULL, NULL, NULL) == 1 && FD_ISSET(node, &set));
    /* Like a plain file, which never makes anybody wait. */
    ASSERT_ERROR(epoll_ctl(epoll_create1(EPOLL_CLOEXEC), EPOLL_CTL_ADD, node, &event), EPERM);
}

TEST("files opened and duplicated work until they are closed, in any order")
{
    enum { FILES = 4 };

    for (int order = 0; order < FILES * FILES * FILES * FILES; order++) {
        int digits[FILES], all = 0;

        for (int i = 0, rest = order; i < FILES; i++, rest /= FILES) {
            digits[i] = rest % FILES;
            all |= 1 << digits[i];
        }
        if (all != (1 << FILES) - 1) {
            /* Not a permutation. */
            continue;
        }
        tap_context("closed in the order %d %d %d %d", digits[0], digits[1], digits[2], digits[3]);
        restart(order);
        int files[FILES] = {open_node(), open_node()};
        files[2] = dup(files[0]);
        files[3] = dup(files[1]);
        for (int i = 0; i < FILES; i++) {
            for (int j = i; j < FILES; j++) {
                unsigned char buffer[5];

                ASSERT_EQ(node_rand(files[digits[j]]), stream_next(&stream));
                ASSERT_EQ(read(files[digits[j]], buffer, sizeof(buffer)), sizeof(buffer));
                expect_numbers(buffer, sizeof(buffer));
            }
            ASSERT_EQ(close(files[digits[i]]), 0);
            ASSERT_ERROR(read(files[digits[i]], &order, 4), EBADF);
        }
        expect_next();
    }
}

enum { READERS = 8, WORDS = 16384 };
static uint32_t words[READERS][WORDS];

/* Takes from one number to more than a piece at a time, from its own file and a shared one. */
static void take(int number)
{
    int own = open_node();

    for (size_t done = 0, length; done < WORDS; done += length) {
        length = (done * 7 + number) % 131;
        if (length > WORDS - done) {
            length = WORDS - done;
        }
        if (length == 0) {
            length = 1;
            words[number][done] = node_rand(own);
        } else {
            ASSERT_EQ(read(length % 2 ? own : node, words[number] + done, 4 * length), 4 * length);
        }
    }
}

TEST("readers at the same time share the stream exactly")
{
    start_threads(READERS, take);
    join_threads();
    expect_shared(&stream, words[0], READERS, WORDS);
}

/* So much that a timer of a millisecond usually expires during the read. */
enum { HUGE = 64 << 20 };

static volatile sig_atomic_t signals;

static void on_signal(int signal)
{
    (void)signal;
    signals++;
}

TEST("a signal ends a read between two pieces and loses nothing")
{
    const struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    unsigned char *buffer = map_memory(HUGE);

    for (int round = 0; round < 20; round++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = round % 2 ? SA_RESTART : 0};
        ssize_t got;

        restart(round);
        ASSERT_EQ(sigaction(SIGALRM, &action, NULL), 0);
        signals = 0;
        ASSERT_EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
        while ((got = read(node, buffer, HUGE)) == HUGE) {
            /* On a busy host a fast read may end before the first signal. */
            expect_numbers(buffer, HUGE);
        }
        ASSERT_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
        /* It ended between two of the driver's pieces. The first piece always comes. */
        ASSERT_MSG(got > 0 && got < HUGE && got % (has_bulk ? 64 << 10 : 512) == 0, "read gave %zd (%m)", got);
        ASSERT(signals > 0);
        expect_numbers(buffer, got);
        expect_next();
    }
}

TEST("a reader is killed in a read, and the device goes on")
{
    uint64_t before = fdinfo_number(node, "words");
    unsigned char *buffer = map_memory(HUGE);
    pid_t child = fork_process();

    if (child == 0) {
        while (read(node, buffer, HUGE) > 0) {
        }
        _exit(1);
    }
    while (fdinfo_number(node, "words") == before) {
    }
    kill_process(child);
    /* Only the driver knows how far it came. */
    stream.words = fdinfo_number(node, "words");
    restart(5);
}

int main(int argc, char **argv)
{
    ASSERT_MSG(argc == 3, "usage: read GENERATOR yes|no");
    node = open_node();
    stream_choose(&stream, argv[1]);
    has_bulk = strcmp(argv[2], "yes") == 0;
    expect_fdinfo("generator", argv[1]);
    expect_fdinfo("bulk", argv[2]);
    expect_fdinfo("words", "0");
    expect_fdinfo("seeds", "0");

    tap.before = begin_stream;
    tap.after = end_stream;
    return tap_run();
}
