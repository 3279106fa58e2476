/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The workers of stress: threads that make calls chosen at random, what they have at hand, and what they do,
 * which is counted and watched.
 */
#ifndef MY_RNG_TESTS_STRESS_H
#define MY_RNG_TESTS_STRESS_H

#include "driver.h"
#include "tasks.h"

#define MODULE "/lib/modules/my_rng.ko"

enum {
    /*
     * The devices: chacha20 as the first, one of libc, one of the host's, and the one that can be unplugged.
     */
    NODES = 4,
    WORKERS = 12,
    FILES = 4,
    MAPPINGS = 3,
    BUFFER = 256 << 10,
};

struct file {
    int fd;
    int mode;
    /* It was mapped, so that it has pages to fill. */
    bool is_mapped;
};

/* Its file may be closed, and its device gone. */
struct mapping {
    unsigned char *at;
    size_t length;
    bool is_writable;
};

struct rules {
    /* Devices come and go meanwhile: any call may fail with ENODEV. */
    bool churn;
    /* Files stay open from one call to the next. */
    bool hold;
    /* How many calls to make; 0: until `stop`. */
    int calls;
};

struct worker {
    int number;
    struct rules rules;
    /* From which its choices follow. */
    uint64_t state;
    struct file files[FILES];
    /* The file that the current call is about, if it is open. */
    struct file *file;
    struct mapping mappings[MAPPINGS];
    unsigned char *buffer;
    /* A page that can be written to, then one that is read-only, and two without access. */
    char *pages;
    /* For the watchdog: the thread, what it does, and since when. */
    atomic_int tid;
    atomic_int kind;
    atomic_ulong since;
};

/* The calls among which workers choose: a name, the function, its weight, and a text. */
#define CALLS(CALL)                                                                                          \
    CALL(RAND, do_rand, 200, "RAND")                                                                         \
    CALL(RAND_BAD, do_rand_bad, 60, "RAND, bad pointer")                                                     \
    CALL(SEED, do_seed, 60, "SEED")                                                                          \
    CALL(SEED_BAD, do_seed_bad, 40, "SEED, bad pointer")                                                     \
    CALL(UNKNOWN, do_unknown, 60, "unknown ioctl")                                                           \
    CALL(READ, do_read, 200, "read")                                                                         \
    CALL(READ_BAD, do_read_bad, 60, "read, bad pointer")                                                     \
    CALL(READ_PART, do_read_part, 60, "read, partly bad memory")                                             \
    CALL(READ_RACE, do_read_race, 120, "read, or memory that goes away")                                     \
    CALL(READV, do_readv, 60, "readv, preadv")                                                               \
    CALL(OPEN, do_open, 100, "open")                                                                         \
    CALL(CLOSE, do_close, 60, "close")                                                                       \
    CALL(SHARE, do_share, 60, "file to another thread")                                                      \
    CALL(POLL, do_poll, 40, "poll, select, epoll")                                                           \
    CALL(OTHER, do_other, 40, "lseek, write, fallocate")                                                     \
    CALL(MAP, do_map, 60, "mmap")                                                                            \
    CALL(MAP_BAD, do_map_bad, 30, "mmap, refused")                                                           \
    CALL(UNMAP, do_unmap, 60, "munmap, mremap, mprotect")                                                    \
    CALL(TOUCH, do_touch, 100, "access to a mapping")                                                        \
    CALL(FILL, do_fill, 120, "FILL")                                                                         \
    CALL(FILL_BAD, do_fill_bad, 40, "FILL, bad pointer or part")                                             \
    CALL(FORK, do_fork, 4, "process that inherits mappings")                                                 \
    CALL(FDINFO, do_fdinfo, 40, "fdinfo")                                                                    \
    CALL(DEBUGFS, do_debugfs, 40, "debugfs")                                                                 \
    CALL(SYSFS, do_sysfs, 40, "sysfs")                                                                       \
    CALL(HWRNG_READ, do_hwrng_read, 30, "read of /dev/hwrng")                                                \
    CALL(HWRNG_SHOW, do_hwrng_show, 30, "read of rng_*")                                                     \
    CALL(HWRNG_SET, do_hwrng_set, 10, "write of rng_current")                                                \
    CALL(SIGNAL, do_signal, 120, "signal to another thread")                                                 \
    CALL(KILL, do_kill, 4, "process of a reader killed")                                                     \
    CALL(UNLOAD_BUSY, do_unload_busy, 10, "unload while open")

