/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocations that fail, one after the other, in each thing that the driver does.
 */
#include "stress.h"

/* The file that makes this thread's nth allocation fail. */
static int fail_nth;

static void fail_open(void)
{
    int fd = open(NODE, O_RDWR | O_CLOEXEC);

    if (fd >= 0) {
        close(fd);
    }
}

static void fail_bind(void)
{
    char text[1024];
    int fd;

    write_file(DRIVER "unbind", addresses[0]);
    write_file(DRIVER "bind", addresses[0]);
    fd = open(NODE, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        /* The first read, for which memory is made; it works without, too. */
        ASSERT_EQ(read(fd, text, sizeof(text)), sizeof(text));
        close(fd);
    }
}

static void fail_map(void)
{
    int fd = open(NODE, O_RDWR | O_CLOEXEC);

    for (int i = 0; i < 2 && fd >= 0; i++) {
        void *at = mmap(NULL, MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (at == MAP_FAILED) {
            ASSERT_EQ(errno, ENOMEM);
        } else {
            ASSERT(fill(fd, 0, MAX) == 0 || errno == ENOMEM);
            munmap(at, MAX);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void fail_read(void)
{
    char text[1024];

    fdinfo(node, "words");
    ASSERT_EQ(read(node, text, sizeof(text)), sizeof(text));
}

static void fail_load(void)
{
    unload_module();
    load_module("");
}

/* Repeats the action, each time with its next allocation failing, until none fails. */
static void fail_each(void (*action)(void))
{
    for (int nth = 1, failed = 1; failed; nth++) {
        char text[16];
        int length = snprintf(text, sizeof(text), "%d", nth);

        begin(self, FAIL);
        ASSERT_EQ(pwrite(fail_nth, text, length, 0), length);
        action();
        memset(text, 0, sizeof(text));
        ASSERT(pread(fail_nth, text, sizeof(text) - 1, 0) > 0);
        failed = atoi(text) == 0;
        ASSERT_EQ(pwrite(fail_nth, "0", 1, 0), 1);
        end(self);
    }
}

void fail_allocations(void)
{
    char path[64];

    if (access("/sys/kernel/debug/failslab", F_OK) != 0) {
        tap_skip("this kernel cannot make allocations fail");
        return;
    }
    /* All allocations but those in interrupts, and without messages. */
    ASSERT_EQ(write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N"), 0);
    ASSERT_EQ(write_file("/sys/kernel/debug/failslab/verbose", "0"), 0);
    snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth", gettid());
    fail_nth = open(path, O_RDWR | O_CLOEXEC);
    ASSERT(fail_nth >= 0);
    node = open_node();
    fail_each(fail_open);
    fail_each(fail_map);
    fail_each(fail_read);
    fail_each(fail_bind);
    restore();
    close(node);
    fail_each(fail_load);
    /* The last load has succeeded, or left it to be done. */
    ASSERT(load_module("") == 0 || errno == EEXIST);
    close(fail_nth);
    restore();
}
