/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A machine with PCI for each architecture, on which qtests try a device. QEMU
 * runs each qtest for all of its targets.
 */

#ifndef HW_MISC_QEMU_PCI_QTEST_MACHINE_H
#define HW_MISC_QEMU_PCI_QTEST_MACHINE_H

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "libqtest.h"
#include "libqos/generic-pcihost.h"
#include "libqos/malloc-spapr.h"
#include "libqos/pci.h"
#include "libqos/pci-pc.h"
#include "libqos/pci-spapr.h"

typedef struct QemuPciMachine {
    const char *name;
    /* Further options for it. */
    const char *options;
    QPCIBus *(*bus_new)(QTestState *qts);
    void (*bus_free)(QPCIBus *bus);
    /* Where its memory is, without holes, and how much. */
    uint64_t memory;
    uint64_t memory_size;
    /* Whether devices reach memory before a guest has set up an IOMMU. */
    bool has_dma;
    /* Whether devices can be plugged into the root bus. */
    bool has_hotplug;
} QemuPciMachine;

/* ---- little-endian numbers, whatever the processor's order ---- */

static inline uint16_t qemu_pci_readw(QTestState *qts, uint64_t address)
{
    uint16_t value;

    qtest_memread(qts, address, &value, sizeof(value));
    return le16_to_cpu(value);
}

static inline void qemu_pci_writew(QTestState *qts, uint64_t address,
                                   uint16_t value)
{
    value = cpu_to_le16(value);
    qtest_memwrite(qts, address, &value, sizeof(value));
}

static inline uint32_t qemu_pci_readl(QTestState *qts, uint64_t address)
{
    uint32_t value;

    qtest_memread(qts, address, &value, sizeof(value));
    return le32_to_cpu(value);
}

static inline void qemu_pci_writel(QTestState *qts, uint64_t address,
                                   uint32_t value)
{
    value = cpu_to_le32(value);
    qtest_memwrite(qts, address, &value, sizeof(value));
}

static inline void qemu_pci_writeq(QTestState *qts, uint64_t address,
                                   uint64_t value)
{
    value = cpu_to_le64(value);
    qtest_memwrite(qts, address, &value, sizeof(value));
}

/* ---- pc, for i386 and x86_64 ---- */

static inline QPCIBus *qemu_pci_pc_bus_new(QTestState *qts)
{
    return qpci_new_pc(qts, NULL);
}

static const QemuPciMachine qemu_pci_pc = {
    .name = "pc",
    .bus_new = qemu_pci_pc_bus_new,
    .bus_free = qpci_free_pc,
    .memory_size = 128 * MiB,
    .has_dma = true,
    .has_hotplug = true,
};

/* ---- virt, of several architectures ---- */

static inline QPCIBus *qemu_pci_arm_bus_new(QTestState *qts)
{
    QGenericPCIBus *generic = g_new0(QGenericPCIBus, 1);

    qpci_init_generic(generic, qts, NULL, false);
    /* The first ports belong to the ISA bus, if there is one. */
    generic->bus.pio_alloc_ptr = 0x4000;
    return &generic->bus;
}

static inline QPCIBus *qemu_pci_virt_bus_new(QTestState *qts, uint64_t ecam,
                                             uint64_t ports)
{
    QPCIBus *bus = qemu_pci_arm_bus_new(qts);
    QGenericPCIBus *generic = container_of(bus, QGenericPCIBus, bus);

    generic->ecam_alloc_ptr = ecam;
    generic->gpex_pio_base = ports;
    bus->mmio_alloc_ptr = 0x40000000;
    bus->mmio_limit = 0x80000000;
    return bus;
}

static inline QPCIBus *qemu_pci_riscv_bus_new(QTestState *qts)
{
    return qemu_pci_virt_bus_new(qts, 0x30000000, 0x3000000);
}

static inline QPCIBus *qemu_pci_loongarch_bus_new(QTestState *qts)
{
    return qemu_pci_virt_bus_new(qts, 0x20000000, 0x18000000);
}

static inline void qemu_pci_virt_bus_free(QPCIBus *bus)
{
    g_free(container_of(bus, QGenericPCIBus, bus));
}

