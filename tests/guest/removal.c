/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device that is unplugged without notice: reads of its registers give all ones, or all zeros. No real
 * device does so at a known moment. So the driver is bound to a device whose BAR 0 is memory, in which this
 * program writes the registers' contents, and whose memory decoding it turns off.
 *
 *   removal ADDRESS INFO_OFFSET SIGNATURE    (of that device; the upper half of INFO)
 */
#include "driver.h"
#include <linux/pci_regs.h>

enum { FILLED = 4096, LARGE = 100000, NUMBER = 0x12345678 };

static volatile uint32_t *bar;
static unsigned int info_offset;
static const char *address;
static int config;
/* What the driver must have counted. */
static uint64_t words, seeds;
/* What the file is mapped to, if INFO says that there is a bulk engine. */
static unsigned char *memory;

static void set(uint32_t number, uint32_t info)
{
    bar[RNG_REG_RNG / 4] = number;
    bar[info_offset / 4] = info;
}

/* Without decoding nothing answers at the addresses of BAR 0, and QEMU gives zeros. */
static void set_decoding(bool is_on)
{
    uint16_t command;

    ASSERT_EQ(pread(config, &command, sizeof(command), PCI_COMMAND), sizeof(command));
    command = is_on ? command | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MEMORY;
    ASSERT_EQ(pwrite(config, &command, sizeof(command), PCI_COMMAND), sizeof(command));
}

static void bind(void)
{
    ASSERT_EQ(write_file(DRIVER "bind", address), 0);
    words = seeds = 0;
    node = open_node();
}

static void unbind(void)
{
    ASSERT_EQ(write_file(DRIVER "unbind", address), 0);
    close(node);
}

/* FILL fails with this error if there is an engine, else with ENODEV. It leaves the memory alone. */
static void expect_no_fill(int error)
{
    ASSERT_ERROR(fill(node, 0, FILLED), memory == NULL ? ENODEV : error);
    if (memory != NULL) {
        expect_bytes(memory, FILLED, 0xa5);
    }
}

static void expect_there(uint32_t number, bool is_host, const char *when)
{
    static uint32_t many[LARGE / 4];
    uint32_t got[100] = {0}, seed = 0x42;

    tap_context("%s", when);
    ASSERT_EQ(node_rand(node), number);
    ASSERT_EQ(read(node, got, sizeof(got) - 1), sizeof(got) - 1);
    for (int i = 0; i < 99; i++) {
        ASSERT_EQ(got[i], number);
    }
    /* So many that an engine would be asked to write to the program's memory. */
    memset(many, 0x5a, sizeof(many));
    ASSERT_EQ(read(node, many, LARGE), LARGE);
    for (int i = 0; i < LARGE / 4; i++) {
        ASSERT_EQ(many[i], number);
    }
    bar[RNG_REG_SEED / 4] = 0;
    /* The host's generator has no seed, and the driver writes none. */
    node_seed(node, seed);
    ASSERT_EQ(bar[RNG_REG_SEED / 4], is_host ? 0 : seed);
    /* Nobody answers the doorbell, and what is not filled is not counted. */
    expect_no_fill(EIO);
    words += 101 + LARGE / 4;
    seeds += !is_host;
    ASSERT_EQ(fdinfo_number(node, "words"), words);
    ASSERT_EQ(fdinfo_number(node, "seeds"), seeds);
}

static void expect_gone(const char *when)
{
    static uint32_t got[LARGE / 4];

    tap_context("%s", when);
    for (int i = 0; i < 2; i++) {
        ASSERT_ERROR(ioctl(node, RNG_IOCTL_RAND, got), ENODEV);
        ASSERT_ERROR(ioctl(node, RNG_IOCTL_SEED, got), ENODEV);
        ASSERT_ERROR(read(node, got, 1), ENODEV);
        ASSERT_ERROR(read(node, got, 400), ENODEV);
        ASSERT_ERROR(read(node, got, LARGE), ENODEV);
        ASSERT_ERROR(ioctl(node, _IO('q', 1), got), ENOTTY);
        expect_no_fill(ENODEV);
    }
}

/* What INFO says besides the signature, and what the driver must make of it. */
static const struct kind {
    uint32_t info;
    const char *generator;
    const char *check;
} kinds[] = {
    {0, "libc", "libc is known, works and is gone when removed"},
    {1, "chacha20", "chacha20 is known, works and is gone when removed"},
    {2, "host", "host is known, works and is gone when removed"},
    {2 | RNG_INFO_FAILURES, "host", "host with FAILURES is known, works and is gone when removed"},
    {3, "chacha8", "chacha8 is known, works and is gone when removed"},
    {4, "xoshiro256pp", "xoshiro256pp is known, works and is gone when removed"},
    {5, "unknown", "a later generator works and is gone when removed"},
    {0xff, "unknown", "the last generator works and is gone when removed"},
    {0x5a01, "chacha20", "bits that a later device may set are ignored"},
    {RNG_INFO_BULK, "libc", "libc whose bulk engine does not answer works and is gone when removed"},
    {2 | RNG_INFO_BULK, "host", "host whose bulk engine does not answer works and is gone when removed"},
    {5 | RNG_INFO_BULK, "unknown", "a later generator whose bulk engine does not answer works and is gone when removed"},
    {0xff01, "chacha20", "all later bits are ignored, and a bulk engine that does not answer"},
};
static const struct kind *kind;
static uint32_t signature;

