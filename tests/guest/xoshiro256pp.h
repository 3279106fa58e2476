/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream that the generator `xoshiro256pp` must give, written down anew from its authors' description:
 * each number is two words, the lower half first, and the state is what SplitMix64 gives from the seed.
 */
#ifndef MY_RNG_TESTS_XOSHIRO256PP_H
#define MY_RNG_TESTS_XOSHIRO256PP_H

#include "guest.h"

struct xoshiro256pp {
    uint64_t state[4];
    uint64_t number;
    bool has_half;
};

static inline uint64_t xoshiro256pp_rotate(uint64_t word, unsigned int by)
{
    return word << by | word >> (64 - by);
}

static inline void xoshiro256pp_seed(struct xoshiro256pp *stream, uint32_t seed)
{
    uint64_t x = seed;

    for (int i = 0; i < 4; i++) {
        uint64_t z = x += 0x9e3779b97f4a7c15;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        stream->state[i] = z ^ z >> 31;
    }
    stream->has_half = false;
}

static inline uint32_t xoshiro256pp_next(struct xoshiro256pp *stream)
{
    uint64_t *s = stream->state, t = s[1] << 17;

    stream->has_half = !stream->has_half;
    if (!stream->has_half) {
        return stream->number >> 32;
    }
    stream->number = xoshiro256pp_rotate(s[0] + s[3], 23) + s[0];
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = xoshiro256pp_rotate(s[3], 45);
    return (uint32_t)stream->number;
}

#endif
