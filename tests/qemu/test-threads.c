/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Threads that use a my_rng device at the same time. They act as virtual CPUs:
 * an access of theirs is as KVM's, which holds neither the big lock nor an RCU
 * lock, and with the attributes of a virtual CPU.
 *
 * The tester's property "run" starts one of these jobs with the device "rng",
 * whose registers the guest has mapped:
 *
 * hold CALLER CALL: a virtual CPU starts a transfer, which is held in the
 *   middle. CALLER, which is cpu, device (on a virtual CPU) or main, then makes
 *   one CALL: number, info, reset, save, reads, unplug. As soon as it waits for
 *   the transfer, or has not, the transfer goes on.
 * hold-map CALLER CALL: the same for a transfer that is held earlier, when it
 *   maps its first page.
 * gone-map N: at the Nth page that a transfer maps, the device's registers have
 *   just taken the place of the memory.
 * dirty: a transfer to the tester's memory is held until a reset waits for it.
 * turns: a transfer is held; two virtual CPUs wait for it one after the other,
 *   and each takes a number.
 * gone: a transfer is held; a virtual CPU waits for it to read a number; then
 *   the device is unplugged.
 * attributes: transfers of different callers; which of them hold the big lock.
 * storm PATH: see test-storm.c.
 */

#include "qemu/osdep.h"
#include "qemu/rcu.h"
#include "qemu/thread.h"
#include <sys/syscall.h>
#include <linux/futex.h>
#include "my_rng.h"
#include "test-devices.h"

static const MemTxAttrs of_cpu;

/* ---- hooks ---- */

static __thread bool is_cpu;
/* Whether an access of this thread has not found the device. */
__thread bool test_has_missed;
/* Called when this thread next sleeps in the Rust code. */
static __thread void (*on_sleep)(void);
/* Called when the device next emits one of its events: within its work. */
static void (*on_event)(void);
/* Called when memory is next mapped. */
static void (*on_map)(void);
/* How many more times memory is mapped until the registers are in its place. */
static unsigned map_registers;
/* How many times memory was unmapped. */
static unsigned unmapped;
/* The next word, if a job counts up instead of using entropy; or 0. */
uint32_t test_next_word;

bool __real_qemu_in_vcpu_thread(void);
bool __wrap_qemu_in_vcpu_thread(void);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
void __real_my_rng_trace_event(const char *path, size_t event,
                               const uint64_t *arguments);
void __wrap_my_rng_trace_event(const char *path, size_t event,
                               const uint64_t *arguments);
void *__real_address_space_map(AddressSpace *as, hwaddr addr, hwaddr *plen,
                               bool is_write, MemTxAttrs attrs);
void *__wrap_address_space_map(AddressSpace *as, hwaddr addr, hwaddr *plen,
                               bool is_write, MemTxAttrs attrs);
void __real_address_space_unmap(AddressSpace *as, void *buffer, hwaddr len,
                                bool is_write, hwaddr access_len);
void __wrap_address_space_unmap(AddressSpace *as, void *buffer, hwaddr len,
                                bool is_write, hwaddr access_len);

bool __wrap_qemu_in_vcpu_thread(void)
{
    return is_cpu || __real_qemu_in_vcpu_thread();
}

static void call_once(void (**hook)(void))
{
    void (*call)(void) = *hook;

    *hook = NULL;
    if (call) {
        call();
    }
}

