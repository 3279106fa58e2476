/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the programs share that look at the driver closely: the stream of whichever generator with a seed
 * the device has, and what /proc and sysfs say.
 */
#ifndef MY_RNG_TESTS_DRIVER_H
#define MY_RNG_TESTS_DRIVER_H

#include "chacha20.h"
#include "xoshiro256pp.h"

enum generator { LIBC, CHACHA20, CHACHA8, XOSHIRO256PP };

/* The model of a device: its stream, and what the driver must have counted. */
struct stream {
    enum generator generator;
    struct model libc;
    struct chacha20 chacha;
    struct xoshiro256pp xoshiro256pp;
    uint64_t words;
    uint64_t seeds;
};

static inline void stream_choose(struct stream *stream, const char *name)
{
    static const char *const names[] = {"libc", "chacha20", "chacha8", "xoshiro256pp"};

    for (stream->generator = LIBC; stream->generator <= XOSHIRO256PP; stream->generator++) {
        if (strcmp(name, names[stream->generator]) == 0) {
            return;
        }
    }
    CHECK(false, "there is no model of the generator %s", name);
}

static inline void stream_seed(struct stream *stream, uint32_t seed)
{
    switch (stream->generator) {
    case LIBC:
        model_seed(&stream->libc, seed);
        break;
    case CHACHA20:
        chacha20_seed(&stream->chacha, seed);
        break;
    case CHACHA8:
        chacha8_seed(&stream->chacha, seed);
        break;
    default:
        xoshiro256pp_seed(&stream->xoshiro256pp, seed);
        break;
    }
}

static inline uint32_t stream_next(struct stream *stream)
{
    stream->words++;
    switch (stream->generator) {
    case LIBC:
        return model_next(&stream->libc);
    case CHACHA20:
    case CHACHA8:
        return chacha20_next(&stream->chacha);
    default:
        return xoshiro256pp_next(&stream->xoshiro256pp);
    }
}

/* Seeds the device of an open node and its model alike. */
static inline void restart(struct stream *stream, int node, uint32_t seed)
{
    node_seed(node, seed);
    stream_seed(stream, seed);
    stream->seeds++;
}

/* The next number of the device's stream is the next of the model's. */
static inline void check_next(struct stream *stream, int node, const char *after)
{
    uint32_t expected = stream_next(stream);
    uint32_t word = node_rand(node);

    CHECK(word == expected, "after %s the stream goes on with %u, not %u", after, word, expected);
}

/* A call has failed, with this errno. */
static inline void expect_error(ssize_t got, int error, const char *what)
{
    CHECK(got == -1 && errno == error, "%s: %s, not %s", what,
          got == -1 ? strerrorname_np(errno) : "success", strerrorname_np(error));
}

/* The value on the line of a small text file that starts with the key, or NULL if there is none. */
static inline char *file_value(const char *path, const char *key, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t done = 0;
    ssize_t got;
    char *line, *end;

    if (fd < 0) {
        return NULL;
    }
    while (done < size - 1 && (got = read(fd, text + done, size - 1 - done)) > 0) {
        done += got;
    }
    close(fd);
    text[done] = '\0';
    for (line = text; *line != '\0'; line = end + 1) {
        end = strchrnul(line, '\n');
        if (strncmp(line, key, strlen(key)) == 0) {
            *end = '\0';
            return line + strlen(key);
        }
        if (*end == '\0') {
            break;
        }
    }
    return NULL;
}

/* What fdinfo says of an open node. */
static inline char *fdinfo(int fd, const char *name, char *text, size_t size)
{
    char path[64], key[64];

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    snprintf(key, sizeof(key), "my_rng-%s:\t", name);
    return file_value(path, key, text, size);
}

static inline uint64_t fdinfo_number(int fd, const char *name)
{
    char text[1024], *end;
    char *value = fdinfo(fd, name, text, sizeof(text));
    uint64_t number;

    CHECK(value != NULL, "fdinfo has no my_rng-%s", name);
    number = strtoull(value, &end, 10);
    CHECK(end != value && *end == '\0', "fdinfo says my_rng-%s: %s", name, value);
    return number;
}

/* Writes to a file of sysfs or debugfs: 0, or the errno. */
static inline int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int error = 0;

    if (fd < 0) {
        return errno;
    }
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        error = errno;
    }
    close(fd);
    return error;
}

static inline int compare_words(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

/*
 * Readers that share a stream got exactly its words, each one in its order; "got" is one reader's after the
 * other's. Sorts both.
 */
static inline void check_shared(uint32_t *got, int readers, int each, uint32_t *expected)
{
    int total = readers * each;

    for (int i = 0; i < readers; i++) {
        int at = 0;

        for (int j = 0; j < each; j++) {
            uint32_t word = got[i * each + j];

            while (at < total && expected[at] != word) {
                at++;
            }
            CHECK(at++ < total, "reader %d got 0x%08x out of order, or not of the stream", i, word);
        }
    }
    qsort(got, total, sizeof(*got), compare_words);
    qsort(expected, total, sizeof(*expected), compare_words);
    CHECK(memcmp(got, expected, total * sizeof(*got)) == 0, "words were lost or given twice");
}

#endif
