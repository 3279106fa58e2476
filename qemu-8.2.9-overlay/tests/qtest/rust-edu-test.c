/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * QTest testcase for rust_edu, QEMU's edu device rewritten in Rust. The
 * specification is docs/specs/edu.rst.
 */

#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "hw/misc/qemu-pci/qtest-machine.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_regs.h"

#define EDU_PCI_VENDOR_ID   0x1234
#define EDU_PCI_DEVICE_ID   0x11e8
#define EDU_PCI_REVISION    0x10
#define EDU_PCI_CLASS       0x00ff
#define EDU_BAR_SIZE        0x100000

enum {
    IDENTIFICATION = 0x00,
    LIVENESS = 0x04,
    FACTORIAL = 0x08,
    STATUS = 0x20,
    INTERRUPT_STATUS = 0x24,
    INTERRUPT_RAISE = 0x60,
    INTERRUPT_ACKNOWLEDGE = 0x64,
    DMA_SOURCE = 0x80,
    DMA_DESTINATION = 0x88,
    DMA_COUNT = 0x90,
    DMA_COMMAND = 0x98,
};

#define EDU_IDENTIFICATION      0x010000edU
#define STATUS_COMPUTING        0x01
#define STATUS_INTERRUPT        0x80
#define COMMAND_START           1
#define COMMAND_TO_MEMORY       2
#define COMMAND_INTERRUPT       4
#define COMPUTED                0x1
#define DMA_DONE                0x100
#define BUFFER                  0x40000
#define BUFFER_SIZE             4096
#define FACTORIAL_TIME          100000
#define DMA_TIME                100000000

/* Guest memory for DMA and for messages; an address without memory. */
#define MEMORY                  0x100000
#define MESSAGE                 0x200000
#define HOLE                    0x80000000

/* ---- a device in a machine ---- */

#define SLOT 4
#define PLUG_SLOT 6

typedef struct Edu {
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *dev;
    QPCIBar bar;
    const char *id;
} Edu;

/* Does the firmware's work; call it again after a reset. */
static void edu_map(Edu *edu)
{
    qpci_device_enable(edu->dev);
    edu->bar = qpci_iomap(edu->dev, 0, NULL);
}

static void edu_find(Edu *edu, QPCIBus *bus, int slot, const char *id)
{
    edu->qts = bus->qts;
    edu->bus = bus;
    edu->dev = qpci_device_find(bus, QPCI_DEVFN(slot, 0));
    edu->id = id;
    g_assert_nonnull(edu->dev);
    edu_map(edu);
}

/* @props begins with a comma if not empty. */
static QPCIBus *machine_start(const char *props, const char *more)
{
    g_autofree char *args =
        g_strdup_printf("-device rust_edu,id=edu,addr=%02x.0%s %s", SLOT,
                        props, more);

    return qemu_pci_machine_start(args);
}

static void edu_start(Edu *edu, const char *props)
{
    edu_find(edu, machine_start(props, ""), SLOT, "edu");
}

static void edu_stop(Edu *edu)
{
    g_free(edu->dev);
    qemu_pci_machine_stop(edu->bus);
}

static uint32_t get(Edu *edu, int reg)
{
    return qpci_io_readl(edu->dev, edu->bar, reg);
}

static void set(Edu *edu, int reg, uint32_t value)
{
    qpci_io_writel(edu->dev, edu->bar, reg, value);
}

static uint64_t get_long(Edu *edu, int reg)
{
    return qpci_io_readq(edu->dev, edu->bar, reg);
}

static void set_long(Edu *edu, int reg, uint64_t value)
{
    qpci_io_writeq(edu->dev, edu->bar, reg, value);
}

static void assert_errors(Edu *edu, uint64_t expected)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", edu->id);
    QDict *response = qtest_qmp(edu->qts,
                                "{'execute': 'qom-get', 'arguments':"
                                " {'path': %s, 'property': 'guest-errors'}}",
                                path);

    g_assert(qdict_haskey(response, "return"));
    g_assert_cmpuint(qdict_get_int(response, "return"), ==, expected);
    qobject_unref(response);
}

static void start_dma(Edu *edu, uint64_t source, uint64_t destination,
                      uint64_t count, uint32_t command)
{
    set_long(edu, DMA_SOURCE, source);
    set_long(edu, DMA_DESTINATION, destination);
    set_long(edu, DMA_COUNT, count);
    set(edu, DMA_COMMAND, command | COMMAND_START);
}

