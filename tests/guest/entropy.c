/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host that runs out of entropy, at the byte that this program says: every way to get numbers gives the good
 * ones and then EIO, and never one that the host did not give.
 *
 *   entropy FOLDER on|off    (of the device my-rng-entropy in sysfs; whether the other one has a bulk engine)
 */
#include "driver.h"
#include <pthread.h>
#include <sys/mman.h>

#define CURRENT "/sys/class/misc/hw_random/rng_current"

/*
 * What the device asks the host for at a time in a transfer, and the driver the device by its registers, in
 * bytes. Of one in which the host runs out nothing is handed out.
 */
enum { BLOCK = 512, PIECE = 256, LARGE = 65536, MIDDLE = 8192, SMALL = 16, READERS = 4, BUDGET = 1 << 20 };

static volatile uint32_t *left;
static int node;
static bool bulk;

/* As many bytes are left in the host. */
static void leave(uint32_t bytes)
{
    *left = bytes;
}

static const uint32_t unlimited = UINT32_MAX;

/* A failed read of the register gives 0; the host does so once in 2^32 words. */
static void check_words(const uint32_t *words, ssize_t bytes, const char *what)
{
    for (ssize_t i = 0; i < bytes / 4; i++) {
        CHECK(words[i] != 0, "%s gives a 0 at word %zd of %zd", what, i, bytes / 4);
    }
}

static void check_read(size_t length, uint32_t budget, ssize_t expected, const char *what)
{
    /* Of whole pages, so that no block is cut where one ends. */
    static _Alignas(4096) uint32_t words[LARGE / 4];
    uint64_t before = fdinfo_number(node, "words");
    ssize_t got;

    leave(budget);
    got = read(node, words, length);
    if (expected == 0) {
        CHECK(got == -1 && errno == EIO, "%s: %zd (%m)", what, got);
    } else {
        CHECK(got == expected, "%s: %zd, not %zd (%m)", what, got, expected);
        check_words(words, got, what);
    }
    CHECK(fdinfo_number(node, "words") == before + expected / 4, "%s: the counter", what);
    if (expected < (ssize_t)length) {
        /* What is left of a block is too little for the next one. */
        leave(0);
        CHECK(read(node, words, length) == -1 && errno == EIO, "after %s: %m", what);
    }
    leave(unlimited);
    CHECK(read(node, words, length) == (ssize_t)length, "%s, with entropy again: %m", what);
    check_words(words, length, what);
}

static void check_reads(void)
{
    int unit = bulk ? BLOCK : PIECE;

    check_read(LARGE, 0, 0, "a large read");
    check_read(LARGE, unit - 4, 0, "a large read of some words");
    check_read(LARGE, 5 * unit, 5 * unit, "a large read of some blocks");
    check_read(LARGE, 5 * unit + 8, 5 * unit, "a large read of some blocks and two words");
    check_read(LARGE, LARGE - 4, LARGE - unit, "a large read of all but one word");
    check_read(LARGE, LARGE, LARGE, "a large read of just as much as there is");
    check_read(MIDDLE, 0, 0, "a read");
    check_read(MIDDLE, 5 * unit + 8, 5 * unit, "a read of some blocks and two words");
    check_read(MIDDLE, MIDDLE - 4, MIDDLE - unit, "a read of all but one word");
    /* From the registers, with an engine too. */
    check_read(SMALL, 0, 0, "a small read");
    check_read(SMALL, SMALL - 4, 0, "a small read of all but one word");
    check_read(SMALL, SMALL, SMALL, "a small read of just as much as there is");
}

static void check_rand(void)
{
    uint32_t word = 0x5a5a5a5a;

    leave(4);
    CHECK(ioctl(node, RNG_IOCTL_RAND, &word) == 0 && word != 0, "RAND of the last word: %m");
    word = 0x5a5a5a5a;
    for (int i = 0; i < 3; i++) {
        CHECK(ioctl(node, RNG_IOCTL_RAND, &word) == -1 && errno == EIO, "RAND: %m");
        CHECK(word == 0x5a5a5a5a, "RAND fails and stores %u", word);
    }
    leave(unlimited);
    CHECK(ioctl(node, RNG_IOCTL_RAND, &word) == 0 && word != 0, "RAND, with entropy again: %m");
}

