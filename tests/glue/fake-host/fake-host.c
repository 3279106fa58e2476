/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "my-rng.h"
#include "fake-host.h"

/* A device is the only thing there is: one type, one class. */

typedef struct Listed {
    ObjectProperty property;
    const Property *field;      /* of a qdev property */
    char *default_text;
} Listed;

struct TypeImpl {
    TypeInfo info;
    /* Exactly as large as QEMU makes them: what is beyond is noticed. */
    PCIDeviceClass *class;
    InterfaceClass *resettable;
    Listed properties[16];
    size_t count;
};

struct Error {
    char *text;
};

struct Visitor {
    uint64_t *value;
};

static struct TypeImpl the_type;
static void (*register_types)(void);

static char log_text[1 << 20];
static size_t log_length;
static char error_text[1 << 20];

static bool bql = true;
static unsigned entropy_left, entropy_given;
static Object *reentered;
static bool late_failure;
/* The memory region that was made last. */
static const MemoryRegion *child;

/* ---- what fails here is a defect of the glue, or of this file ---- */

#define DEMAND(condition)                                               \
    do {                                                                \
        if (!(condition)) {                                             \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__,      \
                    __LINE__, #condition);                              \
            abort();                                                    \
        }                                                               \
    } while (0)

static char *copy(const char *text)
{
    char *result = strdup(text);

    DEMAND(result);
    return result;
}

static void *zeroes(size_t size)
{
    void *result = calloc(1, size);

    DEMAND(result);
    return result;
}

/* ---- log, reports, errors ---- */

int qemu_loglevel;

static void G_GNUC_PRINTF(1, 0) put(const char *format, va_list arguments)
{
    size_t room = sizeof(log_text) - log_length;
    int length = vsnprintf(log_text + log_length, room, format, arguments);

    DEMAND(length >= 0 && (size_t)length < room);
    log_length += length;
}

void qemu_log(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    put(format, arguments);
    va_end(arguments);
}

void error_report(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    put(format, arguments);
    va_end(arguments);
    qemu_log("\n");
}

void error_setg_internal(Error **errp, const char *src, int line,
                         const char *func, const char *format, ...)
{
    va_list arguments;
    Error *error;
    int length;

    DEMAND(src && line > 0 && func);
    if (!errp) {
        return;
    }
    DEMAND(!*errp);
    error = zeroes(sizeof(*error));
    va_start(arguments, format);
    length = vsnprintf(error_text, sizeof(error_text), format, arguments);
    va_end(arguments);
    DEMAND(length >= 0 && (size_t)length < sizeof(error_text));
    error->text = copy(error_text);
    *errp = error;
}

void error_free(Error *error)
{
    if (error) {
        free(error->text);
        free(error);
    }
}

const char *fake_log(void)
{
    return log_text;
}

const char *fake_error(void)
{
    return error_text;
}

void fake_clear(void)
{
    log_length = 0;
    log_text[0] = error_text[0] = '\0';
}

/* ---- tracing: what the tracing of QEMU's "log" backend looks at ---- */

int trace_events_enabled_count;
bool message_with_timestamp;
uint16_t _TRACE_MY_RNG_READ_DSTATE;
uint16_t _TRACE_MY_RNG_WRITE_DSTATE;
uint16_t _TRACE_MY_RNG_SEED_DSTATE;
uint16_t _TRACE_MY_RNG_TRANSFER_DSTATE;
uint16_t _TRACE_MY_RNG_RESET_DSTATE;
uint16_t _TRACE_MY_RNG_GUEST_ERROR_DSTATE;

int qemu_get_thread_id(void)
{
    return 1;
}

void fake_switch_log(bool guest_errors, bool trace)
{
    qemu_loglevel = (guest_errors ? LOG_GUEST_ERROR : 0)
                    | (trace ? LOG_TRACE : 0);
    trace_events_enabled_count = trace ? 6 : 0;
    _TRACE_MY_RNG_READ_DSTATE = trace;
    _TRACE_MY_RNG_WRITE_DSTATE = trace;
    _TRACE_MY_RNG_SEED_DSTATE = trace;
    _TRACE_MY_RNG_TRANSFER_DSTATE = trace;
    _TRACE_MY_RNG_RESET_DSTATE = trace;
    _TRACE_MY_RNG_GUEST_ERROR_DSTATE = trace;
}

/* ---- entropy ---- */

static MemoryRegion *region(Object *obj);