static const QemuPciMachine qemu_pci_arm = {
    .name = "virt",
    .bus_new = qemu_pci_arm_bus_new,
    .bus_free = qemu_pci_virt_bus_free,
    .memory = 0x40000000,
    .memory_size = 128 * MiB,
    .has_dma = true,
};

static const QemuPciMachine qemu_pci_riscv = {
    .name = "virt",
    .options = "-bios none",
    .bus_new = qemu_pci_riscv_bus_new,
    .bus_free = qemu_pci_virt_bus_free,
    .memory = 0x80000000,
    .memory_size = 128 * MiB,
    .has_dma = true,
};

static const QemuPciMachine qemu_pci_loongarch = {
    .name = "virt",
    .options = "-m 1G",
    .bus_new = qemu_pci_loongarch_bus_new,
    .bus_free = qemu_pci_virt_bus_free,
    /* The rest of its memory is elsewhere. */
    .memory_size = 256 * MiB,
    .has_dma = true,
};

/* ---- malta, for mips of both byte orders ---- */

/*
 * The registers of its GT-64120 host bridge, and what that shows of PCI.
 * CFGDATA has the byte order of the processor, all else is little-endian.
 */
#define MALTA_CFGADDR   0x14000cf8
#define MALTA_CFGDATA   0x14000cfc
#define MALTA_PORTS     0x10000000
#define MALTA_MMIO      0x12000000
#define MALTA_MMIO_END  0x14000000

static inline void qemu_pci_malta_select(QPCIBus *bus, int devfn, int offset)
{
    qemu_pci_writel(bus->qts, MALTA_CFGADDR,
                    1U << 31 | devfn << 8 | (offset & ~3));
}

static inline uint32_t qemu_pci_malta_config_readl(QPCIBus *bus, int devfn,
                                                   uint8_t offset)
{
    qemu_pci_malta_select(bus, devfn, offset);
    return qtest_readl(bus->qts, MALTA_CFGDATA);
}

static inline uint16_t qemu_pci_malta_config_readw(QPCIBus *bus, int devfn,
                                                   uint8_t offset)
{
    return qemu_pci_malta_config_readl(bus, devfn, offset) >> offset % 4 * 8;
}

static inline uint8_t qemu_pci_malta_config_readb(QPCIBus *bus, int devfn,
                                                  uint8_t offset)
{
    return qemu_pci_malta_config_readw(bus, devfn, offset);
}

static inline void qemu_pci_malta_config_writel(QPCIBus *bus, int devfn,
                                                uint8_t offset, uint32_t value)
{
    qemu_pci_malta_select(bus, devfn, offset);
    qtest_writel(bus->qts, MALTA_CFGDATA, value);
}

/* The bridge has only accesses of 4 bytes. */
static inline void qemu_pci_malta_config_writew(QPCIBus *bus, int devfn,
                                                uint8_t offset, uint16_t value)
{
    uint32_t old = qemu_pci_malta_config_readl(bus, devfn, offset);

    qemu_pci_malta_config_writel(bus, devfn, offset,
                                 deposit32(old, offset % 4 * 8, 16, value));
}

static inline void qemu_pci_malta_config_writeb(QPCIBus *bus, int devfn,
                                                uint8_t offset, uint8_t value)
{
    uint32_t old = qemu_pci_malta_config_readl(bus, devfn, offset);

    qemu_pci_malta_config_writel(bus, devfn, offset,
                                 deposit32(old, offset % 4 * 8, 8, value));
}

static inline uint16_t qemu_pci_malta_pio_readw(QPCIBus *bus, uint32_t port)
{
    return qemu_pci_readw(bus->qts, MALTA_PORTS + port);
}

static inline void qemu_pci_malta_pio_writew(QPCIBus *bus, uint32_t port,
                                             uint16_t value)
{
    qemu_pci_writew(bus->qts, MALTA_PORTS + port, value);
}

static inline uint32_t qemu_pci_malta_pio_readl(QPCIBus *bus, uint32_t port)
{
    return qemu_pci_readl(bus->qts, MALTA_PORTS + port);
}

static inline void qemu_pci_malta_pio_writel(QPCIBus *bus, uint32_t port,
                                             uint32_t value)
{
    qemu_pci_writel(bus->qts, MALTA_PORTS + port, value);
}

