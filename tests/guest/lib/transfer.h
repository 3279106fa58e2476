/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bulk engine without the driver: registers that sysfs maps, descriptors, and memory whose addresses on the bus
 * are known.
 */
#ifndef MY_RNG_TESTS_TRANSFER_H
#define MY_RNG_TESTS_TRANSFER_H

#include "driver.h"
#include <linux/pci_regs.h>

enum { MAX_SEGMENTS = (PAGE - 16) / 16 };
enum status { WAITING, FILLED, BAD_DESCRIPTOR, BAD_MEMORY };

struct segment {
    uint64_t address;
    uint32_t length;
    uint32_t reserved;
};

struct descriptor {
    uint32_t status;
    uint32_t count;
    uint32_t done;
    uint32_t reserved;
    struct segment segments[MAX_SEGMENTS];
};

_Static_assert(sizeof(struct descriptor) == RNG_BULK_PAGE && PAGE == RNG_BULK_PAGE, "a descriptor is a page");

static inline int open_config(const char *address)
{
    int fd = open(device_file(address, "config"), O_RDWR | O_CLOEXEC);

    ASSERT_MSG(fd >= 0, "the configuration space of %s: %m", address);
    return fd;
}

/* Sets what a device answers at, and whether it may use DMA: PCI_COMMAND_... */
static inline void set_command(const char *address, uint16_t bits)
{
    int fd = open_config(address);
    uint16_t command;

    ASSERT_EQ(pread(fd, &command, 2, PCI_COMMAND), 2);
    command = (command & ~(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)) | bits;
    ASSERT_EQ(pwrite(fd, &command, 2, PCI_COMMAND), 2);
    close(fd);
}

static inline void enable(const char *address)
{
    set_command(address, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* Where BAR 0 of a device is. */
static inline uint64_t bar_address(const char *address)
{
    const char *resource = file_value(device_file(address, "resource"), "");

    ASSERT(resource != NULL);
    return strtoull(resource, NULL, 16);
}

/* Enables a my_rng, and maps its registers. */
static inline volatile uint32_t *map_rng(const char *address, uint64_t *bus_address)
{
    volatile uint32_t *registers;

    enable(address);
    *bus_address = bar_address(address);
    registers = map_bar(device_file(address, "resource0"));
    ASSERT(registers[RNG_REG_INFO / 4] & RNG_INFO_BULK);
    return registers;
}

/* Pages that stay where they are. They are not adjacent on the bus. */
static inline void *make_pages(int count)
{
    void *at = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);

    ASSERT(at != MAP_FAILED);
    memset(at, 0xa5, count * PAGE);
    return at;
}

/* The address on the bus of one of these pages. */
static inline uint64_t bus_address(const void *page)
{
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t entry, address;

    ASSERT_EQ(pread(fd, &entry, 8, (uintptr_t)page / PAGE * 8), 8);
    close(fd);
    address = (entry & ((UINT64_C(1) << 55) - 1)) * PAGE;
    ASSERT(entry >> 63 != 0 && address != 0);
    return address;
}

/* Has the device execute a descriptor, by its page number. */
static inline void ring_doorbell(volatile uint32_t *registers, uint32_t page)
{
    /* The device reads and writes memory meanwhile. */
    asm volatile("" : : : "memory");
    registers[RNG_REG_DOORBELL / 4] = page;
    asm volatile("" : : : "memory");
}

#endif
