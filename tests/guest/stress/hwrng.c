/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's generator comes and goes while it is made the current one of hw_random, unmade, and in use.
 */
#include "stress.h"

enum { CHOOSERS = 2, LOOKERS = 2 };

/* Its name for rng_current, and its address. */
static char name[32], host[16];

static void find_host(void)
{
    for (int i = 0; i < NODES; i++) {
        char node[32], path[96];
        const char *value;

        node_path(node, sizeof(node), i);
        snprintf(path, sizeof(path), "/sys/kernel/debug%s/generator", node + strlen("/dev"));
        value = file_value(path, "");
        if (value != NULL && strcmp(value, "host") == 0) {
            snprintf(name, sizeof(name), "%s\n", node + strlen("/dev/"));
            snprintf(path, sizeof(path), "/sys/kernel/debug%s/device", node + strlen("/dev"));
            value = file_value(path, "");
            ASSERT(value != NULL && strlen(value) < sizeof(host));
            strcpy(host, value);
            return;
        }
    }
    ASSERT_MSG(false, "no device has the host's generator");
}

static void choose_or_look(struct worker *worker)
{
    for (int i = worker->number; !atomic_load(&stop); i++) {
        if (worker->number < CHOOSERS) {
            begin(worker, HWRNG_SET);
            MAY_FAIL(worker, write_file(HWRNG "current", i % 2 == 0 ? "none\n" : name), ENODEV, EINTR);
        } else {
            begin(worker, HWRNG_SHOW);
            do_hwrng_show(worker);
            end(worker);
            begin(worker, HWRNG_READ);
            do_hwrng_read(worker);
        }
        end(worker);
    }
}

void choose_hwrng(int times)
{
    find_host();
    start_workers(CHOOSERS + LOOKERS, 6, (struct rules){0}, choose_or_look);
    for (int i = 0; i < times; i++) {
        begin(self, UNBIND);
        ASSERT_EQ(write_file(DRIVER "unbind", host), 0);
        end(self);
        begin(self, BIND);
        ASSERT_EQ(write_file(DRIVER "bind", host), 0);
        end(self);
    }
    join_workers();
}
