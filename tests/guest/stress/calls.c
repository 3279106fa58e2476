/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The calls that workers choose, except those about memory.
 */
#include "stress.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/uio.h>

/* Files that threads give to each other, as pack() has them; FREE if there is none. */
enum { SHARED = 16, FREE = 0 };
static atomic_int shared[SHARED];

static int pack(int fd, int mode)
{
    return (fd << 2 | mode) + 1;
}

bool open_file(struct worker *worker, struct file *file)
{
    static const int modes[] = {O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY};
    static const int flags[] = {0, 0, O_NONBLOCK, O_APPEND, O_TRUNC, O_NOCTTY, O_SYNC, O_CREAT};
    /* With O_CREAT, a missing node would become a plain file. */
    int flag = flags[choose(worker, worker->rules.churn ? 7 : 8)];
    char path[32];

    begin(worker, OPEN);
    snprintf(path, sizeof(path), "/dev/%s", node_names[choose(worker, NODES)]);
    file->mode = modes[choose(worker, ARRAY_SIZE(modes))];
    file->is_mapped = false;
    file->fd = open(path, file->mode | flag | O_CLOEXEC, 0600);
    ASSERT_MSG(file->fd != -1 || (worker->rules.churn && (errno == ENOENT || errno == ENODEV || errno == ENXIO)), "%s: %m",
               path);
    end(worker);
    return file->fd != -1;
}

void close_file(struct worker *worker, struct file *file)
{
    if (file->fd != -1) {
        begin(worker, CLOSE);
        ASSERT_EQ(close(file->fd), 0);
        file->fd = -1;
        end(worker);
    }
}

void do_open(struct worker *worker)
{
    close_file(worker, worker->file);
    if (worker->rules.hold) {
        open_file(worker, worker->file);
    }
}

void do_close(struct worker *worker)
{
    close_file(worker, worker->file);
}

void do_share(struct worker *worker)
{
    struct file *file = worker->file;
    int mine, theirs;

    if (!worker->rules.hold) {
        close_file(worker, file);
        return;
    }
    if (choose(worker, 2) != 0) {
        int copy = dup(file->fd);

        ASSERT(copy >= 0);
        mine = pack(copy, file->mode);
    } else {
        mine = pack(file->fd, file->mode);
        file->fd = -1;
    }
    theirs = atomic_exchange(&shared[choose(worker, SHARED)], mine);
    if (theirs == FREE) {
        return;
    }
    if (file->fd == -1) {
        *file = (struct file){.fd = (theirs - 1) >> 2, .mode = (theirs - 1) & 3};
    } else {
        ASSERT_EQ(close((theirs - 1) >> 2), 0);
    }
}

void close_shared(void)
{
    for (int i = 0; i < SHARED; i++) {
        int file = atomic_exchange(&shared[i], FREE);

        if (file != FREE) {
            ASSERT_EQ(close((file - 1) >> 2), 0);
        }
    }
}

void *bad_pointer(struct worker *worker, bool to_write)
{
    char *none = worker->pages + 2 * PAGE;

    switch (choose(worker, to_write ? 11 : 9)) {
    case 0:
        return NULL;
    case 1:
        return (void *)(uintptr_t)(1 + choose(worker, 4095));
    case 2:
        return (void *)-1;
    case 3:
        return (void *)(uintptr_t)(0xffff800000000000 | splitmix64(&worker->state));
    case 4:
        return (void *)0xffffffff81000000;
    case 5:
        /* Between user space and the kernel. */
        return (void *)(uintptr_t)(0x0000800000000000 + (splitmix64(&worker->state) >> 20));
    case 6:
        return none + choose(worker, PAGE);
    case 7:
        return none + PAGE + choose(worker, PAGE - 4);
    case 8:
        /* Only the last byte of a word is bad. */
        return none - 3;
    case 9:
        return none - PAGE + choose(worker, PAGE - 4);
    default:
        return none - PAGE - 1;
    }
}

