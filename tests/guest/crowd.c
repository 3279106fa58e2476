/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many more threads than the driver has descriptors fill memory at once: each of their calls succeeds, is
 * interrupted by a signal with nothing taken, or ends because the device is unbound. None fails, and none hangs.
 * Among the signals, half of the threads read instead.
 *
 *   crowd ADDRESS    (of the first device, which nobody else uses, as the folders of /sys/bus/pci/devices are named)
 */
#include "driver.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

/* READ: more than one transfer gives, so that a read that is interrupted can have stored something. */
enum { THREADS = 128, TIMES = 20, MAX = RNG_BULK_MAX_BYTES, READ = 2 * MAX };

static pthread_barrier_t phase;
static atomic_ulong filled, interrupted, failed, gone;
/* Of the reads: what they have stored, and how many stored less than they were asked for. */
static atomic_ulong bytes_read, reads_interrupted;
/* What the driver had counted before. */
static uint64_t words_before;
static atomic_bool stop;
static unsigned char buffers[THREADS / 2][READ];

static int fill(int fd)
{
    unsigned int part[2] = {0, MAX};

    if (ioctl(fd, RNG_IOCTL_FILL, part) == 0) {
        atomic_fetch_add(&filled, 1);
        return 0;
    }
    return errno;
}

static void fill_among_signals(int fd)
{
    int error = fill(fd);

    CHECK(error == 0 || error == EINTR, "FILL among signals: %s", strerror(error));
    if (error == EINTR) {
        atomic_fetch_add(&interrupted, 1);
    }
}

static void read_among_signals(int fd, void *buffer)
{
    ssize_t got = read(fd, buffer, READ);

    CHECK((got > 0 && got % 4 == 0) || (got == -1 && errno == EINTR), "a read among signals: %zd (%m)", got);
    if (got > 0) {
        atomic_fetch_add(&bytes_read, got);
    }
    if (got < READ) {
        atomic_fetch_add(&reads_interrupted, 1);
    }
}

/* The argument is a buffer for those threads that read among the signals, NULL for the others. */
static void *filler(void *buffer)
{
    int fd = open_node("/dev/" RNG_NODE), error;
    void *at = mmap(NULL, MAX, PROT_READ, MAP_SHARED, fd, 0);

    CHECK(at != MAP_FAILED, "mmap: %m");
    pthread_barrier_wait(&phase);
    for (int i = 0; i < TIMES; i++) {
        if (fill(fd) != 0) {
            atomic_fetch_add(&failed, 1);
        }
    }
    pthread_barrier_wait(&phase);
    /* The main thread looks at the counts. */
    pthread_barrier_wait(&phase);
    while (!atomic_load(&stop)) {
        if (buffer != NULL) {
            read_among_signals(fd, buffer);
        } else {
            fill_among_signals(fd);
        }
    }
    pthread_barrier_wait(&phase);
    pthread_barrier_wait(&phase);
    do {
        error = fill(fd);
    } while (error == 0);
    CHECK(error == ENODEV, "FILL during unbind: %s", strerror(error));
    atomic_fetch_add(&gone, 1);
    CHECK(munmap(at, MAX) == 0, "munmap: %m");
    close(fd);
    return NULL;
}

static void wake(int signal)
{
    (void)signal;
}

/* The driver has counted what was filled and read, and nothing else. */
static void check_count(int node)
{
    uint64_t words = fdinfo_number(node, "words") - words_before;

    CHECK(words == atomic_load(&filled) * (MAX / 4) + atomic_load(&bytes_read) / 4,
          "%lu times filled and %lu bytes read, but %llu words", atomic_load(&filled), atomic_load(&bytes_read),
          (unsigned long long)words);
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = wake};
    int node = open_node("/dev/" RNG_NODE), error;
    static pthread_t threads[THREADS];
    pthread_attr_t attributes;

    CHECK(argc == 2, "usage: crowd ADDRESS");
    words_before = fdinfo_number(node, "words");
    /* Without SA_RESTART. */
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction: %m");
    CHECK(pthread_barrier_init(&phase, NULL, THREADS + 1) == 0, "barrier");
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 64 << 10) == 0, "attributes");
    for (int i = 0; i < THREADS; i++) {
        void *buffer = i % 2 != 0 ? buffers[i / 2] : NULL;

        CHECK(pthread_create(&threads[i], &attributes, filler, buffer) == 0, "thread");
    }

    pthread_barrier_wait(&phase);
    pthread_barrier_wait(&phase);
    printf("%lu filled, %lu failed\n", atomic_load(&filled), atomic_load(&failed));
    CHECK(atomic_load(&failed) == 0, "%lu of %d FILLs have failed", atomic_load(&failed), THREADS * TIMES);
    check_count(node);

    pthread_barrier_wait(&phase);
    while (atomic_load(&interrupted) == 0 || atomic_load(&reads_interrupted) == 0) {
        for (int i = 0; i < THREADS; i++) {
            CHECK(pthread_kill(threads[i], SIGUSR1) == 0, "pthread_kill");
        }
    }
    atomic_store(&stop, true);
    pthread_barrier_wait(&phase);
    fprintf(stderr, "%lu filled, %lu interrupted; %lu bytes read, %lu reads interrupted\n", atomic_load(&filled),
            atomic_load(&interrupted), atomic_load(&bytes_read), atomic_load(&reads_interrupted));
    check_count(node);

    pthread_barrier_wait(&phase);
    error = write_file("/sys/bus/pci/drivers/my_rng/unbind", argv[1]);
    CHECK(error == 0, "unbind: %s", strerror(error));
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0, "join");
    }
    CHECK(atomic_load(&gone) == THREADS, "%lu threads have ended", atomic_load(&gone));
    puts("done");
    return 0;
}
