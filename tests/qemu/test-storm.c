/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Virtual CPUs and another thread take numbers, in all ways, and sometimes seed
 * or reset the device. Meanwhile the main thread resets it, saves and loads its
 * state, reads its counters, and replaces it by a new one. Each reset is
 * followed by a new seed at once, so no stream starts twice. In the end all
 * numbers go to the file PATH: for each read and transfer, how many there were,
 * and the numbers. Says the last seed, and what the counters and the threads
 * have counted.
 */

#include "qemu/osdep.h"
#include "qemu/rcu.h"
#include "qemu/thread.h"
#include "my_rng.h"
#include "test-devices.h"

enum { CPUS = 4, THREADS = CPUS + 1, ACCESSES = 800, STEPS = 60 };
#define FIRST_SEED 100

static const MemTxAttrs of_cpu;

typedef struct Taker {
    QemuThread thread;
    unsigned index;
    uint32_t random;
    /* All zero, or some that another device's access has. */
    MemTxAttrs attrs;
    GArray *numbers;
    /* What the counters should say. */
    uint64_t taken, releases;
} Taker;

static uint32_t last_seed;
static QemuSemaphore progress;

static uint32_t next_random(Taker *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 17;
    s->random ^= s->random << 5;
    return s->random;
}

static void write_seed(MemTxAttrs attrs)
{
    uint32_t seed = qatomic_fetch_inc(&last_seed) + 1;

    test_write_register(MY_RNG_REG_SEED, seed, attrs);
}

/* The big lock is held, and is not released meanwhile. */
static void reset_and_seed(Object *rng)
{
    device_cold_reset(DEVICE(rng));
    write_seed(MEMTXATTRS_UNSPECIFIED);
}

static void add_numbers(Taker *s, const void *numbers, uint32_t count)
{
    g_array_append_val(s->numbers, count);
    g_array_append_vals(s->numbers, numbers, count);
    s->taken += count;
}

static void take_number(Taker *s, MemTxAttrs attrs)
{
    uint32_t number = test_read_register(MY_RNG_REG_RNG, attrs);

    /* 0: most likely the device was not there. */
    if (number) {
        add_numbers(s, &number, 1);
    }
}

static void take_many(Taker *s, MemTxAttrs attrs)
{
    static const uint32_t sizes[] = { 8, 512, 516, 4096, 20000, 65536,
                                      MY_RNG_BULK_MAX_BYTES };
    uint32_t bytes = sizes[next_random(s) % ARRAY_SIZE(sizes)];
    hwaddr addr = TEST_MEMORY + s->index * TEST_MEMORY_SIZE;
    void *descriptor = test_memory(addr);

    if (test_transfer(descriptor, addr, bytes, attrs)) {
        add_numbers(s, descriptor + TEST_BUFFER, bytes / 4);
        s->releases += s->index < CPUS && !attrs.requester_id;
    }
}

static void access_device(Taker *s)
{
    const MemTxAttrs of_message = { .requester_id = 8 };
    unsigned what = next_random(s) % 64;
    MemTxAttrs attrs = what % 8 ? s->attrs : of_message;
    Object *rng;

    if (what < 2) {
        write_seed(attrs);
    } else if (what == 2) {
        bql_lock();
        rng = the_rng();
        if (rng) {
            reset_and_seed(rng);
        } else {
            test_has_missed = true;
        }
        bql_unlock();
    } else if (what < 8) {
        test_read_register(what % 2 ? MY_RNG_REG_INFO : MY_RNG_REG_FAILURES,
                           attrs);
    } else if (what < 36) {
        take_number(s, attrs);
    } else {
        take_many(s, attrs);
    }
}

static void *take_numbers(void *opaque)
{
    Taker *s = opaque;

    test_begin_thread(s->index < CPUS);
    s->attrs = s->index < CPUS ? of_cpu : MEMTXATTRS_UNSPECIFIED;
    for (int i = 0; i < ACCESSES; i++) {
        do {
            test_has_missed = false;
            access_device(s);
        } while (test_has_missed);
        if (i % (ACCESSES * THREADS / STEPS) == 0) {
            qemu_sem_post(&progress);
        }
    }
    rcu_unregister_thread();
    return NULL;
}

