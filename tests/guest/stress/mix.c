/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Workers that make calls at random, each by its weight.
 */
#include "stress.h"
#include <sched.h>

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
    return kind != SIGNAL && kind != HWRNG_SHOW && kind != HWRNG_READ && kind != DEBUGFS && kind != UNMAP &&
           kind != TOUCH;
}

static void release_all(struct worker *worker)
{
    for (int i = 0; i < FILES; i++) {
        close_file(worker, &worker->files[i]);
    }
    /* They keep files open, too. */
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
        /* These count by themselves. */
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