void do_rand(struct worker *worker)
{
    unsigned char room[8];

    MAY_FAIL(worker, ioctl(worker->file->fd, RNG_IOCTL_RAND, room + choose(worker, 5)), 0);
}

void do_rand_bad(struct worker *worker)
{
    MUST_FAIL(worker, ioctl(worker->file->fd, RNG_IOCTL_RAND, bad_pointer(worker, true)), EFAULT);
}

void do_seed(struct worker *worker)
{
    unsigned int word = splitmix64(&worker->state);
    int result = ioctl(worker->file->fd, RNG_IOCTL_SEED, &word);

    if (worker->file->mode == O_RDONLY) {
        MUST_FAIL(worker, result, EBADF);
    } else {
        MAY_FAIL(worker, result, 0);
    }
}

void do_seed_bad(struct worker *worker)
{
    MUST_FAIL(worker, ioctl(worker->file->fd, RNG_IOCTL_SEED, bad_pointer(worker, false)),
              worker->file->mode == O_RDONLY ? EBADF : EFAULT);
}

void do_unknown(struct worker *worker)
{
    /* Of types for which the kernel has no ioctls for all files. */
    static const char types[] = {'q', 'q', 'p', 'r', 'R', 'i'};
    unsigned long command = _IOC(choose(worker, 4), types[choose(worker, sizeof(types))], choose(worker, 256),
                                 choose(worker, 2) ? 4 : choose(worker, 1 << 14));

    if (command == RNG_IOCTL_RAND || command == RNG_IOCTL_SEED || command == RNG_IOCTL_FILL) {
        command ^= _IOC(0, 0, 4, 0);
    }
    MUST_FAIL(worker,
              ioctl(worker->file->fd, command, choose(worker, 2) ? worker->buffer : bad_pointer(worker, false)),
              ENOTTY);
}

/* A read to good memory may be ended by a signal, or fail because the device has gone. */
static void check_read(struct worker *worker, ssize_t got, size_t length, const char *what)
{
    /* The driver looks for signals after so many bytes from the register. */
    enum { PIECE = 512 };

    if (worker->file->mode == O_WRONLY) {
        MUST_FAIL(worker, got, EBADF);
    } else if (length == 0) {
        ASSERT_MSG(got == 0, "%s of nothing: %zd (%m)", what, got);
    } else if (MAY_FAIL(worker, got, 0)) {
        /* The first bytes of a last number come separately. */
        ASSERT_MSG((size_t)got == length || (got > 0 && (size_t)got < length &&
                                             (got % PIECE == 0 || (got % 4 == 0 && length - got < 4))),
                   "%s: %zd of %zu", what, got, length);
    }
}

void do_read(struct worker *worker)
{
    size_t length = choose_length(worker);

    check_read(worker, read(worker->file->fd, worker->buffer + choose(worker, 9), length), length, "a read");
}

void do_read_bad(struct worker *worker)
{
    char *bad;

    if (worker->file->mode == O_WRONLY) {
        return;
    }
    do {
        bad = bad_pointer(worker, true);
        /* This one is bad from its second byte. */
    } while (bad == worker->pages + PAGE - 1);
    MUST_FAIL(worker, read(worker->file->fd, bad, 1 + choose(worker, 2000)), EFAULT);
}

void do_read_part(struct worker *worker)
{
    size_t good = 1 + choose(worker, PAGE), length = good + 1 + choose_length(worker);

    if (worker->file->mode != O_WRONLY) {
        check_read(worker, read(worker->file->fd, worker->pages + PAGE - good, length), good,
                   "a read to partly bad memory");
    }
}

