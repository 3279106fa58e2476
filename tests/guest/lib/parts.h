/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takers that get numbers of one stream by transfers, at the same time. Each transfer got numbers that follow each
 * other in the stream, the transfers of one taker are in the stream's order, and together the takers got each number
 * once.
 */
#ifndef MY_RNG_TESTS_PARTS_H
#define MY_RNG_TESTS_PARTS_H

#include "tasks.h"

/* So few numbers can occur in a stream twice, so they are not looked for before the end. Four never do. */
enum { SURE = 4 };

/* The first numbers of a stream. For entropy, which has none to compare with, there are no words. */
struct expected {
    uint32_t *words;
    uint32_t count;
};

/* Where the numbers of a transfer are in the stream. */
struct part {
    uint32_t start, count;
};

/* A number that was taken alone, and how many parts its taker had before. */
struct single {
    uint32_t word;
    int after;
};

struct taker {
    struct part *parts;
    struct single *singles;
    /* Entropy: all numbers of a transfer except the last few. */
    uint32_t (*quads)[SURE];
    int part_count, single_count, quad_count;
    uint64_t numbers;
};

/* Makes room for one more element of a list, whose size is 0 or a power of 2. */
#define GROW(list, count)                                                                                    \
    do {                                                                                                     \
        if (((count) & ((count) - 1)) == 0) {                                                                \
            (list) = realloc(list, ((count) == 0 ? 1 : 2 * (count)) * sizeof(*(list)));                      \
            ASSERT((list) != NULL);                                                                          \
        }                                                                                                    \
    } while (0)

static inline void forget_parts(struct taker *taker)
{
    taker->part_count = taker->single_count = taker->quad_count = 0;
    taker->numbers = 0;
}

static inline void add_single(struct taker *taker, uint32_t word)
{
    GROW(taker->singles, taker->single_count);
    taker->singles[taker->single_count++] = (struct single){word, taker->part_count};
    taker->numbers++;
}

static inline uint32_t part_end(const struct part *part)
{
    return part->start + part->count;
}

/* Adds a transfer's numbers. False if the stream has no such part after the taker's last one. */
static inline bool add_part(const struct expected *expected, struct taker *taker, const uint32_t *words, uint32_t count)
{
    uint32_t at = taker->part_count == 0 ? 0 : part_end(&taker->parts[taker->part_count - 1]);

    if (expected->words == NULL) {
        for (uint32_t i = 0; i + SURE <= count; i += SURE) {
            GROW(taker->quads, taker->quad_count);
            memcpy(taker->quads[taker->quad_count++], &words[i], sizeof(*taker->quads));
        }
        taker->numbers += count;
        return true;
    }
    if (count < SURE) {
        for (uint32_t i = 0; i < count; i++) {
            add_single(taker, words[i]);
        }
        return true;
    }
    while (at + count <= expected->count && (expected->words[at] != words[0] ||
                                             memcmp(&expected->words[at], words, SURE * sizeof(*words)) != 0)) {
        at++;
    }
    if (at + count > expected->count || memcmp(&expected->words[at], words, count * sizeof(*words)) != 0) {
        return false;
    }
    GROW(taker->parts, taker->part_count);
    taker->parts[taker->part_count++] = (struct part){at, count};
    taker->numbers += count;
    return true;
}

static inline int compare_parts(const void *left, const void *right)
{
    const struct part *a = left, *b = right;

    return (a->start > b->start) - (a->start < b->start);
}

static inline int compare_quads(const void *left, const void *right)
{
    return memcmp(left, right, SURE * sizeof(uint32_t));
}

/* No 128 bits of entropy were given twice. */
static inline void expect_no_quad_twice(struct taker *takers[], int count)
{
    uint32_t (*quads)[SURE];
    int total = 0;

    for (int i = 0; i < count; i++) {
        total += takers[i]->quad_count;
    }
    quads = malloc((total + 1) * sizeof(*quads));
    ASSERT(quads != NULL);
    total = 0;
    for (int i = 0; i < count; i++) {
        if (takers[i]->quad_count > 0) {
            memcpy(&quads[total], takers[i]->quads, takers[i]->quad_count * sizeof(*quads));
        }
        total += takers[i]->quad_count;
    }
    qsort(quads, total, sizeof(*quads), compare_quads);
    for (int i = 1; i < total; i++) {
        ASSERT_MSG(compare_quads(&quads[i - 1], &quads[i]) != 0, "entropy was given twice: %08x...", quads[i][0]);
    }
    free(quads);
}

/* The single numbers are those at these places, and each taker's are in order, also among its parts. */
static inline void expect_singles(const struct expected *expected, struct taker *takers[], int count,
                                  const uint32_t *places, int total)
{
    uint32_t *words = malloc((total + 1) * sizeof(*words)), *others = malloc((total + 1) * sizeof(*others));
    int added = 0;

    ASSERT(words != NULL && others != NULL);
    for (int i = 0; i < total; i++) {
        words[i] = expected->words[places[i]];
    }
    for (int i = 0; i < count; i++) {
        const struct taker *taker = takers[i];

        for (int j = 0, at = 0; j < taker->single_count; j++, at++) {
            const struct single *single = &taker->singles[j];
            uint32_t from = single->after == 0 ? 0 : part_end(&taker->parts[single->after - 1]);
            uint32_t to = single->after == taker->part_count ? UINT32_MAX : taker->parts[single->after].start;

            while (at < total && (words[at] != single->word || places[at] < from)) {
                at++;
            }
            ASSERT_MSG(at < total && places[at] < to, "taker %d got the number 0x%08x out of order, or twice", i,
                       single->word);
            others[added++] = single->word;
        }
    }
    ASSERT_EQ(added, total);
    qsort(words, total, sizeof(*words), compare_words);
    qsort(others, total, sizeof(*others), compare_words);
    ASSERT_MSG(memcmp(words, others, total * sizeof(*words)) == 0, "numbers were lost or given twice");
    free(words);
    free(others);
}

/* Together the takers got exactly the first numbers of the stream. Returns how many. */
static inline uint64_t expect_parts(const struct expected *expected, struct taker *takers[], int count)
{
    int part_count = 0, single_count = 0, single = 0;
    uint64_t numbers = 0;
    struct part *parts;
    uint32_t *places, at = 0;

    for (int i = 0; i < count; i++) {
        part_count += takers[i]->part_count;
        single_count += takers[i]->single_count;
        numbers += takers[i]->numbers;
    }
    if (expected->words == NULL) {
        expect_no_quad_twice(takers, count);
        return numbers;
    }
    ASSERT(numbers <= expected->count);
    parts = malloc((part_count + 1) * sizeof(*parts));
    places = malloc((single_count + 1) * sizeof(*places));
    ASSERT(parts != NULL && places != NULL);
    part_count = 0;
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < takers[i]->part_count; j++) {
            parts[part_count++] = takers[i]->parts[j];
        }
    }
    qsort(parts, part_count, sizeof(*parts), compare_parts);
    /* Between the parts, and after the last, are the single numbers. */
    parts[part_count] = (struct part){numbers, 0};
    for (int i = 0; i <= part_count; i++) {
        ASSERT_MSG(parts[i].start >= at, "the numbers from %u on were given twice", parts[i].start);
        while (at < parts[i].start) {
            ASSERT_MSG(single < single_count, "the number %u was lost", at);
            places[single++] = at++;
        }
        at += parts[i].count;
    }
    expect_singles(expected, takers, count, places, single);
    free(parts);
    free(places);
    return numbers;
}

#endif
