/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * QTest testcase for the my_rng PCI device. The specification is
 * docs/my-rng.rst in the my_rng repository.
 */

#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "hw/misc/qemu-pci/qtest-machine.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_regs.h"

/*
 * Copied from abi/my_rng_abi.rs in the my_rng repository, where
 * tests/tests/constants.rs compares these and the answers below.
 */
#define MY_RNG_PCI_VENDOR_ID    0x1234
#define MY_RNG_PCI_DEVICE_ID    0xcafe
#define MY_RNG_PCI_REVISION     0x10
#define MY_RNG_PCI_CLASS        0x00ff
#define MY_RNG_BAR              0
#define MY_RNG_BAR_SIZE         4096
#define MY_RNG_REG_SIZE         4
#define MY_RNG_REG_RNG          0x0
#define MY_RNG_REG_SEED         0x4
#define MY_RNG_REG_INFO         0x8
#define MY_RNG_REG_DOORBELL     0xc
#define MY_RNG_REG_FAILURES     0x10
#define MY_RNG_INFO_SIGNATURE   0x524e
#define MY_RNG_INFO_BULK        0x100
#define MY_RNG_INFO_FAILURES    0x200
/* INFO of a device with a bulk engine, without the generator. */
#define MY_RNG_INFO             (MY_RNG_INFO_SIGNATURE << 16 | \
                                 MY_RNG_INFO_BULK | MY_RNG_INFO_FAILURES)
#define MY_RNG_GENERATOR_LIBC   0
#define MY_RNG_GENERATOR_CHACHA20 1
#define MY_RNG_GENERATOR_HOST   2
#define MY_RNG_GENERATOR_CHACHA8 3
#define MY_RNG_GENERATOR_XOSHIRO256PP 4
#define MY_RNG_BULK_PAGE        4096
#define MY_RNG_BULK_STATUS      0x0
#define MY_RNG_BULK_COUNT       0x4
#define MY_RNG_BULK_DONE        0x8
#define MY_RNG_BULK_SEGMENTS    0x10
#define MY_RNG_BULK_SEGMENT_SIZE 0x10
#define MY_RNG_BULK_FILLED      1
#define MY_RNG_BULK_BAD_DESCRIPTOR 2
#define MY_RNG_BULK_BAD_MEMORY  3
#define MY_RNG_DEFAULT_SEED     1

typedef struct Answer {
    uint32_t seed;
    uint32_t first[5];
    uint32_t thousandth;
} Answer;

/* Copied from abi/known_answers.rs. */
static const Answer libc_answers[] = {
    { 0x00000000, { 1804289383, 846930886, 1681692777, 1714636915,
                    1957747793 }, 1143565421 },
    { 0x00000001, { 1804289383, 846930886, 1681692777, 1714636915,
                    1957747793 }, 1143565421 },
    { 0x00000042, { 286129175, 1594929109, 971802288, 222134722,
                    1335014133 }, 1736912126 },
    { 0x7fffffff, { 1065668062, 2142264300, 1066566375, 1064012770,
                    2141034222 }, 1698607095 },
    { 0x80000000, { 1336741213, 1210407648, 1447044896, 337392383,
                    82502902 }, 193932953 },
    { 0xffffffff, { 254925627, 1205188300, 366127624, 1401405153,
                    76053476 }, 1892540048 },
};
static const Answer chacha20_answers[] = {
    { 0x00000000, { 2917185654, 2419978656, 3848953152, 683509331,
                    3088700093 }, 1767833724 },
    { 0x00000001, { 2081084357, 2467425505, 1213188216, 2237298557,
                    3460231490 }, 174054856 },
    { 0x00000042, { 4196382978, 259921872, 280159507, 2604145569,
                    2560864945 }, 579262316 },
    { 0xffffffff, { 971038227, 675931425, 987868916, 2149347564,
                    3760058057 }, 961875975 },
};
static const Answer chacha8_answers[] = {
    { 0x00000000, { 804192318, 3594542985, 3904396159, 2711947551,
                    3272508460 }, 1450183462 },
    { 0x00000001, { 2699648719, 1638484553, 3990160702, 1266703218,
                    1705309202 }, 568651397 },
    { 0x00000042, { 2339618000, 4191675560, 3986356479, 776293269,
                    1295399843 }, 620955251 },
    { 0xffffffff, { 1040146658, 2404171, 2029799324, 3950910580,
                    171396592 }, 3804323453 },
};
static const Answer xoshiro256pp_answers[] = {
    { 0x00000000, { 1225466847, 1394040161, 3280000263, 1641705277,
                    3969547260 }, 130941288 },
    { 0x00000001, { 1862517403, 3485847679, 2520768653, 3208790322,
                    1470821664 }, 1660719467 },
    { 0x00000042, { 1905241784, 1065677665, 1614323470, 1892142995,
                    3566377408 }, 618346711 },
    { 0xffffffff, { 1463080149, 2695342857, 2016792684, 1173397312,
                    3567832033 }, 3390698321 },
};

typedef struct Generator {
    const char *name;
    uint8_t id;
    const Answer *answers;
    size_t n;
} Generator;

static const Generator libc = {
    "libc", MY_RNG_GENERATOR_LIBC, libc_answers, ARRAY_SIZE(libc_answers)
};
static const Generator chacha20 = {
    "chacha20", MY_RNG_GENERATOR_CHACHA20,
    chacha20_answers, ARRAY_SIZE(chacha20_answers)
};
static const Generator chacha8 = {
    "chacha8", MY_RNG_GENERATOR_CHACHA8,
    chacha8_answers, ARRAY_SIZE(chacha8_answers)
};
static const Generator xoshiro256pp = {
    "xoshiro256pp", MY_RNG_GENERATOR_XOSHIRO256PP,
    xoshiro256pp_answers, ARRAY_SIZE(xoshiro256pp_answers)
};
/* Its numbers are unpredictable. */
static const Generator host = { "host", MY_RNG_GENERATOR_HOST, NULL, 0 };

/* ---- a device in a machine ---- */

#define SLOT 4
#define ID "rng"

typedef struct MyRng {
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *dev;
    QPCIBar bar;
    const char *id;
} MyRng;

/* Does the firmware's work; call it again after a reset. */
static void my_rng_map(MyRng *rng)
{
    qpci_device_enable(rng->dev);
    rng->bar = qpci_iomap(rng->dev, MY_RNG_BAR, NULL);
}

static void my_rng_find(MyRng *rng, QPCIBus *bus, int devfn, const char *id)
{
    rng->qts = bus->qts;
    rng->bus = bus;
    rng->dev = qpci_device_find(bus, devfn);
    rng->id = id;
    g_assert_nonnull(rng->dev);
    my_rng_map(rng);
}

static void my_rng_forget(MyRng *rng)
{
    g_free(rng->dev);
    rng->dev = NULL;
}

/* A machine with one device; @props begins with a comma if not empty. */
static QPCIBus *machine_start_with(const char *props, const char *more)
{
    g_autofree char *args = g_strdup_printf("-device my_rng,id=" ID
                                            ",addr=%02x.0%s %s",
                                            SLOT, props, more);

    return qemu_pci_machine_start(args);
}

static void my_rng_start(MyRng *rng, const char *props, const char *more)
{
    QPCIBus *bus = machine_start_with(props, more);

    my_rng_find(rng, bus, QPCI_DEVFN(SLOT, 0), ID);
}

static void my_rng_stop(MyRng *rng)
{
    my_rng_forget(rng);
    qemu_pci_machine_stop(rng->bus);
}

static uint32_t number(MyRng *rng)
{
    return qpci_io_readl(rng->dev, rng->bar, MY_RNG_REG_RNG);
}

static void seed(MyRng *rng, uint32_t value)
{
    qpci_io_writel(rng->dev, rng->bar, MY_RNG_REG_SEED, value);
}

static void assert_info(MyRng *rng, const Generator *generator)
{
    g_assert_cmphex(qpci_io_readl(rng->dev, rng->bar, MY_RNG_REG_INFO), ==,
                    MY_RNG_INFO | generator->id);
}

static void assert_failures(MyRng *rng, uint32_t expected)
{
    g_assert_cmphex(qpci_io_readl(rng->dev, rng->bar, MY_RNG_REG_FAILURES), ==,
                    expected);
}

static void skip_numbers(MyRng *rng, int n)
{
    for (int i = 0; i < n; i++) {
        number(rng);
    }
}

/* Checks the numbers with the indices @from to @to, counted from 0. */
static void assert_first(MyRng *rng, const Answer *answer, int from, int to)
{
    for (int i = from; i <= to; i++) {
        g_assert_cmpuint(number(rng), ==, answer->first[i]);
    }
}

static const Answer *answer_of(const Generator *generator, uint32_t value)
{
    for (size_t i = 0; i < generator->n; i++) {
        if (generator->answers[i].seed == value) {
            return &generator->answers[i];
        }
    }
    g_assert_not_reached();
}

static uint64_t counter(MyRng *rng, const char *name)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", rng->id);
    QDict *response = qtest_qmp(rng->qts,
                                "{'execute': 'qom-get', 'arguments':"
                                " {'path': %s, 'property': %s}}", path, name);
    uint64_t value;

    g_assert(qdict_haskey(response, "return"));
    value = qdict_get_int(response, "return");
    qobject_unref(response);
    return value;
}

static void assert_counters(MyRng *rng, uint64_t reads, uint64_t seeds,
                            uint64_t guest_errors)
{
    g_assert_cmpuint(counter(rng, "reads"), ==, reads);
    g_assert_cmpuint(counter(rng, "seeds"), ==, seeds);
    g_assert_cmpuint(counter(rng, "guest-errors"), ==, guest_errors);
}

static void reset(MyRng *rng)
{
    qtest_qmp_assert_success(rng->qts, "{'execute': 'system_reset'}");
    qtest_qmp_eventwait(rng->qts, "RESET");
    my_rng_map(rng);
}

/* Checks and frees @error, the response to a command that failed. */
static void assert_error(QDict *error, const char *expected)
{
    g_assert_cmpstr(qdict_get_str(error, "desc"), ==, expected);
    qobject_unref(error);
}

/* ---- files ---- */

