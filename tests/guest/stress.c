/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many threads do everything to the driver at once that a program can do, right and wrong, while devices
 * come and go, the module is unloaded and loaded, and the machine sleeps. Whatever they do has to end, in
 * one of the ways it is allowed to end in; numbers must be of the stream, each for one reader.
 *
 *   stress SEED SECONDS DEADLINE
 *
 * The work is done in rounds, each of the same phases, until so many seconds are over; a round's choices
 * follow from the seed and its number alone. What has not ended by the deadline (in seconds) is hanging.
 * Somebody outside has to wake the machine when it sleeps, and to do as told: "unplug" the device that can be,
 * and "plug" another one in. What is not possible on this kernel (making allocations fail) is left out.
 *
 * In the end it prints how often it has done what.
 */
#include "driver.h"
#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define MODULE "/lib/modules/my_rng.ko"
#define DRIVER "/sys/bus/pci/drivers/my_rng/"
#define DEVICES "/sys/bus/pci/devices/"
#define HWRNG "/sys/class/misc/hw_random/rng_"

enum {
    /* The devices that the guest has: chacha20 as the first, then one of each kind, and the pluggable one. */
    NODES = 4,
    WORKERS = 12,
    FILES = 4,
    SHARED = 16,
    /* Mappings that a worker holds at a time. */
    MAPPINGS = 3,
    BUFFER = 256 << 10,
    /* What is read from the device between two looks at the signals. */
    PIECE = 256,
    /* A call that takes longer than this, in seconds, hangs. */
    HANGS = 90,
};

#define KINDS(KIND)                                                                                          \
    KIND(RAND, "RAND")                                                                                       \
    KIND(RAND_BAD, "RAND, bad pointer")                                                                      \
    KIND(SEED, "SEED")                                                                                       \
    KIND(SEED_BAD, "SEED, bad pointer")                                                                      \
    KIND(UNKNOWN, "unknown ioctl")                                                                           \
    KIND(READ, "read")                                                                                       \
    KIND(READ_BAD, "read, bad pointer")                                                                      \
    KIND(READ_PART, "read, partly bad memory")                                                               \
    KIND(READ_RACE, "read, or memory that goes away")                                                        \
    KIND(READV, "readv, preadv")                                                                             \
    KIND(OPEN, "open")                                                                                       \
    KIND(CLOSE, "close")                                                                                     \
    KIND(SHARE, "file to another thread")                                                                    \
    KIND(POLL, "poll, select, epoll")                                                                        \
    KIND(OTHER, "lseek, write, fallocate")                                                                   \
    KIND(MAP, "mmap")                                                                                        \
    KIND(MAP_BAD, "mmap, refused")                                                                           \
    KIND(UNMAP, "munmap, mremap, mprotect")                                                                  \
    KIND(TOUCH, "access to a mapping")                                                                       \
    KIND(FILL, "FILL")                                                                                       \
    KIND(FILL_BAD, "FILL, bad pointer or part")                                                              \
    KIND(FORK, "process that inherits mappings")                                                             \
    KIND(FDINFO, "fdinfo")                                                                                   \
    KIND(DEBUGFS, "debugfs")                                                                                 \
    KIND(HWRNG_READ, "read of /dev/hwrng")                                                                   \
    KIND(HWRNG_SHOW, "read of rng_*")                                                                        \
    KIND(HWRNG_SET, "write of rng_current")                                                                  \
    KIND(SIGNAL, "signal to another thread")                                                                 \
    KIND(KILL, "process of a reader killed")                                                                 \
    KIND(UNLOAD_BUSY, "unload while open")                                                                   \
    KIND(BIND, "bind")                                                                                       \
    KIND(UNBIND, "unbind")                                                                                   \
    KIND(REMOVE, "remove")                                                                                   \
    KIND(RESCAN, "rescan")                                                                                   \
    KIND(RELOAD, "unload and load")                                                                          \
    KIND(UNPLUG, "hot-unplug and hot-plug")                                                                  \
    KIND(SLEEP, "sleep (S3)")                                                                                \
    KIND(FAIL, "allocation made to fail")

#define KIND_NAME(name, text) name,
enum kind { IDLE, KINDS(KIND_NAME) COUNT };
#undef KIND_NAME

#define KIND_TEXT(name, text) text,
static const char *const texts[] = {"nothing", KINDS(KIND_TEXT)};
#undef KIND_TEXT

static atomic_ulong counts[COUNT];

struct file {
    int fd;
    int mode;
    /* It was mapped, so that there is something to fill. */
    bool is_mapped;
};

/* It may be of a file that was closed, of a device that is gone. */
struct mapping {
    unsigned char *at;
    size_t length;
    bool is_writable;
};

struct worker {
    int number;
    pthread_t thread;
    uint64_t state;
    /* Devices come and go meanwhile: ENODEV is always right. */
    bool churn;
    /* Files stay open from one operation to the next. */
    bool hold;
    int operations;
    struct file files[FILES];
    struct mapping mappings[MAPPINGS];
    unsigned char *buffer;
    /* A page to write to, then one that is read-only, one that is neither, and a hole. */
    char *pages;
    /* For the watchdog. */
    atomic_int tid;
    atomic_int kind;
    atomic_ulong since;
};

/* The last one is the program's own thread. */
static struct worker workers[WORKERS + 1];
static struct worker *const self = &workers[WORKERS];
static pthread_barrier_t start;
static atomic_bool stop;
/* Most of the time nobody opens a file, so that the module can go. */
static atomic_bool away;
/* Files that threads hand to each other: the file descriptor and the mode, or -1. */
static atomic_int shared[SHARED];
/* Memory that comes and goes. */
static unsigned char *flapping;
static long page;
static uint64_t seed;
static int failslab = -1;

/* ---- time, and what takes too much of it ---- */

static uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * UINT64_C(1000) + time.tv_nsec / 1000000;
}

static void show(const char *path)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (length > 0) {
        text[length] = '\0';
        fprintf(stderr, "%s: %s\n", path, text);
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* Tells what everybody is doing, and ends. */
static void hangs(const char *what)
{
    static const char *const files[] = {"wchan", "syscall", "stack"};
    uint64_t time = now();

    fprintf(stderr, "stress: %s\n", what);
    for (struct worker *worker = workers; worker <= self; worker++) {
        int tid = atomic_load(&worker->tid);

        if (tid == 0) {
            continue;
        }
        fprintf(stderr, "thread %d: \"%s\" for %lld ms\n", worker->number, texts[atomic_load(&worker->kind)],
                (long long)(time - atomic_load(&worker->since)));
        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
            char path[64];

            snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, files[i]);
            show(path);
        }
    }
    /* Into the kernel's log: who is blocked, and who has which lock. */
    write_file("/proc/sysrq-trigger", "w");
    write_file("/proc/sysrq-trigger", "d");
    _exit(1);
}

static pthread_mutex_t watch_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t watch_end;
static bool watch_ended;

static void *watch(void *argument)
{
    uint64_t deadline = *(uint64_t *)argument;
    struct timespec next;

    clock_gettime(CLOCK_MONOTONIC, &next);
    pthread_mutex_lock(&watch_mutex);
    while (!watch_ended) {
        uint64_t time;

        next.tv_sec++;
        pthread_cond_timedwait(&watch_end, &watch_mutex, &next);
        time = now();
        for (struct worker *worker = workers; worker <= self; worker++) {
            /* In this order: the time is never from before what is being done. */
            bool busy = atomic_load(&worker->kind) != IDLE;

            if (busy && time > atomic_load(&worker->since) + HANGS * UINT64_C(1000)) {
                hangs("a call does not end");
            }
        }
        if (time > deadline) {
            hangs("the deadline is over");
        }
    }
    pthread_mutex_unlock(&watch_mutex);
    return NULL;
}

