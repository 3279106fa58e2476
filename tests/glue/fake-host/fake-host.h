/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A fake QEMU around one device: what the glue calls of QEMU, done as QEMU
 * does it where the glue could notice, and a handle on each thing that QEMU
 * would do with the device. tests/glue/src/lib.rs has the other side of it.
 */

#ifndef FAKE_HOST_H
#define FAKE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Object Object;

/* Registers the device's type and makes its class, once; forgets the log. */
void fake_start(void);

/* What was logged, reported and traced so far, and the last error. */
const char *fake_log(void);
const char *fake_error(void);
void fake_clear(void);
void fake_switch_log(bool guest_errors, bool trace);
/* Does this thread hold the big lock? It does from the start. */
void fake_bql(bool held);

/* Answers this many more requests for entropy, with the words 1, 2, ... */
void fake_entropy(unsigned words);
/*
 * During the next request, or while memory is mapped, the device is read,
 * written to, counted and reset.
 */
void fake_reenter(Object *obj);

/* Vendor, device, revision, class, BAR, its type, its size. */
void fake_identity(Object *obj, uint64_t identity[7]);

/* Gives the machine so much memory, of zeros, from address 0 on. */
uint8_t *fake_memory(size_t size);
/*
 * Puts an IOMMU in front of it, for a device's bus only: its addresses are
 * 64 KiB higher than the memory's, and no two pages are in one piece.
 */
typedef enum FakeIommu {
    FAKE_IOMMU_NONE,
    FAKE_IOMMU_READ_WRITE,
    FAKE_IOMMU_READ_ONLY,
    FAKE_IOMMU_WRITE_ONLY,
} FakeIommu;
void fake_iommu(FakeIommu what);
/* What is behind the end of memory. */
typedef enum FakeRegion {
    FAKE_REGISTERS,
    FAKE_ROM,
    FAKE_RAM_DEVICE,
} FakeRegion;
void fake_beyond(FakeRegion what);
/* How much of it is mapped by a device, and how much was written so far. */
size_t fake_mapped(void);
size_t fake_written(void);

Object *fake_new(void);
bool fake_set(Object *obj, const char *name, const char *value);
bool fake_realize(Object *obj);
/* The next time the device is realized, QEMU's own part of it fails. */
void fake_fail_late(void);
void fake_unrealize(Object *obj);
void fake_free(Object *obj);
void fake_reset(Object *obj);
bool fake_counter(Object *obj, const char *name, uint64_t *value);

/* As the memory core makes a guest's access: cut to what the device takes. */
uint64_t fake_read(Object *obj, uint64_t offset, unsigned size);
void fake_write(Object *obj, uint64_t offset, uint64_t value, unsigned size);

/* The state on the wire: how long it is, or -1. */
long fake_save(Object *obj, uint8_t *bytes, size_t size);
/* As QEMU does: 0, or an error. */
int fake_load(Object *obj, const uint8_t *bytes, size_t size, int version);

#endif
