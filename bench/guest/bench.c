/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's half of make bench: measures, candidate after candidate and round after round, so that
 * whatever drifts hits all alike, and prints each sample as a line of JSON. The host's half makes medians
 * of them.
 *
 *   bench ROUNDS NAME=ADDRESS...   the PCI addresses of the devices: of my_rng, one for each generator
 *                                  that is measured, and "rust", "c" (for the driver's twin), "edu", "twin"
 *
 * The my_rng devices behind a bridge are those that many readers read from.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <cpuid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
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

/* What the ioctl FILL fills of the mapped buffer. */
struct fill {
    uint32_t offset;
    uint32_t length;
};

enum {
    KIB = 1024,
    MIB = 1024 * KIB,
    MAPPED = 256 * KIB,
    /* How long a sample is to take, so that reading the clock is nothing beside it. */
    SAMPLE_NS = 25 * 1000 * 1000,
    /* The latencies are compared by the percent, and are quick: more samples of them in each round. */
    LATENCIES = 6,
    MAX_MANY = 64,
    MAX_CANDIDATES = 128,
    /* What a reader takes at a time. */
    READER_SIZE = 64 * KIB,
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
    volatile uint32_t *reg;
    size_t size;
    uint64_t count;
};

static struct candidate candidates[MAX_CANDIDATES];
static int candidate_count;
/* Those before this one are latencies. */
static int latency_count;

static struct candidate *add(const char *name)
{
    struct candidate *candidate = &candidates[candidate_count++];

    CHECK(candidate_count <= MAX_CANDIDATES, "too many candidates");
    snprintf(candidate->name, sizeof(candidate->name), "%s", name);
    return candidate;
}

/* A buffer that cannot be mapped, or filled. */
static void no_fill(const char *name, int error)
{
    printf("{\"absent\":\"%s\",\"why\":\"not there: bulk=off or an older driver (%s)\"}\n", name,
           strerror(error));
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

        CHECK(got > 0, "%s: %s", name, got < 0 ? strerror(errno) : "it ended");
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

static void sample(const struct candidate *candidate, int round)
{
    uint64_t took = measure(candidate);

    printf("{\"sample\":\"%s\",\"round\":%d,\"count\":%" PRIu64 ",\"bytes\":%zu,\"ns\":%" PRIu64 "}\n",
           candidate->name, round, candidate->count, candidate->size, took);
}

/* Every other time backwards, so that none always comes after the same one. */
static void sample_all(int first, int end, int round)
{
    for (int i = first; i < end; i++) {
        sample(&candidates[round % 2 == 0 ? i : end - 1 - (i - first)], round);
    }
}

/* ---- what is in the machine ---- */

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int error = 0;

    if (fd < 0) {
        return errno;
    }
    if (write(fd, text, strlen(text)) < 0) {
        error = errno;
    }
    close(fd);
    return error;
}

static void read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

    CHECK(got >= 0, "%s: %m", path);
    close(fd);
    text[got] = '\0';
}

static void load_module(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0, "%s: %m", path);
    CHECK(syscall(SYS_finit_module, fd, "", 0) == 0, "%s cannot be loaded: %m", path);
    close(fd);
}

static const char *address_of(char **arguments, const char *name)
{
    size_t length = strlen(name);

    for (; *arguments != NULL; arguments++) {
        if (strncmp(*arguments, name, length) == 0 && (*arguments)[length] == '=') {
            return *arguments + length + 1;
        }
    }
    return NULL;
}

static const char *need_address(char **arguments, const char *name)
{
    const char *address = address_of(arguments, name);

    CHECK(address != NULL, "no address is given for %s", name);
    return address;
}

static volatile uint32_t *map_bar(const char *address)
{
    char path[128];
    void *bar;
    int fd;

    /* One without a driver may have its memory decoding off. */
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", address);
    if (access(path, F_OK) != 0) {
        snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", address);
        CHECK(write_file(path, "1") == 0, "%s cannot be written", path);
    }
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", address);
    fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0, "%s: %m", path);
    bar = mmap(NULL, RNG_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(bar != MAP_FAILED, "%s: %m", path);
    close(fd);
    return bar;
}

struct node {
    char path[64];
    char address[32];
};

static struct node nodes[MAX_MANY];
static int node_count;

