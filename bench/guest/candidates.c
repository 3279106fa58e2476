/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The candidates that one thread measures, one after the other. */
#include "bench.h"

enum {
    /* A sample takes this long, so that reading the clock costs nothing beside it. */
    SAMPLE_NS = 25 * 1000 * 1000,
    /* Latencies are compared by the percent, and are quick to measure: so many samples of them in each round. */
    LATENCIES = 6,
    MAX_CANDIDATES = 64,
};

static volatile uint32_t sink;

static struct candidate candidates[MAX_CANDIDATES];
static int candidate_count;
/* The first so many are latencies. */
static int latency_count;

static struct candidate *add(const char *kind, const char *what, size_t size,
                             void (*run)(const struct candidate *, uint64_t), int fd)
{
    struct candidate *candidate = &candidates[candidate_count++];

    CHECK(candidate_count <= MAX_CANDIDATES, "too many candidates");
    *candidate = (struct candidate){ .run = run, .fd = fd, .size = size };
    if (size == 0) {
        snprintf(candidate->name, sizeof(candidate->name), "%s.%s", kind, what);
    } else {
        snprintf(candidate->name, sizeof(candidate->name), "%s.%s.%zu", kind, what, size);
    }
    return candidate;
}

void run_mmio(const struct candidate *candidate, uint64_t count)
{
    uint32_t sum = 0;

    while (count-- > 0) {
        sum += *candidate->reg;
    }
    sink = sum;
}

static void run_rand(const struct candidate *candidate, uint64_t count)
{
    unsigned int number;

    while (count-- > 0) {
        CHECK(ioctl(candidate->fd, RNG_IOCTL_RAND, &number) == 0, "%s: %m", candidate->name);
    }
}

static void run_seed(const struct candidate *candidate, uint64_t count)
{
    unsigned int seed = RNG_DEFAULT_SEED;

    while (count-- > 0) {
        CHECK(ioctl(candidate->fd, RNG_IOCTL_SEED, &seed) == 0, "%s: %m", candidate->name);
    }
}

static void run_read(const struct candidate *candidate, uint64_t count)
{
    while (count-- > 0) {
        read_whole(candidate->fd, memories[0], candidate->size, candidate->name);
    }
}

static void run_file(const struct candidate *candidate, uint64_t count)
{
    off_t offset = 0;

    while (count-- > 0) {
        CHECK(pread(candidate->fd, memories[0], candidate->size, offset) == (ssize_t)candidate->size,
              "%s: %m", candidate->name);
        offset = (offset + candidate->size) % MIB;
    }
}

static void run_fill(const struct candidate *candidate, uint64_t count)
{
    uint32_t offset = 0;

    while (count-- > 0) {
        fill_part(candidate->fd, offset, candidate->size, candidate->name);
        offset = (offset + candidate->size) % MAPPED;
    }
}

static void run_nothing(const struct candidate *candidate, uint64_t count)
{
    (void)candidate;
    (void)count;
}

/* What the clock itself costs where calls are timed one by one. */
static const struct candidate nothing = { .name = "clock", .run = run_nothing };

static uint64_t measure(const struct candidate *candidate)
{
    uint64_t start = now();

    candidate->run(candidate, candidate->count);
    return now() - start;
}

/* Finds how many operations a sample takes. */
static void calibrate(struct candidate *candidate)
{
    uint64_t took;

    for (candidate->count = 1; (took = measure(candidate)) < SAMPLE_NS / 4; candidate->count *= 2) {
    }
    if (took < SAMPLE_NS) {
        candidate->count = candidate->count * SAMPLE_NS / took + 1;
    }
}

void print_sample(const char *name, const char *suffix, uint64_t count, size_t bytes, uint64_t ns)
{
    printf("{\"kind\":\"sample\",\"name\":\"%s%s\",\"count\":%" PRIu64 ",\"bytes\":%zu,\"ns\":%" PRIu64 "}\n", name,
           suffix, count, bytes, ns);
}

