/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bulk engine in the hands of somebody who means no good, or whose driver is broken: DOORBELL is rung, through
 * sysfs and without the driver, with pages that are no memory, and with descriptors that are none. Nothing may
 * come of it but a status; the stream goes on with its next number, and other devices notice nothing. Prints how
 * many guest errors the device must have logged.
 *
 *   doorbell ADDRESS OTHER MEMORY    (of the device and of another of its kind, which nobody has used, as the
 *                                     folders of /sys/bus/pci/devices are named; the machine's memory in MiB)
 */
#include "guest.h"
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define DEVICES "/sys/bus/pci/devices/"

enum { PAGE = RNG_BULK_PAGE, NUMBERS = PAGE / 4, MAX_SEGMENTS = (PAGE - 16) / 16 };
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

_Static_assert(sizeof(struct descriptor) == PAGE, "a descriptor is a page");

static volatile uint32_t *bar, *other_bar;
static struct model model, other_model;
static unsigned long errors, rings;
/* Pages that stay where they are, and where that is, to the device. */
static struct descriptor *descriptor;
static uint32_t *filled;
static uint64_t descriptor_at, filled_at;

static void set_up(const char *address, volatile uint32_t **registers)
{
    char path[96];
    uint16_t command;
    int fd;

    /* Memory, and master of the bus. */
    snprintf(path, sizeof(path), DEVICES "%s/config", address);
    fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && pread(fd, &command, 2, 4) == 2, "%s: %m", path);
    command |= 6;
    CHECK(pwrite(fd, &command, 2, 4) == 2, "%s: %m", path);
    close(fd);
    snprintf(path, sizeof(path), DEVICES "%s/resource0", address);
    fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
    CHECK(fd >= 0, "%s: %m", path);
    *registers = mmap(NULL, RNG_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(*registers != MAP_FAILED, "mmap of %s: %m", path);
    close(fd);
    CHECK((*registers)[RNG_REG_INFO / 4] & RNG_INFO_BULK, "%s has no bulk engine", address);
}

/* A page of memory that is not moved, and its address on the bus. */
static void *make_page(uint64_t *address)
{
    void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t entry;

    CHECK(at != MAP_FAILED && fd >= 0, "a page: %m");
    memset(at, 0xa5, PAGE);
    CHECK(pread(fd, &entry, 8, (uintptr_t)at / PAGE * 8) == 8, "/proc/self/pagemap: %m");
    close(fd);
    *address = (entry & ((UINT64_C(1) << 55) - 1)) * PAGE;
    CHECK(entry >> 63 != 0 && *address != 0, "the page has no address");
    return at;
}

static void check_streams(const char *after, unsigned long long value)
{
    uint32_t word = bar[RNG_REG_RNG / 4], expected = model_next(&model);

    CHECK(word == expected, "after %s 0x%llx the stream goes on with %u, not %u", after, value, word, expected);
    word = other_bar[RNG_REG_RNG / 4];
    expected = model_next(&other_model);
    CHECK(word == expected, "after %s 0x%llx another device's stream goes on with %u, not %u", after, value, word,
          expected);
}

static void ring(uint32_t page)
{
    rings++;
    /* The device reads and writes memory meanwhile. */
    asm volatile("" : : : "memory");
    bar[RNG_REG_DOORBELL / 4] = page;
    asm volatile("" : : : "memory");
}

/* A page that is no memory. */
static void ring_nowhere(uint64_t page)
{
    ring(page);
    errors++;
    check_streams("DOORBELL of", page);
}

/* All memory of all PCI devices, and that of the platform. */
static void check_mmio(void)
{
    static const uint64_t platform[] = {0xfee00, 0xfec00, 0xfed00, 0xfed90, 0xfffff, 0xe0000, 0xfebff, 0xb0000};
    DIR *folder = opendir(DEVICES);
    struct dirent *entry;
    int found = 0;

    CHECK(folder != NULL, DEVICES ": %m");
    while ((entry = readdir(folder)) != NULL) {
        char path[320];
        uint64_t first, last, flags;
        FILE *file;

        snprintf(path, sizeof(path), DEVICES "%s/resource", entry->d_name);
        file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        while (file != NULL && fscanf(file, "%lx %lx %lx", &first, &last, &flags) == 3) {
            /* IORESOURCE_MEM of Linux's include/linux/ioport.h. */
            if ((flags & 0x200) != 0 && first / PAGE <= UINT32_MAX) {
                ring_nowhere(first / PAGE);
                ring_nowhere(last / PAGE);
                found++;
            }
        }
        if (file != NULL) {
            fclose(file);
        }
    }
    closedir(folder);
    CHECK(found >= 2, "there is no memory of devices");
    for (size_t i = 0; i < sizeof(platform) / sizeof(platform[0]); i++) {
        ring_nowhere(platform[i]);
    }
}

/* Beyond all memory, up to the last page that can be named. */
static void check_beyond(uint64_t memory_end)
{
    ring_nowhere(UINT32_MAX);
    ring_nowhere(UINT32_MAX - 1);
    ring_nowhere(INT32_MAX);
    ring_nowhere(UINT32_C(1) << 31);
    for (int bit = 21; bit < 32; bit++) {
        ring_nowhere(UINT32_C(1) << bit);
    }
    for (uint64_t i = 0; i < 4000; i++) {
        /* From the end of memory to that of 32 bits, then far between. */
        ring_nowhere(i < 2000 ? memory_end / PAGE + i : 0x200000 + i * 0x10f3f5);
    }
}

/* Carries out what the descriptor says: what has to come of it, and how many bytes. */
static void expect(enum status status, uint32_t bytes, const char *what)
{
    descriptor->status = WAITING;
    descriptor->done = 0xdeadbeef;
    ring(descriptor_at / PAGE);
    CHECK(descriptor->status == status && descriptor->done == bytes, "%s: status %u and %u bytes, not %u and %u",
          what, descriptor->status, descriptor->done, status, bytes);
    errors += status != FILLED;
}

/* Nothing has come of it. */
static void refused(enum status status, const char *what)
{
    memset(filled, 0xa5, PAGE);
    expect(status, 0, what);
    for (int i = 0; i < NUMBERS; i++) {
        CHECK(filled[i] == 0xa5a5a5a5, "%s, and memory is written to", what);
    }
    check_streams(what, 0);
}

/* A descriptor of so many segments, all of them the page that is to be filled. */
static void describe(uint32_t count, uint32_t length)
{
    memset(descriptor, 0, PAGE);
    descriptor->count = count;
    for (uint32_t i = 0; i < count && i < MAX_SEGMENTS; i++) {
        descriptor->segments[i] = (struct segment){filled_at, length, 0};
    }
}

static void bad_segment(uint64_t address, uint32_t length, enum status status, const char *what)
{
    /* By itself, and after good ones. */
    describe(1, 0);
    descriptor->segments[0] = (struct segment){address, length, 0};
    refused(status, what);
    describe(3, 16);
    descriptor->segments[2] = (struct segment){address, length, 0};
    refused(status, what);
}

static void check_descriptors(uint64_t memory_end, uint64_t own, uint64_t other)
{
    static const uint32_t counts[] = {0, MAX_SEGMENTS + 1, 256, 1u << 16, 1u << 31, UINT32_MAX};

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        describe(counts[i], 4);
        refused(BAD_DESCRIPTOR, "a count of segments");
    }
    describe(1, 4);
    descriptor->reserved = 1;
    refused(BAD_DESCRIPTOR, "a reserved field");
    describe(2, 4);
    descriptor->segments[1].reserved = 1u << 31;
    refused(BAD_DESCRIPTOR, "a segment's reserved field");
    describe(RNG_BULK_MAX_BYTES / PAGE + 1, PAGE);
    refused(BAD_DESCRIPTOR, "too many bytes");
    describe(MAX_SEGMENTS, UINT32_MAX - 3);
    refused(BAD_DESCRIPTOR, "far too many bytes");

    bad_segment(filled_at, 0, BAD_DESCRIPTOR, "a segment of nothing");
    bad_segment(filled_at, 3, BAD_DESCRIPTOR, "a segment of no whole number");
    bad_segment(filled_at + 2, 4, BAD_DESCRIPTOR, "a segment at an odd address");
    bad_segment(UINT64_MAX - 3, 8, BAD_DESCRIPTOR, "a segment beyond all addresses");
    bad_segment(UINT64_MAX - 3, 4, BAD_MEMORY, "a segment at the end of all addresses");
    bad_segment(memory_end - 4, 8, BAD_MEMORY, "a segment across the end of memory");
    bad_segment(memory_end, 4, BAD_MEMORY, "a segment after the end of memory");
    bad_segment(memory_end - RNG_BULK_MAX_BYTES + 64, RNG_BULK_MAX_BYTES - 32, BAD_MEMORY, "a long segment");
    bad_segment(own, 4, BAD_MEMORY, "the device's own registers");
    bad_segment(own + RNG_REG_SEED, 12, BAD_MEMORY, "the device's own registers");
    bad_segment(own, PAGE, BAD_MEMORY, "the device's own registers");
    bad_segment(other, 16, BAD_MEMORY, "another device's registers");
    bad_segment(other + RNG_REG_SEED, 4, BAD_MEMORY, "another device's seed");
    bad_segment(0xfee00000, 4, BAD_MEMORY, "the interrupt controller");
    bad_segment(UINT64_C(1) << 40, PAGE, BAD_MEMORY, "nowhere");
}

