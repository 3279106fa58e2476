/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads and processes of a test, and what threads get that share a stream.
 */
#ifndef MY_RNG_TESTS_TASKS_H
#define MY_RNG_TESTS_TASKS_H

#include "stream.h"
#include <pthread.h>

/* For all files of a program. */
__attribute__((weak)) struct {
    pthread_t threads[128];
    int count;
    void (*run)(int number);
    pthread_barrier_t start;
} tasks;

static inline void *run_thread(void *number)
{
    pthread_barrier_wait(&tasks.start);
    tasks.run((intptr_t)number);
    return NULL;
}

/* Starts threads that call run() with their numbers, from 0 on, and begin together. */
static inline void start_threads(int count, void (*run)(int number))
{
    tasks.count = count;
    tasks.run = run;
    ASSERT_EQ(pthread_barrier_init(&tasks.start, NULL, count), 0);
    for (intptr_t i = 0; i < count; i++) {
        ASSERT_EQ(pthread_create(&tasks.threads[i], NULL, run_thread, (void *)i), 0);
    }
}

static inline void join_threads(void)
{
    for (int i = 0; i < tasks.count; i++) {
        ASSERT_EQ(pthread_join(tasks.threads[i], NULL), 0);
    }
}

/*
 * Lets others go on, in a loop that waits for something. Unlike sched_yield() it lets the processor halt. As long as
 * a processor does not, QEMU's TCG may keep memory that it wants to free: a device that was unplugged stays.
 */
static inline void rest(void)
{
    usleep(100);
}

static inline pid_t fork_process(void)
{
    pid_t child = fork();

    ASSERT(child >= 0);
    return child;
}

static inline int wait_for_process(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) != child) {
        ASSERT_EQ(errno, EINTR);
    }
    return status;
}

/* Kills a process, which must not have ended by itself. */
static inline void kill_process(pid_t child)
{
    ASSERT_EQ(kill(child, SIGKILL), 0);
    ASSERT_EQ(wait_for_process(child), SIGKILL);
}

static inline int compare_words(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

static inline uint32_t *next_words(struct stream *stream, int count)
{
    uint32_t *words = malloc(count * sizeof(*words));

    ASSERT(words != NULL);
    for (int i = 0; i < count; i++) {
        words[i] = stream_next(stream);
    }
    return words;
}

/*
 * Together, takers got exactly the stream's next numbers, and each taker in the stream's order: none torn,
 * lost or given twice. `words` has the numbers of one taker after the other; it is sorted here.
 */
static inline void expect_shared(struct stream *stream, uint32_t *words, int takers, int each)
{
    int total = takers * each;
    uint32_t *expected = next_words(stream, total);

    for (int i = 0, at = 0; i < total; i++) {
        at = i % each == 0 ? 0 : at;
        while (at < total && expected[at] != words[i]) {
            at++;
        }
        ASSERT_MSG(at++ < total, "taker %d got 0x%08x out of order, or not from the stream", i / each, words[i]);
    }
    qsort(words, total, sizeof(*words), compare_words);
    qsort(expected, total, sizeof(*expected), compare_words);
    ASSERT_MSG(memcmp(words, expected, total * sizeof(*words)) == 0, "numbers were lost or given twice");
    free(expected);
}

/* Each word is among the first `count` of the stream from one of two seeds. */
static inline void expect_either(struct stream *stream, const uint32_t seeds[2], const uint32_t *words, int count)
{
    uint32_t *expected[2];

    for (int i = 0; i < 2; i++) {
        stream_seed(stream, seeds[i]);
        expected[i] = next_words(stream, count);
        qsort(expected[i], count, sizeof(*words), compare_words);
    }
    for (int i = 0; i < count; i++) {
        ASSERT_MSG(bsearch(&words[i], expected[0], count, sizeof(*words), compare_words) != NULL ||
                       bsearch(&words[i], expected[1], count, sizeof(*words), compare_words) != NULL,
                   "0x%08x is of neither stream", words[i]);
    }
    free(expected[0]);
    free(expected[1]);
}

#endif
