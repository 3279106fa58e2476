/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host that runs out of entropy, after as many bytes as this program says: each caller gets the good ones
 * and then EIO, and never a number that the host did not give. In the end 40 bytes are left.
 *
 *   entropy ADDRESS on|off    (the PCI address of my-rng-entropy; whether the device under test has a bulk engine)
 */
#include "driver.h"
#include "tasks.h"

/*
 * What the device asks the host for at a time in a transfer, and the driver the device by its registers, in
 * bytes. A block in which the host runs out is not handed out.
 */
enum { BLOCK = 512, LARGE = 65536, MIDDLE = 8192, SMALL = 16, READERS = 4, BUDGET = 1 << 20 };

static const uint32_t unlimited = UINT32_MAX;
/* How many bytes the host still gives. */
static volatile uint32_t *left;
static bool bulk;

/* A read of the register that fails gives 0; the host gives it once in 2^32 words. */
#define expect_no_zeros(words, bytes)                                                                        \
    do {                                                                                                     \
        for (ssize_t i_ = 0; i_ < (ssize_t)(bytes) / 4; i_++) {                                              \
            ASSERT((words)[i_] != 0);                                                                        \
        }                                                                                                    \
    } while (0)

static void check_read(size_t length, uint32_t budget, ssize_t expected)
{
    /* Of whole pages, so that no block is cut where one ends. */
    static _Alignas(4096) uint32_t words[LARGE / 4];
    uint64_t before = fdinfo_number(node, "words");
    ssize_t got;

    tap_context("a read of %zu bytes from %u", length, budget);
    *left = budget;
    got = read(node, words, length);
    if (expected == 0) {
        ASSERT_ERROR(got, EIO);
    } else {
        ASSERT_EQ(got, expected);
        expect_no_zeros(words, got);
    }
    ASSERT_EQ(fdinfo_number(node, "words"), before + expected / 4);
    if (expected < (ssize_t)length) {
        /* The rest of a block is too little for the next one. */
        *left = 0;
        ASSERT_ERROR(read(node, words, length), EIO);
    }
    *left = unlimited;
    ASSERT_EQ(read(node, words, length), length);
    expect_no_zeros(words, length);
}

TEST("a read gives the whole blocks that the host had, then EIO")
{
    check_read(LARGE, 0, 0);
    check_read(LARGE, BLOCK - 4, 0);
    check_read(LARGE, 5 * BLOCK, 5 * BLOCK);
    check_read(LARGE, 5 * BLOCK + 8, 5 * BLOCK);
    check_read(LARGE, LARGE - 4, LARGE - BLOCK);
    check_read(LARGE, LARGE, LARGE);
    check_read(MIDDLE, 0, 0);
    check_read(MIDDLE, 5 * BLOCK + 8, 5 * BLOCK);
    check_read(MIDDLE, MIDDLE - 4, MIDDLE - BLOCK);
}

TEST("a small read gives all or EIO")
{
    for (int length = 4; length <= BLOCK; length += 4) {
        check_read(length, 0, 0);
        check_read(length, length - 4, 0);
        check_read(length, length, length);
    }
}

TEST("RAND fails with EIO and stores nothing")
{
    uint32_t word = 0x5a5a5a5a;

    *left = 4;
    ASSERT(node_rand(node) != 0);
    for (int i = 0; i < 3; i++) {
        ASSERT_ERROR(ioctl(node, RNG_IOCTL_RAND, &word), EIO);
        ASSERT_EQ(word, 0x5a5a5a5a);
    }
    *left = unlimited;
    ASSERT(node_rand(node) != 0);
}

TEST("FILL fails with EIO; without an engine the node cannot be mapped")
{
    uint32_t *words = mmap(NULL, MIDDLE, PROT_READ | PROT_WRITE, MAP_SHARED, node, 0);

    if (!bulk) {
        ASSERT_ERROR(words, ENODEV);
        return;
    }
    ASSERT(words != MAP_FAILED);
    *left = 0;
    ASSERT_ERROR(fill(node, 0, MIDDLE), EIO);
    *left = MIDDLE - 4;
    ASSERT_ERROR(fill(node, 0, MIDDLE), EIO);
    *left = MIDDLE;
    memset(words, 0, MIDDLE);
    ASSERT_EQ(fill(node, 0, MIDDLE), 0);
    expect_no_zeros(words, MIDDLE);
}

static atomic_ulong total;

static void drain(int number)
{
    uint32_t words[MIDDLE / 4];
    ssize_t got;

    while ((got = read(node, words, number % 2 ? SMALL : MIDDLE)) > 0) {
        expect_no_zeros(words, got);
        atomic_fetch_add(&total, got);
    }
    ASSERT_ERROR(got, EIO);
}

TEST("readers at the same time get good numbers until EIO")
{
    *left = BUDGET;
    start_threads(READERS, drain);
    join_threads();
    ASSERT(total <= BUDGET && total > BUDGET / 2);
}

TEST("hw_random gets good numbers, then EIO")
{
    uint32_t words[16];
    ssize_t got;
    int fd;

    ASSERT_EQ(write_file(HWRNG "current", RNG_NODE), 0);
    fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        ASSERT_EQ(read(fd, words, sizeof(words)), sizeof(words));
        expect_no_zeros(words, sizeof(words));
        *left = 0;
        /* hw_random first gives what it has buffered. */
        while ((got = read(fd, words, sizeof(words))) > 0) {
            expect_no_zeros(words, got);
        }
        ASSERT_ERROR(got, EIO);
        *left = unlimited;
    }
}

/* hw_random reads whenever it likes, and bytes are counted here. */
static void stop_hwrng(void)
{
    *left = unlimited;
    ASSERT_EQ(write_file(HWRNG "current", "none"), 0);
}

int main(int argc, char **argv)
{
    int status;

    ASSERT_MSG(argc == 3, "usage: entropy ADDRESS on|off");
    ASSERT_EQ(write_file(device_file(argv[1], "enable"), "1"), 0);
    left = map_bar(device_file(argv[1], "resource0"));
    bulk = strcmp(argv[2], "on") == 0;
    node = open_node();

    tap.before = stop_hwrng;
    status = tap_run();
    stop_hwrng();
    *left = 40;
    return status;
}