/* What else is counted. */
#define EVENTS(EVENT)                                                                                        \
    EVENT(BIND, "bind")                                                                                      \
    EVENT(UNBIND, "unbind")                                                                                  \
    EVENT(REMOVE, "remove")                                                                                  \
    EVENT(RESCAN, "rescan")                                                                                  \
    EVENT(RELOAD, "unload and load")                                                                         \
    EVENT(UNPLUG, "hot-unplug and hot-plug")                                                                 \
    EVENT(SLEEP, "sleep (S3)")                                                                               \
    EVENT(FAIL, "allocation made to fail")

#define CALL_NAME(name, run, weight, text) name,
#define EVENT_NAME(name, text) name,
enum kind { IDLE, CALLS(CALL_NAME) EVENTS(EVENT_NAME) KINDS };

#define CALL_FUNCTION(name, run, weight, text) void run(struct worker *worker);
CALLS(CALL_FUNCTION)

/* The last one is the program's own thread. */
extern struct worker workers[WORKERS + 1];
extern struct worker *const self;
extern uint64_t seed;
extern int round_number;
extern atomic_bool stop;
/* Workers open few files, so that the module can be unloaded. */
extern atomic_bool away;
/* Memory that comes and goes. */
extern unsigned char *flapping;

/* worker.c */
void prepare_workers(void);
void start_watchdog(uint64_t *deadline);
void print_counts(void);
/* In milliseconds. */
uint64_t now(void);
/* Around each call, for the watchdog and the counts. */
void begin(struct worker *worker, enum kind kind);
void end(struct worker *worker);
/* Starts workers, whose choices follow from the seed, the round and the phase. */
void start_workers(int count, int phase, struct rules rules, void (*run)(struct worker *worker));
/* Tells them to stop, and waits for them. */
void join_workers(void);
/* Makes random calls until the worker is to stop. */
void make_calls(struct worker *worker);
unsigned int choose(struct worker *worker, unsigned int limit);
/* Most are small. */
size_t choose_length(struct worker *worker);

/*
 * Whether the call has succeeded. It may fail with one of the errors, or with ENODEV if devices come and go.
 */
#define MAY_FAIL(worker, call, ...) may_fail(HERE, #call, worker, (ssize_t)(call), (const int[]){__VA_ARGS__, 0})
#define MUST_FAIL(...) ASSERT(!MAY_FAIL(__VA_ARGS__))
bool may_fail(const char *file, int line, const char *text, struct worker *worker, ssize_t result,
              const int *errors);

/* calls.c and memory.c: the functions of the calls, and these. */
bool open_file(struct worker *worker, struct file *file);
void close_file(struct worker *worker, struct file *file);
void *bad_pointer(struct worker *worker, bool to_write);
void unmap(struct mapping *mapping);
/* Closes the files that threads have given to each other. */
void close_shared(void);

/* devices.c */
extern const char *const node_names[NODES];
int unload_module(void);
int load_module(const char *parameters);
/* Brings back what is missing: devices, their driver, their nodes. Lists the devices in `addresses`. */
void restore(void);
extern char addresses[NODES][16];

/* The phases of a round. */
void share_the_stream(void);
void read_while_others_seed(void);
void mix_calls(int calls);
void sleep_and_wake(void);
void fail_allocations(void);
void come_and_go(int times);
void choose_hwrng(int times);
void reload_module(int times);

#endif
