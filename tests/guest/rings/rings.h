/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MY_RNG_TESTS_RINGS_H
#define MY_RNG_TESTS_RINGS_H

#include "parts.h"
#include "transfer.h"

/* The device under test: where its registers are, and this program's mapping of them. */
__attribute__((weak)) uint64_t rng_at;
__attribute__((weak)) volatile uint32_t *rng;

/* How to write a page's number to DOORBELL. */
typedef void ring_fn(uint32_t page);

/* By a store. */
ring_fn ring_by_processor;

/* By an e1000: it receives what it sends, and its memory for received packets is DOORBELL. */
void map_card(volatile uint32_t *registers);
/* If it is new. */
void set_up_card(void);
ring_fn ring_by_card;

/* By a message-signaled interrupt of a rust_edu, which is sent to DOORBELL. */
void set_up_message(const char *address);
ring_fn ring_by_message;

/* By an edu's DMA, some time after a store. */
void set_up_dma(const char *address);
ring_fn ring_by_dma;

#endif