static void begin(struct worker *worker, enum kind kind)
{
    atomic_store(&worker->since, now());
    atomic_store(&worker->kind, kind);
    atomic_fetch_add(&counts[kind], 1);
}

static void end(struct worker *worker)
{
    atomic_store(&worker->kind, IDLE);
}

/* ---- choices ---- */

/* SplitMix64. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static unsigned int choose(struct worker *worker, unsigned int limit)
{
    return next(&worker->state) % limit;
}

/* Most are small. */
static size_t choose_length(struct worker *worker)
{
    return choose(worker, 1 << choose(worker, 19));
}

/* ---- what is right ---- */

static bool is_one_of(int error, const int *errors)
{
    while (*errors != 0 && *errors != error) {
        errors++;
    }
    return *errors != 0;
}

#define ERRORS(...) ((const int[]){__VA_ARGS__, 0})

/* Ends the program unless the call has failed in one of these ways. */
static void must_fail(struct worker *worker, ssize_t result, const int *errors, const char *what)
{
    int error = errno;

    CHECK(result == -1 && (is_one_of(error, errors) || (worker->churn && error == ENODEV)), "%s%s: %s, not %s",
          what, worker->churn ? " (devices come and go)" : "",
          result == -1 ? strerrorname_np(error) : "success", strerrorname_np(errors[0]));
}

/* Whether it has succeeded; ends the program if it has failed other than it may. */
static bool may_fail(struct worker *worker, ssize_t result, const int *errors, const char *what)
{
    if (result != -1) {
        return true;
    }
    must_fail(worker, result, errors, what);
    return false;
}

/* A read of so many bytes that has no reason to fail, but may be interrupted, or the device go. */
static bool check_read(struct worker *worker, ssize_t got, size_t length, const char *what)
{
    if (got == -1) {
        /* A signal may come while it waits for its turn. */
        CHECK((worker->churn && errno == ENODEV) || errno == EINTR, "%s: %m", what);
        return false;
    }
    /* The bytes of a number that is not wanted whole come by themselves. */
    CHECK((size_t)got == length || (got > 0 && (size_t)got < length &&
                                    (got % PIECE == 0 || (got % 4 == 0 && length - got < 4))),
          "%s: %zd of %zu", what, got, length);
    return true;
}

/* ---- files ---- */

static void node_path(char *path, size_t size, unsigned int index)
{
    if (index == 0) {
        snprintf(path, size, "/dev/" RNG_NODE);
    } else {
        snprintf(path, size, "/dev/" RNG_NODE "%u", index);
    }
}

static bool open_file(struct worker *worker, struct file *file)
{
    static const int modes[] = {O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY};
    static const int flags[] = {0, 0, O_NONBLOCK, O_APPEND, O_TRUNC, O_NOCTTY, O_SYNC, O_CREAT};
    char path[32];

    begin(worker, OPEN);
    node_path(path, sizeof(path), choose(worker, NODES));
    file->mode = modes[choose(worker, sizeof(modes) / sizeof(modes[0]))];
    file->is_mapped = false;
    /* With O_CREAT a node that is not there just now would become a plain file. */
    file->fd = open(path, file->mode | (flags[choose(worker, worker->churn ? 7 : 8)]) | O_CLOEXEC, 0600);
    if (file->fd == -1) {
        CHECK(worker->churn && (errno == ENOENT || errno == ENODEV || errno == ENXIO), "%s: %m", path);
    }
    end(worker);
    return file->fd != -1;
}

static void close_file(struct worker *worker, struct file *file)
{
    begin(worker, CLOSE);
    CHECK(close(file->fd) == 0, "close: %m");
    file->fd = -1;
    end(worker);
}

/* ---- the operations ---- */

static void *bad_pointer(struct worker *worker, bool to_write)
{
    char *none = worker->pages + 2 * page;

    switch (choose(worker, to_write ? 11 : 9)) {
    case 0:
        return NULL;
    case 1:
        return (void *)(uintptr_t)(1 + choose(worker, 4095));
    case 2:
        return (void *)-1;
    case 3:
        return (void *)(uintptr_t)(0xffff800000000000 | next(&worker->state));
    case 4:
        return (void *)0xffffffff81000000;
    case 5:
        /* Between user space and the kernel. */
        return (void *)(uintptr_t)(0x0000800000000000 + (next(&worker->state) >> 20));
    case 6:
        return none + choose(worker, page);
    case 7:
        return none + page + choose(worker, page - 4);
    case 8:
        /* The last byte of a word is beyond. */
        return none - 3;
    case 9:
        return none - page + choose(worker, page - 4);
    default:
        return none - page - 1;
    }
}

static void do_rand(struct worker *worker, struct file *file)
{
    unsigned char room[8];
    void *pointer = room + choose(worker, 5);
    int result = ioctl(file->fd, RNG_IOCTL_RAND, pointer);

    may_fail(worker, result, ERRORS(0), "RAND");
}

static void do_rand_bad(struct worker *worker, struct file *file)
{
    must_fail(worker, ioctl(file->fd, RNG_IOCTL_RAND, bad_pointer(worker, true)), ERRORS(EFAULT),
              "RAND with a bad pointer");
}

static void do_seed(struct worker *worker, struct file *file)
{
    unsigned int word = next(&worker->state);
    int result = ioctl(file->fd, RNG_IOCTL_SEED, &word);

    if (file->mode == O_RDONLY) {
        must_fail(worker, result, ERRORS(EBADF), "SEED, opened for reading");
    } else {
        may_fail(worker, result, ERRORS(0), "SEED");
    }
}

static void do_seed_bad(struct worker *worker, struct file *file)
{
    /* Word and all in none: a read-only page can be read. */
    void *pointer = bad_pointer(worker, false);

    must_fail(worker, ioctl(file->fd, RNG_IOCTL_SEED, pointer),
              ERRORS(file->mode == O_RDONLY ? EBADF : EFAULT), "SEED with a bad pointer");
}

static void do_unknown(struct worker *worker, struct file *file)
{
    /* Of types for which the kernel has no ioctls for all files. */
    static const char types[] = {'q', 'q', 'p', 'r', 'R', 'i'};
    unsigned long command = _IOC(choose(worker, 4), types[choose(worker, sizeof(types))], choose(worker, 256),
                                 choose(worker, 2) ? 4 : choose(worker, 1 << 14));

    if (command == RNG_IOCTL_RAND || command == RNG_IOCTL_SEED || command == RNG_IOCTL_FILL) {
        command ^= _IOC(0, 0, 4, 0);
    }
    must_fail(worker, ioctl(file->fd, command, choose(worker, 2) ? worker->buffer : bad_pointer(worker, false)),
              ERRORS(ENOTTY), "an unknown ioctl");
}

static void do_read(struct worker *worker, struct file *file)
{
    size_t length = choose_length(worker);
    ssize_t got = read(file->fd, worker->buffer + choose(worker, 9), length);

    if (file->mode == O_WRONLY) {
        must_fail(worker, got, ERRORS(EBADF), "a read, opened for writing");
    } else if (length == 0) {
        CHECK(got == 0, "a read of nothing: %zd (%m)", got);
    } else {
        check_read(worker, got, length, "a read");
    }
}