/* What QEMU must not do in the middle of an access, and may be made to. */
static void reenter(void)
{
    Object *obj = reentered;

    if (obj) {
        MemoryRegion *mr = region(obj);
        uint64_t count;

        reentered = NULL;
        DEMAND(mr->ops->read(mr->opaque, 0, 4) == 0);
        mr->ops->write(mr->opaque, 4, 7, 4);
        mr->ops->write(mr->opaque, 12, 1, 4);
        DEMAND(fake_counter(obj, "reads", &count) && count == 0);
        fake_reset(obj);
    }
}

int qemu_guest_getrandom(void *bytes, size_t size, Error **errp)
{
    uint32_t word = ++entropy_given;

    reenter();
    if (!entropy_left) {
        memset(bytes, 0xee, size);
        error_setg(errp, "no entropy");
        return -1;
    }
    entropy_left--;
    DEMAND(size && size % sizeof(word) == 0);
    for (size_t at = 0; at < size; at += sizeof(word)) {
        memcpy((char *)bytes + at, &word, sizeof(word));
    }
    return 0;
}

void fake_entropy(unsigned words)
{
    entropy_left = words;
    entropy_given = 0;
}

void fake_reenter(Object *obj)
{
    reentered = obj;
}

/* ---- types, classes, properties ---- */

const PropertyInfo qdev_prop_bool;
const PropertyInfo qdev_prop_uint32;
const PropertyInfo qdev_prop_string;

void register_module_init(void (*fn)(void), module_init_type type)
{
    DEMAND(type == MODULE_INIT_QOM && !register_types);
    register_types = fn;
}

Type type_register_static(const TypeInfo *info)
{
    DEMAND(!the_type.class && !strcmp(info->parent, TYPE_PCI_DEVICE));
    DEMAND(info->instance_size > sizeof(PCIDevice));
    /* So that malloc, which is asked here, is asked by QEMU too. */
    DEMAND(info->instance_align >= __alignof__(PCIDevice));
    DEMAND(info->instance_align <= __alignof__(max_align_t));
    DEMAND(info->instance_size % sizeof(uint32_t) == 0);
    the_type.info = *info;
    return &the_type;
}

ObjectClass *object_class_dynamic_cast_assert(ObjectClass *klass,
                                              const char *name,
                                              const char *file, int line,
                                              const char *func)
{
    DEMAND(klass == (ObjectClass *)the_type.class);
    /* What an interface asks for stands by itself. */
    if (!strcmp(name, TYPE_RESETTABLE_INTERFACE)) {
        return (ObjectClass *)the_type.resettable;
    }
    DEMAND(!strcmp(name, TYPE_DEVICE) || !strcmp(name, TYPE_PCI_DEVICE));
    return klass;
}

static Listed *find(ObjectClass *klass, const char *name)
{
    size_t i;

    DEMAND(klass->type == &the_type);
    for (i = 0; i < the_type.count; i++) {
        if (!strcmp(the_type.properties[i].property.name, name)) {
            return &the_type.properties[i];
        }
    }
    return NULL;
}

static Listed *add(ObjectClass *klass, const char *name)
{
    Listed *listed = &the_type.properties[the_type.count];

    DEMAND(the_type.count < ARRAY_SIZE(the_type.properties));
    DEMAND(!find(klass, name));
    listed->property.name = copy(name);
    the_type.count++;
    return listed;
}

ObjectProperty *object_class_property_find(ObjectClass *klass,
                                           const char *name)
{
    return &find(klass, name)->property;
}

ObjectProperty *object_class_property_add(ObjectClass *klass, const char *name,
                                          const char *type,
                                          ObjectPropertyAccessor *get,
                                          ObjectPropertyAccessor *set,
                                          ObjectPropertyRelease *release,
                                          void *opaque)
{
    ObjectProperty *property = &add(klass, name)->property;

    DEMAND(!strcmp(type, "uint64") && get && !set && !release);
    property->get = get;
    property->opaque = opaque;
    return property;
}

void object_class_property_set_description(ObjectClass *klass,
                                           const char *name,
                                           const char *description)
{
    Listed *listed = find(klass, name);

    DEMAND(listed && *description);
    free((char *)listed->property.description);
    listed->property.description = copy(description);
}

void object_property_set_default_str(ObjectProperty *property,
                                     const char *value)
{
    Listed *listed = container_of(property, Listed, property);

    DEMAND(!listed->default_text && listed->field);
    DEMAND(listed->field->info == &qdev_prop_string);
    listed->default_text = copy(value);
}