/* Finds the driver's nodes, and of which device each is. */
static void find_nodes(void)
{
    for (int i = 0; i < MAX_MANY; i++) {
        struct node *node = &nodes[node_count];
        char fdinfo[64], text[1024], *at;
        int fd;

        if (i == 0) {
            snprintf(node->path, sizeof(node->path), "/dev/" RNG_NODE);
        } else {
            snprintf(node->path, sizeof(node->path), "/dev/" RNG_NODE "%d", i);
        }
        fd = open(node->path, O_RDWR | O_CLOEXEC);
        if (fd < 0) {
            continue;
        }
        snprintf(fdinfo, sizeof(fdinfo), "/proc/self/fdinfo/%d", fd);
        read_text(fdinfo, text, sizeof(text));
        at = strstr(text, "my_rng-device:");
        CHECK(at != NULL && sscanf(at, "my_rng-device: %31s", node->address) == 1,
              "%s does not tell its device", fdinfo);
        close(fd);
        node_count++;
    }
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

static int open_device(const char *address)
{
    for (int i = 0; i < node_count; i++) {
        if (strcmp(nodes[i].address, address) == 0) {
            return open_node(nodes[i].path);
        }
    }
    CHECK(false, "no node is of the device %s", address);
    return -1;
}

/* Gives a device to the driver's twin. */
static int open_c_twin(const char *address)
{
    char path[128];

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", address);
    CHECK(write_file(path, "my_rng_twin") == 0, "%s cannot be written", path);
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver/unbind", address);
    CHECK(write_file(path, address) == 0, "%s cannot be written", path);
    load_module("/bench/my_rng_twin.ko");
    return open_node("/dev/my_rng_twin");
}

static int open_virtio(void)
{
    static const char folder[] = "/sys/class/misc/hw_random/";
    char path[128], text[1024], *name, *rest;

    load_module("/bench/virtio-rng.ko");
    snprintf(path, sizeof(path), "%srng_available", folder);
    read_text(path, text, sizeof(text));
    for (name = strtok_r(text, " \n", &rest); name != NULL && strncmp(name, "virtio", 6) != 0;
         name = strtok_r(NULL, " \n", &rest)) {
    }
    CHECK(name != NULL, "hw_random has no virtio-rng");
    snprintf(path, sizeof(path), "%srng_current", folder);
    CHECK(write_file(path, name) == 0, "%s cannot be written", path);
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

/* The port by which the host says that it is done. */
static int open_port(void)
{
    static const char folder[] = "/sys/class/virtio-ports";
    DIR *ports = opendir(folder);
    struct dirent *port;
    int fd = -1;

    CHECK(ports != NULL, "%s: %m", folder);
    while (fd < 0 && (port = readdir(ports)) != NULL) {
        char path[512], text[64];

        if (port->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof(path), "%s/%s/name", folder, port->d_name);
        read_text(path, text, sizeof(text));
        if (strcmp(text, "my-rng-bench\n") == 0) {
            snprintf(path, sizeof(path), "/dev/%s", port->d_name);
            fd = open_node(path);
        }
    }
    CHECK(fd >= 0, "there is no port my-rng-bench");
    closedir(ports);
    return fd;
}

/* Maps an open node's buffer and touches it: 0, or the errno. */
static int map_buffer(int fd, unsigned char **mapped)
{
    *mapped = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (*mapped == MAP_FAILED) {
        return errno;
    }
    memset(*mapped, 0, MAPPED);
    return 0;
}

/* Fills the whole of a mapped buffer: 0, or the errno. What comes must not be what was there. */
static int fill_once(int fd, const unsigned char *mapped)
{
    static const unsigned char zeros[64];
    struct fill fill = { .offset = 0, .length = MAPPED };

    if (ioctl(fd, RNG_IOCTL_FILL, &fill) < 0) {
        return errno;
    }
    for (int at = 0; at < MAPPED; at += sizeof(zeros)) {
        CHECK(memcmp(mapped + at, zeros, sizeof(zeros)) != 0, "FILL left bytes as they were");
    }
    return 0;
}

/* Who runs this machine, as it says itself. */
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
    unsigned char *memory;
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
    struct reader *reader = argument;
    struct fill fill = { .offset = 0, .length = READER_SIZE };
    uint64_t start;

    pin(reader->cpu);
    pthread_barrier_wait(&start_line);
    start = now();
    do {
        if (reader->fills) {
            CHECK(ioctl(reader->fd, RNG_IOCTL_FILL, &fill) >= 0, "FILL: %m");
        } else {
            read_whole(reader->fd, reader->memory, READER_SIZE, "a reader");
        }
        reader->bytes += READER_SIZE;
        reader->ns = now() - start;
    } while (reader->ns < window_ns);
    return NULL;
}

/* So many readers at once, on one device or each on its own. */
static void run_readers(int round, const char *name, int count, bool fills, int *fds, unsigned char **memory)
{
    static struct reader readers[MAX_MANY];
    int processors = sysconf(_SC_NPROCESSORS_ONLN);

    /* Where they share processors, each must have its turn several times. */
    window_ns = UINT64_C(150000000) * (count > processors ? 3 : 1);
    CHECK(pthread_barrier_init(&start_line, NULL, count) == 0, "barrier");
    for (int i = 0; i < count; i++) {
        readers[i] = (struct reader){
            .cpu = i % processors, .fd = fds[i], .fills = fills, .memory = memory[i] };
        CHECK(pthread_create(&readers[i].thread, NULL, run_reader, &readers[i]) == 0, "thread");
    }
    printf("{\"readers\":\"%s\",\"round\":%d,\"bytes\":[", name, round);
    for (int i = 0; i < count; i++) {
        CHECK(pthread_join(readers[i].thread, NULL) == 0, "join");
        printf("%s%" PRIu64, i > 0 ? "," : "", readers[i].bytes);
    }
    printf("],\"ns\":[");
    for (int i = 0; i < count; i++) {
        printf("%s%" PRIu64, i > 0 ? "," : "", readers[i].ns);
    }
    printf("]}\n");
    pthread_barrier_destroy(&start_line);
}

static int many;
static int own[MAX_MANY], same[MAX_MANY];
static unsigned char *own_memory[MAX_MANY], *same_memory[MAX_MANY], *plain_memory[MAX_MANY];
static bool many_fill;

static void open_many(void)
{
    int error = 0;

    for (int i = 0; i < node_count; i++) {
        if (strncmp(nodes[i].address, "0000:00:", 8) != 0) {
            own[many++] = open_node(nodes[i].path);
        }
    }
    CHECK(many >= 4, "there are %d devices behind the bridge, too few", many);
    for (int i = 0; i < many; i++) {
        if (i < 4) {
            /* Each reader has a file of its own, on the first device. */
            char path[64];

            snprintf(path, sizeof(path), "/proc/self/fd/%d", own[0]);
            same[i] = open_node(path);
        }
        plain_memory[i] = malloc(READER_SIZE);
        CHECK(plain_memory[i] != NULL, "no memory");
        memset(plain_memory[i], 1, READER_SIZE);
    }
    for (int i = 0; i < many && error == 0; i++) {
        error = map_buffer(own[i], &own_memory[i]);
        if (error == 0 && i < 4) {
            error = map_buffer(same[i], &same_memory[i]);
        }
    }
    if (error == 0) {
        error = fill_once(own[0], own_memory[0]);
    }
    many_fill = error == 0;
    if (!many_fill) {
        no_fill("readers.fill.", error);
    }
}

static void all_readers(int round)
{
    static const int own_counts[] = { 1, 2, 4, 8, 30 }, same_counts[] = { 2, 4 };
    char name[64];

    for (int fills = 0; fills <= many_fill; fills++) {
        const char *how = fills ? "fill" : "read";

        for (size_t i = 0; i < sizeof(own_counts) / sizeof(own_counts[0]); i++) {
            if (own_counts[i] <= many) {
                snprintf(name, sizeof(name), "readers.%s.own.%d", how, own_counts[i]);
                run_readers(round, name, own_counts[i], fills, own,
                            fills ? own_memory : plain_memory);
            }
        }
        for (size_t i = 0; i < sizeof(same_counts) / sizeof(same_counts[0]); i++) {
            snprintf(name, sizeof(name), "readers.%s.same.%d", how, same_counts[i]);
            run_readers(round, name, same_counts[i], fills, same,
                        fills ? same_memory : plain_memory);
        }
    }
}

/* ---- all of it ---- */

static void add_latencies(char **arguments)
{
    volatile uint32_t *rng = map_bar(need_address(arguments, "rust"));
    struct candidate *candidate;
    int rust_fd, c_fd;

    candidate = add("mmio.rng");
    candidate->reg = rng + RNG_REG_RNG / 4;
    candidate = add("mmio.twin");
    candidate->reg = map_bar(need_address(arguments, "twin"));
    /* As a check of the measurement: another device of the same kind. */
    candidate = add("mmio.other");
    candidate->reg = map_bar(need_address(arguments, "c")) + RNG_REG_RNG / 4;
    candidate = add("mmio.info");
    candidate->reg = rng + RNG_REG_INFO / 4;
    candidate = add("mmio.edu");
    candidate->reg = map_bar(need_address(arguments, "edu"));
    for (int i = 0; i < candidate_count; i++) {
        candidates[i].run = run_mmio;
    }

    rust_fd = open_device(need_address(arguments, "rust"));
    c_fd = open_c_twin(need_address(arguments, "c"));
    candidate = add("ioctl.rand.rust");
    candidate->fd = rust_fd;
    candidate->run = run_rand;
    candidate = add("ioctl.rand.c");
    candidate->fd = c_fd;
    candidate->run = run_rand;
    candidate = add("ioctl.seed.rust");
    candidate->fd = rust_fd;
    candidate->run = run_seed;
    candidate = add("ioctl.seed.c");
    candidate->fd = c_fd;
    candidate->run = run_seed;
    latency_count = candidate_count;
}

static const char *const generators[] = { "libc", "chacha20", "chacha8", "xoshiro256pp", "host" };
enum { GENERATORS = sizeof(generators) / sizeof(generators[0]) };

static void add_reads(char **arguments)
{
    struct {
        const char *name;
        int fd;
        void (*run)(const struct candidate *candidate, uint64_t count);
    } sources[GENERATORS + 4];
    static const size_t sizes[] = { 64, 4 * KIB, MIB };
    int count = 0;

    for (int i = 0; i < GENERATORS; i++) {
        const char *address = address_of(arguments, generators[i]);

        if (address != NULL) {
            sources[count].name = generators[i];
            sources[count].run = run_read;
            sources[count++].fd = open_device(address);
        }
    }
    sources[count].name = "tmpfs";
    sources[count].run = run_file;
    sources[count++].fd = open_tmpfs();
    sources[count].name = "zero";
    sources[count].run = run_read;
    sources[count++].fd = open_node("/dev/zero");
    sources[count].name = "urandom";
    sources[count].run = run_read;
    sources[count++].fd = open_node("/dev/urandom");
    sources[count].name = "virtio";
    sources[count].run = run_read;
    sources[count++].fd = open_virtio();
    /* All of one size before the next: so what is compared is measured close together. */
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (int j = 0; j < count; j++) {
            struct candidate *candidate;
            char name[64];

            snprintf(name, sizeof(name), "read.%s.%zu", sources[j].name, sizes[i]);
            candidate = add(name);
            candidate->run = sources[j].run;
            candidate->fd = sources[j].fd;
            candidate->size = sizes[i];
        }
    }
}

