// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Wrappers of inline functions, which bindgen cannot bind and the kernel's
 * rust/helpers lack. gaps.rs uses them.
 */

#include <linux/dma-map-ops.h>
#include <linux/string.h>

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
