/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's node, and what /proc and sysfs say. RNG_... are numbers of the contract, which the build takes
 * from abi/my_rng_abi.rs.
 */
#ifndef MY_RNG_TESTS_DRIVER_H
#define MY_RNG_TESTS_DRIVER_H

#include "stream.h"
#include <fcntl.h>
#include <sys/ioctl.h>

#define NODE "/dev/" RNG_NODE
#define DRIVER "/sys/bus/pci/drivers/my_rng/"
#define DEVICES "/sys/bus/pci/devices/"
#define HWRNG "/sys/class/misc/hw_random/rng_"

/* What the device fills at most in one transfer, and what can be mapped. */
enum { MAX = RNG_BULK_MAX_BYTES, PAGE = 4096 };

/* The device under test, for all files of a program: its node, and the model of its stream. */
__attribute__((weak)) int node;
__attribute__((weak)) struct stream stream;

static inline int open_node(void)
{
    int fd = open(NODE, O_RDWR | O_CLOEXEC);

    ASSERT(fd >= 0);
    return fd;
}

static inline uint32_t node_rand(int fd)
{
    unsigned int word;

    ASSERT_EQ(ioctl(fd, RNG_IOCTL_RAND, &word), 0);
    return word;
}

static inline void node_seed(int fd, uint32_t seed)
{
    ASSERT_EQ(ioctl(fd, RNG_IOCTL_SEED, &seed), 0);
}

/* FILL; as an ioctl returns. */
static inline int fill(int fd, unsigned int start, unsigned int length)
{
    unsigned int part[2] = {start, length};

    return ioctl(fd, RNG_IOCTL_FILL, part);
}

/* Maps the first bytes of an open node, or of any file, for reading and writing. */
static inline void *map_file(int fd, size_t length)
{
    void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    ASSERT(at != MAP_FAILED);
    return at;
}

static inline void *map_memory(size_t length)
{
    void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ASSERT(at != MAP_FAILED);
    return at;
}

/* A page of each kind, writable, read-only, without access; then a writable one, and a hole behind it. */
__attribute__((weak)) char *pages, *read_only, *none, *hole;

static inline void map_pages(void)
{
    pages = map_memory(5 * PAGE);
    read_only = pages + PAGE;
    none = pages + 2 * PAGE;
    hole = pages + 4 * PAGE;
    ASSERT_EQ(mprotect(read_only, PAGE, PROT_READ), 0);
    ASSERT_EQ(mprotect(none, PAGE, PROT_NONE), 0);
    ASSERT_EQ(munmap(hole, PAGE), 0);
}

/* Seeds the device and its model alike. */
static inline void restart(uint32_t seed)
{
    node_seed(node, seed);
    stream_seed(&stream, seed);
    stream.seeds++;
}

/* The device's next number is the stream's. */
#define expect_next() ASSERT_EQ(node_rand(node), stream_next(&stream))

/* The memory holds the next numbers; of the last one, perhaps only the first bytes. */
#define expect_numbers(memory, bytes) expect_stream(&stream, memory, bytes)

static inline size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * The pieces in which the driver reads: from the register or by a transfer, by way of the stack; by way of the file's
 * buffer; or right to the program's memory.
 */
enum { TRANSFER_FROM = 16, BLOCK_PIECE = 512, BUFFER_PIECE = 64 << 10, DIRECT_FROM = 32 << 10 };

/* The size of the next piece of a read that wants `rest` bytes at `address`, where `good` bytes are good memory. */
static inline size_t read_piece(bool has_bulk, const void *address, size_t rest, size_t good)
{
    size_t direct = smaller(smaller(rest, good), MAX) / 4 * 4;

    if (has_bulk && (uintptr_t)address % 4 == 0 && direct >= DIRECT_FROM) {
        return direct;
    }
    if (has_bulk && rest > BLOCK_PIECE) {
        return smaller(rest, BUFFER_PIECE) / 4 * 4;
    }
    return smaller(rest, BLOCK_PIECE);
}

/*
 * Skips the numbers that a read took but could not store: of `length` bytes, only the first `good` at
 * `address` are good memory.
 */
static inline void skip_lost(bool has_bulk, size_t length, size_t good, const void *address)
{
    size_t taken = 0;

    /* A piece that cannot be handed over completely was taken completely. */
    while (taken <= good && taken < length) {
        taken += read_piece(has_bulk, (const char *)address + taken, length - taken, good - taken);
    }
    stream_skip(&stream, (taken + 3) / 4 - (good + 3) / 4);
}

/*
 * What follows the key on the first line of a small text file that starts with it, or NULL. It stays until
 * the thread's next call.
 */
static inline const char *file_value(const char *path, const char *key)
{
    static _Thread_local char line[512];
    FILE *file = fopen(path, "re");
    bool found = false;

    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        found = strncmp(line, key, strlen(key)) == 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    *strchrnul(line, '\n') = '\0';
    return found ? line + strlen(key) : NULL;
}

/* The same of a line of an open node's fdinfo, without "my_rng-". */
static inline const char *fdinfo(int fd, const char *name)
{
    char path[64], key[64];

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    snprintf(key, sizeof(key), "my_rng-%s:\t", name);
    return file_value(path, key);
}

static inline uint64_t fdinfo_number(int fd, const char *name)
{
    const char *value = fdinfo(fd, name);
    char *end = NULL;
    uint64_t number = value == NULL ? 0 : strtoull(value, &end, 10);

    ASSERT_MSG(end != NULL && end != value && *end == '\0', "fdinfo says my_rng-%s: %s", name, value);
    return number;
}

static inline void expect_fdinfo(const char *name, const char *expected)
{
    const char *value = fdinfo(node, name);

    ASSERT_MSG(value != NULL && strcmp(value, expected) == 0, "fdinfo says my_rng-%s: %s, not %s", name, value,
               expected);
}

/* Writes to a file of sysfs or debugfs: 0, or -1 and errno. */
static inline int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t length = strlen(text), written;

    if (fd < 0) {
        return -1;
    }
    written = write(fd, text, length);
    close(fd);
    return written == length ? 0 : -1;
}

/* The path of a device's file in sysfs, until the thread's next call. */
static inline const char *device_file(const char *address, const char *name)
{
    static _Thread_local char path[320];

    snprintf(path, sizeof(path), DEVICES "%s/%s", address, name);
    return path;
}

/* Maps a BAR, by its file such as resource0. */
static inline volatile uint32_t *map_registers(const char *path, size_t size)
{
    int fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
    void *bar;

    ASSERT_MSG(fd >= 0, "%s: %m", path);
    bar = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ASSERT_MSG(bar != MAP_FAILED, "mmap of %s: %m", path);
    close(fd);
    return bar;
}

/* The same of a my_rng. */
static inline volatile uint32_t *map_bar(const char *path)
{
    return map_registers(path, RNG_BAR_SIZE);
}

/* Around each TEST: it starts from a seed, and then the driver must have counted what the model has. */
static inline void begin_stream(void)
{
    stream.words = fdinfo_number(node, "words");
    stream.seeds = fdinfo_number(node, "seeds");
    restart(tap.number * 0x9e3779b9);
}

static inline void end_stream(void)
{
    expect_next();
    ASSERT_EQ(fdinfo_number(node, "words"), stream.words);
    ASSERT_EQ(fdinfo_number(node, "seeds"), stream.seeds);
}

#endif