/* Starts a DMA, and advances the clock until it is done. */
static void dma(Edu *edu, uint64_t source, uint64_t destination,
                uint64_t count, uint32_t command)
{
    start_dma(edu, source, destination, count, command);
    qtest_clock_step(edu->qts, DMA_TIME - 1);
    g_assert_cmphex(get(edu, DMA_COMMAND), ==, command | COMMAND_START);
    qtest_clock_step(edu->qts, 1);
    g_assert_cmphex(get(edu, DMA_COMMAND), ==, command);
}

static void start_factorial(Edu *edu, uint32_t n)
{
    set(edu, FACTORIAL, n);
    g_assert_cmphex(get(edu, STATUS) & STATUS_COMPUTING, ==, STATUS_COMPUTING);
}

static void assert_factorial(Edu *edu, uint32_t n, uint32_t result)
{
    start_factorial(edu, n);
    qtest_clock_step(edu->qts, FACTORIAL_TIME - 1);
    g_assert_cmphex(get(edu, STATUS) & STATUS_COMPUTING, ==, STATUS_COMPUTING);
    g_assert_cmphex(get(edu, FACTORIAL), ==, n);
    qtest_clock_step(edu->qts, 1);
    g_assert_cmphex(get(edu, STATUS) & STATUS_COMPUTING, ==, 0);
    g_assert_cmphex(get(edu, FACTORIAL), ==, result);
}

/* Checks that the device works. */
static void assert_alive(Edu *edu)
{
    set(edu, LIVENESS, 0x12345678);
    g_assert_cmphex(get(edu, LIVENESS), ==, ~0x12345678U);
    assert_factorial(edu, 5, 120);
}

static void fill_pattern(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = i * 7 + i / 256;
    }
}

static void assert_memory(Edu *edu, uint64_t address, const uint8_t *expected,
                          size_t size)
{
    g_autofree uint8_t *bytes = g_malloc(size);

    qtest_memread(edu->qts, address, bytes, size);
    g_assert_cmpmem(bytes, size, expected, size);
}

/* ---- configuration space ---- */

static void test_config_space(void)
{
    uint64_t size = 0;
    Edu edu;

    edu_start(&edu, "");
    g_assert_cmphex(qpci_config_readw(edu.dev, PCI_VENDOR_ID), ==,
                    EDU_PCI_VENDOR_ID);
    g_assert_cmphex(qpci_config_readw(edu.dev, PCI_DEVICE_ID), ==,
                    EDU_PCI_DEVICE_ID);
    g_assert_cmphex(qpci_config_readb(edu.dev, PCI_REVISION_ID), ==,
                    EDU_PCI_REVISION);
    g_assert_cmphex(qpci_config_readw(edu.dev, PCI_CLASS_DEVICE), ==,
                    EDU_PCI_CLASS);
    g_assert_cmphex(qpci_config_readb(edu.dev, PCI_INTERRUPT_PIN), ==, 1);
    g_assert_false(qpci_iomap(edu.dev, 0, &size).is_io);
    g_assert_cmphex(size, ==, EDU_BAR_SIZE);
    edu_stop(&edu);
}

/* ---- registers ---- */

static void test_registers(void)
{
    static const uint32_t values[] = { 0, 1, 0x89abcdef, ~0U };
    Edu edu;

    edu_start(&edu, "");
    g_assert_cmphex(get(&edu, IDENTIFICATION), ==, EDU_IDENTIFICATION);
    g_assert_cmphex(get(&edu, LIVENESS), ==, 0);
    for (int i = 0; i < ARRAY_SIZE(values); i++) {
        set(&edu, LIVENESS, values[i]);
        g_assert_cmphex(get(&edu, LIVENESS), ==, ~values[i]);
    }
    set_long(&edu, DMA_SOURCE, 0x0123456789abcdef);
    g_assert_cmphex(get_long(&edu, DMA_SOURCE), ==, 0x0123456789abcdef);
    g_assert_cmphex(get(&edu, DMA_SOURCE), ==, 0x89abcdef);
    /* 4 bytes set the whole register too. */
    set(&edu, DMA_SOURCE, 5);
    g_assert_cmphex(get_long(&edu, DMA_SOURCE), ==, 5);
    assert_errors(&edu, 0);
    edu_stop(&edu);
}

