/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * QTest testcase for rust_sampler, a PCIe device that uses every feature of
 * the kit for devices in Rust.
 */

#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qemu/host-utils.h"
#include "hw/misc/qemu-pci/qtest-machine.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_regs.h"

#define SAMPLER_PCI_VENDOR_ID       0x1234
#define SAMPLER_PCI_DEVICE_ID       0xca5a
#define SAMPLER_PCI_REVISION        3
#define SAMPLER_PCI_CLASS           0x1180
#define SAMPLER_PCI_PROG            0x42
#define SAMPLER_PCI_SUBVENDOR_ID    0x1af4
#define SAMPLER_PCI_SUBDEVICE_ID    0x5a5a
#define SAMPLER_SERIAL              0x0123456789abcdef
#define SAMPLER_VENDOR_CAPABILITY   "sampler"

/* The registers of BAR 0. BAR 2 begins with memory, BAR 4 is I/O ports. */
enum {
    INTERRUPT = 0x00,
    LOWER = 0x04,
    DELAY = 0x08,
    RUNS = 0x10,
    REPEAT = 0x14,
    NOW = 0x18,
    PUSH = 0x20,
    LENGTH = 0x24,
    COPY = 0x28,
    COPIED = 0x30,
    RARE = 0x34,
    LIMIT = 0x38,
    STOP = 0x3c,
    INTERRUPTS = 0x40,
    REGISTERS_END = 0x44,
};

#define MEMORY_BAR_SIZE     0x10000
#define SCRATCH_SIZE        16
#define QUEUE_ROOM          4
#define VECTORS             4
#define MSIX_VECTORS        3
#define DEFAULT_LIMIT       100
#define SHORTEST_DELAY      10000
#define LONGEST_DELAY       3600000000000

/* Guest memory for DMA and for messages; its end; an address without. */
#define MEMORY              0x100000
#define MESSAGE             0x200000
#define MEMORY_END          0x8000000
#define HOLE                0x80000000

/* ---- a device in a machine ---- */

#define ID "sampler"
#define SLOT 4
#define PLUG_SLOT 6

typedef struct Sampler {
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *dev;
    QPCIBar registers;
    QPCIBar memory;
    QPCIBar ports;
} Sampler;

/* Does the firmware's work; call it again after a reset. */
static void sampler_map(Sampler *s)
{
    uint64_t sizes[3] = { };

    qpci_device_enable(s->dev);
    s->registers = qpci_iomap(s->dev, 0, &sizes[0]);
    s->memory = qpci_iomap(s->dev, 2, &sizes[1]);
    s->ports = qpci_iomap(s->dev, 4, &sizes[2]);
    g_assert_false(s->registers.is_io);
    g_assert_cmphex(sizes[0], ==, 4096);
    g_assert_false(s->memory.is_io);
    g_assert_cmphex(sizes[1], ==, MEMORY_BAR_SIZE);
    g_assert_true(s->ports.is_io);
    g_assert_cmphex(sizes[2], ==, 16);
}

static void sampler_find(Sampler *s, QPCIBus *bus, int devfn)
{
    s->qts = bus->qts;
    s->bus = bus;
    s->dev = qpci_device_find(bus, devfn);
    g_assert_nonnull(s->dev);
    sampler_map(s);
}

/* @props begins with a comma if not empty. */
static QPCIBus *machine_start(const char *props, const char *more)
{
    g_autofree char *args =
        g_strdup_printf("-device rust_sampler,id=" ID ",addr=%02x.0%s %s",
                        SLOT, props, more);

    return qemu_pci_machine_start(args);
}

static void sampler_start(Sampler *s, const char *props)
{
    sampler_find(s, machine_start(props, ""), QPCI_DEVFN(SLOT, 0));
}

static void sampler_stop(Sampler *s)
{
    g_free(s->dev);
    qemu_pci_machine_stop(s->bus);
}

static uint32_t get(Sampler *s, int reg)
{
    return qpci_io_readl(s->dev, s->registers, reg);
}

static void set(Sampler *s, int reg, uint32_t value)
{
    qpci_io_writel(s->dev, s->registers, reg, value);
}

static uint64_t get_long(Sampler *s, int reg)
{
    return qpci_io_readq(s->dev, s->registers, reg);
}

static void set_long(Sampler *s, int reg, uint64_t value)
{
    qpci_io_writeq(s->dev, s->registers, reg, value);
}

static void assert_property(Sampler *s, const char *name, const char *expected)
{
    g_autofree char *said =
        qtest_hmp(s->qts, "qom-get /machine/peripheral/" ID " %s", name);

    g_assert_cmpstr(g_strchomp(said), ==, expected);
}

static void assert_errors(Sampler *s, int expected)
{
    g_autofree char *text = g_strdup_printf("%d", expected);

    assert_property(s, "guest-errors", text);
}

static void reset(Sampler *s)
{
    qtest_qmp_assert_success(s->qts, "{'execute': 'system_reset'}");
    qtest_qmp_eventwait(s->qts, "RESET");
    sampler_map(s);
}

static uint8_t capability(Sampler *s, uint8_t id)
{
    return qpci_find_capability(s->dev, id, 0);
}

/* ---- identity ---- */

/* @type is the port type in the PCIe capability. */
static void assert_identity(Sampler *s, int type)
{
    static const struct {
        int at;
        uint32_t bits;
    } bars[] = {
        { PCI_BASE_ADDRESS_0, PCI_BASE_ADDRESS_SPACE_MEMORY },
        { PCI_BASE_ADDRESS_2, PCI_BASE_ADDRESS_MEM_TYPE_64 |
                              PCI_BASE_ADDRESS_MEM_PREFETCH },
        { PCI_BASE_ADDRESS_4, PCI_BASE_ADDRESS_SPACE_IO },
    };
    static const char tag[] = SAMPLER_VENDOR_CAPABILITY;
    uint8_t express = capability(s, PCI_CAP_ID_EXP);
    uint8_t vendor = capability(s, PCI_CAP_ID_VNDR);

    g_assert_cmphex(qpci_config_readw(s->dev, PCI_VENDOR_ID), ==,
                    SAMPLER_PCI_VENDOR_ID);
    g_assert_cmphex(qpci_config_readw(s->dev, PCI_DEVICE_ID), ==,
                    SAMPLER_PCI_DEVICE_ID);
    g_assert_cmphex(qpci_config_readb(s->dev, PCI_REVISION_ID), ==,
                    SAMPLER_PCI_REVISION);
    g_assert_cmphex(qpci_config_readw(s->dev, PCI_CLASS_DEVICE), ==,
                    SAMPLER_PCI_CLASS);
    g_assert_cmphex(qpci_config_readb(s->dev, PCI_CLASS_PROG), ==,
                    SAMPLER_PCI_PROG);
    g_assert_cmphex(qpci_config_readw(s->dev, PCI_SUBSYSTEM_VENDOR_ID), ==,
                    SAMPLER_PCI_SUBVENDOR_ID);
    g_assert_cmphex(qpci_config_readw(s->dev, PCI_SUBSYSTEM_ID), ==,
                    SAMPLER_PCI_SUBDEVICE_ID);
    g_assert_cmphex(qpci_config_readb(s->dev, PCI_INTERRUPT_PIN), ==, 1);

    for (int i = 0; i < ARRAY_SIZE(bars); i++) {
        g_assert_cmphex(qpci_config_readl(s->dev, bars[i].at) & 0xf, ==,
                        bars[i].bits);
    }
    /* The upper half of BAR 2, and an unused BAR. */
    qpci_config_writel(s->dev, PCI_BASE_ADDRESS_3, ~0);
    g_assert_cmphex(qpci_config_readl(s->dev, PCI_BASE_ADDRESS_3), ==, ~0U);
    qpci_config_writel(s->dev, PCI_BASE_ADDRESS_3, 0);
    qpci_config_writel(s->dev, PCI_BASE_ADDRESS_1, ~0);
    g_assert_cmphex(qpci_config_readl(s->dev, PCI_BASE_ADDRESS_1), ==, 0);

    g_assert_cmphex(express, !=, 0);
    g_assert_cmphex(qpci_config_readw(s->dev, express + PCI_EXP_FLAGS) &
                    PCI_EXP_FLAGS_TYPE, ==, type << 4);
    g_assert_cmphex(vendor, !=, 0);
    g_assert_cmpuint(qpci_config_readb(s->dev, vendor + 2), ==,
                     3 + strlen(tag));
    for (int i = 0; i < strlen(tag); i++) {
        g_assert_cmphex(qpci_config_readb(s->dev, vendor + 3 + i), ==, tag[i]);
    }
}

