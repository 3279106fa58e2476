/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream that the generator `chacha20` must give, written down anew from RFC 8439: the key is the
 * seed and 28 zero bytes, the nonce is 0, the block counter, of 64 bits, starts at 0. That of `chacha8` is
 * the same with fewer rounds.
 */
#ifndef MY_RNG_TESTS_CHACHA20_H
#define MY_RNG_TESTS_CHACHA20_H

#include "guest.h"

struct chacha20 {
    int double_rounds;
    uint32_t seed;
    uint64_t position;
    uint32_t block[16];
};

static inline uint32_t chacha20_rotate(uint32_t word, unsigned int by)
{
    return word << by | word >> (32 - by);
}

static inline void chacha20_quarter(uint32_t *s, int a, int b, int c, int d)
{
    s[a] += s[b];
    s[d] = chacha20_rotate(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = chacha20_rotate(s[b] ^ s[c], 12);
    s[a] += s[b];
    s[d] = chacha20_rotate(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = chacha20_rotate(s[b] ^ s[c], 7);
}

static inline void chacha20_seed(struct chacha20 *stream, uint32_t seed)
{
    stream->double_rounds = 10;
    stream->seed = seed;
    stream->position = 0;
}

static inline void chacha8_seed(struct chacha20 *stream, uint32_t seed)
{
    chacha20_seed(stream, seed);
    stream->double_rounds = 4;
}

static inline uint32_t chacha20_next(struct chacha20 *stream)
{
    unsigned int index = stream->position % 16;

    if (index == 0) {
        uint64_t counter = stream->position / 16;
        uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, stream->seed};
        uint32_t *s = stream->block;

        start[12] = (uint32_t)counter;
        start[13] = (uint32_t)(counter >> 32);
        memcpy(s, start, sizeof(start));
        for (int round = 0; round < stream->double_rounds; round++) {
            chacha20_quarter(s, 0, 4, 8, 12);
            chacha20_quarter(s, 1, 5, 9, 13);
            chacha20_quarter(s, 2, 6, 10, 14);
            chacha20_quarter(s, 3, 7, 11, 15);
            chacha20_quarter(s, 0, 5, 10, 15);
            chacha20_quarter(s, 1, 6, 11, 12);
            chacha20_quarter(s, 2, 7, 8, 13);
            chacha20_quarter(s, 3, 4, 9, 14);
        }
        for (int i = 0; i < 16; i++) {
            s[i] += start[i];
        }
    }
    stream->position++;
    return stream->block[index];
}

#endif
