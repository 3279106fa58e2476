/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device that is pulled out without notice: from then on reads of its registers give all ones, or all
 * zeros. No real device does so at a known moment. So the driver is bound to a device whose BAR 0 is
 * memory, in which this program writes the registers' contents, and whose memory decoding it turns off.
 *
 *   removal ADDRESS INFO SIGNATURE    (of that device; where INFO is; what its upper half has to be)
 */
#include "driver.h"
#include <linux/pci_regs.h>
#include <sys/mman.h>

enum { FILLED = 4096, LARGE = 100000 };

#define CURRENT "/sys/class/misc/hw_random/rng_current"

static volatile uint32_t *bar;
static unsigned int info;
/* What INFO says of a device with the generator of the host. */
static uint32_t host;
static const char *address;
static int config, node = -1;
static uint64_t words, seeds;
/* What the file is mapped to, if the device has said that it has a bulk engine. */
static unsigned char *memory;

static void set(uint32_t rng, uint32_t said)
{
    bar[RNG_REG_RNG / 4] = rng;
    bar[info / 4] = said;
}

/* Without it nothing answers at the addresses of BAR 0, and QEMU gives zeros. */
static void set_decoding(bool is_on)
{
    uint16_t command;

    CHECK(pread(config, &command, sizeof(command), PCI_COMMAND) == sizeof(command), "reading the command register: %m");
    command = is_on ? command | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MEMORY;
    CHECK(pwrite(config, &command, sizeof(command), PCI_COMMAND) == sizeof(command), "writing the command register: %m");
}

static void unbind(void)
{
    int error = write_file("/sys/bus/pci/drivers/my_rng/unbind", address);

    CHECK(error == 0, "unbinding: %s", strerror(error));
    close(node);
}

static void bind_expect(int expected, const char *what)
{
    int error = write_file("/sys/bus/pci/drivers/my_rng/bind", address);

    CHECK(error == expected, "binding to %s: %s", what, error == 0 ? "success" : strerrorname_np(error));
    words = seeds = 0;
    if (expected == 0) {
        node = open_node("/dev/" RNG_NODE);
    } else {
        CHECK(access("/dev/" RNG_NODE, F_OK) == -1 && errno == ENOENT, "there is a node for %s", what);
    }
}

static void expect_info(const char *name, const char *expected)
{
    char text[1024];
    char *value = fdinfo(node, name, text, sizeof(text));

    CHECK(value != NULL && strcmp(value, expected) == 0, "fdinfo says my_rng-%s: %s, not %s", name, value,
          expected);
}

/* FILL fails so, if the device says that it has an engine, and leaves the memory alone; else as if it were gone. */
static void check_fill(int error, const char *what)
{
    unsigned int part[2] = {0, FILLED};

    CHECK(ioctl(node, RNG_IOCTL_FILL, part) == -1 && errno == (memory == NULL ? ENODEV : error), "FILL of %s: %m",
          what);
    for (int i = 0; memory != NULL && i < FILLED; i++) {
        CHECK(memory[i] == 0xa5, "FILL of %s has written 0x%02x", what, memory[i]);
    }
}

