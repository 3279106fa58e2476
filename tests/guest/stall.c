/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads into memory that cannot be written to for now: the pages are those of files, on a filesystem that is frozen.
 * Many more such reads hang than the driver has descriptors; everybody else goes on, and the device can be unbound.
 *
 *   stall FOLDER ADDRESS    (a filesystem that can be frozen; the first device, as in /sys/bus/pci/devices)
 */
#include "driver.h"
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { READERS = 24, SMALL = 20000, MAX = RNG_BULK_MAX_BYTES };

/* Reads to a file's memory: every second one at an odd address, so that it goes by way of the kernel's memory. */
static void stall(const char *folder, int number, int ready)
{
    size_t length = number % 2 ? SMALL : MAX;
    int node = open_node("/dev/" RNG_NODE), file;
    unsigned char *at;
    char path[256];
    ssize_t got;

    snprintf(path, sizeof(path), "%s/%d", folder, number);
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(file >= 0 && ftruncate(file, 2 * MAX) == 0, "%s: %m", path);
    at = mmap(NULL, 2 * MAX, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(at != MAP_FAILED, "mmap: %m");
    CHECK(write(ready, "", 1) == 1, "a pipe: %m");
    /* Until the filesystem is frozen. */
    CHECK(raise(SIGSTOP) == 0, "raise: %m");
    got = read(node, at + number % 2, length);
    if (number % 2) {
        /* They were taken before. */
        CHECK(got == SMALL, "a read that had stalled: %zd (%m)", got);
    } else {
        expect_error(got, ENODEV, "a read that had stalled");
    }
    exit(0);
}

/* Waits until a process sleeps where no signal reaches it: in the page fault that has to wait for the filesystem. */
static void wait_for_stall(pid_t process)
{
    char path[64], text[512], state, *value;

    snprintf(path, sizeof(path), "/proc/%d/status", process);
    do {
        sched_yield();
        value = file_value(path, "State:\t", text, sizeof(text));
        CHECK(value != NULL, "%s: %m", path);
        state = value[0];
        CHECK(state != 'Z' && state != 'X', "a read did not stall");
    } while (state != 'D');
}

int main(int argc, char **argv)
{
    static unsigned char buffer[2 * MAX];
    unsigned int part[2] = {0, MAX};
    pid_t readers[READERS];
    int node, folder, pipes[2], status;
    char byte;
    void *at;

    CHECK(argc == 3, "usage: stall FOLDER ADDRESS");
    node = open_node("/dev/" RNG_NODE);
    at = mmap(NULL, MAX, PROT_READ, MAP_SHARED, node, 0);
    CHECK(at != MAP_FAILED, "mmap: %m");
    folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(folder >= 0 && pipe(pipes) == 0, "%s: %m", argv[1]);
    for (int i = 0; i < READERS; i++) {
        readers[i] = fork();
        CHECK(readers[i] >= 0, "fork: %m");
        if (readers[i] == 0) {
            stall(argv[1], i, pipes[1]);
        }
        CHECK(read(pipes[0], &byte, 1) == 1, "a pipe: %m");
        CHECK(waitpid(readers[i], &status, WUNTRACED) == readers[i] && WIFSTOPPED(status), "waitpid: 0x%x (%m)", status);
    }
    CHECK(ioctl(folder, FIFREEZE, 0) == 0, "FIFREEZE: %m");
    for (int i = 0; i < READERS; i++) {
        CHECK(kill(readers[i], SIGCONT) == 0, "kill: %m");
        wait_for_stall(readers[i]);
    }

    CHECK(ioctl(node, RNG_IOCTL_FILL, part) == 0, "FILL while others stall: %m");
    node_rand(node);
    CHECK(read(node, buffer, sizeof(buffer)) == sizeof(buffer), "a read while others stall: %m");
    CHECK(read(node, buffer + 1, SMALL) == SMALL, "a read while others stall: %m");
    status = write_file("/sys/bus/pci/drivers/my_rng/unbind", argv[2]);
    CHECK(status == 0, "unbind while others stall: %s", strerror(status));
    expect_error(read(node, buffer, 4), ENODEV, "a read after unbind");

    CHECK(ioctl(folder, FITHAW, 0) == 0, "FITHAW: %m");
    for (int i = 0; i < READERS; i++) {
        CHECK(waitpid(readers[i], &status, 0) == readers[i] && status == 0, "reader %d: 0x%x (%m)", i, status);
    }
    puts("done");
    return 0;
}
