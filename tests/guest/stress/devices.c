/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices that come and go, the module that is unloaded and loaded, and the machine that sleeps, while
 * workers make calls.
 */
#include "stress.h"
#include <dirent.h>
#include <sched.h>
#include <sys/syscall.h>

const char *const node_names[NODES] = {RNG_NODE, RNG_NODE "1", RNG_NODE "2", RNG_NODE "3"};
char addresses[NODES][16];
atomic_bool away;

int unload_module(void)
{
    return syscall(SYS_delete_module, "my_rng", O_NONBLOCK);
}

int load_module(const char *parameters)
{
    int module = open(MODULE, O_RDONLY | O_CLOEXEC), result, error;

    if (module < 0) {
        return -1;
    }
    result = syscall(SYS_finit_module, module, parameters, 0);
    error = errno;
    close(module);
    errno = error;
    return result;
}

static int read_id(const char *address, const char *name)
{
    const char *value = file_value(device_file(address, name), "");

    return value == NULL ? -1 : (int)strtol(value, NULL, 0);
}

/* Lists the devices. Returns how many there are. */
static int find_devices(void)
{
    DIR *folder = opendir(DEVICES);
    struct dirent *entry;
    int count = 0;

    ASSERT(folder != NULL);
    while ((entry = readdir(folder)) != NULL) {
        if (strlen(entry->d_name) < sizeof(addresses[0]) && read_id(entry->d_name, "vendor") == 0x1234 &&
            read_id(entry->d_name, "device") == 0xcafe) {
            ASSERT(count < NODES);
            strcpy(addresses[count++], entry->d_name);
        }
    }
    closedir(folder);
    return count;
}

static void wait_for_devices(int count)
{
    while (find_devices() != count) {
        sched_yield();
    }
}

static bool is_bound(const char *address)
{
    char path[96];

    snprintf(path, sizeof(path), DRIVER "%s", address);
    return access(path, F_OK) == 0;
}

void restore(void)
{
    bool complete;

    ASSERT_EQ(write_file("/sys/bus/pci/rescan", "1"), 0);
    wait_for_devices(NODES);
    do {
        complete = true;
        for (int i = 0; i < NODES; i++) {
            char path[32];

            ASSERT(is_bound(addresses[i]) || write_file(DRIVER "bind", addresses[i]) == 0 || errno == EBUSY ||
                   errno == ENODEV);
            snprintf(path, sizeof(path), "/dev/%s", node_names[i]);
            complete = complete && is_bound(addresses[i]) && access(path, F_OK) == 0;
        }
    } while (!complete);
}

/* One thing that makes devices come and go, other than hot-plug. */
static void churn(void)
{
    const char *address = addresses[choose(self, NODES)];
    unsigned int way = choose(self, 8);

    if (way < 3) {
        begin(self, UNBIND);
        ASSERT(write_file(DRIVER "unbind", address) == 0 || errno == ENODEV || errno == ENOENT);
    } else if (way < 6) {
        begin(self, BIND);
        /* EBUSY: it is bound already. */
        ASSERT(write_file(DRIVER "bind", address) == 0 || errno == ENODEV || errno == EBUSY || errno == ENOENT);
    } else if (way == 6) {
        begin(self, REMOVE);
        ASSERT(write_file(device_file(address, "remove"), "1") == 0 || errno == ENOENT || errno == ENODEV);
    } else {
        begin(self, RESCAN);
        ASSERT_EQ(write_file("/sys/bus/pci/rescan", "1"), 0);
    }
    end(self);
}

static void unplug_and_plug(void)
{
    /* Only a device that is there can be unplugged. */
    restore();
    begin(self, UNPLUG);
    puts("unplug");
    wait_for_devices(NODES - 1);
    puts("plug");
    wait_for_devices(NODES);
    end(self);
}

/*
 * Puts the machine to sleep, until the host wakes it. Returns whether that is possible.
 *
 * With several processors the machine stays awake: one in ten times the second would be lost in the firmware,
 * with any device, and slow the first one down.
 */
static bool machine_sleeps(void)
{
    if (sysconf(_SC_NPROCESSORS_ONLN) > 1) {
        return false;
    }
    begin(self, SLEEP);
    ASSERT_EQ(write_file("/sys/power/state", "mem"), 0);
    end(self);
    return true;
}

void mix_calls(int calls)
{
    start_workers(WORKERS, 3, (struct rules){.hold = true, .calls = calls}, make_calls);
    join_workers();
}

void come_and_go(int times)
{
    restore();
    start_workers(WORKERS, 4, (struct rules){.churn = true, .hold = true}, make_calls);
    for (int i = 0; i < times; i++) {
        churn();
    }
    machine_sleeps();
    unplug_and_plug();
    for (int i = 0; i < times; i++) {
        churn();
    }
    join_workers();
    restore();
}

void reload_module(int times)
{
    start_workers(WORKERS, 5, (struct rules){.churn = true}, make_calls);
    for (int i = 0; i < times; i++) {
        begin(self, RELOAD);
        atomic_store(&away, true);
        while (unload_module() == -1) {
            ASSERT_EQ(errno, EWOULDBLOCK);
            sched_yield();
        }
        atomic_store(&away, false);
        /* With the parameter, hw_random has the seeded generator too. */
        ASSERT_EQ(load_module(i % 2 == 0 ? "seeded_hwrng=1" : ""), 0);
        end(self);
    }
    join_workers();
    restore();
}

/* ---- the host's generator comes and goes while hw_random uses it ---- */

enum { CHOOSERS = 2, LOOKERS = 2 };

static const char *name;
static char host[16];

static void find_host(void)
{
    for (int i = 0; i < NODES && host[0] == '\0'; i++) {
        char path[96];
        const char *value;

        snprintf(path, sizeof(path), "/sys/kernel/debug/my_rng/%s/generator", node_names[i]);
        value = file_value(path, "");
        if (value != NULL && strcmp(value, "host") == 0) {
            name = node_names[i];
            snprintf(path, sizeof(path), "/sys/kernel/debug/my_rng/%s/device", name);
            value = file_value(path, "");
            ASSERT(value != NULL && strlen(value) < sizeof(host));
            strcpy(host, value);
        }
    }
    ASSERT(host[0] != '\0');
}

static void choose_or_look(struct worker *worker)
{
    for (int i = worker->number; !atomic_load(&stop); i++) {
        if (worker->number < CHOOSERS) {
            begin(worker, HWRNG_SET);
            MAY_FAIL(worker, write_file(HWRNG "current", i % 2 == 0 ? "none" : name), ENODEV, EINTR);
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
    host[0] = '\0';
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

/* Sleep resets the device, and what is mapped stays. */
void sleep_and_wake(void)
{
    void *memory, *numbers = map_memory(MAX);

    node = open_node();
    memory = map_file(node, MAX);
    restart(0x42);
    ASSERT_EQ(fill(node, 0, MAX), 0);
    if (machine_sleeps()) {
        expect_numbers(memory, MAX);
        stream_seed(&stream, RNG_DEFAULT_SEED);
        for (int i = 0; i < 100; i++) {
            expect_next();
        }
        ASSERT_EQ(fill(node, 0, MAX), 0);
        ASSERT_EQ(read(node, numbers, MAX), MAX);
        expect_numbers(memory, MAX);
        expect_numbers(numbers, MAX);
    } else {
        tap_skip("a machine with several processors may not wake up");
    }
    ASSERT_EQ(munmap(memory, MAX), 0);
    ASSERT_EQ(munmap(numbers, MAX), 0);
    close(node);
}
