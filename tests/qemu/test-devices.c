/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Devices that only tests use. scripts/build-extra.sh links them into a QEMU
 * of their own.
 *
 * my-rng-classic: a device with only the two classic registers. All other
 *   offsets read as elsewhere= says: ones, zeros, next (the next number) or
 *   signature (numbers that look like those of INFO).
 * my-rng-entropy: the guest writes to its first register how many bytes of
 *   entropy the host has left; all ones for no limit.
 * my-rng-tester: calls a my_rng device as QEMU never or only rarely does. See
 *   below.
 */

#include "qemu/osdep.h"
#include "qemu/rcu.h"
#if __has_include("system/address-spaces.h")
#include "system/address-spaces.h"
#else
#include "exec/address-spaces.h"
#endif
#include "my_rng.h"
#include "test-devices.h"

#define TYPE_CLASSIC "my-rng-classic"
OBJECT_DECLARE_SIMPLE_TYPE(Classic, CLASSIC)

#define TYPE_ENTROPY "my-rng-entropy"
OBJECT_DECLARE_SIMPLE_TYPE(Entropy, ENTROPY)

#define TYPE_TESTER "my-rng-tester"
OBJECT_DECLARE_SIMPLE_TYPE(Tester, TESTER)

/* Not used by any other device of QEMU. */
#define ENTROPY_DEVICE_ID 0xcafd

/* What my-rng-classic reads as at all other offsets. */
enum { ONES, ZEROS, NEXT, SIGNATURE };
static const char *const elsewhere_names[] = {
    [ONES] = "ones", [ZEROS] = "zeros", [NEXT] = "next",
    [SIGNATURE] = "signature",
};

struct Classic {
    PCIDevice parent_obj;

    MemoryRegion mmio;
    uint32_t next;
    int elsewhere;
};

struct Entropy {
    PCIDevice parent_obj;

    MemoryRegion mmio;
};

#define REGISTER_OPS(read_register, write_register) {                   \
        .read = read_register,                                          \
        .write = write_register,                                        \
        .endianness = DEVICE_LITTLE_ENDIAN,                             \
        .valid = { .min_access_size = 4, .max_access_size = 4 },        \
        .impl = { .min_access_size = 4, .max_access_size = 4 },         \
    }

static void add_bar(PCIDevice *pdev, MemoryRegion *mmio,
                    const MemoryRegionOps *ops)
{
    memory_region_init_io(mmio, OBJECT(pdev), ops, pdev, "registers",
                          MY_RNG_BAR_SIZE);
    pci_register_bar(pdev, 0, PCI_BASE_ADDRESS_SPACE_MEMORY, mmio);
}

/* Counts up from the seed, so that a test sees which numbers were taken. */
static uint64_t classic_read(void *opaque, hwaddr addr, unsigned size)
{
    Classic *s = opaque;

    if (addr == MY_RNG_REG_RNG || s->elsewhere == NEXT) {
        return s->next++;
    }
    if (addr == MY_RNG_REG_SEED || s->elsewhere == ZEROS) {
        return 0;
    }
    if (s->elsewhere == SIGNATURE) {
        return MY_RNG_INFO(s->next++ & 0xffff);
    }
    return UINT32_MAX;
}

static void classic_write(void *opaque, hwaddr addr, uint64_t val,
                          unsigned size)
{
    Classic *s = opaque;

    if (addr == MY_RNG_REG_SEED) {
        s->next = val;
    }
}

static void classic_realize(PCIDevice *pdev, Error **errp)
{
    static const MemoryRegionOps ops = REGISTER_OPS(classic_read,
                                                    classic_write);

    add_bar(pdev, &CLASSIC(pdev)->mmio, &ops);
}

static void classic_set_elsewhere(Object *obj, const char *value, Error **errp)
{
    for (int i = 0; i < ARRAY_SIZE(elsewhere_names); i++) {
        if (!strcmp(value, elsewhere_names[i])) {
            CLASSIC(obj)->elsewhere = i;
            return;
        }
    }
    error_setg(errp, "elsewhere= is ones, zeros, next or signature");
}

static void init_pci_class(ObjectClass *klass, uint16_t device_id)
{
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);

    k->vendor_id = MY_RNG_PCI_VENDOR_ID;
    k->device_id = device_id;
    k->class_id = PCI_CLASS_OTHERS;
    set_bit(DEVICE_CATEGORY_MISC, DEVICE_CLASS(klass)->categories);
}