static void check_filled(uint32_t length, uint32_t skipped, const char *what)
{
    for (uint32_t i = 0; i < skipped; i++) {
        model_next(&model);
    }
    for (uint32_t i = 0; i < NUMBERS; i++) {
        uint32_t expected = i < length / 4 ? model_next(&model) : 0xa5a5a5a5;

        CHECK(filled[i] == expected, "%s: number %u is 0x%x, not 0x%x", what, i, filled[i], expected);
    }
    check_streams(what, 0);
}

/* What is odd, and allowed. */
static void check_good(void)
{
    memset(filled, 0xa5, PAGE);
    describe(1, 100);
    expect(FILLED, 100, "a segment");
    check_filled(100, 0, "a segment");
    /* The same memory again and again: the last numbers stay. */
    memset(filled, 0xa5, PAGE);
    describe(RNG_BULK_MAX_BYTES / PAGE, PAGE);
    expect(FILLED, RNG_BULK_MAX_BYTES, "all that is possible");
    check_filled(PAGE, RNG_BULK_MAX_BYTES / 4 - NUMBERS, "all that is possible");
    memset(filled, 0xa5, PAGE);
    describe(MAX_SEGMENTS, 4);
    for (int i = 0; i < MAX_SEGMENTS; i++) {
        descriptor->segments[i].address += 4 * i;
    }
    expect(FILLED, 4 * MAX_SEGMENTS, "many segments");
    check_filled(4 * MAX_SEGMENTS, 0, "many segments");
    /* The descriptor itself: its status is written last. */
    describe(1, 0);
    descriptor->segments[0] = (struct segment){descriptor_at, PAGE, 0};
    expect(FILLED, PAGE, "a descriptor that is filled");
    for (int i = 0; i < NUMBERS; i++) {
        uint32_t expected = model_next(&model);

        /* Not its status, and how much was done. */
        CHECK(i == 0 || i == 2 || ((uint32_t *)descriptor)[i] == expected, "word %d of a descriptor", i);
    }
    check_streams("a descriptor that was filled", 0);
}

