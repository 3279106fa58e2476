/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unbinds the driver from the device while files are open and threads take numbers, and binds it again.
 *
 *   unbind ADDRESS    (the device's PCI address)
 */
#include "driver.h"
#include "tasks.h"
#include <sys/syscall.h>

enum { ROUNDS = 20, READERS = 5 };

static const char *address;
/* All readers have taken a number; the device is unbound; it is bound again. */
static pthread_barrier_t phase;

/* The file was mapped before. */
static void expect_gone(int fd)
{
    static unsigned char buffer[2 * MAX];
    unsigned int word = 0;

    ASSERT_ERROR(ioctl(fd, RNG_IOCTL_RAND, &word), ENODEV);
    ASSERT_ERROR(ioctl(fd, RNG_IOCTL_SEED, &word), ENODEV);
    ASSERT(ioctl(fd, _IO('q', 1), &word) == -1 && (errno == ENOTTY || errno == ENODEV));
    for (int length = 1; length <= 2 * MAX; length *= 2) {
        ASSERT_ERROR(read(fd, buffer, length), ENODEV);
    }
    ASSERT_ERROR(fill(fd, 0, MAX), ENODEV);
    ASSERT_ERROR(fill(fd, 0, 3), ENODEV);
    ASSERT_ERROR(ioctl(fd, RNG_IOCTL_FILL, NULL), EFAULT);
    ASSERT_ERROR(mmap(NULL, MAX, PROT_READ, MAP_SHARED, fd, 0), ENODEV);
}

/* Takes numbers, one by one or many at once, until the device has gone. */
static void take(int number)
{
    static unsigned char buffers[READERS][4 * MAX];
    int fd = open_node();
    unsigned char *at = map_file(fd, MAX), *own = buffers[number];
    unsigned int word;
    ssize_t got;

    memset(at, 0, MAX);
    memset(own, 0, sizeof(buffers[0]));
    node_rand(fd);
    pthread_barrier_wait(&phase);
    switch (number) {
    case 0:
        while (fill(fd, 0, MAX) == 0) {
        }
        ASSERT_EQ(errno, ENODEV);
        /* The engine goes first. */
        while (ioctl(fd, RNG_IOCTL_RAND, &word) == 0) {
        }
        break;
    case 1:
        /* Right to the program's memory. */
        while ((got = read(fd, own, sizeof(buffers[0]))) > 0) {
        }
        ASSERT_ERROR(got, ENODEV);
        break;
    case 2:
        /* By way of the kernel's memory: at an odd address, or too few. */
        while ((got = read(fd, own + 1, 20000)) > 0 && (got = read(fd, own, 2000)) > 0) {
        }
        ASSERT_ERROR(got, ENODEV);
        break;
    default:
        while (ioctl(fd, RNG_IOCTL_RAND, &word) == 0) {
        }
        ASSERT_EQ(errno, ENODEV);
        break;
    }
    expect_gone(fd);
    close(fd);
    /* The device does not write there any more. */
    memset(at, 0x5a, MAX);
    memset(own, 0x5a, sizeof(buffers[0]));
    pthread_barrier_wait(&phase);
    pthread_barrier_wait(&phase);
    expect_bytes(at, MAX, 0x5a);
    expect_bytes(own, MAX, 0x5a);
    ASSERT_EQ(munmap(at, MAX), 0);
}

static void expect_module_in_use(void)
{
    ASSERT_ERROR(syscall(SYS_delete_module, "my_rng", O_NONBLOCK), EWOULDBLOCK);
}

TEST("an open file keeps the module")
{
    open_node();
    expect_module_in_use();
}

/* What a file is mapped to stays as it was when the device went. */
static unsigned char copy[MAX];

static void unbind_and_bind(int round, int fd, const unsigned char *at)
{
    int never_mapped = open_node();

    start_threads(READERS, take);
    pthread_barrier_wait(&phase);
    if (round % 2 != 0) {
        /* When this is done, the others are in the middle of their calls. */
        ASSERT_EQ(fill(fd, 0, MAX), 0);
    }
    ASSERT_EQ(write_file(DRIVER "unbind", address), 0);
    pthread_barrier_wait(&phase);
    expect_gone(fd);
    memcpy(copy, at, MAX);
    ASSERT_ERROR(mmap(NULL, MAX, PROT_READ, MAP_SHARED, never_mapped, 0), ENODEV);
    close(never_mapped);
    ASSERT(open(NODE, O_RDWR) == -1 && (errno == ENOENT || errno == ENODEV));
    ASSERT_EQ(write_file(DRIVER "bind", address), 0);
    expect_gone(fd);
    ASSERT_EQ(memcmp(copy, at, MAX), 0);
}

static void expect_works(void)
{
    unsigned char *at;

    node = open_node();
    at = map_file(node, MAX);
    restart(0x42);
    ASSERT_EQ(fill(node, 0, MAX), 0);
    expect_numbers(at, MAX);
    ASSERT_EQ(munmap(at, MAX), 0);
    close(node);
}

TEST("unbind ends all calls, and open files stay dead and keep their pages after bind")
{
    unsigned char *at, *old_at = NULL;
    int fd, old = -1;

    for (int round = 0; round < ROUNDS; round++) {
        tap_context("round %d", round);
        fd = open_node();
        node_seed(fd, 0);
        ASSERT_EQ(node_rand(fd), 1804289383);
        expect_module_in_use();
        at = map_file(fd, MAX);
        ASSERT_EQ(pthread_barrier_init(&phase, NULL, READERS + 1), 0);
        unbind_and_bind(round, fd, at);
        if (old >= 0) {
            /* The file of the binding before. */
            expect_gone(old);
            close(old);
            memset(old_at, 0xa5, MAX);
            ASSERT_EQ(munmap(old_at, MAX), 0);
        }
        old = fd;
        old_at = at;
        expect_works();
        ASSERT_EQ(memcmp(copy, old_at, MAX), 0);
        pthread_barrier_wait(&phase);
        join_threads();
    }
    node_rand(open_node());
}

int main(int argc, char **argv)
{
    ASSERT_MSG(argc == 2, "usage: unbind ADDRESS");
    address = argv[1];
    return tap_run();
}