void do_readv(struct worker *worker)
{
    int fd = worker->file->fd, count = 1 + choose(worker, 8);
    struct iovec vectors[8];
    size_t length = 0;
    ssize_t got;

    for (int i = 0; i < count; i++) {
        vectors[i].iov_len = choose(worker, 1000);
        vectors[i].iov_base = worker->buffer + 2000 * i + choose(worker, 1000);
        length += vectors[i].iov_len;
    }
    switch (choose(worker, 4)) {
    case 0:
        got = preadv(fd, vectors, count, splitmix64(&worker->state) >> 2);
        break;
    case 1:
        got = preadv2(fd, vectors, count, -1, 0);
        break;
    case 2:
        got = pread(fd, worker->buffer, length, splitmix64(&worker->state) >> 20);
        break;
    default:
        got = readv(fd, vectors, count);
        break;
    }
    check_read(worker, got, length, "readv");
}

void do_poll(struct worker *worker)
{
    int fd = worker->file->fd, epoll;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    struct epoll_event event = {.events = EPOLLIN};
    struct timeval no_time = {0, 0};
    fd_set set;

    switch (choose(worker, 3)) {
    case 0:
        ASSERT(poll(&ready, 1, 0) == 1 && ready.revents == POLLIN);
        break;
    case 1:
        FD_ZERO(&set);
        FD_SET(fd, &set);
        ASSERT(select(fd + 1, &set, NULL, NULL, &no_time) == 1 && FD_ISSET(fd, &set));
        break;
    default:
        epoll = epoll_create1(EPOLL_CLOEXEC);
        ASSERT(epoll >= 0);
        ASSERT_ERROR(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), EPERM);
        close(epoll);
        break;
    }
}

void do_other(struct worker *worker)
{
    bool is_read_only = worker->file->mode == O_RDONLY;
    int fd = worker->file->fd;

    switch (choose(worker, 3)) {
    case 0:
        MUST_FAIL(worker, lseek(fd, splitmix64(&worker->state), choose(worker, 5)), ESPIPE);
        break;
    case 1:
        MUST_FAIL(worker, write(fd, worker->buffer, choose_length(worker)), is_read_only ? EBADF : EINVAL);
        break;
    default:
        MUST_FAIL(worker, fallocate(fd, 0, 0, 4), is_read_only ? EBADF : ENODEV);
        break;
    }
}

void do_fdinfo(struct worker *worker)
{
    ASSERT(fdinfo(worker->file->fd, "words") != NULL);
}

void do_kill(struct worker *worker)
{
    pid_t child;
    int status;

    if (worker->file->mode == O_WRONLY) {
        return;
    }
    child = fork_process();
    if (child == 0) {
        while (read(worker->file->fd, worker->buffer, BUFFER) > 0) {
        }
        _exit(0);
    }
    ASSERT_EQ(kill(child, SIGKILL), 0);
    status = wait_for_process(child);
    ASSERT_MSG(WIFSIGNALED(status) || worker->rules.churn, "a reader that was killed: status 0x%x", status);
}

/* Reads a line about a node. */
static void read_line(struct worker *worker, const char *folder, const char *name)
{
    char path[96], text[64];
    ssize_t got;
    int fd;

    snprintf(path, sizeof(path), "%s/%s/%s", folder, node_names[choose(worker, NODES)], name);
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

void do_debugfs(struct worker *worker)
{
    static const char *const files[] = {"device", "generator", "words", "seeds"};

    read_line(worker, "/sys/kernel/debug/my_rng", files[choose(worker, ARRAY_SIZE(files))]);
}

void do_sysfs(struct worker *worker)
{
    static const char *const files[] = {"generator", "bulk", "words", "seeds"};

    read_line(worker, "/sys/class/misc", files[choose(worker, ARRAY_SIZE(files))]);
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
    static const char *const others[] = {"none", "", "no_such_rng"};
    unsigned int index = choose(worker, NODES + ARRAY_SIZE(others));
    char line[32];

    snprintf(line, sizeof(line), "%s\n", index < NODES ? node_names[index] : others[index - NODES]);
    MAY_FAIL(worker, write_file(HWRNG "current", line), ENODEV, EINTR);
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
