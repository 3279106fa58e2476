/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bulk engine under a hostile guest or a broken driver: DOORBELL is rung, through sysfs and without the
 * driver, with pages that are not memory and with invalid descriptors. The only effect may be a status: the
 * stream goes on with its next number, and another device is not affected. Each check prints how often it
 * rang and how many guest errors the device must have logged.
 *
 *   doorbell ADDRESS OTHER MEMORY    (PCI addresses of two devices that nobody has used; where memory ends, in MiB)
 */
#include "tasks.h"
#include "transfer.h"
#include <dirent.h>

enum { NUMBERS = PAGE / 4 };

static volatile uint32_t *bar, *other_bar;
static uint64_t bar_at, other_bar_at, memory_end;
static struct stream other_stream;
static unsigned long rings, errors;
/* Two pages that stay where they are, and their addresses on the bus. */
static struct descriptor *descriptor;
static uint32_t *filled;
static uint64_t descriptor_at, filled_at;

static void expect_streams(void)
{
    ASSERT_EQ(bar[RNG_REG_RNG / 4], stream_next(&stream));
    ASSERT_EQ(other_bar[RNG_REG_RNG / 4], stream_next(&other_stream));
}

static void seed(void)
{
    bar[RNG_REG_SEED / 4] = 0x42;
    stream_seed(&stream, 0x42);
    other_bar[RNG_REG_SEED / 4] = 0x43;
    stream_seed(&other_stream, 0x43);
}

static void ring(uint32_t page)
{
    rings++;
    ring_doorbell(bar, page);
}

static void ring_nowhere(uint64_t page)
{
    tap_context("page 0x%lx", page);
    ring(page);
    errors++;
    expect_streams();
}

static void unused_devices(void)
{
    stream_seed(&stream, RNG_DEFAULT_SEED);
    stream_seed(&other_stream, RNG_DEFAULT_SEED);
    expect_streams();
}