static void do_read_bad(struct worker *worker, struct file *file)
{
    char *bad;
    size_t length;

    if (file->mode == O_WRONLY) {
        return;
    }
    do {
        bad = bad_pointer(worker, true);
        /* This one is bad from its second byte. */
    } while (bad == worker->pages + page - 1);
    length = 1 + choose(worker, 2000);
    must_fail(worker, read(file->fd, bad, length), ERRORS(EFAULT, EINTR), "a read to bad memory");
}

static void do_read_part(struct worker *worker, struct file *file)
{
    size_t good = 1 + choose(worker, page), length = good + 1 + choose_length(worker);
    ssize_t got;

    if (file->mode == O_WRONLY) {
        return;
    }
    got = read(file->fd, worker->pages + page - good, length);
    check_read(worker, got, good, "a read to partly bad memory");
}

/* Meanwhile others, or this thread, take memory away and give it back. */
static void do_read_race(struct worker *worker, struct file *file)
{
    size_t length = 1 + choose(worker, BUFFER);
    ssize_t got;

    switch (choose(worker, 4)) {
    case 0:
        CHECK(mprotect(flapping + page * choose(worker, BUFFER / page), page,
                       choose(worker, 2) ? PROT_NONE : PROT_READ) == 0, "mprotect: %m");
        return;
    case 1:
        CHECK(mprotect(flapping, BUFFER, PROT_READ | PROT_WRITE) == 0, "mprotect: %m");
        return;
    case 2:
        CHECK(madvise(flapping, BUFFER, MADV_DONTNEED) == 0, "madvise: %m");
        return;
    default:
        break;
    }
    got = read(file->fd, flapping, length);
    if (file->mode == O_WRONLY) {
        must_fail(worker, got, ERRORS(EBADF), "a read, opened for writing");
    } else if (may_fail(worker, got, ERRORS(EFAULT, EINTR), "a read to memory that goes away")) {
        CHECK(got > 0 && (size_t)got <= length, "a read to memory that goes away: %zd of %zu", got, length);
    }
}

static void do_readv(struct worker *worker, struct file *file)
{
    struct iovec vectors[8];
    int count = 1 + choose(worker, 8);
    size_t length = 0;
    ssize_t got;

    for (int i = 0; i < count; i++) {
        vectors[i].iov_len = choose(worker, 1000);
        vectors[i].iov_base = worker->buffer + 2000 * i + choose(worker, 1000);
        length += vectors[i].iov_len;
    }
    switch (choose(worker, 4)) {
    case 0:
        got = preadv(file->fd, vectors, count, next(&worker->state) >> 2);
        break;
    case 1:
        got = preadv2(file->fd, vectors, count, -1, 0);
        break;
    case 2:
        got = pread(file->fd, worker->buffer, length, next(&worker->state) >> 20);
        break;
    default:
        got = readv(file->fd, vectors, count);
        break;
    }
    if (file->mode == O_WRONLY) {
        must_fail(worker, got, ERRORS(EBADF), "readv, opened for writing");
    } else if (length == 0) {
        CHECK(got == 0, "readv of nothing: %zd (%m)", got);
    } else {
        check_read(worker, got, length, "readv");
    }
}

static void do_share(struct worker *worker, struct file *file)
{
    int mine, theirs;

    if (choose(worker, 2) != 0) {
        int copy = dup(file->fd);

        CHECK(copy >= 0, "dup: %m");
        mine = copy << 2 | file->mode;
    } else {
        mine = file->fd << 2 | file->mode;
        file->fd = -1;
    }
    theirs = atomic_exchange(&shared[choose(worker, SHARED)], mine);
    if (theirs != -1) {
        if (file->fd == -1) {
            file->fd = theirs >> 2;
            file->mode = theirs & 3;
            file->is_mapped = false;
        } else {
            CHECK(close(theirs >> 2) == 0, "close of another's file: %m");
        }
    }
}

static void do_poll(struct worker *worker, struct file *file)
{
    struct pollfd ready = {.fd = file->fd, .events = POLLIN};
    struct epoll_event event = {.events = EPOLLIN};
    struct timeval no_time = {0, 0};
    fd_set set;
    int result, epoll;

    switch (choose(worker, 3)) {
    case 0:
        result = poll(&ready, 1, 0);
        CHECK(result == 1 && ready.revents == POLLIN, "poll: %d, 0x%x (%m)", result, ready.revents);
        break;
    case 1:
        FD_ZERO(&set);
        FD_SET(file->fd, &set);
        result = select(file->fd + 1, &set, NULL, NULL, &no_time);
        CHECK(result == 1 && FD_ISSET(file->fd, &set), "select: %d (%m)", result);
        break;
    default:
        epoll = epoll_create1(EPOLL_CLOEXEC);
        CHECK(epoll >= 0, "epoll_create1: %m");
        CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, file->fd, &event) == -1 && errno == EPERM, "epoll_ctl: %m");
        close(epoll);
        break;
    }
}

static void do_other(struct worker *worker, struct file *file)
{
    switch (choose(worker, 3)) {
    case 0:
        must_fail(worker, lseek(file->fd, next(&worker->state), choose(worker, 5)), ERRORS(ESPIPE), "lseek");
        break;
    case 1:
        must_fail(worker, write(file->fd, worker->buffer, choose_length(worker)),
                  ERRORS(file->mode == O_RDONLY ? EBADF : EINVAL), "write");
        break;
    default:
        must_fail(worker, fallocate(file->fd, 0, 0, 4), ERRORS(file->mode == O_RDONLY ? EBADF : ENODEV),
                  "fallocate");
        break;
    }
}

/* Whatever has become of the file and the device, the pages are there. */
static void touch(const struct mapping *mapping, size_t at)
{
    volatile unsigned char *byte = mapping->at + at % mapping->length;

    if (mapping->is_writable) {
        *byte ^= 0x5a;
    }
    (void)*byte;
}

static void unmap(struct mapping *mapping)
{
    if (mapping->at != NULL) {
        CHECK(munmap(mapping->at, mapping->length) == 0, "munmap: %m");
        mapping->at = NULL;
    }
}

static void do_map(struct worker *worker, struct file *file)
{
    struct mapping *mapping = &worker->mappings[choose(worker, MAPPINGS)];
    size_t length = page * (1 + choose(worker, RNG_BULK_MAX_BYTES / page));
    int protection = file->mode == O_RDWR ? PROT_READ | PROT_WRITE : PROT_READ;
    void *at;

    unmap(mapping);
    at = mmap(NULL, length, protection, MAP_SHARED | (choose(worker, 4) ? 0 : MAP_POPULATE), file->fd, 0);
    if (file->mode == O_WRONLY) {
        must_fail(worker, at == MAP_FAILED ? -1 : 0, ERRORS(EACCES), "mmap, opened for writing");
        return;
    }
    if (may_fail(worker, at == MAP_FAILED ? -1 : 0, ERRORS(0), "mmap")) {
        *mapping = (struct mapping){.at = at, .length = length, .is_writable = file->mode == O_RDWR};
        file->is_mapped = true;
        touch(mapping, next(&worker->state) >> 1);
    }
}

static void do_map_bad(struct worker *worker, struct file *file)
{
    size_t length = page;
    off_t offset = 0;
    int flags = MAP_SHARED;
    void *at;

    switch (choose(worker, 3)) {
    case 0:
        flags = MAP_PRIVATE;
        break;
    case 1:
        offset = page * (1 + choose(worker, 100));
        break;
    default:
        length = RNG_BULK_MAX_BYTES + page * (1 + choose(worker, 100));
        break;
    }
    at = mmap(NULL, length, PROT_READ, flags, file->fd, offset);
    must_fail(worker, at == MAP_FAILED ? -1 : 0, ERRORS(file->mode == O_WRONLY ? EACCES : EINVAL),
              "mmap that is to be refused");
}