#if SEAM_QEMU_AT_LEAST(10, 0)
void device_class_set_props_n(DeviceClass *dc, const Property *props,
                              size_t n)
{
    for (size_t i = 0; i < n; i++) {
        add(OBJECT_CLASS(dc), props[i].name)->field = &props[i];
    }
    DEMAND(n > 0 && !props[n].name);
}
#else
void device_class_set_props(DeviceClass *dc, Property *props)
{
    for (; props->name; props++) {
        add(OBJECT_CLASS(dc), props->name)->field = props;
    }
}
#endif

void fake_start(void)
{
    fake_switch_log(true, false);
    fake_clear();
    fake_entropy(0);
    reentered = NULL;
    late_failure = false;
    fake_memory(0);
    fake_iommu(FAKE_IOMMU_NONE);
    fake_beyond(FAKE_REGISTERS);
    if (the_type.class) {
        return;
    }
    DEMAND(register_types);
    register_types();
    the_type.class = zeroes(sizeof(*the_type.class));
    OBJECT_CLASS(the_type.class)->type = &the_type;
    the_type.resettable = zeroes(sizeof(ResettableClass));
    the_type.info.class_init(OBJECT_CLASS(the_type.class),
                             the_type.info.class_data);
}

/* ---- objects ---- */

static void *field_pointer(Object *obj, const Property *field, size_t size)
{
    DEMAND(field->offset >= 0);
    DEMAND(field->offset + size <= the_type.info.instance_size);
    DEMAND(field->offset % size == 0);
    return (char *)obj + field->offset;
}

bool fake_set(Object *obj, const char *name, const char *value)
{
    const Listed *listed = find(obj->class, name);

    DEMAND(!DEVICE(obj)->realized);
    if (!listed || !listed->field) {
        return false;
    }
    if (listed->field->info == &qdev_prop_string) {
        char **text = field_pointer(obj, listed->field, sizeof(*text));

        free(*text);
        *text = copy(value);
    } else if (listed->field->info == &qdev_prop_bool) {
        bool *on = field_pointer(obj, listed->field, sizeof(*on));

        if (strcmp(value, "on") && strcmp(value, "off")) {
            return false;
        }
        *on = !strcmp(value, "on");
    } else {
        uint32_t *number = field_pointer(obj, listed->field, sizeof(*number));
        unsigned long long parsed;
        int used;

        DEMAND(listed->field->info == &qdev_prop_uint32);
        if (sscanf(value, "%llu%n", &parsed, &used) != 1 || value[used]
            || parsed > UINT32_MAX) {
            return false;
        }
        *number = parsed;
    }
    return true;
}

Object *object_dynamic_cast_assert(Object *obj, const char *name,
                                   const char *file, int line,
                                   const char *func)
{
    DEMAND(obj->class == (ObjectClass *)the_type.class);
    return obj;
}

Object *fake_new(void)
{
    Object *obj = zeroes(the_type.info.instance_size);
    size_t i;

    obj->class = (ObjectClass *)the_type.class;
    /* The defaults come before any instance_init. */
    for (i = 0; i < the_type.count; i++) {
        const Listed *listed = &the_type.properties[i];

        if (listed->field && listed->field->info == &qdev_prop_bool) {
            bool *on = field_pointer(obj, listed->field, sizeof(*on));

            DEMAND(listed->field->set_default);
            *on = listed->field->defval.u;
        } else if (listed->field && listed->field->set_default) {
            uint32_t *number = field_pointer(obj, listed->field,
                                             sizeof(*number));

            *number = listed->field->defval.u;
        } else if (listed->default_text) {
            DEMAND(fake_set(obj, listed->property.name, listed->default_text));
        }
    }
    child = NULL;
    the_type.info.instance_init(obj);
    DEMAND(child && child->owner == obj);
    return obj;
}

void fake_bql(bool held)
{
    bql = held;
}

#if SEAM_QEMU_AT_LEAST(9, 0)
bool bql_locked(void)
#else
bool qemu_mutex_iothread_locked(void)
#endif
{
    return bql;
}

static void unrealize(Object *obj)
{
    the_type.class->exit(PCI_DEVICE(obj));
    memset(PCI_DEVICE(obj)->io_regions, 0, sizeof(PCI_DEVICE(obj)->io_regions));
}

void fake_fail_late(void)
{
    late_failure = true;
}