/* In odd rounds backwards, so that no candidate always follows the same one. */
static void sample_all(int first, int end, int round)
{
    for (int i = first; i < end; i++) {
        const struct candidate *candidate = &candidates[round % 2 == 0 ? i : end - 1 - (i - first)];

        print_sample(candidate->name, "", candidate->count, candidate->size, measure(candidate));
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

void time_singles(const struct candidate *candidate, int most, uint64_t limit_ns, uint64_t pause_ns)
{
    static uint32_t times[MAX_SINGLES];
    uint64_t start = now(), before, after = start;
    int count = 0;

    do {
        uint64_t next = after + pause_ns;

        do {
            before = now();
        } while (before < next);
        candidate->run(candidate, 1);
        after = now();
        times[count++] = after - before < UINT32_MAX ? after - before : UINT32_MAX;
    } while (count < most && after - start < limit_ns);
    qsort(times, count, sizeof(times[0]), compare);
    printf("{\"kind\":\"singles\",\"name\":\"%s\",\"p50\":%" PRIu32 ",\"p99\":%" PRIu32 "}\n", candidate->name,
           times[count / 2], times[count - 1 - count / 100]);
}

static void add_latencies(void)
{
    volatile uint32_t *rng = map_bar("rust");
    int rust, c;

    add("mmio", "rng", 0, run_mmio, -1)->reg = rng + RNG_REG_RNG / 4;
    add("mmio", "twin", 0, run_mmio, -1)->reg = map_bar("twin");
    /* To check the measurement: another device of the same kind. */
    add("mmio", "other", 0, run_mmio, -1)->reg = map_bar("c") + RNG_REG_RNG / 4;
    add("mmio", "info", 0, run_mmio, -1)->reg = rng + RNG_REG_INFO / 4;
    add("mmio", "edu", 0, run_mmio, -1)->reg = map_bar("edu");

    rust = open_device("rust");
    c = open_c_twin("c");
    add("ioctl.rand", "rust", 0, run_rand, rust);
    add("ioctl.rand", "c", 0, run_rand, c);
    add("ioctl.seed", "rust", 0, run_seed, rust);
    add("ioctl.seed", "c", 0, run_seed, c);
    latency_count = candidate_count;
}

static const char *const generators[] = { "libc", "chacha20", "chacha8", "xoshiro256pp", "host" };
enum { GENERATORS = COUNT(generators) };

static void add_reads(void)
{
    static const size_t sizes[] = { 64, 4 * KIB, MIB };
    int fds[GENERATORS], tmpfs = open_tmpfs(), zero = open_node("/dev/zero");
    int urandom = open_node("/dev/urandom"), virtio = open_virtio();

    for (int i = 0; i < GENERATORS; i++) {
        fds[i] = open_device(generators[i]);
    }
    /* All of one size before the next, so that what is compared is measured close together. */
    for (int i = 0; i < COUNT(sizes); i++) {
        for (int j = 0; j < GENERATORS; j++) {
            add("read", generators[j], sizes[i], run_read, fds[j]);
        }
        add("read", "tmpfs", sizes[i], run_file, tmpfs);
        add("read", "zero", sizes[i], run_read, zero);
        add("read", "urandom", sizes[i], run_read, urandom);
        add("read", "virtio", sizes[i], run_read, virtio);
    }
}

static void add_fills(void)
{
    static const size_t sizes[] = { 4 * KIB, 64 * KIB, MAPPED };

    for (int i = 0; i < GENERATORS; i++) {
        int fd = open_device(generators[i]);

        map_buffer(fd, generators[i]);
        for (int j = 0; j < COUNT(sizes); j++) {
            add("fill", generators[i], sizes[j], run_fill, fd);
        }
    }
}

void add_candidates(bool all)
{
    add_latencies();
    if (all) {
        add_reads();
        add_fills();
    }
    for (int i = 0; i < candidate_count; i++) {
        calibrate(&candidates[i]);
    }
}

void sample_candidates(int round)
{
    for (int i = 0; i < LATENCIES; i++) {
        sample_all(0, latency_count, round * LATENCIES + i);
    }
    time_singles(&nothing, MAX_SINGLES, UINT64_MAX, 0);
    for (int i = 0; i < latency_count; i++) {
        time_singles(&candidates[i], MAX_SINGLES, UINT64_MAX, 0);
    }
    sample_all(latency_count, candidate_count, round);
}
