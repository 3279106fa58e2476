/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the files of the test devices use of each other. */

#ifndef TEST_DEVICES_H
#define TEST_DEVICES_H

#include "hw/misc/qemu-pci/qemu-pci.h"

#if !SEAM_QEMU_AT_LEAST(9, 0)
#define bql_lock() qemu_mutex_lock_iothread()
#define bql_unlock() qemu_mutex_unlock_iothread()
#define bql_locked() qemu_mutex_iothread_locked()
#endif

/* The first of the tester's memory: two pages of RAM. */
#define TESTER_RAM 0x40000000

/* test-devices.c: adds a line to what the tester says. From any thread. */
void G_GNUC_PRINTF(1, 2) tester_say(const char *format, ...);
Object *the_rng(void);

/* test-threads.c: starts one of the tester's jobs, if it is one of them. */
bool run_threads(const char *what);
/* Gives numbers that all differ instead of entropy, if a job wants that. */
bool count_up_entropy(void *buf, size_t len);
/* The next one; 0 if no job wants that. */
extern uint32_t test_next_word;

/* Where the tests map the registers. */
#define TEST_REGISTERS      0xfebf0000
/* In the machine's memory, for each thread: a descriptor and a buffer. */
#define TEST_MEMORY         0x01000000
#define TEST_MEMORY_SIZE    0x00100000
#define TEST_BUFFER         MY_RNG_BULK_PAGE

/* Whether an access of this thread has not found the device. */
extern __thread bool test_has_missed;

/* Accesses, without the big lock. A read that finds no device gives 0. */
uint32_t test_read_register(hwaddr reg, MemTxAttrs attrs);
void test_write_register(hwaddr reg, uint32_t val, MemTxAttrs attrs);
/* The memory that begins at @addr. */
void *test_memory(hwaddr addr);
/*
 * Lets the device fill @bytes of the buffer behind the descriptor, which is at
 * @addr, in two segments; returns whether it has.
 */
bool test_transfer(void *descriptor, hwaddr addr, uint32_t bytes,
                   MemTxAttrs attrs);
uint64_t test_counter(const char *name);
/* A thread begins with test_begin_thread(): as a virtual CPU, or not. */
void test_start(QemuThread *thread, void *(*f)(void *), void *opaque);
void test_begin_thread(bool cpu);
/* Releases the big lock meanwhile. */
void test_join(QemuThread *thread);

/* test-storm.c */
void test_storm(const char *path);

#endif