bool fake_realize(Object *obj)
{
    DeviceState *dev = DEVICE(obj);
    Error *error = NULL;

    DEMAND(!dev->realized);
    free(dev->canonical_path);
    dev->canonical_path = copy("/machine/fake");
    child = NULL;
    the_type.class->realize(PCI_DEVICE(obj), &error);
    /* One for each time that it is tried: QEMU would free it as often. */
    DEMAND(!child);
    if (!error) {
        DEMAND(region(obj)->owner == obj);
        if (!late_failure) {
            dev->realized = true;
            return true;
        }
        /* As where the file of an option ROM is missing. */
        late_failure = false;
        error_setg(&error, "realized, but not for long");
        unrealize(obj);
    }
    DEMAND(!PCI_DEVICE(obj)->io_regions[0].size);
    error_free(error);
    free(dev->canonical_path);
    dev->canonical_path = NULL;
    return false;
}

void fake_unrealize(Object *obj)
{
    DeviceState *dev = DEVICE(obj);

    DEMAND(dev->realized);
    unrealize(obj);
    dev->realized = false;
}

void fake_free(Object *obj)
{
    size_t i;

    if (DEVICE(obj)->realized) {
        fake_unrealize(obj);
    }
    /* As the device leaves QEMU's tree. */
    free(DEVICE(obj)->canonical_path);
    DEVICE(obj)->canonical_path = NULL;
    /* As in object_finalize: the properties' values go first, and dangle. */
    for (i = 0; i < the_type.count; i++) {
        const Property *field = the_type.properties[i].field;

        if (field && field->info == &qdev_prop_string) {
            free(*(char **)field_pointer(obj, field, sizeof(char *)));
        }
    }
    the_type.info.instance_finalize(obj);
    free(obj);
}

void fake_reset(Object *obj)
{
    ResettableClass *rc = (ResettableClass *)the_type.resettable;

    rc->phases.enter(obj, RESET_TYPE_COLD);
    DEMAND(!rc->phases.hold && !rc->phases.exit);
}

bool visit_type_uint64(Visitor *v, const char *name, uint64_t *value,
                       Error **errp)
{
    DEMAND(name);
    *v->value = *value;
    return true;
}

bool fake_counter(Object *obj, const char *name, uint64_t *value)
{
    const Listed *listed = find(obj->class, name);
    struct Visitor visitor = { value };
    Error *error = NULL;

    if (!listed || !listed->property.get) {
        return false;
    }
    DEMAND(listed->property.description);
    listed->property.get(obj, &visitor, name, listed->property.opaque, &error);
    DEMAND(!error);
    return true;
}

/* ---- memory ---- */

void memory_region_init_io(MemoryRegion *mr, Object *owner,
                           const MemoryRegionOps *ops, void *opaque,
                           const char *name, uint64_t size)
{
    /* QEMU makes an object of it, which clears it. */
    memset(mr, 0, sizeof(*mr));
    mr->owner = owner;
    mr->ops = ops;
    mr->opaque = opaque;
    mr->name = name;
    mr->size = int128_make64(size);
    child = mr;
}

void pci_register_bar(PCIDevice *pdev, int n, uint8_t type, MemoryRegion *mr)
{
    PCIIORegion *bar = &pdev->io_regions[n];

    DEMAND(n >= 0 && n < PCI_NUM_REGIONS && !bar->size);
    bar->type = type;
    bar->memory = mr;
    bar->size = int128_get64(mr->size);
}

static MemoryRegion *region(Object *obj)
{
    MemoryRegion *mr = PCI_DEVICE(obj)->io_regions[0].memory;

    DEMAND(mr);
    return mr;
}

static unsigned piece(const MemoryRegion *mr, uint64_t offset, unsigned size)
{
    const MemoryRegionOps *ops = mr->ops;

    DEMAND(size >= ops->valid.min_access_size);
    DEMAND(size <= ops->valid.max_access_size);
    DEMAND(ops->valid.unaligned || offset % size == 0);
    return MAX(MIN(size, ops->impl.max_access_size),
               ops->impl.min_access_size);
}

static uint64_t mask(unsigned size)
{
    return MAKE_64BIT_MASK(0, size * 8);
}

uint64_t fake_read(Object *obj, uint64_t offset, unsigned size)
{
    MemoryRegion *mr = region(obj);
    unsigned i, step = piece(mr, offset, size);
    uint64_t value = 0;

    for (i = 0; i < size; i += step) {
        uint64_t part = mr->ops->read(mr->opaque, offset + i, step);

        DEMAND(part <= mask(step));
        value |= part << (i * 8);
    }
    return value;
}

