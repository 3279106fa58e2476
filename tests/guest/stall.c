/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads into memory that cannot be written to for now: pages of files, on a filesystem that is frozen. Many
 * more such reads hang than the machine has processors. All other calls go on, and the device can be unbound.
 *
 *   stall FOLDER ADDRESS    (a filesystem that can be frozen; PCI address of the first device)
 */
#include "driver.h"
#include "tasks.h"
#include <linux/fs.h>
#include <sched.h>

enum { READERS = 24, SMALL = 20000 };

/*
 * Reads to a file's memory. Each second read is at an odd address, so that it goes by way of the kernel's
 * memory.
 */
static void read_to_file(const char *folder, int number)
{
    int node = open_node(), file;
    unsigned char *at;
    char path[256];

    snprintf(path, sizeof(path), "%s/%d", folder, number);
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT(file >= 0 && ftruncate(file, 2 * MAX) == 0);
    at = map_file(file, 2 * MAX);
    /* Until the filesystem is frozen. */
    ASSERT_EQ(raise(SIGSTOP), 0);
    if (number % 2) {
        /* Its numbers were taken before unbind. */
        ASSERT_EQ(read(node, at + 1, SMALL), SMALL);
    } else {
        ASSERT_ERROR(read(node, at, MAX), ENODEV);
    }
    _exit(0);
}

/* Waits until a process is in a page fault that waits for the filesystem, where no signal reaches it. */
static void wait_for_stall(pid_t process)
{
    char path[64];
    const char *state;

    snprintf(path, sizeof(path), "/proc/%d/status", process);
    do {
        sched_yield();
        state = file_value(path, "State:\t");
        ASSERT(state != NULL && state[0] != 'Z' && state[0] != 'X');
    } while (state[0] != 'D');
}

int main(int argc, char **argv)
{
    static unsigned char buffer[2 * MAX];
    pid_t readers[READERS];
    int node, folder, status;

    ASSERT_MSG(argc == 3, "usage: stall FOLDER ADDRESS");
    tap_step("reads to a frozen filesystem stall");
    node = open_node();
    map_file(node, MAX);
    folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < READERS; i++) {
        readers[i] = fork_process();
        if (readers[i] == 0) {
            read_to_file(argv[1], i);
        }
        ASSERT(waitpid(readers[i], &status, WUNTRACED) == readers[i] && WIFSTOPPED(status));
    }
    ASSERT_EQ(ioctl(folder, FIFREEZE, 0), 0);
    for (int i = 0; i < READERS; i++) {
        ASSERT_EQ(kill(readers[i], SIGCONT), 0);
        wait_for_stall(readers[i]);
    }

    tap_step("FILL, RAND and reads go on meanwhile");
    ASSERT_EQ(fill(node, 0, MAX), 0);
    node_rand(node);
    ASSERT_EQ(read(node, buffer, sizeof(buffer)), sizeof(buffer));
    ASSERT_EQ(read(node, buffer + 1, SMALL), SMALL);

    tap_step("the device can be unbound meanwhile");
    ASSERT_EQ(write_file(DRIVER "unbind", argv[2]), 0);
    ASSERT_ERROR(read(node, buffer, 4), ENODEV);

    tap_step("the stalled reads end when the filesystem is thawed");
    ASSERT_EQ(ioctl(folder, FITHAW, 0), 0);
    for (int i = 0; i < READERS; i++) {
        ASSERT_EQ(wait_for_process(readers[i]), 0);
    }
    return tap_finish();
}