static void classic_class_init(ObjectClass *klass, SeamClassData *data)
{
    PCI_DEVICE_CLASS(klass)->realize = classic_realize;
    init_pci_class(klass, MY_RNG_PCI_DEVICE_ID);
    object_class_property_add_str(klass, "elsewhere", NULL,
                                  classic_set_elsewhere);
}

/* Devices ask for entropy on several threads at the same time. */
static uint32_t entropy_left = UINT32_MAX;
/* Called once, when a device next asks for entropy. */
static void (*on_entropy)(void);

int __real_qemu_guest_getrandom(void *buf, size_t len, Error **errp);
int __wrap_qemu_guest_getrandom(void *buf, size_t len, Error **errp);

/* The linker redirects QEMU's calls of qemu_guest_getrandom() to this. */
int __wrap_qemu_guest_getrandom(void *buf, size_t len, Error **errp)
{
    void (*call)(void) = qatomic_xchg(&on_entropy, NULL);
    uint32_t left = qatomic_read(&entropy_left), before;

    if (call) {
        call();
    }
    if (count_up_entropy(buf, len)) {
        return 0;
    }
    do {
        if (left == UINT32_MAX) {
            break;
        }
        if (len > left) {
            error_setg(errp, "the test lets the host have no entropy");
            return -1;
        }
        before = left;
        left = qatomic_cmpxchg(&entropy_left, before, before - len);
    } while (left != before);
    return __real_qemu_guest_getrandom(buf, len, errp);
}

static uint64_t entropy_read(void *opaque, hwaddr addr, unsigned size)
{
    return qatomic_read(&entropy_left);
}

static void entropy_write(void *opaque, hwaddr addr, uint64_t val,
                          unsigned size)
{
    qatomic_set(&entropy_left, val);
}

static void entropy_realize(PCIDevice *pdev, Error **errp)
{
    static const MemoryRegionOps ops = REGISTER_OPS(entropy_read,
                                                    entropy_write);

    add_bar(pdev, &ENTROPY(pdev)->mmio, &ops);
}

static void entropy_class_init(ObjectClass *klass, SeamClassData *data)
{
    PCI_DEVICE_CLASS(klass)->realize = entropy_realize;
    init_pci_class(klass, ENTROPY_DEVICE_ID);
}

/* ---- my-rng-tester ---- */

/*
 * The property "run" starts one of these, and the property "said" returns its
 * results, one a line:
 *
 * reenter: when a device next asks for entropy, calls the device "rng" during
 *   that.
 * unlocked: calls it without the big lock.
 * unrealized: calls a new device that is not realized.
 * realize-unlocked: realizes a new device without the big lock.
 * realize-late: realizes a new device; this fails after the device's own realize.
 * realize-again GENERATOR: realizes a new device with this bad property, and
 *   then again with a good one.
 * allocations: counts the allocations of 2000 bad accesses to "rng". Needs
 *   AddressSanitizer.
 * memory: which pages of the tester's memory were written since the last time,
 *   and how many references it has.
 * The jobs of test-threads.c.
 *
 * The tester's memory, behind the machine's: two pages of RAM, one page of a RAM
 * device (like the memory of a passed-through device), and half a page of RAM.
 */
#define TESTER_RAM_SIZE     0x2000
#define TESTER_RAM_DEVICE   0x40002000
#define TESTER_HALF         0x40003000
#define TESTER_PAGE         0x1000

struct Tester {
    DeviceState parent_obj;

    MemoryRegion ram;
    MemoryRegion ram_device;
    MemoryRegion half;
};

static GString *said;
static GMutex said_lock;

void tester_say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_mutex_lock(&said_lock);
    g_string_append_vprintf(said, format, args);
    g_string_append_c(said, '\n');
    g_mutex_unlock(&said_lock);
    va_end(args);
}

static void say_error(Error *err)
{
    tester_say("%s", err ? error_get_pretty(err) : "done");
    error_free(err);
}

Object *the_rng(void)
{
    return object_resolve_path("/machine/peripheral/rng", NULL);
}

static MemoryRegion *registers_of(Object *rng)
{
    return MEMORY_REGION(object_resolve_path_component(rng, "my_rng[0]"));
}