/* Rust's Mutex and Condvar sleep with it. */
long __wrap_syscall(long number, ...)
{
    long args[6];
    va_list list;

    va_start(list, number);
    for (int i = 0; i < ARRAY_SIZE(args); i++) {
        args[i] = va_arg(list, long);
    }
    va_end(list);
    if (number == SYS_futex &&
        ((args[1] & FUTEX_CMD_MASK) == FUTEX_WAIT ||
         (args[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET)) {
        call_once(&on_sleep);
    }
    return __real_syscall(number, args[0], args[1], args[2], args[3], args[4],
                          args[5]);
}

void __wrap_my_rng_trace_event(const char *path, size_t event,
                               const uint64_t *arguments)
{
    void (*call)(void) = qatomic_xchg(&on_event, NULL);

    if (call) {
        call();
    }
    __real_my_rng_trace_event(path, event, arguments);
}

void *__wrap_address_space_map(AddressSpace *as, hwaddr addr, hwaddr *plen,
                               bool is_write, MemTxAttrs attrs)
{
    void (*call)(void) = qatomic_xchg(&on_map, NULL);

    if (call) {
        call();
    }
    if (map_registers && --map_registers == 0) {
        addr = TEST_REGISTERS;
    }
    return __real_address_space_map(as, addr, plen, is_write, attrs);
}

void __wrap_address_space_unmap(AddressSpace *as, void *buffer, hwaddr len,
                                bool is_write, hwaddr access_len)
{
    qatomic_inc(&unmapped);
    __real_address_space_unmap(as, buffer, len, is_write, access_len);
}

bool count_up_entropy(void *buf, size_t len)
{
    uint32_t word, words = len / sizeof(word);

    if (!qatomic_read(&test_next_word)) {
        return false;
    }
    word = qatomic_fetch_add(&test_next_word, words);
    for (uint32_t i = 0; i < words; i++) {
        stl_le_p((uint32_t *)buf + i, word + i);
    }
    return true;
}

/*
 * For ThreadSanitizer, whose own versions take a jump to another coroutine's
 * stack for an error: the C library's.
 */
#ifdef __x86_64__
#include <dlfcn.h>

int __wrap___sigsetjmp(sigjmp_buf env, int savemask);
G_NORETURN void __wrap_siglongjmp(sigjmp_buf env, int val);
void *sigsetjmp_of_libc;
static void (*siglongjmp_of_libc)(sigjmp_buf env, int val);

static void __attribute__((constructor)) find_jumps(void)
{
    void *libc = dlopen("libc.so.6", RTLD_LAZY);

    sigsetjmp_of_libc = dlsym(libc, "__sigsetjmp");
    siglongjmp_of_libc = dlsym(libc, "siglongjmp");
}

/* It returns twice, so a function of C cannot call it. */
asm(".globl __wrap___sigsetjmp\n"
    "__wrap___sigsetjmp:\n"
    "jmp *sigsetjmp_of_libc(%rip)\n");

void __wrap_siglongjmp(sigjmp_buf env, int val)
{
    siglongjmp_of_libc(env, val);
    g_assert_not_reached();
}
#endif

/* ---- accesses ---- */

uint32_t test_read_register(hwaddr reg, MemTxAttrs attrs)
{
    uint32_t val = 0;

    if (address_space_read(&address_space_memory, TEST_REGISTERS + reg, attrs,
                           &val, sizeof(val)) != MEMTX_OK) {
        test_has_missed = true;
        return 0;
    }
    return le32_to_cpu(val);
}

void test_write_register(hwaddr reg, uint32_t val, MemTxAttrs attrs)
{
    val = cpu_to_le32(val);
    if (address_space_write(&address_space_memory, TEST_REGISTERS + reg, attrs,
                            &val, sizeof(val)) != MEMTX_OK) {
        test_has_missed = true;
    }
}

void *test_memory(hwaddr addr)
{
    MemoryRegion *mr = address_space_memory.root;
    MemoryRegionSection section = memory_region_find(mr, addr,
                                                     TEST_MEMORY_SIZE);
    void *host = memory_region_get_ram_ptr(section.mr);

    host += section.offset_within_region;
    memory_region_unref(section.mr);
    return host;
}

static bool transfer_to(hwaddr buffer, void *descriptor, hwaddr addr,
                        uint32_t bytes, MemTxAttrs attrs)
{
    const uint32_t sizes[2] = { bytes / 8 * 4, bytes - bytes / 8 * 4 };

    stl_le_p(descriptor + MY_RNG_BULK_STATUS, 0);
    stq_le_p(descriptor + MY_RNG_BULK_DONE, 0);
    stl_le_p(descriptor + MY_RNG_BULK_COUNT, ARRAY_SIZE(sizes));
    for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
        void *segment = descriptor + MY_RNG_BULK_SEGMENTS +
                        i * MY_RNG_BULK_SEGMENT_SIZE;

        stq_le_p(segment, buffer);
        stq_le_p(segment + 8, sizes[i]);
        buffer += sizes[i];
    }
    test_write_register(MY_RNG_REG_DOORBELL, addr / MY_RNG_BULK_PAGE, attrs);
    return ldl_le_p(descriptor + MY_RNG_BULK_STATUS) == MY_RNG_BULK_FILLED &&
           ldl_le_p(descriptor + MY_RNG_BULK_DONE) == bytes;
}

bool test_transfer(void *descriptor, hwaddr addr, uint32_t bytes,
                     MemTxAttrs attrs)
{
    return transfer_to(addr + TEST_BUFFER, descriptor, addr, bytes, attrs);
}

uint64_t test_counter(const char *name)
{
    return object_property_get_uint(the_rng(), name, &error_abort);
}

void test_begin_thread(bool cpu)
{
    is_cpu = cpu;
    if (cpu) {
        current_cpu = first_cpu;
    }
    rcu_register_thread();
}

void test_start(QemuThread *thread, void *(*f)(void *), void *opaque)
{
    qemu_thread_create(thread, "tester", f, opaque, QEMU_THREAD_JOINABLE);
}

static void *cpu_transfers(void *opaque)
{
    hwaddr *buffer = opaque, to = buffer ? *buffer : TEST_MEMORY + TEST_BUFFER;
    bool filled;

    test_begin_thread(true);
    filled = transfer_to(to, test_memory(TEST_MEMORY), TEST_MEMORY, 8192,
                         of_cpu);
    tester_say("transfer %d", filled);
    rcu_unregister_thread();
    return NULL;
}

/* ---- a transfer that is held ---- */

static QemuSemaphore is_held, may_go, does_wait;

static void hold(void)
{
    tester_say("held, %s the big lock", bql_locked() ? "with" : "without");
    qemu_sem_post(&is_held);
    qemu_sem_wait(&may_go);
    tester_say("goes on");
}

static void let_go(void)
{
    tester_say("waits");
    qemu_sem_post(&may_go);
}

static void look_whether_it_waited(void)
{
    if (on_sleep) {
        on_sleep = NULL;
        tester_say("did not wait");
        qemu_sem_post(&may_go);
    }
}

static void waits(void)
{
    qemu_sem_post(&does_wait);
}

/*
 * Starts a transfer, and returns when it is held, by this hook. The big lock is
 * held.
 */
static void start_held(QemuThread *thread, hwaddr *buffer, void (**hook)(void))
{
    qatomic_set(hook, hold);
    test_start(thread, cpu_transfers, buffer);
    bql_unlock();
    qemu_sem_wait(&is_held);
    bql_lock();
    tester_say("the big lock is free");
}

void test_join(QemuThread *thread)
{
    bql_unlock();
    qemu_thread_join(thread);
    bql_lock();
}

static const char *call;
static MemTxAttrs call_attrs;

static void make_call(void)
{
    Object *rng = the_rng();

    on_sleep = let_go;
    if (!strcmp(call, "number")) {
        tester_say("number %u", test_read_register(MY_RNG_REG_RNG, call_attrs));
    } else if (!strcmp(call, "info")) {
        tester_say("info %x", test_read_register(MY_RNG_REG_INFO, call_attrs));
    } else if (!strcmp(call, "reset")) {
        device_cold_reset(DEVICE(rng));
        tester_say("reset");
    } else if (!strcmp(call, "save")) {
        tester_say("save %d", DEVICE_GET_CLASS(rng)->vmsd->pre_save(rng));
    } else if (!strcmp(call, "reads")) {
        tester_say("reads %" PRIu64, test_counter("reads"));
    } else if (!strcmp(call, "unplug")) {
        object_unparent(rng);
        tester_say("unplugged");
    }
    look_whether_it_waited();
}

static void *cpu_calls(void *opaque)
{
    /* Only an access takes the big lock by itself. */
    bool locks = strcmp(call, "number") && strcmp(call, "info");

    test_begin_thread(true);
    if (locks) {
        bql_lock();
    }
    make_call();
    if (locks) {
        bql_unlock();
    }
    rcu_unregister_thread();
    return NULL;
}

static void hold_for(const char *caller, void (**hook)(void))
{
    QemuThread holder, cpu;
    /* Another device: not the attributes of a virtual CPU. */
    bool is_device = !strcmp(caller, "device");

    start_held(&holder, NULL, hook);
    call_attrs = is_device ? MEMTXATTRS_UNSPECIFIED : of_cpu;
    if (!strcmp(caller, "main")) {
        make_call();
    } else {
        test_start(&cpu, cpu_calls, NULL);
        test_join(&cpu);
    }
    test_join(&holder);
}

static void map_what_is_gone(unsigned nth)
{
    QemuThread cpu;

    map_registers = nth;
    test_start(&cpu, cpu_transfers, NULL);
    test_join(&cpu);
    tester_say("status %u",
               ldl_le_p(test_memory(TEST_MEMORY) + MY_RNG_BULK_STATUS));
}

static void look_at_unmapping(void)
{
    hwaddr ram = TESTER_RAM;
    QemuThread holder;

    unmapped = 0;
    start_held(&holder, &ram, &on_event);
    call = "reset";
    make_call();
    /* The transfer has ended, and waits for the big lock. */
    tester_say("%u unmapped", qatomic_read(&unmapped));
    test_join(&holder);
}

static void *cpu_takes_number(void *opaque)
{
    test_begin_thread(true);
    on_sleep = waits;
    *(uint32_t *)opaque = test_read_register(MY_RNG_REG_RNG, of_cpu);
    rcu_unregister_thread();
    return NULL;
}

static void start_waiting(QemuThread *thread, uint32_t *number)
{
    test_start(thread, cpu_takes_number, number);
    bql_unlock();
    qemu_sem_wait(&does_wait);
    bql_lock();
}

static void take_turns(void)
{
    QemuThread holder, cpus[2];
    uint32_t numbers[2];

    start_held(&holder, NULL, &on_event);
    start_waiting(&cpus[0], &numbers[0]);
    start_waiting(&cpus[1], &numbers[1]);
    qemu_sem_post(&may_go);
    test_join(&holder);
    test_join(&cpus[0]);
    test_join(&cpus[1]);
    tester_say("numbers %u %u", numbers[0], numbers[1]);
}

static void unplug_before_waiting(void)
{
    QemuThread holder, cpu;
    uint32_t number = 1;

    start_held(&holder, NULL, &on_event);
    start_waiting(&cpu, &number);
    on_sleep = let_go;
    object_unparent(the_rng());
    tester_say("unplugged");
    look_whether_it_waited();
    test_join(&holder);
    test_join(&cpu);
    tester_say("number %u", number);
}

/* ---- attributes ---- */

static bool was_locked;
/* Of a locked instruction that runs while all other CPUs stand still. */
static const MemTxAttrs of_locked;

static void look_whether_locked(void)
{
    was_locked = bql_locked();
}

static void *transfers_with(void *opaque)
{
    const MemTxAttrs *attrs = opaque;

    /* A thread that has none is no virtual CPU. */
    test_begin_thread(attrs);
    /* As in TCG's cpu_exec_step_atomic(). */
    first_cpu->exclusive_context_count = attrs == &of_locked;
    qatomic_set(&on_event, look_whether_locked);
    if (!test_transfer(test_memory(TEST_MEMORY), TEST_MEMORY, 4096,
                       attrs ? *attrs : of_cpu)) {
        tester_say("no transfer");
    }
    first_cpu->exclusive_context_count = 0;
    rcu_unregister_thread();
    return NULL;
}

static void try_attributes(void)
{
    static const MemTxAttrs of_device = { .unspecified = 1 };
    static const MemTxAttrs of_message = { .requester_id = 8 };
    static const struct {
        const char *name;
        const MemTxAttrs *attrs;
    } cases[] = {
        { "cpu", &of_cpu }, { "device", &of_device },
        { "message", &of_message }, { "locked instruction", &of_locked },
        { "other thread", NULL },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t before = test_counter("lock-releases");
        QemuThread thread;

        test_start(&thread, transfers_with, (void *)cases[i].attrs);
        test_join(&thread);
        tester_say("%s: %s the big lock, %" PRIu64 " released", cases[i].name,
                   was_locked ? "with" : "without",
                   test_counter("lock-releases") - before);
    }
}

bool run_threads(const char *what)
{
    static bool is_initialized;
    g_auto(GStrv) words = g_strsplit(what, " ", 3);
    unsigned count = g_strv_length(words);

    if (!is_initialized) {
        qemu_sem_init(&is_held, 0);
        qemu_sem_init(&may_go, 0);
        qemu_sem_init(&does_wait, 0);
        is_initialized = true;
    }
    if (count == 3 && !strcmp(words[0], "hold")) {
        call = words[2];
        hold_for(words[1], &on_event);
    } else if (count == 3 && !strcmp(words[0], "hold-map")) {
        call = words[2];
        hold_for(words[1], &on_map);
    } else if (count == 2 && !strcmp(words[0], "gone-map")) {
        map_what_is_gone(atoi(words[1]));
    } else if (!strcmp(what, "dirty")) {
        look_at_unmapping();
    } else if (!strcmp(what, "turns")) {
        take_turns();
    } else if (!strcmp(what, "gone")) {
        unplug_before_waiting();
    } else if (!strcmp(what, "attributes")) {
        try_attributes();
    } else if (count == 2 && !strcmp(words[0], "storm")) {
        test_storm(words[1]);
    } else {
        return false;
    }
    return true;
}
