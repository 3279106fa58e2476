/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random calls about memory: a file's mappings, FILL, and memory that goes away during a read.
 */
#include "stress.h"
#include <limits.h>

/* Meanwhile other threads, or this one, take the memory away and give it back. */
void do_read_race(struct worker *worker)
{
    size_t length = 1 + choose(worker, BUFFER);
    ssize_t got;

    switch (choose(worker, 4)) {
    case 0:
        ASSERT_EQ(mprotect(flapping + PAGE * choose(worker, BUFFER / PAGE), PAGE,
                           choose(worker, 2) ? PROT_NONE : PROT_READ), 0);
        return;
    case 1:
        ASSERT_EQ(mprotect(flapping, BUFFER, PROT_READ | PROT_WRITE), 0);
        return;
    case 2:
        ASSERT_EQ(madvise(flapping, BUFFER, MADV_DONTNEED), 0);
        return;
    default:
        break;
    }
    got = read(worker->file->fd, flapping, length);
    if (worker->file->mode == O_WRONLY) {
        MUST_FAIL(worker, got, EBADF);
    } else if (MAY_FAIL(worker, got, EFAULT)) {
        ASSERT_MSG(got > 0 && (size_t)got <= length, "a read to memory that goes away: %zd of %zu", got, length);
    }
}

/* The pages stay, even if the file is closed or the device is gone. */
static void touch(const struct mapping *mapping, size_t at)
{
    volatile unsigned char *byte = mapping->at + at % mapping->length;

    if (mapping->is_writable) {
        *byte ^= 0x5a;
    }
    (void)*byte;
}

void unmap(struct mapping *mapping)
{
    if (mapping->at != NULL) {
        ASSERT_EQ(munmap(mapping->at, mapping->length), 0);
        mapping->at = NULL;
    }
}

void do_map(struct worker *worker)
{
    struct mapping *mapping = &worker->mappings[choose(worker, MAPPINGS)];
    struct file *file = worker->file;
    size_t length = PAGE * (1 + choose(worker, MAX / PAGE));
    int protection = file->mode == O_RDWR ? PROT_READ | PROT_WRITE : PROT_READ;
    void *at;

    unmap(mapping);
    at = mmap(NULL, length, protection, MAP_SHARED | (choose(worker, 4) ? 0 : MAP_POPULATE), file->fd, 0);
    if (file->mode == O_WRONLY) {
        MUST_FAIL(worker, at, EACCES);
    } else if (MAY_FAIL(worker, at, 0)) {
        *mapping = (struct mapping){.at = at, .length = length, .is_writable = file->mode == O_RDWR};
        file->is_mapped = true;
        touch(mapping, splitmix64(&worker->state) >> 1);
    }
}

void do_map_bad(struct worker *worker)
{
    size_t length = PAGE;
    off_t offset = 0;
    int flags = MAP_SHARED;

    switch (choose(worker, 3)) {
    case 0:
        flags = MAP_PRIVATE;
        break;
    case 1:
        offset = PAGE * (1 + choose(worker, 100));
        break;
    default:
        length = MAX + PAGE * (1 + choose(worker, 100));
        break;
    }
    MUST_FAIL(worker, mmap(NULL, length, PROT_READ, flags, worker->file->fd, offset),
              worker->file->mode == O_WRONLY ? EACCES : EINVAL);
}

void do_unmap(struct worker *worker)
{
    struct mapping *mapping = &worker->mappings[choose(worker, MAPPINGS)];

    if (mapping->at == NULL) {
        return;
    }
    switch (choose(worker, 4)) {
    case 0:
        /* Whatever became of the file: mappings cannot be enlarged. */
        MUST_FAIL(worker, mremap(mapping->at, mapping->length, mapping->length + PAGE, MREMAP_MAYMOVE), EFAULT);
        break;
    case 1:
        if (mapping->length > PAGE) {
            ASSERT(mremap(mapping->at, mapping->length, PAGE, 0) == mapping->at);
            mapping->length = PAGE;
        }
        break;
    case 2:
        ASSERT_EQ(mprotect(mapping->at, PAGE, PROT_READ), 0);
        mapping->is_writable = false;
        ASSERT_ERROR(mprotect(mapping->at, PAGE, PROT_READ | PROT_EXEC), EACCES);
        break;
    default:
        unmap(mapping);
        break;
    }
}

void do_touch(struct worker *worker)
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
        touch(mapping, splitmix64(&worker->state) >> 1);
        break;
    }
}

void do_fill(struct worker *worker)
{
    unsigned int start = choose(worker, MAX) & ~3u;
    unsigned int length = choose(worker, 2) ? choose_length(worker) & ~3u : MAX;
    int result = fill(worker->file->fd, start, length <= MAX - start ? length : MAX - start);

    /* Another thread that has the file may have mapped it. */
    MAY_FAIL(worker, result, worker->file->is_mapped ? 0 : EINVAL);
}

void do_fill_bad(struct worker *worker)
{
    static const unsigned int parts[][2] = {
        {1, 4}, {4, 2}, {MAX, 4}, {4, MAX}, {UINT_MAX - 3, 4}, {UINT_MAX - 3, 8}, {0, UINT_MAX - 3},
    };
    int fd = worker->file->fd;

    if (choose(worker, 2) != 0) {
        MUST_FAIL(worker, ioctl(fd, RNG_IOCTL_FILL, bad_pointer(worker, false)), EFAULT);
    } else {
        MUST_FAIL(worker, ioctl(fd, RNG_IOCTL_FILL, parts[choose(worker, ARRAY_SIZE(parts))]), EINVAL);
    }
}

/* A process uses the mappings that it has inherited, and ends, or is killed, in the middle of it. */
void do_fork(struct worker *worker)
{
    bool to_kill = choose(worker, 2) != 0;
    pid_t child = fork_process();
    int status;

    if (child == 0) {
        int error = 0;

        do {
            for (int i = 0; i < MAPPINGS; i++) {
                if (worker->mappings[i].at != NULL) {
                    touch(&worker->mappings[i], worker->state);
                }
            }
            if (fill(worker->file->fd, 0, MAX) == -1) {
                error = errno;
            }
        } while (to_kill && error == 0);
        _exit(error);
    }
    if (to_kill) {
        ASSERT_EQ(kill(child, SIGKILL), 0);
    }
    status = wait_for_process(child);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        errno = WEXITSTATUS(status);
        MUST_FAIL(worker, -1, worker->file->is_mapped ? 0 : EINVAL);
    } else {
        ASSERT_MSG(WIFEXITED(status) || (to_kill && WTERMSIG(status) == SIGKILL), "status 0x%x", status);
    }
}
