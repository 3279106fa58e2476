/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DMA behind an IOMMU, without the driver: the device reads no descriptor that nobody has mapped.
 *
 *   stray ADDRESS    (of a device that nobody has used)
 */
#include "transfer.h"

static const char *address;

TEST("a descriptor that is not mapped is not read")
{
    struct descriptor *descriptor = make_pages(1);
    uint64_t at;
    volatile uint32_t *registers = map_rng(address, &at);

    memset(descriptor, 0, PAGE);
    descriptor->count = 1;
    descriptor->segments[0] = (struct segment){bus_address(descriptor) + PAGE - 4, 4, 0};
    ring_doorbell(registers, bus_address(descriptor) / PAGE);
    ASSERT_EQ(descriptor->status, WAITING);
    ASSERT_EQ(descriptor->done, 0);
    /* Nor was a number taken. */
    stream_seed(&stream, RNG_DEFAULT_SEED);
    ASSERT_EQ(registers[RNG_REG_RNG / 4], stream_next(&stream));
}

int main(int argc, char **argv)
{
    ASSERT_MSG(argc == 2, "usage: stray ADDRESS");
    address = argv[1];
    return tap_run();
}