static atomic_bool started, stop;

static void *change(void *argument)
{
    volatile struct descriptor *shared = argument;

    for (uint32_t i = 0; !atomic_load(&stop); i = i * 1664525 + 1013904223) {
        volatile struct segment *segment = &shared->segments[i >> 8 & 7];

        shared->count = i >> 11 & 15;
        /* Never beyond the page. */
        segment->length = i >> 15 & 4092;
        /* Whichever half is seen first: memory, or nowhere. */
        segment->address = i >> 30 == 0 ? filled_at | UINT64_C(1) << 40 : filled_at;
        shared->segments[i >> 16 & 7].reserved = (i >> 26 & 31) == 0;
        atomic_store(&started, true);
    }
    return NULL;
}

/* Somebody changes the descriptor while the device reads it. */
static void check_changes(void)
{
    pthread_t thread;
    unsigned long counts[4] = {0};

    describe(8, 4);
    CHECK(pthread_create(&thread, NULL, change, descriptor) == 0, "thread");
    while (!atomic_load(&started)) {
    }
    for (int i = 0; i < 3000; i++) {
        uint32_t status, done;

        descriptor->status = WAITING;
        ring(descriptor_at / PAGE);
        status = descriptor->status;
        done = descriptor->done;
        CHECK(status >= FILLED && status <= BAD_MEMORY, "status %u", status);
        CHECK(done <= 15 * PAGE && done % 4 == 0 && (status == FILLED) == (done > 0), "status %u, %u bytes",
              status, done);
        counts[status]++;
    }
    atomic_store(&stop, true);
    CHECK(pthread_join(thread, NULL) == 0, "join");
    errors += counts[BAD_DESCRIPTOR] + counts[BAD_MEMORY];
    printf("changed: %lu filled, %lu bad\n", counts[FILLED], counts[BAD_DESCRIPTOR] + counts[BAD_MEMORY]);
    model_seed(&model, 0x42);
    bar[RNG_REG_SEED / 4] = 0x42;
    check_streams("changes", 0);
}

static uint64_t address_of(const char *device)
{
    char path[96], text[64] = "";
    int fd;

    snprintf(path, sizeof(path), DEVICES "%s/resource", device);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0, "%s: %m", path);
    close(fd);
    return strtoull(text, NULL, 16);
}

int main(int argc, char **argv)
{
    uint64_t memory_end;

    CHECK(argc == 4, "usage: doorbell ADDRESS OTHER MEMORY");
    memory_end = strtoull(argv[3], NULL, 10) << 20;
    set_up(argv[1], &bar);
    set_up(argv[2], &other_bar);
    model_seed(&model, RNG_DEFAULT_SEED);
    model_seed(&other_model, RNG_DEFAULT_SEED);
    descriptor = make_page(&descriptor_at);
    filled = make_page(&filled_at);

    check_streams("boot", 0);
    check_mmio();
    check_beyond(memory_end);
    check_descriptors(memory_end, address_of(argv[1]), address_of(argv[2]));
    check_good();
    check_changes();
    printf("rings: %lu\nguest errors: %lu\n", rings, errors);
    return 0;
}