void fake_write(Object *obj, uint64_t offset, uint64_t value, unsigned size)
{
    MemoryRegion *mr = region(obj);
    unsigned i, step = piece(mr, offset, size);

    for (i = 0; i < size; i += step) {
        mr->ops->write(mr->opaque, offset + i, (value >> (i * 8)) & mask(step),
                       step);
    }
}

/* ---- memory that a device reaches by itself ---- */

static uint8_t *memory;
static size_t memory_size, mapped, written;
static FakeIommu iommu;
/* What an IOMMU leads to. It is known by its flat view, which has no other use. */
static const char flat_view;
static AddressSpace behind_iommu = { .current_map = (FlatView *)&flat_view };
static MemoryRegion ram = { .ram = true };
static MemoryRegion others[] = {
    [FAKE_REGISTERS] = { .terminates = true },
    [FAKE_ROM] = { .ram = true, .readonly = true },
    [FAKE_RAM_DEVICE] = { .ram = true, .ram_device = true },
};
static FakeRegion beyond;

uint8_t *fake_memory(size_t size)
{
    DEMAND(!mapped);
    free(memory);
    /* As large as it is said to be, so that a sanitizer sees the end. */
    memory = size ? zeroes(size) : NULL;
    memory_size = size;
    written = 0;
    return memory;
}

void fake_iommu(FakeIommu what)
{
    iommu = what;
}

void fake_beyond(FakeRegion what)
{
    beyond = what;
}

size_t fake_mapped(void)
{
    return mapped;
}

size_t fake_written(void)
{
    return written;
}

struct rcu_reader_data *get_ptr_rcu_reader(void)
{
    static struct rcu_reader_data reader;

    return &reader;
}

QemuEvent rcu_gp_event;
unsigned long rcu_gp_ctr = 1;

void qemu_event_set(QemuEvent *ev)
{
}

/* Behind the IOMMU all is 64 KiB lower, and no two pages are in one piece. */
enum { SHIFT = 0x10000, PAGE = 0x1000 };

IOMMUTLBEntry address_space_get_iotlb_entry(AddressSpace *as, hwaddr addr,
                                            bool is_write, MemTxAttrs attrs)
{
    IOMMUTLBEntry none = { .perm = IOMMU_NONE };
    IOMMUTLBEntry entry = {
        .target_as = as,
        .iova = addr & ~(hwaddr)(PAGE - 1),
        .translated_addr = addr & ~(hwaddr)(PAGE - 1),
        .addr_mask = PAGE - 1,
        .perm = IOMMU_RW,
    };

    DEMAND(bql && as != &behind_iommu && get_ptr_rcu_reader()->depth);
    /* Its tables may be in the device's registers. */
    reenter();
    if (iommu == FAKE_IOMMU_NONE) {
        return entry;
    }
    if (addr < SHIFT || (iommu == FAKE_IOMMU_READ_ONLY && is_write)
        || (iommu == FAKE_IOMMU_WRITE_ONLY && !is_write)) {
        return none;
    }
    entry.target_as = &behind_iommu;
    entry.translated_addr -= SHIFT;
    return entry;
}

/* To go by way of the IOMMU again would meet what its tables say now. */
static void demand_view(bool is_behind_iommu)
{
    DEMAND(is_behind_iommu == (iommu != FAKE_IOMMU_NONE));
}

MemoryRegion *flatview_translate(FlatView *fv, hwaddr addr, hwaddr *xlat,
                                 hwaddr *plen, bool is_write, MemTxAttrs attrs)
{
    demand_view(fv == behind_iommu.current_map);
    *xlat = addr;
    if (addr >= memory_size) {
        return &others[beyond];
    }
    *plen = MIN(*plen, memory_size - addr);
    return &ram;
}

bool memory_region_is_ram_device(MemoryRegion *mr)
{
    return mr->ram_device;
}

void *address_space_map(AddressSpace *as, hwaddr addr, hwaddr *plen,
                        bool is_write, MemTxAttrs attrs)
{
    DEMAND(is_write && *plen && bql && get_ptr_rcu_reader()->depth);
    demand_view(as == &behind_iommu);
    /* QEMU would lend a bounce buffer, and write it to registers later. */
    DEMAND(addr < memory_size && *plen <= memory_size - addr);
    mapped += *plen;
    return memory + addr;
}