static char *folder_make(void)
{
    GError *error = NULL;
    char *folder = g_dir_make_tmp("my-rng-test-XXXXXX", &error);

    g_assert_no_error(error);
    return folder;
}

/* Removes @folder, which contains only files, and frees its name. */
static void folder_remove(char *folder)
{
    GDir *dir = g_dir_open(folder, 0, NULL);
    const char *name;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        g_assert_cmpint(g_unlink(path), ==, 0);
    }
    g_dir_close(dir);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
    g_free(folder);
}

static char *file_read(const char *path, gsize *size)
{
    GError *error = NULL;
    char *text = NULL;

    g_file_get_contents(path, &text, size, &error);
    g_assert_no_error(error);
    return text;
}

/* Returns the lines of a file that begin with @prefix. */
static char *file_lines(const char *path, const char *prefix)
{
    g_autofree char *text = file_read(path, NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GString *found = g_string_new(NULL);

    for (int i = 0; lines[i]; i++) {
        if (g_str_has_prefix(lines[i], prefix)) {
            g_string_append_printf(found, "%s\n", lines[i]);
        }
    }
    return g_string_free(found, false);
}

/* ---- configuration space ---- */

static void test_config_space(void)
{
    QPCIBus *bus = machine_start_with("", "");
    QPCIDevice *dev = qpci_device_find(bus, QPCI_DEVFN(SLOT, 0));
    uint64_t size = 0;

    g_assert_nonnull(dev);
    g_assert_cmphex(qpci_config_readw(dev, PCI_VENDOR_ID), ==,
                    MY_RNG_PCI_VENDOR_ID);
    g_assert_cmphex(qpci_config_readw(dev, PCI_DEVICE_ID), ==,
                    MY_RNG_PCI_DEVICE_ID);
    g_assert_cmphex(qpci_config_readb(dev, PCI_REVISION_ID), ==,
                    MY_RNG_PCI_REVISION);
    g_assert_cmphex(qpci_config_readw(dev, PCI_CLASS_DEVICE), ==,
                    MY_RNG_PCI_CLASS);
    g_assert_cmphex(qpci_config_readb(dev, PCI_CLASS_PROG), ==, 0);
    g_assert_cmphex(qpci_config_readb(dev, PCI_HEADER_TYPE), ==,
                    PCI_HEADER_TYPE_NORMAL);
    g_assert_cmphex(qpci_config_readw(dev, PCI_SUBSYSTEM_VENDOR_ID), ==,
                    PCI_SUBVENDOR_ID_REDHAT_QUMRANET);
    g_assert_cmphex(qpci_config_readw(dev, PCI_SUBSYSTEM_ID), ==,
                    PCI_SUBDEVICE_ID_QEMU);

    /* No capability, no interrupt. */
    g_assert_cmphex(qpci_config_readw(dev, PCI_STATUS) & PCI_STATUS_CAP_LIST,
                    ==, 0);
    g_assert_cmphex(qpci_config_readb(dev, PCI_CAPABILITY_LIST), ==, 0);
    g_assert_cmphex(qpci_config_readb(dev, PCI_INTERRUPT_PIN), ==, 0);

    /* Only one BAR, and no ROM. */
    for (int i = 0; i < PCI_ROM_SLOT; i++) {
        int reg = PCI_BASE_ADDRESS_0 + 4 * i;

        qpci_config_writel(dev, reg, 0xffffffff);
        g_assert_cmphex(qpci_config_readl(dev, reg), ==,
                        i == MY_RNG_BAR ? ~(MY_RNG_BAR_SIZE - 1U) : 0);
    }
    qpci_config_writel(dev, PCI_ROM_ADDRESS, 0xffffffff);
    g_assert_cmphex(qpci_config_readl(dev, PCI_ROM_ADDRESS), ==, 0);

    qpci_device_enable(dev);
    g_assert_false(qpci_iomap(dev, MY_RNG_BAR, &size).is_io);
    g_assert_cmpuint(size, ==, MY_RNG_BAR_SIZE);

    g_free(dev);
    qemu_pci_machine_stop(bus);
}

/* While memory decoding is off, reads take no number. */
static void test_memory_decoding(void)
{
    const Answer *answer = answer_of(&libc, MY_RNG_DEFAULT_SEED);
    uint16_t command;
    MyRng rng;

    my_rng_start(&rng, "", "");
    assert_first(&rng, answer, 0, 1);

    command = qpci_config_readw(rng.dev, PCI_COMMAND);
    qpci_config_writew(rng.dev, PCI_COMMAND, command & ~PCI_COMMAND_MEMORY);
    number(&rng);
    seed(&rng, 7);
    assert_counters(&rng, 2, 0, 0);

    qpci_config_writew(rng.dev, PCI_COMMAND, command);
    assert_first(&rng, answer, 2, 4);
    assert_counters(&rng, 5, 0, 0);
    my_rng_stop(&rng);
}

/* ---- the stream ---- */

static void test_known_answers(const void *data)
{
    const Generator *generator = data;
    g_autofree char *props = g_strdup_printf(",generator=%s", generator->name);
    MyRng rng;

    my_rng_start(&rng, props, "");
    /* As if it had been seeded with 1. */
    assert_first(&rng, answer_of(generator, MY_RNG_DEFAULT_SEED), 0, 4);
    for (size_t i = 0; i < generator->n; i++) {
        const Answer *answer = &generator->answers[i];

        seed(&rng, answer->seed);
        assert_first(&rng, answer, 0, 4);
        skip_numbers(&rng, 999 - 5);
        g_assert_cmpuint(number(&rng), ==, answer->thousandth);
    }
    assert_counters(&rng, 5 + generator->n * 1000, generator->n, 0);
    my_rng_stop(&rng);
}

static void test_two_devices(void)
{
    const Answer *one_answer = answer_of(&libc, 0x42);
    const Answer *other_answer = answer_of(&chacha20, 0x42);
    QPCIBus *bus =
        qemu_pci_machine_start("-device my_rng,id=one,addr=04.0 "
                               "-device my_rng,id=other,addr=05.0,"
                               "generator=chacha20,seed=0x42");
    MyRng one, other;

    my_rng_find(&one, bus, QPCI_DEVFN(4, 0), "one");
    my_rng_find(&other, bus, QPCI_DEVFN(5, 0), "other");
    assert_first(&other, other_answer, 0, 1);
    seed(&one, 0x42);
    for (int i = 0; i < 3; i++) {
        assert_first(&one, one_answer, i, i);
        assert_first(&other, other_answer, i + 2, i + 2);
    }
    /* A guest error of one device does not count for the other. */
    qpci_io_readb(one.dev, one.bar, MY_RNG_REG_RNG);
    seed(&other, 0xffffffff);
    assert_first(&one, one_answer, 3, 4);
    assert_counters(&one, 5, 1, 1);
    assert_counters(&other, 5, 1, 0);
    my_rng_forget(&one);
    my_rng_forget(&other);
    qemu_pci_machine_stop(bus);
}

/* ---- INFO ---- */

/* It never changes, and reading it has no side effect. */
static void test_info(const void *data)
{
    const Generator *generator = data;
    const Answer *initial = NULL, *answer = NULL;
    g_autofree char *props = g_strdup_printf(",generator=%s", generator->name);
    MyRng rng;

    if (generator->n) {
        initial = answer_of(generator, MY_RNG_DEFAULT_SEED);
        answer = answer_of(generator, 0x42);
    }
    my_rng_start(&rng, props, "");
    assert_info(&rng, generator);
    assert_counters(&rng, 0, 0, 0);
    for (int i = 0; i < 5; i++) {
        uint32_t word = number(&rng);

        g_assert(!initial || word == initial->first[i]);
        assert_info(&rng, generator);
    }
    assert_counters(&rng, 5, 0, 0);

    /* With the generator "host" this is a guest error. */
    seed(&rng, 0x42);
    assert_info(&rng, generator);
    if (answer) {
        assert_first(&rng, answer, 0, 4);
        assert_counters(&rng, 10, 1, 0);
    } else {
        assert_counters(&rng, 5, 0, 1);
    }

    qpci_io_writel(rng.dev, rng.bar, MY_RNG_REG_INFO, ~0U);
    assert_info(&rng, generator);
    reset(&rng);
    assert_info(&rng, generator);
    if (initial) {
        assert_first(&rng, initial, 0, 4);
    }
    my_rng_stop(&rng);
}

/* ---- properties ---- */

static void test_property_seed(void)
{
    static const Generator *const generators[] = {
        &libc, &chacha20, &chacha8, &xoshiro256pp
    };

    for (int g = 0; g < ARRAY_SIZE(generators); g++) {
        const Generator *generator = generators[g];

        for (size_t i = 0; i < generator->n; i++) {
            const Answer *answer = &generator->answers[i];
            g_autofree char *props =
                g_strdup_printf(",generator=%s,seed=%u", generator->name,
                                answer->seed);
            MyRng rng;

            my_rng_start(&rng, props, "");
            assert_first(&rng, answer, 0, 4);
            assert_counters(&rng, 5, 0, 0);
            my_rng_stop(&rng);
        }
    }
}

static void test_properties_shown(void)
{
    static const char *const lines[] = {
        "dev: my_rng, id \"rng\"", "seed = 66 (0x42)",
        "generator = \"chacha20\"", "bulk = true",
    };
    QPCIBus *bus = machine_start_with(",generator=chacha20,seed=0x42", "");
    g_autofree char *qtree = qtest_hmp(bus->qts, "info qtree");

    for (int i = 0; i < ARRAY_SIZE(lines); i++) {
        g_assert_nonnull(strstr(qtree, lines[i]));
    }
    qemu_pci_machine_stop(bus);
}

static QDict *device_add_refused(QTestState *qts, const char *generator,
                                 int64_t value)
{
    return qtest_qmp_assert_failure_ref(qts,
                                        "{'execute': 'device_add',"
                                        " 'arguments': {'driver': 'my_rng',"
                                        " 'id': 'more', 'addr': '05.0',"
                                        " 'generator': %s, 'seed': %" PRId64
                                        "}}", generator, value);
}

static void test_properties_refused(void)
{
    const Answer *answer = answer_of(&libc, MY_RNG_DEFAULT_SEED);
    const Answer *more_answer = answer_of(&chacha20, 0xffffffff);
    MyRng rng, more;

    if (!qemu_pci_machine()->has_hotplug) {
        g_test_skip("this machine has no hot-plug on its root bus");
        return;
    }
    my_rng_start(&rng, "", "");
    assert_first(&rng, answer, 0, 0);
    assert_error(device_add_refused(rng.qts, "rand", 7),
                 "my_rng: generator: there is no 'rand'; it is one "
                 "of libc, chacha20, host, chacha8 and xoshiro256pp");
    assert_error(device_add_refused(rng.qts, "", 7),
                 "my_rng: generator: there is no ''; it is one of "
                 "libc, chacha20, host, chacha8 and xoshiro256pp");
    assert_error(device_add_refused(rng.qts, "host", 7),
                 "my_rng: seed: generator=host takes no seed; leave it out, "
                 "or choose another generator");
    /* QEMU's own text, which depends on the version. */
    qobject_unref(device_add_refused(rng.qts, "libc", 0x100000000LL));
    qobject_unref(device_add_refused(rng.qts, "libc", -0x100000000LL));

    /* The machine still works, and the slot and the name are free. */
    assert_first(&rng, answer, 1, 2);
    qtest_qmp_device_add(rng.qts, "my_rng", "more",
                         "{'addr': '05.0', 'generator': 'chacha20',"
                         " 'seed': %" PRId64 "}", (int64_t)0xffffffff);
    my_rng_find(&more, rng.bus, QPCI_DEVFN(5, 0), "more");
    assert_first(&more, more_answer, 0, 4);
    assert_first(&rng, answer, 3, 4);
    my_rng_forget(&more);
    my_rng_stop(&rng);
}

/* Properties cannot be set on a realized device, and counters never. */
static void test_properties_fixed(void)
{
    static const char *const names[] = {
        "seed", "reads", "seeds", "guest-errors"
    };
    const Answer *answer = answer_of(&libc, 0x42);
    MyRng rng;

    my_rng_start(&rng, ",seed=0x42", "");
    assert_first(&rng, answer, 0, 0);
    for (int i = 0; i < ARRAY_SIZE(names); i++) {
        qobject_unref(qtest_qmp_assert_failure_ref(
            rng.qts, "{'execute': 'qom-set', 'arguments': {'path': %s,"
            " 'property': %s, 'value': 7}}",
            "/machine/peripheral/" ID, names[i]));
    }
    qobject_unref(qtest_qmp_assert_failure_ref(
        rng.qts, "{'execute': 'qom-set', 'arguments': {'path': %s,"
        " 'property': 'generator', 'value': 'chacha20'}}",
        "/machine/peripheral/" ID));
    g_assert_cmpuint(counter(&rng, "seed"), ==, 0x42);
    reset(&rng);
    assert_first(&rng, answer, 0, 4);
    assert_counters(&rng, 6, 0, 0);
    my_rng_stop(&rng);
}

/* ---- accesses ---- */

/* Whether an access has the width and offset of a register. */
static bool reaches(uint64_t offset, size_t size, uint64_t reg)
{
    size_t done = 0;

    /* An access of 8 bytes arrives as two of 4. */
    for (; done < size; done += MY_RNG_REG_SIZE) {
        if (size >= MY_RNG_REG_SIZE && offset + done == reg) {
            return true;
        }
    }
    return false;
}

static bool reaches_readable(uint64_t offset, size_t size)
{
    return reaches(offset, size, MY_RNG_REG_RNG) ||
           reaches(offset, size, MY_RNG_REG_INFO) ||
           reaches(offset, size, MY_RNG_REG_FAILURES);
}

/*
 * Every size, around the registers and at the end of the BAR: an undefined
 * access reads 0, has no side effect, and each of its pieces is counted.
 */
static void test_accesses_refused(void)
{
    static const size_t sizes[] = { 1, 2, 4, 8 };
    const Answer *answer = answer_of(&libc, 0x42);
    uint64_t errors = 0;
    MyRng rng;

    my_rng_start(&rng, "", "");
    seed(&rng, 0x42);
    for (int s = 0; s < ARRAY_SIZE(sizes); s++) {
        size_t size = sizes[s];
        int pieces = size == 8 ? 2 : 1;

        for (uint64_t at = 0; at < 48; at++) {
            /* The first bytes, and then the last. */
            uint64_t offset = at < 32 ? at : MY_RNG_BAR_SIZE - 48 + at;
            uint64_t value = 0;

            if (offset + size > MY_RNG_BAR_SIZE) {
                continue;
            }
            if (!reaches_readable(offset, size)) {
                value = ~0ULL;
                qpci_memread(rng.dev, rng.bar, offset, &value, size);
                g_assert_cmphex(value, ==, size == 8 ? 0 : ~0ULL << 8 * size);
                errors += pieces;
            }
            if (!reaches(offset, size, MY_RNG_REG_SEED)) {
                value = 0x0101010101010101;
                qpci_memwrite(rng.dev, rng.bar, offset, &value, size);
                errors += pieces;
            }
            g_assert_cmpuint(counter(&rng, "guest-errors"), ==, errors);
        }
    }
    assert_counters(&rng, 0, 1, errors);
    assert_first(&rng, answer, 0, 4);
    my_rng_stop(&rng);
}

/* An aligned access of 8 bytes is two of 4, the low half first. */
static void test_accesses_of_8_bytes(void)
{
    const Answer *answer = answer_of(&libc, 0x42);
    MyRng rng;

    my_rng_start(&rng, "", "");
    /* RNG, which is an error, and then SEED. */
    qpci_io_writeq(rng.dev, rng.bar, 0, 0x42ULL << 32 | 7);
    assert_counters(&rng, 0, 1, 1);
    /* RNG, and then SEED, which is an error. */
    g_assert_cmphex(qpci_io_readq(rng.dev, rng.bar, 0), ==, answer->first[0]);
    assert_counters(&rng, 1, 1, 2);
    assert_first(&rng, answer, 1, 1);
    /* SEED, and then INFO, which is an error. */
    qpci_io_writeq(rng.dev, rng.bar, 4, 7ULL << 32 | 0x42);
    assert_counters(&rng, 2, 2, 3);
    assert_first(&rng, answer, 0, 4);
    /* SEED, which is an error, and then INFO. */
    g_assert_cmphex(qpci_io_readq(rng.dev, rng.bar, 4), ==,
                    (uint64_t)MY_RNG_INFO << 32);
    /* INFO, and then DOORBELL, which is an error. */
    g_assert_cmphex(qpci_io_readq(rng.dev, rng.bar, 8), ==,
                    MY_RNG_INFO);
    assert_counters(&rng, 7, 2, 5);
    my_rng_stop(&rng);
}

/* QEMU's messages contain the device's path, as there may be several. */
#define SAID(what) "my_rng /machine/peripheral/" ID ": " what
#define LOGGED(what) SAID(what) "\n"

static void test_accesses_log(void)
{
    char *folder = folder_make();
    g_autofree char *log = g_build_filename(folder, "log", NULL);
    g_autofree char *more = g_strdup_printf("-d guest_errors -D %s", log);
    g_autofree char *said = NULL;
    MyRng rng;

    my_rng_start(&rng, "", more);
    qpci_io_readw(rng.dev, rng.bar, 0);
    qpci_io_writel(rng.dev, rng.bar, 2, 0x42);
    qpci_io_readl(rng.dev, rng.bar, MY_RNG_REG_SEED);
    qpci_io_writel(rng.dev, rng.bar, MY_RNG_REG_RNG, 0x42);
    qpci_io_writel(rng.dev, rng.bar, MY_RNG_REG_INFO, 0x42);
    qpci_io_readb(rng.dev, rng.bar, MY_RNG_REG_INFO);
    qpci_io_writel(rng.dev, rng.bar, MY_RNG_REG_FAILURES, 0x42);
    qpci_io_readl(rng.dev, rng.bar, 20);
    qpci_io_readq(rng.dev, rng.bar, 8);
    qpci_io_writel(rng.dev, rng.bar, MY_RNG_REG_DOORBELL, 0xfffff);
    number(&rng);
    assert_counters(&rng, 1, 0, 10);
    my_rng_stop(&rng);

    said = file_lines(log, "my_rng ");
    g_assert_cmpstr(said, ==,
        LOGGED("2-byte read at offset 0x0 of BAR 0: only accesses of 4 bytes "
               "do anything")
        LOGGED("4-byte write at offset 0x2 of BAR 0: only aligned accesses do "
               "anything")
        LOGGED("4-byte read at offset 0x4 of BAR 0: SEED is write-only")
        LOGGED("4-byte write at offset 0x0 of BAR 0: RNG is read-only")
        LOGGED("4-byte write at offset 0x8 of BAR 0: INFO is read-only")
        LOGGED("1-byte read at offset 0x8 of BAR 0: only accesses of 4 bytes "
               "do anything")
        LOGGED("4-byte write at offset 0x10 of BAR 0: FAILURES is read-only")
        LOGGED("4-byte read at offset 0x14 of BAR 0: there is no register")
        LOGGED("4-byte read at offset 0xc of BAR 0: DOORBELL is write-only")
        LOGGED("the descriptor at 0xfffff000 is not in memory that the device "
               "can read and write"));
    folder_remove(folder);
}

#define TRACED(event, what) \
    "my_rng_" event " /machine/peripheral/" ID " " what "\n"

/* Skips the events of QEMU's initial reset. */
static void test_trace(void)
{
#ifdef CONFIG_TRACE_LOG
    char *folder = folder_make();
    g_autofree char *log = g_build_filename(folder, "log", NULL);
    g_autofree char *more = g_strdup_printf("-trace 'my_rng_*' -D %s", log);
    g_autofree char *expected = NULL;
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    g_autoptr(GString) said = g_string_new(NULL);
    uint32_t first;
    MyRng rng;

    my_rng_start(&rng, "", more);
    seed(&rng, 0x42);
    first = number(&rng);
    assert_info(&rng, &libc);
    qpci_io_readb(rng.dev, rng.bar, 0);
    qpci_io_writel(rng.dev, rng.bar, MY_RNG_REG_DOORBELL, 0xfffff);
    reset(&rng);
    my_rng_stop(&rng);

    text = file_read(log, NULL);
    lines = g_strsplit(text, "\n", -1);
    for (int i = 0; lines[i]; i++) {
        /* The prefix of an event depends on the version. */
        const char *event = strstr(lines[i], "my_rng_");

        if (event && (said->len || !g_str_has_prefix(event, "my_rng_reset"))) {
            g_string_append_printf(said, "%s\n", event);
        }
    }
    expected = g_strdup_printf(
        TRACED("write", "bar 0 offset 0x4 size 4 value 0x42")
        TRACED("seed", "seed 0x42")
        TRACED("read", "bar 0 offset 0x0 size 4 value 0x%x")
        TRACED("read", "bar 0 offset 0x8 size 4 value 0x%x")
        TRACED("guest_error", "1-byte read at offset 0x0 of BAR 0: only "
               "accesses of 4 bytes do anything")
        TRACED("read", "bar 0 offset 0x0 size 1 value 0x0")
        TRACED("write", "bar 0 offset 0xc size 4 value 0xfffff")
        TRACED("guest_error", "the descriptor at 0xfffff000 is not in memory "
               "that the device can read and write")
        "my_rng_reset /machine/peripheral/" ID "\n",
        first, MY_RNG_INFO | MY_RNG_GENERATOR_LIBC);
    g_assert_cmpstr(said->str, ==, expected);
    folder_remove(folder);
#else
    g_test_skip("this QEMU is configured without the trace backend log");
#endif
}

/* ---- the bulk engine ---- */

/* In the machine's memory. */
#define MEMORY (qemu_pci_machine()->memory)
#define MEMORY_END (MEMORY + qemu_pci_machine()->memory_size)
#define DESCRIPTOR (MEMORY + 0x100000)
#define BUFFER (MEMORY + 0x200000)

typedef struct Segment {
    uint64_t address;
    uint32_t length;
} Segment;

static void set_bus_master(MyRng *rng, bool on)
{
    uint16_t command = qpci_config_readw(rng->dev, PCI_COMMAND);

    command = on ? command | PCI_COMMAND_MASTER
                 : command & ~PCI_COMMAND_MASTER;
    qpci_config_writew(rng->dev, PCI_COMMAND, command);
}

static uint32_t memory(MyRng *rng, uint64_t address)
{
    return qemu_pci_readl(rng->qts, address);
}

static void ring(MyRng *rng, uint32_t page)
{
    qpci_io_writel(rng->dev, rng->bar, MY_RNG_REG_DOORBELL, page);
}

static void describe(MyRng *rng, uint64_t descriptor, const Segment *segments,
                     int n)
{
    qtest_memset(rng->qts, descriptor, 0, MY_RNG_BULK_PAGE);
    qemu_pci_writel(rng->qts, descriptor + MY_RNG_BULK_COUNT, n);
    for (int i = 0; i < n; i++) {
        uint64_t at = descriptor + MY_RNG_BULK_SEGMENTS +
                      i * MY_RNG_BULK_SEGMENT_SIZE;

        qemu_pci_writeq(rng->qts, at, segments[i].address);
        qemu_pci_writel(rng->qts, at + 8, segments[i].length);
    }
}

/* Rings the doorbell for these segments, and checks the result. */
static void transfer(MyRng *rng, const Segment *segments, int n,
                     uint32_t status, uint32_t done)
{
    describe(rng, DESCRIPTOR, segments, n);
    ring(rng, DESCRIPTOR / MY_RNG_BULK_PAGE);
    g_assert_cmphex(memory(rng, DESCRIPTOR + MY_RNG_BULK_STATUS), ==, status);
    g_assert_cmpuint(memory(rng, DESCRIPTOR + MY_RNG_BULK_DONE), ==, done);
}

static void test_bulk(gconstpointer data)
{
    const Generator *generator = data;
    const Answer *answer = answer_of(generator, 0x42);
    const Segment segments[] = {
        { BUFFER + 4, 8 }, { BUFFER + 0x10000, 3976 },
        { MEMORY_END - 16, 16 },
    };
    g_autofree char *props = g_strdup_printf(",generator=%s", generator->name);
    MyRng rng;

    my_rng_start(&rng, props, "");
    set_bus_master(&rng, true);
    seed(&rng, 0x42);
    transfer(&rng, segments, 3, MY_RNG_BULK_FILLED, 4000);
    for (int i = 0; i < 2; i++) {
        g_assert_cmphex(memory(&rng, BUFFER + 4 + 4 * i), ==,
                        answer->first[i]);
    }
    for (int i = 0; i < 3; i++) {
        g_assert_cmphex(memory(&rng, BUFFER + 0x10000 + 4 * i), ==,
                        answer->first[2 + i]);
    }
    g_assert_cmphex(memory(&rng, MEMORY_END - 4), ==,
                    answer->thousandth);
    assert_counters(&rng, 1000, 1, 0);
    /* Nothing was written outside the segments. */
    g_assert_cmphex(memory(&rng, BUFFER), ==, 0);
    g_assert_cmphex(memory(&rng, BUFFER + 12), ==, 0);
    g_assert_cmphex(memory(&rng, BUFFER + 0x10000 + 3976), ==, 0);

    /* Register and engine share the stream; a reset restarts it. */
    seed(&rng, 0x42);
    assert_first(&rng, answer, 0, 0);
    transfer(&rng, segments, 1, MY_RNG_BULK_FILLED, 8);
    g_assert_cmphex(memory(&rng, BUFFER + 8), ==, answer->first[2]);
    assert_first(&rng, answer, 3, 4);
    reset(&rng);
    set_bus_master(&rng, true);
    answer = answer_of(generator, MY_RNG_DEFAULT_SEED);
    transfer(&rng, segments, 1, MY_RNG_BULK_FILLED, 8);
    g_assert_cmphex(memory(&rng, BUFFER + 4), ==, answer->first[0]);
    assert_first(&rng, answer, 2, 4);
    my_rng_stop(&rng);
}

/* The longest transfer, compared with the registers of a second device. */
static void test_bulk_longest(void)
{
    const Segment longest = { BUFFER, 256 * KiB };
    const Segment longer[] = { { BUFFER, 256 * KiB }, { BUFFER, 4 } };
    MyRng rng, twin;

    my_rng_start(&rng, ",generator=chacha8",
                 "-device my_rng,id=twin,addr=06.0,generator=chacha8");
    my_rng_find(&twin, rng.bus, QPCI_DEVFN(6, 0), "twin");
    set_bus_master(&rng, true);
    transfer(&rng, &longest, 1, MY_RNG_BULK_FILLED, 256 * KiB);
    for (int i = 0; i < 64 * KiB; i += i < 2048 ? 1 : 4093) {
        g_assert_cmphex(memory(&rng, BUFFER + 4 * i), ==,
                        number(&twin));
        for (int skipped = 1; i >= 2048 && skipped < 4093; skipped++) {
            number(&twin);
        }
    }
    transfer(&rng, longer, 2, MY_RNG_BULK_BAD_DESCRIPTOR, 0);
    assert_counters(&rng, 64 * KiB, 0, 1);
    my_rng_forget(&twin);
    my_rng_stop(&rng);
}

/*
 * A bad address: only memory is written to, no number is taken from the
 * stream, and QEMU does not crash.
 */
static void test_bulk_nowhere(void)
{
    const Answer *answer = answer_of(&libc, MY_RNG_DEFAULT_SEED);
    Segment one = { BUFFER, 4 };
    uint64_t errors = 0;
    uint64_t bar;
    MyRng rng;

    my_rng_start(&rng, "", "");
    bar = qpci_config_readl(rng.dev, PCI_BASE_ADDRESS_0) & ~0xfULL;

    /* Bus mastering is off: there is no status either. */
    set_bus_master(&rng, false);
    describe(&rng, DESCRIPTOR, &one, 1);
    ring(&rng, DESCRIPTOR / MY_RNG_BULK_PAGE);
    g_assert_cmphex(memory(&rng, DESCRIPTOR), ==, 0);
    g_assert_cmphex(memory(&rng, BUFFER), ==, 0);
    assert_counters(&rng, 0, 0, ++errors);
    set_bus_master(&rng, true);

    {
        const uint64_t addresses[] = {
            bar, bar + MY_RNG_REG_SEED, bar + MY_RNG_REG_DOORBELL,
            /* Behind memory, the firmware, the end of the address space. */
            MEMORY_END, 4 * GiB - 4096, 1ULL << 47, UINT64_MAX - 3,
        };

        for (int i = 0; i < ARRAY_SIZE(addresses); i++) {
            const Segment segments[] = { one, { addresses[i], 4 } };

            transfer(&rng, segments, 2, MY_RNG_BULK_BAD_MEMORY, 0);
            assert_counters(&rng, 0, 0, ++errors);
            ring(&rng, addresses[i] / MY_RNG_BULK_PAGE);
            assert_counters(&rng, 0, 0, ++errors);
        }
    }
    {
        const Segment bad[] = {
            /* Across the end of memory, and of the address space. */
            { MEMORY_END - 4096, 8192 }, { 0xfffffffffffff000, 8192 },
            { BUFFER + 1, 4 }, { BUFFER, 3 }, { BUFFER, 0 },
            { BUFFER, UINT32_MAX - 3 },
        };

        for (int i = 0; i < ARRAY_SIZE(bad); i++) {
            transfer(&rng, &bad[i], 1,
                     i ? MY_RNG_BULK_BAD_DESCRIPTOR : MY_RNG_BULK_BAD_MEMORY,
                     0);
            assert_counters(&rng, 0, 0, ++errors);
        }
    }
    g_assert_cmphex(memory(&rng, BUFFER), ==, 0);
    g_assert_cmphex(memory(&rng, MEMORY_END - 4096), ==, 0);
    for (int n = 0; n < 3; n++) {
        static const uint32_t counts[] = { 0, 256, UINT32_MAX };

        describe(&rng, DESCRIPTOR, &one, 1);
        qemu_pci_writel(rng.qts, DESCRIPTOR + MY_RNG_BULK_COUNT, counts[n]);
        ring(&rng, DESCRIPTOR / MY_RNG_BULK_PAGE);
        g_assert_cmphex(memory(&rng, DESCRIPTOR), ==,
                        MY_RNG_BULK_BAD_DESCRIPTOR);
        assert_counters(&rng, 0, 0, ++errors);
    }
    /* All of these were guest errors, without lasting effect. */
    transfer(&rng, &one, 1, MY_RNG_BULK_FILLED, 4);
    g_assert_cmphex(memory(&rng, BUFFER), ==, answer->first[0]);
    assert_first(&rng, answer, 1, 4);
    my_rng_stop(&rng);
}

/*
 * Behind an IOMMU (VT-d), with its tables in memory and its commands. The
 * descriptor and the buffer each have 2 MiB of addresses, of which the first
 * page is mapped.
 */
#define VTD 0xfed90000ULL
#define VTD_TABLES 0x600000
enum { VTD_ROOT, VTD_CONTEXT, VTD_LEVEL_3, VTD_LEVEL_2, VTD_LEVEL_1 };
enum { VTD_READ = 1, VTD_WRITE = 2 };

static void vtd_set(MyRng *rng, int table, int entry, uint64_t value)
{
    qtest_writeq(rng->qts, VTD_TABLES + table * 0x1000 + entry * 8, value);
}

/* Maps the first page of 2 MiB, with these permissions. */
static void vtd_map(MyRng *rng, uint64_t from, uint64_t to, int allowed)
{
    int table = VTD_LEVEL_1 + from / (2 * MiB);

    vtd_set(rng, VTD_LEVEL_2, from / (2 * MiB),
            (VTD_TABLES + table * 0x1000) | VTD_READ | VTD_WRITE);
    vtd_set(rng, table, from % (2 * MiB) / 0x1000, to | allowed);
    /* Flush the IOTLB. */
    qtest_writeq(rng->qts, VTD + 0xf8, 1ULL << 63 | 1ULL << 60);
}

static void vtd_start(MyRng *rng)
{
    /* A root entry of bus 0, and a context entry of the slot: three levels. */
    vtd_set(rng, VTD_ROOT, 0, (VTD_TABLES + VTD_CONTEXT * 0x1000) | 1);
    vtd_set(rng, VTD_CONTEXT, 2 * QPCI_DEVFN(SLOT, 0),
            (VTD_TABLES + VTD_LEVEL_3 * 0x1000) | 1);
    vtd_set(rng, VTD_CONTEXT, 2 * QPCI_DEVFN(SLOT, 0) + 1, 1 << 8 | 1);
    vtd_set(rng, VTD_LEVEL_3, 0,
            (VTD_TABLES + VTD_LEVEL_2 * 0x1000) | VTD_READ | VTD_WRITE);
    qtest_writeq(rng->qts, VTD + 0x20, VTD_TABLES);
    qtest_writel(rng->qts, VTD + 0x18, 1U << 30);
    qtest_writel(rng->qts, VTD + 0x18, 1U << 31);
    g_assert_cmphex(qtest_readl(rng->qts, VTD + 0x1c) & 3U << 30, ==,
                    3U << 30);
}

static void test_bulk_iommu(void)
{
    const Answer *answer = answer_of(&libc, MY_RNG_DEFAULT_SEED);
    const uint64_t far = 0x800000;
    const Segment one = { BUFFER, 4 }, two = { BUFFER + 0xffc, 8 };
    QTestState *qts;
    uint64_t bar, reads, errors;
    MyRng rng;

    if (!qtest_has_machine("q35") || !qtest_has_device("intel-iommu")) {
        g_test_skip("this QEMU is configured without q35 or intel-iommu");
        return;
    }
    qts = qtest_initf("-machine q35 -nodefaults -device intel-iommu "
                      "-device my_rng,id=" ID ",addr=%02x.0", SLOT);
    my_rng_find(&rng, qpci_new_pc(qts, NULL), QPCI_DEVFN(SLOT, 0), ID);
    vtd_start(&rng);
    vtd_map(&rng, BUFFER, far, VTD_READ | VTD_WRITE);

    /* The descriptor needs read and write permission. */
    for (int allowed = 0; allowed < (VTD_READ | VTD_WRITE); allowed++) {
        vtd_map(&rng, DESCRIPTOR, DESCRIPTOR, allowed);
        transfer(&rng, &one, 1, 0, 0);
        assert_counters(&rng, 0, 0, allowed + 1);
    }
    vtd_map(&rng, DESCRIPTOR, DESCRIPTOR, VTD_READ | VTD_WRITE);
    /* A segment needs write permission. */
    vtd_map(&rng, BUFFER, far, VTD_READ);
    transfer(&rng, &one, 1, MY_RNG_BULK_BAD_MEMORY, 0);
    vtd_map(&rng, BUFFER, far, VTD_WRITE);
    transfer(&rng, &one, 1, MY_RNG_BULK_FILLED, 4);
    g_assert_cmphex(memory(&rng, far), ==, answer->first[0]);
    g_assert_cmphex(memory(&rng, BUFFER), ==, 0);
    /* Its own registers are not memory, even behind the IOMMU. */
    bar = qpci_config_readl(rng.dev, PCI_BASE_ADDRESS_0) & ~0xfULL;
    vtd_map(&rng, BUFFER, bar, VTD_READ | VTD_WRITE);
    transfer(&rng, &one, 1, MY_RNG_BULK_BAD_MEMORY, 0);
    assert_counters(&rng, 1, 0, 5);
    /* Two adjacent pages that are mapped apart. */
    vtd_map(&rng, BUFFER, far + 0x3000, VTD_WRITE);
    vtd_map(&rng, BUFFER + 0x1000, far + 0x1000, VTD_WRITE);
    transfer(&rng, &two, 1, MY_RNG_BULK_FILLED, 8);
    g_assert_cmphex(memory(&rng, far + 0x3ffc), ==, answer->first[1]);
    g_assert_cmphex(memory(&rng, far + 0x1000), ==, answer->first[2]);
    g_assert_cmphex(memory(&rng, far + 0x4000), ==, 0);
    /* Tables in its own registers: a walk would re-enter the device. */
    qtest_writeq(qts, VTD + 0x20, bar);
    qtest_writel(qts, VTD + 0x18, 3U << 30);
    qtest_writeq(qts, VTD + 0x28, 1ULL << 63 | 1ULL << 61);
    qtest_writeq(qts, VTD + 0xf8, 1ULL << 63 | 1ULL << 60);
    /* VT-d has already read there when the tables were set. */
    reads = counter(&rng, "reads");
    errors = counter(&rng, "guest-errors");
    ring(&rng, DESCRIPTOR / MY_RNG_BULK_PAGE);
    /* The walk reads 16 bytes, in four pieces; then there is no descriptor. */
    assert_counters(&rng, reads, 0, errors + 4 + 1);
    my_rng_stop(&rng);
}

/* An IOMMU that no guest has set up yet. */
static void test_bulk_unmapped(void)
{
    const Answer *answer = answer_of(&libc, MY_RNG_DEFAULT_SEED);
    const Segment one = { BUFFER, 4 };
    MyRng rng;

    my_rng_start(&rng, "", "");
    set_bus_master(&rng, true);
    transfer(&rng, &one, 1, 0, 0);
    g_assert_cmphex(memory(&rng, BUFFER), ==, 0);
    assert_counters(&rng, 0, 0, 1);
    assert_first(&rng, answer, 0, 4);
    my_rng_stop(&rng);
}

static void test_bulk_off(void)
{
    const Segment one = { BUFFER, 4 };
    MyRng rng;

    my_rng_start(&rng, ",bulk=off", "");
    set_bus_master(&rng, true);
    g_assert_cmphex(qpci_io_readl(rng.dev, rng.bar, MY_RNG_REG_INFO), ==,
                    (MY_RNG_INFO & ~MY_RNG_INFO_BULK) |
                    MY_RNG_GENERATOR_LIBC);
    transfer(&rng, &one, 1, 0, 0);
    assert_counters(&rng, 0, 0, 1);
    my_rng_stop(&rng);
}

/* ---- the host's entropy ---- */

static void test_host(void)
{
    MyRng rng;

    my_rng_start(&rng, ",generator=host", "");
    skip_numbers(&rng, 100);
    assert_counters(&rng, 100, 0, 0);
    seed(&rng, 0x42);
    assert_counters(&rng, 100, 0, 1);
    reset(&rng);
    skip_numbers(&rng, 1);
    assert_counters(&rng, 101, 0, 1);
    my_rng_stop(&rng);
}

/* -seed replaces the host's entropy, and INFO does not show it. */
static void test_host_seed_option(void)
{
    static const char *const options[] = { "-seed 1", "-seed 1", "-seed 2" };
    uint32_t numbers[ARRAY_SIZE(options)][8];

    for (int i = 0; i < ARRAY_SIZE(options); i++) {
        MyRng rng;

        my_rng_start(&rng, ",generator=host", options[i]);
        assert_info(&rng, &host);
        for (int j = 0; j < ARRAY_SIZE(numbers[i]); j++) {
            numbers[i][j] = number(&rng);
        }
        my_rng_stop(&rng);
    }
    g_assert_cmpmem(numbers[0], sizeof(numbers[0]),
                    numbers[1], sizeof(numbers[1]));
    g_assert_cmpint(memcmp(numbers[0], numbers[2], sizeof(numbers[0])), !=, 0);
}

/* ---- reset ---- */

static void test_system_reset(void)
{
    const Answer *answer = answer_of(&chacha20, 0x42);
    MyRng rng;

    my_rng_start(&rng, ",generator=chacha20,seed=0x42", "");
    assert_first(&rng, answer, 0, 2);
    reset(&rng);
    assert_first(&rng, answer, 0, 4);
    seed(&rng, 7);
    reset(&rng);
    assert_first(&rng, answer, 0, 4);
    /* The counters for monitoring continue. */
    assert_counters(&rng, 13, 1, 0);
    my_rng_stop(&rng);
}

#define BRIDGE_SLOT 5

/* Sets the bridge's bus number to 1, and forwards the first MiB. */
static QPCIDevice *bridge_find(QPCIBus *bus)
{
    QPCIDevice *bridge = qpci_device_find(bus, QPCI_DEVFN(BRIDGE_SLOT, 0));
    uint16_t window = bus->mmio_alloc_ptr >> 16;

    g_assert_nonnull(bridge);
    qpci_config_writeb(bridge, PCI_PRIMARY_BUS, 0);
    qpci_config_writeb(bridge, PCI_SECONDARY_BUS, 1);
    qpci_config_writeb(bridge, PCI_SUBORDINATE_BUS, 1);
    qpci_config_writew(bridge, PCI_MEMORY_BASE, window);
    qpci_config_writew(bridge, PCI_MEMORY_LIMIT, window);
    qpci_device_enable(bridge);
    return bridge;
}

static int behind_bridge(int slot)
{
    return 1 << 8 | QPCI_DEVFN(slot, 0);
}

static void test_bus_reset(void)
{
    const Answer *answer = answer_of(&libc, 0x42);
    QPCIDevice *bridge;
    uint16_t control;
    QPCIBus *bus;
    MyRng rng;

    if (!qtest_has_device("pci-bridge")) {
        g_test_skip("this QEMU is configured without the device pci-bridge");
        return;
    }
    bus = qemu_pci_machine_start("-device pci-bridge,id=bridge,chassis_nr=1,"
                                 "addr=05.0 -device my_rng,id=" ID
                                 ",bus=bridge,addr=01.0,seed=0x42");
    bridge = bridge_find(bus);
    my_rng_find(&rng, bus, behind_bridge(1), ID);
    seed(&rng, 7);
    skip_numbers(&rng, 3);
    control = qpci_config_readw(bridge, PCI_BRIDGE_CONTROL);
    qpci_config_writew(bridge, PCI_BRIDGE_CONTROL,
                       control | PCI_BRIDGE_CTL_BUS_RESET);
    qpci_config_writew(bridge, PCI_BRIDGE_CONTROL, control);
    my_rng_map(&rng);
    assert_first(&rng, answer, 0, 4);
    assert_counters(&rng, 8, 1, 0);
    my_rng_forget(&rng);
    g_free(bridge);
    qemu_pci_machine_stop(bus);
}

/* ---- hot-plug ---- */

static void assert_gone(MyRng *rng, int devfn)
{
    g_assert_null(qpci_device_find(rng->bus, devfn));
    qobject_unref(qtest_qmp_assert_failure_ref(
        rng->qts, "{'execute': 'qom-get', 'arguments': {'path': %s,"
        " 'property': 'reads'}}", "/machine/peripheral/plugged"));
}

static void plug(MyRng *rng, QPCIBus *bus, const Generator *generator,
                 const Answer *answer, const char *where, const char *addr,
                 int devfn)
{
    qtest_qmp_device_add(bus->qts, "my_rng", "plugged",
                         "{'bus': %s, 'addr': %s, 'generator': %s,"
                         " 'seed': %" PRId64 "}", where, addr,
                         generator->name, (int64_t)answer->seed);
    my_rng_find(rng, bus, devfn, "plugged");
    assert_counters(rng, 0, 0, 0);
    assert_first(rng, answer, 0, 4);
}

static void unplug_by_reset(QTestState *qts)
{
    qtest_qmp_device_del_send(qts, "plugged");
    qtest_qmp_assert_success(qts, "{'execute': 'system_reset'}");
    /* Sent when the last reference to the device is gone: after RESET. */
    qtest_qmp_eventwait(qts, "DEVICE_DELETED");
}

static void test_hotplug_pc(void)
{
    const Answer *first = answer_of(&libc, 0x42);
    const Answer *second = answer_of(&chacha20, 0xffffffff);
    int devfn = QPCI_DEVFN(6, 0);
    MyRng rng, plugged;

    my_rng_start(&rng, "", "");
    for (int i = 0; i < 20; i++) {
        plug(&plugged, rng.bus, i % 2 ? &chacha20 : &libc,
             i % 2 ? second : first, "pci.0", "06.0", devfn);
        my_rng_forget(&plugged);
        /* Eject it like the guest's ACPI code ... */
        qpci_unplug_acpi_device_test(rng.qts, "plugged", 6);
        assert_gone(&plugged, devfn);
        /* A failure after realize leaves nothing behind. */
        qobject_unref(qtest_qmp_assert_failure_ref(
            rng.qts, "{'execute': 'device_add', 'arguments': {"
            " 'driver': 'my_rng', 'id': 'plugged', 'bus': 'pci.0',"
            " 'addr': '06.0', 'romfile': '/no such file'}}"));
        assert_gone(&plugged, devfn);
    }
    plug(&plugged, rng.bus, &libc, first, "pci.0", "06.0", devfn);
    my_rng_forget(&plugged);
    /* ... or by a reset. */
    unplug_by_reset(rng.qts);
    assert_gone(&plugged, devfn);
    my_rng_map(&rng);
    assert_first(&rng, answer_of(&libc, MY_RNG_DEFAULT_SEED), 0, 4);
    my_rng_stop(&rng);
}

static void test_hotplug_q35(void)
{
    const Answer *answer = answer_of(&chacha20, 0x42);
    QPCIDevice *bridge;
    QTestState *qts;
    QPCIBus *bus;
    MyRng rng;

    if (!qtest_has_machine("q35") || !qtest_has_device("pcie-root-port")) {
        g_test_skip("this QEMU is configured without q35 or pcie-root-port");
        return;
    }
    qts = qtest_init("-machine q35 -nodefaults "
                     "-device pcie-root-port,id=root,addr=05.0");
    bus = qpci_new_pc(qts, NULL);
    bridge = bridge_find(bus);
    plug(&rng, bus, &chacha20, answer, "root", "00.0", behind_bridge(0));
    my_rng_forget(&rng);
    unplug_by_reset(qts);
    g_free(bridge);
    bridge = bridge_find(bus);
    assert_gone(&rng, behind_bridge(0));
    plug(&rng, bus, &chacha20, answer, "root", "00.0", behind_bridge(0));
    my_rng_forget(&rng);
    g_free(bridge);
    qemu_pci_machine_stop(bus);
}

/* ---- snapshots ---- */

/* Waits for a job to end. The caller checks whether it succeeded. */
static void job_wait(QTestState *qts, const char *id)
{
    g_autofree char *status = NULL;

    while (g_strcmp0(status, "concluded")) {
        QDict *event = qtest_qmp_eventwait_ref(qts, "JOB_STATUS_CHANGE");

        g_free(status);
        status = g_strdup(qdict_get_str(qdict_get_qdict(event, "data"),
                                        "status"));
        qobject_unref(event);
    }
    qtest_qmp_assert_success(qts, "{'execute': 'job-dismiss', 'arguments':"
                             " {'id': %s}}", id);
}

/* Lets QEMU create the snapshot disk, as qemu-img may be missing. */
static void disk_make(QTestState *qts, const char *path)
{
    qtest_qmp_assert_success(qts, "{'execute': 'blockdev-create', 'arguments':"
                             " {'job-id': 'create', 'options':"
                             " {'driver': 'file', 'filename': %s, 'size': 0}}}",
                             path);
    job_wait(qts, "create");
    qtest_qmp_assert_success(qts, "{'execute': 'blockdev-add', 'arguments':"
                             " {'driver': 'file', 'node-name': 'file',"
                             " 'filename': %s}}", path);
    qtest_qmp_assert_success(qts, "{'execute': 'blockdev-create', 'arguments':"
                             " {'job-id': 'format', 'options':"
                             " {'driver': 'qcow2', 'file': 'file',"
                             " 'size': 1048576}}}");
    job_wait(qts, "format");
    qtest_qmp_assert_success(qts, "{'execute': 'blockdev-add', 'arguments':"
                             " {'driver': 'qcow2', 'node-name': 'disk',"
                             " 'file': 'file'}}");
}

static void assert_hmp(QTestState *qts, const char *command)
{
    g_autofree char *said = qtest_hmp(qts, "%s", command);

    g_assert_cmpstr(said, ==, "");
}

static void test_snapshot(const void *data)
{
    const Generator *generator = data;
    const Answer *answer = answer_of(generator, 0x42);
    g_autofree char *props = g_strdup_printf(",generator=%s", generator->name);
    char *folder = folder_make();
    g_autofree char *disk = g_build_filename(folder, "disk", NULL);
    MyRng rng;

    my_rng_start(&rng, props, "");
    disk_make(rng.qts, disk);
    seed(&rng, 0x42);
    assert_first(&rng, answer, 0, 2);
    assert_hmp(rng.qts, "savevm place");
    assert_first(&rng, answer, 3, 4);
    seed(&rng, 7);
    skip_numbers(&rng, 100);

    /* Load it twice; the BAR's address is restored too. */
    for (int i = 0; i < 2; i++) {
        assert_hmp(rng.qts, "loadvm place");
        assert_info(&rng, generator);
        assert_first(&rng, answer, 3, 4);
        skip_numbers(&rng, 999 - 5);
        g_assert_cmpuint(number(&rng), ==, answer->thousandth);
    }
    my_rng_stop(&rng);
    folder_remove(folder);
}

static bool is_running(QTestState *qts)
{
    QDict *status = qtest_qmp_assert_success_ref(qts,
                                                 "{'execute': 'query-status'}");
    bool running = qdict_get_bool(status, "running");

    qobject_unref(status);
    return running;
}

/*
 * Another machine's snapshot: the load fails, and the machine, which is
 * paused, can load one of its own.
 */
static void test_snapshot_mismatch(void)
{
    const Answer *answer = answer_of(&libc, 0x42);
    char *folder = folder_make();
    g_autofree char *disk = g_build_filename(folder, "disk", NULL);
    g_autofree char *more =
        g_strdup_printf("-blockdev driver=qcow2,node-name=disk,"
                        "file.driver=file,file.filename=%s", disk);
    g_autofree char *said = NULL;
    MyRng rng;
    QPCIBar bar;

    my_rng_start(&rng, ",seed=7", "");
    disk_make(rng.qts, disk);
    assert_hmp(rng.qts, "savevm other");
    my_rng_stop(&rng);

    my_rng_start(&rng, ",seed=0x42", more);
    assert_first(&rng, answer, 0, 2);
    assert_hmp(rng.qts, "savevm own");
    assert_first(&rng, answer, 3, 3);
    bar = rng.bar;
    said = qtest_hmp(rng.qts, "loadvm other");
    g_assert_nonnull(strstr(said,
        SAID("the state that arrived is refused: it is of a device with "
             "seed=7, and this one has seed=66: give both sides the same")));
    g_assert_false(is_running(rng.qts));
    /* QEMU resets the machine before it loads a snapshot. */
    my_rng_map(&rng);
    assert_first(&rng, answer, 0, 4);

    rng.bar = bar;
    assert_hmp(rng.qts, "loadvm own");
    assert_first(&rng, answer, 3, 4);
    my_rng_stop(&rng);
    folder_remove(folder);
}

/* ---- migration ---- */

static void migration_prepare(QTestState *qts, bool return_path)
{
    qtest_qmp_assert_success(qts, "{'execute': 'migrate-set-capabilities',"
                             " 'arguments': {'capabilities': ["
                             " {'capability': 'events', 'state': true},"
                             " {'capability': 'return-path', 'state': %i}]}}",
                             return_path);
}

static void migration_wait(QTestState *qts, const char *expected)
{
    g_autofree char *status = NULL;

    while (g_strcmp0(status, expected)) {
        QDict *event = qtest_qmp_eventwait_ref(qts, "MIGRATION");

        /* The two final states. */
        g_assert_cmpstr(status, !=, "completed");
        g_assert_cmpstr(status, !=, "failed");
        g_free(status);
        status = g_strdup(qdict_get_str(qdict_get_qdict(event, "data"),
                                        "status"));
        qobject_unref(event);
    }
}

static void migrate(QTestState *qts, const char *uri)
{
    qtest_qmp_assert_success(qts, "{'execute': 'migrate', 'arguments':"
                             " {'uri': %s}}", uri);
}

static void migrate_incoming(QTestState *qts, const char *uri)
{
    qtest_qmp_assert_success(qts, "{'execute': 'migrate-incoming',"
                             " 'arguments': {'uri': %s}}", uri);
}

/* The device of @from in the machine of @to, at the same address. */
static void my_rng_follow(MyRng *to, const MyRng *from, QPCIBus *bus)
{
    *to = *from;
    to->qts = bus->qts;
    to->bus = bus;
    to->dev = qpci_device_find(bus, from->dev->devfn);
    g_assert_nonnull(to->dev);
}

/* Migrates @from to a machine with the same command line, @to. */
static void my_rng_migrate(MyRng *to, const MyRng *from, const char *props,
                           const char *folder)
{
    g_autofree char *uri = g_strdup_printf("unix:%s/socket", folder);
    QPCIBus *bus = machine_start_with(props, "-incoming defer");

    migration_prepare(from->qts, true);
    migration_prepare(bus->qts, true);
    migrate_incoming(bus->qts, uri);
    migrate(from->qts, uri);
    migration_wait(from->qts, "completed");
    migration_wait(bus->qts, "completed");
    my_rng_follow(to, from, bus);
}

static void test_migration(const void *data)
{
    const Generator *generator = data;
    const Answer *answer = answer_of(generator, 0x42);
    const Answer *initial = answer_of(generator, 0xffffffff);
    g_autofree char *props = g_strdup_printf(",generator=%s,seed=0xffffffff",
                                             generator->name);
    char *folder = folder_make();
    MyRng source, middle, destination;

    my_rng_start(&source, props, "");
    seed(&source, 0x42);
    assert_first(&source, answer, 0, 2);
    qpci_io_readb(source.dev, source.bar, 0);

    my_rng_migrate(&middle, &source, props, folder);
    my_rng_stop(&source);
    /* The counters are not migrated. */
    assert_counters(&middle, 0, 0, 0);
    assert_info(&middle, generator);
    assert_first(&middle, answer, 3, 4);
    skip_numbers(&middle, 999 - 5);

    my_rng_migrate(&destination, &middle, props, folder);
    my_rng_stop(&middle);
    g_assert_cmpuint(number(&destination), ==, answer->thousandth);
    seed(&destination, 0x42);
    assert_first(&destination, answer, 0, 4);
    reset(&destination);
    assert_first(&destination, initial, 0, 4);
    assert_counters(&destination, 11, 1, 0);
    my_rng_stop(&destination);
    folder_remove(folder);
}

static void test_migration_host(void)
{
    char *folder = folder_make();
    MyRng source, destination;

    my_rng_start(&source, ",generator=host", "");
    skip_numbers(&source, 3);
    my_rng_migrate(&destination, &source, ",generator=host", folder);
    my_rng_stop(&source);
    assert_info(&destination, &host);
    skip_numbers(&destination, 3);
    seed(&destination, 0x42);
    assert_counters(&destination, 3, 0, 1);
    my_rng_stop(&destination);
    folder_remove(folder);
}

/* A QEMU that must refuse the migration, and the expected error. */
typedef struct Refusal {
    QPCIBus *bus;
    QTestState *qts;
    char *said;
} Refusal;

static void refusal_start(Refusal *refusal, const char *props,
                          const char *folder)
{
    g_autofree char *more = NULL;

    refusal->said = g_build_filename(folder, "said", NULL);
    more = g_strdup_printf("-incoming defer 2>%s", refusal->said);
    refusal->bus = machine_start_with(props, more);
    refusal->qts = refusal->bus->qts;
    qtest_set_expected_status(refusal->qts, EXIT_FAILURE);
}

static void refusal_check(Refusal *refusal, const char *why)
{
    g_autofree char *expected =
        g_strdup_printf(LOGGED("the state that arrived is refused: %s"), why);
    g_autofree char *said = NULL;

    qtest_wait_qemu(refusal->qts);
    qemu_pci_machine_stop(refusal->bus);
    said = file_read(refusal->said, NULL);
    if (!strstr(said, expected)) {
        g_test_message("not said: %s", expected);
        g_test_message("but: %s", said);
        g_test_fail();
    }
    g_free(refusal->said);
}

typedef struct Mismatch {
    const char *props;
    const char *why;
} Mismatch;

static const Mismatch mismatches[] = {
    { ",generator=chacha20,seed=5",
      "it is of a device with generator=libc, and this one has "
      "generator=chacha20: give both sides the same" },
    { ",generator=host",
      "it is of a device with generator=libc, and this one has "
      "generator=host: give both sides the same" },
    { ",seed=5,bulk=off",
      "it is of a device with bulk=on, and this one has bulk=off: give both "
      "sides the same" },
    { "",
      "it is of a device with seed=5, and this one has seed=1: give both "
      "sides the same" },
};

/* The destination refuses and ends; the source continues unchanged. */
static void test_migration_mismatch(void)
{
    const Answer *answer = answer_of(&libc, 0x42);
    char *folder = folder_make();
    g_autofree char *uri = g_strdup_printf("unix:%s/socket", folder);
    MyRng source, destination;

    my_rng_start(&source, ",seed=5", "2>/dev/null");
    migration_prepare(source.qts, true);
    seed(&source, 0x42);
    for (int i = 0; i < ARRAY_SIZE(mismatches); i++) {
        Refusal refusal;

        assert_first(&source, answer, i, i);
        refusal_start(&refusal, mismatches[i].props, folder);
        migration_prepare(refusal.qts, true);
        migrate_incoming(refusal.qts, uri);
        migrate(source.qts, uri);
        migration_wait(source.qts, "failed");
        qtest_qmp_eventwait(source.qts, "RESUME");
        refusal_check(&refusal, mismatches[i].why);
    }
    my_rng_migrate(&destination, &source, ",seed=5", folder);
    my_rng_stop(&source);
    assert_first(&destination, answer, 4, 4);
    my_rng_stop(&destination);
    folder_remove(folder);
}

/*
 * The device's own state in a saved machine, field by field, big-endian and
 * packed. It is located by its initial seed, for which the tests use a
 * unique value.
 */
enum {
    STATE_GENERATOR = 0,
    STATE_BULK = 1,
    STATE_INITIAL_SEED = 2,
    STATE_SEED = 6,
    STATE_POSITION = 10,
    STATE_TABLE = 18,
    STATE_FAILURES = STATE_TABLE + 31 * 4,
    STATE_SIZE = STATE_FAILURES + 4,
};

#define FOUND_SEED 0x5eed1234

static gsize state_find(const char *machine, gsize size)
{
    gsize found = 0;
    int n = 0;

    for (gsize at = STATE_INITIAL_SEED; at + STATE_SIZE <= size; at++) {
        if (ldl_be_p(machine + at) == FOUND_SEED) {
            found = at - STATE_INITIAL_SEED;
            n++;
        }
    }
    g_assert_cmpint(n, ==, 1);
    return found;
}

/* Saves to a file by migration; registers can still be read afterwards. */
static void my_rng_save(MyRng *rng, const char *uri)
{
    migration_prepare(rng->qts, false);
    migrate(rng->qts, uri);
    migration_wait(rng->qts, "completed");
}

typedef struct Format {
    const Generator *generator;
    uint8_t id;
    uint32_t seed;
    uint64_t position;
    uint32_t table[31];
} Format;

/*
 * Version 2 of the state three numbers after the seed 0x42: for libc r[341]
 * to r[346] and r[316] to r[340] of the specification and the index of the
 * oldest of them; for the others the seed and how many words were taken.
 */
static const Format formats[] = {
    { &libc, 0, 0, 6, {
        0xf52db45b, 0xda248858, 0xbcdb13f6, 0x221bf82f, 0xbe215fab,
        0x73d90d61, 0xf85f0b55, 0xe104063f, 0x986ff446, 0x321402cd,
        0xd22cc472, 0x95551c40, 0x417016d3, 0xa5d23f3b, 0x046a7c31,
        0x644fbaed, 0x492c62e9, 0x410c7aab, 0x579ae0ed, 0x8fd0bd18,
        0xfce0f494, 0x6911e836, 0x2fe6a75b, 0xd31e1c81, 0xd19767b1,
        0xb1c34fa0, 0xb4e58614, 0x9053f0a7, 0xbc8483f1, 0x5635da9e,
        0xbc860f86 } },
    { &chacha20, 1, 0x42, 3, { } },
    { &chacha8, 3, 0x42, 3, { } },
    { &xoshiro256pp, 4, 0x42, 3, { } },
};

static void test_migration_format(void)
{
    char *folder = folder_make();
    g_autofree char *path = g_build_filename(folder, "machine", NULL);
    g_autofree char *uri = g_strdup_printf("file:%s", path);

    for (int i = 0; i < ARRAY_SIZE(formats); i++) {
        const Format *format = &formats[i];
        g_autofree char *props =
            g_strdup_printf(",generator=%s,seed=%u", format->generator->name,
                            FOUND_SEED);
        g_autofree char *machine = NULL;
        uint8_t expected[STATE_SIZE];
        gsize size, state;
        MyRng rng;

        my_rng_start(&rng, props, "");
        seed(&rng, 0x42);
        assert_first(&rng, answer_of(format->generator, 0x42), 0, 2);
        my_rng_save(&rng, uri);
        my_rng_stop(&rng);

        expected[STATE_GENERATOR] = format->id;
        expected[STATE_BULK] = 1;
        stl_be_p(expected + STATE_INITIAL_SEED, FOUND_SEED);
        stl_be_p(expected + STATE_SEED, format->seed);
        stq_be_p(expected + STATE_POSITION, format->position);
        for (int j = 0; j < ARRAY_SIZE(format->table); j++) {
            stl_be_p(expected + STATE_TABLE + 4 * j, format->table[j]);
        }
        stl_be_p(expected + STATE_FAILURES, 0);
        machine = file_read(path, &size);
        state = state_find(machine, size);
        g_assert_cmpmem(machine + state, STATE_SIZE, expected, STATE_SIZE);
    }
    folder_remove(folder);
}

typedef struct Damage {
    int at;
    uint8_t mask;
    const char *why;
} Damage;

static const Damage damages[] = {
    { STATE_GENERATOR, 0x40,
      "it names generator 65, which is not known here" },
    { STATE_BULK, 1,
      "it is of a device with bulk=off, and this one has bulk=on: give both "
      "sides the same" },
    { STATE_GENERATOR, 1,
      "it is of a device with generator=libc, and this one has "
      "generator=chacha20: give both sides the same" },
    { STATE_INITIAL_SEED + 3, 1,
      "it is of a device with seed=1592594997, and this one has "
      "seed=1592594996: give both sides the same" },
    /* This position is beyond the maximum. */
    { STATE_POSITION, 0x80,
      "the generator chacha20 cannot stand where it says" },
    /* This generator has no table. */
    { STATE_TABLE, 1, "the generator chacha20 cannot stand where it says" },
    { STATE_FAILURES - 1, 1,
      "the generator chacha20 cannot stand where it says" },
};

/*
 * A machine continues from a file. QEMU refuses a bad file and does not
 * crash.
 */
static void test_migration_file(void)
{
    const Answer *answer = answer_of(&chacha20, 0x42);
    g_autofree char *props = g_strdup_printf(",generator=chacha20,seed=%u",
                                             FOUND_SEED);
    char *folder = folder_make();
    g_autofree char *path = g_build_filename(folder, "machine", NULL);
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    g_autofree char *machine = NULL;
    gsize size, state;
    QPCIBus *bus;
    MyRng source, destination;

    my_rng_start(&source, props, "");
    seed(&source, 0x42);
    assert_first(&source, answer, 0, 2);
    my_rng_save(&source, uri);
    assert_first(&source, answer, 3, 4);

    bus = machine_start_with(props, "-incoming defer");
    migration_prepare(bus->qts, false);
    migrate_incoming(bus->qts, uri);
    migration_wait(bus->qts, "completed");
    my_rng_follow(&destination, &source, bus);
    assert_first(&destination, answer, 3, 4);
    for (int i = 0; i < 100; i++) {
        g_assert_cmpuint(number(&destination), ==, number(&source));
    }
    my_rng_stop(&destination);

    machine = file_read(path, &size);
    state = state_find(machine, size);

    /* FAILURES is migrated, and a reset does not change it. */
    stl_be_p(machine + state + STATE_FAILURES, 0xfedcba98);
    g_assert(g_file_set_contents(path, machine, size, NULL));
    stl_be_p(machine + state + STATE_FAILURES, 0);
    bus = machine_start_with(props, "-incoming defer");
    migration_prepare(bus->qts, false);
    migrate_incoming(bus->qts, uri);
    migration_wait(bus->qts, "completed");
    my_rng_follow(&destination, &source, bus);
    assert_failures(&destination, 0xfedcba98);
    reset(&destination);
    assert_failures(&destination, 0xfedcba98);
    my_rng_stop(&destination);
    my_rng_stop(&source);

    for (int i = 0; i < ARRAY_SIZE(damages); i++) {
        const Damage *damage = &damages[i];
        Refusal refusal;

        machine[state + damage->at] ^= damage->mask;
        g_assert(g_file_set_contents(path, machine, size, NULL));
        machine[state + damage->at] ^= damage->mask;
        refusal_start(&refusal, props, folder);
        migrate_incoming(refusal.qts, uri);
        refusal_check(&refusal, damage->why);
    }
    folder_remove(folder);
}

/* ---- a machine that refuses the device ---- */

/* On s390x a device needs MSI-X, which my_rng does not have. */
static void test_s390x(void)
{
    QTestState *qts = qtest_init("-machine s390-ccw-virtio -nodefaults");

    for (int i = 0; i < 2; i++) {
        assert_error(qtest_qmp_assert_failure_ref(
            qts, "{'execute': 'device_add', 'arguments': {"
            " 'driver': 'my_rng', 'id': 'rng'}}"),
            "MSI-X support is mandatory in the S390 architecture");
    }
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    const QemuPciMachine *machine;

    g_test_init(&argc, &argv, NULL);

    if (qtest_has_device("my_rng") && qtest_has_machine("s390-ccw-virtio")) {
        qtest_add_func("/my-rng/s390x", test_s390x);
        return g_test_run();
    }
    machine = qemu_pci_machine_for("my_rng");
    if (!machine) {
        return g_test_run();
    }

    qtest_add_func("/my-rng/config-space", test_config_space);
    qtest_add_func("/my-rng/memory-decoding", test_memory_decoding);
    qtest_add_data_func("/my-rng/known-answers/libc", &libc,
                        test_known_answers);
    qtest_add_data_func("/my-rng/known-answers/chacha20", &chacha20,
                        test_known_answers);
    qtest_add_data_func("/my-rng/known-answers/chacha8", &chacha8,
                        test_known_answers);
    qtest_add_data_func("/my-rng/known-answers/xoshiro256pp", &xoshiro256pp,
                        test_known_answers);
    qtest_add_func("/my-rng/two-devices", test_two_devices);
    qtest_add_data_func("/my-rng/info/libc", &libc, test_info);
    qtest_add_data_func("/my-rng/info/chacha20", &chacha20, test_info);
    qtest_add_data_func("/my-rng/info/chacha8", &chacha8,
                        test_info);
    qtest_add_data_func("/my-rng/info/xoshiro256pp", &xoshiro256pp,
                        test_info);
    qtest_add_data_func("/my-rng/info/host", &host, test_info);
    qtest_add_func("/my-rng/properties/seed", test_property_seed);
    qtest_add_func("/my-rng/properties/shown", test_properties_shown);
    qtest_add_func("/my-rng/properties/refused", test_properties_refused);
    qtest_add_func("/my-rng/properties/fixed", test_properties_fixed);
    qtest_add_func("/my-rng/accesses/refused", test_accesses_refused);
    qtest_add_func("/my-rng/accesses/of-8-bytes", test_accesses_of_8_bytes);
    qtest_add_func("/my-rng/accesses/log", test_accesses_log);
    qtest_add_func("/my-rng/trace", test_trace);
    if (machine->has_dma) {
        qtest_add_data_func("/my-rng/bulk/libc", &libc, test_bulk);
        qtest_add_data_func("/my-rng/bulk/chacha20", &chacha20, test_bulk);
        qtest_add_data_func("/my-rng/bulk/chacha8", &chacha8, test_bulk);
        qtest_add_data_func("/my-rng/bulk/xoshiro256pp", &xoshiro256pp,
                            test_bulk);
        qtest_add_func("/my-rng/bulk/longest", test_bulk_longest);
        qtest_add_func("/my-rng/bulk/nowhere", test_bulk_nowhere);
    } else {
        qtest_add_func("/my-rng/bulk/unmapped", test_bulk_unmapped);
    }
    qtest_add_func("/my-rng/bulk/off", test_bulk_off);
    qtest_add_func("/my-rng/host/reads", test_host);
    qtest_add_func("/my-rng/host/seed-option", test_host_seed_option);
    qtest_add_func("/my-rng/reset/system", test_system_reset);
    qtest_add_func("/my-rng/reset/bus", test_bus_reset);
    if (machine == &qemu_pci_pc) {
        qtest_add_func("/my-rng/bulk/iommu", test_bulk_iommu);
        qtest_add_func("/my-rng/hotplug/pc", test_hotplug_pc);
        qtest_add_func("/my-rng/hotplug/q35", test_hotplug_q35);
    }
    qtest_add_data_func("/my-rng/snapshot/libc", &libc, test_snapshot);
    qtest_add_data_func("/my-rng/snapshot/chacha20", &chacha20, test_snapshot);
    qtest_add_data_func("/my-rng/snapshot/chacha8", &chacha8,
                        test_snapshot);
    qtest_add_data_func("/my-rng/snapshot/xoshiro256pp", &xoshiro256pp,
                        test_snapshot);
    qtest_add_func("/my-rng/snapshot/mismatch", test_snapshot_mismatch);
    qtest_add_data_func("/my-rng/migration/libc", &libc, test_migration);
    qtest_add_data_func("/my-rng/migration/chacha20", &chacha20,
                        test_migration);
    qtest_add_data_func("/my-rng/migration/chacha8", &chacha8,
                        test_migration);
    qtest_add_data_func("/my-rng/migration/xoshiro256pp", &xoshiro256pp,
                        test_migration);
    qtest_add_func("/my-rng/migration/host", test_migration_host);
    qtest_add_func("/my-rng/migration/mismatch", test_migration_mismatch);
    qtest_add_func("/my-rng/migration/format", test_migration_format);
    qtest_add_func("/my-rng/migration/file", test_migration_file);

    return g_test_run();
}