TEST("a descriptor in the memory of a device or the platform is not read")
{
    static const uint64_t platform[] = {0xfee00, 0xfec00, 0xfed00, 0xfed90, 0xfffff, 0xe0000, 0xfebff, 0xb0000};
    DIR *folder = opendir(DEVICES);
    struct dirent *entry;
    int found = 0;

    ASSERT(folder != NULL);
    while ((entry = readdir(folder)) != NULL) {
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(device_file(entry->d_name, "resource"), "r");
        uint64_t first, last, flags;

        while (file != NULL && fscanf(file, "%lx %lx %lx", &first, &last, &flags) == 3) {
            /* IORESOURCE_MEM of Linux's include/linux/ioport.h */
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
    ASSERT(found >= 2);
    for (size_t i = 0; i < ARRAY_SIZE(platform); i++) {
        ring_nowhere(platform[i]);
    }
}

TEST("a descriptor beyond memory is not read")
{
    ring_nowhere(UINT32_MAX);
    ring_nowhere(UINT32_MAX - 1);
    ring_nowhere(INT32_MAX);
    for (int bit = 21; bit < 32; bit++) {
        ring_nowhere(UINT32_C(1) << bit);
    }
    for (uint64_t i = 0; i < 2000; i++) {
        /* Next to the end of memory, and far from it. */
        ring_nowhere(memory_end / PAGE + i);
        ring_nowhere(0x200000 + (2000 + i) * 0x10f3f5);
    }
}

static void expect_status(enum status status, uint32_t bytes)
{
    memset(filled, 0xa5, PAGE);
    descriptor->status = WAITING;
    descriptor->done = 0xdeadbeef;
    ring(descriptor_at / PAGE);
    ASSERT_EQ(descriptor->status, status);
    ASSERT_EQ(descriptor->done, bytes);
    errors += status != FILLED;
}

static void expect_refused(enum status status)
{
    expect_status(status, 0);
    expect_bytes(filled, PAGE, 0xa5);
    expect_streams();
}

/* Writes a descriptor of `count` segments, each of them the same page. */
static void describe(uint32_t count, uint32_t length)
{
    memset(descriptor, 0, PAGE);
    descriptor->count = count;
    for (uint32_t i = 0; i < count && i < MAX_SEGMENTS; i++) {
        descriptor->segments[i] = (struct segment){filled_at, length, 0};
    }
}

TEST("an invalid descriptor is refused and nothing is written")
{
    static const uint32_t counts[] = {0, MAX_SEGMENTS + 1, 256, 1u << 16, 1u << 31, UINT32_MAX};

    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        tap_context("%u segments", counts[i]);
        describe(counts[i], 4);
        expect_refused(BAD_DESCRIPTOR);
    }
    tap_context("a reserved field");
    describe(1, 4);
    descriptor->reserved = 1;
    expect_refused(BAD_DESCRIPTOR);
    tap_context("a segment's reserved field");
    describe(2, 4);
    descriptor->segments[1].reserved = 1u << 31;
    expect_refused(BAD_DESCRIPTOR);
    tap_context("too many bytes");
    describe(RNG_BULK_MAX_BYTES / PAGE + 1, PAGE);
    expect_refused(BAD_DESCRIPTOR);
    tap_context("far too many bytes");
    describe(MAX_SEGMENTS, UINT32_MAX - 3);
    expect_refused(BAD_DESCRIPTOR);
}

TEST("an invalid segment is refused and nothing is written")
{
    const struct {
        const char *name;
        struct segment segment;
        enum status status;
    } bad[] = {
        {"empty", {filled_at, 0, 0}, BAD_DESCRIPTOR},
        {"not of whole numbers", {filled_at, 3, 0}, BAD_DESCRIPTOR},
        {"unaligned", {filled_at + 2, 4, 0}, BAD_DESCRIPTOR},
        {"beyond all addresses", {UINT64_MAX - 3, 8, 0}, BAD_DESCRIPTOR},
        {"at the end of all addresses", {UINT64_MAX - 3, 4, 0}, BAD_MEMORY},
        {"across the end of memory", {memory_end - 4, 8, 0}, BAD_MEMORY},
        {"after the end of memory", {memory_end, 4, 0}, BAD_MEMORY},
        {"long", {memory_end - MAX + 64, MAX - 32, 0}, BAD_MEMORY},
        {"the device's own RNG", {bar_at, 4, 0}, BAD_MEMORY},
        {"the device's own SEED, INFO and DOORBELL", {bar_at + RNG_REG_SEED, 12, 0}, BAD_MEMORY},
        {"all the device's own registers", {bar_at, PAGE, 0}, BAD_MEMORY},
        {"another device's registers", {other_bar_at, 16, 0}, BAD_MEMORY},
        {"another device's SEED", {other_bar_at + RNG_REG_SEED, 4, 0}, BAD_MEMORY},
        {"a PC's interrupt controller", {0xfee00000, 4, 0}, BAD_MEMORY},
        {"nowhere", {UINT64_C(1) << 40, PAGE, 0}, BAD_MEMORY},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        tap_context("a segment that is %s", bad[i].name);
        describe(1, 0);
        descriptor->segments[0] = bad[i].segment;
        expect_refused(bad[i].status);
        tap_context("after good ones, a segment that is %s", bad[i].name);
        describe(3, 16);
        descriptor->segments[2] = bad[i].segment;
        expect_refused(bad[i].status);
    }
}

/* The page begins with the stream's next numbers, and the rest is as it was. */
static void expect_filled(uint32_t length)
{
    expect_numbers(filled, length);
    expect_bytes((char *)filled + length, PAGE - length, 0xa5);
    expect_streams();
}

TEST("a segment is filled and nothing beside it")
{
    describe(1, 100);
    expect_status(FILLED, 100);
    expect_filled(100);
}

TEST("the same page can be filled again and again, up to the largest transfer")
{
    describe(RNG_BULK_MAX_BYTES / PAGE, PAGE);
    expect_status(FILLED, RNG_BULK_MAX_BYTES);
    /* The last numbers stay. */
    stream_skip(&stream, RNG_BULK_MAX_BYTES / 4 - NUMBERS);
    expect_filled(PAGE);
}

TEST("as many segments as a descriptor holds are filled in order")
{
    describe(MAX_SEGMENTS, 4);
    for (int i = 0; i < MAX_SEGMENTS; i++) {
        descriptor->segments[i].address += 4 * i;
    }
    expect_status(FILLED, 4 * MAX_SEGMENTS);
    expect_filled(4 * MAX_SEGMENTS);
}

TEST("a descriptor that fills itself still gets its status")
{
    describe(1, 0);
    descriptor->segments[0] = (struct segment){descriptor_at, PAGE, 0};
    expect_status(FILLED, PAGE);
    for (int i = 0; i < NUMBERS; i++) {
        uint32_t expected = stream_next(&stream);

        /* Its status and count of bytes are written last. */
        if (i != 0 && i != 2) {
            ASSERT_EQ(((uint32_t *)descriptor)[i], expected);
        }
    }
    expect_streams();
}

static atomic_bool started, stop;

static void change(int number)
{
    volatile struct descriptor *shared = descriptor;

    (void)number;
    for (uint32_t i = 0; !atomic_load(&stop); i = i * 1664525 + 1013904223) {
        volatile struct segment *segment = &shared->segments[i >> 8 & 7];

        shared->count = i >> 11 & 15;
        /* Never beyond the page. */
        segment->length = i >> 15 & 4092;
        /* Memory, or nowhere. */
        segment->address = i >> 30 == 0 ? filled_at | UINT64_C(1) << 40 : filled_at;
        shared->segments[i >> 16 & 7].reserved = (i >> 26 & 31) == 0;
        atomic_store(&started, true);
    }
}

TEST("a descriptor that changes while it is read gets a valid status")
{
    unsigned long counts[4] = {0};

    describe(8, 4);
    start_threads(1, change);
    while (!atomic_load(&started)) {
    }
    for (int i = 0; i < 3000; i++) {
        uint32_t status, done;

        descriptor->status = WAITING;
        ring(descriptor_at / PAGE);
        status = descriptor->status;
        done = descriptor->done;
        ASSERT_MSG(status >= FILLED && status <= BAD_MEMORY, "status %u", status);
        ASSERT_MSG(done <= 15 * PAGE && done % 4 == 0 && (status == FILLED) == (done > 0), "status %u, %u bytes",
                   status, done);
        counts[status]++;
    }
    atomic_store(&stop, true);
    join_threads();
    errors += counts[BAD_DESCRIPTOR] + counts[BAD_MEMORY];
    printf("# changed: %lu filled, %lu bad\n", counts[FILLED], counts[BAD_DESCRIPTOR] + counts[BAD_MEMORY]);
    seed();
    expect_streams();
}

static void print_counts(void)
{
    printf("# rings: %lu\n# guest errors: %lu\n", rings, errors);
}

int main(int argc, char **argv)
{
    ASSERT_MSG(argc == 4, "usage: doorbell ADDRESS OTHER MEMORY");
    memory_end = strtoull(argv[3], NULL, 10) << 20;
    bar = map_rng(argv[1], &bar_at);
    other_bar = map_rng(argv[2], &other_bar_at);
    descriptor = make_pages(1);
    descriptor_at = bus_address(descriptor);
    filled = make_pages(1);
    filled_at = bus_address(filled);

    tap.after = print_counts;
    tap_check("both devices start with the default seed", unused_devices);
    tap.before = seed;
    return tap_run();
}
