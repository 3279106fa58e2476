/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads and writes the BAR with every access size at every offset, through sysfs, and holds what
 * comes back, and the stream after each access, against a model of the registers: RNG, SEED, INFO, of
 * which the caller says where it is and what it reads as, and DOORBELL, if INFO says so. No transfer comes
 * of that: the device may not master the bus. Prints how many guest errors the device must have logged.
 *
 *   access /sys/bus/pci/devices/ADDRESS/resource0 OFFSET VALUE
 */
#include "guest.h"
#include <sys/mman.h>

static volatile unsigned char *bar;
static struct model model;
static unsigned int info_offset;
static uint32_t info;
static unsigned long errors;

/* Assembly, so that the compiler can neither split nor merge an access. */
static uint64_t load(unsigned int size, unsigned int offset)
{
    volatile unsigned char *at = bar + offset;
    uint64_t value = 0;

    switch (size) {
    case 1:
        asm volatile("movb (%1), %b0" : "+q"(value) : "r"(at) : "memory");
        break;
    case 2:
        asm volatile("movw (%1), %w0" : "+r"(value) : "r"(at) : "memory");
        break;
    case 4:
        asm volatile("movl (%1), %k0" : "+r"(value) : "r"(at) : "memory");
        break;
    default:
        asm volatile("movq (%1), %0" : "+r"(value) : "r"(at) : "memory");
        break;
    }
    return value;
}

static void store(unsigned int size, unsigned int offset, uint64_t value)
{
    volatile unsigned char *at = bar + offset;

    switch (size) {
    case 1:
        asm volatile("movb %b0, (%1)" : : "q"(value), "r"(at) : "memory");
        break;
    case 2:
        asm volatile("movw %w0, (%1)" : : "r"(value), "r"(at) : "memory");
        break;
    case 4:
        asm volatile("movl %k0, (%1)" : : "r"(value), "r"(at) : "memory");
        break;
    default:
        asm volatile("movq %0, (%1)" : : "r"(value), "r"(at) : "memory");
        break;
    }
}

/*
 * The pieces in which an access reaches the device: TCG cuts an unaligned one into the largest
 * power-of-two pieces that divide both address and length, and the device takes no more than four
 * bytes at once. Another accelerator cuts otherwise, which changes the number of errors only.
 */
static unsigned int piece_size(unsigned int size, unsigned int offset)
{
    unsigned int piece = (size | offset) & -(size | offset);

    return piece > 4 ? 4 : piece;
}

static uint64_t expect_load(unsigned int size, unsigned int offset)
{
    uint64_t value = 0;

    for (unsigned int done = 0, piece; done < size; done += piece) {
        piece = piece_size(size - done, offset + done);
        if (piece == 4 && offset + done == RNG_REG_RNG) {
            value |= (uint64_t)model_next(&model) << (8 * done);
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

static void expect_store(unsigned int size, unsigned int offset, uint64_t value)
{
    for (unsigned int done = 0, piece; done < size; done += piece) {
        piece = piece_size(size - done, offset + done);
        if (piece == 4 && offset + done == RNG_REG_SEED) {
            model_seed(&model, (uint32_t)(value >> (8 * done)));
        } else {
            errors++;
        }
    }
}

static void check_stream(const char *after, unsigned int size, unsigned int offset)
{
    uint32_t expected = model_next(&model);
    uint32_t word = load(4, RNG_REG_RNG);

    CHECK(word == expected, "after a %s of %u at 0x%x the stream goes on with %u, not %u", after,
          size, offset, word, expected);
}

static void check_load(unsigned int size, unsigned int offset)
{
    uint64_t expected = expect_load(size, offset);
    uint64_t value = load(size, offset);

    CHECK(value == expected, "a load of %u at 0x%x gives 0x%llx, not 0x%llx", size, offset,
          (unsigned long long)value, (unsigned long long)expected);
    check_stream("load", size, offset);
}

static void check_store(unsigned int size, unsigned int offset, uint64_t value)
{
    expect_store(size, offset, value);
    store(size, offset, value);
    check_stream("store", size, offset);
}

int main(int argc, char **argv)
{
    unsigned long accesses = 0;
    uint64_t value = 0x123456789abcdef1;
    int fd;

    CHECK(argc == 4, "usage: access RESOURCE0 OFFSET VALUE");
    info_offset = strtoul(argv[2], NULL, 0);
    info = strtoul(argv[3], NULL, 0);
    fd = open(argv[1], O_RDWR | O_SYNC);
    CHECK(fd >= 0, "%s: %m", argv[1]);
    bar = mmap(NULL, RNG_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(bar != MAP_FAILED, "mmap of %s: %m", argv[1]);

    /* A device that nobody has seeded. */
    model_seed(&model, RNG_DEFAULT_SEED);
    check_stream("boot", 0, 0);

    for (unsigned int size = 1; size <= 8; size *= 2) {
        for (unsigned int offset = 0; offset + size <= RNG_BAR_SIZE; offset++) {
            check_load(size, offset);
            check_store(size, offset, value);
            /* Any sequence without short cycles does; this is Knuth's MMIX. */
            value = value * 6364136223846793005 + 1442695040888963407;
            accesses += 2;
        }
    }

    /* The words that matter, by themselves: all bits of a seed count, and none of RNG's or INFO's. */
    for (unsigned int bit = 0; bit < 32; bit++) {
        check_store(4, RNG_REG_SEED, UINT32_C(1) << bit);
        check_store(4, RNG_REG_RNG, UINT32_C(1) << bit);
        check_store(4, info_offset, UINT32_C(1) << bit);
        check_load(4, info_offset);
        check_load(4, RNG_REG_SEED);
        check_store(8, RNG_REG_RNG, UINT64_C(0x8000000100000000) << bit);
        check_load(8, RNG_REG_RNG);
        accesses += 7;
    }

    printf("accesses: %lu\n", accesses);
    printf("guest errors: %lu\n", errors);
    return 0;
}