/* A mapping goes, or is changed. */
static void do_unmap(struct worker *worker)
{
    struct mapping *mapping = &worker->mappings[choose(worker, MAPPINGS)];
    void *at;

    if (mapping->at == NULL) {
        return;
    }
    switch (choose(worker, 4)) {
    case 0:
        /* As far as the file goes it would have to ask the driver, which has no say in that. */
        at = mremap(mapping->at, mapping->length, mapping->length + page, MREMAP_MAYMOVE);
        must_fail(worker, at == MAP_FAILED ? -1 : 0, ERRORS(EFAULT), "mremap to more");
        break;
    case 1:
        if (mapping->length > (size_t)page) {
            at = mremap(mapping->at, mapping->length, page, 0);
            CHECK(at == mapping->at, "mremap to less: %m");
            mapping->length = page;
        }
        break;
    case 2:
        CHECK(mprotect(mapping->at, page, PROT_READ) == 0, "mprotect: %m");
        mapping->is_writable = false;
        CHECK(mprotect(mapping->at, page, PROT_READ | PROT_EXEC) == -1 && errno == EACCES, "mprotect: %m");
        break;
    default:
        unmap(mapping);
        break;
    }
}

static void do_touch(struct worker *worker)
{
    struct mapping *mapping = &worker->mappings[choose(worker, MAPPINGS)];

    if (mapping->at == NULL) {
        return;
    }
    switch (choose(worker, 4)) {
    case 0:
        memcpy(worker->buffer, mapping->at, mapping->length);
        break;
    case 1:
        if (mapping->is_writable) {
            memset(mapping->at, choose(worker, 256), mapping->length);
        }
        break;
    default:
        touch(mapping, next(&worker->state) >> 1);
        break;
    }
}

static void do_fill(struct worker *worker, struct file *file)
{
    unsigned int start = choose(worker, RNG_BULK_MAX_BYTES) & ~3u;
    unsigned int length = choose(worker, 2) ? choose_length(worker) & ~3u : RNG_BULK_MAX_BYTES;
    unsigned int part[2] = {start, length <= RNG_BULK_MAX_BYTES - start ? length : RNG_BULK_MAX_BYTES - start};

    /* Another thread that has the file may have mapped it. */
    may_fail(worker, ioctl(file->fd, RNG_IOCTL_FILL, part), file->is_mapped ? ERRORS(EINTR) : ERRORS(EINVAL, EINTR), "FILL");
}

static void do_fill_bad(struct worker *worker, struct file *file)
{
    static const unsigned int parts[][2] = {
        {1, 4}, {4, 2}, {RNG_BULK_MAX_BYTES, 4}, {4, RNG_BULK_MAX_BYTES}, {UINT_MAX - 3, 4}, {UINT_MAX - 3, 8},
        {0, UINT_MAX - 3},
    };

    if (choose(worker, 2) != 0) {
        must_fail(worker, ioctl(file->fd, RNG_IOCTL_FILL, bad_pointer(worker, false)), ERRORS(EFAULT),
                  "FILL with a bad pointer");
    } else {
        must_fail(worker, ioctl(file->fd, RNG_IOCTL_FILL, parts[choose(worker, sizeof(parts) / sizeof(parts[0]))]),
                  ERRORS(EINVAL), "FILL of a bad part");
    }
}

static void do_fdinfo(struct worker *worker, struct file *file)
{
    char text[1024];

    (void)worker;
    CHECK(fdinfo(file->fd, "words", text, sizeof(text)) != NULL, "fdinfo has no my_rng-words");
}

static void do_debugfs(struct worker *worker)
{
    static const char *const files[] = {"device", "generator", "words", "seeds"};
    char path[96], text[64];
    int fd;
    ssize_t got;

    node_path(text, sizeof(text), choose(worker, NODES));
    snprintf(path, sizeof(path), "/sys/kernel/debug%s/%s", text + strlen("/dev"), files[choose(worker, 4)]);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1) {
        CHECK(worker->churn && (errno == ENOENT || errno == EIO || errno == ENODEV), "%s: %m", path);
        return;
    }
    got = read(fd, text, sizeof(text));
    CHECK((got > 1 && text[got - 1] == '\n') || (worker->churn && got == -1 && (errno == EIO || errno == ENODEV)),
          "%s: %zd (%m)", path, got);
    close(fd);
}

static void do_hwrng_read(struct worker *worker)
{
    int fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC | (choose(worker, 2) ? O_NONBLOCK : 0));
    size_t length = 1 + choose(worker, 300);
    ssize_t got;

    CHECK(fd >= 0, "/dev/hwrng: %m");
    got = read(fd, choose(worker, 8) ? (void *)worker->buffer : NULL, length);
    /* There is none while rng_current is "none". */
    if (may_fail(worker, got, ERRORS(ENODEV, EFAULT, EINTR, EAGAIN), "a read of /dev/hwrng")) {
        CHECK(got > 0 && (size_t)got <= length, "a read of /dev/hwrng: %zd of %zu", got, length);
    }
    close(fd);
}

static void do_hwrng_show(struct worker *worker)
{
    static const char *const files[] = {HWRNG "current", HWRNG "available", HWRNG "selected", HWRNG "quality"};
    const char *path = files[choose(worker, 4)];
    char text[512];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0, "%s: %m", path);
    may_fail(worker, read(fd, text, sizeof(text)), ERRORS(ENODEV, EINTR), path);
    close(fd);
}

static void do_hwrng_set(struct worker *worker)
{
    static const char *const names[] = {"none", "", "my_rng_driver", "my_rng_driver1", "my_rng_driver2",
                                        "my_rng_driver3", "no_such_rng"};
    const char *name = names[choose(worker, sizeof(names) / sizeof(names[0]))];
    char line[32];
    int error;

    snprintf(line, sizeof(line), "%s\n", name);
    error = write_file(HWRNG "current", line);
    CHECK(error == 0 || error == ENODEV || error == EINTR, "rng_current to \"%s\": %s", name, strerror(error));
}

static void do_signal(struct worker *worker)
{
    int tid = atomic_load(&workers[choose(worker, WORKERS)].tid);

    /* It may have ended. */
    CHECK(tid == 0 || tgkill(getpid(), tid, SIGUSR1) == 0 || errno == ESRCH, "tgkill: %m");
}

static void do_kill(struct worker *worker, struct file *file)
{
    pid_t child;
    int status;

    if (file->mode == O_WRONLY) {
        return;
    }
    child = fork();
    CHECK(child >= 0, "fork: %m");
    if (child == 0) {
        while (read(file->fd, worker->buffer, BUFFER) > 0) {
        }
        _exit(0);
    }
    CHECK(kill(child, SIGKILL) == 0, "kill: %m");
    while (waitpid(child, &status, 0) == -1) {
        CHECK(errno == EINTR, "waitpid: %m");
    }
    CHECK(WIFSIGNALED(status) || worker->churn, "a process that was killed: %d", status);
}

