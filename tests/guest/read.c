/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * read() and its like on the node: every length, every kind of memory, interrupted, concurrent; and what
 * else can be done to a file that the node has no use for. After each call the stream must go on with
 * exactly the right word, and in the end the driver must have counted every word and every seed.
 *
 *   read GENERATOR yes|no    (of the first device, which nobody has used; whether it has a bulk engine)
 */
#include "driver.h"
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

/*
 * The driver reads from the device in pieces; what cannot be handed over goes with its piece. With a bulk
 * engine they are larger, and of whole numbers, as long as it is worth it.
 */
enum { PIECE = 256, BULK_PIECE = 64 << 10, BULK_FROM = 32 };

/* So large that a timer of a millisecond goes off long before it is read. */
enum { HUGE = 64 << 20 };

static int node;
static bool has_bulk;
static struct stream stream;
static long page;

/* Holds what was read against the model, and takes what was read in vain from it. */
static void check_bytes(const unsigned char *bytes, size_t length, size_t taken, const char *what)
{
    uint32_t word = 0;

    for (size_t i = 0; i < length; i++) {
        if (i % 4 == 0) {
            word = stream_next(&stream);
        }
        CHECK(bytes[i] == (unsigned char)(word >> (8 * (i % 4))), "%s: byte %zu of %zu is 0x%02x", what, i,
              length, bytes[i]);
    }
    for (size_t words = (length + 3) / 4; words < (taken + 3) / 4; words++) {
        stream_next(&stream);
    }
}

static void expect(ssize_t got, ssize_t expected, const char *what)
{
    CHECK(got == expected, "%s: %zd (%m), not %zd", what, got, expected);
}

/* How many bytes' worth of words a read of so many bytes takes that can hand over only the first few. */
static size_t taken(size_t length, size_t good)
{
    size_t done = 0;

    while (done <= good && done < length) {
        size_t rest = length - done;

        if (has_bulk && rest >= BULK_FROM) {
            done += (rest < BULK_PIECE ? rest : BULK_PIECE) / 4 * 4;
        } else {
            done += rest < PIECE ? rest : PIECE;
        }
    }
    return done;
}

static char *map(size_t length, int protection)
{
    char *memory = mmap(NULL, length, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(memory != MAP_FAILED, "mmap: %m");
    return memory;
}

static void check_lengths(void)
{
    static const size_t larger[] = {4095,      4096,       4097,       65535,   65536,         65537,
                                    65539,     65536 + 31, 65536 + 32, 131072, 131072 + 131, 1 << 20,
                                    (1 << 20) + 1};
    size_t room = (1 << 20) + 64;
    unsigned char *buffer = (unsigned char *)map(room, PROT_READ | PROT_WRITE);

    restart(&stream, node, 0x42);
    for (size_t i = 0; i <= 1100 + sizeof(larger) / sizeof(larger[0]); i++) {
        size_t length = i <= 1100 ? i : larger[i - 1101];
        /* Any alignment will do. */
        unsigned char *at = buffer + 16 + i % 8;

        memset(buffer, 0xa5, length + 64);
        expect(read(node, at, length), length, "a read");
        check_bytes(at, length, length, "a read");
        CHECK(at[-1] == 0xa5 && at[length] == 0xa5, "a read of %zu wrote beyond its buffer", length);
        check_next(&stream, node, "a read");
    }
    expect(read(node, NULL, 0), 0, "a read of nothing");
    check_next(&stream, node, "a read of nothing");
    munmap(buffer, room);
}

/* Memory that cannot be written to, from the first byte. */
static void check_bad(void *buffer, bool of_user_space, const char *what)
{
    static const size_t lengths[] = {1, 3, 4, 5, 255, 256, 257, 1000};

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        expect_error(read(node, buffer, lengths[i]), EFAULT, what);
        /* What cannot be user space's never comes to the driver. */
        check_bytes(NULL, 0, of_user_space ? taken(lengths[i], 0) : 0, what);
        check_next(&stream, node, what);
    }
}

static void check_partly_bad(char *end, const char *what)
{
    static const size_t good[] = {1,   2,   3,   4,   5,    8,    255,  256,  257,
                                  511, 512, 513, 768, 1000, 1023, 1024, 4095, 4096};
    static const size_t beyond[] = {1, 2, 3, 4, 7, 255, 256, 257, 4000};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        for (size_t j = 0; j < sizeof(beyond) / sizeof(beyond[0]); j++) {
            size_t length = good[i] + beyond[j];
            char *buffer = end - good[i];

            memset(buffer, 0, good[i]);
            expect(read(node, buffer, length), good[i], what);
            check_bytes((unsigned char *)buffer, good[i], taken(length, good[i]), what);
            check_next(&stream, node, what);
        }
    }
}

