/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the guest's half of make bench share. */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
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

enum {
    KIB = 1024,
    MIB = 1024 * KIB,
    /* The mapped buffer of an open file. */
    MAPPED = 256 * KIB,
    /* The most readers at once. */
    MAX_READERS = 30,
    /* Calls that are timed one by one: at most so many at once. */
    MAX_SINGLES = 10000,
};

/* ---- machine.c: what is in the machine ---- */

/* The argument of the ioctl FILL: a part of the mapped buffer. */
struct fill {
    uint32_t offset;
    uint32_t length;
};

struct node {
    char path[64];
    char address[32];
};

enum { MAX_NODES = 64 };

/* What readers read into; scatter_memories() comes first. */
extern unsigned char memories[MAX_READERS][MIB];
/* The devices of the command line: NAME=ADDRESS, and NULL at the end. */
extern char **devices;
/* The nodes of the driver, and the device of each. */
extern struct node nodes[MAX_NODES];
extern int node_count;

void scatter_memories(void);
void find_nodes(void);
void read_line(const char *path, char *text, size_t size);
volatile uint32_t *map_bar(const char *name);
int open_port(const char *pattern);
int open_node(const char *path);
int open_device(const char *name);
int open_c_twin(const char *name);
int open_virtio(void);
int open_tmpfs(void);
/* Maps the buffer of an open node, and fills all of it: each piece must change. */
void map_buffer(int fd, const char *name);
void read_whole(int fd, unsigned char *to, size_t size, const char *name);
void fill_part(int fd, uint32_t offset, uint32_t length, const char *name);
/* Binds this thread to a processor. */
void pin(int cpu);

static inline uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    return time.tv_sec * UINT64_C(1000000000) + time.tv_nsec;
}

/* ---- candidates.c: one thread, one candidate after the other ---- */

struct candidate {
    char name[64];
    void (*run)(const struct candidate *candidate, uint64_t count);
    int fd;
    size_t size;
    volatile uint32_t *reg;
    /* How many operations a sample has. */
    uint64_t count;
};

/* All of them, or only those that are latencies. */
void add_candidates(bool all);
void sample_candidates(int round);
/* Prints a sample of the series NAME and SUFFIX: so many operations, and how long all took together. */
void print_sample(const char *name, const char *suffix, uint64_t count, size_t bytes, uint64_t ns);
void run_mmio(const struct candidate *candidate, uint64_t count);
/*
 * Times calls one by one, with a pause before each: at most `most` calls, and for at most `limit_ns`. Each time has one
 * reading of the clock in it. Prints the median and the 99th percentile.
 */
void time_singles(const struct candidate *candidate, int most, uint64_t limit_ns, uint64_t pause_ns);

/* ---- readers.c: several readers at once ---- */

void open_readers(void);
void sample_readers(int round);

/* ---- beside.c: a register read while another device is filled ---- */

void open_beside(void);
void sample_beside(int round);

#endif