/* Everything works, and gives the word. */
static void expect_there(uint32_t word, const char *what)
{
    static uint32_t many[LARGE / 4];
    uint32_t got[100] = {0}, seed = 0x42, written = (bar[info / 4] & 0xffff00ff) == host ? 0 : seed;
    int status = ioctl(node, RNG_IOCTL_RAND, got);

    CHECK(status == 0 && got[0] == word, "RAND of %s: %u (%m)", what, got[0]);
    CHECK(read(node, got, sizeof(got) - 1) == sizeof(got) - 1, "a read of %s: %m", what);
    for (int i = 0; i < 99; i++) {
        CHECK(got[i] == word, "a read of %s gives %u", what, got[i]);
    }
    /* As many as a device with an engine is asked to write to the program's memory. */
    memset(many, 0x5a, sizeof(many));
    CHECK(read(node, many, LARGE) == LARGE, "a large read of %s: %m", what);
    for (int i = 0; i < LARGE / 4; i++) {
        CHECK(many[i] == word, "a large read of %s gives %u", what, many[i]);
    }
    bar[RNG_REG_SEED / 4] = 0;
    /* The host's generator has no seed, and is not given one. */
    CHECK(ioctl(node, RNG_IOCTL_SEED, &seed) == 0 && bar[RNG_REG_SEED / 4] == written, "SEED of %s: %m", what);
    /* More than can be had from registers is asked for in vain, and counted by nobody. */
    check_fill(EIO, what);
    words += 101 + LARGE / 4;
    seeds += written == seed;
    CHECK(fdinfo_number(node, "words") == words && fdinfo_number(node, "seeds") == seeds,
          "the counters of %s", what);
}

/* Everything says that the device is gone, at once, and again. */
static void expect_gone(const char *what)
{
    static uint32_t got[LARGE / 4];
    uint32_t seed = 0x42;

    for (int i = 0; i < 2; i++) {
        CHECK(ioctl(node, RNG_IOCTL_RAND, got) == -1 && errno == ENODEV, "RAND of %s: %m", what);
        CHECK(ioctl(node, RNG_IOCTL_SEED, &seed) == -1 && errno == ENODEV, "SEED of %s: %m", what);
        CHECK(read(node, got, 1) == -1 && errno == ENODEV, "a read of %s: %m", what);
        CHECK(read(node, got, 400) == -1 && errno == ENODEV, "a read of %s: %m", what);
        CHECK(read(node, got, LARGE) == -1 && errno == ENODEV, "a large read of %s: %m", what);
        CHECK(ioctl(node, _IO('q', 1), got) == -1 && errno == ENOTTY, "an unknown ioctl of %s: %m", what);
        check_fill(ENODEV, what);
    }
}

static void check_known(uint32_t said, const char *generator)
{
    set(0x12345678, said);
    bind_expect(0, generator);
    expect_info("device", address);
    expect_info("generator", generator);
    expect_info("bulk", said & RNG_INFO_BULK ? "yes" : "no");
    memory = mmap(NULL, FILLED, PROT_READ | PROT_WRITE, MAP_SHARED, node, 0);
    if (said & RNG_INFO_BULK) {
        CHECK(memory != MAP_FAILED, "mmap: %m");
        memset(memory, 0xa5, FILLED);
    } else {
        CHECK(memory == MAP_FAILED && errno == ENODEV, "mmap without a bulk engine: %m");
        memory = NULL;
    }
    expect_there(0x12345678, "a device");
    /* Numbers like any other, of a generator that gives all 32 bits. */
    set(UINT32_MAX, said);
    expect_there(UINT32_MAX, "a device that gives all ones");
    set(0, said);
    expect_there(0, "a device that gives zeros");
    /* On a PC, and in QEMU. */
    set(UINT32_MAX, UINT32_MAX);
    expect_gone("a device whose bus gives all ones");
    set(0, 0);
    expect_gone("a device whose bus gives zeros");
    /* Another device in its place. */
    set(0, said ^ 1);
    expect_gone("a device that has become another");
    set_decoding(false);
    expect_gone("a device whose memory decoding is off");
    set_decoding(true);
    set(UINT32_MAX, UINT32_MAX);
    unbind();
    if (memory != NULL) {
        CHECK(memory[0] == 0xa5 && munmap(memory, FILLED) == 0, "memory of a device that is gone: %m");
        memory = NULL;
    }
}