static void map_registers(Object *rng)
{
    PCIDevice *pdev = PCI_DEVICE(rng);

    pdev->config_write(pdev, PCI_BASE_ADDRESS_0, TEST_REGISTERS, 4);
    pdev->config_write(pdev, PCI_COMMAND,
                       PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

/* Adds what the device has counted: a new one starts at 0. */
static void add_counters(uint64_t *reads, uint64_t *releases)
{
    *reads += test_counter("reads");
    *releases += test_counter("lock-releases");
}

static void unplug_and_plug(uint64_t *reads, uint64_t *releases)
{
    Object *rng = the_rng();
    BusState *bus = DEVICE(rng)->parent_bus;
    g_autofree char *generator = object_property_get_str(rng, "generator",
                                                         &error_abort);
    Object *devices = object_resolve_path("/machine/peripheral", NULL);
    DeviceState *next = qdev_new("my_rng");

    /* Waits for all transfers, so the counters change no more. */
    reset_and_seed(rng);
    add_counters(reads, releases);
    object_unparent(rng);
    /* Some accesses find nothing, and some the old device. */
    bql_unlock();
    sched_yield();
    bql_lock();
    qdev_prop_set_string(next, "generator", generator);
    if (strcmp(generator, "host")) {
        object_property_set_uint(OBJECT(next), "seed",
                                 qatomic_fetch_inc(&last_seed) + 1,
                                 &error_abort);
    }
    object_property_add_child(devices, "rng", OBJECT(next));
    qdev_realize_and_unref(next, bus, &error_abort);
    map_registers(OBJECT(next));
}

static void save_and_load(void)
{
    Object *rng = the_rng();
    const VMStateDescription *vmsd = DEVICE_GET_CLASS(rng)->vmsd;

    /* What is saved stays in the device. */
    if (vmsd->pre_save(rng) || vmsd->post_load(rng, vmsd->version_id)) {
        tester_say("not saved and loaded");
    }
}

static void write_numbers(const char *path, Taker *takers)
{
    FILE *file = fopen(path, "wb");

    for (int i = 0; i < THREADS + 1; i++) {
        GArray *numbers = takers[i].numbers;

        fwrite(numbers->data, sizeof(uint32_t), numbers->len, file);
        g_array_free(numbers, true);
    }
    fclose(file);
}

void test_storm(const char *path)
{
    Taker takers[THREADS + 1] = {}, *main_thread = &takers[THREADS];
    uint64_t reads = 0, releases = 0;

    qemu_sem_init(&progress, 0);
    last_seed = FIRST_SEED;
    qatomic_set(&test_next_word, 1);
    reset_and_seed(the_rng());
    for (int i = 0; i < THREADS + 1; i++) {
        takers[i].index = i;
        takers[i].random = i + 1;
        takers[i].numbers = g_array_new(false, false, sizeof(uint32_t));
        if (i < THREADS) {
            test_start(&takers[i].thread, take_numbers, &takers[i]);
        }
    }
    for (int i = 0; i < STEPS / 2; i++) {
        bql_unlock();
        qemu_sem_wait(&progress);
        bql_lock();
        switch (i % 5) {
        case 0:
            reset_and_seed(the_rng());
            break;
        case 1:
            save_and_load();
            break;
        case 2:
            test_counter("reads");
            test_counter("guest-errors");
            break;
        case 3:
            take_number(main_thread, MEMTXATTRS_UNSPECIFIED);
            break;
        case 4:
            unplug_and_plug(&reads, &releases);
            break;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        test_join(&takers[i].thread);
        main_thread->taken += takers[i].taken;
        main_thread->releases += takers[i].releases;
    }
    add_counters(&reads, &releases);
    write_numbers(path, takers);
    tester_say("last seed %u", last_seed);
    tester_say("reads %" PRIu64 " of %" PRIu64, reads, main_thread->taken);
    tester_say("lock-releases %" PRIu64 " of %" PRIu64, releases,
               main_thread->releases);
    qatomic_set(&test_next_word, 0);
}

