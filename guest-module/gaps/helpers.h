/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MY_RNG_HELPERS_H
#define MY_RNG_HELPERS_H

#include <linux/types.h>

struct device;

/* The beginning of a Hardware of gaps/hardware.rs. */
struct my_rng_hardware {
	u8 __iomem *bar;
};

void my_rng_memzero_explicit(void *at, size_t length);
unsigned int my_rng_dma_alignment(struct device *dev);
bool my_rng_read(struct my_rng_hardware __rcu *const *link, size_t offset,
		 u32 *value);
bool my_rng_write(struct my_rng_hardware __rcu *const *link, size_t offset,
		  u32 value);
const struct my_rng_hardware *
my_rng_enter(struct my_rng_hardware __rcu *const *link, unsigned int *cpu);
void my_rng_leave(void);
bool my_rng_put_user(u32 number, u32 __user *to);
bool my_rng_get_user(u32 *number, const u32 __user *from);
u64 __percpu *my_rng_counter_new(void);
void my_rng_counter_free(u64 __percpu *counter);
void my_rng_counter_add(u64 __percpu *counter, u64 count);
u64 my_rng_counter_sum(const u64 __percpu *counter);

#endif
