/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client, not a test: it is written to the classic contract, as such programs are. It knows only the node's
 * name and the two macros below, which are written by hand, so that they do not follow a change of
 * abi/my_rng_abi.rs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MY_RNG_IOCTL_RAND _IOR('q', 1, unsigned int)
#define MY_RNG_IOCTL_SEED _IOW('q', 1, unsigned int)

int main(void)
{
    unsigned int seed = 0;
    int fd = open("/dev/my_rng_driver", O_RDWR);

    if (fd < 0) {
        perror("open");
        return EXIT_FAILURE;
    }
    for (int round = 0; round < 2; round++) {
        if (ioctl(fd, MY_RNG_IOCTL_SEED, &seed) != 0) {
            perror("ioctl SEED");
            return EXIT_FAILURE;
        }
        for (int number = 0; number < 5; number++) {
            unsigned int word;

            if (ioctl(fd, MY_RNG_IOCTL_RAND, &word) != 0) {
                perror("ioctl RAND");
                return EXIT_FAILURE;
            }
            printf("Round %d number %d: %u\n", round, number, word);
        }
    }
    return close(fd) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
