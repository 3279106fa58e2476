/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unbinds the driver from the device while files are open and threads read, and binds it again.
 *
 *   unbind ADDRESS    (as the folders of /sys/bus/pci/devices are named)
 */
#include "guest.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { ROUNDS = 20, READERS = 5, MAX = RNG_BULK_MAX_BYTES };

static pthread_barrier_t reading;

static void write_driver(const char *attribute, const char *address)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "/sys/bus/pci/drivers/my_rng/%s", attribute);
    fd = open(path, O_WRONLY);
    CHECK(fd >= 0, "%s: %m", path);
    CHECK(write(fd, address, strlen(address)) == (ssize_t)strlen(address), "%s: %m", path);
    close(fd);
}

/* Of a file that was mapped. */
static void check_gone_in_bulk(int fd)
{
    static unsigned char buffer[2 * MAX];
    unsigned int part[2] = {0, MAX}, bad[2] = {0, 3};

    for (int length = 1; length <= 2 * MAX; length *= 2) {
        CHECK(read(fd, buffer, length) == -1 && errno == ENODEV, "a read of %d after unbind: %m", length);
    }
    CHECK(ioctl(fd, RNG_IOCTL_FILL, part) == -1 && errno == ENODEV, "FILL after unbind: %m");
    CHECK(ioctl(fd, RNG_IOCTL_FILL, bad) == -1 && errno == ENODEV, "FILL of a bad part after unbind: %m");
    CHECK(mmap(NULL, MAX, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == ENODEV, "mmap after unbind: %m");
    CHECK(ioctl(fd, RNG_IOCTL_FILL, NULL) == -1 && errno == EFAULT, "FILL with NULL after unbind: %m");
}

static unsigned char *map(int fd)
{
    unsigned char *at = mmap(NULL, MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    CHECK(at != MAP_FAILED, "mmap: %m");
    return at;
}

static void check_gone(int fd)
{
    unsigned int word = 0;

    CHECK(ioctl(fd, RNG_IOCTL_RAND, &word) == -1 && errno == ENODEV, "RAND after unbind: %m");
    CHECK(ioctl(fd, RNG_IOCTL_SEED, &word) == -1 && errno == ENODEV, "SEED after unbind: %m");
    CHECK(ioctl(fd, _IO('q', 1), &word) == -1 && (errno == ENOTTY || errno == ENODEV),
          "another command after unbind: %m");
    check_gone_in_bulk(fd);
}

/* Takes numbers, one by one or many at once, until the device has gone. */
static void *reader(void *argument)
{
    static unsigned char buffers[READERS][4 * MAX];
    int number = *(int *)argument, fd = open_node("/dev/" RNG_NODE);
    unsigned char *at = map(fd), *own = buffers[number];
    unsigned int word, part[2] = {0, MAX};
    ssize_t got;

    memset(at, 0, MAX);
    memset(own, 0, sizeof(buffers[0]));
    node_rand(fd);
    pthread_barrier_wait(&reading);
    switch (number) {
    case 0:
        while (ioctl(fd, RNG_IOCTL_FILL, part) == 0) {
        }
        CHECK(errno == ENODEV, "FILL during unbind: %m");
        /* The engine goes first. */
        while (ioctl(fd, RNG_IOCTL_RAND, &word) == 0) {
        }
        break;
    case 1:
        /* To memory of one's own; some of it may have come. */
        while ((got = read(fd, own, sizeof(buffers[0]))) > 0) {
        }
        CHECK(got == -1 && errno == ENODEV, "a read during unbind: %m");
        break;
    case 2:
        /* Too few for that, or at an odd address. */
        while ((got = read(fd, own + 1, 20000)) > 0 && (got = read(fd, own, 2000)) > 0) {
        }
        CHECK(got == -1 && errno == ENODEV, "a read during unbind: %m");
        break;
    default:
        while (ioctl(fd, RNG_IOCTL_RAND, &word) == 0) {
        }
        CHECK(errno == ENODEV, "RAND during unbind: %m");
        break;
    }
    check_gone(fd);
    close(fd);
    /* Nobody writes there any more, and it can be used as any memory. */
    memset(at, 0x5a, MAX);
    memset(own, 0x5a, sizeof(buffers[0]));
    pthread_barrier_wait(&reading);
    pthread_barrier_wait(&reading);
    for (int i = 0; i < MAX; i++) {
        CHECK(at[i] == 0x5a && own[i] == 0x5a, "memory has changed after unbind");
    }
    CHECK(munmap(at, MAX) == 0, "munmap: %m");
    return NULL;
}

/* Fills a file's pages with the numbers of the seed. */
static void check_fill(int fd, unsigned char *at)
{
    unsigned int part[2] = {0, MAX};
    struct model model;

    node_seed(fd, 0x42);
    model_seed(&model, 0x42);
    CHECK(ioctl(fd, RNG_IOCTL_FILL, part) == 0, "FILL: %m");
    for (int i = 0; i < MAX; i += 4) {
        uint32_t word = model_next(&model);

        CHECK(memcmp(at + i, &word, 4) == 0, "number %d of FILL", i / 4);
    }
}

int main(int argc, char **argv)
{
    static unsigned char copy[MAX];
    unsigned char *at, *old_at = NULL;
    int node, never_mapped, old = -1;

    CHECK(argc == 2, "usage: unbind ADDRESS");
    CHECK(pthread_barrier_init(&reading, NULL, READERS + 1) == 0, "barrier");
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[READERS];
        int numbers[READERS];

        node = open_node("/dev/" RNG_NODE);
        node_seed(node, 0);
        CHECK(node_rand(node) == 1804289383, "the wrong number in round %d", round);
        CHECK(syscall(SYS_delete_module, "my_rng", O_NONBLOCK) == -1 && errno == EWOULDBLOCK,
              "unloading with a file open: %m");
        for (int i = 0; i < READERS; i++) {
            numbers[i] = i;
            CHECK(pthread_create(&threads[i], NULL, reader, &numbers[i]) == 0, "thread");
        }
        at = map(node);
        never_mapped = open_node("/dev/" RNG_NODE);
        pthread_barrier_wait(&reading);
        if (round % 2 != 0) {
            unsigned int part[2] = {0, MAX};

            /* Others are well at it then. */
            CHECK(ioctl(node, RNG_IOCTL_FILL, part) == 0, "FILL: %m");
        }
        write_driver("unbind", argv[1]);
        pthread_barrier_wait(&reading);
        check_gone(node);
        memcpy(copy, at, MAX);
        CHECK(mmap(NULL, MAX, PROT_READ, MAP_SHARED, never_mapped, 0) == MAP_FAILED && errno == ENODEV,
              "the first mmap of a file after unbind: %m");
        close(never_mapped);
        CHECK(open("/dev/" RNG_NODE, O_RDWR) == -1 && (errno == ENOENT || errno == ENODEV),
              "open after unbind: %m");
        write_driver("bind", argv[1]);
        /* The file of the binding before stays dead, and keeps its pages. */
        check_gone(node);
        CHECK(memcmp(copy, at, MAX) == 0, "the pages of a file have changed after unbind");
        if (old >= 0) {
            check_gone(old);
            close(old);
            memset(old_at, 0xa5, MAX);
            CHECK(munmap(old_at, MAX) == 0, "munmap: %m");
        }
        old = node;
        old_at = at;
        /* The device works for others, and for nobody who is dead. */
        node = open_node("/dev/" RNG_NODE);
        at = map(node);
        check_fill(node, at);
        CHECK(memcmp(copy, old_at, MAX) == 0, "the pages of a file have changed after bind");
        CHECK(munmap(at, MAX) == 0, "munmap: %m");
        close(node);
        pthread_barrier_wait(&reading);
        for (int i = 0; i < READERS; i++) {
            CHECK(pthread_join(threads[i], NULL) == 0, "join");
        }
    }
    close(old);
    CHECK(munmap(old_at, MAX) == 0, "munmap: %m");
    node = open_node("/dev/" RNG_NODE);
    node_rand(node);
    printf("rounds: %d\n", ROUNDS);
    return 0;
}
