// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Wrappers of inline functions, which bindgen cannot bind and the kernel's
 * rust/helpers lack. gaps.rs uses them. And what module!() lacks.
 */

#include <linux/dma-map-ops.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "helpers.h"

void my_rng_memzero_explicit(void *at, size_t length)
{
	memzero_explicit(at, length);
}

/*
 * Memory that the device writes to must begin and end at multiples of this.
 * Otherwise other data in the same cache lines can get lost.
 */
unsigned int my_rng_dma_alignment(struct device *dev)
{
	return dev_is_dma_coherent(dev) ? 1 : dma_get_cache_alignment();
}

/*
 * One access to a register, unless the device is unbound, is one function: from
 * Rust, each of the inline functions would be a call.
 */
bool my_rng_read(struct my_rng_hardware __rcu *const *link, size_t offset,
		 u32 *value)
{
	const struct my_rng_hardware *hardware;

	rcu_read_lock();
	hardware = rcu_dereference(*link);
	if (hardware)
		*value = readl(hardware->bar + offset);
	rcu_read_unlock();
	return hardware;
}

bool my_rng_write(struct my_rng_hardware __rcu *const *link, size_t offset,
		  u32 value)
{
	const struct my_rng_hardware *hardware;

	rcu_read_lock();
	hardware = rcu_dereference(*link);
	if (hardware)
		writel(value, hardware->bar + offset);
	rcu_read_unlock();
	return hardware;
}

/*
 * Keeps the hardware, the task on its processor, and other tasks off it, until
 * my_rng_leave().
 */
const struct my_rng_hardware *
my_rng_enter(struct my_rng_hardware __rcu *const *link, unsigned int *cpu)
{
	rcu_read_lock();
	*cpu = get_cpu();
	return rcu_dereference(*link);
}

void my_rng_leave(void)
{
	put_cpu();
	rcu_read_unlock();
}

bool my_rng_put_user(u32 number, u32 __user *to)
{
	return put_user_inline(number, to) == 0;
}

bool my_rng_get_user(u32 *number, const u32 __user *from)
{
	return get_user_inline(*number, from) == 0;
}

/* A counter of which each processor has a part. */
u64 __percpu *my_rng_counter_new(void)
{
	return alloc_percpu(u64);
}

void my_rng_counter_free(u64 __percpu *counter)
{
	free_percpu(counter);
}

void my_rng_counter_add(u64 __percpu *counter, u64 count)
{
	this_cpu_add(*counter, count);
}

u64 my_rng_counter_sum(const u64 __percpu *counter)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(counter, cpu));
	return sum;
}

MODULE_VERSION("0.1.0");
