/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads and writes the BAR with every access size at every offset, through sysfs, and compares what comes
 * back, and the stream after each access, with a model of the registers. Nobody may have used the device.
 * DOORBELL starts no transfer, because the device is not a bus master. Each check prints how many accesses it
 * made and how many guest errors the device must have logged.
 *
 *   access RESOURCE0 INFO_OFFSET INFO_VALUE
 */
#include "driver.h"

static volatile uint32_t *bar;
static unsigned int info_offset;
static uint32_t info;
static unsigned long accesses, errors;

/* Arm processors do not access a device's memory at unaligned addresses. */
#ifdef __aarch64__
enum { ALIGNED_ONLY = 1 };
#else
enum { ALIGNED_ONLY = 0 };
#endif

/* The compiler neither splits nor merges volatile accesses. */
#define AT(type) (*(volatile type *)((volatile char *)bar + offset))

static uint64_t load(unsigned int size, unsigned int offset)
{
    switch (size) {
    case 1:
        return AT(uint8_t);
    case 2:
        return AT(uint16_t);
    case 4:
        return AT(uint32_t);
    default:
        return AT(uint64_t);
    }
}

static void store(unsigned int size, unsigned int offset, uint64_t value)
{
    switch (size) {
    case 1:
        AT(uint8_t) = value;
        break;
    case 2:
        AT(uint16_t) = value;
        break;
    case 4:
        AT(uint32_t) = value;
        break;
    default:
        AT(uint64_t) = value;
        break;
    }
}

/*
 * The pieces in which an access reaches the device: TCG cuts an unaligned one into the largest power-of-two
 * pieces that divide both address and length, and the device takes at most four bytes at once. Another
 * accelerator cuts differently, which changes only the number of errors.
 */
static unsigned int piece_size(unsigned int size, unsigned int offset)
{
    unsigned int piece = (size | offset) & -(size | offset);

    return piece > 4 ? 4 : piece;
}

static uint64_t model_load(unsigned int size, unsigned int offset)
{
    uint64_t value = 0;

    for (unsigned int done = 0, piece; done < size; done += piece) {
        piece = piece_size(size - done, offset + done);
        if (piece == 4 && offset + done == RNG_REG_RNG) {
            value |= (uint64_t)stream_next(&stream) << (8 * done);
        } else if (piece == 4 && offset + done == info_offset) {
            value |= (uint64_t)info << (8 * done);
        } else if (piece == 4 && offset + done == RNG_REG_FAILURES) {
            /* Seeded generators never fail: 0. */
        } else {
            errors++;
        }
    }
    return value;
}

static void model_store(unsigned int size, unsigned int offset, uint64_t value)
{
    for (unsigned int done = 0, piece; done < size; done += piece) {
        piece = piece_size(size - done, offset + done);
        if (piece == 4 && offset + done == RNG_REG_SEED) {
            stream_seed(&stream, (uint32_t)(value >> (8 * done)));
        } else {
            errors++;
        }
    }
}

static void expect_next_number(void)
{
    ASSERT_EQ(load(4, RNG_REG_RNG), stream_next(&stream));
}

static void check_load(unsigned int size, unsigned int offset)
{
    tap_context("a load of %u bytes at 0x%x", size, offset);
    ASSERT_EQ(load(size, offset), model_load(size, offset));
    expect_next_number();
    accesses++;
}

static void check_store(unsigned int size, unsigned int offset, uint64_t value)
{
    tap_context("a store of %u bytes at 0x%x", size, offset);
    model_store(size, offset, value);
    store(size, offset, value);
    expect_next_number();
    accesses++;
}

TEST("an unseeded device starts with the default seed")
{
    stream_seed(&stream, RNG_DEFAULT_SEED);
    expect_next_number();
}

static void sweep(unsigned int size)
{
    uint64_t value = 0x123456789abcdef1 * size;

    check_store(4, RNG_REG_SEED, size);
    for (unsigned int offset = 0; offset + size <= RNG_BAR_SIZE; offset += ALIGNED_ONLY ? size : 1) {
        check_load(size, offset);
        check_store(size, offset, splitmix64(&value));
    }
}

TEST("1-byte accesses at every offset do nothing")
{
    sweep(1);
}

TEST("2-byte accesses at every offset do nothing")
{
    sweep(2);
}

TEST("4-byte accesses reach the registers, and only when aligned")
{
    sweep(4);
}

TEST("8-byte accesses are two of 4 bytes, the lower half first")
{
    sweep(8);
}

TEST("all bits of a seed count, and none that is written to RNG or INFO")
{
    for (unsigned int bit = 0; bit < 32; bit++) {
        check_store(4, RNG_REG_SEED, UINT32_C(1) << bit);
        check_store(4, RNG_REG_RNG, UINT32_C(1) << bit);
        check_store(4, info_offset, UINT32_C(1) << bit);
        check_load(4, info_offset);
        check_load(4, RNG_REG_SEED);
        check_store(8, RNG_REG_RNG, UINT64_C(0x8000000100000000) << bit);
        check_load(8, RNG_REG_RNG);
    }
}

static void print_counts(void)
{
    printf("# accesses: %lu\n# guest errors: %lu\n", accesses, errors);
}

int main(int argc, char **argv)
{
    ASSERT_MSG(argc == 4, "usage: access RESOURCE0 INFO_OFFSET INFO_VALUE");
    bar = map_bar(argv[1]);
    info_offset = strtoul(argv[2], NULL, 0);
    info = strtoul(argv[3], NULL, 0);
    tap.after = print_counts;
    return tap_run();
}