static void check_memory(void)
{
    char *pages = map(5 * page, PROT_READ | PROT_WRITE);
    char *read_only = pages + page, *none = pages + 2 * page, *hole = pages + 4 * page, *short_file;
    int file = open("/short", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    CHECK(mprotect(read_only, page, PROT_READ) == 0, "mprotect: %m");
    CHECK(mprotect(none, page, PROT_NONE) == 0, "mprotect: %m");
    CHECK(munmap(hole, page) == 0, "munmap: %m");
    /* A file that ends before its mapping does: to a program, SIGBUS. */
    CHECK(file >= 0 && ftruncate(file, page) == 0, "/short: %m");
    short_file = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(short_file != MAP_FAILED, "mmap of /short: %m");

    restart(&stream, node, 0x42);
    check_bad(NULL, true, "a read to NULL");
    check_bad((void *)1, true, "a read to address 1");
    check_bad((void *)-1, false, "a read to the last address");
    check_bad((void *)-3, false, "a read that wraps around");
    check_bad((void *)0xffff888000000000, false, "a read to the kernel's memory");
    check_bad((void *)0xffffffff81000000, false, "a read to the kernel's text");
    check_bad((void *)0x0100000000000000, false, "a read to a non-canonical address");
    check_bad(hole, true, "a read to unmapped memory");
    check_bad(none, true, "a read to PROT_NONE memory");
    check_bad(read_only, true, "a read to read-only memory");
    check_bad(short_file + page, true, "a read to what is beyond a file's end");

    check_partly_bad(read_only, "a read that ends in read-only memory");
    check_partly_bad(hole, "a read that ends in unmapped memory");
    check_partly_bad(short_file + page, "a read that ends beyond a file's end");
    munmap(pages, 4 * page);
    munmap(short_file, 2 * page);
    close(file);
}

static void check_vectors(void)
{
    unsigned char one[1000], two[1000], all[2000];
    char *bad = map(page, PROT_NONE);

    restart(&stream, node, 7);
    /* Words know nothing of vectors: the bytes are those of one buffer. */
    for (size_t first = 0; first <= 10; first++) {
        struct iovec vectors[] = {{one, first}, {bad, 0}, {two, 500}, {one + first, 300 - first}};
        ssize_t length = 800;

        switch (first % 4) {
        case 0:
            expect(readv(node, vectors, 4), length, "readv");
            break;
        case 1:
            expect(preadv(node, vectors, 4, 0), length, "preadv");
            break;
        case 2:
            /* A stream has no offset, and the node knows nothing of one. */
            expect(preadv(node, vectors, 4, 4096 + first), length, "preadv");
            break;
        default:
            expect(preadv2(node, vectors, 4, -1, 0), length, "preadv2");
            break;
        }
        memcpy(all, one, first);
        memcpy(all + first, two, 500);
        memcpy(all + first + 500, one + first, 300 - first);
        check_bytes(all, length, length, "readv");
        check_next(&stream, node, "readv");

        /* The first bad one ends it. */
        vectors[1].iov_len = 1;
        if (first == 0) {
            expect_error(readv(node, vectors, 4), EFAULT, "readv to bad memory");
        } else {
            expect(readv(node, vectors, 4), first, "readv that meets bad memory");
        }
        check_bytes(one, first, taken(length + 1, first), "readv that meets bad memory");
        check_next(&stream, node, "readv that meets bad memory");
    }
    expect(pread(node, one, 6, 1234567), 6, "pread");
    check_bytes(one, 6, 6, "pread");
    expect_error(pread(node, one, 4, -1), EINVAL, "pread before the start");
    struct iovec vector = {one, 4};
    expect_error(readv(node, (struct iovec *)bad, 1), EFAULT, "readv with bad vectors");
    expect_error(preadv2(node, &vector, 1, -1, RWF_NOWAIT), EOPNOTSUPP, "preadv2 with RWF_NOWAIT");
    expect_error(preadv2(node, &vector, 1, -1, 1 << 30), EOPNOTSUPP, "preadv2 with a bad flag");
    check_next(&stream, node, "calls that were refused");
    munmap(bad, page);
}

static void check_aio(void)
{
    unsigned char buffer[600];
    aio_context_t context = 0;
    struct iocb request = {.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = node, .aio_nbytes = 599};
    struct iocb *requests[] = {&request};
    struct io_event event;

    restart(&stream, node, 9);
    request.aio_buf = (uintptr_t)buffer;
    CHECK(syscall(SYS_io_setup, 4, &context) == 0, "io_setup: %m");
    CHECK(syscall(SYS_io_submit, context, 1, requests) == 1, "io_submit: %m");
    CHECK(syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1, "io_getevents: %m");
    CHECK(event.res == 599, "an asynchronous read: %lld", (long long)event.res);
    check_bytes(buffer, 599, 599, "an asynchronous read");
    request.aio_buf = 1;
    CHECK(syscall(SYS_io_submit, context, 1, requests) == 1, "io_submit: %m");
    CHECK(syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1, "io_getevents: %m");
    CHECK(event.res == -EFAULT, "an asynchronous read to bad memory: %lld", (long long)event.res);
    check_bytes(NULL, 0, taken(599, 0), "an asynchronous read to bad memory");
    CHECK(syscall(SYS_io_destroy, context) == 0, "io_destroy: %m");
    check_next(&stream, node, "asynchronous reads");
}

static void check_flags(void)
{
    unsigned char buffer[8];
    unsigned int word;
    int fd;

    restart(&stream, node, 3);
    fd = open("/dev/" RNG_NODE, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK(fd >= 0, "opening for reading: %m");
    expect(read(fd, buffer, 7), 7, "a read that must not block");
    check_bytes(buffer, 7, 7, "a read that must not block");
    CHECK(ioctl(fd, RNG_IOCTL_RAND, &word) == 0 && word == stream_next(&stream), "RAND, opened for reading");
    expect_error(ioctl(fd, RNG_IOCTL_SEED, &word), EBADF, "SEED, opened for reading");
    expect_error(ioctl(fd, RNG_IOCTL_SEED, NULL), EBADF, "SEED with a bad pointer, opened for reading");
    expect_error(write(fd, buffer, 4), EBADF, "writing, opened for reading");
    close(fd);

    fd = open("/dev/" RNG_NODE, O_WRONLY | O_APPEND | O_CLOEXEC);
    CHECK(fd >= 0, "opening for writing: %m");
    expect_error(read(fd, buffer, 4), EBADF, "reading, opened for writing");
    CHECK(ioctl(fd, RNG_IOCTL_RAND, &word) == 0 && word == stream_next(&stream), "RAND, opened for writing");
    restart(&stream, fd, 5);
    close(fd);

    /* Neither for reading nor for writing, but it takes the right to do both. */
    fd = open("/dev/" RNG_NODE, O_ACCMODE | O_CLOEXEC);
    CHECK(fd >= 0, "opening for ioctls: %m");
    expect_error(read(fd, buffer, 4), EBADF, "reading, opened for ioctls");
    CHECK(ioctl(fd, RNG_IOCTL_RAND, &word) == 0 && word == stream_next(&stream), "RAND, opened for ioctls");
    expect_error(ioctl(fd, RNG_IOCTL_SEED, &word), EBADF, "SEED, opened for ioctls");
    close(fd);

    fd = open("/dev/" RNG_NODE, O_PATH | O_CLOEXEC);
    CHECK(fd >= 0, "opening the path: %m");
    expect_error(read(fd, buffer, 4), EBADF, "reading a path");
    expect_error(ioctl(fd, RNG_IOCTL_RAND, &word), EBADF, "RAND of a path");
    close(fd);

    expect_error(open("/dev/" RNG_NODE, O_RDWR | O_DIRECTORY), ENOTDIR, "opening as a folder");
    expect_error(open("/dev/" RNG_NODE, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST, "creating it");
    expect_error(open("/dev/" RNG_NODE, O_RDWR | O_DIRECT), EINVAL, "opening with O_DIRECT");
    check_next(&stream, node, "opening in many ways");
}

/* What the node has no use for is refused, takes nothing, and waits for nothing. */
static void check_other_calls(void)
{
    struct pollfd ready = {.fd = node, .events = POLLIN | POLLRDNORM};
    struct epoll_event event = {.events = EPOLLIN};
    unsigned char buffer[8] = {0};
    int pipes[2], epoll = epoll_create1(EPOLL_CLOEXEC);
    int zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
    fd_set set;

    restart(&stream, node, 4);
    expect_error(write(node, buffer, sizeof(buffer)), EINVAL, "write");
    expect_error(pwrite(node, buffer, sizeof(buffer), 0), EINVAL, "pwrite");
    for (int whence = SEEK_SET; whence <= SEEK_HOLE; whence++) {
        expect_error(lseek(node, 0, whence), ESPIPE, "lseek");
    }
    for (int sharing = MAP_SHARED; sharing <= MAP_PRIVATE; sharing++) {
        void *mapped = mmap(NULL, page, PROT_READ, sharing, node, 0);

        if (has_bulk && sharing == MAP_SHARED) {
            /* What can be done with it is for another program: bulk.c. */
            CHECK(mapped != MAP_FAILED && munmap(mapped, page) == 0, "mmap: %m");
        } else {
            expect_error(mapped == MAP_FAILED ? -1 : 0, has_bulk ? EINVAL : ENODEV, "mmap");
        }
    }
    expect_error(ftruncate(node, 0), EINVAL, "ftruncate");
    expect_error(fallocate(node, 0, 0, 4), ENODEV, "fallocate");
    CHECK(fsync(node) == -1 && errno == EINVAL, "fsync: %m");
    CHECK(pipe2(pipes, O_CLOEXEC) == 0, "pipe: %m");
    expect_error(splice(node, NULL, pipes[1], NULL, 4, 0), EINVAL, "splice from it");
    expect_error(sendfile(pipes[1], node, NULL, 4), EINVAL, "sendfile from it");
    close(pipes[0]);
    close(pipes[1]);
    close(zero);

    /* A number is always there. */
    CHECK(poll(&ready, 1, -1) == 1 && ready.revents == (POLLIN | POLLRDNORM), "poll: 0x%x (%m)",
          ready.revents);
    FD_ZERO(&set);
    FD_SET(node, &set);
    CHECK(select(node + 1, &set, NULL, NULL, NULL) == 1 && FD_ISSET(node, &set), "select: %m");
    /* What never makes anybody wait is not to be waited for. */
    expect_error(epoll_ctl(epoll, EPOLL_CTL_ADD, node, &event), EPERM, "epoll_ctl");
    close(epoll);
    check_next(&stream, node, "calls that the node has no use for");
}

static void use(int fd)
{
    unsigned char buffer[5];
    uint32_t word = 0;

    CHECK(ioctl(fd, RNG_IOCTL_RAND, &word) == 0 && word == stream_next(&stream), "RAND of %d", fd);
    expect(read(fd, buffer, sizeof(buffer)), sizeof(buffer), "a read");
    check_bytes(buffer, sizeof(buffer), sizeof(buffer), "a read");
}

/* Opened several times over and closed in every order: each file works until its last close. */
static void check_closing(void)
{
    enum { FILES = 4 };

    for (int order = 0; order < FILES * FILES * FILES * FILES; order++) {
        int files[FILES], digits[FILES];
        bool is_permutation = true;

        for (int i = 0, rest = order; i < FILES; i++, rest /= FILES) {
            digits[i] = rest % FILES;
            for (int j = 0; j < i; j++) {
                is_permutation = is_permutation && digits[i] != digits[j];
            }
        }
        if (!is_permutation) {
            continue;
        }
        restart(&stream, node, order);
        files[0] = open_node("/dev/" RNG_NODE);
        files[1] = open_node("/dev/" RNG_NODE);
        files[2] = dup(files[0]);
        files[3] = dup(files[1]);
        for (int i = 0; i < FILES; i++) {
            for (int j = i; j < FILES; j++) {
                use(files[digits[j]]);
            }
            CHECK(close(files[digits[i]]) == 0, "close: %m");
            expect_error(read(files[digits[i]], &order, 4), EBADF, "a read of a closed file");
        }
        check_next(&stream, node, "closing");
    }
}

static volatile sig_atomic_t signals;

static void on_signal(int signal)
{
    (void)signal;
    signals++;
}

/* A signal ends a read between two pieces, with what it has until then, and loses nothing. */
static void check_signals(unsigned char *buffer)
{
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};

    for (int round = 0; round < 20; round++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = round % 2 ? SA_RESTART : 0};
        ssize_t got;

        restart(&stream, node, round);
        CHECK(sigaction(SIGALRM, &action, NULL) == 0, "sigaction: %m");
        signals = 0;
        CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0, "setitimer: %m");
        got = read(node, buffer, HUGE);
        CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0, "setitimer: %m");
        CHECK(got > 0 && got < HUGE && got % (has_bulk ? BULK_PIECE : PIECE) == 0,
              "a read that was interrupted: %zd (%m)", got);
        CHECK(signals > 0, "nothing has interrupted it");
        check_bytes(buffer, got, got, "a read that was interrupted");
        check_next(&stream, node, "a read that was interrupted");
    }
}

