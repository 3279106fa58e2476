/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ioctls with every kind of wrong pointer and every wrong command of their type.
 */
#include "guest.h"
#include <sys/mman.h>
#include <termios.h>

static int node;
static struct model model;

static void expect(unsigned long command, void *pointer, int error, const char *what)
{
    int status = ioctl(node, command, pointer);

    if (error == 0) {
        CHECK(status == 0, "0x%lx with %s: %m", command, what);
    } else {
        CHECK(status == -1 && errno == error, "0x%lx with %s: %s, not %s", command, what,
              status == -1 ? strerrorname_np(errno) : "success", strerrorname_np(error));
    }
}

static void restart(void)
{
    node_seed(node, 0x42);
    model_seed(&model, 0x42);
}

static void check_stream(const char *after)
{
    uint32_t expected = model_next(&model);
    uint32_t word = node_rand(node);

    CHECK(word == expected, "after %s the stream goes on with %u, not %u", after, word, expected);
}

/* A pointer that neither command can use. */
static void check_bad(void *pointer, const char *what)
{
    restart();
    check_stream("seeding");
    expect(RNG_IOCTL_SEED, pointer, EFAULT, what);
    check_stream("a SEED that failed");
    expect(RNG_IOCTL_RAND, pointer, EFAULT, what);
    /* A command that does not exist does not look at its pointer. */
    expect(_IO('q', 1), pointer, ENOTTY, what);
}

static void check_pointers(void)
{
    long page = sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *read_only, *none, *hole;
    unsigned int word = 0;

    CHECK(pages != MAP_FAILED, "mmap: %m");
    read_only = pages + page;
    none = pages + 2 * page;
    hole = pages + 3 * page;
    CHECK(mprotect(none, page, PROT_NONE) == 0, "mprotect: %m");
    CHECK(munmap(hole, page) == 0, "munmap: %m");

    check_bad(NULL, "NULL");
    check_bad((void *)1, "address 1");
    check_bad((void *)-1, "the last address");
    check_bad((void *)-3, "a word that wraps around");
    check_bad((void *)0xffff888000000000, "the kernel's memory");
    check_bad((void *)0xffffffff81000000, "the kernel's text");
    check_bad((void *)0x0000800000000000, "a non-canonical address");
    check_bad((void *)0x00007ffffffffffd, "a word across the end of user space");
    check_bad(hole, "unmapped memory");
    check_bad(none, "PROT_NONE memory");
    check_bad(none - 1, "a word that ends in PROT_NONE memory");
    check_bad(none - 3, "a word that ends in PROT_NONE memory");

    /* Memory that may be read, not written. */
    word = 0x42;
    memcpy(read_only + 4, &word, sizeof(word));
    memcpy(read_only - 2, &word, sizeof(word));
    CHECK(mprotect(read_only, page, PROT_READ) == 0, "mprotect: %m");
    restart();
    check_stream("seeding");
    expect(RNG_IOCTL_SEED, read_only + 4, 0, "read-only memory");
    model_seed(&model, 0x42);
    check_stream("a SEED from read-only memory");
    expect(RNG_IOCTL_RAND, read_only + 4, EFAULT, "read-only memory");
    expect(RNG_IOCTL_SEED, read_only - 2, 0, "a word that ends in read-only memory");
    model_seed(&model, 0x42);
    check_stream("a SEED from a word that ends in read-only memory");
    expect(RNG_IOCTL_RAND, read_only - 2, EFAULT, "a word that ends in read-only memory");

    /* Good memory across two pages, unaligned. */
    CHECK(mprotect(read_only, page, PROT_READ | PROT_WRITE) == 0, "mprotect: %m");
    memset(pages, 0, 2 * page);
    for (int before = 1; before < 4; before++) {
        memcpy(read_only - before, &word, sizeof(word));
        expect(RNG_IOCTL_SEED, read_only - before, 0, "a word across two pages");
        model_seed(&model, word);
        unsigned int got;
        expect(RNG_IOCTL_RAND, read_only - before, 0, "a word across two pages");
        memcpy(&got, read_only - before, sizeof(got));
        CHECK(got == model_next(&model), "a word across two pages is %u", got);
        CHECK(pages[page - before - 1] == 0 && read_only[4 - before] == 0,
              "RAND wrote beyond its word");
        memset(read_only - before, 0, sizeof(word));
    }
}

static void check_commands(void)
{
    static const unsigned int sizes[] = {0, 1, 2, 3, 4, 5, 8, 16, 0x3fff};
    unsigned int word = 0;

    restart();
    for (unsigned int direction = 0; direction < 4; direction++) {
        for (unsigned int size = 0; size < sizeof(sizes) / sizeof(sizes[0]); size++) {
            for (unsigned int number = 0; number < 256; number++) {
                unsigned long command = _IOC(direction, 'q', number, sizes[size]);

                if (command != RNG_IOCTL_RAND && command != RNG_IOCTL_SEED && command != RNG_IOCTL_FILL) {
                    expect(command, &word, ENOTTY, "a good pointer");
                }
            }
        }
    }
    expect(TCGETS, &word, ENOTTY, "a good pointer");
    expect(_IOR('p', 1, unsigned int), &word, ENOTTY, "a good pointer");
    expect(_IOW('r', 1, unsigned int), &word, ENOTTY, "a good pointer");
    expect(~0UL, &word, ENOTTY, "a good pointer");
    CHECK(word == 0, "a command that does not exist wrote %u", word);
    check_stream("commands that do not exist");
}

int main(void)
{
    node = open_node("/dev/" RNG_NODE);
    check_pointers();
    check_commands();
    puts("done");
    return 0;
}
