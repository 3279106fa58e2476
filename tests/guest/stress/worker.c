/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The threads of stress, the watchdog that ends the program when one of them hangs, and what calls may
 * return.
 */
#include "stress.h"
#include <sched.h>
#include <time.h>

/* A call that takes longer than this, in seconds, hangs. */
enum { HANGS = 90 };

#define CALL_TEXT(name, run, weight, text) text,
#define EVENT_TEXT(name, text) text,
static const char *const texts[] = {"nothing", CALLS(CALL_TEXT) EVENTS(EVENT_TEXT)};

static atomic_ulong counts[KINDS];

struct worker workers[WORKERS + 1];
struct worker *const self = &workers[WORKERS];
atomic_bool stop;
unsigned char *flapping;

uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * UINT64_C(1000) + time.tv_nsec / 1000000;
}

static void on_signal(int signal)
{
    (void)signal;
}

void prepare_workers(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    ASSERT_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    flapping = map_memory(BUFFER);
    for (int i = 0; i <= WORKERS; i++) {
        struct worker *worker = &workers[i];

        worker->number = i;
        worker->buffer = map_memory(BUFFER + PAGE);
        worker->pages = map_memory(4 * PAGE);
        ASSERT_EQ(mprotect(worker->pages + PAGE, PAGE, PROT_READ), 0);
        ASSERT_EQ(mprotect(worker->pages + 2 * PAGE, 2 * PAGE, PROT_NONE), 0);
        for (int j = 0; j < FILES; j++) {
            worker->files[j].fd = -1;
        }
    }
    atomic_store(&self->tid, gettid());
}

/* Prints what all threads are doing, and ends. */
static void hangs(const char *what)
{
    static const char *const files[] = {"wchan", "syscall", "stack"};
    uint64_t time = now();

    for (struct worker *worker = workers; worker <= self; worker++) {
        int tid = atomic_load(&worker->tid);

        if (tid == 0) {
            continue;
        }
        printf("# thread %d: \"%s\" for %lld ms\n", worker->number, texts[atomic_load(&worker->kind)],
               (long long)(time - atomic_load(&worker->since)));
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
            char path[64], text[4096];
            FILE *file;

            snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, files[i]);
            file = fopen(path, "r");
            while (file != NULL && fgets(text, sizeof(text), file) != NULL) {
                printf("# %s: %s%s", files[i], text, strchr(text, '\n') == NULL ? "\n" : "");
            }
        }
    }
    /* Into the kernel's log: who is blocked, and who holds which lock. */
    write_file("/proc/sysrq-trigger", "w");
    write_file("/proc/sysrq-trigger", "d");
    tap_fail(HERE, "%s", what);
}

/* Looks once a second, until the program ends. */
static void *watch(void *deadline)
{
    for (;; sleep(1)) {
        uint64_t time = now();

        for (struct worker *worker = workers; worker <= self; worker++) {
            /* In this order, so that `since` is of this call, or later. */
            bool busy = atomic_load(&worker->kind) != IDLE;

            if (busy && time > atomic_load(&worker->since) + HANGS * UINT64_C(1000)) {
                hangs("a call does not end");
            }
        }
        if (time > *(uint64_t *)deadline) {
            hangs("the deadline is over");
        }
    }
    return NULL;
}

void start_watchdog(uint64_t *deadline)
{
    pthread_t watchdog;

    ASSERT_EQ(pthread_create(&watchdog, NULL, watch, deadline), 0);
}

void begin(struct worker *worker, enum kind kind)
{
    atomic_store(&worker->since, now());
    atomic_store(&worker->kind, kind);
    atomic_fetch_add(&counts[kind], 1);
}

void end(struct worker *worker)
{
    atomic_store(&worker->kind, IDLE);
}

void print_counts(void)
{
    unsigned long total = 0;

    for (int kind = IDLE + 1; kind < KINDS; kind++) {
        printf("# %s: %lu\n", texts[kind], atomic_load(&counts[kind]));
        total += atomic_load(&counts[kind]);
    }
    printf("# operations: %lu\n", total);
}

static void (*body)(struct worker *worker);

static void run_worker(int number)
{
    struct worker *worker = &workers[number];

    atomic_store(&worker->tid, gettid());
    body(worker);
    atomic_store(&worker->tid, 0);
}

void start_workers(int count, int phase, struct rules rules, void (*run)(struct worker *worker))
{
    body = run;
    atomic_store(&stop, false);
    for (int i = 0; i <= WORKERS; i++) {
        workers[i].rules = rules;
        workers[i].state = ((seed + round_number) << 16) + 256 * phase + i;
    }
    start_threads(count, run_worker);
}

void join_workers(void)
{
    atomic_store(&stop, true);
    join_threads();
    close_shared();
}

unsigned int choose(struct worker *worker, unsigned int limit)
{
    return splitmix64(&worker->state) % limit;
}

size_t choose_length(struct worker *worker)
{
    return choose(worker, 1 << choose(worker, 19));
}

bool may_fail(const char *file, int line, const char *text, struct worker *worker, ssize_t result,
              const int *errors)
{
    int error = errno;
    bool is_right = result != -1 || (worker->rules.churn && error == ENODEV);

    for (int i = 0; errors[i] != 0; i++) {
        is_right = is_right || error == errors[i];
    }
    if (!is_right) {
        tap_fail(file, line, "%s%s: %s, not %s", text, worker->rules.churn ? " (devices come and go)" : "",
                 strerrorname_np(error), strerrorname_np(errors[0]));
    }
    return result != -1;
}

static const struct call {
    enum kind kind;
    void (*run)(struct worker *worker);
    unsigned int weight;
} calls[] = {
#define CALL_ENTRY(name, run, weight, text) {name, run, weight},
    CALLS(CALL_ENTRY)
};

static const struct call *choose_call(struct worker *worker)
{
    const struct call *call = calls;
    unsigned int sum = 0, at;

    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        sum += calls[i].weight;
    }
    for (at = choose(worker, sum); at >= call->weight; call++) {
        at -= call->weight;
    }
    return call;
}

static bool needs_file(enum kind kind)
{
    return kind != SIGNAL && kind != HWRNG_SHOW && kind != HWRNG_READ && kind != DEBUGFS && kind != SYSFS &&
           kind != UNMAP && kind != TOUCH;
}

static void release_all(struct worker *worker)
{
    for (int i = 0; i < FILES; i++) {
        close_file(worker, &worker->files[i]);
    }
    /* Mappings keep files open, too. */
    for (int i = 0; i < MAPPINGS; i++) {
        unmap(&worker->mappings[i]);
    }
}

static void make_call(struct worker *worker)
{
    const struct call *call = choose_call(worker);
    struct file *file = &worker->files[choose(worker, FILES)];
    bool may_open = !atomic_load(&away) || choose(worker, 16) == 0;

    worker->file = file;
    if (file->fd == -1 && !(may_open && open_file(worker, file)) && needs_file(call->kind)) {
        sched_yield();
        return;
    }
    if (call->kind == OPEN || call->kind == CLOSE || (call->kind == SHARE && !worker->rules.hold)) {
        /* These begin and end by themselves. */
        call->run(worker);
    } else {
        begin(worker, call->kind);
        call->run(worker);
        end(worker);
    }
    if (!worker->rules.hold) {
        release_all(worker);
    }
}

void make_calls(struct worker *worker)
{
    for (int i = 0; worker->rules.calls == 0 ? !atomic_load(&stop) : i < worker->rules.calls; i++) {
        make_call(worker);
    }
    release_all(worker);
}
