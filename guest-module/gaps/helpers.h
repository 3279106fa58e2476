/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MY_RNG_HELPERS_H
#define MY_RNG_HELPERS_H

#include <linux/types.h>

struct device;

void my_rng_memzero_explicit(void *at, size_t length);
unsigned int my_rng_dma_alignment(struct device *dev);

#endif