static void known_device(void)
{
    uint32_t info = signature | kind->info;
    bool is_host = (kind->info & 0xff) == 2;

    set(NUMBER, info);
    bind();
    expect_fdinfo("device", address);
    expect_fdinfo("generator", kind->generator);
    expect_fdinfo("bulk", info & RNG_INFO_BULK ? "yes" : "no");
    if (info & RNG_INFO_BULK) {
        memory = map_file(node, FILLED);
        memset(memory, 0xa5, FILLED);
    } else {
        ASSERT_ERROR(mmap(NULL, FILLED, PROT_READ | PROT_WRITE, MAP_SHARED, node, 0), ENODEV);
    }
    expect_there(NUMBER, is_host, "there");
    /* A generator of all 32 bits gives these numbers, too. */
    set(UINT32_MAX, info);
    expect_there(UINT32_MAX, is_host, "there, and giving all ones");
    set(0, info);
    expect_there(0, is_host, "there, and giving zeros");
    /* The bus of a PC, and QEMU's. */
    set(UINT32_MAX, UINT32_MAX);
    expect_gone("the bus gives all ones");
    set(0, 0);
    expect_gone("the bus gives zeros");
    set(0, info ^ 1);
    expect_gone("another device in its place");
    set_decoding(false);
    expect_gone("memory decoding is off");
    set_decoding(true);
    set(UINT32_MAX, UINT32_MAX);
    unbind();
    ASSERT(memory == NULL || memory[0] == 0xa5);
}

/* Without INFO, the driver asks the configuration space whether the device is there. */
static uint32_t classic_info;

static void classic_device(void)
{
    set(NUMBER, classic_info);
    bind();
    expect_fdinfo("generator", "unknown");
    expect_fdinfo("bulk", "no");
    expect_fdinfo("hwrng", "no");
    expect_there(NUMBER, false, "there");
    set(UINT32_MAX, UINT32_MAX);
    expect_there(UINT32_MAX, false, "there, and giving all ones");
    set(0, 0);
    expect_there(0, false, "there, and giving zeros");
    set_decoding(false);
    expect_gone("memory decoding is off");
    set_decoding(true);
    unbind();
}

TEST("a device that does not answer is not bound, and can come back")
{
    set_decoding(false);
    ASSERT_ERROR(write_file(DRIVER "bind", address), ENODEV);
    ASSERT_ERROR(access(NODE, F_OK), ENOENT);
    set_decoding(true);
    set(1, signature);
    bind();
    expect_there(1, false, "come back");
    unbind();
}

TEST("hw_random is told that the device is gone")
{
    static const uint32_t expected[2] = {NUMBER, NUMBER};
    uint32_t got[2];
    ssize_t bytes;
    int fd;

    set(NUMBER, signature | 2 | RNG_INFO_FAILURES);
    bind();
    expect_fdinfo("hwrng", "yes");
    ASSERT_EQ(write_file(HWRNG "current", RNG_NODE), 0);
    fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(read(fd, got, 8), 8);
    ASSERT_EQ(memcmp(got, expected, 8), 0);
    /* hw_random first gives what it has buffered. */
    set(UINT32_MAX, UINT32_MAX);
    do {
        bytes = read(fd, got, 8);
    } while (bytes > 0);
    ASSERT_ERROR(bytes, ENODEV);
    expect_gone("used by hw_random");
    close(fd);
    unbind();
}

/* What a check that failed may have left. */
static void clean_up(void)
{
    write_file(DRIVER "unbind", address);
    set_decoding(true);
}

int main(int argc, char **argv)
{
    ASSERT_MSG(argc == 4, "usage: removal ADDRESS INFO_OFFSET SIGNATURE");
    address = argv[1];
    info_offset = strtoul(argv[2], NULL, 0);
    signature = strtoul(argv[3], NULL, 0) << 16;
    const uint32_t not_signed[] = {0, 1, 0x00020002, signature ^ 0x00010002, ~signature & 0xffff0000, UINT32_MAX};

    ASSERT_EQ(write_file(device_file(address, "enable"), "1"), 0);
    ASSERT_EQ(write_file(device_file(address, "driver_override"), "my_rng"), 0);
    bar = map_bar(device_file(address, "resource0"));
    config = open(device_file(address, "config"), O_RDWR | O_CLOEXEC);
    ASSERT(config >= 0);
    /* hw_random reads whenever it likes, and numbers are counted here. */
    ASSERT_EQ(write_file(HWRNG "current", "none"), 0);

    tap.before = clean_up;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        kind = &kinds[i];
        tap_check(kind->check, known_device);
    }
    for (size_t i = 0; i < ARRAY_SIZE(not_signed); i++) {
        char name[64];

        snprintf(name, sizeof(name), "INFO 0x%08x is of a classic device, which works", not_signed[i]);
        classic_info = not_signed[i];
        tap_check(name, classic_device);
    }
    return tap_run();
}
