/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads until the device is unplugged, which somebody outside does when told "reading"; then
 * waits for another one to be plugged in, when told "gone".
 */
#include "guest.h"
#include <sched.h>

int main(void)
{
    struct model model;
    unsigned int word;
    int fd = open_node("/dev/" RNG_NODE);
    int other;

    setlinebuf(stdout);
    node_seed(fd, 0x42);
    model_seed(&model, 0x42);
    for (int i = 0; i < 1000; i++) {
        CHECK(node_rand(fd) == model_next(&model), "the wrong number");
    }
    puts("reading");
    while (ioctl(fd, RNG_IOCTL_RAND, &word) == 0) {
        CHECK(word == model_next(&model), "the wrong number %u before the unplugging", word);
    }
    CHECK(errno == ENODEV, "RAND after unplugging: %m");
    CHECK(ioctl(fd, RNG_IOCTL_SEED, &word) == -1 && errno == ENODEV, "SEED after unplugging: %m");
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
    CHECK(ioctl(fd, RNG_IOCTL_RAND, &word) == -1 && errno == ENODEV, "the old file: %m");
    puts("back");
    return 0;
}