/* A process that uses the mappings it has inherited, and ends, or is killed, in the middle of it. */
static void do_fork(struct worker *worker, struct file *file)
{
    unsigned int part[2] = {0, RNG_BULK_MAX_BYTES};
    bool to_kill = choose(worker, 2) != 0;
    pid_t child = fork();
    int status;

    CHECK(child >= 0, "fork: %m");
    if (child == 0) {
        int error = 0;

        do {
            for (int i = 0; i < MAPPINGS; i++) {
                if (worker->mappings[i].at != NULL) {
                    touch(&worker->mappings[i], worker->state);
                }
            }
            if (ioctl(file->fd, RNG_IOCTL_FILL, part) == -1) {
                error = errno;
            }
        } while (to_kill && error == 0);
        _exit(error);
    }
    if (to_kill) {
        CHECK(kill(child, SIGKILL) == 0, "kill: %m");
    }
    while (waitpid(child, &status, 0) == -1) {
        CHECK(errno == EINTR, "waitpid: %m");
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        errno = WEXITSTATUS(status);
        must_fail(worker, -1, file->is_mapped ? ERRORS(0) : ERRORS(EINVAL), "FILL of a process");
    } else {
        CHECK(WIFEXITED(status) || (to_kill && WTERMSIG(status) == SIGKILL), "a process with mappings: %d",
              status);
    }
}

static int unload(void)
{
    return syscall(SYS_delete_module, "my_rng", O_NONBLOCK);
}

static void do_unload_busy(struct worker *worker)
{
    /* Its files keep the module; but it may be about to come, or others be at it. */
    if (worker->churn) {
        must_fail(worker, unload(), ERRORS(EWOULDBLOCK, EBUSY, EINTR), "unloading with a file open");
    } else {
        must_fail(worker, unload(), ERRORS(EWOULDBLOCK, EINTR), "unloading with a file open");
    }
}

/* How often each is chosen, of the sum of all. */
static const struct {
    enum kind kind;
    unsigned int weight;
} choices[] = {
    {RAND, 200},     {RAND_BAD, 60},   {SEED, 60},       {SEED_BAD, 40},  {UNKNOWN, 60},  {READ, 200},
    {READ_BAD, 60},  {READ_PART, 60},  {READ_RACE, 120}, {READV, 60},     {OPEN, 100},    {CLOSE, 60},
    {SHARE, 60},     {POLL, 40},       {OTHER, 40},      {FDINFO, 40},    {DEBUGFS, 40},  {HWRNG_READ, 30},
    {HWRNG_SHOW, 30}, {HWRNG_SET, 10}, {SIGNAL, 120},    {KILL, 4},       {UNLOAD_BUSY, 10}, {MAP, 60},
    {MAP_BAD, 30},   {UNMAP, 60},      {TOUCH, 100},     {FILL, 120},     {FILL_BAD, 40},    {FORK, 4},
};

static enum kind choose_kind(struct worker *worker)
{
    static unsigned int sum;
    unsigned int at;

    if (sum == 0) {
        unsigned int total = 0;

        for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
            total += choices[i].weight;
        }
        sum = total;
    }
    at = choose(worker, sum);
    for (size_t i = 0;; i++) {
        if (at < choices[i].weight) {
            return choices[i].kind;
        }
        at -= choices[i].weight;
    }
}

static void operate(struct worker *worker)
{
    enum kind kind = choose_kind(worker);
    struct file *file = &worker->files[choose(worker, FILES)];

    bool with_file = file->fd != -1 || ((!atomic_load(&away) || choose(worker, 16) == 0) && open_file(worker, file));

    if (!with_file && kind != SIGNAL && kind != HWRNG_SHOW && kind != HWRNG_READ && kind != DEBUGFS &&
        kind != UNMAP && kind != TOUCH) {
        /* All others want a device. */
        sched_yield();
        return;
    }
    if (kind == SHARE && !worker->hold) {
        kind = CLOSE;
    }
    if (kind == OPEN || kind == CLOSE) {
        if (file->fd != -1) {
            close_file(worker, file);
        }
        if (kind == OPEN && worker->hold) {
            open_file(worker, file);
        }
        return;
    }
    begin(worker, kind);
    switch (kind) {
    case RAND: do_rand(worker, file); break;
    case RAND_BAD: do_rand_bad(worker, file); break;
    case SEED: do_seed(worker, file); break;
    case SEED_BAD: do_seed_bad(worker, file); break;
    case UNKNOWN: do_unknown(worker, file); break;
    case READ: do_read(worker, file); break;
    case READ_BAD: do_read_bad(worker, file); break;
    case READ_PART: do_read_part(worker, file); break;
    case READ_RACE: do_read_race(worker, file); break;
    case READV: do_readv(worker, file); break;
    case SHARE: do_share(worker, file); break;
    case POLL: do_poll(worker, file); break;
    case OTHER: do_other(worker, file); break;
    case FDINFO: do_fdinfo(worker, file); break;
    case DEBUGFS: do_debugfs(worker); break;
    case HWRNG_READ: do_hwrng_read(worker); break;
    case HWRNG_SHOW: do_hwrng_show(worker); break;
    case HWRNG_SET: do_hwrng_set(worker); break;
    case SIGNAL: do_signal(worker); break;
    case KILL: do_kill(worker, file); break;
    case MAP: do_map(worker, file); break;
    case MAP_BAD: do_map_bad(worker, file); break;
    case UNMAP: do_unmap(worker); break;
    case TOUCH: do_touch(worker); break;
    case FILL: do_fill(worker, file); break;
    case FILL_BAD: do_fill_bad(worker, file); break;
    case FORK: do_fork(worker, file); break;
    default: do_unload_busy(worker); break;
    }
    end(worker);
    if (!worker->hold) {
        if (file->fd != -1) {
            close_file(worker, file);
        }
        /* They keep files open, too. */
        for (int i = 0; i < MAPPINGS; i++) {
            unmap(&worker->mappings[i]);
        }
    }
}

/* ---- the threads ---- */

static void *work(void *argument)
{
    struct worker *worker = argument;

    atomic_store(&worker->tid, gettid());
    pthread_barrier_wait(&start);
    for (int i = 0; worker->operations == 0 ? !atomic_load(&stop) : i < worker->operations; i++) {
        operate(worker);
    }
    for (int i = 0; i < FILES; i++) {
        if (worker->files[i].fd != -1) {
            close_file(worker, &worker->files[i]);
        }
    }
    for (int i = 0; i < MAPPINGS; i++) {
        unmap(&worker->mappings[i]);
    }
    atomic_store(&worker->tid, 0);
    return NULL;
}

/* Without a number of operations they go on until they are to stop. */
static void start_workers(int round, int phase, int operations, bool churn, bool hold)
{
    CHECK(pthread_barrier_init(&start, NULL, WORKERS + 1) == 0, "barrier");
    atomic_store(&stop, false);
    for (int i = 0; i < WORKERS; i++) {
        struct worker *worker = &workers[i];

        worker->state = ((seed + round) << 16) + 256 * phase + i;
        worker->operations = operations;
        worker->churn = churn;
        worker->hold = hold;
        CHECK(pthread_create(&worker->thread, NULL, work, worker) == 0, "thread");
    }
    self->state = ((seed + round) << 16) + 256 * phase + 255;
    self->churn = churn;
    pthread_barrier_wait(&start);
}

static void join_workers(void)
{
    atomic_store(&stop, true);
    for (int i = 0; i < WORKERS; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0, "join");
    }
    CHECK(pthread_barrier_destroy(&start) == 0, "barrier");
    for (int i = 0; i < SHARED; i++) {
        int file = atomic_exchange(&shared[i], -1);

        if (file != -1) {
            CHECK(close(file >> 2) == 0, "close: %m");
        }
    }
}

/* ---- the devices ---- */

static char addresses[NODES][16];

