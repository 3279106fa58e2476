/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Readers that share the stream of the first device, in every way, and threads that seed it meanwhile.
 */
#include "stress.h"
#include <sys/uio.h>

enum { READERS = 8, PART = 4096, WORDS = 4000, TOTAL = READERS * WORDS, SEEDERS = 2, SEEDINGS = 200 };

static uint32_t got[READERS][WORDS];
static const uint32_t seeds[SEEDERS] = {0x42, 0xfeedf00d};

static void take(struct worker *worker, int fd, const unsigned char *memory, unsigned int start)
{
    uint32_t *words = got[worker->number];

    for (size_t done = 0, length; done < WORDS; done += length) {
        length = 1 + choose(worker, 200);
        if (length > WORDS - done) {
            length = WORDS - done;
        }
        if (choose(worker, 2) != 0) {
            length = 1;
            begin(worker, RAND);
            words[done] = node_rand(fd);
        } else if (choose(worker, 3) == 0) {
            begin(worker, FILL);
            ASSERT_EQ(fill(fd, start, 4 * length), 0);
            memcpy(words + done, memory + start, 4 * length);
        } else if (length > 1 && choose(worker, 3) == 0) {
            /* In two pieces that are not of whole words. */
            size_t first = 1 + choose(worker, 4 * length - 1);
            struct iovec vectors[] = {{words + done, first},
                                      {(char *)(words + done) + first, 4 * length - first}};

            begin(worker, READV);
            ASSERT_EQ(readv(fd, vectors, 2), 4 * length);
        } else {
            begin(worker, READ);
            ASSERT_EQ(read(fd, words + done, 4 * length), 4 * length);
        }
        end(worker);
    }
}

static void take_or_seed(struct worker *worker)
{
    bool own = worker->number % 2;
    int fd = own ? open_node() : node;

    if (worker->number < READERS) {
        unsigned char *memory = mmap(NULL, READERS * PART, PROT_READ, MAP_SHARED, fd, 0);

        ASSERT(memory != MAP_FAILED);
        /* Each has a part of the pages of the file that some share. */
        take(worker, fd, memory, own ? 0 : worker->number * PART);
        ASSERT_EQ(munmap(memory, READERS * PART), 0);
    } else {
        for (int i = 0; i < SEEDINGS; i++) {
            begin(worker, SEED);
            node_seed(node, seeds[worker->number - READERS]);
            end(worker);
        }
    }
    if (own) {
        close(fd);
    }
}

/* What one reader gets by itself is the stream. */
static void check_alone(uint32_t from)
{
    uint32_t *words = map_memory(4 * TOTAL);

    restart(from);
    ASSERT_EQ(read(node, words, 4 * TOTAL), 4 * TOTAL);
    expect_numbers(words, 4 * TOTAL);
    ASSERT_EQ(munmap(words, 4 * TOTAL), 0);
}

void share_the_stream(void)
{
    uint32_t from = (uint32_t)(seed + round_number) * 2654435761u;
    uint64_t counted;

    node = open_node();
    counted = fdinfo_number(node, "words");
    restart(from);
    start_workers(READERS, 1, (struct rules){0}, take_or_seed);
    join_workers();
    ASSERT_EQ(fdinfo_number(node, "words"), counted + TOTAL);
    expect_shared(&stream, got[0], READERS, WORDS);
    check_alone(from);
    close(node);
}

void read_while_others_seed(void)
{
    node = open_node();
    for (int i = 0; i < SEEDERS; i++) {
        check_alone(seeds[i]);
    }
    node_seed(node, seeds[0]);
    start_workers(READERS + SEEDERS, 2, (struct rules){0}, take_or_seed);
    join_workers();
    expect_either(&stream, seeds, got[0], TOTAL);
    close(node);
}
