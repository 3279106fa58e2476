/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's half of make bench. It measures one candidate after the other, round after round, so that drift
 * affects all of them alike, and prints each sample as a line of JSON. The host's half computes the medians.
 *
 *   bench ROUNDS PORT NAME=ADDRESS...   PORT: where the host answers
 *                                       NAME=ADDRESS: the PCI devices: one my_rng device for each generator,
 *                                       and rust, c (for the driver's twin), twin (of the device), edu
 *
 * The my_rng devices behind a bridge are for many readers at once.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition, ...)                                                  \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "bench: " __VA_ARGS__);                            \
            fprintf(stderr, "\n");                                             \
            exit(1);                                                           \
        }                                                                      \
    } while (0)
#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* The argument of the ioctl FILL: a part of the mapped buffer. */
struct fill {
    uint32_t offset;
    uint32_t length;
};

enum {
    KIB = 1024,
    MIB = 1024 * KIB,
    MAPPED = 256 * KIB,
    /* A sample takes this long, so that reading the clock costs nothing beside it. */
    SAMPLE_NS = 25 * 1000 * 1000,
    /* Latencies are compared by the percent, and are quick to measure: so many samples of them in each round. */
    LATENCIES = 6,
    MAX_NODES = 64,
    MAX_CANDIDATES = 64,
    /* What each of many readers takes at a time. */
    READER_SIZE = 64 * KIB,
    MAX_SAME = 4,
};

static unsigned char buffer[MIB] __attribute__((aligned(4096)));
static volatile uint32_t sink;

static uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    return time.tv_sec * UINT64_C(1000000000) + time.tv_nsec;
}

/* ---- the candidates ---- */

struct candidate {
    char name[64];
    void (*run)(const struct candidate *candidate, uint64_t count);
    int fd;
    size_t size;
    volatile uint32_t *reg;
    /* How many operations a sample has. */
    uint64_t count;
};

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

static void run_mmio(const struct candidate *candidate, uint64_t count)
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

static void read_whole(int fd, unsigned char *to, size_t size, const char *name)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = read(fd, to + done, size - done);

        CHECK(got > 0, "%s: %s", name, got < 0 ? strerror(errno) : "end of file");
        done += got;
    }
}

static void run_read(const struct candidate *candidate, uint64_t count)
{
    while (count-- > 0) {
        read_whole(candidate->fd, buffer, candidate->size, candidate->name);
    }
}

static void run_file(const struct candidate *candidate, uint64_t count)
{
    off_t offset = 0;

    while (count-- > 0) {
        CHECK(pread(candidate->fd, buffer, candidate->size, offset) == (ssize_t)candidate->size,
              "%s: %m", candidate->name);
        offset = (offset + candidate->size) % MIB;
    }
}

static void run_fill(const struct candidate *candidate, uint64_t count)
{
    struct fill fill = { .offset = 0, .length = candidate->size };

    while (count-- > 0) {
        CHECK(ioctl(candidate->fd, RNG_IOCTL_FILL, &fill) >= 0, "%s: %m", candidate->name);
        fill.offset = (fill.offset + fill.length) % MAPPED;
    }
}

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

/* In odd rounds backwards, so that no candidate always follows the same one. */
static void sample_all(int first, int end, int round)
{
    for (int i = first; i < end; i++) {
        const struct candidate *candidate = &candidates[round % 2 == 0 ? i : end - 1 - (i - first)];
        uint64_t took = measure(candidate);

        printf("{\"kind\":\"sample\",\"name\":\"%s\",\"count\":%" PRIu64 ",\"bytes\":%zu,\"ns\":%" PRIu64 "}\n",
               candidate->name, candidate->count, candidate->size, took);
    }
}

/* ---- what is in the machine ---- */

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    CHECK(fd >= 0 && write(fd, text, strlen(text)) >= 0, "%s cannot be written: %m", path);
    close(fd);
}

/* Reads the first line of a file. */
static void read_line(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

    CHECK(got >= 0, "%s: %m", path);
    close(fd);
    text[got] = '\0';
    text[strcspn(text, "\n")] = '\0';
}

static void load_module(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0, "%s: %m", path);
    CHECK(syscall(SYS_finit_module, fd, "", 0) == 0, "%s cannot be loaded: %m", path);
    close(fd);
}

/* The devices of the command line: NAME=ADDRESS. */
static char **devices;

static const char *address_of(const char *name)
{
    size_t length = strlen(name);

    for (char **device = devices; *device != NULL; device++) {
        if (strncmp(*device, name, length) == 0 && (*device)[length] == '=') {
            return *device + length + 1;
        }
    }
    CHECK(false, "no address is given for %s", name);
    return NULL;
}