static int read_id(const char *address, const char *name)
{
    char path[96], text[32], *value;

    snprintf(path, sizeof(path), DEVICES "%s/%s", address, name);
    value = file_value(path, "", text, sizeof(text));
    return value == NULL ? -1 : (int)strtol(value, NULL, 0);
}

/* How many devices there are; their addresses. */
static int find_devices(char found[NODES][16])
{
    DIR *folder = opendir(DEVICES);
    struct dirent *entry;
    int count = 0;

    CHECK(folder != NULL, DEVICES ": %m");
    while ((entry = readdir(folder)) != NULL) {
        if (strlen(entry->d_name) < 16 && read_id(entry->d_name, "vendor") == 0x1234 &&
            read_id(entry->d_name, "device") == 0xcafe) {
            CHECK(count < NODES, "there are more devices than %d", NODES);
            if (found != NULL) {
                strcpy(found[count], entry->d_name);
            }
            count++;
        }
    }
    closedir(folder);
    return count;
}

static bool is_bound(const char *address)
{
    char path[64];

    snprintf(path, sizeof(path), DRIVER "%s", address);
    return access(path, F_OK) == 0;
}

/* Waits until there are so many; the watchdog looks at the time. */
static void wait_for_devices(int count)
{
    while (find_devices(NULL) != count) {
        sched_yield();
    }
}

/* Whatever is missing comes back: devices, their driver, their nodes. */
static void restore(void)
{
    char found[NODES][16];
    bool complete;
    int error = write_file("/sys/bus/pci/rescan", "1");

    CHECK(error == 0, "rescan: %s", strerror(error));
    wait_for_devices(NODES);
    find_devices(found);
    do {
        complete = true;
        for (int i = 0; i < NODES; i++) {
            char path[32];

            if (!is_bound(found[i])) {
                error = write_file(DRIVER "bind", found[i]);
                CHECK(error == 0 || error == EBUSY || error == ENODEV, "binding %s: %s", found[i],
                      strerror(error));
            }
            node_path(path, sizeof(path), i);
            complete = complete && is_bound(found[i]) && access(path, F_OK) == 0;
        }
    } while (!complete);
}

/* One thing that makes devices come and go, other than somebody outside. */
static void churn(struct worker *worker)
{
    const char *address = addresses[choose(worker, NODES)];
    char path[64];
    int error;

    switch (choose(worker, 8)) {
    case 0:
    case 1:
    case 2:
        begin(worker, UNBIND);
        error = write_file(DRIVER "unbind", address);
        CHECK(error == 0 || error == ENODEV || error == ENOENT, "unbinding %s: %s", address, strerror(error));
        break;
    case 3:
    case 4:
    case 5:
        begin(worker, BIND);
        error = write_file(DRIVER "bind", address);
        /* EBUSY: it is bound already. */
        CHECK(error == 0 || error == ENODEV || error == EBUSY || error == ENOENT, "binding %s: %s", address,
              strerror(error));
        break;
    case 6:
        begin(worker, REMOVE);
        snprintf(path, sizeof(path), DEVICES "%s/remove", address);
        error = write_file(path, "1");
        CHECK(error == 0 || error == ENOENT || error == ENODEV, "removing %s: %s", address, strerror(error));
        break;
    default:
        begin(worker, RESCAN);
        error = write_file("/sys/bus/pci/rescan", "1");
        CHECK(error == 0, "rescan: %s", strerror(error));
        break;
    }
    end(worker);
}

/* ---- the phases ---- */

enum { READERS = 8, FILLED = 4096, WORDS = 4000, TOTAL = READERS * WORDS, SEEDERS = 2, SEEDINGS = 200 };

static uint32_t got[READERS][WORDS];
static uint32_t expected[SEEDERS][TOTAL];
static const uint32_t seeds[SEEDERS] = {0x42, 0xfeedf00d};
static int node;

static void *exact_reader(void *argument)
{
    struct worker *worker = argument;
    uint32_t *words = got[worker->number];
    bool own = worker->number % 2;
    int fd = own ? open_node("/dev/" RNG_NODE) : node;
    /* Each has a part of the pages of the file that some share. */
    unsigned int part[2] = {own ? 0 : worker->number * FILLED, 0};
    unsigned char *memory = mmap(NULL, READERS * FILLED, PROT_READ, MAP_SHARED, fd, 0);

    CHECK(memory != MAP_FAILED, "mmap: %m");
    atomic_store(&worker->tid, gettid());
    pthread_barrier_wait(&start);
    for (size_t done = 0, length; done < WORDS; done += length) {
        length = 1 + choose(worker, 200);
        if (length > WORDS - done) {
            length = WORDS - done;
        }
        if (choose(worker, 2) != 0) {
            length = 1;
            begin(worker, RAND);
            words[done] = node_rand(fd);
        } else if (choose(worker, 3) == 0) {
            begin(worker, FILL);
            part[1] = 4 * length;
            CHECK(ioctl(fd, RNG_IOCTL_FILL, part) == 0, "FILL: %m");
            memcpy(words + done, memory + part[0], part[1]);
        } else if (length > 1 && choose(worker, 3) == 0) {
            /* In two pieces that are not of whole words. */
            size_t first = 1 + choose(worker, 4 * length - 1);
            struct iovec vectors[] = {{words + done, first},
                                      {(char *)(words + done) + first, 4 * length - first}};
            ssize_t bytes;

            begin(worker, READV);
            bytes = readv(fd, vectors, 2);
            CHECK(bytes == (ssize_t)(4 * length), "readv: %zd (%m)", bytes);
        } else {
            ssize_t bytes;

            begin(worker, READ);
            bytes = read(fd, words + done, 4 * length);
            CHECK(bytes == (ssize_t)(4 * length), "read: %zd (%m)", bytes);
        }
        end(worker);
    }
    CHECK(munmap(memory, READERS * FILLED) == 0, "munmap: %m");
    if (own) {
        close(fd);
    }
    atomic_store(&worker->tid, 0);
    return NULL;
}

static void *seeder(void *argument)
{
    struct worker *worker = argument;

    atomic_store(&worker->tid, gettid());
    pthread_barrier_wait(&start);
    for (int i = 0; i < SEEDINGS; i++) {
        begin(worker, SEED);
        node_seed(node, seeds[worker->number - READERS]);
        end(worker);
    }
    atomic_store(&worker->tid, 0);
    return NULL;
}

static void run_readers(int round, int phase, int seeders)
{
    CHECK(pthread_barrier_init(&start, NULL, READERS + seeders) == 0, "barrier");
    for (int i = 0; i < READERS + seeders; i++) {
        workers[i].state = ((seed + round) << 16) + 256 * phase + i;
        CHECK(pthread_create(&workers[i].thread, NULL, i < READERS ? exact_reader : seeder, &workers[i]) == 0,
              "thread");
    }
    for (int i = 0; i < READERS + seeders; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0, "join");
    }
    CHECK(pthread_barrier_destroy(&start) == 0, "barrier");
}

/* What one reader gets by itself, which the model has to confirm. */
static void read_reference(uint32_t *words, uint32_t from)
{
    struct chacha20 model;

    node_seed(node, from);
    CHECK(read(node, words, 4 * TOTAL) == 4 * TOTAL, "a read: %m");
    chacha20_seed(&model, from);
    for (int i = 0; i < TOTAL; i++) {
        uint32_t word = chacha20_next(&model);

        CHECK(words[i] == word, "word %d of seed 0x%x is %u, not %u", i, from, words[i], word);
    }
}

