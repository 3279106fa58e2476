/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MY_RNG_HELPERS_H
#define MY_RNG_HELPERS_H

#include <linux/miscdevice.h>
#include <linux/types.h>

struct attribute_group;
struct device;
struct hwrng;

/* The beginning of a Hardware of gaps/hardware.rs. */
struct my_rng_hardware {
	u8 __iomem *bar;
};

/* What a node's attributes show. */
struct my_rng_facts {
	const char *generator;
	const u64 __percpu *words;
	const u64 __percpu *seeds;
	bool has_bulk;
};

/* The beginning of a Node of gaps/node.rs. */
struct my_rng_node {
	struct miscdevice misc;
	struct my_rng_facts facts;
};

extern const struct attribute_group *my_rng_groups[];

typedef int my_rng_hwrng_read(struct hwrng *rng, void *data, size_t max,
			      bool wait);

struct hwrng *my_rng_hwrng_register(const char *name, unsigned short quality,
				    my_rng_hwrng_read *read, void *source);
void *my_rng_hwrng_source(const struct hwrng *rng);
void my_rng_hwrng_unregister(struct hwrng *rng);

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