/* Valid sizes: registers from 0x80 up have 8 bytes. */
static bool is_register(uint64_t offset, size_t size, bool write)
{
    switch (offset) {
    case IDENTIFICATION:
    case INTERRUPT_STATUS:
        return size == 4 && !write;
    case LIVENESS:
    case FACTORIAL:
    case STATUS:
        return size == 4;
    case INTERRUPT_RAISE:
    case INTERRUPT_ACKNOWLEDGE:
        return size == 4 && write;
    case DMA_SOURCE:
    case DMA_DESTINATION:
    case DMA_COUNT:
    case DMA_COMMAND:
        return size == 4 || size == 8;
    default:
        return false;
    }
}

/*
 * Every size, at every offset near the registers and in the range that is
 * the buffer for DMA.
 */
static void test_accesses(void)
{
    static const size_t sizes[] = { 1, 2, 4, 8 };
    uint64_t errors = 0;
    Edu edu;

    edu_start(&edu, "");
    set(&edu, LIVENESS, 0x12345678);
    for (int s = 0; s < ARRAY_SIZE(sizes); s++) {
        size_t size = sizes[s];

        for (uint64_t at = 0; at < 0xc0; at++) {
            uint64_t offset = at < 0xa0 ? at : BUFFER + at - 0xa0;
            uint64_t value = 0;

            if (!is_register(offset, size, false)) {
                qpci_memread(edu.dev, edu.bar, offset, &value, size);
                g_assert_cmphex(value, ==, ~0ULL >> (64 - 8 * size));
                errors++;
            }
            if (!is_register(offset, size, true)) {
                value = 0x0101010101010101;
                qpci_memwrite(edu.dev, edu.bar, offset, &value, size);
                errors++;
            }
        }
    }
    assert_errors(&edu, errors);
    g_assert_cmphex(get(&edu, LIVENESS), ==, ~0x12345678U);
    g_assert_cmphex(get(&edu, STATUS), ==, 0);
    g_assert_cmphex(get(&edu, FACTORIAL), ==, 0);
    g_assert_cmphex(get_long(&edu, DMA_SOURCE), ==, 0);
    g_assert_cmphex(get_long(&edu, DMA_COMMAND), ==, 0);
    edu_stop(&edu);
}

static void test_factorial(void)
{
    Edu edu;

    edu_start(&edu, "");
    assert_factorial(&edu, 0, 1);
    assert_factorial(&edu, 10, 3628800);
    assert_factorial(&edu, 13, 1932053504);
    assert_factorial(&edu, 33, 0x80000000);
    assert_factorial(&edu, 34, 0);
    assert_factorial(&edu, 0xffffffff, 0);
    assert_errors(&edu, 0);

    /* The next factorial has to wait. */
    start_factorial(&edu, 4);
    set(&edu, FACTORIAL, 5);
    assert_errors(&edu, 1);
    qtest_clock_step(edu.qts, FACTORIAL_TIME);
    g_assert_cmpuint(get(&edu, FACTORIAL), ==, 24);
    g_assert_cmphex(get(&edu, INTERRUPT_STATUS), ==, 0);
    edu_stop(&edu);
}

/* ---- DMA ---- */

static void test_dma(void)
{
    static const uint8_t zero[16];
    uint8_t bytes[BUFFER_SIZE];
    Edu edu;

    edu_start(&edu, "");
    fill_pattern(bytes, sizeof(bytes));
    qtest_memwrite(edu.qts, MEMORY, bytes, sizeof(bytes));
    dma(&edu, MEMORY, BUFFER, BUFFER_SIZE, 0);
    /* Not at a page boundary, and back in two parts. */
    dma(&edu, BUFFER, MEMORY + 0x2010, 16, COMMAND_TO_MEMORY);
    assert_memory(&edu, MEMORY + 0x2010, bytes, 16);
    assert_memory(&edu, MEMORY + 0x2020, zero, 16);
    dma(&edu, BUFFER + 16, MEMORY + 0x2020, BUFFER_SIZE - 16,
        COMMAND_TO_MEMORY);
    assert_memory(&edu, MEMORY + 0x2010, bytes, BUFFER_SIZE);
    assert_memory(&edu, MEMORY + 0x3010, zero, 16);

    /* Only a part of the buffer is written to. */
    dma(&edu, MEMORY + 1, BUFFER + BUFFER_SIZE - 1, 1, 0);
    bytes[BUFFER_SIZE - 1] = bytes[1];
    dma(&edu, BUFFER, MEMORY, BUFFER_SIZE, COMMAND_TO_MEMORY);
    assert_memory(&edu, MEMORY, bytes, BUFFER_SIZE);
    assert_errors(&edu, 0);

    /* Its registers cannot be written while it runs. */
    start_dma(&edu, BUFFER, MEMORY, 4, COMMAND_TO_MEMORY);
    set_long(&edu, DMA_COUNT, 8);
    set(&edu, DMA_COMMAND, COMMAND_START);
    assert_errors(&edu, 2);
    g_assert_cmphex(get_long(&edu, DMA_COUNT), ==, 4);
    g_assert_cmphex(get_long(&edu, DMA_COMMAND), ==,
                    COMMAND_START | COMMAND_TO_MEMORY);
    edu_stop(&edu);
}

