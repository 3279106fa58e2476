/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many threads take numbers of one device at once: together they must get exactly the stream, each
 * in its order; none torn, twice or lost. Then some seed while others read: every word must be of
 * one of the streams.
 */
#include "guest.h"
#include <pthread.h>

enum { READERS = 8, WORDS = 20000, TOTAL = READERS * WORDS, SEEDERS = 2, SEEDINGS = 2000 };

static const uint32_t seeds[SEEDERS] = {0x42, 0xffffffff};

static uint32_t got[READERS][WORDS];
static uint32_t all[TOTAL];
static uint32_t expected[TOTAL];
static pthread_barrier_t start;
static int shared;

static void *reader(void *argument)
{
    uint32_t *words = argument;
    /* Half of them share one open file, half have their own. */
    bool own = (words - got[0]) / WORDS % 2;
    int fd = own ? open_node("/dev/" RNG_NODE) : shared;

    pthread_barrier_wait(&start);
    for (int i = 0; i < WORDS; i++) {
        words[i] = node_rand(fd);
    }
    if (own) {
        close(fd);
    }
    return NULL;
}

static void *seeder(void *argument)
{
    uint32_t seed = *(const uint32_t *)argument;

    pthread_barrier_wait(&start);
    for (int i = 0; i < SEEDINGS; i++) {
        node_seed(shared, seed);
    }
    return NULL;
}

static int compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

static void run(int seeders)
{
    pthread_t threads[READERS + SEEDERS];

    CHECK(pthread_barrier_init(&start, NULL, READERS + seeders) == 0, "barrier");
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, reader, got[i]) == 0, "thread");
    }
    for (int i = 0; i < seeders; i++) {
        CHECK(pthread_create(&threads[READERS + i], NULL, seeder, (void *)&seeds[i]) == 0,
              "thread");
    }
    for (int i = 0; i < READERS + seeders; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0, "join");
    }
    CHECK(pthread_barrier_destroy(&start) == 0, "barrier");
}

static void check_shared_stream(void)
{
    struct model model;

    node_seed(shared, 0x42);
    run(0);
    model_seed(&model, 0x42);
    for (int i = 0; i < TOTAL; i++) {
        expected[i] = model_next(&model);
    }
    for (int i = 0; i < READERS; i++) {
        int at = 0;

        for (int j = 0; j < WORDS; j++) {
            while (at < TOTAL && expected[at] != got[i][j]) {
                at++;
            }
            CHECK(at++ < TOTAL, "reader %d got %u out of order, or not of the stream", i,
                  got[i][j]);
        }
    }
    memcpy(all, got, sizeof(all));
    qsort(all, TOTAL, sizeof(all[0]), compare);
    qsort(expected, TOTAL, sizeof(expected[0]), compare);
    CHECK(memcmp(all, expected, sizeof(all)) == 0, "words were lost or given twice");
}

static void check_seeding(void)
{
    static uint32_t streams[SEEDERS][TOTAL];

    /* The device must stand in one of the streams from the start. */
    node_seed(shared, seeds[0]);
    run(SEEDERS);
    for (int i = 0; i < SEEDERS; i++) {
        struct model model;

        model_seed(&model, seeds[i]);
        for (int j = 0; j < TOTAL; j++) {
            streams[i][j] = model_next(&model);
        }
        qsort(streams[i], TOTAL, sizeof(streams[i][0]), compare);
    }
    for (int i = 0; i < READERS; i++) {
        for (int j = 0; j < WORDS; j++) {
            bool known = false;

            for (int k = 0; k < SEEDERS && !known; k++) {
                known = bsearch(&got[i][j], streams[k], TOTAL, sizeof(streams[k][0]), compare);
            }
            CHECK(known, "%u is of none of the streams", got[i][j]);
        }
    }
}

int main(void)
{
    shared = open_node("/dev/" RNG_NODE);
    check_shared_stream();
    check_seeding();
    printf("words: %d\n", 2 * TOTAL);
    return 0;
}