static volatile uint32_t *map_bar(const char *name)
{
    const char *address = address_of(name);
    char path[128];
    void *bar;
    int fd;

    /* Without a driver, memory decoding may be off. */
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", address);
    if (access(path, F_OK) != 0) {
        snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", address);
        write_file(path, "1");
    }
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", address);
    fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0, "%s: %m", path);
    bar = mmap(NULL, RNG_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(bar != MAP_FAILED, "%s: %m", path);
    close(fd);
    return bar;
}

static int open_node(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    /* /dev/hwrng is for reading only. */
    if (fd < 0 && errno == EINVAL) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    CHECK(fd >= 0, "%s: %m", path);
    return fd;
}

struct node {
    char path[64];
    char address[32];
};

static struct node nodes[MAX_NODES];
static int node_count;

/* Finds the nodes of the driver, and the device of each. */
static void find_nodes(void)
{
    for (; node_count < MAX_NODES; node_count++) {
        struct node *node = &nodes[node_count];
        char number[16] = "", path[128];

        if (node_count > 0) {
            snprintf(number, sizeof(number), "%d", node_count);
        }
        snprintf(node->path, sizeof(node->path), "/dev/" RNG_NODE "%s", number);
        if (access(node->path, F_OK) != 0) {
            return;
        }
        snprintf(path, sizeof(path), "/sys/kernel/debug/" RNG_NODE "%s/device", number);
        read_line(path, node->address, sizeof(node->address));
    }
}

static int open_device(const char *name)
{
    const char *address = address_of(name);

    for (int i = 0; i < node_count; i++) {
        if (strcmp(nodes[i].address, address) == 0) {
            return open_node(nodes[i].path);
        }
    }
    CHECK(false, "the device %s has no node", address);
    return -1;
}

/* Binds a device to the driver's twin. */
static int open_c_twin(const char *name)
{
    const char *address = address_of(name);
    char path[128];

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", address);
    write_file(path, "my_rng_twin");
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver/unbind", address);
    write_file(path, address);
    load_module("/bench/my_rng_twin.ko");
    return open_node("/dev/my_rng_twin");
}

static int open_virtio(void)
{
    load_module("/bench/virtio-rng.ko");
    write_file("/sys/class/misc/hw_random/rng_current", "virtio_rng.0");
    return open_node("/dev/hwrng");
}

static int open_tmpfs(void)
{
    int fd;

    mkdir("/bench/tmpfs", 0700);
    CHECK(mount("tmpfs", "/bench/tmpfs", "tmpfs", 0, NULL) == 0, "tmpfs: %m");
    fd = open("/bench/tmpfs/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, buffer, MIB) == MIB, "tmpfs: %m");
    return fd;
}

/* Maps the buffer of an open node, and fills all of it: each piece must change. */
static void map_buffer(int fd, const char *name)
{
    static const unsigned char zeros[64];
    unsigned char *mapped = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct fill fill = { .offset = 0, .length = MAPPED };

    CHECK(mapped != MAP_FAILED, "%s: the buffer cannot be mapped: %m", name);
    memset(mapped, 0, MAPPED);
    CHECK(ioctl(fd, RNG_IOCTL_FILL, &fill) >= 0, "%s: FILL: %m", name);
    for (int at = 0; at < MAPPED; at += sizeof(zeros)) {
        CHECK(memcmp(mapped + at, zeros, sizeof(zeros)) != 0, "%s: FILL left bytes unchanged", name);
    }
}

/* The accelerator of this machine, as the machine itself says. */
static const char *accelerator(void)
{
    unsigned int leaf, name[3];

    __cpuid(0x40000000, leaf, name[0], name[1], name[2]);
    return memcmp(name, "TCGTCGTCGTCG", sizeof(name)) == 0   ? "TCG"
           : memcmp(name, "KVMKVMKVM\0\0\0", sizeof(name)) == 0 ? "KVM"
                                                               : "unknown";
}

/* ---- many readers ---- */

struct reader {
    pthread_t thread;
    int cpu;
    int fd;
    bool fills;
    uint64_t bytes;
    uint64_t ns;
};

static pthread_barrier_t start_line;
static uint64_t window_ns;

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    CHECK(sched_setaffinity(0, sizeof(set), &set) == 0, "processor %d: %m", cpu);
}