/* Together, readers get exactly the stream, each in its order. */
static void exact(int round)
{
    uint64_t counted = fdinfo_number(node, "words");
    uint32_t from = (uint32_t)(seed + round) * 2654435761u;

    node_seed(node, from);
    run_readers(round, 1, 0);
    CHECK(fdinfo_number(node, "words") == counted + TOTAL, "the driver has counted %llu words, not %d",
          (unsigned long long)(fdinfo_number(node, "words") - counted), TOTAL);
    read_reference(expected[0], from);
    check_shared(got[0], READERS, WORDS, expected[0]);
}

/* While some seed, every word is of one of their streams. */
static void seeding(int round)
{
    for (int i = 0; i < SEEDERS; i++) {
        read_reference(expected[i], seeds[i]);
        qsort(expected[i], TOTAL, sizeof(expected[i][0]), compare_words);
    }
    node_seed(node, seeds[0]);
    run_readers(round, 2, SEEDERS);
    for (int i = 0; i < READERS; i++) {
        for (int j = 0; j < WORDS; j++) {
            bool known = false;

            for (int k = 0; k < SEEDERS && !known; k++) {
                known = bsearch(&got[i][j], expected[k], TOTAL, sizeof(expected[k][0]), compare_words) != NULL;
            }
            CHECK(known, "0x%08x is of none of the streams", got[i][j]);
        }
    }
}

/*
 * Puts the machine to sleep, from which somebody outside wakes it. With several processors it stays awake: one in
 * ten times the second would be lost in the firmware, with any device, and slow the first one down.
 */
static bool machine_sleeps(void)
{
    int error;

    if (sysconf(_SC_NPROCESSORS_ONLN) > 1) {
        return false;
    }
    begin(self, SLEEP);
    error = write_file("/sys/power/state", "mem");
    CHECK(error == 0, "falling asleep: %s", strerror(error));
    end(self);
    return true;
}

/* Woken, the first device is as it was when it was switched on, and what was mapped is, too. */
static void sleep_alone(void)
{
    enum { NUMBERS = RNG_BULK_MAX_BYTES / 4 };
    uint32_t *numbers = (uint32_t *)self->buffer;
    unsigned int part[2] = {0, RNG_BULK_MAX_BYTES};
    uint32_t *memory = mmap(NULL, RNG_BULK_MAX_BYTES, PROT_READ, MAP_SHARED, node, 0);
    struct chacha20 model;

    CHECK(memory != MAP_FAILED, "mmap: %m");
    node_seed(node, 0x42);
    CHECK(ioctl(node, RNG_IOCTL_FILL, part) == 0, "FILL: %m");
    if (machine_sleeps()) {
        chacha20_seed(&model, 0x42);
        for (int i = 0; i < NUMBERS; i++) {
            CHECK(memory[i] == chacha20_next(&model), "word %d from before sleep is wrong", i);
        }
        chacha20_seed(&model, RNG_DEFAULT_SEED);
        for (int i = 0; i < 100; i++) {
            CHECK(node_rand(node) == chacha20_next(&model), "word %d after sleep is wrong", i);
        }
        CHECK(ioctl(node, RNG_IOCTL_FILL, part) == 0, "FILL after sleep: %m");
        CHECK(read(node, numbers, RNG_BULK_MAX_BYTES) == RNG_BULK_MAX_BYTES, "a read after sleep: %m");
        for (int i = 0; i < NUMBERS; i++) {
            CHECK(memory[i] == chacha20_next(&model), "word %d of FILL after sleep is wrong", i);
        }
        for (int i = 0; i < NUMBERS; i++) {
            CHECK(numbers[i] == chacha20_next(&model), "word %d of a read after sleep is wrong", i);
        }
    }
    CHECK(munmap(memory, RNG_BULK_MAX_BYTES) == 0, "munmap: %m");
}

/* Everything at once, of devices that stay. */
static void everything(int round, int operations)
{
    start_workers(round, 3, operations, false, true);
    join_workers();
}

static void unplug_and_plug(void)
{
    begin(self, UNPLUG);
    puts("unplug");
    wait_for_devices(NODES - 1);
    puts("plug");
    wait_for_devices(NODES);
    end(self);
}

/* Everything at once, of devices that come and go; in the middle of it the machine sleeps. */
static void comings_and_goings(int round, int times)
{
    restore();
    find_devices(addresses);
    start_workers(round, 4, 0, true, true);
    for (int i = 0; i < times; i++) {
        churn(self);
    }
    machine_sleeps();
    /* Only a device that is there can be unplugged. */
    restore();
    unplug_and_plug();
    for (int i = 0; i < times; i++) {
        churn(self);
    }
    join_workers();
    restore();
}

/* Chooses the generator whose name is in the buffer, and none, in turn. */
static void *chooser(void *argument)
{
    struct worker *worker = argument;

    atomic_store(&worker->tid, gettid());
    pthread_barrier_wait(&start);
    for (int i = worker->number; !atomic_load(&stop); i++) {
        int error;

        begin(worker, HWRNG_SET);
        error = write_file(HWRNG "current", i % 2 == 0 ? "none\n" : (char *)worker->buffer);
        CHECK(error == 0 || error == ENODEV || error == EINTR, "rng_current: %s", strerror(error));
        end(worker);
    }
    atomic_store(&worker->tid, 0);
    return NULL;
}

/* Reads from whatever generator is the current one, and its name. */
static void *looker(void *argument)
{
    struct worker *worker = argument;

    atomic_store(&worker->tid, gettid());
    pthread_barrier_wait(&start);
    while (!atomic_load(&stop)) {
        begin(worker, HWRNG_SHOW);
        do_hwrng_show(worker);
        end(worker);
        begin(worker, HWRNG_READ);
        do_hwrng_read(worker);
        end(worker);
    }
    atomic_store(&worker->tid, 0);
    return NULL;
}

/* The host's generator comes and goes while it is made the current one of hw_random, unmade, and in use. */
static void choosing(int times)
{
    enum { CHOOSERS = 2, LOOKERS = 2 };
    char name[32], path[64], text[64], *value, host[16];
    bool found = false;

    for (int i = 0; i < NODES && !found; i++) {
        node_path(name, sizeof(name), i);
        snprintf(path, sizeof(path), "/sys/kernel/debug%s/generator", name + strlen("/dev"));
        value = file_value(path, "", text, sizeof(text));
        found = value != NULL && strcmp(value, "host") == 0;
    }
    CHECK(found, "there is no device with the host's generator");
    snprintf(path, sizeof(path), "/sys/kernel/debug%s/device", name + strlen("/dev"));
    value = file_value(path, "", text, sizeof(text));
    CHECK(value != NULL && strlen(value) < sizeof(host), "%s: %m", path);
    strcpy(host, value);

    CHECK(pthread_barrier_init(&start, NULL, CHOOSERS + LOOKERS + 1) == 0, "barrier");
    atomic_store(&stop, false);
    for (int i = 0; i < CHOOSERS + LOOKERS; i++) {
        snprintf((char *)workers[i].buffer, BUFFER, "%s\n", name + strlen("/dev/"));
        CHECK(pthread_create(&workers[i].thread, NULL, i < CHOOSERS ? chooser : looker, &workers[i]) == 0, "thread");
    }
    pthread_barrier_wait(&start);
    for (int i = 0; i < times; i++) {
        int error;

        begin(self, UNBIND);
        error = write_file(DRIVER "unbind", host);
        CHECK(error == 0, "unbinding %s: %s", host, strerror(error));
        end(self);
        begin(self, BIND);
        error = write_file(DRIVER "bind", host);
        CHECK(error == 0, "binding %s: %s", host, strerror(error));
        end(self);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < CHOOSERS + LOOKERS; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0, "join");
    }
    CHECK(pthread_barrier_destroy(&start) == 0, "barrier");
}