static void check_fill(void)
{
    unsigned int part[2] = {0, MIDDLE};
    uint32_t *words = mmap(NULL, MIDDLE, PROT_READ | PROT_WRITE, MAP_SHARED, node, 0);

    if (!bulk) {
        CHECK(words == MAP_FAILED && errno == ENODEV, "mmap without an engine: %m");
        return;
    }
    CHECK(words != MAP_FAILED, "mmap: %m");
    leave(0);
    expect_error(ioctl(node, RNG_IOCTL_FILL, part), EIO, "FILL");
    leave(MIDDLE - 4);
    expect_error(ioctl(node, RNG_IOCTL_FILL, part), EIO, "FILL of all but one word");
    leave(MIDDLE);
    memset(words, 0, MIDDLE);
    CHECK(ioctl(node, RNG_IOCTL_FILL, part) == 0, "FILL of just as much as there is: %m");
    check_words(words, MIDDLE, "FILL");
    leave(unlimited);
    munmap(words, MIDDLE);
}

/* Takes what it gets until there is no more. */
static void *drain(void *argument)
{
    size_t length = (size_t)argument;
    uint32_t words[MIDDLE / 4];
    uintptr_t total = 0;
    ssize_t got;

    while ((got = read(node, words, length)) > 0) {
        check_words(words, got, "a read beside others");
        total += got;
    }
    CHECK(got == -1 && errno == EIO, "a read beside others: %zd (%m)", got);
    return (void *)total;
}

/* One that fails beside one that does not: the second may be told EIO, but nobody is told a wrong number. */
static void check_readers(void)
{
    pthread_t threads[READERS];
    uintptr_t total = 0;

    leave(BUDGET);
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, drain, (void *)(uintptr_t)(i % 2 ? SMALL : MIDDLE)) == 0,
              "a thread");
    }
    for (int i = 0; i < READERS; i++) {
        void *taken;

        CHECK(pthread_join(threads[i], &taken) == 0, "a thread");
        total += (uintptr_t)taken;
    }
    CHECK(total <= BUDGET && total > BUDGET / 2, "readers have got %zu bytes of %d", (size_t)total, BUDGET);
    leave(unlimited);
}

static void check_hwrng(void)
{
    uint32_t words[16];
    ssize_t got;
    int fd, error = write_file(CURRENT, RNG_NODE);

    CHECK(error == 0, CURRENT ": %s", strerror(error));
    fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0, "/dev/hwrng: %m");
    for (int i = 0; i < 2; i++) {
        CHECK(read(fd, words, sizeof(words)) == sizeof(words), "/dev/hwrng: %m");
        check_words(words, sizeof(words), "/dev/hwrng");
        leave(0);
        /* What hw_random has left comes first. */
        while ((got = read(fd, words, sizeof(words))) > 0) {
            check_words(words, got, "/dev/hwrng");
        }
        CHECK(got == -1 && errno == EIO, "/dev/hwrng: %zd (%m)", got);
        leave(unlimited);
    }
    close(fd);
}

int main(int argc, char **argv)
{
    char path[128];
    int fd, error;

    CHECK(argc == 3, "usage: entropy FOLDER on|off");
    bulk = strcmp(argv[2], "on") == 0;
    snprintf(path, sizeof(path), "%s/enable", argv[1]);
    error = write_file(path, "1");
    CHECK(error == 0, "%s: %s", path, strerror(error));
    snprintf(path, sizeof(path), "%s/resource0", argv[1]);
    fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
    CHECK(fd >= 0, "%s: %m", path);
    left = mmap(NULL, RNG_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(left != MAP_FAILED, "mmap of %s: %m", path);
    /* hw_random reads when it likes: it is not to, for bytes are counted here. */
    error = write_file(CURRENT, "none");
    CHECK(error == 0, CURRENT ": %s", strerror(error));
    node = open_node("/dev/" RNG_NODE);
    check_reads();
    check_rand();
    check_fill();
    check_readers();
    check_hwrng();
    /* For the app, which is run after this: hw_random must not take it. */
    error = write_file(CURRENT, "none");
    CHECK(error == 0, CURRENT ": %s", strerror(error));
    leave(40);
    puts("done");
    return 0;
}