static uint64_t read_register(MemoryRegion *mr, hwaddr addr, unsigned size)
{
    uint64_t val = 0;

    mr->ops->read_with_attrs(mr->opaque, addr, &val, size,
                             MEMTXATTRS_UNSPECIFIED);
    return val;
}

static void write_register(MemoryRegion *mr, hwaddr addr, uint64_t val)
{
    mr->ops->write_with_attrs(mr->opaque, addr, val, 4,
                              MEMTXATTRS_UNSPECIFIED);
}

/* Calls a device in all ways in which QEMU does. */
static void call_device(Object *rng)
{
    MemoryRegion *registers = registers_of(rng);
    const VMStateDescription *vmsd = DEVICE_GET_CLASS(rng)->vmsd;
    int status;

    tester_say("read %" PRIu64, read_register(registers, MY_RNG_REG_RNG, 4));
    write_register(registers, MY_RNG_REG_SEED, 7);
    write_register(registers, MY_RNG_REG_DOORBELL, 0);
    device_cold_reset(DEVICE(rng));
    tester_say("save %d", vmsd->pre_save(rng));
    status = vmsd->pre_load(rng);
    if (!status) {
        status = vmsd->post_load(rng, vmsd->version_id);
    }
    tester_say("load %d", status);
    tester_say("reads %" PRIu64,
               object_property_get_uint(rng, "reads", &error_abort));
}

static void call_the_rng(void)
{
    call_device(the_rng());
}

static void call_unlocked(void)
{
    bql_unlock();
    call_the_rng();
    bql_lock();
}

static void call_unrealized(void)
{
    DeviceState *rng = qdev_new("my_rng");

    call_device(OBJECT(rng));
    object_unref(OBJECT(rng));
}

/* Realizes a device with a text property, and adds the result to "said". */
static void try_realize(DeviceState *rng, const char *name, const char *value)
{
    Error *err = NULL;

    qdev_prop_set_string(rng, name, value);
    qdev_realize(rng, DEVICE(the_rng())->parent_bus, &err);
    say_error(err);
}

static void (*real_realize)(PCIDevice *pdev, Error **errp);

static void realize_unlocked(PCIDevice *pdev, Error **errp)
{
    bql_unlock();
    real_realize(pdev, errp);
    bql_lock();
}

static void try_realize_unlocked(void)
{
    DeviceState *rng = qdev_new("my_rng");
    PCIDeviceClass *k = PCI_DEVICE_GET_CLASS(rng);

    real_realize = k->realize;
    k->realize = realize_unlocked;
    try_realize(rng, "generator", "libc");
    k->realize = real_realize;
    object_unref(OBJECT(rng));
}

static void try_realize_late(void)
{
    DeviceState *rng = qdev_new("my_rng");

    /* QEMU reads this file after the device's own realize. */
    try_realize(rng, "romfile", "/no such file");
    call_device(OBJECT(rng));
    object_unref(OBJECT(rng));
}

static void try_realize_again(const char *generator)
{
    DeviceState *rng = qdev_new("my_rng");

    try_realize(rng, "generator", generator);
    call_device(OBJECT(rng));
    try_realize(rng, "generator", "chacha20");
    tester_say("read %" PRIu64,
               read_register(registers_of(OBJECT(rng)), MY_RNG_REG_RNG, 4));
    object_unparent(OBJECT(rng));
    object_unref(OBJECT(rng));
}

static __thread bool is_counting;
static unsigned allocations;

static void on_malloc(const volatile void *ptr, size_t size)
{
    allocations += is_counting;
}

static void on_free(const volatile void *ptr)
{
}

/* From the sanitizer's library. */
int __attribute__((weak)) __sanitizer_install_malloc_and_free_hooks(
    void (*malloc_hook)(const volatile void *, size_t),
    void (*free_hook)(const volatile void *));

static void count_allocations(void)
{
    static bool is_installed;
    MemoryRegion *registers = registers_of(the_rng());

    if (!is_installed) {
        g_assert(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free));
        is_installed = true;
    }
    allocations = 0;
    is_counting = true;
    for (int i = 0; i < 1000; i++) {
        read_register(registers, MY_RNG_REG_RNG, 2);
        write_register(registers, MY_RNG_REG_RNG, 7);
    }
    is_counting = false;
    tester_say("%u allocations", allocations);
}

