/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Has rust_edu compute 50 factorials, and prints how often STATUS had to be read for the one that took most reads.
 *
 *   timer /sys/bus/pci/devices/ADDRESS/resource0
 */
#include "guest.h"
#include <sys/mman.h>

#define FACTORIAL 0x08
#define STATUS 0x20
#define COMPUTING 0x01

int main(int argc, char **argv)
{
    volatile uint32_t *bar;
    int fd, most = 0;

    CHECK(argc == 2, "timer RESOURCE");
    fd = open(argv[1], O_RDWR | O_SYNC | O_CLOEXEC);
    CHECK(fd >= 0, "%s: %m", argv[1]);
    bar = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(bar != MAP_FAILED, "mmap: %m");
    for (int i = 0; i < 50; i++) {
        int reads = 0;

        bar[FACTORIAL / 4] = 10;
        while (bar[STATUS / 4] & COMPUTING) {
            reads++;
        }
        CHECK(bar[FACTORIAL / 4] == 3628800, "10! is %u", bar[FACTORIAL / 4]);
        most = reads > most ? reads : most;
    }
    printf("%d\n", most);
    return 0;
}