/* A PCIe device works in a conventional slot, like QEMU's own. */
static void test_identity_conventional(void)
{
    Sampler s;

    sampler_start(&s, "");
    assert_identity(&s, PCI_EXP_TYPE_ENDPOINT);
    sampler_stop(&s);
}

/* q35's window to 4096 bytes of configuration space, and its register. */
#define ECAM 0xb0000000
#define Q35_PCIEXBAR 0x60

static void enable_ecam(Sampler *s)
{
    QPCIDevice *root = qpci_device_find(s->bus, 0);

    g_assert_nonnull(root);
    qpci_config_writel(root, Q35_PCIEXBAR, ECAM | 1);
    g_free(root);
}

static void assert_serial(Sampler *s)
{
    uint64_t at = ECAM + (s->dev->devfn << 12) + PCI_CONFIG_SPACE_SIZE;

    enable_ecam(s);
    g_assert_cmphex(qtest_readl(s->qts, at), ==, 1 << 16 | PCI_EXT_CAP_ID_DSN);
    g_assert_cmphex(qtest_readq(s->qts, at + 4), ==, SAMPLER_SERIAL);
}

static bool has_q35(void)
{
    if (qtest_has_machine("q35") && qtest_has_device("pcie-root-port")) {
        return true;
    }
    g_test_skip("this QEMU is configured without q35 or pcie-root-port");
    return false;
}

static void test_identity_root_bus(void)
{
    Sampler s;

    if (!has_q35()) {
        return;
    }
    sampler_find(&s, qpci_new_pc(qtest_init("-machine q35 -nodefaults -device "
                                            "rust_sampler,addr=04.0"), NULL),
                 QPCI_DEVFN(SLOT, 0));
    assert_identity(&s, PCI_EXP_TYPE_RC_END);
    assert_serial(&s);
    sampler_stop(&s);
}

/*
 * Starts a sampler in a root port, for unplugging without ACPI. Returns the
 * port.
 */
static QPCIDevice *port_start(Sampler *s, const char *props)
{
    QTestState *qts;
    QPCIDevice *port;
    QPCIBus *bus;

    qts = qtest_initf("-machine q35 -nodefaults -global "
                      "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off "
                      "-device pcie-root-port,id=root,addr=%02x.0 "
                      "-device rust_sampler,bus=root,id=" ID "%s", SLOT, props);
    bus = qpci_new_pc(qts, NULL);
    port = qpci_device_find(bus, QPCI_DEVFN(SLOT, 0));
    g_assert_nonnull(port);
    qpci_device_enable(port);
    qpci_config_writeb(port, PCI_SECONDARY_BUS, 1);
    qpci_config_writeb(port, PCI_SUBORDINATE_BUS, 1);
    /* Where libqos maps BARs. */
    qpci_config_writew(port, PCI_MEMORY_BASE, 0xe000);
    qpci_config_writew(port, PCI_MEMORY_LIMIT, 0xefff);
    sampler_find(s, bus, 1 << 8);
    return port;
}

static void test_identity_root_port(void)
{
    Sampler s;

    if (!has_q35()) {
        return;
    }
    g_free(port_start(&s, ""));
    assert_identity(&s, PCI_EXP_TYPE_ENDPOINT);
    assert_serial(&s);
    sampler_stop(&s);
}

typedef struct Kind {
    const char *name;
    bool pin;
    bool msi;
    bool msix;
} Kind;

static void test_identity_interrupts(void)
{
    static const Kind kinds[] = {
        { "pin", true, false, false },
        { "msi", true, true, false },
        { "msix", true, false, true },
        { "msix-only", false, false, true },
    };

    for (int i = 0; i < ARRAY_SIZE(kinds); i++) {
        const Kind *kind = &kinds[i];
        g_autofree char *props = g_strdup_printf(",interrupts=%s", kind->name);
        uint8_t msi, msix;
        Sampler s;

        sampler_start(&s, props);
        msi = capability(&s, PCI_CAP_ID_MSI);
        msix = capability(&s, PCI_CAP_ID_MSIX);
        g_assert_cmpint(qpci_config_readb(s.dev, PCI_INTERRUPT_PIN), ==,
                        kind->pin);
        g_assert_cmpint(msi != 0, ==, kind->msi);
        g_assert_cmpint(msix != 0, ==, kind->msix);
        if (msi) {
            g_assert_cmphex(qpci_config_readw(s.dev, msi + PCI_MSI_FLAGS), ==,
                            PCI_MSI_FLAGS_64BIT | ctz32(VECTORS) << 1);
        }
        if (msix) {
            g_assert_cmpuint(qpci_msix_table_size(s.dev), ==,
                             MSIX_VECTORS);
            g_assert_cmphex(qpci_config_readl(s.dev, msix + PCI_MSIX_TABLE), ==,
                            1);
        }
        sampler_stop(&s);
    }
}

/* ---- accesses ---- */

static const size_t sizes[] = { 1, 2, 4, 8 };

static bool is_register(int at, size_t size, bool write)
{
    switch (at) {
    case INTERRUPT:
    case LOWER:
    case PUSH:
    case STOP:
    case INTERRUPTS:
        return size == 4 && write;
    case DELAY:
    case COPY:
        return (size == 4 || size == 8) && write;
    case RUNS:
    case LENGTH:
    case COPIED:
        return size == 4 && !write;
    case NOW:
        return (size == 4 || size == 8) && !write;
    case REPEAT:
    case RARE:
    case LIMIT:
        return size == 4;
    default:
        return false;
    }
}

/* BAR 0 accepts aligned accesses of 4 and 8 bytes. */
static void test_accesses_registers(void)
{
    int errors = 0;
    Sampler s;

    sampler_start(&s, "");
    set(&s, REPEAT, 0x12345678);
    for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
        for (int at = 0; at < REGISTERS_END + 8; at++) {
            uint64_t value = 0x0101010101010101;

            if (!is_register(at, sizes[i], true)) {
                qpci_memwrite(s.dev, s.registers, at, &value, sizes[i]);
                assert_errors(&s, ++errors);
            }
            if (!is_register(at, sizes[i], false)) {
                qpci_memread(s.dev, s.registers, at, &value, sizes[i]);
                value <<= 64 - 8 * sizes[i];
                g_assert_cmphex(value, ==, 0);
                assert_errors(&s, ++errors);
            }
        }
    }
    g_assert_cmphex(get(&s, REPEAT), ==, 0x12345678);
    g_assert_cmpuint(get(&s, LIMIT), ==, DEFAULT_LIMIT);
    g_assert_cmpuint(get(&s, LENGTH), ==, 0);
    set(&s, INTERRUPT, VECTORS);
    assert_errors(&s, errors + 1);
    sampler_stop(&s);
}

/* 8 bytes are one access: a delay with an upper half shows it. */
static void test_accesses_whole(void)
{
    int64_t now;
    Sampler s;

    sampler_start(&s, "");
    now = qtest_clock_step(s.qts, 0x123456789);
    g_assert_cmphex(get_long(&s, NOW), ==, now);
    g_assert_cmphex(get(&s, NOW), ==, (uint32_t)now);
    set_long(&s, DELAY, 0x100000000);
    qtest_clock_step(s.qts, 0xffffffff);
    g_assert_cmpuint(get(&s, RUNS), ==, 0);
    qtest_clock_step(s.qts, 1);
    g_assert_cmpuint(get(&s, RUNS), ==, 1);
    /* 4 bytes set the whole register too. */
    set(&s, DELAY, 0x10000000);
    qtest_clock_step(s.qts, 0x10000000);
    g_assert_cmpuint(get(&s, RUNS), ==, 2);
    assert_errors(&s, 0);
    sampler_stop(&s);
}

