/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the test programs of the guest share. The numbers of the contract come from the build, which
 * takes them from abi/my_rng_abi.rs: RNG_BAR_SIZE, RNG_REG_RNG, RNG_REG_SEED, RNG_REG_INFO, RNG_REG_DOORBELL,
 * RNG_REG_FAILURES, RNG_INFO_BULK, RNG_INFO_FAILURES, RNG_BULK_PAGE, RNG_BULK_MAX_BYTES, RNG_DEFAULT_SEED, RNG_NODE, RNG_IOCTL_RAND,
 * RNG_IOCTL_SEED, RNG_IOCTL_FILL.
 */
#ifndef MY_RNG_TESTS_GUEST_H
#define MY_RNG_TESTS_GUEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Ends the program with a message unless the condition holds. */
#define CHECK(condition, ...)                                                  \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                    \
            fprintf(stderr, __VA_ARGS__);                                      \
            fprintf(stderr, "\n");                                             \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

/* The stream that the device must give, from the C library itself. */
struct model {
    struct random_data data;
    char state[128];
};

static inline void model_seed(struct model *model, uint32_t seed)
{
    memset(model, 0, sizeof(*model));
    CHECK(initstate_r(seed, model->state, sizeof(model->state), &model->data) == 0,
          "initstate_r: %m");
}

static inline uint32_t model_next(struct model *model)
{
    int32_t word;

    CHECK(random_r(&model->data, &word) == 0, "random_r: %m");
    return (uint32_t)word;
}

static inline int open_node(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    CHECK(fd >= 0, "%s: %m", path);
    return fd;
}

static inline uint32_t node_rand(int fd)
{
    unsigned int word;

    CHECK(ioctl(fd, RNG_IOCTL_RAND, &word) == 0, "RAND: %m");
    return word;
}

static inline void node_seed(int fd, unsigned int seed)
{
    CHECK(ioctl(fd, RNG_IOCTL_SEED, &seed) == 0, "SEED: %m");
}

#endif
