/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client, not a test: it knows only the header that the project installs. It uses both ioctls and read() of
 * the driver, and the register INFO through sysfs, and prints the first five numbers of the seed 0x42 and the
 * id of the generator.
 *
 *   header RESOURCE0
 */
#include "../../guest-app/include/my_rng.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* RNG_... come from abi/my_rng_abi.rs. */
_Static_assert(MY_RNG_IOCTL_RAND == RNG_IOCTL_RAND && MY_RNG_IOCTL_SEED == RNG_IOCTL_SEED, "ioctls");
_Static_assert(MY_RNG_BAR_SIZE == RNG_BAR_SIZE && MY_RNG_REG_SEED == RNG_REG_SEED, "registers");

static int fail(const char *what)
{
    perror(what);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    unsigned int seed = 0x42, number;
    uint32_t numbers[3], info;
    volatile uint32_t *bar;
    int node = open(MY_RNG_NODE, O_RDWR), resource;

    if (argc != 2) {
        fputs("usage: header RESOURCE0\n", stderr);
        return EXIT_FAILURE;
    }
    if (node < 0) {
        return fail("open");
    }
    if (ioctl(node, MY_RNG_IOCTL_SEED, &seed) != 0) {
        return fail("ioctl SEED");
    }
    for (int i = 0; i < 2; i++) {
        if (ioctl(node, MY_RNG_IOCTL_RAND, &number) != 0) {
            return fail("ioctl RAND");
        }
        printf("%u\n", number);
    }
    if (read(node, numbers, sizeof(numbers)) != sizeof(numbers)) {
        return fail("read");
    }
    for (int i = 0; i < 3; i++) {
        printf("%u\n", numbers[i]);
    }

    resource = open(argv[1], O_RDWR);
    bar = mmap(NULL, MY_RNG_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, resource, 0);
    if (bar == MAP_FAILED) {
        return fail("mmap");
    }
    info = bar[MY_RNG_REG_INFO / MY_RNG_REG_SIZE];
    /* Without the bits of extensions, which this client does not know. */
    if (!MY_RNG_INFO_IS_THERE(info) || (info & ~0xff00u) != MY_RNG_INFO(MY_RNG_INFO_GENERATOR(info))) {
        fprintf(stderr, "INFO is 0x%x\n", info);
        return EXIT_FAILURE;
    }
    printf("generator %u\n", MY_RNG_INFO_GENERATOR(info));
    return close(node) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