/* A process that is killed in a read ends, and the device goes on. */
static void check_killing(unsigned char *buffer)
{
    uint64_t before = fdinfo_number(node, "words");
    pid_t child = fork();
    int status;

    CHECK(child >= 0, "fork: %m");
    if (child == 0) {
        while (read(node, buffer, HUGE) > 0) {
        }
        _exit(1);
    }
    while (fdinfo_number(node, "words") == before) {
    }
    CHECK(kill(child, SIGKILL) == 0, "kill: %m");
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status), "waitpid: %d (%m)", status);
    /* How far it has come, only the driver knows. */
    stream.words = fdinfo_number(node, "words");
    restart(&stream, node, 5);
    check_next(&stream, node, "a reader that was killed");
}

enum { READERS = 8, WORDS = 16384 };
static uint32_t got[READERS][WORDS];
static pthread_barrier_t start;

static void *reader(void *argument)
{
    uint32_t *words = argument;
    int own = open_node("/dev/" RNG_NODE);
    size_t length = 1;

    pthread_barrier_wait(&start);
    for (size_t done = 0; done < WORDS; done += length) {
        /* From one word to more than a piece, by read and by ioctl, of a file of one's own and a shared one. */
        length = (done * 7 + (words - got[0]) / WORDS) % 131;
        if (length > WORDS - done) {
            length = WORDS - done;
        }
        if (length == 0) {
            length = 1;
            words[done] = node_rand(own);
        } else {
            ssize_t bytes = read(length % 2 ? own : node, words + done, 4 * length);

            CHECK(bytes == (ssize_t)(4 * length), "a read among others: %zd (%m)", bytes);
        }
    }
    close(own);
    return NULL;
}

