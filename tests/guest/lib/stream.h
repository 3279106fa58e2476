/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Models of the streams that a device must give, for each generator with a seed. `libc` comes from the C
 * library itself; the others are written anew from the published descriptions.
 */
#ifndef MY_RNG_TESTS_STREAM_H
#define MY_RNG_TESTS_STREAM_H

#include "tap.h"
#include <stdint.h>

enum generator { LIBC, CHACHA20, CHACHA8, XOSHIRO256PP };

struct stream {
    enum generator generator;
    /* libc */
    struct random_data data;
    char random_state[128];
    /* chacha20 and chacha8 */
    uint32_t seed;
    uint64_t position;
    uint32_t block[16];
    /* xoshiro256pp: each output is two numbers, the lower half first. */
    uint64_t state[4];
    uint64_t output;
    bool has_half;
    /* How many numbers were taken, and how often it was seeded: the driver must count the same. */
    uint64_t words;
    uint64_t seeds;
};

static inline void stream_choose(struct stream *stream, const char *generator)
{
    static const char *const names[] = {"libc", "chacha20", "chacha8", "xoshiro256pp"};

    while (strcmp(generator, names[stream->generator]) != 0) {
        ASSERT_MSG(++stream->generator < ARRAY_SIZE(names), "there is no model of the generator %s", generator);
    }
}

/* SplitMix64, which also serves for the choices of tests. */
static inline uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline void stream_seed(struct stream *stream, uint32_t seed)
{
    uint64_t state = seed;

    memset(&stream->data, 0, sizeof(stream->data));
    ASSERT_EQ(initstate_r(seed, stream->random_state, sizeof(stream->random_state), &stream->data), 0);
    stream->seed = seed;
    stream->position = 0;
    for (int i = 0; i < 4; i++) {
        stream->state[i] = splitmix64(&state);
    }
    stream->has_half = false;
}

static inline uint32_t libc_next(struct stream *stream)
{
    int32_t word;

    ASSERT_EQ(random_r(&stream->data, &word), 0);
    return (uint32_t)word;
}

static inline void chacha_quarter(uint32_t *s, int a, int b, int c, int d)
{
    static const int left[] = {16, 12, 8, 7};

    for (int i = 0; i < 4; i += 2) {
        s[a] += s[b];
        s[d] = (s[d] ^ s[a]) << left[i] | (s[d] ^ s[a]) >> (32 - left[i]);
        s[c] += s[d];
        s[b] = (s[b] ^ s[c]) << left[i + 1] | (s[b] ^ s[c]) >> (32 - left[i + 1]);
    }
}

/*
 * RFC 8439: the key is the seed and 28 zero bytes, the nonce is 0, the block counter, of 64 bits, starts at
 * 0.
 */
static inline uint32_t chacha_next(struct stream *stream, int double_rounds)
{
    unsigned int index = stream->position % 16;

    if (index == 0) {
        uint64_t counter = stream->position / 16;
        uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, stream->seed};
        uint32_t *s = stream->block;

        start[12] = (uint32_t)counter;
        start[13] = (uint32_t)(counter >> 32);
        memcpy(s, start, sizeof(start));
        for (int round = 0; round < double_rounds; round++) {
            for (int i = 0; i < 4; i++) {
                chacha_quarter(s, i, 4 + i, 8 + i, 12 + i);
            }
            for (int i = 0; i < 4; i++) {
                chacha_quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
            }
        }
        for (int i = 0; i < 16; i++) {
            s[i] += start[i];
        }
    }
    stream->position++;
    return stream->block[index];
}

static inline uint64_t rotate64(uint64_t word, unsigned int by)
{
    return word << by | word >> (64 - by);
}

static inline uint32_t xoshiro256pp_next(struct stream *stream)
{
    uint64_t *s = stream->state, t = s[1] << 17;

    stream->has_half = !stream->has_half;
    if (!stream->has_half) {
        return stream->output >> 32;
    }
    stream->output = rotate64(s[0] + s[3], 23) + s[0];
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate64(s[3], 45);
    return (uint32_t)stream->output;
}

static inline uint32_t stream_next(struct stream *stream)
{
    stream->words++;
    switch (stream->generator) {
    case LIBC:
        return libc_next(stream);
    case CHACHA20:
        return chacha_next(stream, 10);
    case CHACHA8:
        return chacha_next(stream, 4);
    default:
        return xoshiro256pp_next(stream);
    }
}

static inline void stream_skip(struct stream *stream, uint64_t count)
{
    while (count-- > 0) {
        stream_next(stream);
    }
}

/* The memory holds the stream's next numbers; of the last one, perhaps only the first bytes. */
#define expect_stream(...) expect_stream_at(HERE, __VA_ARGS__)

static inline void expect_stream_at(const char *file, int line, struct stream *stream, const void *memory,
                                    size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 4) {
        uint32_t expected = stream_next(stream), word = expected;

        memcpy(&word, (const char *)memory + i, bytes - i < 4 ? bytes - i : 4);
        if (word != expected) {
            tap_fail(file, line, "number %zu in %zu bytes is 0x%08x, not 0x%08x", i / 4, bytes, word, expected);
        }
    }
}

#define expect_bytes(...) expect_bytes_at(HERE, __VA_ARGS__)

static inline void expect_bytes_at(const char *file, int line, const void *memory, size_t length,
                                   unsigned char value)
{
    const unsigned char *bytes = memory;

    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != value) {
            tap_fail(file, line, "byte %zu of %zu is 0x%02x, not 0x%02x", i, length, bytes[i], value);
        }
    }
}

#endif
