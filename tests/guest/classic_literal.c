/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client, not a test: it is written to the classic contract without a header. The ioctls are the numbers
 * that the driver logs when it is loaded, and each call opens the node anew. As in classic.c, they are
 * written by hand.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void call(unsigned long request, unsigned int *number)
{
    int fd = open("/dev/my_rng_driver", O_RDWR);

    if (fd == -1) {
        perror("cannot open the device");
        exit(EXIT_FAILURE);
    }
    if (ioctl(fd, request, number) == -1) {
        perror("ioctl");
        exit(EXIT_FAILURE);
    }
    close(fd);
}

int main(int argc, char **argv)
{
    unsigned int seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 0x42;
    unsigned int random;
    int i;

    call(0x40047101, &seed);
    printf("seed: 0x%x\n", seed);
    for (i = 0; i < 5; i++) {
        call(0x80047101, &random);
        printf("random number: %u\n", random);
    }
    return EXIT_SUCCESS;
}