/* BAR 2 accepts every access that ends in its scratch memory. */
static void test_accesses_memory(void)
{
    uint8_t scratch[SCRATCH_SIZE] = { };
    int errors = 0, last = MEMORY_BAR_SIZE - 8;
    Sampler s;

    sampler_start(&s, "");
    for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
        size_t size = sizes[i];

        for (int at = 0; at < SCRATCH_SIZE + 4; at++) {
            uint64_t value = 0x123456789abcdef * (errors + at + 1), read = 0;

            qpci_memwrite(s.dev, s.memory, at, &value, size);
            qpci_memread(s.dev, s.memory, at, &read, size);
            if (at + size <= SCRATCH_SIZE) {
                memcpy(scratch + at, &value, size);
                g_assert_cmpmem(&read, size, &value, size);
            } else {
                errors += 2;
                g_assert_cmphex(read, ==, ~0ULL >> (64 - 8 * size));
            }
            assert_errors(&s, errors);
            for (int j = 0; j < SCRATCH_SIZE; j++) {
                g_assert_cmphex(qpci_io_readb(s.dev, s.memory, j), ==,
                                scratch[j]);
            }
        }
    }
    g_assert_cmphex(qpci_io_readq(s.dev, s.memory, last), ==, ~0ULL);
    assert_errors(&s, errors + 1);
    sampler_stop(&s);
}

/* BAR 4 gets every access byte by byte. */
static void test_accesses_ports(void)
{
    Sampler s;

    sampler_start(&s, "");
    for (int at = 0; at < 16; at++) {
        g_assert_cmphex(qpci_io_readb(s.dev, s.ports, at), ==, at);
    }
    g_assert_cmphex(qpci_io_readw(s.dev, s.ports, 3), ==, 0x0403);
    g_assert_cmphex(qpci_io_readl(s.dev, s.ports, 9), ==, 0x0c0b0a09);
    assert_errors(&s, 0);
    qpci_io_writeb(s.dev, s.ports, 0, 1);
    assert_errors(&s, 1);
    qpci_io_writel(s.dev, s.ports, 1, 1);
    assert_errors(&s, 1 + 4);
    sampler_stop(&s);
}

/* ---- the pin ---- */

#define IRQ 10

/* Routes all pins of the bus to one line of the interrupt controller. */
static void route_pins(Sampler *s)
{
    QPCIDevice *bridge = qpci_device_find(s->bus, QPCI_DEVFN(1, 0));

    g_assert_nonnull(bridge);
    for (int pin = 0; pin < 4; pin++) {
        qpci_config_writeb(bridge, 0x60 + pin, IRQ);
    }
    g_free(bridge);
    qtest_irq_intercept_in(s->qts, "ioapic");
}

static bool is_pin_high(Sampler *s)
{
    return qpci_config_readw(s->dev, PCI_STATUS) & PCI_STATUS_INTERRUPT;
}

static void assert_pin(Sampler *s, bool level)
{
    g_assert_cmpint(is_pin_high(s), ==, level);
    g_assert_cmpint(qtest_get_irq(s->qts, IRQ), ==, level);
}

static void test_pin(void)
{
    Sampler s;

    sampler_start(&s, ",interrupts=pin");
    route_pins(&s);
    set(&s, LOWER, 0);
    assert_pin(&s, false);
    /* All vectors share the pin. */
    for (int vector = 0; vector < VECTORS; vector++) {
        set(&s, INTERRUPT, vector);
        assert_pin(&s, true);
        set(&s, INTERRUPT, vector);
        assert_pin(&s, true);
        set(&s, LOWER, 0);
        assert_pin(&s, false);
    }
    set(&s, DELAY, 0);
    qtest_clock_step(s.qts, SHORTEST_DELAY);
    assert_pin(&s, true);
    sampler_stop(&s);
}

/* A reset lowers the pin; in its exit phase the device raises it again. */
static void test_pin_reset(void)
{
    Sampler s;

    sampler_start(&s, "");
    g_assert_true(is_pin_high(&s));
    set(&s, LOWER, 0);
    g_assert_false(is_pin_high(&s));
    for (int i = 0; i < 2; i++) {
        reset(&s);
        route_pins(&s);
        g_assert_true(is_pin_high(&s));
        set(&s, LOWER, 0);
        assert_pin(&s, false);
        set(&s, INTERRUPT, 0);
        assert_pin(&s, true);
    }
    sampler_stop(&s);
}

/* ---- messages ---- */

/* Whether only this message has arrived since the last call. */
static bool take_message(Sampler *s, uint64_t address, uint32_t message)
{
    uint32_t found = qtest_readl(s->qts, address);

    qtest_writel(s->qts, address, 0);
    g_assert(found == 0 || found == message);
    return found != 0;
}

static void enable_msi_to(Sampler *s, int vectors, uint32_t address,
                          uint16_t message)
{
    uint8_t msi = capability(s, PCI_CAP_ID_MSI);

    g_assert_cmphex(msi, !=, 0);
    qpci_config_writel(s->dev, msi + PCI_MSI_ADDRESS_LO, address);
    qpci_config_writel(s->dev, msi + PCI_MSI_ADDRESS_HI, 0);
    qpci_config_writew(s->dev, msi + PCI_MSI_DATA_64, message);
    qpci_config_writew(s->dev, msi + PCI_MSI_FLAGS,
                       PCI_MSI_FLAGS_ENABLE | ctz32(vectors) << 4);
}

static void enable_msi(Sampler *s, int vectors)
{
    enable_msi_to(s, vectors, MESSAGE, 0x4320);
}

/*
 * A guest may enable fewer vectors than the device has, or request more. The
 * device's vectors are then taken modulo the enabled number.
 */