static void *run_reader(void *argument)
{
    unsigned char memory[READER_SIZE];
    struct reader *reader = argument;
    struct fill fill = { .offset = 0, .length = READER_SIZE };
    uint64_t start;

    pin(reader->cpu);
    /* Page faults are not measured. */
    explicit_bzero(memory, sizeof(memory));
    pthread_barrier_wait(&start_line);
    start = now();
    do {
        if (reader->fills) {
            CHECK(ioctl(reader->fd, RNG_IOCTL_FILL, &fill) >= 0, "FILL: %m");
        } else {
            read_whole(reader->fd, memory, READER_SIZE, "a reader");
        }
        reader->bytes += READER_SIZE;
        reader->ns = now() - start;
    } while (reader->ns < window_ns);
    return NULL;
}

/* Files of one device each, and files of the first device. */
static int own[MAX_NODES], same[MAX_SAME];

static void open_many(int most)
{
    int many = 0;

    for (int i = 0; i < node_count && many < most; i++) {
        if (strncmp(nodes[i].address, "0000:00:", 8) != 0) {
            if (many == 0) {
                for (int j = 0; j < MAX_SAME; j++) {
                    same[j] = open_node(nodes[i].path);
                    map_buffer(same[j], "readers");
                }
            }
            own[many] = open_node(nodes[i].path);
            map_buffer(own[many++], "readers");
        }
    }
    CHECK(many == most, "there are %d devices behind the bridge, and not %d", many, most);
}

/* So many readers at once, with a file each. */
static void run_readers(const char *how, const char *kind, int count, const int *fds)
{
    static struct reader readers[MAX_NODES];
    int processors = sysconf(_SC_NPROCESSORS_ONLN);

    /* Where readers share processors, each must have its turn several times. */
    window_ns = UINT64_C(150000000) * (count > processors ? 3 : 1);
    CHECK(pthread_barrier_init(&start_line, NULL, count) == 0, "barrier");
    for (int i = 0; i < count; i++) {
        readers[i] = (struct reader){ .cpu = i % processors, .fd = fds[i], .fills = strcmp(how, "fill") == 0 };
        CHECK(pthread_create(&readers[i].thread, NULL, run_reader, &readers[i]) == 0, "thread");
    }
    printf("{\"kind\":\"readers\",\"name\":\"readers.%s.%s.%d\",\"each\":[", how, kind, count);
    for (int i = 0; i < count; i++) {
        CHECK(pthread_join(readers[i].thread, NULL) == 0, "join");
        printf("%s[%" PRIu64 ",%" PRIu64 "]", i > 0 ? "," : "", readers[i].bytes, readers[i].ns);
    }
    printf("]}\n");
    pthread_barrier_destroy(&start_line);
}

static const int own_counts[] = { 1, 2, 4, 8, 30 }, same_counts[] = { 2, MAX_SAME };

static void all_readers(void)
{
    static const char *const hows[] = { "read", "fill" };

    for (int i = 0; i < COUNT(hows); i++) {
        for (int j = 0; j < COUNT(own_counts); j++) {
            run_readers(hows[i], "own", own_counts[j], own);
        }
        for (int j = 0; j < COUNT(same_counts); j++) {
            run_readers(hows[i], "same", same_counts[j], same);
        }
    }
}

/* ---- all of it ---- */

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

int main(int argc, char **argv)
{
    struct utsname system;
    char clock[64];
    int rounds, port;

    CHECK(argc > 3 && (rounds = atoi(argv[1])) > 0, "usage: bench ROUNDS PORT NAME=ADDRESS...");
    setvbuf(stdout, NULL, _IOLBF, 0);
    memset(buffer, 1, sizeof(buffer));
    /* Away from the first processor, which has the most interrupts. */
    pin(sysconf(_SC_NPROCESSORS_ONLN) - 1);
    port = open_node(argv[2]);
    devices = argv + 3;
    find_nodes();
    add_latencies();
    add_reads();
    add_fills();
    open_many(own_counts[COUNT(own_counts) - 1]);
    for (int i = 0; i < candidate_count; i++) {
        calibrate(&candidates[i]);
    }
    for (int round = 0; round < rounds; round++) {
        char go;

        for (int i = 0; i < LATENCIES; i++) {
            sample_all(0, latency_count, round * LATENCIES + i);
        }
        sample_all(latency_count, candidate_count, round);
        all_readers();
        /* Now the host measures, while nothing runs here. */
        puts("{\"kind\":\"idle\"}");
        CHECK(read(port, &go, 1) == 1, "the host does not answer: %m");
    }
    uname(&system);
    read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", clock, sizeof(clock));
    printf("{\"kind\":\"guest\",\"kernel\":\"%s\",\"clock\":\"%s\",\"accelerator\":\"%s\"}\n", system.release, clock,
           accelerator());
    return 0;
}
