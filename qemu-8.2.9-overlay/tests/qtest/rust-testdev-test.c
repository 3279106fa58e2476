/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * QTest testcase for rust_testdev, QEMU's pci-testdev rewritten in Rust. The
 * specification is docs/specs/pci-testdev.rst.
 */

#include "qemu/osdep.h"
#include "hw/misc/qemu-pci/qtest-machine.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_regs.h"

#define TESTDEV_PCI_VENDOR_ID   0x1b36
#define TESTDEV_PCI_DEVICE_ID   0x0005
#define TESTDEV_PCI_CLASS       0x00ff

/* The header of each BAR. */
enum {
    TEST = 0,
    WIDTH = 1,
    OFFSET = 4,
    DATA = 8,
    COUNT = 12,
    NAME = 16,
};

typedef struct Bar {
    int index;
    bool is_io;
    uint64_t size;
    const char *name;
} Bar;

static const Bar bars[] = {
    { 0, false, 4096, "mmio-no-eventfd" },
    { 1, true, 256, "portio-no-eventfd" },
};

#define SLOT 4

typedef struct Testdev {
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *dev;
    QPCIBar bars[ARRAY_SIZE(bars)];
} Testdev;

static void testdev_map(Testdev *testdev)
{
    qpci_device_enable(testdev->dev);
    for (int i = 0; i < ARRAY_SIZE(bars); i++) {
        uint64_t size = 0;

        testdev->bars[i] = qpci_iomap(testdev->dev, bars[i].index, &size);
        g_assert_cmpint(testdev->bars[i].is_io, ==, bars[i].is_io);
        g_assert_cmphex(size, ==, bars[i].size);
    }
}

static void testdev_start(Testdev *testdev)
{
    g_autofree char *args =
        g_strdup_printf("-device rust_testdev,id=testdev,addr=%02x.0", SLOT);

    testdev->bus = qemu_pci_machine_start(args);
    testdev->qts = testdev->bus->qts;
    testdev->dev = qpci_device_find(testdev->bus, QPCI_DEVFN(SLOT, 0));
    g_assert_nonnull(testdev->dev);
    testdev_map(testdev);
}

static void testdev_stop(Testdev *testdev)
{
    g_free(testdev->dev);
    qemu_pci_machine_stop(testdev->bus);
}

static uint32_t get(Testdev *testdev, int bar, int at)
{
    return qpci_io_readl(testdev->dev, testdev->bars[bar], at);
}

static void write_byte(Testdev *testdev, int bar, int at, uint8_t value)
{
    qpci_io_writeb(testdev->dev, testdev->bars[bar], at, value);
}

static uint8_t width_of(Testdev *testdev, int bar, int test)
{
    write_byte(testdev, bar, TEST, test);
    return qpci_io_readb(testdev->dev, testdev->bars[bar], WIDTH);
}

static void test_config_space(void)
{
    Testdev testdev;

    testdev_start(&testdev);
    g_assert_cmphex(qpci_config_readw(testdev.dev, PCI_VENDOR_ID), ==,
                    TESTDEV_PCI_VENDOR_ID);
    g_assert_cmphex(qpci_config_readw(testdev.dev, PCI_DEVICE_ID), ==,
                    TESTDEV_PCI_DEVICE_ID);
    g_assert_cmphex(qpci_config_readw(testdev.dev, PCI_CLASS_DEVICE), ==,
                    TESTDEV_PCI_CLASS);
    g_assert_cmphex(qpci_config_readb(testdev.dev, PCI_INTERRUPT_PIN), ==, 0);
    testdev_stop(&testdev);
}

/* Uses it like a guest, on both BARs. */
static void test_count(void)
{
    Testdev testdev;

    testdev_start(&testdev);
    for (int bar = 0; bar < ARRAY_SIZE(bars); bar++) {
        g_autoptr(GString) name = g_string_new(NULL);
        uint32_t offset, data;

        g_assert_cmphex(get(&testdev, bar, OFFSET), ==, 0);
        g_assert_cmpint(width_of(&testdev, bar, 0), ==, 1);
        for (int at = NAME; at == NAME || name->str[name->len - 1]; at++) {
            uint8_t c = qpci_io_readb(testdev.dev, testdev.bars[bar], at);

            if (!c) {
                break;
            }
            g_string_append_c(name, c);
        }
        g_assert_cmpstr(name->str, ==, bars[bar].name);
        offset = get(&testdev, bar, OFFSET);
        data = get(&testdev, bar, DATA);
        g_assert_cmphex(offset, <, bars[bar].size);
        g_assert_cmphex(data, <=, 0xff);
        for (int i = 0; i < 300; i++) {
            g_assert_cmpuint(get(&testdev, bar, COUNT), ==, i);
            write_byte(&testdev, bar, offset, data);
            write_byte(&testdev, bar, offset, data ^ 1);
            write_byte(&testdev, bar, offset + 1, data);
        }
        /* The tests that need an ioeventfd, and numbers without a test. */
        for (int test = 1; test < 256; test++) {
            g_assert_cmpint(width_of(&testdev, bar, test), ==, 0);
            g_assert_cmpuint(get(&testdev, bar, COUNT), ==, 0);
        }
        write_byte(&testdev, bar, offset, data);
        g_assert_cmpint(width_of(&testdev, bar, 0), ==, 1);
        g_assert_cmpuint(get(&testdev, bar, COUNT), ==, 0);
    }
    testdev_stop(&testdev);
}

static void test_reset(void)
{
    Testdev testdev;

    testdev_start(&testdev);
    for (int bar = 0; bar < ARRAY_SIZE(bars); bar++) {
        g_assert_cmpint(width_of(&testdev, bar, 0), ==, 1);
        write_byte(&testdev, bar, get(&testdev, bar, OFFSET),
                   get(&testdev, bar, DATA));
        g_assert_cmpuint(get(&testdev, bar, COUNT), ==, 1);
        qtest_qmp_assert_success(testdev.qts, "{'execute': 'system_reset'}");
        qtest_qmp_eventwait(testdev.qts, "RESET");
        testdev_map(&testdev);
        g_assert_cmphex(get(&testdev, bar, OFFSET), ==, 0);
        g_assert_cmphex(get(&testdev, bar, COUNT), ==, 0);
    }
    testdev_stop(&testdev);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    if (!qemu_pci_machine_for("rust_testdev")) {
        return g_test_run();
    }

    qtest_add_func("/rust-testdev/config-space", test_config_space);
    qtest_add_func("/rust-testdev/count", test_count);
    qtest_add_func("/rust-testdev/reset", test_reset);

    return g_test_run();
}