static void test_msi(void)
{
    static const int asked[] = { 1, 2, 4, 32 };
    uint16_t command;
    Sampler s;

    sampler_start(&s, ",interrupts=msi");
    route_pins(&s);
    for (int i = 0; i < ARRAY_SIZE(asked); i++) {
        enable_msi(&s, asked[i]);
        for (int vector = 0; vector < VECTORS; vector++) {
            set(&s, INTERRUPT, vector);
            g_assert_true(take_message(&s, MESSAGE,
                                       0x4320 | (vector & (asked[i] - 1))));
            assert_pin(&s, false);
        }
    }
    set(&s, DELAY, 0);
    qtest_clock_step(s.qts, SHORTEST_DELAY);
    g_assert_true(take_message(&s, MESSAGE, 0x4321));

    /* Only a bus master can send any. */
    command = qpci_config_readw(s.dev, PCI_COMMAND);
    qpci_config_writew(s.dev, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
    set(&s, INTERRUPT, 1);
    g_assert_false(take_message(&s, MESSAGE, 0x4321));
    sampler_stop(&s);
}

/* A high pin is lowered, and can be raised later. */
static void test_msi_and_pin(void)
{
    uint8_t msi;
    Sampler s;

    sampler_start(&s, ",interrupts=msi");
    route_pins(&s);
    msi = capability(&s, PCI_CAP_ID_MSI);
    set(&s, INTERRUPT, 0);
    g_assert_true(is_pin_high(&s));
    enable_msi(&s, VECTORS);
    assert_pin(&s, false);
    set(&s, LOWER, 0);
    assert_pin(&s, false);
    qpci_config_writew(s.dev, msi + PCI_MSI_FLAGS, 0);
    set(&s, INTERRUPT, 2);
    assert_pin(&s, true);
    g_assert_false(take_message(&s, MESSAGE, 0x4322));
    sampler_stop(&s);
}

/* Vector v has its message sent to MESSAGE + 4 * v. */
static void set_msix_entry(Sampler *s, int vector, bool masked)
{
    uint64_t entry = s->dev->msix_table_off + vector * PCI_MSIX_ENTRY_SIZE;
    QPCIBar bar = s->dev->msix_table_bar;

    qpci_io_writel(s->dev, bar, entry + PCI_MSIX_ENTRY_LOWER_ADDR,
                   MESSAGE + 4 * vector);
    qpci_io_writel(s->dev, bar, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
    qpci_io_writel(s->dev, bar, entry + PCI_MSIX_ENTRY_DATA, 0x8760 + vector);
    qpci_io_writel(s->dev, bar, entry + PCI_MSIX_ENTRY_VECTOR_CTRL,
                   masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}

static bool take_msix_message(Sampler *s, int vector)
{
    return take_message(s, MESSAGE + 4 * vector, 0x8760 + vector);
}

static void msix_start(Sampler *s, const char *props)
{
    sampler_start(s, props);
    qpci_msix_enable(s->dev);
    for (int vector = 0; vector < MSIX_VECTORS; vector++) {
        set_msix_entry(s, vector, false);
    }
}

/* The table has fewer vectors than the device uses. */
static void test_msix(void)
{
    Sampler s;

    msix_start(&s, ",interrupts=msix");
    route_pins(&s);
    for (int vector = 0; vector < VECTORS; vector++) {
        set(&s, INTERRUPT, vector);
        for (int other = 0; other < MSIX_VECTORS; other++) {
            g_assert_cmpint(take_msix_message(&s, other), ==,
                            other == vector % MSIX_VECTORS);
        }
    }
    /* A masked vector stays pending. */
    set_msix_entry(&s, 2, true);
    set(&s, INTERRUPT, 2);
    g_assert_false(take_msix_message(&s, 2));
    g_assert_true(qpci_msix_pending(s.dev, 2));
    set_msix_entry(&s, 2, false);
    g_assert_true(take_msix_message(&s, 2));
    g_assert_false(qpci_msix_pending(s.dev, 2));
    assert_pin(&s, false);
    sampler_stop(&s);
}

/*
 * There is no pin to raise or lower. A reset clears the table, but the
 * vectors stay in use.
 */
static void test_msix_only(void)
{
    Sampler s;

    msix_start(&s, ",interrupts=msix-only");
    g_assert_false(is_pin_high(&s));
    set(&s, LOWER, 0);
    reset(&s);
    set(&s, INTERRUPT, 1);
    g_assert_false(is_pin_high(&s));
    qpci_msix_enable(s.dev);
    set(&s, INTERRUPT, 1);
    g_assert_true(qpci_msix_pending(s.dev, 1));
    set_msix_entry(&s, 1, false);
    g_assert_true(take_msix_message(&s, 1));
    assert_errors(&s, 0);
    sampler_stop(&s);
}

/* ---- a machine without MSI ---- */

/* A processor without APIC cannot receive messages. */
#define NO_MSI "-cpu qemu64,-apic"

static QDict *device_add_refused(QTestState *qts, const char *property,
                                 const char *value)
{
    return qtest_qmp_assert_failure_ref(qts,
                                        "{'execute': 'device_add',"
                                        " 'arguments': {'id': 'plugged',"
                                        " 'driver': 'rust_sampler',"
                                        " 'bus': 'pci.0', 'addr': '06.0',"
                                        " %s: %s}}", property, value);
}

/* Checks and frees @error, the response to a command that failed. */
static void assert_error(QDict *error, const char *expected)
{
    g_assert_cmpstr(qdict_get_str(error, "desc"), ==, expected);
    qobject_unref(error);
}

static void plug(Sampler *plugged, QPCIBus *bus, const char *interrupts)
{
    qtest_qmp_device_add(bus->qts, "rust_sampler", "plugged",
                         "{'bus': 'pci.0', 'addr': '06.0',"
                         " 'interrupts': %s}", interrupts);
    sampler_find(plugged, bus, QPCI_DEVFN(PLUG_SLOT, 0));
}

static void test_no_msi(void)
{
    static const char *const kinds[] = { "msi", "msix" };

    for (int i = 0; i < ARRAY_SIZE(kinds); i++) {
        g_autofree char *props = g_strdup_printf(",interrupts=%s", kinds[i]);
        Sampler s, plugged;

        sampler_find(&s, machine_start(props, NO_MSI), QPCI_DEVFN(SLOT, 0));
        g_assert_cmphex(capability(&s, PCI_CAP_ID_MSI), ==, 0);
        g_assert_cmphex(capability(&s, PCI_CAP_ID_MSIX), ==, 0);
        set(&s, LOWER, 0);
        g_assert_false(is_pin_high(&s));
        set(&s, INTERRUPT, 3);
        g_assert_true(is_pin_high(&s));

        /* A device that needs MSI is refused, and the slot stays free. */
        assert_error(device_add_refused(s.qts, "interrupts", "msix-only"),
                     "MSI-X is not supported by interrupt controller");
        plug(&plugged, s.bus, kinds[i]);
        set(&plugged, INTERRUPT, 1);
        g_assert_true(is_pin_high(&plugged));
        g_free(plugged.dev);
        sampler_stop(&s);
    }
}

/* ---- timers ---- */

static void test_timer(void)
{
    Sampler s;

    sampler_start(&s, "");
    set_long(&s, DELAY, 1000000);
    qtest_clock_step(s.qts, 999999);
    g_assert_cmpuint(get(&s, RUNS), ==, 0);
    qtest_clock_step(s.qts, 1);
    g_assert_cmpuint(get(&s, RUNS), ==, 1);
    qtest_clock_step(s.qts, 10000000);
    g_assert_cmpuint(get(&s, RUNS), ==, 1);

    /* The shortest delay is not 0. */
    set_long(&s, DELAY, 0);
    qtest_clock_step(s.qts, SHORTEST_DELAY - 1);
    g_assert_cmpuint(get(&s, RUNS), ==, 1);
    qtest_clock_step(s.qts, 1);
    g_assert_cmpuint(get(&s, RUNS), ==, 2);

    /* A running timer is moved, and the delay is limited. */
    set_long(&s, DELAY, 0);
    set_long(&s, DELAY, ~0ULL);
    qtest_clock_step(s.qts, LONGEST_DELAY - 1);
    g_assert_cmpuint(get(&s, RUNS), ==, 2);
    qtest_clock_step(s.qts, 1);
    g_assert_cmpuint(get(&s, RUNS), ==, 3);
    sampler_stop(&s);
}

/* A timer that restarts itself without delay does not stop the clock. */
static void test_timer_repeats(void)
{
    Sampler s;

    sampler_start(&s, "");
    set(&s, REPEAT, 1000);
    set_long(&s, DELAY, 0);
    qtest_clock_step(s.qts, 10 * SHORTEST_DELAY);
    g_assert_cmpuint(get(&s, RUNS), ==, 10);
    g_assert_cmpuint(get(&s, REPEAT), ==, 990);
    qtest_clock_step(s.qts, 2000 * SHORTEST_DELAY);
    g_assert_cmpuint(get(&s, RUNS), ==, 1001);
    g_assert_cmpuint(get(&s, REPEAT), ==, 0);
    sampler_stop(&s);
}

static void test_timer_stop(void)
{
    Sampler s;

    sampler_start(&s, "");
    set_long(&s, DELAY, 1000000);
    set(&s, STOP, 0);
    qtest_clock_step(s.qts, 2000000);
    g_assert_cmpuint(get(&s, RUNS), ==, 0);
    set_long(&s, DELAY, 0);
    qtest_clock_step(s.qts, SHORTEST_DELAY);
    g_assert_cmpuint(get(&s, RUNS), ==, 1);
    sampler_stop(&s);
}

static void test_timer_reset(void)
{
    Sampler s;

    sampler_start(&s, "");
    set_long(&s, DELAY, 1000000);
    reset(&s);
    qtest_clock_step(s.qts, 2000000);
    g_assert_cmpuint(get(&s, RUNS), ==, 0);
    set_long(&s, DELAY, 0);
    qtest_clock_step(s.qts, SHORTEST_DELAY);
    g_assert_cmpuint(get(&s, RUNS), ==, 1);
    sampler_stop(&s);
}

/* ---- DMA ---- */

/* Copies 8 bytes to the next 8 bytes. Returns whether it succeeded. */
static bool copy(Sampler *s, uint64_t address)
{
    set_long(s, COPY, address);
    return get(s, COPIED);
}

static void test_dma(void)
{
    uint64_t own;
    uint16_t command;
    Sampler s;

    sampler_start(&s, "");
    own = s.registers.addr;
    qtest_writeq(s.qts, MEMORY, 0x0123456789abcdef);
    g_assert_true(copy(&s, MEMORY));
    g_assert_cmphex(qtest_readq(s.qts, MEMORY + 8), ==, 0x0123456789abcdef);
    g_assert_cmphex(qtest_readq(s.qts, MEMORY + 16), ==, 0);
    /* Across a page boundary, and not aligned. */
    g_assert_true(copy(&s, MEMORY + 8));
    qtest_writeq(s.qts, MEMORY + 0xffb, 0xfedcba9876543210);
    g_assert_true(copy(&s, MEMORY + 0xffb));
    g_assert_cmphex(qtest_readq(s.qts, MEMORY + 0x1003), ==,
                    0xfedcba9876543210);
    g_assert_true(copy(&s, MEMORY_END - 16));

    /* Source or destination ends in a hole, or is a register. */
    g_assert_false(copy(&s, MEMORY_END - 8));
    g_assert_false(copy(&s, MEMORY_END - 12));
    g_assert_false(copy(&s, HOLE));
    g_assert_false(copy(&s, ~0ULL - 7));
    g_assert_false(copy(&s, ~0ULL));
    g_assert_false(copy(&s, own + REPEAT - 8));
    g_assert_false(copy(&s, own + NOW));
    g_assert_cmphex(get(&s, REPEAT), ==, 0);

    /* The firmware below MEMORY can be read but not written. */
    g_assert_false(copy(&s, MEMORY - 16));
    qtest_writeq(s.qts, MEMORY, 0);
    g_assert_true(copy(&s, MEMORY - 8));
    g_assert_cmphex(qtest_readq(s.qts, MEMORY), ==,
                    qtest_readq(s.qts, MEMORY - 8));

    /* Without bus mastering the device cannot access memory. */
    command = qpci_config_readw(s.dev, PCI_COMMAND);
    qpci_config_writew(s.dev, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
    g_assert_false(copy(&s, MEMORY + 8));
    qpci_config_writew(s.dev, PCI_COMMAND, command);
    g_assert_true(copy(&s, MEMORY + 8));
    assert_errors(&s, 0);
    sampler_stop(&s);
}

/* ---- state ---- */

/* A saved machine in a file, for modification. */
typedef struct Saved {
    char *folder;
    char *path;
    char *uri;
    int64_t now;
    GByteArray *bytes;
} Saved;

static void saved_init(Saved *saved)
{
    GError *error = NULL;

    saved->folder = g_dir_make_tmp("rust-sampler-test-XXXXXX", &error);
    g_assert_no_error(error);
    saved->path = g_build_filename(saved->folder, "machine", NULL);
    saved->uri = g_strdup_printf("file:%s", saved->path);
    saved->now = 0;
    saved->bytes = NULL;
}

static void saved_free(Saved *saved)
{
    if (saved->bytes) {
        g_byte_array_unref(saved->bytes);
    }
    g_assert_cmpint(g_unlink(saved->path), ==, 0);
    g_assert_cmpint(g_rmdir(saved->folder), ==, 0);
    g_free(saved->uri);
    g_free(saved->path);
    g_free(saved->folder);
}

/* Waits for a migration, or a job, to reach this status. */
static void wait_status(QTestState *qts, const char *name, const char *expected)
{
    bool found = false;

    while (!found) {
        QDict *event = qtest_qmp_eventwait_ref(qts, name);
        const char *status = qdict_get_str(qdict_get_qdict(event, "data"),
                                           "status");

        g_assert_cmpstr(status, !=, "failed");
        found = !strcmp(status, expected);
        qobject_unref(event);
    }
}

static void migrate(QTestState *qts, const char *command, const char *uri)
{
    qtest_qmp_assert_success(qts, "{'execute': 'migrate-set-capabilities',"
                             " 'arguments': {'capabilities': ["
                             " {'capability': 'events', 'state': true}]}}");
    qtest_qmp_assert_success(qts, "{'execute': %s, 'arguments': {'uri': %s}}",
                             command, uri);
    wait_status(qts, "MIGRATION", "completed");
}

/* Stops and saves the machine. */
static void sampler_save(Sampler *s, Saved *saved)
{
    GError *error = NULL;
    char *bytes = NULL;
    gsize size;

    migrate(s->qts, "migrate", saved->uri);
    saved->now = get_long(s, NOW);
    g_file_get_contents(saved->path, &bytes, &size, &error);
    g_assert_no_error(error);
    if (saved->bytes) {
        g_byte_array_unref(saved->bytes);
    }
    saved->bytes = g_byte_array_new_take((uint8_t *)bytes, size);
}

static void saved_write(const Saved *saved, const GByteArray *bytes)
{
    g_assert(g_file_set_contents(saved->path, (const char *)bytes->data,
                                 bytes->len, NULL));
}

/*
 * Starts a machine from a saved one, with the BARs of @from at the same
 * addresses. Under qtest the clock is not migrated.
 */
static void sampler_load(Sampler *to, const Sampler *from, const Saved *saved,
                         const char *props)
{
    *to = *from;
    to->bus = machine_start(props, "-incoming defer");
    to->qts = to->bus->qts;
    to->dev = qpci_device_find(to->bus, QPCI_DEVFN(SLOT, 0));
    g_assert_nonnull(to->dev);
    to->dev->msix_table_bar = from->dev->msix_table_bar;
    to->dev->msix_pba_bar = from->dev->msix_pba_bar;
    to->dev->msix_table_off = from->dev->msix_table_off;
    to->dev->msix_pba_off = from->dev->msix_pba_off;
    to->dev->msix_enabled = from->dev->msix_enabled;
    qtest_clock_set(to->qts, saved->now);
    qtest_irq_intercept_in(to->qts, "ioapic");
    migrate(to->qts, "migrate-incoming", saved->uri);
}

/* Loads a modified machine, which QEMU refuses with an error with @why. */
static void assert_refused(const Saved *saved, const char *why)
{
    g_autofree char *path = g_build_filename(saved->folder, "said", NULL);
    g_autofree char *more = g_strdup_printf("-incoming defer 2>%s", path);
    g_autofree char *said = NULL;
    QPCIBus *bus = machine_start("", more);
    QTestState *qts = bus->qts;

    qtest_set_expected_status(qts, EXIT_FAILURE);
    qtest_clock_set(qts, saved->now);
    qtest_qmp_assert_success(qts, "{'execute': 'migrate-incoming',"
                             " 'arguments': {'uri': %s}}", saved->uri);
    qtest_wait_qemu(qts);
    qemu_pci_machine_stop(bus);
    g_assert(g_file_get_contents(path, &said, NULL, NULL));
    if (!strstr(said, why)) {
        g_test_message("not said: %s", why);
        g_test_message("but: %s", said);
        g_test_fail();
    }
    g_assert_cmpint(g_unlink(path), ==, 0);
}

static int count(const GByteArray *bytes, const void *what, gsize size,
                 gsize *found)
{
    int n = 0;

    for (gsize at = 0; at + size <= bytes->len; at++) {
        if (!memcmp(bytes->data + at, what, size)) {
            *found = at;
            n++;
        }
    }
    return n;
}

/*
 * The device's own state in a saved machine, field by field, big-endian and
 * packed. It is located by its scratch memory.
 */
enum {
    STATE_COPIED = 0,
    STATE_RUNS = 1,
    STATE_REPEAT = 5,
    STATE_SCRATCH = 9,
    STATE_PAIR = 25,
    STATE_PAIRS = 28,
    STATE_QUEUE_COUNT = 34,
    STATE_QUEUE = 38,
    /* After 3 numbers of the queue. */
    STATE_LIMIT = 50,
    STATE_TIMERS = 54,
    STATE_SIZE = 62,
};

static const uint8_t scratch[SCRATCH_SIZE] = {
    0x5a, 0x11, 0xe5, 0x72, 0x93, 0xd4, 0xb5, 0x36,
    0x77, 0x18, 0xf9, 0xaa, 0x4b, 0xcc, 0x0d, 0xee,
};
static const uint8_t pattern[] = { 0, 1, 0xfe, 0, 1, 0xfe, 0, 3, 0xfc };
/* A subsection of a state: its name, its version, a number. */
static const uint8_t rare_section[] =
    "\x05\x11rust_sampler/rare\0\0\0\x01\x89\xab\xcd\xef";

static gsize state_find(const GByteArray *bytes)
{
    gsize at = 0;

    g_assert_cmpint(count(bytes, scratch, sizeof(scratch), &at), ==, 1);
    return at - STATE_SCRATCH;
}

/* The place of the version of the device's state. */
static gsize version_find(const GByteArray *bytes)
{
    static const char name[] = "\x19" "0000:00:04.0/rust_sampler";
    gsize at = 0, size = sizeof(name) - 1;

    g_assert_cmpint(count(bytes, name, size, &at), ==, 1);
    at += size + 4;
    g_assert_cmpint(ldl_be_p(bytes->data + at), ==, 2);
    return at;
}

/* Sets every field, and starts a timer. */
static void fill_state(Sampler *s, bool rare)
{
    qpci_memwrite(s->dev, s->memory, 0, scratch, 8);
    qpci_memwrite(s->dev, s->memory, 8, scratch + 8, 8);
    set_long(s, DELAY, 0);
    qtest_clock_step(s->qts, SHORTEST_DELAY);
    set(s, REPEAT, 0x12345678);
    set(s, PUSH, 0x11111111);
    set(s, PUSH, 0x22222222);
    set(s, PUSH, 0x33333333);
    g_assert_true(copy(s, MEMORY));
    set(s, LIMIT, 7);
    set(s, RARE, rare ? 0x89abcdef : 0);
    set_long(s, DELAY, 1000000);
    qtest_clock_step(s->qts, 400000);
}

static void assert_state(const GByteArray *bytes, uint64_t deadline)
{
    uint8_t expected[STATE_SIZE];

    expected[STATE_COPIED] = 1;
    stl_be_p(expected + STATE_RUNS, 1);
    stl_be_p(expected + STATE_REPEAT, 0x12345678);
    memcpy(expected + STATE_SCRATCH, scratch, sizeof(scratch));
    memcpy(expected + STATE_PAIR, pattern, sizeof(pattern));
    stl_be_p(expected + STATE_QUEUE_COUNT, 3);
    stl_be_p(expected + STATE_QUEUE, 0x11111111);
    stl_be_p(expected + STATE_QUEUE + 4, 0x22222222);
    stl_be_p(expected + STATE_QUEUE + 8, 0x33333333);
    stl_be_p(expected + STATE_LIMIT, 7);
    stq_be_p(expected + STATE_TIMERS, deadline);
    g_assert_cmpmem(bytes->data + state_find(bytes), STATE_SIZE,
                    expected, STATE_SIZE);
}

static void assert_loaded(Sampler *s, uint32_t limit, uint32_t rare)
{
    uint64_t half;

    g_assert_cmphex(get(s, COPIED), ==, 1);
    g_assert_cmphex(get(s, RUNS), ==, 1);
    g_assert_cmphex(get(s, REPEAT), ==, 0x12345678);
    for (int i = 0; i < SCRATCH_SIZE; i += 8) {
        half = qpci_io_readq(s->dev, s->memory, i);
        half = cpu_to_le64(half);
        g_assert_cmpmem(&half, 8, scratch + i, 8);
    }
    g_assert_cmpuint(get(s, LENGTH), ==, 3);
    g_assert_cmpuint(get(s, LIMIT), ==, limit);
    g_assert_cmphex(get(s, RARE), ==, rare);
    assert_errors(s, 0);
}

/* Every field and the timer are migrated; then everything again. */
static void test_state(gconstpointer data)
{
    bool rare = GPOINTER_TO_INT(data);
    uint32_t number = rare ? 0x89abcdef : 0;
    Sampler source, middle, destination;
    uint64_t deadline;
    Saved saved;
    gsize at;

    saved_init(&saved);
    sampler_start(&source, "");
    fill_state(&source, rare);
    deadline = get_long(&source, NOW) + 600000;
    sampler_save(&source, &saved);
    assert_state(saved.bytes, deadline);
    g_assert_cmpint(count(saved.bytes, rare_section, sizeof(rare_section) - 1,
                          &at), ==, rare);
    g_assert_cmpint(count(saved.bytes, rare_section, 19, &at), ==, rare);
    sampler_load(&middle, &source, &saved, "");
    sampler_stop(&source);
    assert_loaded(&middle, 7, number);

    sampler_save(&middle, &saved);
    assert_state(saved.bytes, deadline);
    g_assert_cmpint(count(saved.bytes, rare_section, 19, &at), ==, rare);
    sampler_load(&destination, &middle, &saved, "");
    sampler_stop(&middle);
    assert_loaded(&destination, 7, number);
    set(&destination, REPEAT, 0);
    qtest_clock_step(destination.qts, 600000 - 1);
    g_assert_cmpuint(get(&destination, RUNS), ==, 1);
    qtest_clock_step(destination.qts, 1);
    g_assert_cmpuint(get(&destination, RUNS), ==, 2);
    qtest_clock_step(destination.qts, 10000000);
    g_assert_cmpuint(get(&destination, RUNS), ==, 2);
    set(&destination, PUSH, 4);
    assert_errors(&destination, 0);
    set(&destination, PUSH, 5);
    assert_errors(&destination, 1);
    g_assert_cmpuint(get(&destination, LENGTH), ==, QUEUE_ROOM);
    sampler_stop(&destination);
    saved_free(&saved);
}

/* Version 1 has no limit. */
static void test_state_version_1(void)
{
    Sampler source, destination;
    Saved saved;

    saved_init(&saved);
    sampler_start(&source, "");
    fill_state(&source, true);
    sampler_save(&source, &saved);
    stl_be_p(saved.bytes->data + version_find(saved.bytes), 1);
    g_byte_array_remove_range(saved.bytes,
                              state_find(saved.bytes) + STATE_LIMIT, 4);
    saved_write(&saved, saved.bytes);
    sampler_load(&destination, &source, &saved, "");
    sampler_stop(&source);
    assert_loaded(&destination, DEFAULT_LIMIT, 0x89abcdef);
    set(&destination, REPEAT, 0);
    qtest_clock_step(destination.qts, 600000);
    g_assert_cmpuint(get(&destination, RUNS), ==, 2);
    sampler_stop(&destination);
    saved_free(&saved);
}

typedef struct Damage {
    int at;
    int size;
    uint64_t value;
    const char *why;
} Damage;

/* A state that QEMU or the device refuses; place -1 is its version. */
static void test_state_refused(void)
{
    const char *late = "the state that arrived is refused: its timer 0 is due "
                       "later than any timer can be";
    const char *other = "the state that arrived is refused: it has another "
                        "pattern";
    const Damage damages[] = {
        { -1, 4, 3, "unsupported version 3 for" },
        { -1, 4, 0, "too old" },
        { STATE_QUEUE_COUNT, 4, QUEUE_ROOM + 1, "queue_count" },
        { STATE_QUEUE_COUNT, 4, 0x80000000, "queue_count" },
        { STATE_QUEUE_COUNT, 4, 0xffffffff, "queue_count" },
        { STATE_PAIR, 2, 2, other },
        { STATE_PAIRS + 3, 2, 0, other },
        { STATE_TIMERS, 8, 410001 + LONGEST_DELAY, late },
        { STATE_TIMERS, 8, INT64_MAX, late },
        { STATE_TIMERS, 8, UINT64_MAX - 1, late },
    };
    Saved saved;
    Sampler s;

    saved_init(&saved);
    sampler_start(&s, "");
    fill_state(&s, false);
    sampler_save(&s, &saved);
    g_assert_cmpint(saved.now, ==, 410000);
    sampler_stop(&s);
    for (int i = 0; i < ARRAY_SIZE(damages); i++) {
        const Damage *damage = &damages[i];
        uint8_t value[8], before[8];
        gsize at = damage->at < 0 ? version_find(saved.bytes)
                                  : state_find(saved.bytes) + damage->at;
        uint8_t *place = saved.bytes->data + at;

        stq_be_p(value, damage->value);
        memcpy(before, place, damage->size);
        memcpy(place, value + 8 - damage->size, damage->size);
        saved_write(&saved, saved.bytes);
        memcpy(place, before, damage->size);
        assert_refused(&saved, damage->why);
    }
    saved_free(&saved);
}

/* The latest possible deadline is accepted, and one that has passed. */
static void test_state_deadlines(void)
{
    const uint64_t deadlines[] = { 410000 + LONGEST_DELAY, 410000, 0 };
    Sampler source, destination;
    Saved saved;

    saved_init(&saved);
    sampler_start(&source, "");
    fill_state(&source, false);
    set(&source, REPEAT, 0);
    sampler_save(&source, &saved);
    g_assert_cmpint(saved.now, ==, 410000);
    for (int i = 0; i < ARRAY_SIZE(deadlines); i++) {
        stq_be_p(saved.bytes->data + state_find(saved.bytes) + STATE_TIMERS,
                 deadlines[i]);
        saved_write(&saved, saved.bytes);
        sampler_load(&destination, &source, &saved, "");
        qtest_clock_step(destination.qts, SHORTEST_DELAY);
        g_assert_cmpuint(get(&destination, RUNS), ==, i ? 2 : 1);
        sampler_stop(&destination);
    }
    sampler_stop(&source);
    saved_free(&saved);
}

/* Lets QEMU create the snapshot disk, as qemu-img may be missing. */
static void make_disk(QTestState *qts, const char *path)
{
    qtest_qmp_assert_success(qts, "{'execute': 'blockdev-create', 'arguments':"
                             " {'job-id': 'file', 'options': {'driver': 'file',"
                             " 'filename': %s, 'size': 0}}}", path);
    wait_status(qts, "JOB_STATUS_CHANGE", "concluded");
    qtest_qmp_assert_success(qts, "{'execute': 'blockdev-add', 'arguments':"
                             " {'driver': 'file', 'node-name': 'file',"
                             " 'filename': %s}}", path);
    qtest_qmp_assert_success(qts, "{'execute': 'blockdev-create', 'arguments':"
                             " {'job-id': 'disk', 'options': {'size': 1048576,"
                             " 'driver': 'qcow2', 'file': 'file'}}}");
    wait_status(qts, "JOB_STATUS_CHANGE", "concluded");
    qtest_qmp_assert_success(qts, "{'execute': 'blockdev-add', 'arguments':"
                             " {'driver': 'qcow2', 'node-name': 'disk',"
                             " 'file': 'file'}}");
}

static void snapshot(Sampler *s, const char *command, const char *name)
{
    g_autofree char *said = qtest_hmp(s->qts, "%s %s", command, name);

    g_assert_cmpstr(said, ==, "");
}

/* A subsection that a snapshot lacks is not kept from an earlier load. */
static void test_state_snapshots(void)
{
    Saved saved;
    Sampler s;

    saved_init(&saved);
    sampler_start(&s, "");
    make_disk(s.qts, saved.path);
    snapshot(&s, "savevm", "empty");
    fill_state(&s, true);
    snapshot(&s, "savevm", "full");
    for (int i = 0; i < 2; i++) {
        snapshot(&s, "loadvm", "full");
        assert_loaded(&s, 7, 0x89abcdef);
        snapshot(&s, "loadvm", "empty");
        g_assert_cmpuint(get(&s, RUNS), ==, 0);
        g_assert_cmpuint(get(&s, LENGTH), ==, 0);
        g_assert_cmphex(get(&s, RARE), ==, 0);
        g_assert_cmpuint(get(&s, LIMIT), ==, DEFAULT_LIMIT);
    }
    qtest_clock_step(s.qts, 1000000);
    g_assert_cmpuint(get(&s, RUNS), ==, 0);
    sampler_stop(&s);
    saved_free(&saved);
}

/* The pin and the timers are restored. */
static void test_state_pin(void)
{
    Sampler source, destination;
    Saved saved;

    saved_init(&saved);
    for (int level = 0; level < 2; level++) {
        sampler_start(&source, ",interrupts=pin");
        route_pins(&source);
        set(&source, LOWER, 0);
        if (level) {
            set(&source, INTERRUPT, 0);
        }
        sampler_save(&source, &saved);
        sampler_load(&destination, &source, &saved, ",interrupts=pin");
        sampler_stop(&source);
        g_assert_cmpint(is_pin_high(&destination), ==, level);
        set(&destination, LOWER, 0);
        assert_pin(&destination, false);
        set(&destination, INTERRUPT, 0);
        assert_pin(&destination, true);
        qtest_clock_step(destination.qts, 10 * SHORTEST_DELAY);
        g_assert_cmpuint(get(&destination, RUNS), ==, 0);
        sampler_stop(&destination);
    }
    saved_free(&saved);
}

/*
 * QEMU loads any pin from a saved configuration space, and asserts that a
 * device that raises its pin has one.
 */
static void test_state_other_pin(void)
{
    static const uint8_t pins[] = { 0, 2, 7, 255 };
    Sampler source, destination;
    uint8_t *pin;
    Saved saved;

    saved_init(&saved);
    sampler_start(&source, "");
    fill_state(&source, false);
    sampler_save(&source, &saved);
    /* After two versions: the device's and the one of the PCI part. */
    pin = saved.bytes->data + version_find(saved.bytes) + 8 + PCI_INTERRUPT_PIN;
    g_assert_cmphex(*pin, ==, 1);
    for (int i = 0; i < ARRAY_SIZE(pins); i++) {
        *pin = pins[i];
        saved_write(&saved, saved.bytes);
        sampler_load(&destination, &source, &saved, "");
        set(&destination, LOWER, 0);
        set(&destination, INTERRUPT, 0);
        set(&destination, LIMIT, 5);
        g_assert_cmpuint(get(&destination, LIMIT), ==, 5);
        sampler_stop(&destination);
    }
    sampler_stop(&source);
    saved_free(&saved);
}

/* The MSI-X table and the pending bits. */
static void test_state_msix(void)
{
    Sampler source, destination;
    Saved saved;

    saved_init(&saved);
    msix_start(&source, ",interrupts=msix");
    set_msix_entry(&source, 2, true);
    set(&source, INTERRUPT, 2);
    sampler_save(&source, &saved);
    sampler_load(&destination, &source, &saved, ",interrupts=msix");
    sampler_stop(&source);
    set(&destination, INTERRUPT, 1);
    g_assert_true(take_msix_message(&destination, 1));
    g_assert_false(take_msix_message(&destination, 2));
    g_assert_true(qpci_msix_pending(destination.dev, 2));
    set_msix_entry(&destination, 2, false);
    g_assert_true(take_msix_message(&destination, 2));
    sampler_stop(&destination);
    saved_free(&saved);
}

/* ---- properties ---- */

/*
 * A property in the help; its default, a value to set, and how "info qtree"
 * and qom-get show that value. (The help shows a string or a bool with or
 * without quotation marks, depending on the version of QEMU.)
 */
typedef struct Shown {
    const char *name;
    const char *help;
    const char *initial;
    const char *set;
    const char *tree;
    const char *get;
} Shown;

static const Shown properties[] = {
    { "switched-on", "=<bool> - A switch (default: ", "true",
      "off", "false", "false" },
    { "byte", "=<uint8> - 8 bits (default: 8)", "8",
      "255", "255 (0xff)", "255" },
    { "half", "=<uint16> - 16 bits (default: 16)", "16",
      "65535", "65535 (0xffff)", "65535" },
    { "word", "=<uint32> - 32 bits (default: 32)", "32",
      "4294967295", "4294967295 (0xffffffff)", "4294967295" },
    { "long", "=<uint64> - 64 bits (default: 64)", "64",
      "0x123456789abcdef", "81985529216486895 (0x123456789abcdef)",
      "81985529216486895" },
    { "level", "=<int32> - Signed, 32 bits (default: -32)", "-32",
      "-2147483648", "-2147483648", "-2147483648" },
    { "offset", "=<int64> - Signed, 64 bits (default: -64)", "-64",
      "-9223372036854775808", "-9223372036854775808", "-9223372036854775808" },
    { "memory", "=<size> - In bytes (default: 4096)", "4096",
      "64K", "65536 (64 KiB)", "65536" },
    { "x-refuse", "=<str> - A text that says why the device should not be "
      "realized (default: ", "\"\"", NULL, "\"\"", "\"\"" },
    { "interrupts", "=<str> - Which interrupts it has: pin, msi, msix, "
      "msix-only (default: ", "\"msi\"",
      "msix", "\"msix\"", "\"msix\"" },
};

/* Replaces each run of blanks by one. */
static void squeeze(char *text)
{
    char *to = text;

    for (char *from = text; *from; from++) {
        if (*from != ' ' || to == text || to[-1] != ' ') {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static void assert_contains(const char *text, const char *name,
                            const char *what)
{
    g_autofree char *line = g_strdup_printf(" %s%s", name, what);

    if (!strstr(text, line)) {
        g_test_message("not found: '%s' in: %s", line, text);
        g_test_fail();
    }
}

static void test_properties(void)
{
    GString *props = g_string_new(NULL);
    g_autofree char *help = NULL;
    g_autofree char *tree = NULL;
    Sampler s;

    sampler_start(&s, "");
    for (int i = 0; i < ARRAY_SIZE(properties); i++) {
        assert_property(&s, properties[i].name, properties[i].initial);
        if (properties[i].set) {
            g_string_append_printf(props, ",%s=%s", properties[i].name,
                                   properties[i].set);
        }
    }
    sampler_stop(&s);
    sampler_start(&s, props->str);
    g_string_free(props, true);
    help = qtest_hmp(s.qts, "device_add rust_sampler,help");
    tree = qtest_hmp(s.qts, "info qtree");
    squeeze(help);
    for (int i = 0; i < ARRAY_SIZE(properties); i++) {
        const Shown *shown = &properties[i];
        g_autofree char *value = g_strdup_printf(" = %s", shown->tree);

        assert_contains(help, shown->name, shown->help);
        assert_contains(tree, shown->name, value);
        assert_property(&s, shown->name, shown->get);
    }
    assert_contains(help, "guest-errors", "=<uint64> - How many accesses were "
                    "not as the device's specification allows");
    sampler_stop(&s);
}

static void test_properties_refused(void)
{
    static const struct {
        const char *name;
        const char *value;
    } others[] = {
        { "switched-on", "perhaps" },
        { "byte", "256" },
        { "byte", "-1" },
        { "half", "65536" },
        { "word", "4294967296" },
        { "long", "18446744073709551616" },
        { "level", "2147483648" },
        { "offset", "9223372036854775808" },
        { "memory", "4X" },
    };
    Sampler s, plugged;

    sampler_start(&s, "");
    for (int i = 0; i < ARRAY_SIZE(others); i++) {
        g_autofree char *said =
            qtest_hmp(s.qts, "device_add rust_sampler,addr=06.0,%s=%s",
                      others[i].name, others[i].value);

        /* QEMU's own text, which depends on the version. */
        g_assert_nonnull(strstr(said, others[i].name));
    }
    assert_error(device_add_refused(s.qts, "interrupts", "none"),
                 "rust_sampler: interrupts: there is no 'none'; it is one of "
                 "pin, msi, msix and msix-only");
    assert_error(device_add_refused(s.qts, "x-refuse", "not today"),
                 "rust_sampler: not today");
    plug(&plugged, s.bus, "msix");
    set(&plugged, LIMIT, 5);
    g_assert_cmpuint(get(&plugged, LIMIT), ==, 5);
    g_free(plugged.dev);
    sampler_stop(&s);
}

/* ---- hot-plug ---- */

/* With a timer running, the pin high, and a message waiting. */
static void test_unplug(void)
{
    static const char *const kinds[] = { "pin", "msi", "msix", "pin" };
    Sampler s, plugged;

    sampler_start(&s, "");
    set(&s, LOWER, 0);
    route_pins(&s);
    for (int i = 0; i < ARRAY_SIZE(kinds); i++) {
        plug(&plugged, s.bus, kinds[i]);
        g_assert_cmpuint(get(&plugged, RUNS), ==, 0);
        if (!strcmp(kinds[i], "msix")) {
            qpci_msix_enable(plugged.dev);
            set_msix_entry(&plugged, 1, true);
        }
        set(&plugged, REPEAT, 1000);
        set_long(&plugged, DELAY, 0);
        qtest_clock_step(s.qts, SHORTEST_DELAY);
        g_assert_cmpuint(get(&plugged, RUNS), ==, 1);
        if (plugged.dev->msix_enabled) {
            g_assert_true(qpci_msix_pending(plugged.dev, 1));
        } else {
            assert_pin(&plugged, true);
        }
        g_free(plugged.dev);
        /* Eject it like the guest's ACPI code. */
        qpci_unplug_acpi_device_test(s.qts, "plugged", PLUG_SLOT);
        g_assert_null(qpci_device_find(s.bus, QPCI_DEVFN(PLUG_SLOT, 0)));
        g_assert_false(qtest_get_irq(s.qts, IRQ));
        qtest_clock_step(s.qts, 2000 * SHORTEST_DELAY);
        g_assert_false(qtest_get_irq(s.qts, IRQ));
    }
    g_assert_cmpuint(get(&s, RUNS), ==, 0);
    sampler_stop(&s);
}

/*
 * The guest chooses the address of messages. A message to the slot's register
 * unplugs the device while it has more messages to send.
 */
static void test_unplug_by_message(gconstpointer data)
{
    const bool by_timer = GPOINTER_TO_INT(data);
    QPCIDevice *port;
    uint8_t express;
    uint64_t slot;
    Sampler s;

    if (!has_q35()) {
        return;
    }
    port = port_start(&s, ",interrupts=msi");
    enable_ecam(&s);
    express = qpci_find_capability(port, PCI_CAP_ID_EXP, 0);
    g_assert_cmphex(express, !=, 0);
    slot = ECAM + (port->devfn << 12) + express + PCI_EXP_SLTCTL;
    g_free(port);
    enable_msi_to(&s, VECTORS, slot,
                  PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PWR_OFF);
    if (by_timer) {
        set(&s, REPEAT, 1);
        set(&s, DELAY, 0);
        qtest_clock_step(s.qts, SHORTEST_DELAY);
    } else {
        set(&s, INTERRUPTS, 0xf);
    }
    qtest_qmp_eventwait(s.qts, "DEVICE_DELETED");
    g_assert_null(qpci_device_find(s.bus, 1 << 8));
    qtest_clock_step(s.qts, SHORTEST_DELAY);
    sampler_stop(&s);
}

int main(int argc, char **argv)
{
    const QemuPciMachine *machine;

    g_test_init(&argc, &argv, NULL);

    machine = qemu_pci_machine_for("rust_sampler");
    if (!machine) {
        return g_test_run();
    }

    qtest_add_func("/rust-sampler/accesses/registers", test_accesses_registers);
    qtest_add_func("/rust-sampler/accesses/whole", test_accesses_whole);
    qtest_add_func("/rust-sampler/accesses/memory", test_accesses_memory);
    qtest_add_func("/rust-sampler/accesses/ports", test_accesses_ports);
    qtest_add_func("/rust-sampler/timer/delays", test_timer);
    qtest_add_func("/rust-sampler/timer/repeats", test_timer_repeats);
    qtest_add_func("/rust-sampler/timer/stop", test_timer_stop);
    qtest_add_func("/rust-sampler/timer/reset", test_timer_reset);
    qtest_add_func("/rust-sampler/properties/shown", test_properties);
    if (machine != &qemu_pci_pc) {
        return g_test_run();
    }

    /* With memory, interrupts and hot-plug as a PC has them. */
    qtest_add_func("/rust-sampler/identity/conventional-bus",
                   test_identity_conventional);
    qtest_add_func("/rust-sampler/identity/root-bus", test_identity_root_bus);
    qtest_add_func("/rust-sampler/identity/root-port", test_identity_root_port);
    qtest_add_func("/rust-sampler/identity/interrupts",
                   test_identity_interrupts);
    qtest_add_func("/rust-sampler/pin/levels", test_pin);
    qtest_add_func("/rust-sampler/pin/reset", test_pin_reset);
    qtest_add_func("/rust-sampler/messages/msi", test_msi);
    qtest_add_func("/rust-sampler/messages/msi-and-pin", test_msi_and_pin);
    qtest_add_func("/rust-sampler/messages/msix", test_msix);
    qtest_add_func("/rust-sampler/messages/msix-only", test_msix_only);
    qtest_add_func("/rust-sampler/messages/none", test_no_msi);
    qtest_add_func("/rust-sampler/dma", test_dma);
    qtest_add_data_func("/rust-sampler/state/plain", GINT_TO_POINTER(false),
                        test_state);
    qtest_add_data_func("/rust-sampler/state/subsection", GINT_TO_POINTER(true),
                        test_state);
    qtest_add_func("/rust-sampler/state/version-1", test_state_version_1);
    qtest_add_func("/rust-sampler/state/refused", test_state_refused);
    qtest_add_func("/rust-sampler/state/deadlines", test_state_deadlines);
    qtest_add_func("/rust-sampler/state/snapshots", test_state_snapshots);
    qtest_add_func("/rust-sampler/state/pin", test_state_pin);
    qtest_add_func("/rust-sampler/state/other-pin", test_state_other_pin);
    qtest_add_func("/rust-sampler/state/msix", test_state_msix);
    qtest_add_func("/rust-sampler/properties/refused",
                   test_properties_refused);
    qtest_add_func("/rust-sampler/unplug/plain", test_unplug);
    qtest_add_data_func("/rust-sampler/unplug/by-message",
                        GINT_TO_POINTER(false), test_unplug_by_message);
    qtest_add_data_func("/rust-sampler/unplug/by-message-of-timer",
                        GINT_TO_POINTER(true), test_unplug_by_message);

    return g_test_run();
}