/* Bytes and memory are as with virt. Ports have no accesses of 8 bytes. */
static inline QPCIBus *qemu_pci_malta_bus_new(QTestState *qts)
{
    QPCIBus *bus = qemu_pci_virt_bus_new(qts, 0, MALTA_PORTS);

    bus->pio_readw = qemu_pci_malta_pio_readw;
    bus->pio_readl = qemu_pci_malta_pio_readl;
    bus->pio_readq = NULL;
    bus->pio_writew = qemu_pci_malta_pio_writew;
    bus->pio_writel = qemu_pci_malta_pio_writel;
    bus->pio_writeq = NULL;
    bus->config_readb = qemu_pci_malta_config_readb;
    bus->config_readw = qemu_pci_malta_config_readw;
    bus->config_readl = qemu_pci_malta_config_readl;
    bus->config_writeb = qemu_pci_malta_config_writeb;
    bus->config_writew = qemu_pci_malta_config_writew;
    bus->config_writel = qemu_pci_malta_config_writel;
    bus->mmio_alloc_ptr = MALTA_MMIO;
    bus->mmio_limit = MALTA_MMIO_END;
    return bus;
}

static const QemuPciMachine qemu_pci_malta = {
    .name = "malta",
    .bus_new = qemu_pci_malta_bus_new,
    .bus_free = qemu_pci_virt_bus_free,
    .memory_size = 128 * MiB,
    .has_dma = true,
};

/* ---- pseries, for ppc64 ---- */

static inline QPCIBus *qemu_pci_pseries_bus_new(QTestState *qts)
{
    /* For arguments of the firmware's calls: all machines can share it. */
    static QGuestAllocator alloc;

    if (!alloc.page_size) {
        spapr_alloc_init(&alloc, qts, ALLOC_NO_FLAGS);
    }
    return qpci_new_spapr(qts, &alloc);
}

static const QemuPciMachine qemu_pci_pseries = {
    .name = "pseries",
    .bus_new = qemu_pci_pseries_bus_new,
    .bus_free = qpci_free_spapr,
    .memory_size = 512 * MiB,
    .has_hotplug = true,
};

/* ---- all of them ---- */

/* Returns the machine for this architecture, or NULL if QEMU has none. */
static inline const QemuPciMachine *qemu_pci_machine(void)
{
    static const struct {
        const char *arch;
        const QemuPciMachine *machine;
    } machines[] = {
        { "i386", &qemu_pci_pc },
        { "x86_64", &qemu_pci_pc },
        { "arm", &qemu_pci_arm },
        { "aarch64", &qemu_pci_arm },
        { "riscv32", &qemu_pci_riscv },
        { "riscv64", &qemu_pci_riscv },
        { "loongarch64", &qemu_pci_loongarch },
        { "mips", &qemu_pci_malta },
        { "mipsel", &qemu_pci_malta },
        { "mips64", &qemu_pci_malta },
        { "mips64el", &qemu_pci_malta },
        { "ppc64", &qemu_pci_pseries },
    };

    for (int i = 0; i < ARRAY_SIZE(machines); i++) {
        if (g_str_equal(machines[i].arch, qtest_get_arch()) &&
            qtest_has_machine(machines[i].machine->name)) {
            return machines[i].machine;
        }
    }
    return NULL;
}

/*
 * The same for tests of @device. NULL, and the test is skipped, if this QEMU
 * does not have both.
 */
static inline const QemuPciMachine *qemu_pci_machine_for(const char *device)
{
    const QemuPciMachine *machine = qemu_pci_machine();

    if (!machine || !qtest_has_device(device)) {
        g_test_skip("this QEMU does not have the device, or not the machine");
        return NULL;
    }
    return machine;
}

/* Starts this machine with these options. Returns its root bus. */
static inline QPCIBus *qemu_pci_machine_start(const char *options)
{
    const QemuPciMachine *machine = qemu_pci_machine();
    QTestState *qts = qtest_initf("-machine %s -nodefaults %s %s",
                                  machine->name, machine->options ?: "",
                                  options);

    return machine->bus_new(qts);
}

static inline void qemu_pci_machine_stop(QPCIBus *bus)
{
    QTestState *qts = bus->qts;

    qemu_pci_machine()->bus_free(bus);
    qtest_quit(qts);
}

#endif