/* Readers at the same time share the stream: each word goes to one of them, whole and in its order. */
static void check_concurrent(void)
{
    static uint32_t expected[READERS * WORDS];
    pthread_t threads[READERS];

    restart(&stream, node, 0x1234567);
    CHECK(pthread_barrier_init(&start, NULL, READERS) == 0, "barrier");
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, reader, got[i]) == 0, "thread");
    }
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0, "join");
    }
    for (int i = 0; i < READERS * WORDS; i++) {
        expected[i] = stream_next(&stream);
    }
    check_next(&stream, node, "concurrent readers");
    check_shared(got[0], READERS, WORDS, expected);
}

int main(int argc, char **argv)
{
    unsigned char *buffer;
    char text[1024], *generator;

    CHECK(argc == 3, "usage: read GENERATOR yes|no");
    page = sysconf(_SC_PAGESIZE);
    node = open_node("/dev/" RNG_NODE);
    generator = fdinfo(node, "generator", text, sizeof(text));
    CHECK(generator != NULL && strcmp(generator, argv[1]) == 0, "fdinfo says generator %s", generator);
    stream_choose(&stream, argv[1]);
    has_bulk = strcmp(argv[2], "yes") == 0;

    check_lengths();
    check_memory();
    check_vectors();
    check_aio();
    check_flags();
    check_other_calls();
    check_closing();
    check_concurrent();
    CHECK(fdinfo_number(node, "words") == stream.words, "the driver has counted %llu words, not %llu",
          (unsigned long long)fdinfo_number(node, "words"), (unsigned long long)stream.words);
    buffer = (unsigned char *)map(HUGE, PROT_READ | PROT_WRITE);
    check_signals(buffer);
    CHECK(fdinfo_number(node, "words") == stream.words, "after signals the driver has counted %llu words",
          (unsigned long long)fdinfo_number(node, "words"));
    check_killing(buffer);
    CHECK(fdinfo_number(node, "seeds") == stream.seeds, "the driver has counted %llu seeds, not %llu",
          (unsigned long long)fdinfo_number(node, "seeds"), (unsigned long long)stream.seeds);
    puts("done");
    return 0;
}