static void look_at_memory(Tester *s)
{
    g_autofree DirtyBitmapSnapshot *snapshot =
        memory_region_snapshot_and_clear_dirty(&s->ram, 0, TESTER_RAM_SIZE,
                                               DIRTY_MEMORY_VGA);

    for (hwaddr at = 0; at < TESTER_RAM_SIZE; at += TESTER_PAGE) {
        bool dirty = memory_region_snapshot_get_dirty(&s->ram, snapshot, at,
                                                      TESTER_PAGE);

        tester_say("%s", dirty ? "written" : "clean");
    }
    /* Old memory maps of QEMU refer to it too, and are freed with RCU. */
    drain_call_rcu();
    tester_say("%u references", OBJECT(s)->ref);
}

static void tester_run(Object *obj, const char *what, Error **errp)
{
    const char *generator;

    if (!strcmp(what, "reenter")) {
        qatomic_set(&on_entropy, call_the_rng);
    } else if (!strcmp(what, "unlocked")) {
        call_unlocked();
    } else if (!strcmp(what, "unrealized")) {
        call_unrealized();
    } else if (!strcmp(what, "realize-unlocked")) {
        try_realize_unlocked();
    } else if (!strcmp(what, "realize-late")) {
        try_realize_late();
    } else if (g_str_has_prefix(what, "realize-again ")) {
        generator = what + strlen("realize-again ");
        try_realize_again(strcmp(generator, "BYTES") ? generator : "\xff\xfe");
    } else if (!strcmp(what, "allocations")) {
        count_allocations();
    } else if (!strcmp(what, "memory")) {
        look_at_memory(TESTER(obj));
    } else if (!run_threads(what)) {
        error_setg(errp, "there is nothing called %s", what);
    }
}

static char *tester_said(Object *obj, Error **errp)
{
    char *text;

    g_mutex_lock(&said_lock);
    text = g_strdup(said->str);
    g_string_truncate(said, 0);
    g_mutex_unlock(&said_lock);
    return text;
}

static void tester_set_entropy(Object *obj, Visitor *v, const char *name,
                               void *opaque, Error **errp)
{
    visit_type_uint32(v, name, &entropy_left, errp);
}

static void tester_realize(DeviceState *dev, Error **errp)
{
    static uint8_t page[TESTER_PAGE] __attribute__((aligned(TESTER_PAGE)));
    Tester *s = TESTER(dev);
    Object *obj = OBJECT(dev);
    MemoryRegion *memory = get_system_memory();

    said = g_string_new(NULL);
    memory_region_init_ram(&s->ram, obj, "ram", TESTER_RAM_SIZE, &error_abort);
    memory_region_set_log(&s->ram, true, DIRTY_MEMORY_VGA);
    memory_region_init_ram_device_ptr(&s->ram_device, obj, "ram-device",
                                      TESTER_PAGE, page);
    memory_region_init_ram(&s->half, obj, "half", TESTER_PAGE / 2,
                           &error_abort);
    memory_region_add_subregion_overlap(memory, TESTER_RAM, &s->ram, 1);
    memory_region_add_subregion_overlap(memory, TESTER_RAM_DEVICE,
                                        &s->ram_device, 1);
    memory_region_add_subregion_overlap(memory, TESTER_HALF, &s->half, 1);
}

static void tester_class_init(ObjectClass *klass, SeamClassData *data)
{
    DEVICE_CLASS(klass)->realize = tester_realize;
    set_bit(DEVICE_CATEGORY_MISC, DEVICE_CLASS(klass)->categories);
    object_class_property_add_str(klass, "run", NULL, tester_run);
    object_class_property_add_str(klass, "said", tester_said, NULL);
    object_class_property_add(klass, "entropy", "uint32", NULL,
                              tester_set_entropy, NULL, NULL);
}

static SEAM_INTERFACE_INFO interfaces[] = {
    { INTERFACE_CONVENTIONAL_PCI_DEVICE },
    { },
};

static const TypeInfo types[] = {
    {
        .name = TYPE_CLASSIC,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(Classic),
        .class_init = classic_class_init,
        .interfaces = interfaces,
    }, {
        .name = TYPE_ENTROPY,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(Entropy),
        .class_init = entropy_class_init,
        .interfaces = interfaces,
    }, {
        .name = TYPE_TESTER,
        .parent = TYPE_DEVICE,
        .instance_size = sizeof(Tester),
        .class_init = tester_class_init,
    },
};

DEFINE_TYPES(types)