static void add_fills(char **arguments)
{
    static const size_t sizes[] = { 4 * KIB, 64 * KIB, MAPPED };

    for (int i = 0; i < GENERATORS; i++) {
        const char *address = address_of(arguments, generators[i]);
        unsigned char *mapped;
        char name[64];
        int fd, error;

        if (address == NULL) {
            continue;
        }
        fd = open_device(address);
        error = map_buffer(fd, &mapped);
        if (error == 0) {
            error = fill_once(fd, mapped);
        }
        if (error != 0) {
            snprintf(name, sizeof(name), "fill.%s.", generators[i]);
            no_fill(name, error);
            continue;
        }
        for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
            struct candidate *candidate;

            snprintf(name, sizeof(name), "fill.%s.%zu", generators[i], sizes[j]);
            candidate = add(name);
            candidate->run = run_fill;
            candidate->fd = fd;
            candidate->size = sizes[j];
        }
    }
}

int main(int argc, char **argv)
{
    struct utsname system;
    char clock[64];
    int rounds, port;

    CHECK(argc > 2 && (rounds = atoi(argv[1])) > 0, "usage: bench ROUNDS NAME=ADDRESS...");
    setvbuf(stdout, NULL, _IOLBF, 0);
    memset(buffer, 1, sizeof(buffer));
    /* Not on the processor that has the most interrupts. */
    pin(sysconf(_SC_NPROCESSORS_ONLN) - 1);
    port = open_port();
    find_nodes();
    add_latencies(argv + 2);
    add_reads(argv + 2);
    add_fills(argv + 2);
    open_many();
    for (int i = 0; i < candidate_count; i++) {
        calibrate(&candidates[i]);
    }
    for (int round = 0; round < rounds; round++) {
        char go;

        for (int i = 0; i < LATENCIES; i++) {
            sample_all(0, latency_count, round * LATENCIES + i);
        }
        sample_all(latency_count, candidate_count, round);
        all_readers(round);
        /* The host measures itself while nothing runs here. */
        printf("{\"idle\":%d}\n", round);
        CHECK(read(port, &go, 1) == 1, "the host says nothing: %m");
    }
    uname(&system);
    read_text("/sys/devices/system/clocksource/clocksource0/current_clocksource", clock, sizeof(clock));
    clock[strcspn(clock, "\n")] = '\0';
    printf("{\"guest\":{\"kernel\":\"%s\",\"clock\":\"%s\",\"accelerator\":\"%s\",\"processors\":%ld}}\n",
           system.release, clock, accelerator(), sysconf(_SC_NPROCESSORS_ONLN));
    printf("{\"done\":%d}\n", rounds);
    return 0;
}