static void test_dma_mask(void)
{
    static const uint8_t zero[16];
    uint8_t bytes[16];
    Edu edu;

    edu_start(&edu, "");
    fill_pattern(bytes, sizeof(bytes));
    qtest_memwrite(edu.qts, MEMORY, bytes, sizeof(bytes));
    dma(&edu, 1ULL << 28 | MEMORY, BUFFER, sizeof(bytes), 0);
    assert_errors(&edu, 1);
    dma(&edu, BUFFER, 1ULL << 63 | (MEMORY + 64), sizeof(bytes),
        COMMAND_TO_MEMORY);
    assert_errors(&edu, 2);
    assert_memory(&edu, MEMORY + 64, bytes, sizeof(bytes));
    edu_stop(&edu);

    edu_start(&edu, ",dma_mask=0xffffffffffffffff");
    dma(&edu, BUFFER, MEMORY, sizeof(bytes), COMMAND_TO_MEMORY);
    assert_errors(&edu, 0);
    /* Now there is no memory. */
    dma(&edu, 1ULL << 63 | MEMORY, BUFFER, sizeof(bytes), 0);
    assert_errors(&edu, 1);
    assert_memory(&edu, MEMORY, zero, sizeof(zero));
    edu_stop(&edu);
}

typedef struct Part {
    uint64_t at;
    uint64_t count;
} Part;

