/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unbinds the driver from the device while files are open and threads read, and binds it again.
 *
 *   unbind ADDRESS    (as the folders of /sys/bus/pci/devices are named)
 */
#include "guest.h"
#include <pthread.h>
#include <sys/syscall.h>

enum { ROUNDS = 20, READERS = 3 };

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

static void check_gone(int fd)
{
    unsigned int word = 0;

    CHECK(ioctl(fd, RNG_IOCTL_RAND, &word) == -1 && errno == ENODEV, "RAND after unbind: %m");
    CHECK(ioctl(fd, RNG_IOCTL_SEED, &word) == -1 && errno == ENODEV, "SEED after unbind: %m");
    CHECK(ioctl(fd, _IO('q', 1), &word) == -1 && (errno == ENOTTY || errno == ENODEV),
          "another command after unbind: %m");
}

/* Reads until the device has gone. */
static void *reader(void *argument)
{
    int fd = open_node("/dev/" RNG_NODE);
    unsigned int word;

    (void)argument;
    node_rand(fd);
    pthread_barrier_wait(&reading);
    while (ioctl(fd, RNG_IOCTL_RAND, &word) == 0) {
    }
    CHECK(errno == ENODEV, "RAND during unbind: %m");
    check_gone(fd);
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    int node, old = -1;

    CHECK(argc == 2, "usage: unbind ADDRESS");
    CHECK(pthread_barrier_init(&reading, NULL, READERS + 1) == 0, "barrier");
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[READERS];

        node = open_node("/dev/" RNG_NODE);
        node_seed(node, 0);
        CHECK(node_rand(node) == 1804289383, "the wrong number in round %d", round);
        CHECK(syscall(SYS_delete_module, "my_rng", O_NONBLOCK) == -1 && errno == EWOULDBLOCK,
              "unloading with a file open: %m");
        for (int i = 0; i < READERS; i++) {
            CHECK(pthread_create(&threads[i], NULL, reader, NULL) == 0, "thread");
        }
        pthread_barrier_wait(&reading);
        write_driver("unbind", argv[1]);
        for (int i = 0; i < READERS; i++) {
            CHECK(pthread_join(threads[i], NULL) == 0, "join");
        }
        check_gone(node);
        CHECK(open("/dev/" RNG_NODE, O_RDWR) == -1 && (errno == ENOENT || errno == ENODEV),
              "open after unbind: %m");
        write_driver("bind", argv[1]);
        /* The file of the binding before stays dead. */
        check_gone(node);
        if (old >= 0) {
            check_gone(old);
            close(old);
        }
        old = node;
    }
    close(old);
    node = open_node("/dev/" RNG_NODE);
    node_rand(node);
    printf("rounds: %d\n", ROUNDS);
    return 0;
}
