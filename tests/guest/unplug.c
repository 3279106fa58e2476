/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads until the device is unplugged, which somebody outside does when told "reading"; then
 * waits for another one to be plugged in, when told "gone".
 */
#include "guest.h"
#include <sched.h>
#include <sys/mman.h>

enum { MAX = RNG_BULK_MAX_BYTES };

static struct model model;
static int fd;
/* What the file is mapped to, and what is read to. */
static uint32_t *memory, *buffer;

static void check(const uint32_t *numbers, ssize_t length, const char *what)
{
    for (int i = 0; i < length / 4; i++) {
        uint32_t expected = model_next(&model);

        CHECK(numbers[i] == expected, "%s: the wrong number %u before the unplugging", what, numbers[i]);
    }
}

/* Takes numbers in this way: whether they have come. */
static bool take(int way)
{
    unsigned int part[2] = {0, MAX}, word;
    ssize_t got;

    switch (way) {
    case 0:
        if (ioctl(fd, RNG_IOCTL_RAND, &word) != 0) {
            return false;
        }
        check(&word, sizeof(word), "RAND");
        return true;
    case 1:
        if (ioctl(fd, RNG_IOCTL_FILL, part) != 0) {
            CHECK(errno == ENODEV, "FILL: %m");
            return false;
        }
        check(memory, MAX, "FILL");
        return true;
    default:
        /* By way of the driver's memory, and to the program's; in both, in several transfers. */
        got = read(fd, buffer, way == 2 ? 20000 : 3 * MAX);
        check(buffer, got, "a read");
        return got > 0;
    }
}

int main(void)
{
    static uint32_t copy[MAX / 4];
    unsigned int word;
    int other, way = 0;

    setlinebuf(stdout);
    fd = open_node("/dev/" RNG_NODE);
    memory = mmap(NULL, MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    buffer = malloc(3 * MAX);
    CHECK(memory != MAP_FAILED && buffer != NULL, "mmap: %m");
    node_seed(fd, 0x42);
    model_seed(&model, 0x42);
    for (int i = 0; i < 200; i++) {
        CHECK(take(i % 4), "way %d: %m", i % 4);
    }
    puts("reading");
    /* The engine goes before the registers do, by way of which a read goes on. */
    while (take(way) || way == 1) {
        way = (way + 1) % 4;
    }
    CHECK(errno == ENODEV, "way %d after unplugging: %m", way);
    for (way = 0; way < 4; way++) {
        CHECK(!take(way) && errno == ENODEV, "way %d after unplugging: %m", way);
    }
    CHECK(ioctl(fd, RNG_IOCTL_SEED, &word) == -1 && errno == ENODEV, "SEED after unplugging: %m");
    /* The file's pages are a program's, whatever becomes of the device. */
    memcpy(copy, memory, MAX);
    puts("gone");

    /* Until the old node is gone open says ENODEV or still finds it; whoever started us has a
     * deadline. */
    for (;;) {
        other = open("/dev/" RNG_NODE, O_RDWR | O_CLOEXEC);
        if (other >= 0) {
            if (ioctl(other, RNG_IOCTL_RAND, &word) == 0) {
                break;
            }
            CHECK(errno == ENODEV, "RAND of the new device: %m");
            close(other);
        } else {
            CHECK(errno == ENOENT || errno == ENODEV, "open of the new device: %m");
        }
        sched_yield();
    }
    model_seed(&model, RNG_DEFAULT_SEED);
    CHECK(word == model_next(&model), "the new device starts with %u", word);
    for (way = 0; way < 4; way++) {
        CHECK(!take(way) && errno == ENODEV, "the old file, way %d: %m", way);
    }
    CHECK(memcmp(copy, memory, MAX) == 0, "the old file's pages have changed");
    memset(memory, 0xa5, MAX);
    close(fd);
    CHECK(memory[0] == 0xa5a5a5a5 && munmap(memory, MAX) == 0, "the old file's pages: %m");
    puts("back");
    return 0;
}