/* The kernel's own source of random numbers is told the same. */
static void check_hwrng(uint32_t said)
{
    static const unsigned char expected[8] = {0x78, 0x56, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12};
    unsigned char got[8];
    ssize_t bytes;
    int fd, error;

    set(0x12345678, said);
    bind_expect(0, "a device for hw_random");
    expect_info("hwrng", "yes");
    error = write_file(CURRENT, RNG_NODE);
    CHECK(error == 0, CURRENT ": %s", strerror(error));
    fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0, "/dev/hwrng: %m");
    CHECK(read(fd, got, 8) == 8 && memcmp(got, expected, 8) == 0, "a read of /dev/hwrng: %m");
    /* Before an error, what hw_random has left is used up. */
    set(UINT32_MAX, UINT32_MAX);
    do {
        bytes = read(fd, got, 8);
    } while (bytes > 0);
    CHECK(bytes == -1 && errno == ENODEV, "/dev/hwrng, of a device that is gone: %zd (%m)", bytes);
    expect_gone("a device of hw_random's");
    close(fd);
    unbind();
}

/* One that has no INFO: it is asked by its configuration space whether it is there. */
static void check_classic(uint32_t said)
{
    set(0x12345678, said);
    bind_expect(0, "a classic device");
    expect_info("generator", "unknown");
    expect_info("bulk", "no");
    expect_info("hwrng", "no");
    expect_there(0x12345678, "a classic device");
    set(UINT32_MAX, UINT32_MAX);
    expect_there(UINT32_MAX, "a classic device that gives all ones");
    set(0, 0);
    expect_there(0, "a classic device that gives zeros");
    set_decoding(false);
    expect_gone("a classic device whose memory decoding is off");
    set_decoding(true);
    unbind();
}

int main(int argc, char **argv)
{
    char path[128];
    uint32_t signature;
    int fd, error;

    CHECK(argc == 4, "usage: removal ADDRESS INFO SIGNATURE");
    address = argv[1];
    info = strtoul(argv[2], NULL, 0);
    signature = strtoul(argv[3], NULL, 0) << 16;
    host = signature | 2;

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", address);
    error = write_file(path, "1");
    CHECK(error == 0, "%s: %s", path, strerror(error));
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", address);
    error = write_file(path, "my_rng");
    CHECK(error == 0, "%s: %s", path, strerror(error));
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", address);
    fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
    CHECK(fd >= 0, "%s: %m", path);
    bar = mmap(NULL, RNG_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(bar != MAP_FAILED, "mmap of %s: %m", path);
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", address);
    config = open(path, O_RDWR | O_CLOEXEC);
    CHECK(config >= 0, "%s: %m", path);

    /* hw_random reads when it likes: it is not to, for numbers are counted here. */
    error = write_file(CURRENT, "none");
    CHECK(error == 0, CURRENT ": %s", strerror(error));
    check_known(signature | 0, "libc");
    check_known(signature | 1, "chacha20");
    check_known(host, "host");
    check_known(host | RNG_INFO_FAILURES, "host");
    check_known(signature | 3, "chacha8");
    check_known(signature | 4, "xoshiro256pp");
    /* A generator from after this driver. */
    check_known(signature | 5, "unknown");
    check_known(signature | 0xff, "unknown");
    /* Bits that a later device may set. */
    check_known(signature | 0x5a01, "chacha20");

    /* The same of devices with a bulk engine, whose doorbell nobody answers. */
    check_known(signature | RNG_INFO_BULK, "libc");
    check_known(host | RNG_INFO_BULK, "host");
    check_known(signature | RNG_INFO_BULK | 5, "unknown");
    check_known(signature | 0xff01, "chacha20");

    check_classic(0);
    check_classic(1);
    check_classic(0x00020002);
    check_classic(signature ^ 0x00010002);
    check_classic(~signature & 0xffff0000);
    check_classic(UINT32_MAX);

    /* Gone before the driver has seen it. */
    set_decoding(false);
    bind_expect(ENODEV, "a device that does not answer");
    set_decoding(true);
    /* And nothing of that is left. */
    set(1, signature);
    bind_expect(0, "a device that has come back");
    expect_there(1, "a device that has come back");
    unbind();
    check_hwrng(host | RNG_INFO_FAILURES);
    puts("done");
    return 0;
}
