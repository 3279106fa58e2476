/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random calls about the rest of the system: debugfs, hw_random, signals and the module.
 */
#include "stress.h"

void do_debugfs(struct worker *worker)
{
    static const char *const files[] = {"device", "generator", "words", "seeds"};
    char node[32], path[96], text[64];
    ssize_t got;
    int fd;

    node_path(node, sizeof(node), choose(worker, NODES));
    snprintf(path, sizeof(path), "/sys/kernel/debug%s/%s", node + strlen("/dev"), files[choose(worker, 4)]);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1) {
        ASSERT_MSG(worker->rules.churn && (errno == ENOENT || errno == EIO || errno == ENODEV), "%s: %m", path);
        return;
    }
    got = read(fd, text, sizeof(text));
    ASSERT_MSG((got > 1 && text[got - 1] == '\n') ||
                   (worker->rules.churn && got == -1 && (errno == EIO || errno == ENODEV)),
               "%s: %zd (%m)", path, got);
    close(fd);
}

void do_hwrng_read(struct worker *worker)
{
    int fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC | (choose(worker, 2) ? O_NONBLOCK : 0));
    size_t length = 1 + choose(worker, 300);
    ssize_t got;

    ASSERT(fd >= 0);
    got = read(fd, choose(worker, 8) ? (void *)worker->buffer : NULL, length);
    /* ENODEV while rng_current is "none". */
    if (MAY_FAIL(worker, got, ENODEV, EFAULT, EINTR, EAGAIN)) {
        ASSERT_MSG(got > 0 && (size_t)got <= length, "a read of /dev/hwrng: %zd of %zu", got, length);
    }
    close(fd);
}

void do_hwrng_show(struct worker *worker)
{
    static const char *const files[] = {HWRNG "current", HWRNG "available", HWRNG "selected", HWRNG "quality"};
    char text[512];
    int fd = open(files[choose(worker, 4)], O_RDONLY | O_CLOEXEC);

    ASSERT(fd >= 0);
    MAY_FAIL(worker, read(fd, text, sizeof(text)), ENODEV, EINTR);
    close(fd);
}

void do_hwrng_set(struct worker *worker)
{
    static const char *const lines[] = {"none\n",           "\n",
                                        "my_rng_driver\n",  "my_rng_driver1\n",
                                        "my_rng_driver2\n", "my_rng_driver3\n",
                                        "no_such_rng\n"};

    MAY_FAIL(worker, write_file(HWRNG "current", lines[choose(worker, ARRAY_SIZE(lines))]), ENODEV, EINTR);
}

void do_signal(struct worker *worker)
{
    int tid = atomic_load(&workers[choose(worker, WORKERS)].tid);

    /* The thread may have ended. */
    ASSERT(tid == 0 || tgkill(getpid(), tid, SIGUSR1) == 0 || errno == ESRCH);
}

void do_unload_busy(struct worker *worker)
{
    /* An open file keeps the module; but the module may be about to come, or others be at it. */
    if (worker->rules.churn) {
        MUST_FAIL(worker, unload_module(), EWOULDBLOCK, EBUSY, EINTR);
    } else {
        MUST_FAIL(worker, unload_module(), EWOULDBLOCK, EINTR);
    }
}