void address_space_unmap(AddressSpace *as, void *buffer, hwaddr len,
                         bool is_write, hwaddr access_len)
{
    DEMAND(is_write && access_len <= len && bql);
    DEMAND((uint8_t *)buffer >= memory);
    DEMAND((uint8_t *)buffer + len <= memory + memory_size);
    DEMAND(mapped >= len);
    mapped -= len;
    written += access_len;
}

MemTxResult address_space_read_full(AddressSpace *as, hwaddr addr,
                                    MemTxAttrs attrs, void *buf, hwaddr len)
{
    /* Without this attribute, registers would be read. */
    DEMAND(attrs.memory && bql);
    demand_view(as == &behind_iommu);
    DEMAND(addr < memory_size && len <= memory_size - addr);
    memcpy(buf, memory + addr, len);
    return MEMTX_OK;
}

void fake_identity(Object *obj, uint64_t identity[7])
{
    const PCIDeviceClass *pc = the_type.class;
    const PCIIORegion *bar = &PCI_DEVICE(obj)->io_regions[0];

    DEMAND(DEVICE_CLASS(pc)->desc && *DEVICE_CLASS(pc)->desc);
    DEMAND(test_bit(DEVICE_CATEGORY_MISC, DEVICE_CLASS(pc)->categories));
    identity[0] = pc->vendor_id;
    identity[1] = pc->device_id;
    identity[2] = pc->revision;
    identity[3] = pc->class_id;
    identity[4] = 0;
    identity[5] = bar->type;
    identity[6] = bar->size;
}

/* ---- migration: vmstate_save_state and vmstate_load_state in small ---- */

const VMStateInfo vmstate_info_uint8, vmstate_info_uint32, vmstate_info_uint64;
const VMStateDescription vmstate_pci_device = { .name = "PCIDevice" };

/* Goes over the fields; how many bytes they take on the wire, or -1. */
static long copy_fields(Object *obj, const VMStateDescription *vmsd,
                        uint8_t *out, const uint8_t *in, size_t size)
{
    const VMStateField *field;
    size_t at = 0;

    for (field = vmsd->fields; field->name; field++) {
        size_t width, i, count = 1;
        uint8_t *first = (uint8_t *)obj + field->offset;

        if (field->flags == VMS_STRUCT) {
            DEMAND(field == vmsd->fields && field->offset == 0);
            DEMAND(field->vmsd == &vmstate_pci_device);
            DEMAND(field->size == sizeof(PCIDevice));
            continue;
        }
        if (field->flags == VMS_ARRAY) {
            count = field->num;
        } else {
            DEMAND(field->flags == VMS_SINGLE);
        }
        width = field->info == &vmstate_info_uint8 ? 1
                : field->info == &vmstate_info_uint32 ? 4
                : field->info == &vmstate_info_uint64 ? 8 : 0;
        DEMAND(width && field->size == width && field->offset % width == 0);
        for (i = 0; i < count; i++, first += width, at += width) {
            size_t byte;

            if (at + width > size) {
                return -1;
            }
            /* Big-endian on the wire, and little-endian here. */
            for (byte = 0; byte < width; byte++) {
                if (out) {
                    out[at + byte] = first[width - 1 - byte];
                } else {
                    first[width - 1 - byte] = in[at + byte];
                }
            }
        }
    }
    DEMAND(field->flags == VMS_END);
    return at;
}

static const VMStateDescription *description(void)
{
    const VMStateDescription *vmsd = DEVICE_CLASS(the_type.class)->vmsd;

    DEMAND(vmsd && !strcmp(vmsd->name, TYPE_MY_RNG) && !vmsd->unmigratable);
    DEMAND(!vmsd->subsections && !vmsd->needed && !vmsd->pre_load);
    return vmsd;
}

long fake_save(Object *obj, uint8_t *bytes, size_t size)
{
    const VMStateDescription *vmsd = description();

    if (vmsd->pre_save(obj)) {
        return -1;
    }
    return copy_fields(obj, vmsd, bytes, NULL, size);
}

int fake_load(Object *obj, const uint8_t *bytes, size_t size, int version)
{
    const VMStateDescription *vmsd = description();

    if (version > vmsd->version_id || version < vmsd->minimum_version_id) {
        return -EINVAL;
    }
    if (copy_fields(obj, vmsd, NULL, bytes, size) < 0) {
        return -EIO;
    }
    return vmsd->post_load(obj, version);
}