/* The module goes and comes under the hands of those who open its nodes. */
static void reloading(int round, int times)
{
    int module = open(MODULE, O_RDONLY | O_CLOEXEC);

    CHECK(module >= 0, MODULE ": %m");
    start_workers(round, 5, 0, true, false);
    for (int i = 0; i < times; i++) {
        begin(self, RELOAD);
        atomic_store(&away, true);
        while (unload() == -1) {
            CHECK(errno == EWOULDBLOCK, "unloading: %m");
            sched_yield();
        }
        atomic_store(&away, false);
        /* With the parameter, hw_random has the seeded one too. */
        CHECK(syscall(SYS_finit_module, module, i % 2 == 0 ? "seeded_hwrng=1" : "", 0) == 0, "loading: %m");
        end(self);
    }
    join_workers();
    close(module);
    restore();
}

/* ---- allocations that fail ---- */

static void fail_open(void)
{
    int fd = open("/dev/" RNG_NODE, O_RDWR | O_CLOEXEC);

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
    fd = open("/dev/" RNG_NODE, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        /* The first, for which memory is made; it goes without, too. */
        CHECK(read(fd, text, sizeof(text)) == sizeof(text), "the first read: %m");
        close(fd);
    }
}

static void fail_map(void)
{
    unsigned int part[2] = {0, RNG_BULK_MAX_BYTES};
    int fd = open("/dev/" RNG_NODE, O_RDWR | O_CLOEXEC);
    char *at;

    if (fd < 0) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        at = mmap(NULL, RNG_BULK_MAX_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at != MAP_FAILED) {
            CHECK(ioctl(fd, RNG_IOCTL_FILL, part) == 0 || errno == ENOMEM, "FILL without memory: %m");
            munmap(at, RNG_BULK_MAX_BYTES);
        } else {
            CHECK(errno == ENOMEM, "mmap without memory: %m");
        }
    }
    close(fd);
}

static void fail_read(void)
{
    char text[1024];

    fdinfo(node, "words", text, sizeof(text));
    /* What has come is as good as any. */
    CHECK(read(node, text, sizeof(text)) == sizeof(text), "a read: %m");
}

static void fail_load(void)
{
    int module = open(MODULE, O_RDONLY | O_CLOEXEC);

    unload();
    if (module >= 0) {
        syscall(SYS_finit_module, module, "", 0);
        close(module);
    }
}

/* Does it over and over, each time with the next of its allocations failing, until none does. */
static void fail_each(void (*action)(void))
{
    for (int nth = 1;; nth++) {
        char text[16];
        int length = snprintf(text, sizeof(text), "%d", nth);
        bool failed;

        begin(self, FAIL);
        CHECK(pwrite(failslab, text, length, 0) == length, "fail-nth: %m");
        action();
        memset(text, 0, sizeof(text));
        CHECK(pread(failslab, text, sizeof(text) - 1, 0) > 0, "fail-nth: %m");
        failed = atoi(text) == 0;
        CHECK(pwrite(failslab, "0", 1, 0) == 1, "fail-nth: %m");
        end(self);
        if (!failed) {
            return;
        }
    }
}

static void failing_allocations(void)
{
    int module;

    if (failslab == -1) {
        return;
    }
    find_devices(addresses);
    fail_each(fail_open);
    fail_each(fail_map);
    fail_each(fail_read);
    fail_each(fail_bind);
    restore();
    close(node);
    fail_each(fail_load);
    /* The last one has succeeded, or left it as it was. */
    module = open(MODULE, O_RDONLY | O_CLOEXEC);
    CHECK(syscall(SYS_finit_module, module, "", 0) == 0 || errno == EEXIST, "loading: %m");
    close(module);
    restore();
    node = open_node("/dev/" RNG_NODE);
}

/* ---- */

static void on_signal(int signal)
{
    (void)signal;
}

static void prepare(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    page = sysconf(_SC_PAGESIZE);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction: %m");
    flapping = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(flapping != MAP_FAILED, "mmap: %m");
    for (int i = 0; i < SHARED; i++) {
        atomic_init(&shared[i], -1);
    }
    for (int i = 0; i <= WORKERS; i++) {
        struct worker *worker = &workers[i];

        worker->number = i;
        worker->buffer = malloc(BUFFER + 16);
        CHECK(worker->buffer != NULL, "no memory");
        worker->pages = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(worker->pages != MAP_FAILED, "mmap: %m");
        CHECK(mprotect(worker->pages + page, page, PROT_READ) == 0, "mprotect: %m");
        CHECK(mprotect(worker->pages + 2 * page, page, PROT_NONE) == 0, "mprotect: %m");
        CHECK(mprotect(worker->pages + 3 * page, page, PROT_NONE) == 0, "mprotect: %m");
        for (int j = 0; j < FILES; j++) {
            worker->files[j].fd = -1;
        }
    }
    atomic_store(&self->tid, gettid());
    if (access("/sys/kernel/debug/failslab", F_OK) == 0) {
        char path[64];

        /* All allocations but those of interrupts, and without a word in the log. */
        CHECK(write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N") == 0, "failslab: %m");
        CHECK(write_file("/sys/kernel/debug/failslab/verbose", "0") == 0, "failslab: %m");
        snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth", gettid());
        failslab = open(path, O_RDWR | O_CLOEXEC);
        CHECK(failslab >= 0, "%s: %m", path);
    }
}

int main(int argc, char **argv)
{
    pthread_condattr_t attributes;
    pthread_t watcher;
    uint64_t start_time = now(), end_time, deadline;
    unsigned long total = 0;
    int round = 0;

    CHECK(argc == 4, "usage: stress SEED SECONDS DEADLINE");
    seed = strtoull(argv[1], NULL, 0);
    end_time = start_time + 1000 * strtoull(argv[2], NULL, 0);
    deadline = start_time + 1000 * strtoull(argv[3], NULL, 0);
    setlinebuf(stdout);
    prepare();
    CHECK(pthread_condattr_init(&attributes) == 0 && pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&watch_end, &attributes) == 0,
          "condition");
    CHECK(pthread_create(&watcher, NULL, watch, &deadline) == 0, "thread");

    do {
        printf("round %d of seed %llu\n", round, (unsigned long long)seed);
        restore();
        node = open_node("/dev/" RNG_NODE);
        exact(round);
        seeding(round);
        everything(round, end_time == start_time ? 400 : 2000);
        sleep_alone();
        /* Nothing of it is by chance: once is enough. */
        if (round == 0) {
            failing_allocations();
        }
        close(node);
        comings_and_goings(round, end_time == start_time ? 30 : 150);
        choosing(end_time == start_time ? 50 : 500);
        reloading(round, end_time == start_time ? 4 : 20);
        round++;
    } while (now() < end_time);

    pthread_mutex_lock(&watch_mutex);
    watch_ended = true;
    pthread_cond_signal(&watch_end);
    pthread_mutex_unlock(&watch_mutex);
    CHECK(pthread_join(watcher, NULL) == 0, "join");
    for (int kind = IDLE + 1; kind < COUNT; kind++) {
        printf("%s: %lu\n", texts[kind], atomic_load(&counts[kind]));
        total += atomic_load(&counts[kind]);
    }
    printf("rounds: %d\noperations: %lu\n", round, total);
    return 0;
}
