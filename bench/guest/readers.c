/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several readers at once, each a thread with its own open file. */
#include "bench.h"

enum {
    /* The most readers of one device. */
    MAX_SAME = 4,
    MAX_RUNS = 64,
    WINDOW_NS = 100 * 1000 * 1000,
};

struct reader {
    pthread_t thread;
    int cpu;
    int fd;
    bool fills;
    size_t size;
    unsigned char *memory;
    uint64_t bytes;
    uint64_t ns;
};

/* So many readers at once. */
struct run {
    char name[64];
    bool fills;
    size_t size;
    int count;
    const int *fds;
};

static struct run runs[MAX_RUNS];
static int run_count;
static pthread_barrier_t start_line;
static uint64_t window_ns;

static void *run_reader(void *argument)
{
    struct reader *reader = argument;
    uint64_t start;

    pin(reader->cpu);
    /* Page faults are not measured. */
    explicit_bzero(reader->memory, reader->size);
    pthread_barrier_wait(&start_line);
    start = now();
    do {
        if (reader->fills) {
            fill_part(reader->fd, 0, reader->size, "a reader");
        } else {
            read_whole(reader->fd, reader->memory, reader->size, "a reader");
        }
        reader->bytes += reader->size;
        reader->ns = now() - start;
    } while (reader->ns < window_ns);
    return NULL;
}

static void execute(const struct run *run)
{
    static struct reader readers[MAX_READERS];
    int processors = sysconf(_SC_NPROCESSORS_ONLN);

    /* Where readers share processors, each must have its turn several times. */
    window_ns = WINDOW_NS * (run->count > processors ? UINT64_C(4) : 1);
    CHECK(pthread_barrier_init(&start_line, NULL, run->count) == 0, "barrier");
    for (int i = 0; i < run->count; i++) {
        readers[i] = (struct reader){
            /* From the last one down: the first processor has the most interrupts. */
            .cpu = processors - 1 - i % processors,
            .fd = run->fds[i],
            .fills = run->fills,
            .size = run->size,
            .memory = memories[i],
        };
        CHECK(pthread_create(&readers[i].thread, NULL, run_reader, &readers[i]) == 0, "thread");
    }
    printf("{\"kind\":\"readers\",\"name\":\"%s\",\"each\":[", run->name);
    for (int i = 0; i < run->count; i++) {
        CHECK(pthread_join(readers[i].thread, NULL) == 0, "join");
        printf("%s[%" PRIu64 ",%" PRIu64 "]", i > 0 ? "," : "", readers[i].bytes, readers[i].ns);
    }
    printf("]}\n");
    pthread_barrier_destroy(&start_line);
}

static const struct how {
    const char *name;
    size_t size;
} hows[] = { { "fill", MAPPED }, { "read", 64 * KIB }, { "read", MIB } };

/* Runs of one kind: `counts`, up to the first 0, in the first `how_count` ways. */
static void add_runs(const char *kind, const int *fds, const int *counts, int how_count)
{
    for (int i = 0; i < how_count; i++) {
        for (const int *count = counts; *count != 0; count++) {
            struct run *run = &runs[run_count++];

            CHECK(run_count <= MAX_RUNS && *count <= MAX_READERS, "too many readers");
            *run = (struct run){
                .fills = strcmp(hows[i].name, "fill") == 0,
                .size = hows[i].size,
                .count = *count,
                .fds = fds,
            };
            snprintf(run->name, sizeof(run->name), "readers.%s.%zu.%s.%d", hows[i].name, hows[i].size, kind, *count);
        }
    }
}

/* So many open files of one device. */
static void open_same(const char *device, int count, int *fds)
{
    for (int i = 0; i < count; i++) {
        fds[i] = open_device(device);
        map_buffer(fds[i], device);
    }
}

/* A file each of the devices behind the bridge. */
static void open_many(int *fds)
{
    int many = 0;

    for (int i = 0; i < node_count && many < MAX_READERS; i++) {
        if (strncmp(nodes[i].address, "0000:00:", 8) != 0) {
            fds[many] = open_node(nodes[i].path);
            map_buffer(fds[many++], "readers");
        }
    }
    CHECK(many == MAX_READERS, "there are %d devices behind the bridge, and not %d", many, MAX_READERS);
}

void open_readers(void)
{
    static const char *const generators[] = { "chacha8", "host", "xoshiro256pp" };
    static int own[MAX_READERS], own_off[2], same[COUNT(generators)][MAX_SAME], same_off[COUNT(generators)][2];

    open_many(own);
    open_same("off.xoshiro256pp", 1, &own_off[0]);
    open_same("off.second", 1, &own_off[1]);
    add_runs("own", own, (int[]){ 1, 2, 4, 0 }, 3);
    add_runs("own.off", own_off, (int[]){ 1, 2, 0 }, 3);
    for (int i = 0; i < COUNT(generators); i++) {
        char name[64];

        open_same(generators[i], MAX_SAME, same[i]);
        add_runs(generators[i], same[i], (int[]){ 1, 2, MAX_SAME, 0 }, 2);
        snprintf(name, sizeof(name), "off.%s", generators[i]);
        open_same(name, 2, same_off[i]);
        snprintf(name, sizeof(name), "%s.off", generators[i]);
        add_runs(name, same_off[i], (int[]){ 1, 2, 0 }, 2);
    }
    add_runs("own", own, (int[]){ 8, MAX_READERS, 0 }, 2);
}

void sample_readers(int round)
{
    for (int i = 0; i < run_count; i++) {
        execute(&runs[round % 2 == 0 ? i : run_count - 1 - i]);
    }
}
