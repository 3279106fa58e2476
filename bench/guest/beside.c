/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A register read of one device while another processor fills another device again and again. */
#include "bench.h"

#include <stdatomic.h>

enum {
    WINDOW_NS = 80 * 1000 * 1000,
    /* Without a pause the reads would keep the other processor from its next fill. */
    PAUSE_NS = 10 * 1000,
    /* A device with parallel=off could make a read wait for ever. */
    LONGEST_NS = 1000 * 1000 * 1000,
};

static struct filler {
    /* The device as the command line names it; NULL: nothing is filled. */
    const char *device;
    char name[64];
    int fd;
} fillers[] = {
    { .device = NULL, .name = "beside.idle" },
    { .device = "xoshiro256pp", .name = "beside.xoshiro256pp" },
    { .device = "off.xoshiro256pp", .name = "beside.xoshiro256pp.off" },
    { .device = "host", .name = "beside.host" },
    { .device = "off.host", .name = "beside.host.off" },
};

static struct candidate reading = { .run = run_mmio };
static atomic_bool stop;
static atomic_uint fills;

void open_beside(void)
{
    reading.reg = map_bar("rust") + RNG_REG_RNG / 4;
    for (int i = 0; i < COUNT(fillers); i++) {
        if (fillers[i].device != NULL) {
            fillers[i].fd = open_device(fillers[i].device);
            map_buffer(fillers[i].fd, fillers[i].device);
        }
    }
}

static void *keep_filling(void *argument)
{
    const struct filler *filler = argument;
    uint64_t start = now();

    /* Beside the main thread's processor. */
    pin(sysconf(_SC_NPROCESSORS_ONLN) - 2);
    while (!atomic_load_explicit(&stop, memory_order_relaxed) && now() - start < LONGEST_NS) {
        fill_part(filler->fd, 0, MAPPED, filler->name);
        atomic_fetch_add_explicit(&fills, 1, memory_order_relaxed);
    }
    return NULL;
}

static void sample(struct filler *filler)
{
    pthread_t thread;
    uint64_t start;
    unsigned int before, after;

    snprintf(reading.name, sizeof(reading.name), "%s", filler->name);
    if (filler->device == NULL) {
        time_singles(&reading, MAX_SINGLES, WINDOW_NS, PAUSE_NS);
        return;
    }
    atomic_store(&stop, false);
    atomic_store(&fills, 0);
    CHECK(pthread_create(&thread, NULL, keep_filling, filler) == 0, "thread");
    while (atomic_load(&fills) < 2) {
        sched_yield();
    }
    before = atomic_load(&fills);
    start = now();
    time_singles(&reading, MAX_SINGLES, WINDOW_NS, PAUSE_NS);
    after = atomic_load(&fills);
    /* How fast the other device was filled meanwhile. */
    print_sample(filler->name, ".fill", after - before, MAPPED, now() - start);
    atomic_store(&stop, true);
    CHECK(pthread_join(thread, NULL) == 0, "join");
}

void sample_beside(int round)
{
    for (int i = 0; i < COUNT(fillers); i++) {
        sample(&fillers[round % 2 == 0 ? i : COUNT(fillers) - 1 - i]);
    }
}
