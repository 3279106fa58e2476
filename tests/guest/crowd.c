/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many more threads than the machine has processors fill memory at once: each call succeeds, or ends because
 * the device is unbound. Signals end only reads. None fails, and none hangs.
 *
 *   crowd ADDRESS    (PCI address of the first device, which nobody else uses)
 */
#include "driver.h"
#include "tasks.h"

/* READ: more than one transfer, so that a signal can end a read. */
enum { THREADS = 128, TIMES = 20, READ = 2 * MAX };

static const char *address;
static atomic_ulong filled, bytes_read, interrupted;
static atomic_bool stop;

static int open_mapped(void)
{
    int fd = open_node();

    ASSERT(mmap(NULL, MAX, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
    return fd;
}

static void fill_many_times(int number)
{
    int fd = open_mapped();

    (void)number;
    for (int i = 0; i < TIMES; i++) {
        ASSERT_EQ(fill(fd, 0, MAX), 0);
        atomic_fetch_add(&filled, 1);
    }
}

TEST("all FILLs of 128 threads succeed and are counted")
{
    uint64_t before = fdinfo_number(node, "words");

    start_threads(THREADS, fill_many_times);
    join_threads();
    ASSERT_EQ(filled, THREADS * TIMES);
    ASSERT_EQ(fdinfo_number(node, "words") - before, filled * (MAX / 4));
}

static void fill_or_read_among_signals(int number)
{
    static unsigned char buffers[THREADS][READ];
    int fd = open_mapped();

    while (!atomic_load(&stop)) {
        if (number % 2 == 0) {
            ASSERT_EQ(fill(fd, 0, MAX), 0);
            atomic_fetch_add(&filled, 1);
        } else {
            ssize_t got = read(fd, buffers[number], READ);

            ASSERT_MSG(got > 0 && got % 4 == 0, "read gave %zd (%m)", got);
            atomic_fetch_add(&bytes_read, got);
            atomic_fetch_add(&interrupted, got < READ);
        }
    }
}

static void wake(int signal)
{
    (void)signal;
}

TEST("signals end reads, which take nothing that is not counted, and no FILL")
{
    struct sigaction action = {.sa_handler = wake};
    uint64_t before = fdinfo_number(node, "words");

    ASSERT_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    start_threads(THREADS, fill_or_read_among_signals);
    while (atomic_load(&interrupted) == 0) {
        for (int i = 0; i < THREADS; i++) {
            ASSERT_EQ(pthread_kill(tasks.threads[i], SIGUSR1), 0);
        }
    }
    atomic_store(&stop, true);
    join_threads();
    printf("# %lu filled; %lu bytes read, %lu reads interrupted\n", filled, bytes_read, interrupted);
    ASSERT_EQ(fdinfo_number(node, "words") - before, filled * (MAX / 4) + bytes_read / 4);
}

static pthread_barrier_t ready;

static void fill_until_gone(int number)
{
    int fd = open_mapped();

    (void)number;
    pthread_barrier_wait(&ready);
    while (fill(fd, 0, MAX) == 0) {
    }
    ASSERT_EQ(errno, ENODEV);
}

TEST("all FILLs end with ENODEV on unbind")
{
    ASSERT_EQ(pthread_barrier_init(&ready, NULL, THREADS + 1), 0);
    start_threads(THREADS, fill_until_gone);
    pthread_barrier_wait(&ready);
    ASSERT_EQ(write_file(DRIVER "unbind", address), 0);
    join_threads();
}

int main(int argc, char **argv)
{
    ASSERT_MSG(argc == 2, "usage: crowd ADDRESS");
    address = argv[1];
    node = open_node();
    return tap_run();
}