/* A DMA outside the buffer, or without memory, copies nothing. */
static void test_dma_refused(void)
{
    static const Part parts[] = {
        { BUFFER, BUFFER_SIZE + 1 },
        { BUFFER + 1, BUFFER_SIZE },
        { BUFFER - 1, 2 },
        { BUFFER + BUFFER_SIZE, 1 },
        { 0, 4 },
        { BUFFER, ~0ULL },
        { BUFFER + 4, ~0ULL - 3 },
        { ~0ULL, 2 },
    };
    uint8_t bytes[2 * BUFFER_SIZE];
    uint64_t errors = 0;
    uint16_t command;
    Edu edu;

    edu_start(&edu, ",dma_mask=0xffffffff");
    fill_pattern(bytes, sizeof(bytes));
    qtest_memwrite(edu.qts, MEMORY, bytes, sizeof(bytes));
    for (int i = 0; i < ARRAY_SIZE(parts); i++) {
        const Part *part = &parts[i];

        dma(&edu, MEMORY, part->at, part->count, COMMAND_INTERRUPT);
        assert_errors(&edu, ++errors);
        /* It has ended anyway. */
        g_assert_cmphex(get(&edu, INTERRUPT_STATUS), ==, DMA_DONE);
        set(&edu, INTERRUPT_ACKNOWLEDGE, DMA_DONE);
        dma(&edu, part->at, MEMORY, part->count, COMMAND_TO_MEMORY);
        assert_errors(&edu, ++errors);
    }
    assert_memory(&edu, MEMORY, bytes, sizeof(bytes));

    /* The device's own registers and holes are not memory. */
    dma(&edu, BUFFER, edu.bar.addr + LIVENESS, 4, COMMAND_TO_MEMORY);
    assert_errors(&edu, ++errors);
    dma(&edu, HOLE, BUFFER, 4, COMMAND_INTERRUPT);
    assert_errors(&edu, ++errors);
    g_assert_cmphex(get(&edu, LIVENESS), ==, 0);
    g_assert_cmphex(get(&edu, INTERRUPT_STATUS), ==, DMA_DONE);

    /* Without bus mastering the device cannot access memory. */
    command = qpci_config_readw(edu.dev, PCI_COMMAND);
    qpci_config_writew(edu.dev, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
    dma(&edu, BUFFER, MEMORY, BUFFER_SIZE, COMMAND_TO_MEMORY);
    assert_errors(&edu, ++errors);
    assert_memory(&edu, MEMORY, bytes, sizeof(bytes));
    edu_stop(&edu);
}

/* ---- interrupts ---- */

#define IRQ 10

/* Routes all pins of the bus to one line of the interrupt controller. */
static void route_pins(Edu *edu)
{
    QPCIDevice *bridge = qpci_device_find(edu->bus, QPCI_DEVFN(1, 0));

    g_assert_nonnull(bridge);
    for (int pin = 0; pin < 4; pin++) {
        qpci_config_writeb(bridge, 0x60 + pin, IRQ);
    }
    g_free(bridge);
    qtest_irq_intercept_in(edu->qts, "ioapic");
}

static void assert_pin(Edu *edu, bool level)
{
    uint16_t status = qpci_config_readw(edu->dev, PCI_STATUS);

    g_assert_cmpint(!!(status & PCI_STATUS_INTERRUPT), ==, level);
    g_assert_cmpint(qtest_get_irq(edu->qts, IRQ), ==, level);
}

static void test_pin(void)
{
    uint16_t command;
    Edu edu;

    edu_start(&edu, "");
    route_pins(&edu);
    set(&edu, INTERRUPT_RAISE, 0);
    assert_pin(&edu, false);
    set(&edu, INTERRUPT_RAISE, 0x80000001);
    assert_pin(&edu, true);
    g_assert_cmphex(get(&edu, INTERRUPT_STATUS), ==, 0x80000001);
    set(&edu, INTERRUPT_ACKNOWLEDGE, 1);
    assert_pin(&edu, true);
    set(&edu, INTERRUPT_ACKNOWLEDGE, 0x80000000);
    assert_pin(&edu, false);
    g_assert_cmphex(get(&edu, INTERRUPT_STATUS), ==, 0);

    /* The guest can mask it. */
    set(&edu, INTERRUPT_RAISE, 2);
    command = qpci_config_readw(edu.dev, PCI_COMMAND);
    qpci_config_writew(edu.dev, PCI_COMMAND,
                       command | PCI_COMMAND_INTX_DISABLE);
    g_assert_false(qtest_get_irq(edu.qts, IRQ));
    qpci_config_writew(edu.dev, PCI_COMMAND, command);
    assert_pin(&edu, true);
    set(&edu, INTERRUPT_ACKNOWLEDGE, 2);

    /* The ends of a factorial and of a DMA. */
    set(&edu, STATUS, STATUS_INTERRUPT);
    start_factorial(&edu, 5);
    qtest_clock_step(edu.qts, FACTORIAL_TIME - 1);
    assert_pin(&edu, false);
    qtest_clock_step(edu.qts, 1);
    assert_pin(&edu, true);
    g_assert_cmphex(get(&edu, INTERRUPT_STATUS), ==, COMPUTED);
    set(&edu, INTERRUPT_ACKNOWLEDGE, COMPUTED);
    assert_pin(&edu, false);
    dma(&edu, MEMORY, BUFFER, 4, COMMAND_INTERRUPT);
    assert_pin(&edu, true);
    g_assert_cmphex(get(&edu, INTERRUPT_STATUS), ==, DMA_DONE);
    set(&edu, INTERRUPT_ACKNOWLEDGE, DMA_DONE);
    assert_pin(&edu, false);
    assert_errors(&edu, 0);
    edu_stop(&edu);
}

/* Enables MSI with this address. */
static void enable_msi(Edu *edu, uint64_t address, uint16_t message)
{
    uint8_t msi = qpci_find_capability(edu->dev, PCI_CAP_ID_MSI, 0);
    uint16_t flags;

    g_assert_cmphex(msi, !=, 0);
    flags = qpci_config_readw(edu->dev, msi + PCI_MSI_FLAGS);
    g_assert_cmphex(flags & PCI_MSI_FLAGS_64BIT, ==, PCI_MSI_FLAGS_64BIT);
    qpci_config_writel(edu->dev, msi + PCI_MSI_ADDRESS_LO, address);
    qpci_config_writel(edu->dev, msi + PCI_MSI_ADDRESS_HI, address >> 32);
    qpci_config_writew(edu->dev, msi + PCI_MSI_DATA_64, message);
    qpci_config_writew(edu->dev, msi + PCI_MSI_FLAGS,
                       flags | PCI_MSI_FLAGS_ENABLE);
}

/* Whether a message has arrived since the last call. */
static bool take_message(Edu *edu, uint32_t message)
{
    uint32_t found = qtest_readl(edu->qts, MESSAGE);

    qtest_writel(edu->qts, MESSAGE, 0);
    g_assert(found == 0 || found == message);
    return found != 0;
}

static void test_msi(void)
{
    Edu edu;

    edu_start(&edu, "");
    route_pins(&edu);
    enable_msi(&edu, MESSAGE, 0x4321);
    set(&edu, INTERRUPT_RAISE, 0);
    g_assert_false(take_message(&edu, 0x4321));
    set(&edu, INTERRUPT_RAISE, 6);
    g_assert_true(take_message(&edu, 0x4321));
    /* One more for another reason, none for an acknowledgement. */
    set(&edu, INTERRUPT_RAISE, 1);
    g_assert_true(take_message(&edu, 0x4321));
    set(&edu, INTERRUPT_ACKNOWLEDGE, 3);
    set(&edu, INTERRUPT_ACKNOWLEDGE, 4);
    g_assert_false(take_message(&edu, 0x4321));
    g_assert_cmphex(get(&edu, INTERRUPT_STATUS), ==, 0);

    set(&edu, STATUS, STATUS_INTERRUPT);
    start_factorial(&edu, 5);
    g_assert_false(take_message(&edu, 0x4321));
    qtest_clock_step(edu.qts, FACTORIAL_TIME);
    g_assert_true(take_message(&edu, 0x4321));
    dma(&edu, MEMORY, BUFFER, 4, COMMAND_INTERRUPT);
    g_assert_true(take_message(&edu, 0x4321));
    g_assert_cmphex(get(&edu, INTERRUPT_STATUS), ==, COMPUTED | DMA_DONE);
    assert_pin(&edu, false);
    assert_errors(&edu, 0);
    edu_stop(&edu);
}

/*
 * Messages to a register of the device itself. QEMU blocks them during an
 * access to the device; those that a timer sends arrive.
 */
static void test_msi_to_itself(void)
{
    static const int registers[] = {
        LIVENESS, FACTORIAL, STATUS, INTERRUPT_RAISE, INTERRUPT_ACKNOWLEDGE,
        DMA_COMMAND,
    };

    for (int i = 0; i < ARRAY_SIZE(registers); i++) {
        Edu edu;

        edu_start(&edu, "");
        enable_msi(&edu, edu.bar.addr + registers[i], 0x105);
        for (int round = 0; round < 3; round++) {
            set(&edu, INTERRUPT_RAISE, 2);
            set(&edu, STATUS, STATUS_INTERRUPT);
            set(&edu, FACTORIAL, 5);
            qtest_clock_step(edu.qts, 10 * FACTORIAL_TIME);
            start_dma(&edu, MEMORY, BUFFER, 4, COMMAND_INTERRUPT);
            qtest_clock_step(edu.qts, 10 * DMA_TIME);
            if (registers[i] == LIVENESS) {
                g_assert_cmphex(get(&edu, LIVENESS), ==, ~0x105U);
            }
        }
        set(&edu, STATUS, 0);
        qtest_clock_step(edu.qts, 10 * DMA_TIME);
        assert_alive(&edu);
        edu_stop(&edu);
    }
}

/* ---- reset and hot-plug ---- */

static void test_reset(void)
{
    static const uint8_t zero[16];
    Edu edu;

    edu_start(&edu, ",dma_mask=0x1fffff");
    dma(&edu, 0x400000 | MEMORY, BUFFER, 4, 0);
    assert_errors(&edu, 1);
    set(&edu, LIVENESS, 5);
    set(&edu, STATUS, STATUS_INTERRUPT);
    set(&edu, INTERRUPT_RAISE, 2);
    qtest_memset(edu.qts, MEMORY, 0x5a, 32);
    dma(&edu, MEMORY, BUFFER, 16, 0);
    start_dma(&edu, BUFFER, MEMORY, 16, COMMAND_TO_MEMORY | COMMAND_INTERRUPT);
    start_factorial(&edu, 5);
    qtest_qmp_assert_success(edu.qts, "{'execute': 'system_reset'}");
    qtest_qmp_eventwait(edu.qts, "RESET");
    edu_map(&edu);
    g_assert_cmphex(get(&edu, LIVENESS), ==, 0);
    g_assert_cmphex(get(&edu, STATUS), ==, 0);
    g_assert_cmphex(get(&edu, FACTORIAL), ==, 0);
    g_assert_cmphex(get(&edu, INTERRUPT_STATUS), ==, 0);
    g_assert_cmphex(get_long(&edu, DMA_SOURCE), ==, 0);
    g_assert_cmphex(get_long(&edu, DMA_COMMAND), ==, 0);
    g_assert_cmphex(qpci_config_readw(edu.dev, PCI_STATUS) &
                    PCI_STATUS_INTERRUPT, ==, 0);
    /* No timer is running. */
    qtest_clock_step(edu.qts, 2 * DMA_TIME);
    g_assert_cmphex(get(&edu, FACTORIAL), ==, 0);
    g_assert_cmphex(get(&edu, INTERRUPT_STATUS), ==, 0);
    /* The buffer is empty, and the mask is unchanged. */
    dma(&edu, BUFFER, 0x400000 | (MEMORY + 16), 16, COMMAND_TO_MEMORY);
    assert_memory(&edu, MEMORY + 16, zero, 16);
    assert_errors(&edu, 2);
    assert_alive(&edu);
    edu_stop(&edu);
}

static void test_unplug(void)
{
    uint8_t bytes[16], before[16];
    Edu edu, plugged;

    edu_start(&edu, "");
    fill_pattern(before, sizeof(before));
    qtest_memwrite(edu.qts, MEMORY, before, sizeof(before));
    for (int i = 0; i < 5; i++) {
        qtest_qmp_device_add(edu.qts, "rust_edu", "plugged",
                             "{'bus': 'pci.0', 'addr': '06.0'}");
        edu_find(&plugged, edu.bus, PLUG_SLOT, "plugged");
        set(&plugged, STATUS, STATUS_INTERRUPT);
        start_dma(&plugged, BUFFER, MEMORY, 16,
                  COMMAND_TO_MEMORY | COMMAND_INTERRUPT);
        start_factorial(&plugged, 5);
        g_free(plugged.dev);
        /* Eject it like the guest's ACPI code. */
        qpci_unplug_acpi_device_test(edu.qts, "plugged", PLUG_SLOT);
        g_assert_null(qpci_device_find(edu.bus, QPCI_DEVFN(PLUG_SLOT, 0)));
        qtest_clock_step(edu.qts, 2 * DMA_TIME);
        qtest_memread(edu.qts, MEMORY, bytes, sizeof(bytes));
        g_assert_cmpmem(bytes, sizeof(bytes), before, sizeof(before));
    }
    assert_alive(&edu);
    edu_stop(&edu);
}

/* ---- migration ---- */

/*
 * Migrates @from to a machine with the same command line, @to. Under qtest
 * the clock is not migrated.
 */
static void edu_migrate(Edu *to, Edu *from, int64_t now, const char *folder)
{
    g_autofree char *uri = g_strdup_printf("unix:%s/socket", folder);
    QPCIBus *bus = machine_start("", "-incoming defer");

    qtest_clock_set(bus->qts, now);
    qtest_qmp_assert_success(bus->qts, "{'execute': 'migrate-incoming',"
                             " 'arguments': {'uri': %s}}", uri);
    qtest_qmp_assert_success(from->qts, "{'execute': 'migrate',"
                             " 'arguments': {'uri': %s}}", uri);
    qtest_qmp_eventwait(bus->qts, "RESUME");
    *to = *from;
    to->qts = bus->qts;
    to->bus = bus;
    to->dev = qpci_device_find(bus, from->dev->devfn);
    g_assert_nonnull(to->dev);
    edu_stop(from);
}

static void test_migration(void)
{
    GError *error = NULL;
    g_autofree char *folder = g_dir_make_tmp("rust-edu-test-XXXXXX", &error);
    g_autofree char *socket = NULL;
    uint8_t bytes[BUFFER_SIZE];
    Edu source, middle, destination;
    int64_t now;

    g_assert_no_error(error);
    edu_start(&source, "");
    fill_pattern(bytes, sizeof(bytes));
    qtest_memwrite(source.qts, MEMORY, bytes, sizeof(bytes));
    dma(&source, MEMORY, BUFFER, BUFFER_SIZE, 0);
    set(&source, LIVENESS, 0x12345678);
    set(&source, STATUS, STATUS_INTERRUPT);
    set(&source, INTERRUPT_RAISE, 0x10);

    /* During a DMA. */
    start_dma(&source, BUFFER, MEMORY + 0x2000, BUFFER_SIZE,
              COMMAND_TO_MEMORY | COMMAND_INTERRUPT);
    now = qtest_clock_step(source.qts, DMA_TIME / 2);
    edu_migrate(&middle, &source, now, folder);
    g_assert_cmphex(get(&middle, LIVENESS), ==, ~0x12345678U);
    g_assert_cmphex(get(&middle, INTERRUPT_STATUS), ==, 0x10);
    g_assert_cmphex(qpci_config_readw(middle.dev, PCI_STATUS) &
                    PCI_STATUS_INTERRUPT, ==, PCI_STATUS_INTERRUPT);
    set(&middle, INTERRUPT_ACKNOWLEDGE, 0x10);
    g_assert_cmphex(qpci_config_readw(middle.dev, PCI_STATUS) &
                    PCI_STATUS_INTERRUPT, ==, 0);
    qtest_clock_step(middle.qts, DMA_TIME / 2 - 1);
    g_assert_cmphex(get(&middle, DMA_COMMAND) & COMMAND_START, ==,
                    COMMAND_START);
    qtest_clock_step(middle.qts, 1);
    g_assert_cmphex(get(&middle, DMA_COMMAND), ==,
                    COMMAND_TO_MEMORY | COMMAND_INTERRUPT);
    g_assert_cmphex(get(&middle, INTERRUPT_STATUS), ==, DMA_DONE);
    assert_memory(&middle, MEMORY + 0x2000, bytes, BUFFER_SIZE);

    /* During a factorial. */
    start_factorial(&middle, 10);
    now = qtest_clock_step(middle.qts, FACTORIAL_TIME / 4);
    edu_migrate(&destination, &middle, now, folder);
    qtest_clock_step(destination.qts, FACTORIAL_TIME / 4 * 3 - 1);
    g_assert_cmphex(get(&destination, STATUS), ==,
                    STATUS_INTERRUPT | STATUS_COMPUTING);
    g_assert_cmpuint(get(&destination, FACTORIAL), ==, 10);
    qtest_clock_step(destination.qts, 1);
    g_assert_cmphex(get(&destination, STATUS), ==, STATUS_INTERRUPT);
    g_assert_cmpuint(get(&destination, FACTORIAL), ==, 3628800);
    g_assert_cmphex(get(&destination, INTERRUPT_STATUS), ==,
                    COMPUTED | DMA_DONE);
    assert_alive(&destination);
    edu_stop(&destination);

    socket = g_build_filename(folder, "socket", NULL);
    g_unlink(socket);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
}

int main(int argc, char **argv)
{
    const QemuPciMachine *machine;

    g_test_init(&argc, &argv, NULL);

    machine = qemu_pci_machine_for("rust_edu");
    if (!machine) {
        return g_test_run();
    }

    qtest_add_func("/rust-edu/config-space", test_config_space);
    qtest_add_func("/rust-edu/registers", test_registers);
    qtest_add_func("/rust-edu/accesses", test_accesses);
    qtest_add_func("/rust-edu/factorial", test_factorial);
    if (machine != &qemu_pci_pc) {
        return g_test_run();
    }

    /* With memory, interrupts and hot-plug as a PC has them. */
    qtest_add_func("/rust-edu/dma/copies", test_dma);
    qtest_add_func("/rust-edu/dma/mask", test_dma_mask);
    qtest_add_func("/rust-edu/dma/refused", test_dma_refused);
    qtest_add_func("/rust-edu/interrupts/pin", test_pin);
    qtest_add_func("/rust-edu/interrupts/msi", test_msi);
    qtest_add_func("/rust-edu/interrupts/msi-to-itself", test_msi_to_itself);
    qtest_add_func("/rust-edu/reset", test_reset);
    qtest_add_func("/rust-edu/unplug", test_unplug);
    qtest_add_func("/rust-edu/migration", test_migration);

    return g_test_run();
}
