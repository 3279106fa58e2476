// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Registration with hw_random. gaps/hw_random.rs uses it.
 */

#include <linux/err.h>
#include <linux/hw_random.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "helpers.h"

/* Returns NULL if the kernel was built without hw_random. */
struct hwrng *my_rng_hwrng_register(const char *name, unsigned short quality,
				    my_rng_hwrng_read *read, void *source)
{
	struct hwrng *rng;
	int err;

	if (!IS_REACHABLE(CONFIG_HW_RANDOM))
		return NULL;
	rng = kzalloc_obj(*rng);
	if (!rng)
		return ERR_PTR(-ENOMEM);
	rng->name = name;
	rng->quality = quality;
	rng->read = read;
	rng->priv = (unsigned long)source;
	err = hwrng_register(rng);
	if (err) {
		kfree(rng);
		return ERR_PTR(err);
	}
	return rng;
}

void *my_rng_hwrng_source(const struct hwrng *rng)
{
	return (void *)rng->priv;
}

/*
 * hwrng_unregister() waits for the last read, but not always for the last run
 * of the rng's cleanup work: if the rng was deselected and selected again right
 * before, the work of the first time can end the wait. So wait for the work
 * before freeing it. A reader that has put the last reference may not have
 * queued the work yet. It does so without sleeping, so wait until every task
 * has slept or left the kernel.
 *
 * Without CONFIG_TASKS_RCU (BPF, ftrace and kprobes select it),
 * synchronize_rcu_tasks() is synchronize_rcu(). With preemption, a window then
 * stays: a reader that is preempted between these two steps, a few
 * instructions, for longer than a grace period. 0002 of linux-patches/ closes
 * it in the core, for all drivers.
 */
void my_rng_hwrng_unregister(struct hwrng *rng)
{
	if (!IS_REACHABLE(CONFIG_HW_RANDOM))
		return;
	hwrng_unregister(rng);
	synchronize_rcu_tasks();
	flush_work(&rng->cleanup_work);
	kfree(rng);
}
